//! Habits of speech: which words go together in a world.
//!
//! Every noun has its own favourite adjectives and deeds, every deed of a noun its favourite objects, and so
//! on, each in an order drawn from the seed. There are hundreds of thousands of such habits, some common and
//! most rare: to predict the next word well is to know many of them.

use super::page::{Page, Value};
use super::random::Random;
use super::words::{
    ACTS, ADJECTIVES, ANIMALS, BUILDINGS, DEEDS, FOODS, IDEAS, MANNERS, NATURE, OBJECTS, TRADES,
};
use crate::order::{mix, permute};

/// Kinds of nouns, the common ones first.
const NOUNS: &[&[&str]] = &[OBJECTS, ANIMALS, NATURE, BUILDINGS, FOODS, IDEAS];
const PLACES: &[&str] = &["behind", "near", "under", "beside", "above", "in front of", "far from", "inside"];

/// Hash of words.
fn hash(seed: u64, words: &[&str]) -> u64 {
    words.iter().fold(seed, |hash, word| {
        word.bytes()
            .fold(mix(hash), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    })
}

/// One of a list: the ranks are in an order that belongs to the context, and only the first `width` are used.
fn habit<T: Copy>(seed: u64, context: &[&str], random: &mut Random, width: usize, list: &[T]) -> T {
    let rank = random.skewed(width.min(list.len()));
    list[permute(rank as u64, list.len() as u64, hash(seed, context)) as usize]
}

impl Page<'_> {
    fn habit<T: Copy>(&mut self, context: &[&str], width: usize, list: &[T]) -> T {
        habit(self.world.seed, context, &mut self.random, width, list)
    }

    /// Any noun, the world's common ones first.
    pub(super) fn noun(&mut self) -> &'static str {
        match self.random.below(8) {
            7 => TRADES[self.random.skewed(TRADES.len())].name,
            _ => {
                let kind: &'static [&'static str] = NOUNS[self.random.skewed(NOUNS.len())];
                self.habit(&["noun"], kind.len(), kind)
            }
        }
    }

    /// Binds what goes with a noun: `n` the noun, `d` an adjective of it, `v` a deed and `o` its object with
    /// the adjective `e`, `w` what it does alone, `m` a manner of the deed, `l` a manner of the act, `q` a
    /// preposition and `h` a building (house).
    pub(super) fn picture(&mut self, noun: &'static str) {
        let adjective = self.habit(&["d", noun], 24, ADJECTIVES);
        let deed = self.habit(&["v", noun], 24, DEEDS);
        let kind: &[&str] = self.habit(&["k", deed.0], 4, NOUNS);
        let object = self.habit(&["o", noun, deed.0], 12, kind);
        let other = self.habit(&["d", object], 24, ADJECTIVES);
        let act = self.habit(&["w", adjective, noun], 8, ACTS);
        let manner = self.habit(&["m", deed.0], 12, MANNERS);
        let alone = self.habit(&["l", act.0], 12, MANNERS);
        let preposition = self.habit(&["q", noun], 4, PLACES);
        let building = self.habit(&["b", noun], 8, BUILDINGS);
        let values = [
            ('n', noun),
            ('d', adjective),
            ('o', object),
            ('e', other),
            ('m', manner),
            ('l', alone),
            ('q', preposition),
            ('h', building),
        ];
        for (letter, value) in values {
            self.text(letter, value);
        }
        self.bind('v', Value::Verb(deed.0, deed.1));
        self.bind('w', Value::Verb(act.0, act.1));
    }

    /// A sentence on what was to be seen.
    pub(super) fn scenery(&mut self, noun: &'static str) {
        self.picture(noun);
        self.choose(&[
            "The {d} {n} {v.past} the {e} {o} {m}.",
            "The {d} {n} {w.past} {l}.",
            "[There was|There stood|They saw|Nobody noticed] {an d} {n} {q} the {h}.",
            "{l}, the {n} {w.past}, and [a|another|some] {n} {v.past} the {o}.",
            "{q} the {h} {an d} {n} {w.past} {l}.",
            "The {n} was {d}, [and|but|for] it {v.past} {an e} {o} {m}.",
            "One could [hear|see] how the {n} {v.past} the {o}, {m}.",
            "{many n} {w.past} {q} the {h}, and {an e} {o} lay there.",
        ]);
    }

    /// A sentence on how things are in general.
    pub(super) fn saying(&mut self, noun: &'static str) {
        self.picture(noun);
        self.choose(&[
            "{an d} {n} {v.does} the {e} {o} {m}.",
            "{many n} {v} {many o}, [and|but] they {w} {l}.",
            "Who [would|can] {v} the {o} needs {an d} {n}.",
            "Never {v} {an o} {q} {an d} {n}.",
            "The {n} that {w.does} {l} [will|may|shall] {v} the {o}.",
            "If the {n} is {d}, [one should|you must|people] {v} the {e} {o} {m}.",
            "It is said that {an n} {v.does} {an e} {o} when the {h} is empty.",
            "Better {an d} {n} than {an e} {o}.",
            "{many n} are {d}, {many o} are {e}.",
            "No {n} {w.does} {l} without {an o}.",
        ]);
    }
}
