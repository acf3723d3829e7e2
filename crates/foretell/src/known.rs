//! What a prediction stands on: finished runs of one family, and where they come from.

use crate::Failure;
use crate::ladder::{Finished, Ladder};
use crate::runs::{self, Columns};
use anyhow::anyhow;
use scaling::Run;
use std::path::Path;

/// Finished runs, and where they come from.
pub struct Known {
    /// The runs.
    pub runs: Vec<Run>,
    /// The same as rungs, of a ladder.
    pub rungs: Vec<Finished>,
    /// Unit of their losses.
    pub unit: &'static str,
    /// For the user.
    pub notes: Vec<String>,
    /// Where they are, for people.
    pub place: String,
    /// Files and their hashes (BLAKE3), for the record.
    pub source: serde_json::Value,
    /// Bits a word for a bit a byte of the held-out text, of a ladder.
    pub bytes_per_word: Option<f64>,
}

/// A hair's breadth, for a bound that was typed in few digits.
const ROUNDED: f64 = 1.0 + 1e-6;

/// Relative difference between ratios that are one but for their rounding.
const SAME: f64 = 1e-6;

impl Known {
    /// The finished rungs of a ladder, those that cost at most so many FLOP.
    pub fn of_ladder(ladder: &Ladder, path: &Path, dearest: Option<f64>) -> Result<Known, Failure> {
        let (all, unfinished) = ladder.finished(path)?;
        let mut notes = Vec::new();
        if !unfinished.is_empty() {
            notes.push(format!("{} of {} rungs are not done", unfinished.len(), ladder.rungs.len()));
        }
        let bound = dearest.unwrap_or(f64::INFINITY) * ROUNDED;
        let (rungs, dearer): (Vec<Finished>, _) = all.into_iter().partition(|rung| rung.run.flops <= bound);
        if rungs.is_empty() && !dearer.is_empty() {
            let cheapest = dearer.iter().map(|rung| rung.run.flops).fold(f64::INFINITY, f64::min);
            return Err(Failure::Usage(format!(
                "--max-rung {:e}: the cheapest finished rung took {cheapest:.3e} FLOP",
                dearest.unwrap_or_default()
            )));
        }
        let hashes: serde_json::Map<_, _> =
            rungs.iter().map(|rung| (rung.name.clone(), rung.hash.clone().into())).collect();
        Ok(Known {
            runs: rungs.iter().map(|rung| rung.run).collect(),
            unit: "bits a byte",
            notes,
            place: path.display().to_string(),
            source: serde_json::json!({
                "ladder": path, "data_hash": ladder.data_hash, "eval_hash": ladder.eval_hash, "rungs": hashes,
            }),
            bytes_per_word: bytes_per_word(&rungs, path)?,
            rungs,
        })
    }

    /// Other people's runs.
    pub fn of_log(path: &Path, columns: &str) -> Result<Known, Failure> {
        let log = runs::read(path, &Columns::parse(columns)?)?;
        Ok(Known {
            runs: log.runs,
            rungs: Vec::new(),
            unit: "as in the log",
            notes: log.notes,
            place: path.display().to_string(),
            source: serde_json::json!({"log": path, "hash": log.hash}),
            bytes_per_word: None,
        })
    }
}

/// Bytes a word of the text that all rungs were evaluated on: the same for all, or it was not the same text.
fn bytes_per_word(rungs: &[Finished], path: &Path) -> Result<Option<f64>, Failure> {
    let ratio = |rung: &Finished| rung.bits_per_word / rung.run.loss;
    let Some(first) = rungs.first() else { return Ok(None) };
    match rungs.iter().find(|rung| (ratio(rung) / ratio(first) - 1.0).abs() > SAME) {
        None => Ok(Some(ratio(first))),
        Some(other) => Err(anyhow!(
            "{}: rungs {} and {} were evaluated on different texts, which have {:.4} and {:.4} bytes a word",
            path.display(),
            first.name,
            other.name,
            ratio(first),
            ratio(other)
        )
        .into()),
    }
}
