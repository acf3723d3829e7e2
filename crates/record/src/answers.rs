//! `questions-<name>.jsonl`: what a finished run made of the questions of a further set, one JSON object a line.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// A question as the run answered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The question's.
    pub id: String,
    /// The question's.
    pub family: String,
    /// The question's.
    pub level: u32,
    /// Of the right answer, where one of the choices is given.
    pub probability: f64,
    /// Natural logarithm of the right answer's probability among all texts that could follow.
    pub log_probability: f64,
    /// Probability of a blind guess.
    pub chance: f64,
    /// Whether the right answer is the most probable choice.
    pub correct: bool,
}

/// A hair's breadth, for sums of rounded exponentials.
const ROUNDED: f64 = 1e-9;

impl Answered {
    /// The answers of a record, which no question has twice.
    ///
    /// # Errors
    /// Names the line that is no answer, and why.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Answered>> {
        let (mut all, mut ids) = (Vec::<Answered>::new(), BTreeSet::new());
        for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |what: String| Error::damaged(path, format!("line {number} is no answer: {what}"));
            let one: Answered = serde_json::from_slice(line).map_err(|e| wrong(e.to_string()))?;
            if !(0.0..=1.0 + ROUNDED).contains(&one.probability) {
                return Err(wrong(format!("a probability of {}", one.probability)));
            }
            if !(one.chance > 0.0 && one.chance < 1.0) {
                return Err(wrong(format!("a chance of {}", one.chance)));
            }
            if !ids.insert(one.id.clone()) {
                return Err(wrong(format!("the question {:?} came before", one.id)));
            }
            all.push(one);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"id":"a","family":"f","level":1,"probability":0.5,"log_probability":-3.0,"chance":0.25,"correct":true}"#;

    #[test]
    fn answers_are_read_and_what_is_none_is_named() {
        let read = |text: &str| Answered::read(Path::new("q"), text.as_bytes());
        let all = read(&format!("{LINE}\n\n")).unwrap();
        assert_eq!(serde_json::to_string(&all[0]).unwrap(), LINE);
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said(&format!("{LINE}\n{LINE}\n")).contains("line 2") && said("{}").contains("line 1"));
        assert!(said(&LINE.replace("0.5", "1.5")).contains("probability of 1.5"));
        assert!(said(&LINE.replace("0.25", "0.0")).contains("chance of 0"));
    }
}
