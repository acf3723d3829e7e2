//! Written lines: words in colours, and pages of notes.
//!
//! Held out are pairs of a word and the colour of its ink.

use super::canvas::{Align, COLOURS};
use super::maker::{Maker, capital, colours, held_out, numbers};

/// Words that a level knows.
const WORDS: [usize; 3] = [4, 8, 16];
/// Lines of a page.
const LINES: [usize; 3] = [2, 4, 7];
/// Words of a line of the levels without sentences.
const PER_LINE: usize = 2;
/// Colours of ink.
const INKS: usize = 4;
/// What is counted on a page of notes is at most this many.
const MANY: usize = 12;

const PLACES: [&str; 4] = ["first", "second", "third", "fourth"];
const DOES: [&str; 4] = ["buys", "sells", "finds", "wants"];

pub(super) fn make(maker: &mut Maker<'_>) {
    if maker.level == 3 { notes(maker) } else { lines(maker) }
}

/// A word that is not this one and a colour that is not this one, seen in training.
fn another(maker: &mut Maker<'_>, than: (usize, usize)) -> (usize, usize) {
    loop {
        let (word, ink) = (maker.random.below(maker.at(WORDS)), maker.random.below(INKS));
        if word != than.0 && ink != than.1 && !held_out(word, ink) {
            return (word, ink);
        }
    }
}

/// One word a line at level 1, two at level 2, each line in a colour.
fn lines(maker: &mut Maker<'_>) {
    let words = maker.words(maker.at(WORDS));
    let count = 1 + maker.random.below(maker.at(LINES));
    let lead = maker.pair(words.len(), INKS);
    let line = maker.random.below(count);
    let per_line = if maker.level == 1 { 1 } else { PER_LINE };
    let place = maker.random.below(per_line);
    let (mut canvas, hand) = (maker.canvas(), maker.hand());
    let (side, ink) = (maker.side(), canvas.ink);
    let high = (side / count as f32).min(hand.height * maker.within(1.5, 2.1));
    let top = maker.within(0.0, side - high * count as f32);
    // Thin letters hardly show a colour.
    let bold = super::letters::Hand { weight: hand.height * 0.14, ..hand };
    let mut told = Vec::new();
    for at in 0..count {
        let first = if at == line { lead } else { another(maker, lead) };
        let paint = canvas.readable(maker.paint(first.1));
        let mut row = vec![words[first.0]];
        while row.len() < per_line {
            // Its fellow has the colour too, so it must be a word that may have it, and another one.
            let other = maker.random.below(words.len());
            if other != first.0 && other != lead.0 && !held_out(other, first.1) {
                row.push(words[other]);
            }
        }
        if at == line && place == 1 {
            row.swap(0, 1);
        }
        let text = row.join(" ");
        let y = top + high * (at as f32 + 0.5);
        let room = hand.within(side - 6.0).width(&text);
        let x = maker.within(3.0, (side - 3.0 - room).max(3.0));
        canvas.write(&bold.within(side - 6.0), &text, (x, y), Align::Left, paint);
        told.push(format!("Line {}: \"{text}\" in {}.", at + 1, COLOURS[first.1].0));
    }
    if maker.random.chance(30) {
        canvas.frame((1.0, 1.0), side - 2.0, side - 2.0, ink, 1.0);
    }
    maker.show(canvas, told.join(" "));
    let nth = PLACES[line];
    if per_line == 1 {
        let phrasings =
            ["What does the {0} line say?", "Read the {0} line.", "Which word stands in the {0} line?"];
        maker.ask("word", &phrasings, &[nth], &words, lead.0);
    } else {
        let phrasings = ["What is the {1} word of the {0} line?", "Read the {1} word in line {0}."];
        maker.ask("word", &phrasings, &[nth, PLACES[place]], &words, lead.0);
    }
    let phrasings = ["What colour is the {0} line?", "In which colour is the {0} line written?"];
    maker.ask("colour", &phrasings, &[nth], &colours(INKS), lead.1);
    if !maker.unseen {
        let fits: Vec<usize> = (0..INKS).filter(|&ink| !held_out(lead.0, ink)).collect();
        let names: Vec<&str> = fits.iter().map(|&ink| COLOURS[ink].0).collect();
        let right = fits.iter().position(|&ink| ink == lead.1).unwrap_or(0);
        let phrasings = ["What colour is the word \"{0}\"?", "In which colour is \"{0}\" written?"];
        maker.ask("colour", &phrasings, &[words[lead.0]], &names, right);
    }
    let most = maker.at(LINES);
    let phrasings = ["How many lines are there?", "How many lines are written?"];
    maker.ask("count", &phrasings, &[], &numbers(1, most, 1), count - 1);
}

/// A page of sentences in one ink.
fn notes(maker: &mut Maker<'_>) {
    let (words, names) = (maker.words(maker.at(WORDS)), maker.names(maker.at(WORDS)));
    let lead = maker.pair(words.len(), INKS);
    let count = 3 + maker.random.below(maker.at(LINES) - 2);
    let line = maker.random.below(count);
    let verb = DOES[maker.random.below(DOES.len())];
    let title = maker.random.below(words.len());
    let people = maker.shuffled(0..names.len());
    let things: Vec<usize> =
        maker.shuffled((0..words.len()).filter(|&word| word != lead.0 && !held_out(word, lead.1)));
    let title = if title == lead.0 || held_out(title, lead.1) { None } else { Some(title) };
    let (mut canvas, hand) = (maker.canvas(), maker.hand());
    let (side, paint) = (maker.side(), canvas.readable(maker.paint(lead.1)));
    let bold = super::letters::Hand { weight: hand.height * 0.1, ..hand }.within(side - 8.0);
    let rows = count + usize::from(title.is_some());
    let high = (side - 6.0) / rows as f32;
    let high = high.min(hand.height * maker.within(1.7, 2.2));
    let mut y = maker.within(3.0, side - 3.0 - high * rows as f32) + high / 2.0;
    let mut told = format!("A page in {} ink.", COLOURS[lead.1].0);
    if let Some(title) = title {
        canvas.write(&bold, &capital(words[title]), (side / 2.0, y), Align::Middle, paint);
        told += &format!(" Its title is {}.", capital(words[title]));
        y += high;
    }
    let indent = maker.within(3.0, 8.0);
    let mut asked = (0, 0);
    for at in 0..count {
        let thing = if at == line { lead.0 } else { things[at % things.len()] };
        let many = 1 + maker.random.below(MANY);
        let (who, what) = (names[people[at]], words[thing]);
        let text = format!("{who} {verb} {many} {what}{}.", if many == 1 { "" } else { "s" });
        canvas.write(&bold, &text, (indent, y), Align::Left, paint);
        told += &format!(" {text}");
        y += high;
        if at == line {
            asked = (people[at], many);
        }
    }
    maker.show(canvas, told);
    let (who, what) = (names[asked.0], words[lead.0]);
    let does = verb.trim_end_matches('s');
    let phrasings = ["What does {0} {1}?", "Which thing does {0} {1}?"];
    maker.ask("word", &phrasings, &[who, does], &words, lead.0);
    let phrasings = ["How many does {0} {1}?", "What number of things does {0} {1}?"];
    maker.ask("number", &phrasings, &[who, does], &numbers(1, MANY, 1), asked.1 - 1);
    let phrasings = ["Who {1} {0}s?", "Which person {1} {0}s?"];
    maker.ask("who", &phrasings, &[what, verb], &names, asked.0);
    let phrasings = ["In which colour is the page written?", "What colour is the ink?"];
    maker.ask("colour", &phrasings, &[], &colours(INKS), lead.1);
}
