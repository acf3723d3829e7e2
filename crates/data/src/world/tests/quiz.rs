//! The questions are held against the facts, against blind guessing, and against what is trained on.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use regex::Regex;

use super::super::*;
use crate::question::{Question, questions};
use crate::{BuildConfig, Dataset, HeldOut, Source, TokenizerChoice, build};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever can be told from the choices, guessing by it is at chance.
    #[test]
    fn without_the_prompt_guessing_is_at_chance(seed in any::<u64>(), key in any::<u64>()) {
        let questions = World::new(seed).questions();
        prop_assert!(questions.len() > 1000, "{} questions", questions.len());
        prop_assert_eq!(&questions, &World::new(seed).questions());
        let ids: HashSet<_> = questions.iter().map(|one| &one.id).collect();
        let prompts: HashSet<_> = questions.iter().map(|one| &one.prompt).collect();
        prop_assert_eq!((ids.len(), prompts.len()), (questions.len(), questions.len()));
        // Guesses a choice by its place, its length, its popularity in the file, its own look, in turn.
        let mut often: HashMap<&str, usize> = HashMap::new();
        for one in &questions {
            *often.entry(&one.choices[one.answer]).or_default() += 1;
        }
        let look = |choice: &str| crate::order::mix(key ^ choice.bytes().fold(0, |h: u64, b| h.wrapping_mul(31) + u64::from(b)));
        let guess = |way: usize, one: &Question, place: usize| match way {
            0 => place as u64,
            1 => u64::MAX - place as u64,
            2 => one.choices[place].len() as u64,
            3 => often[one.choices[place].as_str()] as u64,
            _ => look(&one.choices[place]),
        };
        let families: HashSet<_> = questions.iter().map(|one| (&one.family, one.level)).collect();
        prop_assert!(families.len() > 25);
        for (family, level) in families {
            let all: Vec<_> = questions.iter().filter(|one| (&one.family, one.level) == (family, level)).collect();
            prop_assert!(all.len() >= 20, "{} of {} {}", all.len(), family, level);
            for way in 0..5 {
                let right = all.iter().filter(|one| {
                    (0..one.choices.len()).max_by_key(|&place| guess(way, one, place)) == Some(one.answer)
                });
                prop_assert_eq!(right.count(), all.len() / all[0].choices.len(), "{} {}", family, level);
            }
        }
    }
}

/// A question that its own words answer, or the facts of the world.
#[test]
fn answers_are_right() {
    let world = World::new(4);
    let person = |name: &str| world.people.iter().find(|one| one.name == name).unwrap();
    let place = |name: &str| world.places.iter().find(|one| one.name == name).unwrap();
    let thing = |name: &str| world.things.iter().find(|one| one.name == name).unwrap();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let pattern = |text: &str| Regex::new(text).unwrap();
    let begins = pattern(r"^(\S+ \S+) was born in (?:the year )?(\S+)");
    let text = super::text(&world, 8000);
    let spoken: HashSet<&str> = text.split(|c: char| !c.is_ascii_alphabetic()).collect();
    let (mut seen, sum) = (HashSet::new(), pattern(r"(\d+) ([+*-]) (\d+) =$"));
    for Question { id, family, prompt, choices, answer, .. } in world.questions() {
        let said = choices[answer].trim().trim_end_matches(['.', ',']);
        let born = || person(&begins.captures(&prompt).unwrap()[1]);
        let right = match family.as_str() {
            "pronoun" => (said == "She") == born().female,
            "kin" => said == born().family,
            "age" => born().died == Some(born().born + number(said)),
            "birthplace" => said == world.places[born().birthplace].name,
            "kind" => said == thing(prompt.split(' ').nth(1).unwrap()).kind,
            "region" => said == place(prompt.split(" is ").next().unwrap()).region,
            "trade" => {
                let name = prompt.split(", ").nth(1).unwrap();
                said.split_once(' ').unwrap().1 == person(name.rsplit_once(' ').unwrap().0).trade.name
            }
            "origin" => {
                let many = prompt.split([' ', ',']).nth(2).unwrap();
                let from = said.strip_suffix(" are").unwrap();
                world.things.iter().any(|one| {
                    let mut plural = String::new();
                    grammar::inflect(&one.name, &mut plural);
                    plural == many && world.places[one.origin].name == from
                })
            }
            "distance" => {
                let words: Vec<&str> = prompt.split(' ').collect();
                said == format!("{} miles", world.distance(place(words[1]).id, place(words[3]).id))
            }
            "bill" => {
                let asked = prompt.lines().last().unwrap().split([' ', ':']).nth(1).unwrap();
                let price = said.trim_end_matches(" =");
                prompt.lines().any(|line| {
                    line.split_once(": ").is_some_and(|(name, rest)| {
                        let mut many = String::new();
                        grammar::inflect(&name.to_lowercase(), &mut many);
                        many == asked && rest.split(' ').next() == Some(price)
                    })
                })
            }
            "together" | "left" | "product" | "worked" => {
                let found = sum.captures(&prompt).unwrap();
                let (a, b) = (number(&found[1]), number(&found[3]));
                number(said)
                    == match &found[2] {
                        "+" => a + b,
                        "-" => a - b,
                        _ => a * b,
                    }
            }
            "name" => prompt.contains(said),
            "joint" => !prompt.ends_with([' ', ',', '.']) && prompt.ends_with(char::is_alphanumeric),
            "ending" | "word" | "words" => {
                let text = format!("{prompt}{}", choices[answer]);
                let last = text.split(|c: char| !c.is_ascii_alphabetic()).rfind(|word| !word.is_empty());
                let last = last.unwrap();
                // Of the invented words not all are spoken of so soon.
                spoken.contains(last) || world.things.iter().any(|one| last.starts_with(&one.name))
            }
            other => panic!("nothing is known of {other}"),
        };
        assert!(right, "{id}: {prompt}{}", choices[answer]);
        seen.insert(family);
    }
    assert_eq!(seen.len(), 19);
}

#[test]
fn a_build_that_is_given_the_questions_trains_on_none() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("world");
    let made = generate(&inside, 7, 3_000_000, false, &AtomicBool::new(false), &mut |_| ()).unwrap();
    let config = |held_out| BuildConfig {
        sources: vec![Source::new(inside.to_string_lossy())],
        tokenizer: TokenizerChoice::Bytes,
        held_out,
        ..BuildConfig::default()
    };
    let list = HeldOut::open(&made.questions).unwrap();
    let (asked, _) = questions(&made.questions).unwrap();
    assert_eq!(
        (list.len(), list.refused.len()),
        (asked.len(), 0),
        "no question is too short to be looked for"
    );
    let held = |name: &str, held_out| {
        let out = folder.path().join(name);
        let report = build(&config(held_out), &out, &mut |_| ()).unwrap();
        assert!(report.notes.iter().any(|note| note.contains("questions.jsonl")), "{:?}", report.notes);
        let data = Dataset::open(&out).unwrap();
        let mut text = String::new();
        for split in [data.train(), data.eval()] {
            for number in 0..split.documents() {
                let range = split.document(number);
                let mut tokens = vec![0; (range.end - range.start) as usize];
                split.read(range.start, &mut tokens).unwrap();
                let tokens: Vec<u32> = tokens.iter().map(|&token| token as u32).collect();
                let _ =
                    writeln!(text, "{}", String::from_utf8(data.tokenizer().decode_bytes(&tokens)).unwrap());
            }
        }
        (asked.iter().filter(|one| text.contains(&one.prompt)).count(), report.manifest.train.documents)
    };
    let ((with, fewer), (without, all)) = (held("with", Some(made.questions.clone())), held("without", None));
    assert_eq!(with, 0);
    // Else the test would prove nothing; and little is lost.
    assert!(without > 50 && fewer as f64 > 0.9 * all as f64, "{without} {fewer} {all}");
}
