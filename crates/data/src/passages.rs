//! Passages: what a further evaluation takes of a file, folder or glob that is no data folder.
//!
//! Documents are cut into pieces of some kilobytes, and the pieces with the lowest hashes are taken until the
//! next would be too much. So a limited set is a sample of all of it, the same one however the files are
//! named, ordered or cut into parts of a download, and reading it takes the memory of the sample.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::prepare::{WordCount, cut};
use crate::reader::{self, InvalidUtf8, Problem, ReaderConfig, Watch};
use crate::source::{Source, resolve};
use crate::tokenizer::Tokenizer;

/// Bytes of a passage, at most: a limited set should hold many.
const LONGEST: usize = 8 << 10;

/// A piece of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// Its tokens, behind the end-of-text token that begins it.
    pub tokens: Vec<u32>,
    /// Bytes of its text.
    pub bytes: u64,
    /// Words: runs of bytes that are no ASCII white space.
    pub words: u64,
}

/// Passages of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Passages {
    /// In the order of their hashes.
    pub taken: Vec<Passage>,
    /// How many there were to take from.
    pub all: u64,
    /// Malformed records, which were passed over, and the first of them.
    pub malformed: (u64, Option<String>),
    /// Hash of the files, in their order.
    pub hash: String,
}

/// Reads what `path` names and takes passages of at most `most_tokens` tokens together, one at least.
///
/// # Errors
/// What cannot be read, holds no text, or has a text that the tokenizer cannot encode.
pub fn passages(path: &str, tokenizer: &Tokenizer, most_tokens: u64) -> Result<Passages> {
    let input = resolve(&[Source::new(path)], 0.0, &[])?;
    let config = ReaderConfig {
        text_field: "text".into(),
        invalid_utf8: InvalidUtf8::Replace,
        record_bytes: crate::build::RECORD_BYTES,
    };
    let mut sample = Sample { tokenizer, most_tokens, kept: BTreeMap::new(), tokens: 0, beyond: None };
    let mut all = 0;
    let mut malformed = (0, None);
    let mut passed_over = |problem: Problem| {
        malformed.0 += 1;
        malformed.1.get_or_insert_with(|| problem.to_string());
    };
    input.problems.into_iter().for_each(&mut passed_over);
    let mut hash = blake3::Hasher::new();
    for file in &input.files {
        let (mut reader, hashed) = reader::open(file, &config, &Watch::default())?;
        while let Some(item) = reader.next() {
            match item {
                Err(problem) => passed_over(problem),
                Ok(record) => {
                    if record.document.images().next().is_some() {
                        let place = record.document.id;
                        return Err(Error::Config(format!(
                            "{place}: shows a picture, and a set of text is scored without; questions about pictures can be a set"
                        )));
                    }
                    for piece in cut(record.document, LONGEST) {
                        let text = piece.texts().collect::<Vec<_>>().join("\n");
                        if !text.trim().is_empty() {
                            all += 1;
                            sample.offer(&text, &format!("{}: {}", file.name, piece.id))?;
                        }
                    }
                }
            }
        }
        drop(reader);
        hash.update(&hashed.finish()?);
    }
    if sample.kept.is_empty() {
        return Err(Error::Empty(format!("{path}: it holds no text to score")));
    }
    Ok(Passages {
        taken: sample.kept.into_values().collect(),
        all,
        malformed,
        hash: hash.finalize().to_string(),
    })
}

/// The passages with the lowest hashes so far.
struct Sample<'a> {
    tokenizer: &'a Tokenizer,
    most_tokens: u64,
    kept: BTreeMap<[u8; 32], Passage>,
    tokens: u64,
    /// The lowest hash that did not fit: none behind it can.
    beyond: Option<[u8; 32]>,
}

impl Sample<'_> {
    fn offer(&mut self, text: &str, place: &str) -> Result<()> {
        let key = *blake3::hash(text.as_bytes()).as_bytes();
        // What occurs twice is scored once.
        if self.beyond.is_some_and(|beyond| key >= beyond) || self.kept.contains_key(&key) {
            return Ok(());
        }
        let mut tokens = vec![self.tokenizer.eos()];
        self.tokenizer.encode_ordinary(text, &mut tokens).map_err(|error| match error {
            Error::Tokenizer { what, .. } => Error::tokenizer(place, what),
            other => other,
        })?;
        let mut words = WordCount::default();
        words.add(text.as_bytes());
        self.tokens += tokens.len() as u64;
        self.kept.insert(key, Passage { tokens, bytes: text.len() as u64, words: words.count.into() });
        while self.tokens > self.most_tokens && self.kept.len() > 1 {
            let Some((key, dropped)) = self.kept.pop_last() else { break };
            self.tokens -= dropped.tokens.len() as u64;
            self.beyond = Some(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("Text {i}: {}", "words and words ".repeat(1 + i % 37))).collect()
    }

    fn jsonl(texts: &[String]) -> String {
        texts.iter().map(|text| format!("{}\n", serde_json::json!({"text": text}))).collect()
    }

    /// The prefix of all texts in the order of their hashes.
    fn expected(texts: &[String], most: u64) -> Vec<u64> {
        let mut all: Vec<_> =
            texts.iter().map(|text| (*blake3::hash(text.as_bytes()).as_bytes(), text.len() as u64)).collect();
        all.sort_unstable();
        let mut sum = 0;
        all.into_iter()
            .map(|(_, bytes)| bytes)
            .take_while(|bytes| {
                sum += bytes + 1;
                sum <= most
            })
            .collect()
    }

    #[test]
    fn a_limited_set_is_a_sample_that_order_and_files_do_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut texts = texts(300);
        let tokenizer = Tokenizer::bytes().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("all.jsonl"), jsonl(&texts)).unwrap();
        for most in [1000, 7000, 40_000, 1 << 30] {
            let set = passages(&path("all.jsonl"), &tokenizer, most).unwrap();
            let bytes: Vec<u64> = set.taken.iter().map(|passage| passage.bytes).collect();
            assert_eq!(bytes, expected(&texts, most), "{most}");
            assert_eq!(set.all, 300);
            assert!(set.taken.iter().all(|passage| passage.tokens[0] == tokenizer.eos()));
        }
        let first = passages(&path("all.jsonl"), &tokenizer, 7000).unwrap();
        texts.reverse();
        fs::create_dir(path("parts")).unwrap();
        for (part, texts) in texts.chunks(70).enumerate() {
            fs::write(path(&format!("parts/{part}.jsonl")), jsonl(texts)).unwrap();
        }
        let parts = passages(&path("parts"), &tokenizer, 7000).unwrap();
        assert_eq!(parts.taken, first.taken);
        assert!(parts.hash != first.hash);
        assert_eq!(passages(&path("parts/*.jsonl"), &tokenizer, 7000).unwrap(), parts);
    }

    #[test]
    fn one_passage_is_taken_however_long_and_what_is_malformed_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "{\"text\": \"a text of some words\"}\nno json\n{\"text\": \"\"}\n").unwrap();
        let tokenizer = Tokenizer::bytes().unwrap();
        let set = passages(&path.display().to_string(), &tokenizer, 1).unwrap();
        assert_eq!((set.taken.len(), set.taken[0].bytes, set.taken[0].words), (1, 20, 5));
        assert_eq!(set.malformed.0, 1);
        assert!(set.malformed.1.unwrap().contains("a.jsonl:2"));
        fs::write(&path, "{\"segments\": [{\"image\": \"a.png\"}, {\"text\": \"a\"}]}\n").unwrap();
        let said = passages(&path.display().to_string(), &tokenizer, 1).unwrap_err().to_string();
        assert!(said.contains("a.jsonl:1") && said.contains("picture"), "{said}");
        fs::write(&path, "\n").unwrap();
        assert!(
            passages(&path.display().to_string(), &tokenizer, 1).unwrap_err().to_string().contains("no text")
        );
        assert!(passages("/no/such/place", &tokenizer, 1).is_err());
    }
}
