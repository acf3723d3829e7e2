//! What the makers of pictures share: draws, held-out pairs, words, and how questions are asked.

use super::super::World;
use super::super::random::Random;
use super::canvas::{COLOURS, Canvas, GROUNDS, Rgb};
use super::letters::{FACES, Hand};
use super::{Asked, Exhibit, GALLERY_VERSION, GLYPHS, NUMBERED, Part, SIDES, Sight};

/// Streams of the gallery begin here; documents, facts and questions have lower ones.
const PURPOSE: u64 = 1 << 32;

/// Choices of a question, at most.
const CHOICES: usize = 4;

/// Whether a combination is kept back from training. What the two numbers count is up to the maker.
pub(super) fn held_out(a: usize, b: usize) -> bool {
    (a + b) % 4 == 3
}

/// An exhibit while it is made.
pub(super) struct Maker<'a> {
    pub(super) world: &'a World,
    pub(super) random: Random,
    pub(super) level: u32,
    /// Whether a held-out combination is to be shown, rather than none.
    pub(super) unseen: bool,
    /// Whether what is asked next needs the words of a picture and its drawing, too.
    pub(super) both: bool,
    /// Whether pictures are drawn without their words.
    wordless: bool,
    /// Typeface and weight of a picture's letters.
    face: usize,
    weight: f32,
    pictures: Vec<Vec<u8>>,
    /// What each picture shows, in statements.
    told: Vec<Vec<String>>,
    words: Vec<String>,
    questions: Vec<Asked>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        world: &'a World,
        (sight, level, index): (Sight, u32, u64),
        unseen: bool,
        wordless: bool,
    ) -> Maker<'a> {
        let key = (sight as u64 * 3 + u64::from(level)) * 2 + u64::from(unseen);
        let mut random = Random::new(world.seed, PURPOSE * u64::from(GALLERY_VERSION) + key, index);
        let (face, weight) = (random.below(FACES), 0.04 + 0.01 * random.below(7) as f32);
        Maker {
            world,
            random,
            level,
            unseen,
            both: false,
            wordless,
            face,
            weight,
            pictures: Vec::new(),
            told: Vec::new(),
            words: Vec::new(),
            questions: Vec::new(),
        }
    }

    /// What a list of one entry a level has for this one.
    pub(super) fn at<T: Copy>(&self, levels: [T; 3]) -> T {
        levels[self.level as usize - 1]
    }

    /// Side of a picture, in pixels.
    pub(super) fn side(&self) -> f32 {
        self.at(SIDES) as f32
    }

    /// A number between two, in steps of a sixty-fourth of the way.
    pub(super) fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.random.below(65) as f32 / 64.0
    }

    /// How the words of a picture are written.
    pub(super) fn hand(&mut self) -> Hand {
        let (low, high) = self.at(GLYPHS);
        let height = self.within(low as f32, high as f32);
        Hand { face: self.face, height, weight: self.weight * height, room: self.side() - 4.0 }
    }

    /// An empty picture on any ground.
    pub(super) fn canvas(&mut self) -> Canvas {
        let ground = self.random.below(GROUNDS.len());
        self.canvas_on(ground)
    }

    /// An empty picture on one of the grounds, in a shade of its own.
    pub(super) fn canvas_on(&mut self, ground: usize) -> Canvas {
        let (ground, ink) = GROUNDS[ground % GROUNDS.len()];
        let ground = self.shade(ground, 5);
        Canvas::new(self.at(SIDES), ground, self.shade(ink, 12), self.wordless)
    }

    fn shade(&mut self, colour: Rgb, most: u64) -> Rgb {
        colour.map(|channel| {
            let moved = u64::from(channel) + self.random.between(0, 2 * most);
            moved.saturating_sub(most).min(255) as u8
        })
    }

    /// A shade of a colour that has a name.
    pub(super) fn paint(&mut self, colour: usize) -> Rgb {
        self.shade(COLOURS[colour % COLOURS.len()].1, 14)
    }

    /// A pair of numbers below the bounds, each that may be shown as likely as the next: held-out ones where
    /// something unseen is to be shown, others else.
    pub(super) fn pair(&mut self, a: usize, b: usize) -> (usize, usize) {
        loop {
            let pair = (self.random.below(a), self.random.below(b));
            if held_out(pair.0, pair.1) == self.unseen {
                return pair;
            }
        }
    }

    /// The same, where the first number is an answer: each answer is as likely as the next.
    pub(super) fn answer(&mut self, a: usize, b: usize) -> (usize, usize) {
        loop {
            let first = self.random.below(a);
            let fits: Vec<usize> = (0..b).filter(|&b| held_out(first, b) == self.unseen).collect();
            if !fits.is_empty() {
                return (first, fits[self.random.below(fits.len())]);
            }
        }
    }

    /// The list in any order.
    pub(super) fn shuffled<T>(&mut self, list: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut list: Vec<T> = list.into_iter().collect();
        for end in (1..list.len()).rev() {
            list.swap(end, self.random.below(end + 1));
        }
        list
    }

    /// So many different numbers below a bound, in any order, the first of them given.
    pub(super) fn others(&mut self, first: usize, count: usize, below: usize) -> Vec<usize> {
        let mut all = self.shuffled((0..below).filter(|&other| other != first));
        all.insert(0, first);
        all.truncate(count);
        all
    }

    /// Short nouns of the world: the first of its things that have few letters, each with another beginning as
    /// long as that can be had.
    pub(super) fn words(&self, count: usize) -> Vec<&'a str> {
        let names = || self.world.things.iter().map(|thing| thing.name.as_str());
        let mut words: Vec<&str> = Vec::with_capacity(count);
        for (length, start) in [(5, 1), (5, 2), (5, 5), (6, 5), (99, 99)] {
            for name in names().filter(|name| name.len() <= length) {
                if words.len() == count {
                    return words;
                }
                let begins = |word: &&str| word.get(..start) == name.get(..start) || *word == name;
                if !words.iter().any(begins) {
                    words.push(name);
                }
            }
        }
        words
    }

    /// Short first names of the world's people.
    pub(super) fn names(&self, count: usize) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::with_capacity(count);
        for longest in [5, 6, 99] {
            for one in self.world.people.iter().filter(|one| one.first.len() <= longest) {
                if names.len() == count {
                    return names;
                }
                if !names.contains(&one.first.as_str()) {
                    names.push(&one.first);
                }
            }
        }
        names
    }

    /// Adds a picture and what it shows.
    pub(super) fn show(&mut self, canvas: Canvas, told: impl Into<String>) {
        self.show_all(canvas, vec![told.into()]);
    }

    /// The same in statements, of which the first leads and a caption tells the others in any order: so they must be looked up
    /// by what they are of and not by their place.
    pub(super) fn show_all(&mut self, mut canvas: Canvas, told: Vec<String>) {
        self.words.push(std::mem::take(&mut canvas.words).join(" "));
        self.pictures.push(canvas.finish(&mut self.random));
        self.told.push(told);
    }

    /// Asks a question about all pictures, in two of its phrasings. `{0}`, `{1}`, … in them stand for `words`;
    /// `answers` are all that could be right, each as likely as the next for those words.
    pub(super) fn ask<T: AsRef<str>>(
        &mut self,
        kind: &'static str,
        phrasings: &[&str],
        words: &[&str],
        answers: &[T],
        right: usize,
    ) {
        let Some(answer) = answers.get(right).map(|answer| answer.as_ref().to_owned()) else {
            return;
        };
        for phrasing in self.shuffled(phrasings.iter().copied()).into_iter().take(2) {
            let mut text = phrasing.to_owned();
            for (place, word) in words.iter().enumerate() {
                text = text.replace(&format!("{{{place}}}"), word);
            }
            let wrong = (0..answers.len()).filter(|&other| other != right);
            let mut chosen = self.shuffled(wrong);
            chosen.truncate(CHOICES - 1);
            chosen.push(right);
            let chosen = self.shuffled(chosen);
            let choices = chosen.iter().map(|&choice| answers[choice].as_ref().to_owned()).collect();
            let right = chosen.iter().position(|&choice| choice == right).unwrap_or(0);
            let prompt = self.prompt(text);
            let (answer, both) = (answer.clone(), self.both);
            self.questions.push(Asked { prompt, answer, choices, right, kind, both });
        }
    }

    /// The pictures and a question: most often in this order.
    fn prompt(&mut self, question: String) -> Vec<Part> {
        let mut parts = self.row();
        if self.random.chance(80) {
            parts.push(Part::Text(question));
        } else {
            parts.insert(0, Part::Text(question));
        }
        parts
    }

    /// All pictures in order, each announced where there are two.
    fn row(&self) -> Vec<Part> {
        match self.pictures.len() {
            2 => vec![
                Part::Text(NUMBERED[0].into()),
                Part::Picture(0),
                Part::Text(NUMBERED[1].into()),
                Part::Picture(1),
            ],
            count => (0..count).map(Part::Picture).collect(),
        }
    }

    /// The exhibit.
    pub(super) fn finish(mut self, sight: Sight) -> Exhibit {
        let told = std::mem::take(&mut self.told);
        let transcription = told.iter().map(|told| told.join(" ")).collect();
        let mut described = Vec::with_capacity(told.len());
        for statements in told {
            let mut statements = statements.into_iter();
            let lead = statements.next().into_iter();
            described.push(lead.chain(self.shuffled(statements)).collect::<Vec<_>>().join(" "));
        }
        // Each description behind its picture, or all behind the last; of a row of panels in any order.
        let row = described.len() > 2;
        let caption = if !row && self.random.chance(50) {
            let told = described.into_iter().map(Part::Text);
            (0..).map(Part::Picture).zip(told).flat_map(|(one, other)| [one, other]).collect()
        } else {
            let described = if row { self.shuffled(described) } else { described };
            let mut parts = self.row();
            parts.push(Part::Text(described.join(" ")));
            parts
        };
        Exhibit {
            sight,
            level: self.level,
            pictures: self.pictures,
            caption,
            questions: self.questions,
            transcription,
            words: self.words,
            unseen: self.unseen,
        }
    }
}

/// Numbers as answers: `first`, `first + step`, …
pub(super) fn numbers(first: usize, count: usize, step: usize) -> Vec<String> {
    (0..count).map(|i| (first + i * step).to_string()).collect()
}

/// `a` or `an`, and the word.
pub(super) fn an(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// The sentence with a capital.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().to_string() + letters.as_str())
}

/// Names of the first so many colours.
pub(super) fn colours(count: usize) -> Vec<&'static str> {
    COLOURS.iter().take(count).map(|&(name, _)| name).collect()
}

/// The two answers of a comparison.
pub(super) const WHICH: [&str; 2] = ["first", "second"];

/// The two answers of a plain question.
pub(super) const YES_NO: [&str; 2] = ["yes", "no"];
