//! The documents are held against the facts, and against arithmetic and programs worked out anew.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::error::Error;

mod interpreter;
mod quiz;

fn documents(world: &World, count: u64) -> impl Iterator<Item = (Genre, String)> {
    (0..count).map(|index| (world.genre(index), world.document(index)))
}

fn text(world: &World, count: u64) -> String {
    documents(world, count).map(|(_, document)| document + "\n").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_document_is_a_function_of_seed_and_index(seed in any::<u64>(), index in any::<u64>()) {
        let (one, other) = (World::new(seed), World::new(seed));
        other.document(index ^ 1);
        let document = one.document(index);
        prop_assert_eq!(&document, &other.document(index));
        prop_assert!(document != one.document(index ^ 1));
        prop_assert!(document != World::new(seed ^ 1).document(index));
        prop_assert!(document.is_ascii() && document.trim() == document && document.len() > 100);
    }

    #[test]
    fn the_facts_hang_together(seed in any::<u64>()) {
        let world = World::new(seed);
        let people = &world.people;
        prop_assert!(people.len() > 300 && world.places.len() > 100 && world.things.len() > 1000);
        for one in people {
            prop_assert_eq!(&people[one.id], one);
            prop_assert!(one.born + 16 <= world.year && one.died.is_none_or(|died| died < world.year));
            prop_assert!(one.spouse.is_none_or(|spouse| people[spouse].spouse == Some(one.id)));
            prop_assert!(people[one.friend].is_alive() && one.friend != one.id && one.rival != one.friend);
            for &child in &one.children {
                let parents = [people[child].mother, people[child].father];
                prop_assert!(parents.contains(&Some(one.id)));
                prop_assert!(people[child].born >= one.born + 18);
                prop_assert!(one.died.is_none_or(|died| died >= people[child].born));
            }
        }
        for place in &world.places {
            prop_assert!(place.founded + 100 < world.year && !place.roads.is_empty());
            prop_assert!(people[place.mayor].is_alive());
            for &road in &place.roads {
                prop_assert!(world.places[road].roads.contains(&place.id));
                prop_assert_eq!(world.distance(place.id, road), world.distance(road, place.id));
            }
        }
        let names: Vec<&String> = people.iter().map(|one| &one.name).chain(world.places.iter().map(|one| &one.name))
            .chain(world.things.iter().map(|one| &one.name)).collect();
        prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}

#[test]
fn miles_are_those_of_pythagoras() {
    let world = World::new(2);
    for (from, to) in [(0, 1), (5, 77), (12, 150), (3, 3)] {
        let (a, b) = (&world.places[from], &world.places[to]);
        let exact = (a.x as f64 - b.x as f64).hypot(a.y as f64 - b.y as f64);
        assert_eq!(world.distance(from, to), exact.round() as u64);
        let way = world.direction(from, to);
        if from != to {
            assert!(!way.contains("north") || b.y > a.y);
            assert!(!way.contains("south") || b.y < a.y);
            assert!(!way.contains("east") || b.x > a.x);
            assert!(!way.contains("west") || b.x < a.x);
        }
    }
}

#[test]
fn no_document_comes_twice_and_most_are_of_ordinary_length() {
    let mut seen = HashSet::new();
    let mut ordinary = 0;
    for (_, document) in documents(&World::new(11), 20_000) {
        ordinary += usize::from((400..=4000).contains(&document.len()));
        assert!(seen.insert(blake3::hash(document.as_bytes())), "twice: {document}");
    }
    assert!(ordinary > 18_000, "{ordinary} of 20000");
}

#[test]
fn templates_are_filled() {
    for (genre, document) in documents(&World::new(5), 4000) {
        let left: &[char] =
            if genre == Genre::Program { &['{', '}', '|'] } else { &['{', '}', '|', '[', ']'] };
        assert!(!document.contains(left), "{document}");
        assert!(
            !document.contains(" .") && !document.contains("..") && !document.contains(" ,"),
            "{document}"
        );
    }
}

/// Words are as unequally frequent as in real text: frequency falls with rank by a power near -1.
#[test]
fn words_follow_zipf() {
    let text = text(&World::new(1), 6000).to_lowercase();
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for word in text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<u64> = counts.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert!(counts.len() > 4000, "{} words", counts.len());
    // Least squares over ranks that are evenly spaced in the logarithm.
    let points: Vec<(f64, f64)> = (0..40)
        .map(|step| 10.0 * 300f64.powf(f64::from(step) / 39.0))
        .map(|rank| (rank.ln(), (counts[rank as usize - 1] as f64).ln()))
        .collect();
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>()
        / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    assert!((-1.3..=-0.8).contains(&slope), "slope {slope}");
}

/// Statements of facts, read back by patterns.
#[test]
fn documents_say_what_the_facts_say() {
    let world = World::new(9);
    let text = text(&world, 6000);
    let person: HashMap<&str, &Person> = world.people.iter().map(|one| (one.name.as_str(), one)).collect();
    let place: HashMap<&str, &Place> = world.places.iter().map(|one| (one.name.as_str(), one)).collect();
    let thing: HashMap<&str, &Thing> = world.things.iter().map(|one| (one.name.as_str(), one)).collect();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let each = |pattern: &str, least: usize, check: &dyn Fn([&str; 3])| {
        let mut count = 0;
        for found in Regex::new(pattern).unwrap().captures_iter(&text) {
            check(std::array::from_fn(|group| found.get(group + 1).map_or("", |group| group.as_str())));
            count += 1;
        }
        assert!(count >= least, "{count} × {pattern}");
    };
    each(r"([A-Z]\w+ [A-Z]\w+) was born in ([A-Z]\w+) in (\d+)", 100, &|[who, town, year]| {
        let one = person[who];
        assert_eq!((one.birthplace, one.born), (place[town].id, number(year)), "{who}");
    });
    each(
        r"Where was ([A-Z]\w+ [A-Z]\w+) born\?\n\w+: (?:He was born in|She was born in|In) (\w+), in (\d+)",
        20,
        &|[who, town, year]| {
            assert_eq!((place[town].id, number(year)), (person[who].birthplace, person[who].born));
        },
    );
    each(r"[Ff]rom ([A-Z]\w+) to ([A-Z]\w+)(?: it is| the distance is|\?\n\w+:) (\d+) miles", 100, &|[
        from,
        to,
        miles,
    ]| {
        assert_eq!(world.distance(place[from].id, place[to].id), number(miles));
    });
    each(r"From ([A-Z]\w+) the road leads \d+ miles ([a-z-]+) to ([A-Z]\w+)", 50, &|[from, way, to]| {
        assert_eq!(world.direction(place[from].id, place[to].id), way);
    });
    each(r"(\d+): ([A-Z]\w+) is founded by ([A-Z]\w+)", 20, &|[year, town, who]| {
        assert_eq!((place[town].founded, place[town].founder.as_str()), (number(year), who));
    });
    each(r"Who founded ([A-Z]\w+)\?\n\w+: (\w+), in (\d+)", 10, &|[town, who, year]| {
        assert_eq!((place[town].founded, place[town].founder.as_str()), (number(year), who));
    });
    each(r"What does an? (\w+) cost in ([A-Z]\w+)\?\n\w+: (\d+)", 50, &|[what, town, price]| {
        assert_eq!(world.price(thing[what].id, place[town].id), number(price));
    });
    each(r"\n\nIn ([A-Z]\w+) an? (\w+) costs (\d+)", 10, &|[town, what, price]| {
        assert_eq!(world.price(thing[what].id, place[town].id), number(price));
    });
    each(r"There was once an? (\w+) (?:man|woman) in \w+, ([A-Z]\w+ [A-Z]\w+) by name", 10, &|[
        temper,
        who,
        _,
    ]| {
        assert_eq!(person[who].temper, temper);
    });
    each(r"([A-Z]\w+ [A-Z]\w+) is still afraid of ([a-z ]+)!", 5, &|[who, fear, _]| {
        assert_eq!(person[who].fear, fear);
    });
    each(r"(\w+) is (?:now|still) (\d+) years old", 20, &|[first, age, _]| {
        assert!(world.people.iter().any(|one| one.first == first && world.year - one.born == number(age)));
    });
}

/// The value of terms joined by + - *, products first.
fn value(sum: &str) -> i64 {
    let (mut total, mut product, mut sign) = (0, 1, 1);
    let mut words = sum.split(' ');
    loop {
        product *= words.next().unwrap().parse::<i64>().unwrap();
        match words.next() {
            Some("*") => {}
            next => {
                total += sign * product;
                (product, sign) = (1, if next == Some("-") { -1 } else { 1 });
                if next.is_none() {
                    return total;
                }
            }
        }
    }
}

#[test]
fn sums_are_right() {
    assert_eq!(value("2 + 3 * 4 - 1 - 1"), 12);
    let sum = Regex::new(r"(\d+(?: [-+*] \d+)+) = (\d+)").unwrap();
    let division = Regex::new(r"So (\d+) / (\d+) is (\d+), remainder (\d+)\.").unwrap();
    let back = Regex::new(r"had been (\d+) \w+; (\d+) went to the poor, and (\d+) were").unwrap();
    let dealt = Regex::new(r"(\d+) \w+ cost|What is (\d+) times (\d+)\?\n\w+: (\d+)").unwrap();
    let mut counts = [0; 4];
    for (genre, document) in documents(&World::new(4), 5000) {
        if genre == Genre::Program {
            continue;
        }
        for found in sum.captures_iter(&document) {
            assert_eq!(value(&found[1]), found[2].parse::<i64>().unwrap(), "{}", &found[0]);
            counts[0] += 1;
        }
        let numbers = |found: &regex::Captures| -> Vec<u64> {
            found.iter().skip(1).flatten().map(|group| group.as_str().parse().unwrap()).collect()
        };
        for found in division.captures_iter(&document) {
            let [a, b, quotient, rest] = numbers(&found)[..] else { panic!() };
            assert_eq!((a / b, a % b), (quotient, rest));
            counts[1] += 1;
        }
        for found in back.captures_iter(&document) {
            let [had, spent, left] = numbers(&found)[..] else { panic!() };
            assert_eq!(had, spent + left);
            counts[2] += 1;
        }
        for found in dealt.captures_iter(&document) {
            if let [a, b, product] = numbers(&found)[..] {
                assert_eq!(a * b, product);
                counts[3] += 1;
            }
        }
    }
    assert!(counts[0] > 3000 && counts[1..].iter().all(|&count| count > 20), "{counts:?}");
}

#[test]
fn programs_print_what_they_would() {
    let block =
        Regex::new(r"(?s)rogram\??:?\n\n(.*?)\n\n(?:Output:|It prints:|Answer:)\n\n(.*?)(?:\n\n|$)").unwrap();
    let mut count = 0;
    for (_, document) in documents(&World::new(8), 4000).filter(|(genre, _)| *genre == Genre::Program) {
        for found in block.captures_iter(&document) {
            assert_eq!(interpreter::run(&found[1]), found[2], "{}", &found[1]);
            count += 1;
        }
    }
    assert!(count > 300, "{count} programs");
}

/// In stories of things carried about, the moves are played again.
#[test]
fn what_was_laid_down_is_found_there() {
    let go = Regex::new(r"^(\w+) (?:went to|walked into|was in|sat in) the (\w+)$").unwrap();
    let lie = Regex::new(r"^(?:The (\w+) was in the (\w+)|In the (\w+) lay the (\w+))$").unwrap();
    let take = Regex::new(r"^(\w+) (?:took|picked up) the (\w+)$").unwrap();
    let put = Regex::new(r"^(\w+) (?:put the (\w+) down|left the (\w+) there)$").unwrap();
    let last =
        Regex::new(r"^(?:In the end the (\w+) was in the|Where was the (\w+)\? In the) (\w+)$").unwrap();
    let mut count = 0;
    for (_, document) in documents(&World::new(6), 4000).filter(|(genre, _)| *genre == Genre::Story) {
        let (mut rooms, mut lying) = (HashMap::new(), HashMap::new());
        for sentence in document.split(['.', '\n']).map(str::trim) {
            if let Some(found) = lie.captures(sentence) {
                let words: Vec<&str> = found.iter().skip(1).flatten().map(|group| group.as_str()).collect();
                let turned = sentence.starts_with("In the");
                lying.insert(words[usize::from(turned)].to_owned(), words[usize::from(!turned)].to_owned());
            } else if let Some(found) = go.captures(sentence) {
                rooms.insert(found[1].to_owned(), found[2].to_owned());
            } else if let Some(found) = take.captures(sentence) {
                if let (Some(room), Some(there)) = (rooms.get(&found[1]), lying.remove(&found[2])) {
                    assert_eq!(*room, there, "{document}");
                }
            } else if let Some(found) = put.captures(sentence) {
                let item = found.get(2).or(found.get(3)).unwrap().as_str();
                lying.insert(item.to_owned(), rooms[&found[1]].clone());
            } else if let Some(found) = last.captures(sentence) {
                let item = found.get(1).or(found.get(2)).unwrap().as_str();
                assert_eq!(lying[item], found[3], "{document}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} endings");
}

/// Who has read more guesses better: forty times the text costs fewer bits a byte.
#[test]
fn more_reading_pays() {
    let text = text(&World::new(3), 5000);
    let bits = |bytes: usize| {
        let sample = &text.as_bytes()[..bytes];
        zstd::bulk::compress(sample, 16).unwrap().len() as f64 * 8.0 / bytes as f64
    };
    let (few, many) = (bits(100_000), bits(4_000_000));
    assert!(few - many > 0.3, "{few} and {many} bits a byte");
}

#[test]
fn a_world_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("new");
    let (going, mut told) = (AtomicBool::new(false), Vec::new());
    let made = generate(&inside, 7, 2_500_000, false, &going, &mut |bytes| told.push(bytes)).unwrap();
    assert_eq!(made.path, inside.join("world-7.jsonl"));
    assert!(
        made.bytes >= 2_500_000 && told.is_sorted() && told.last() == Some(&made.bytes) && told.len() > 2
    );
    let lines = std::fs::read_to_string(&made.path).unwrap();
    let world = World::new(7);
    for (index, line) in lines.lines().enumerate() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["text"], world.document(index as u64));
        assert_eq!(object["id"], format!("{}-{index}", world.genre(index as u64).name()));
    }
    assert_eq!(lines.lines().count() as u64, made.documents);
    let names = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    assert_eq!(names(&inside), 2);

    let refused = generate(&inside, 7, 1000, false, &going, &mut |_| ()).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(&made.path).unwrap(), lines);
    let short = generate(&inside, 7, 1000, true, &going, &mut |_| ()).unwrap();
    assert!(lines.starts_with(&std::fs::read_to_string(&short.path).unwrap()) && short.bytes < 6000);
    assert_eq!(names(&inside), 2);

    // The questions of another world are not those of this one.
    let refused = generate(&inside, 8, 1000, false, &going, &mut |_| ()).unwrap_err();
    assert!(refused.to_string().contains("questions.jsonl"), "{refused}");
    let stop = AtomicBool::new(false);
    let stopped = generate(&inside, 8, 1 << 40, true, &stop, &mut |_| stop.store(true, Ordering::Relaxed));
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert_eq!(names(&inside), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
        std::fs::write(inside.join("ordinary"), "").unwrap();
        assert_eq!(mode(&made.path), mode(&inside.join("ordinary")));
    }
}

/// The whole way: `build` reads the file.
#[test]
fn a_build_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = generate(folder.path(), 7, 100_000, false, &AtomicBool::new(false), &mut |_| ()).unwrap();
    let documents = crate::read_file(&made.path).unwrap();
    assert_eq!(documents.len() as u64, made.documents);
    let world = World::new(7);
    for (index, document) in documents.iter().enumerate() {
        let expected = crate::SegmentKind::Text(world.document(index as u64));
        assert_eq!(document.segments, [crate::Segment { kind: expected, weight: 1.0 }]);
    }
}
