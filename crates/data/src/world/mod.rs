//! A generated world: people, places and things with facts, and documents that speak of them.
//!
//! For a first run without a download. A [`World`] is its facts, made from a seed and open to queries;
//! [`World::document`] writes one of endlessly many documents about them, a pure function of (seed, index).
//! Every document says what the facts say, sums are right, and programs print what they would print. What
//! is learnt first is spelling and grammar, then the frequent names and turns of phrase, then arithmetic and
//! who is who; facts and habits of speech have long tails, so that a larger model always has more to know.

mod arithmetic;
mod biography;
mod chronicle;
mod dialogue;
mod essay;
mod events;
mod file;
mod gallery;
mod gazetteer;
mod grammar;
mod herbal;
mod letter;
mod market;
mod names;
mod page;
mod people;
mod pictures;
mod places;
mod program;
mod prose;
mod quiz;
pub(crate) mod random;
mod story;
#[cfg(test)]
mod tests;
mod things;
mod travel;
#[rustfmt::skip] // lists of words, not a word a line
mod words;

use std::collections::HashMap;

pub use events::{Event, EventKind};
pub use file::{Generated, generate};
pub use gallery::{Asked, Exhibit, GALLERY_VERSION, GLYPHS, Part, SIDES, Sight};
pub use people::Person;
pub use pictures::{EXAM, draw, extension};
pub use places::Place;
pub use things::Thing;
pub use words::Trade;

use names::Names;
use page::Page;
use random::Random;

/// Facts of a world. Ids are indices into the lists; lower ones are more often spoken of.
#[derive(Clone, Debug)]
pub struct World {
    /// What everything follows from.
    pub seed: u64,
    /// The present year.
    pub year: u64,
    /// The coin in which prices are given, in small letters; its plural ends in `s`.
    pub coin: String,
    /// The ten months, in order.
    pub months: Vec<String>,
    /// Settlements.
    pub places: Vec<Place>,
    /// Invented plants, animals, dishes and wares.
    pub things: Vec<Thing>,
    /// Everybody, alive or dead.
    pub people: Vec<Person>,
    /// What happened, in order of year.
    pub events: Vec<Event>,
    third_persons: HashMap<&'static str, String>,
}

/// What kind of document one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Genre {
    /// A person's life.
    Biography,
    /// A place, as in an encyclopedia.
    Gazetteer,
    /// A thing, as in an encyclopedia.
    Herbal,
    /// A letter to kin or a friend.
    Letter,
    /// A journey from place to place.
    Travel,
    /// Two people in conversation.
    Dialogue,
    /// Prices and sums of a market.
    Market,
    /// Worked sums.
    Arithmetic,
    /// A program and what it prints.
    Program,
    /// A story.
    Story,
    /// What happened in a place, year by year.
    Chronicle,
    /// Thoughts on a word.
    Essay,
}

impl Genre {
    /// Every genre with its share of the documents, in parts of a hundred.
    const SHARES: [(Genre, usize); 12] = [
        (Genre::Story, 20),
        (Genre::Biography, 13),
        (Genre::Letter, 12),
        (Genre::Essay, 11),
        (Genre::Dialogue, 9),
        (Genre::Gazetteer, 7),
        (Genre::Herbal, 6),
        (Genre::Travel, 6),
        (Genre::Market, 4),
        (Genre::Arithmetic, 4),
        (Genre::Program, 5),
        (Genre::Chronicle, 3),
    ];

    /// Its name in the ids of documents.
    pub fn name(self) -> &'static str {
        match self {
            Genre::Biography => "biography",
            Genre::Gazetteer => "gazetteer",
            Genre::Herbal => "herbal",
            Genre::Letter => "letter",
            Genre::Travel => "travel",
            Genre::Dialogue => "dialogue",
            Genre::Market => "market",
            Genre::Arithmetic => "arithmetic",
            Genre::Program => "program",
            Genre::Story => "story",
            Genre::Chronicle => "chronicle",
            Genre::Essay => "essay",
        }
    }
}

impl World {
    /// The facts that follow from a seed; takes some milliseconds.
    pub fn new(seed: u64) -> World {
        let mut names = Names::new(seed);
        let random = &mut Random::new(seed, 0, 0);
        let year = random.between(420, 990);
        let coin = names.noun("");
        let months = names.plain(10);
        let mut places = places::make(seed, &mut names, year, &months);
        let things = things::make(seed, &mut names, &places);
        let people = people::make(seed, &mut names, year, &places, &things);
        let alive: Vec<usize> = people.iter().filter(|one| one.is_alive()).map(|one| one.id).collect();
        for place in &mut places {
            let famous = things.iter().find(|thing| thing.origin == place.id);
            place.famous = famous.map_or_else(|| random.below(things.len()), |thing| thing.id);
            let mayor = alive.iter().copied().find(|&id| people[id].home == place.id);
            place.mayor = mayor.unwrap_or_else(|| alive[random.below(alive.len())]);
        }
        let events = events::make(seed, year, &places, &people, &things);
        let third_persons = words::DEEDS
            .iter()
            .chain(words::ACTS)
            .map(|&(base, _)| {
                let mut does = String::new();
                grammar::inflect(base, &mut does);
                (base, does)
            })
            .collect();
        World { seed, year, coin, months, places, things, people, events, third_persons }
    }

    /// Document `index`: 400 to 4000 bytes of ASCII text as a rule. Any index will do; the same one gives
    /// the same text on every machine.
    pub fn document(&self, index: u64) -> String {
        let (genre, random) = self.plan(index);
        let mut page = Page::new(self, random);
        genre.write(&mut page);
        let mut text = page.text;
        text.truncate(text.trim_end().len());
        text
    }

    /// The genre of document `index`.
    pub fn genre(&self, index: u64) -> Genre {
        self.plan(index).0
    }

    fn plan(&self, index: u64) -> (Genre, Random) {
        let mut random = Random::new(self.seed, 6, index);
        let mut draw = random.below(100);
        for (genre, share) in Genre::SHARES {
            if draw < share {
                return (genre, random);
            }
            draw -= share;
        }
        (Genre::Story, random)
    }

    /// Miles from one place to another, rounded to the nearest; a road is as long as that.
    pub fn distance(&self, from: usize, to: usize) -> u64 {
        places::distance(&self.places[from], &self.places[to])
    }

    /// Where `to` lies, seen from `from`: `north-east`.
    pub fn direction(&self, from: usize, to: usize) -> &'static str {
        places::direction(&self.places[from], &self.places[to])
    }

    /// What one of a thing costs at the market of a place, in coins, every market day.
    pub fn price(&self, thing: usize, place: usize) -> u64 {
        let spread =
            crate::order::mix(self.seed ^ crate::order::mix((thing * self.places.len() + place) as u64)) % 61;
        // Dearer the farther from where it comes.
        let far = self.distance(self.things[thing].origin, place) / 10;
        (self.things[thing].price * (80 + spread + far) / 100).max(1)
    }

    /// Brothers and sisters of a person, the eldest first.
    pub fn siblings(&self, person: usize) -> Vec<usize> {
        let mother = self.people[person].mother;
        let all = mother.map_or(&[][..], |mother| &self.people[mother].children);
        all.iter().copied().filter(|&other| other != person).collect()
    }

    fn third_person(&self, base: &str) -> Option<&str> {
        self.third_persons.get(base).map(String::as_str)
    }
}
