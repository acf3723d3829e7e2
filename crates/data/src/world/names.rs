//! Invented names: a grammar of syllables drawn from the seed, so that every world has a sound of its own.

use std::collections::HashSet;

use super::random::Random;
use super::words;

const ONSETS: &[&str] = &[
    "b", "br", "c", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "r", "s", "sk",
    "st", "t", "th", "tr", "v", "w", "y", "z", "sh", "fl", "gl", "qu",
];
const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "ae", "ia", "ei", "ou", "ea", "y"];
const CODAS: &[&str] =
    &["n", "r", "l", "s", "m", "nd", "th", "rk", "st", "lt", "k", "x", "rn", "d", "v", "m"];
const PLACE_ENDS: &[&str] =
    &["mar", "wick", "dal", "holm", "gate", "fell", "mere", "burg", "stow", "haven", "tor", "rath", "lun"];
const FAMILY_ENDS: &[&str] = &["ick", "in", "sen", "ov", "and", "ell", "arro", "ish", "owe", "une", "ester"];
const RIVER_ENDS: &[&str] = &["e", "a", "en", "ow", "ine", "or"];
const WOMEN_ENDS: &[&str] = &["a", "ia", "e", "ine", "eth"];
const MEN_ENDS: &[&str] = &["o", "an", "ric", "us", "em"];

/// Makes names, never the same twice, and never a word that the writers use.
pub(super) struct Names {
    random: Random,
    onsets: Vec<&'static str>,
    vowels: Vec<&'static str>,
    codas: Vec<&'static str>,
    taken: HashSet<String>,
}

impl Names {
    pub(super) fn new(seed: u64) -> Names {
        let mut random = Random::new(seed, 1, 0);
        let onsets = subset(&mut random, ONSETS, 20);
        let vowels = subset(&mut random, VOWELS, 7);
        let codas = subset(&mut random, CODAS, 9);
        let taken = words::all().map(str::to_owned).collect();
        Names { random, onsets, vowels, codas, taken }
    }

    /// Endings that this world has for one kind of name.
    fn ends(&mut self, list: &[&'static str], count: usize) -> Vec<&'static str> {
        subset(&mut self.random, list, count)
    }

    /// The next name that `make` makes and that is not yet taken. `make` is told how many tries to lengthen
    /// the name by, for when the short ones are used up.
    fn unique(&mut self, make: impl Fn(&mut Names, usize) -> String) -> String {
        let mut attempt = 0;
        loop {
            let name = make(self, attempt / 20);
            if name.len() > 3 && self.taken.insert(name.clone()) {
                return name;
            }
            attempt += 1;
        }
    }

    fn syllables(&mut self, count: usize) -> String {
        let mut name = String::new();
        for place in 0..count {
            name.push_str(self.onsets[self.random.skewed(self.onsets.len())]);
            name.push_str(self.vowels[self.random.skewed(self.vowels.len())]);
            if self.random.chance(if place + 1 == count { 60 } else { 20 }) {
                name.push_str(self.codas[self.random.skewed(self.codas.len())]);
            }
        }
        name
    }

    /// Syllables and one of the ends.
    fn name(&mut self, syllables: usize, ends: &[&'static str]) -> String {
        self.unique(|names, more| {
            let mut name = names.syllables(syllables + more);
            if !ends.is_empty() {
                let end = ends[names.random.skewed(ends.len())];
                // Two vowels do not meet where a name and its ending are joined.
                if name.ends_with(is_vowel) && end.starts_with(is_vowel) {
                    name.push_str(names.codas[names.random.below(names.codas.len())]);
                }
                name.push_str(end);
            }
            name
        })
    }

    fn list(
        &mut self,
        count: usize,
        syllables: std::ops::RangeInclusive<u64>,
        ends: &[&'static str],
    ) -> Vec<String> {
        (0..count)
            .map(|_| {
                let syllables = self.random.between(*syllables.start(), *syllables.end()) as usize;
                capital(&self.name(syllables, ends))
            })
            .collect()
    }

    /// Towns and villages.
    pub(super) fn places(&mut self, count: usize) -> Vec<String> {
        let ends = self.ends(PLACE_ENDS, 8);
        self.list(count, 1..=2, &ends)
    }

    /// Rivers.
    pub(super) fn rivers(&mut self, count: usize) -> Vec<String> {
        let ends = self.ends(RIVER_ENDS, 3);
        self.list(count, 1..=2, &ends)
    }

    /// Regions, months, dogs and whatever else has a name without an ending of its kind.
    pub(super) fn plain(&mut self, count: usize) -> Vec<String> {
        self.list(count, 2..=2, &[])
    }

    /// Family names.
    pub(super) fn families(&mut self, count: usize) -> Vec<String> {
        let ends = self.ends(FAMILY_ENDS, 7);
        self.list(count, 1..=2, &ends)
    }

    /// First names of women, then of men: the ending tells which.
    pub(super) fn first(&mut self, count: usize) -> [Vec<String>; 2] {
        let women = self.ends(WOMEN_ENDS, 3);
        let men = self.ends(MEN_ENDS, 3);
        [self.list(count, 1..=2, &women), self.list(count, 1..=2, &men)]
    }

    /// An ending for a kind of thing.
    pub(super) fn ending(&mut self) -> String {
        let mut end = self.vowels[self.random.below(self.vowels.len())].to_owned();
        end.push_str(self.codas[self.random.below(self.codas.len())]);
        end
    }

    /// A common noun in small letters, most often with the ending of its kind.
    pub(super) fn noun(&mut self, ending: &str) -> String {
        self.unique(|names, more| {
            let syllables = names.random.between(1, 2) as usize;
            let mut noun = names.syllables(syllables + more);
            if names.random.chance(70) {
                noun.truncate(noun.trim_end_matches(is_vowel).len());
                noun.push_str(ending);
            }
            // What would not take a plain plural, or is too short to be told from a common word, is made again.
            if noun.len() < 5 || noun.ends_with(['s', 'x', 'y', 'z', 'f']) { String::new() } else { noun }
        })
    }
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Some of a list, in an order of its own.
fn subset(random: &mut Random, list: &[&'static str], count: usize) -> Vec<&'static str> {
    let mut rest = list.to_vec();
    (0..count.min(list.len())).map(|_| rest.swap_remove(random.below(rest.len()))).collect()
}
