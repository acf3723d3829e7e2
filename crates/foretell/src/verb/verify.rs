//! `verify`: predictions held against their outcomes, and the registry against its own chain.

use super::predict::now;
use crate::arguments::Common;
use crate::{Failure, output};
use anyhow::anyhow;
use record::{Entry, Registry};
use scaling::LEVELS;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell verify
  foretell verify 1 --loss 2.345")]
pub struct Options {
    /// A prediction; without one, all that have an outcome
    #[arg(value_name = "ID")]
    pub id: Option<u64>,
    /// The loss that the run reached, in the prediction's unit; it is written into the registry
    #[arg(long, value_name = "LOSS", requires = "id")]
    pub loss: Option<f64>,
    /// The registry
    #[arg(long, value_name = "FILE", default_value = "predictions.jsonl", value_parser = crate::arguments::new_path())]
    pub registry: PathBuf,
}

/// A prediction and its outcome.
#[derive(Debug, Serialize)]
struct Verified {
    id: u64,
    compute_ratio: f64,
    predicted: f64,
    observed: f64,
    /// `predicted / observed − 1`.
    error: f64,
    in80: bool,
    in90: bool,
    in95: bool,
}

/// How often intervals held, over all outcomes.
#[derive(Serialize)]
struct Calibration {
    predictions: usize,
    outcomes: usize,
    in80: Option<f64>,
    in90: Option<f64>,
    in95: Option<f64>,
    /// Hash of the last entry.
    hash: Option<String>,
}

/// Follows the chain, adds an outcome if one is given, and shows how predictions fared.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let registry = Registry::at(&options.registry);
    let place = options.registry.display();
    let mut entries = registry.entries()?;
    if entries.is_empty() {
        return Err(
            anyhow!("{place}: no prediction is registered there; `predict --register` makes one").into()
        );
    }
    if let Some(id) = options.id {
        let prediction = entries.iter().find(|entry| entry.id == id && entry.kind == "prediction");
        let prediction = prediction.ok_or_else(|| anyhow!("{place}: entry {id} is no prediction"))?;
        let known = entries.iter().any(|entry| of(entry) == Some(id));
        match options.loss {
            None if !known => {
                return Err(anyhow!("prediction {id} has no outcome yet; give it with --loss").into());
            }
            None => {}
            Some(_) if known => {
                return Err(anyhow!("prediction {id} has its outcome already, and it stays").into());
            }
            Some(loss) if !(loss.is_finite() && loss > 0.0) => {
                return Err(Failure::Usage(format!("--loss {loss}: it must be positive and finite")));
            }
            Some(loss) => {
                let verified = judge(prediction, loss)?;
                let mut body = serde_json::Map::new();
                body.insert("of".into(), id.into());
                body.insert("source".into(), "given by hand".into());
                let fields = serde_json::to_value(&verified)?;
                body.extend(
                    fields
                        .as_object()
                        .into_iter()
                        .flatten()
                        .filter(|(name, _)| *name != "id")
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                entries.push(registry.append(now()?, "outcome", body)?);
            }
        }
    }
    let predictions: BTreeMap<u64, &Entry> =
        entries.iter().filter(|entry| entry.kind == "prediction").map(|entry| (entry.id, entry)).collect();
    let mut verified = Vec::new();
    for outcome in entries.iter().filter(|entry| entry.kind == "outcome") {
        let prediction = of(outcome).and_then(|id| predictions.get(&id));
        let prediction =
            prediction.ok_or_else(|| anyhow!("{place}: entry {} is of no prediction", outcome.id))?;
        // Judged anew: an outcome's own verdict is not taken on trust.
        verified.push(judge(prediction, field(outcome, "observed")?)?);
    }
    let shown = verified.iter().filter(|one| options.id.is_none_or(|id| id == one.id));
    let share = |held: fn(&Verified) -> bool| {
        let count = verified.iter().filter(|one| held(one)).count();
        (!verified.is_empty()).then(|| count as f64 / verified.len() as f64)
    };
    let calibration = Calibration {
        predictions: predictions.len(),
        outcomes: verified.len(),
        in80: share(|one| one.in80),
        in90: share(|one| one.in90),
        in95: share(|one| one.in95),
        hash: entries.last().map(|entry| entry.hash.clone()),
    };
    for one in shown {
        output::either(common, one, || line(one))?;
    }
    // With one id, its line is the summary.
    if options.id.is_some() {
        return Ok(());
    }
    Ok(output::either(common, &calibration, || {
        let mut text = format!("{place}: the chain is whole; {} predictions, ", calibration.predictions);
        text += &format!("{} with an outcome\n", calibration.outcomes);
        for (level, held) in LEVELS.iter().zip([calibration.in80, calibration.in90, calibration.in95]) {
            if let Some(held) = held {
                text += &format!("  {level} % intervals held {:.0} %\n", 100.0 * held);
            }
        }
        text
    })?)
}

/// Which prediction an outcome is of.
fn of(entry: &Entry) -> Option<u64> {
    (entry.kind == "outcome").then(|| entry.body.get("of")?.as_u64()).flatten()
}

fn field(entry: &Entry, name: &str) -> Result<f64, Failure> {
    let value = entry.body.get(name).and_then(serde_json::Value::as_f64);
    Ok(value.ok_or_else(|| anyhow!("entry {} has no number '{name}'", entry.id))?)
}

fn judge(prediction: &Entry, observed: f64) -> Result<Verified, Failure> {
    let holds = |level: u32| -> Result<bool, Failure> {
        let (low, high) =
            (field(prediction, &format!("lo{level}"))?, field(prediction, &format!("hi{level}"))?);
        Ok((low..=high).contains(&observed))
    };
    let [level80, level90, level95] = LEVELS;
    let predicted = field(prediction, "loss")?;
    Ok(Verified {
        id: prediction.id,
        compute_ratio: field(prediction, "compute_ratio")?,
        predicted,
        observed,
        error: predicted / observed - 1.0,
        in80: holds(level80)?,
        in90: holds(level90)?,
        in95: holds(level95)?,
    })
}

fn line(one: &Verified) -> String {
    let held = match (one.in80, one.in90, one.in95) {
        (true, ..) => "inside the 80 % interval",
        (_, true, _) => "inside the 90 % interval",
        (.., true) => "inside the 95 % interval",
        _ => "outside every interval",
    };
    format!(
        "{:>4}  at {:.3} times the dearest run: predicted {:.4}, observed {:.4}, error {:+.2} %, {held}\n",
        one.id,
        one.compute_ratio,
        one.predicted,
        one.observed,
        100.0 * one.error
    )
}
