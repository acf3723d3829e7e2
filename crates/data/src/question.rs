//! Questions with known answers, as a file has them: a JSON object a line.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::storage;

/// A question and the continuations of its prompt that are to choose from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Unique in its file.
    pub id: String,
    /// What it is about; questions of a family are alike.
    pub family: String,
    /// From easy to hard, counted from 1.
    pub level: u32,
    /// The text before the answer.
    pub prompt: String,
    /// Continuations of the prompt, each with the space before it and with what ends it, so that none is the
    /// beginning of another.
    pub choices: Vec<String>,
    /// The right one, counted from 0.
    pub answer: usize,
}

impl Question {
    /// The probability that a blind guess is right.
    pub fn chance(&self) -> f64 {
        1.0 / self.choices.len().max(1) as f64
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.choices.len() < 2 {
            return Err(format!("'choices' has {}; there must be two at least", self.choices.len()));
        }
        if self.answer >= self.choices.len() {
            return Err(format!(
                "'answer' is {}, but 'choices' are counted from 0 to {}",
                self.answer,
                self.choices.len() - 1
            ));
        }
        for (i, choice) in self.choices.iter().enumerate() {
            let begins = |(j, other): (usize, &String)| i != j && other.starts_with(choice.as_str());
            if choice.is_empty() || self.choices.iter().enumerate().any(begins) {
                return Err(format!(
                    "choice {i} ({choice:?}) is the beginning of another; end each, as with a full stop"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a file is one of questions: its first line is an object that has a prompt and choices.
pub fn holds_questions(path: &Path) -> bool {
    use std::io::{BufRead, BufReader, Read};
    let Ok(file) = std::fs::File::open(path) else { return false };
    let mut line = Vec::new();
    let read = BufReader::new(file).take(1 << 20).read_until(b'\n', &mut line);
    let object = serde_json::from_slice::<serde_json::Value>(&line);
    read.is_ok()
        && object.is_ok_and(|object| object.get("prompt").is_some() && object.get("choices").is_some())
}

/// Reads a file of questions, and gives the hash of the file with them.
///
/// # Errors
/// Names the line that is no question, and why.
pub fn questions(path: &Path) -> Result<(Vec<Question>, String)> {
    let text = storage::read_text(path)?;
    let (mut all, mut ids) = (Vec::new(), HashSet::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong =
            |what: String| Error::Config(format!("{}:{}: no question: {what}", path.display(), number + 1));
        let question: Question = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        question.check().map_err(wrong)?;
        if !ids.insert(question.id.clone()) {
            return Err(wrong(format!("the id {:?} came before", question.id)));
        }
        all.push(question);
    }
    match all.is_empty() {
        true => Err(Error::Empty(format!("{}: it holds no questions", path.display()))),
        false => Ok((all, blake3::hash(text.as_bytes()).to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        r#"{"id":"a","family":"f","level":1,"prompt":"The sky is","choices":[" blue."," red."],"answer":0}"#;

    fn read(text: &str) -> Result<(Vec<Question>, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.jsonl");
        std::fs::write(&path, text).unwrap();
        assert_eq!(holds_questions(&path), text.starts_with("{\"id\""));
        questions(&path)
    }

    #[test]
    fn questions_are_read_and_what_is_none_is_named() {
        let (all, _) = read(&format!("{GOOD}\n\n")).unwrap();
        assert_eq!((all[0].choices.len(), all[0].chance()), (2, 0.5));
        assert_eq!(serde_json::to_string(&all[0]).unwrap(), GOOD);
        let said = |text: &str| read(text).unwrap_err().to_string();
        assert!(said(&format!("{GOOD}\n{GOOD}")).contains(":2: no question: the id"));
        assert!(said(&GOOD.replace(":0}", ":2}")).contains("'answer' is 2"));
        assert!(said(&GOOD.replace(" blue.", " red. Or")).contains("beginning of another"));
        assert!(said(&GOOD.replace("[\" blue.\",\" red.\"]", "[\"a\"]")).contains("two at least"));
        assert!(said("\n").contains("no questions"));
        assert!(said("{\"text\":\"\"}").contains("missing field"));
    }
}
