//! The pictures are looked at, and what is asked of them is held against blind guessing.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::World;
use super::*;

fn exhibits(world: &World, sight: Sight, level: u32, count: u64, unseen: bool) -> Vec<Exhibit> {
    (0..count).map(|index| world.exhibit(sight, level, index, unseen)).collect()
}

fn words(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => Some(text.clone()),
        Part::Picture(_) => None,
    };
    parts.iter().filter_map(text).collect::<Vec<_>>().join(" ")
}

/// What a blind guesser sees of a question, its choices, and which one is right.
struct Guess {
    text: String,
    choices: Vec<String>,
    right: usize,
}

/// A question of each two phrasings: they are asked one after the other.
fn guesses(world: &World, sight: Sight, level: u32, count: u64) -> BTreeMap<&'static str, Vec<Guess>> {
    let mut all: BTreeMap<&'static str, Vec<Guess>> = BTreeMap::new();
    for one in exhibits(world, sight, level, count, false) {
        for asked in one.questions.into_iter().step_by(2) {
            let text = words(&asked.prompt);
            let guess = Guess { text, choices: asked.choices, right: asked.right };
            all.entry(asked.kind).or_default().push(guess);
        }
    }
    all
}

/// How often a guesser is right in the second half of the questions that has learnt from the first which answers are
/// right how often, by the question's words or by its kind alone; what chance is there, and how many were asked.
fn blind(all: &[Guess], by_words: bool) -> (f64, f64, f64) {
    let key = |guess: &Guess| if by_words { guess.text.clone() } else { String::new() };
    let mut rates: HashMap<(String, &str), (f64, f64)> = HashMap::new();
    let (learnt, asked) = all.split_at(all.len() / 2);
    for guess in learnt {
        for (at, choice) in guess.choices.iter().enumerate() {
            let (right, offered) = rates.entry((key(guess), choice)).or_default();
            *offered += 1.0;
            *right += f64::from(u8::from(at == guess.right));
        }
    }
    let (mut hits, mut chance) = (0.0, 0.0);
    for guess in asked {
        let rate = |choice: &String| {
            let (right, offered) = rates.get(&(key(guess), choice)).copied().unwrap_or_default();
            (right + 1.0) / (offered + guess.choices.len() as f64)
        };
        let best = (0..guess.choices.len())
            .max_by(|&one, &other| rate(&guess.choices[one]).total_cmp(&rate(&guess.choices[other])));
        hits += f64::from(u8::from(best == Some(guess.right)));
        chance += 1.0 / guess.choices.len() as f64;
    }
    (hits / asked.len() as f64, chance / asked.len() as f64, asked.len() as f64)
}

fn check_balance(count: u64) {
    let world = World::new(11);
    let mut wrong = Vec::new();
    for sight in Sight::ALL {
        for level in 1..=3 {
            for (kind, all) in guesses(&world, sight, level, count) {
                for by_words in [false, true] {
                    let (rate, chance, asked) = blind(&all, by_words);
                    let margin = 3.3 * (chance * (1.0 - chance) / asked).sqrt();
                    if rate > chance + margin {
                        wrong.push(format!(
                            "{} {level} {kind} (words: {by_words}): {rate:.3} where chance is {chance:.3} ± {margin:.3}, of {asked}",
                            sight.name()
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Among the long tests with so many that a small bias is found.
#[test]
fn without_the_picture_guessing_is_at_chance() {
    let long = std::env::var_os("FORETELL_LONG_TESTS").is_some();
    check_balance(if long { 2000 } else { 240 });
}

#[test]
fn an_exhibit_is_a_function_of_its_key() {
    let (world, same, other) = (World::new(3), World::new(3), World::new(4));
    for sight in Sight::ALL {
        for level in 1..=3 {
            let one = world.exhibit(sight, level, 5, false);
            same.exhibit(sight, level, 6, true);
            assert_eq!(one, same.exhibit(sight, level, 5, false));
            assert_ne!(one.pictures, other.exhibit(sight, level, 5, false).pictures);
            assert_ne!(one.pictures, world.exhibit(sight, level, 6, false).pictures);
            assert_ne!(one.pictures, world.exhibit(sight, level, 5, true).pictures);
        }
        assert_eq!(world.exhibit(sight, 9, 5, false), world.exhibit(sight, 3, 5, false));
    }
}

#[test]
fn questions_and_pictures_are_whole() {
    let world = World::new(12);
    for sight in Sight::ALL {
        for level in 1..=3 {
            let mut kinds = HashSet::new();
            for unseen in [false, true] {
                for one in exhibits(&world, sight, level, 60, unseen) {
                    whole(&one, sight, level, unseen);
                    kinds.extend(one.questions.iter().map(|asked| asked.kind));
                }
            }
            assert!(kinds.len() >= 3, "{} {level} asks for {kinds:?} alone", sight.name());
        }
    }
}

fn whole(one: &Exhibit, sight: Sight, level: u32, unseen: bool) {
    let side = SIDES[level as usize - 1];
    assert_eq!((one.sight, one.level, one.unseen), (sight, level, unseen));
    assert_eq!(one.pictures.len(), one.transcription.len());
    assert!((1..=3).contains(&one.pictures.len()) && !one.questions.is_empty());
    for file in &one.pictures {
        let picture = image::load_from_memory(file).unwrap();
        assert_eq!((picture.width(), picture.height()), (side, side));
        assert!(file.len() < 1 << 16);
    }
    let places = |parts: &[Part]| -> Vec<usize> {
        let place = |part: &Part| match part {
            Part::Picture(place) => Some(*place),
            Part::Text(_) => None,
        };
        parts.iter().filter_map(place).collect()
    };
    let order: Vec<usize> = (0..one.pictures.len()).collect();
    assert_eq!(places(&one.caption), order);
    let told = one.transcription.join(" ");
    for asked in &one.questions {
        assert_eq!(places(&asked.prompt), order);
        let text = words(&asked.prompt);
        assert!(
            !text.contains(['{', '}']) && text.ends_with(['.', '?']) || text.ends_with("Second:"),
            "{text}"
        );
        assert_eq!(asked.choices[asked.right], asked.answer);
        assert!((2..=4).contains(&asked.choices.len()), "{asked:?}");
        let distinct: HashSet<_> = asked.choices.iter().collect();
        assert_eq!(distinct.len(), asked.choices.len(), "{asked:?}");
        assert!(asked.answer.split(' ').count() <= 3, "{asked:?}");
        // What is read rather than judged stands in the words as it is.
        if matches!(
            asked.kind,
            "colour"
                | "shape"
                | "cell"
                | "word"
                | "who"
                | "title"
                | "marked"
                | "holds"
                | "wants"
                | "hand"
                | "bubble"
                | "head"
        ) {
            assert!(told.to_lowercase().contains(&asked.answer.to_lowercase()), "{asked:?} of {told}");
        }
    }
}

/// The combinations that words of a picture tell, as the makers count them.
fn combinations(world: &World, one: &Exhibit) -> Vec<(usize, usize)> {
    use canvas::{COLOURS, SHAPES};
    let told = one.transcription.join(" ");
    let colour = |name: &str| COLOURS.iter().position(|colour| colour.0 == name);
    let number = |text: &str| text.parse::<usize>().unwrap();
    let found = |pattern: &str| -> Vec<Vec<String>> {
        let pattern = regex::Regex::new(pattern).unwrap();
        let groups = |found: regex::Captures<'_>| {
            found.iter().skip(1).map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect()
        };
        pattern.captures_iter(&told).map(groups).collect()
    };
    let level = one.level as usize - 1;
    match one.sight {
        Sight::Scene => found(r"(\w+) (circle|square|triangle|star|cross|ring|diamond|heart)\b")
            .iter()
            .filter_map(|pair| Some((SHAPES.iter().position(|shape| *shape == pair[1])?, colour(&pair[0])?)))
            .collect(),
        Sight::Clock => {
            let (hours, part) = ([4, 12, 12][level], [15, 15, 5][level]);
            let pairs = found(r"shows (\d+):(\d+)");
            pairs.iter().map(|pair| (number(&pair[0]) * hours / 12 - 1, number(&pair[1]) / part)).collect()
        }
        Sight::Map => {
            let named = world
                .places
                .iter()
                .filter(|place| told.split(|c: char| !c.is_alphabetic()).any(|word| word == place.name));
            named.map(|place| (place.id, 0)).collect()
        }
        Sight::Comic if one.level == 1 => {
            let said = found(r#"says "(\w+)""#);
            let things = ["cup", "hat", "key", "egg"];
            let thing = |said: &Vec<String>| things.iter().position(|thing| *thing == said[0]);
            said.iter().filter_map(thing).zip(0..).collect()
        }
        Sight::Science => {
            let pairs = found(r"with (\w+) liquid up to the mark (\d+)");
            let step = [1, 1, 5][level];
            pairs.iter().filter_map(|pair| Some((number(&pair[1]) / step - 1, colour(&pair[0])?))).collect()
        }
        Sight::Geometry => {
            let pairs = found(r"A (\w+) \w+ with (\d+) sides");
            pairs.iter().filter_map(|pair| Some((number(&pair[1]) - 3, colour(&pair[0])?))).collect()
        }
        Sight::Table => {
            let heads = found(r"columns ([^.]+)\.")[0][0].clone();
            let heads: Vec<&str> = heads.split(", ").collect();
            let column = |name: &String| heads.iter().position(|head| head == name).unwrap();
            let cells = found(r"(cost|size|days|sold|[XYZW]) (\d+)");
            let cell = |(at, cell): (usize, &Vec<String>)| {
                (number(&cell[1]) - 1, at / heads.len() * heads.len() + column(&cell[0]))
            };
            cells.iter().enumerate().map(cell).collect()
        }
        Sight::Text if one.level < 3 => {
            let words = Maker::new(world, (one.sight, one.level, 0), false, false).words([4, 8][level]);
            let place = |name: &str| words.iter().position(|word| *word == name).unwrap();
            let lines = found(r#""([a-z ]+)" in (\w+)"#);
            let pairs = lines.iter().flat_map(|line| {
                line[0].split(' ').map(|word| (place(word), colour(&line[1]).unwrap())).collect::<Vec<_>>()
            });
            pairs.collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn what_is_held_out_is_shown_when_asked_for_and_never_else() {
    let world = World::new(13);
    let mut told = HashSet::new();
    for sight in Sight::ALL {
        for level in 1..=3 {
            for one in exhibits(&world, sight, level, 150, false) {
                let pairs = combinations(&world, &one);
                assert!(
                    pairs.iter().all(|&(a, b)| !maker::held_out(a, b)),
                    "{:?}: {pairs:?}",
                    one.transcription
                );
            }
            for one in exhibits(&world, sight, level, 60, true) {
                let pairs = combinations(&world, &one);
                if !pairs.is_empty() {
                    told.insert(sight);
                    assert!(
                        pairs.iter().any(|&(a, b)| maker::held_out(a, b)),
                        "{:?}: {pairs:?}",
                        one.transcription
                    );
                }
            }
        }
    }
    assert!(told.len() >= 8, "the words of {told:?} alone tell what is shown");
}
