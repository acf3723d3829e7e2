//! The outcome of a prediction, from the folder of its run, which is its evidence: what the run reached, or why
//! it is no outcome of this prediction.

use crate::Failure;
use crate::foretold_sets::{self, SetOutcome};
use crate::prediction::Prediction;
use crate::reached::Reached;
use anyhow::anyhow;
use record::{Entry, Run};
use serde::Serialize;
use std::path::{Path, PathBuf};
use train::TrainConfig;

/// What the registry holds of a run that was foretold.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Its folder.
    pub run: PathBuf,
    /// Held-out bits a byte.
    pub observed: f64,
    /// Held-out bits a word.
    pub bits_per_word: f64,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// How that is known: `hash`, if it names an entry that is not older than the prediction; else `clock`.
    pub order: &'static str,
    /// Seconds of training and evaluation.
    pub seconds: f64,
    /// As they were foretold.
    pub foretold_seconds: f64,
    /// Bytes that it held.
    pub memory_bytes: u64,
    /// As they were foretold.
    pub foretold_memory_bytes: u64,
    /// Threads that it ran on; 0: one a core.
    pub threads: usize,
    /// Hash of its metrics.
    pub metrics_hash: String,
    /// Hash of its `run.toml`.
    pub config_hash: String,
    /// Hash of its last checkpoint's manifest, which has those of the weights.
    pub checkpoint_hash: String,
    /// What it made of the further sets that were foretold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetOutcome>,
    /// Program and commit that ran it.
    pub version: String,
}

impl Outcome {
    /// Of the run in a folder; refused with every reason if it is no outcome of the prediction.
    pub fn of(prediction: &Prediction, entries: &[Entry], folder: &Path) -> Result<Outcome, Failure> {
        let run = Run::open(folder)?;
        let place = folder.display();
        if !run.done() {
            let step = run.latest()?.0.map_or(0, |checkpoint| checkpoint.step);
            let text = format!("the run is not done: step {step} of {} is saved", prediction.run.steps);
            return Err(anyhow!("{place}: {text}; go on with: foretell resume {place}").into());
        }
        let Some(seal) = run.seal()? else {
            let text =
                "its DONE has no hashes of its records, so that nobody knows whether these were altered";
            return Err(anyhow!("{place}: {text}; train it anew with this version").into());
        };
        let (bytes, config_hash) = run.record("run.toml")?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let config = TrainConfig::from_toml(&text, &folder.join("run.toml"))?;
        let reached = Reached::of(&run)?;

        let mut reasons = differences(&prediction.run.config, &text)?;
        let (order, early) = order(prediction, entries, &config);
        reasons.extend(early);
        let (steps, tokens) = (prediction.run.steps, prediction.run.tokens);
        if reached.steps != steps || reached.tokens != tokens as f64 {
            reasons.push(format!(
                "its metrics end at step {} with {} tokens, where {steps} steps with {tokens} were foretold",
                reached.steps, reached.tokens
            ));
        }
        let (latest, damaged) = run.latest()?;
        reasons.extend(damaged.iter().map(ToString::to_string));
        let checkpoint_hash = match latest {
            Some(last) if last.step == config.steps => {
                if train::made_with(&last)?.as_deref() != Some(TrainConfig::hash(&text)?.as_str()) {
                    reasons.push("its weights were trained by another run.toml".into());
                }
                record::hash(&crate::input::read(&last.path.join("manifest.json"))?)
            }
            _ => {
                reasons.push(format!("it has no sound checkpoint of its last step, {}", config.steps));
                String::new()
            }
        };
        if !(reached.bits_per_byte.is_finite() && reached.bits_per_byte > 0.0) {
            reasons.push(format!("its held-out loss is {}", reached.bits_per_byte));
        }
        if !reasons.is_empty() {
            let id = prediction.entry.id;
            return Err(
                anyhow!("{place} is no outcome of prediction {id}:\n  - {}", reasons.join("\n  - ")).into()
            );
        }
        let foretold = &prediction.run;
        Ok(Outcome {
            run: folder.into(),
            observed: reached.bits_per_byte,
            bits_per_word: reached.bits_per_word,
            started: config.origin.started,
            order,
            seconds: reached.training + reached.evaluation,
            foretold_seconds: foretold.seconds.training + foretold.seconds.evaluation,
            memory_bytes: seal.memory_bytes,
            foretold_memory_bytes: foretold.memory_bytes,
            threads: config.machine.threads,
            metrics_hash: reached.hash,
            config_hash,
            checkpoint_hash,
            sets: foretold_sets::outcomes(&prediction.entry, &run)?,
            version: config.origin.version,
        })
    }
}

/// How it is known that a run began after its prediction, by what it says of its beginning, and why it did not.
fn order(prediction: &Prediction, entries: &[Entry], config: &TrainConfig) -> (&'static str, Vec<String>) {
    let (entry, origin) = (&prediction.entry, &config.origin);
    let mut reasons = Vec::new();
    match origin.started {
        0 => reasons.push("it does not say when it began".into()),
        began if began < entry.time => {
            reasons.push(format!("it began {} s before the prediction was registered", entry.time - began));
        }
        _ => {}
    }
    let Some(named) = &origin.prediction else { return ("clock", reasons) };
    if !entries.iter().any(|other| other.id == named.id && other.hash == named.hash) {
        reasons.push(format!("it was begun for an entry {} that this registry has not", named.id));
    }
    (if named.id >= entry.id { "hash" } else { "clock" }, reasons)
}

/// In what a run differs from its target, by kind.
fn differences(target: &str, run: &str) -> Result<Vec<String>, Failure> {
    let differ = TrainConfig::differences(target, run)?;
    let kind = |name: &str| match name {
        "data.hash" => "data",
        "data.eval_hash" => "held-out set",
        "steps" | "rows" => "tokens",
        name if name.starts_with("evaluation.") => "held-out set",
        name if name.starts_with("model.") => "shape",
        _ => "settings",
    };
    let of = |wanted: &str| {
        let all: Vec<String> = differ
            .iter()
            .filter(|(name, ..)| kind(name) == wanted)
            .map(|(name, target, run)| format!("{name} = {run}, not {target}"))
            .collect();
        (!all.is_empty()).then(|| format!("it differs in its {wanted}: {}", all.join("; ")))
    };
    Ok(["shape", "tokens", "data", "held-out set", "settings"].into_iter().filter_map(of).collect())
}
