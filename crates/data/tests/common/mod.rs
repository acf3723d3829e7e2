//! What the integration tests share.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};

/// A file of `../shared/data/text`, beside the project. `None`, saying so, where `../shared` is absent; a
/// file missing from it fails the test.
pub fn real_text(name: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if !shared.exists() {
        eprintln!("skipped: there is no ../shared beside the project");
        return None;
    }
    let path = shared.join("data/text").join(name);
    assert!(path.exists(), "{} is missing", path.display());
    Some(path)
}

/// A small stream of pseudo-random numbers.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

/// Sentences of made-up words with a skewed distribution, numbers and punctuation.
pub fn sentences(count: usize) -> Vec<String> {
    let mut numbers = Numbers(7);
    let syllables = ["ka", "to", "mi", "ren", "sol", "qu", "é", "wa", "日", "st", "ing", "er", "'s", "un"];
    let word = |numbers: &mut Numbers| {
        let length = 1 + numbers.below(4);
        // The smaller of two draws: early syllables are common.
        let mut pick = || numbers.below(14).min(numbers.below(14)) as usize;
        (0..length).map(|_| syllables[pick()]).collect::<String>()
    };
    (0..count)
        .map(|_| {
            let mut text = String::new();
            for _ in 0..5 + numbers.below(30) {
                match numbers.below(12) {
                    0 => text.push_str(&numbers.below(3000).to_string()),
                    1 => text.push_str(".\n"),
                    2 => text.push(','),
                    _ => text.push_str(&word(&mut numbers)),
                }
                text.push(' ');
            }
            text
        })
        .collect()
}
