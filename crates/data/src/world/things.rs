//! Invented plants, animals, dishes and wares: the nouns that only this world has.

use super::names::Names;
use super::places::Place;
use super::random::Random;
use super::words::{COLOURS, HABITATS, SEASONS, SHAPES, TASTES, USES};

/// Things of a world.
const COUNT: usize = 1600;

/// What kind a thing is, in English, and whether it is eaten, grows, or moves.
const KINDS: &[&str] =
    &["fruit", "herb", "bird", "fish", "root", "dish", "cloth", "beast", "flower", "stone", "drink"];

/// An invented thing. Indices point into the lists of the [`super::World`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Its index; the lower, the more often documents speak of it.
    pub id: usize,
    /// Unique noun in small letters, with a plural in `s` (or `es` where English wants it).
    pub name: String,
    /// `fruit`, `herb`, `bird`, `fish`, `root`, `dish`, `cloth`, `beast`, `flower`, `stone` or `drink`.
    pub kind: &'static str,
    /// Its colour.
    pub colour: &'static str,
    /// Its shape.
    pub shape: &'static str,
    /// Its taste or smell.
    pub taste: &'static str,
    /// Where it is found: `on dry hills`.
    pub habitat: &'static str,
    /// When it is gathered, caught or made: `spring`.
    pub season: &'static str,
    /// What it is used for: `to dye wool`.
    pub purpose: &'static str,
    /// The place where the best come from.
    pub origin: usize,
    /// The usual price of one, in the world's coin.
    pub price: u64,
    /// Another thing, of which it is made, on which it feeds or beside which it is found.
    pub companion: usize,
}

impl Thing {
    /// Whether it can be eaten or drunk.
    pub fn is_food(&self) -> bool {
        matches!(self.kind, "fruit" | "root" | "dish" | "drink" | "fish")
    }

    /// Whether it moves by itself.
    pub fn is_animal(&self) -> bool {
        matches!(self.kind, "bird" | "beast" | "fish")
    }
}

pub(super) fn make(seed: u64, names: &mut Names, places: &[Place]) -> Vec<Thing> {
    let random = &mut Random::new(seed, 3, 0);
    let endings: Vec<String> = KINDS.iter().map(|_| names.ending()).collect();
    (0..COUNT)
        .map(|id| {
            let kind = random.below(KINDS.len());
            Thing {
                id,
                name: names.noun(&endings[kind]),
                kind: KINDS[kind],
                colour: COLOURS[random.skewed(COLOURS.len())],
                shape: random.pick(SHAPES),
                taste: random.pick(TASTES),
                habitat: random.pick(HABITATS),
                season: random.pick(SEASONS),
                purpose: random.pick(USES),
                origin: random.skewed(places.len()),
                price: 2 + random.skewed(180) as u64,
                companion: (id + 1 + random.below(COUNT - 1)) % COUNT,
            }
        })
        .collect()
}
