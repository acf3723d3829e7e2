//! What a run tells while it goes on: lines of `metrics.jsonl` and `samples.jsonl`, and who listens.

use crate::Result;
use engine::Store;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A step's line in `metrics.jsonl`. What does not begin with `time/` is a function of the
/// configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepLine {
    /// Counted from 1.
    pub step: u64,
    /// Weighted mean, nats a token.
    #[serde(rename = "train/loss")]
    pub loss: Option<f64>,
    /// Before clipping.
    #[serde(rename = "train/gradient_norm")]
    pub gradient_norm: Option<f64>,
    /// The schedule's.
    #[serde(rename = "train/learning_rate")]
    pub learning_rate: f64,
    /// Tokens trained on, this step's included.
    #[serde(rename = "train/tokens")]
    pub tokens: u64,
    /// FLOPs spent, this step's included.
    #[serde(rename = "train/flops")]
    pub flops: f64,
    /// Steps passed over because a number was not finite.
    #[serde(rename = "train/skipped")]
    pub skipped: u64,
    /// Seconds of training, this step's included; evaluations and checkpoints are not.
    #[serde(rename = "time/seconds")]
    pub seconds: f64,
    /// Tokens a second in this step.
    #[serde(rename = "time/tokens_per_s")]
    pub tokens_per_s: f64,
    /// FLOPs a second in this step.
    #[serde(rename = "time/flop_per_s")]
    pub flop_per_s: f64,
    /// Of the machine's peak.
    #[serde(rename = "time/share_of_peak")]
    pub share_of_peak: f64,
    /// Share of this step's time in which pictures were waited for; only where there are some.
    #[serde(rename = "time/waiting", default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
}

/// An evaluation's line in `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalLine {
    /// Steps taken.
    pub step: u64,
    /// Nats a token.
    #[serde(rename = "val/loss")]
    pub loss: f64,
    /// Bits a byte of text.
    #[serde(rename = "val/bits_per_byte")]
    pub bits_per_byte: f64,
    /// Bits a word.
    #[serde(rename = "val/bits_per_word")]
    pub bits_per_word: f64,
    /// Seconds it took.
    #[serde(rename = "time/seconds")]
    pub seconds: f64,
}

/// A line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleLine {
    /// Steps taken.
    pub step: u64,
    /// What was continued.
    pub prompt: String,
    /// With what.
    pub text: String,
}

/// What a model scored on a further set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetScores {
    /// The set's.
    pub name: String,
    /// Names and values; in `metrics.jsonl` each name stands behind `set/<name>/`.
    pub values: Vec<(&'static str, f64)>,
    /// The lines of `questions-<name>.jsonl`, if it holds questions.
    pub questions: Option<String>,
    /// Bytes of the arena in which it and the others were scored.
    pub bytes: usize,
}

impl SetScores {
    /// Its line in `metrics.jsonl`.
    pub fn line(&self, step: u64) -> serde_json::Map<String, serde_json::Value> {
        let named = |(value, x): &(&str, f64)| (format!("set/{}/{value}", self.name), (*x).into());
        [("step".into(), step.into())].into_iter().chain(self.values.iter().map(named)).collect()
    }
}

/// Who follows a run. All methods do nothing unless they are written.
pub trait Events {
    /// After a step.
    fn step(&mut self, line: &StepLine) {
        let _ = line;
    }

    /// After an evaluation.
    fn evaluated(&mut self, line: &EvalLine) {
        let _ = line;
    }

    /// After a checkpoint.
    fn saved(&mut self, step: u64, path: &Path) {
        let _ = (step, path);
    }

    /// Something that the user should know.
    fn note(&mut self, text: &str) {
        let _ = text;
    }

    /// Continues the configured prompts; what it returns is recorded.
    fn samples(&mut self, step: u64, params: &Store) -> Result<Vec<SampleLine>> {
        let _ = (step, params);
        Ok(Vec::new())
    }

    /// Scores the further sets of the configuration, in their order; what it returns is recorded. A run that
    /// has such sets fails if one is missing.
    fn scores(&mut self, step: u64, params: &Store) -> Result<Vec<SetScores>> {
        let _ = (step, params);
        Ok(Vec::new())
    }
}

/// Nobody follows.
#[derive(Debug)]
pub struct Quiet;

impl Events for Quiet {}
