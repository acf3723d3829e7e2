//! A run as its folder records it.

use crate::thin::thin;
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Points of a curve of training losses, at most.
const POINTS: usize = 60;

/// Evaluations that are shown, at most.
const EVALUATIONS: usize = 40;

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What it is called on the page.
    pub name: String,
    /// Its folder, as it was given.
    pub folder: String,
    /// Whether it came to its end.
    pub done: bool,
    /// N, if it is known.
    pub parameters: Option<f64>,
    /// D so far.
    pub tokens: f64,
    /// C so far.
    pub flops: f64,
    /// Held-out bits a byte at the last evaluation.
    pub loss: Option<f64>,
    /// Bits a byte on further sets, by name.
    pub sets: BTreeMap<String, f64>,
    /// Tokens and training loss in nats a token, thinned.
    pub curve: Vec<(f64, f64)>,
    /// Tokens and held-out loss in nats a token.
    pub evaluations: Vec<(f64, f64)>,
    /// Answers to questions, by the name of their set.
    pub questions: BTreeMap<String, Vec<Answer>>,
    /// Of the weights and the order of the data.
    pub seed: u64,
    /// Program and commit that ran it.
    pub version: String,
    /// Hashes of what it was trained on, of what was held out, and of its files.
    pub hashes: Hashes,
}

/// What a run is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// Of the training data.
    pub data: String,
    /// Of the held-out set.
    pub held_out: String,
    /// Of `run.toml`.
    pub config: String,
    /// Of `metrics.jsonl`.
    pub metrics: String,
}

/// An answer to a question: a line of `questions-<name>.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question.
    pub id: String,
    /// How hard it is.
    pub bucket: String,
    /// Of the right answer, by the model.
    pub probability: f64,
    /// Whether the right answer was the likeliest.
    pub correct: bool,
}

/// What is read of `run.toml`.
#[derive(Deserialize)]
struct Config {
    seed: u64,
    data: DataConfig,
    #[serde(default)]
    origin: Origin,
}

#[derive(Deserialize)]
struct DataConfig {
    hash: String,
    eval_hash: String,
}

#[derive(Default, Deserialize)]
struct Origin {
    #[serde(default)]
    version: String,
}

/// What is read of a line of questions.
#[derive(Deserialize)]
struct Question {
    id: String,
    #[serde(alias = "level")]
    bucket: serde_json::Value,
    probability: f64,
    correct: bool,
}

impl Run {
    /// Reads a run's folder. `name` is what it is called; `parameters` its N, for those who know it.
    pub fn read(folder: &Path, name: &str, parameters: Option<f64>) -> Result<Run> {
        let opened = record::Run::open(folder)?;
        let (bytes, hash) = opened.record("run.toml")?;
        let damaged = |what: String| Error::Damaged { path: folder.join("run.toml"), what };
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("is not UTF-8".into()))?;
        let config: Config =
            toml::from_str(text).map_err(|e| damaged(e.to_string().trim_end().to_string()))?;
        let mut run = Run {
            name: name.into(),
            folder: folder.display().to_string(),
            done: opened.done(),
            parameters,
            seed: config.seed,
            version: config.origin.version,
            hashes: Hashes {
                data: config.data.hash,
                held_out: config.data.eval_hash,
                config: hash,
                metrics: String::new(),
            },
            ..Run::default()
        };
        // One that has not made a step yet has none.
        if folder.join("metrics.jsonl").exists() {
            let (lines, hash) = lines(&opened, "metrics.jsonl")?;
            run.hashes.metrics = hash;
            run.read_metrics(&folder.join("metrics.jsonl"), &lines)?;
        }
        run.read_questions(&opened)?;
        Ok(run)
    }

    fn read_metrics(&mut self, path: &Path, lines: &[record::Line]) -> Result<()> {
        let (mut curve, mut evaluations) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(lines) {
            let value = |name: &str| match line.get(name) {
                // A loss that was no number is written as null.
                None | Some(serde_json::Value::Null) => Ok(None),
                Some(value) => value.as_f64().map(Some).ok_or_else(|| Error::Damaged {
                    path: path.into(),
                    what: format!("line {number}: '{name}' is no number"),
                }),
            };
            self.tokens = value("train/tokens")?.unwrap_or(self.tokens);
            self.flops = value("train/flops")?.unwrap_or(self.flops);
            if let Some(loss) = value("train/loss")? {
                curve.push((self.tokens, loss));
            }
            if let Some(loss) = value("val/loss")? {
                evaluations.push((self.tokens, loss));
            }
            self.loss = value("val/bits_per_byte")?.or(self.loss);
            for name in line.keys() {
                let set = name.strip_prefix("set/").and_then(|rest| rest.strip_suffix("/bits_per_byte"));
                if let (Some(set), Some(loss)) = (set, value(name)?) {
                    self.sets.insert(set.into(), loss);
                }
            }
        }
        self.curve = thin(&curve, POINTS);
        self.evaluations = thin(&evaluations, EVALUATIONS);
        Ok(())
    }

    fn read_questions(&mut self, run: &record::Run) -> Result<()> {
        let list = std::fs::read_dir(run.path()).map_err(record::Error::io("list", run.path()))?;
        for entry in list.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let name = file.strip_prefix("questions-").and_then(|rest| rest.strip_suffix(".jsonl"));
            let Some(name) = name else { continue };
            let mut answers = Vec::new();
            for (number, line) in (1..).zip(lines(run, &file)?.0) {
                let wrong = |what: String| Error::Damaged {
                    path: entry.path(),
                    what: format!("line {number}: {what}"),
                };
                let line: Question = serde_json::from_value(line.into()).map_err(|e| wrong(e.to_string()))?;
                if !(0.0..=1.0 + 1e-9).contains(&line.probability) {
                    return Err(wrong(format!("a probability of {} is none", line.probability)));
                }
                let bucket = match line.bucket {
                    serde_json::Value::String(text) => text,
                    serde_json::Value::Number(number) => number.to_string(),
                    _ => return Err(wrong("'bucket' is neither a number nor a word".into())),
                };
                let Question { id, probability, correct, .. } = line;
                answers.push(Answer { id, bucket, probability, correct });
            }
            self.questions.insert(name.into(), answers);
        }
        Ok(())
    }

    /// As a row for the laws, with the loss on the held-out set (`None`) or on another; `None` if it is not done or
    /// something of it is not known.
    pub fn row(&self, set: Option<&str>) -> Option<scaling::Run> {
        let loss = match set {
            None => self.loss,
            Some(set) => self.sets.get(set).copied(),
        };
        let row = scaling::Run {
            parameters: self.parameters?,
            tokens: self.tokens,
            flops: self.flops,
            loss: loss?,
        };
        (self.done && row.check().is_ok()).then_some(row)
    }
}

/// The lines of a record and its hash. Of a run that goes on, a last line that has no end yet is left out.
fn lines(run: &record::Run, name: &str) -> Result<(Vec<record::Line>, String)> {
    let (bytes, hash) = run.record(name)?;
    let whole = match run.done() {
        true => &bytes[..],
        false => &bytes[..bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)],
    };
    let lines = whole.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let parse = |(number, line): (usize, &[u8])| {
        let what = |e| format!("line {}: {e}", number + 1);
        serde_json::from_slice(line)
            .map_err(|e| Error::Damaged { path: run.path().join(name), what: what(e) })
    };
    Ok((lines.map(parse).collect::<Result<_>>()?, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const CONFIG: &str = "seed = 3\nsteps = 2\n[data]\npath = 'd'\nhash = 'abc'\neval_hash = 'def'\n[origin]\nversion = '0.1.0'\n";
    const METRICS: &str = "{\"step\":1,\"train/loss\":3.5,\"train/tokens\":100,\"train/flops\":600.0}\n\
        {\"step\":2,\"train/loss\":null,\"train/tokens\":200,\"train/flops\":1200.0}\n\
        {\"step\":2,\"val/loss\":2.5,\"val/bits_per_byte\":1.5,\"set/code/bits_per_byte\":1.75,\"set/code/nats\":3}\n";

    fn folder(metrics: &str, questions: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("run.toml", CONFIG);
        write("metrics.jsonl", metrics);
        write("questions-world.jsonl", questions);
        write("DONE", "");
        folder
    }

    #[test]
    fn a_folder_is_read() {
        let questions = "{\"id\":\"a\",\"bucket\":\"easy\",\"probability\":0.5,\"correct\":true}\n\
            {\"id\":\"b\",\"level\":2,\"probability\":0.25,\"correct\":false,\"chance\":0.25}\n";
        let folder = folder(METRICS, questions);
        let run = Run::read(folder.path(), "first", Some(10.0)).unwrap();
        assert_eq!((run.seed, run.version.as_str(), run.done), (3, "0.1.0", true));
        assert_eq!((run.curve, run.evaluations), (vec![(100.0, 3.5)], vec![(200.0, 2.5)]));
        assert_eq!(run.sets.get("code"), Some(&1.75));
        assert_eq!(run.hashes.metrics, record::hash(METRICS.as_bytes()));
        let buckets: Vec<_> = run.questions["world"].iter().map(|one| one.bucket.as_str()).collect();
        assert_eq!(buckets, ["easy", "2"]);
    }

    #[test]
    fn a_row_needs_all_that_a_law_needs() {
        let folder = folder(METRICS, "");
        let run = Run::read(folder.path(), "first", Some(10.0)).unwrap();
        let row = scaling::Run { parameters: 10.0, tokens: 200.0, flops: 1200.0, loss: 1.5 };
        assert_eq!(run.row(None), Some(row));
        assert_eq!(run.row(Some("code")), Some(scaling::Run { loss: 1.75, ..row }));
        assert_eq!(run.row(Some("other")), None);
        assert_eq!(Run { parameters: None, ..run.clone() }.row(None), None);
        assert_eq!(Run { done: false, ..run }.row(None), None);
    }

    #[test]
    fn a_run_that_goes_on_is_read_as_far_as_it_is_written() {
        let folder = folder(&format!("{METRICS}{{\"step\":3,\"train"), "");
        assert!(Run::read(folder.path(), "x", None).unwrap_err().to_string().contains("line 4"));
        fs::remove_file(folder.path().join("DONE")).unwrap();
        assert_eq!(Run::read(folder.path(), "x", None).unwrap().tokens, 200.0);
        fs::remove_file(folder.path().join("metrics.jsonl")).unwrap();
        assert!(Run::read(folder.path(), "x", None).unwrap().curve.is_empty());
    }

    #[test]
    fn damaged_records_are_named() {
        let said = |metrics: &str, questions: &str| {
            Run::read(folder(metrics, questions).path(), "x", None).unwrap_err().to_string()
        };
        assert!(said("{\"train/loss\":\"high\"}\n", "").contains("line 1: 'train/loss' is no number"));
        assert!(said("no\n", "").contains("metrics.jsonl: line 1"));
        let line = |rest: &str| format!("{{\"id\":\"a\",\"bucket\":1,{rest}}}\n");
        assert!(said("", &line("\"probability\":2,\"correct\":true")).contains("a probability of 2"));
        assert!(
            said("", &line("\"probability\":1")).contains("questions-world.jsonl: line 1: missing field")
        );
        let empty = tempfile::tempdir().unwrap();
        assert!(Run::read(empty.path(), "x", None).unwrap_err().to_string().contains("no run.toml"));
    }
}
