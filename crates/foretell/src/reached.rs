//! What a finished run reached, as the end of its own records says.

use crate::Failure;
use anyhow::anyhow;
use record::Run;

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// Held-out bits a byte.
    pub bits_per_byte: f64,
    /// Held-out bits a word.
    pub bits_per_word: f64,
    /// D: tokens trained on.
    pub tokens: f64,
    /// C.
    pub flops: f64,
    /// Steps.
    pub steps: u64,
    /// Seconds of all steps.
    pub training: f64,
    /// Seconds of all evaluations.
    pub evaluation: f64,
    /// Hash of its metrics.
    pub hash: String,
}

impl Reached {
    /// Of a run that came to its end, whose metrics are as they were then.
    pub fn of(run: &Run) -> Result<Reached, Failure> {
        let (metrics, hash) = run.hashed_metrics()?;
        let last = |name: &str| {
            let value = metrics.iter().rev().find_map(|line| line.get(name)?.as_f64());
            value.ok_or_else(|| anyhow!("{}: no line of metrics.jsonl has '{name}'", run.path().display()))
        };
        let steps = metrics.iter().filter(|line| line.contains_key("train/tokens"));
        let of_steps = |name: &str| steps.clone().next_back().and_then(|line| line.get(name)?.as_f64());
        let evaluations = metrics.iter().filter(|line| line.contains_key("val/bits_per_byte"));
        Ok(Reached {
            bits_per_byte: last("val/bits_per_byte")?,
            bits_per_word: last("val/bits_per_word")?,
            tokens: last("train/tokens")?,
            flops: last("train/flops")?,
            steps: of_steps("step").unwrap_or_default() as u64,
            training: of_steps("time/seconds").unwrap_or_default(),
            evaluation: evaluations.filter_map(|line| line.get("time/seconds")?.as_f64()).sum(),
            hash,
        })
    }
}
