//! `verify`: predictions held against their outcomes, and the registry against its own chain.

use crate::arguments::Common;
use crate::foretold_sets::{self, Judged};
use crate::outcome::Outcome;
use crate::prediction::{self, Prediction};
use crate::{Failure, machine, output};
use anyhow::anyhow;
use record::{Entry, Registry};
use scaling::LEVELS;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Options of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell verify
  foretell verify 1
  foretell verify 1 --run runs/mine
  foretell verify 2 --loss 2.345")]
pub struct Options {
    /// A prediction; without one, all that have an outcome
    #[arg(value_name = "ID")]
    pub id: Option<u64>,
    /// The run that was foretold, whose outcome is written into the registry [default: runs/prediction-ID]
    #[arg(long, value_name = "RUN", requires = "id", conflicts_with = "loss", value_parser = crate::arguments::path())]
    pub run: Option<PathBuf>,
    /// The loss that a run of other people reached, in the prediction's unit; it is written into the registry
    #[arg(long, value_name = "LOSS", requires = "id")]
    pub loss: Option<f64>,
    /// The registry
    #[arg(long, value_name = "FILE", default_value = "predictions.jsonl", value_parser = crate::arguments::new_path())]
    pub registry: PathBuf,
}

/// A prediction and its outcome.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// The prediction's number.
    pub id: u64,
    /// N and D.
    pub target: scaling::Target,
    /// The target's FLOP over those of the dearest run.
    pub compute_ratio: f64,
    /// The median.
    pub predicted: f64,
    /// What was reached.
    pub observed: f64,
    /// `predicted / observed − 1`.
    pub error: f64,
    /// Whether the interval held it, at 80 %.
    pub in80: bool,
    /// At 90 %.
    pub in90: bool,
    /// At 95 %.
    pub in95: bool,
    /// Lower and upper end at 90 %.
    pub interval90: (f64, f64),
    /// Of our own runs: foretold over actual seconds, less one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_error: Option<f64>,
    /// Of our own runs: foretold over actual bytes of memory, less one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_error: Option<f64>,
    /// Further sets that were foretold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<Judged>,
}

/// How often intervals held, over all outcomes.
#[derive(Serialize)]
struct Calibration {
    predictions: usize,
    outcomes: usize,
    in80: Option<f64>,
    in90: Option<f64>,
    in95: Option<f64>,
    /// Of the losses of further texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Held>,
    /// Of the accuracies of buckets of questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracies: Option<Held>,
    /// Of the mean probabilities of right answers of the same buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<Held>,
    /// Hash of the last entry.
    hash: Option<String>,
}

/// How often intervals of one kind held.
#[derive(Clone, Copy, Serialize)]
struct Held {
    outcomes: usize,
    in80: f64,
    in90: f64,
    in95: f64,
}

impl Held {
    fn of(verified: &[Verified], fits: fn(&Judged) -> bool) -> Option<Held> {
        let all: Vec<&Judged> =
            verified.iter().flat_map(|one| &one.sets).filter(|judged| fits(judged)).collect();
        let share = |held: fn(&Judged) -> bool| {
            all.iter().filter(|judged| held(judged)).count() as f64 / all.len() as f64
        };
        (!all.is_empty()).then(|| Held {
            outcomes: all.len(),
            in80: share(|one| one.in80),
            in90: share(|one| one.in90),
            in95: share(|one| one.in95),
        })
    }
}

/// Follows the chain, adds an outcome if there is a new one, and shows how predictions fared.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let registry = Registry::at(&options.registry);
    let place = options.registry.display();
    let mut entries = registry.entries()?;
    if entries.is_empty() {
        return Err(
            anyhow!("{place}: no prediction is registered there; `predict --register` makes one").into()
        );
    }
    // An outcome that does not hold is none to add behind.
    verified(&entries, &options.registry)?;
    if let Some(id) = options.id {
        entries.extend(outcome(options, id, &registry, &entries)?);
    }
    let verified = verified(&entries, &options.registry)?;
    let shown = verified.iter().filter(|one| options.id.is_none_or(|id| id == one.id));
    for one in shown {
        output::either(common, one, || line(one))?;
    }
    // With one id, its line is the summary.
    if options.id.is_some() {
        return Ok(());
    }
    let calibration = calibration(&entries, &verified);
    Ok(output::either(common, &calibration, || {
        let mut text = format!("{place}: the chain is whole; {} predictions, ", calibration.predictions);
        text += &format!("{} with an outcome\n", calibration.outcomes);
        for (level, held) in LEVELS.iter().zip([calibration.in80, calibration.in90, calibration.in95]) {
            if let Some(held) = held {
                text += &format!("  {level} % intervals held {:.0} %\n", 100.0 * held);
            }
        }
        for (what, held) in [
            ("losses of further texts", calibration.texts),
            ("accuracies of buckets", calibration.accuracies),
            ("mean probabilities of buckets", calibration.probabilities),
        ] {
            if let Some(Held { outcomes, in80, in90, in95 }) = held {
                let [in80, in90, in95] = [in80, in90, in95].map(|share| 100.0 * share);
                text += &format!(
                    "  of {outcomes} {what} the 80, 90 and 95 % intervals held {in80:.0}, {in90:.0} and {in95:.0} %\n"
                );
            }
        }
        text += &calibration
            .hash
            .as_ref()
            .map_or(String::new(), |hash| format!("  hash of the last entry: {hash}\n"));
        text
    })?)
}

/// Adds the outcome of a prediction, unless it has one and no other is offered.
fn outcome(
    options: &Options,
    id: u64,
    registry: &Registry,
    entries: &[Entry],
) -> Result<Option<Entry>, Failure> {
    let entry = prediction::entry(entries, id, &options.registry)?;
    let ours = Prediction::of(entry)?;
    let offered = options.loss.is_some() || options.run.is_some();
    if known(entries, id) && !offered {
        return Ok(None);
    }
    once(entries, id)?;
    let mut body = Map::new();
    body.insert("of".into(), id.into());
    let facts = match (&ours, options.loss, &options.run) {
        (Some(_), Some(_), _) => {
            return Err(Failure::Usage(format!(
                "--loss: prediction {id} is of a run of this program, and that run is the evidence: verify {id} --run RUN"
            )));
        }
        (Some(ours), None, run) => {
            let folder = run.clone().unwrap_or_else(|| Prediction::folder(id));
            let outcome = Outcome::of(ours, entries, &folder)?;
            (outcome.observed, serde_json::to_value(&outcome)?)
        }
        (None, _, Some(_)) => {
            return Err(Failure::Usage(format!(
                "--run: prediction {id} is of other people's runs; give the loss that theirs reached with --loss"
            )));
        }
        (None, None, None) => {
            return Err(anyhow!("prediction {id} has no outcome yet; give it with --loss").into());
        }
        (None, Some(loss), None) if !(loss.is_finite() && loss > 0.0) => {
            return Err(Failure::Usage(format!("--loss {loss}: it must be positive and finite")));
        }
        (None, Some(loss), None) => (loss, serde_json::json!({"source": BY_HAND})),
    };
    let (observed, facts) = facts;
    let judged = serde_json::to_value(judge(entry, observed)?)?;
    let fields = [judged, facts].into_iter().filter_map(|value| value.as_object().cloned()).flatten();
    body.extend(fields.filter(|(name, _)| name != "id"));
    let judged = foretold_sets::judge(entry, &body)?;
    if !judged.is_empty() {
        body.insert("sets_judged".into(), serde_json::to_value(&judged)?);
    }
    // Another may have verified it meanwhile.
    let added = registry.append_with(machine::now()?, "outcome", |entries| {
        once(entries, id)?;
        Ok::<_, Failure>(body)
    });
    added.map(Some)
}

/// Source of an outcome that was typed.
const BY_HAND: &str = "given by hand";

/// Which prediction an outcome is of.
fn of(entry: &Entry) -> Option<u64> {
    (entry.kind == "outcome").then(|| entry.body.get("of")?.as_u64()).flatten()
}

/// Whether a prediction has its outcome.
pub fn known(entries: &[Entry], id: u64) -> bool {
    entries.iter().any(|entry| of(entry) == Some(id))
}

/// Refuses a second outcome.
fn once(entries: &[Entry], id: u64) -> Result<(), Failure> {
    match known(entries, id) {
        true => Err(anyhow!("prediction {id} has its outcome already, and it stays").into()),
        false => Ok(()),
    }
}

/// All outcomes, judged anew: an outcome's own verdict is not taken on trust.
pub fn verified(entries: &[Entry], registry: &Path) -> Result<Vec<Verified>, Failure> {
    let mut found = BTreeMap::new();
    for outcome in entries.iter().filter(|entry| entry.kind == "outcome") {
        let wrong = |what: String| anyhow!("{}: entry {} {what}", registry.display(), outcome.id);
        let prediction = of(outcome)
            .and_then(|id| entries.iter().find(|entry| entry.id == id && entry.kind == "prediction"))
            .ok_or_else(|| wrong("is of no prediction".into()))?;
        if prediction.id > outcome.id {
            return Err(wrong(format!("stands before its prediction, {}", prediction.id)).into());
        }
        if Prediction::of(prediction)?.is_some() && outcome.body.get("metrics_hash").is_none() {
            return Err(wrong("is of a run of this program, and names no record of it".into()).into());
        }
        let mut one = judge(prediction, field(outcome, "observed")?)?;
        let over = |foretold: &str, actual: &str| {
            let value = |name: &str| outcome.body.get(name).and_then(Value::as_f64);
            Some(value(foretold)? / value(actual)?.max(f64::MIN_POSITIVE) - 1.0)
        };
        one.seconds_error = over("foretold_seconds", "seconds");
        one.memory_error = over("foretold_memory_bytes", "memory_bytes");
        one.sets = foretold_sets::judge(prediction, &outcome.body)?;
        if found.insert(prediction.id, one).is_some() {
            return Err(wrong(format!("is a second outcome of prediction {}", prediction.id)).into());
        }
    }
    Ok(found.into_values().collect())
}

fn calibration(entries: &[Entry], verified: &[Verified]) -> Calibration {
    let share = |held: fn(&Verified) -> bool| {
        let count = verified.iter().filter(|one| held(one)).count();
        (!verified.is_empty()).then(|| count as f64 / verified.len() as f64)
    };
    Calibration {
        predictions: entries.iter().filter(|entry| entry.kind == "prediction").count(),
        outcomes: verified.len(),
        in80: share(|one| one.in80),
        in90: share(|one| one.in90),
        in95: share(|one| one.in95),
        texts: Held::of(verified, |one| one.bucket.is_none()),
        accuracies: Held::of(verified, |one| one.of == foretold_sets::ACCURACY),
        probabilities: Held::of(verified, |one| one.of == foretold_sets::PROBABILITY),
        hash: entries.last().map(|entry| entry.hash.clone()),
    }
}

fn field(entry: &Entry, name: &str) -> Result<f64, Failure> {
    let value = entry.body.get(name).and_then(Value::as_f64);
    Ok(value.ok_or_else(|| anyhow!("entry {} has no number '{name}'", entry.id))?)
}

fn judge(prediction: &Entry, observed: f64) -> Result<Verified, Failure> {
    let holds = |level: u32| -> Result<bool, Failure> {
        let (low, high) =
            (field(prediction, &format!("lo{level}"))?, field(prediction, &format!("hi{level}"))?);
        Ok((low..=high).contains(&observed))
    };
    let [level80, level90, level95] = LEVELS;
    let interval90 = (field(prediction, "lo90")?, field(prediction, "hi90")?);
    let predicted = field(prediction, "loss")?;
    let target = prediction.body.get("target").cloned().unwrap_or_default();
    let target = serde_json::from_value(target)
        .map_err(|error| anyhow!("entry {}: target: {error}", prediction.id))?;
    Ok(Verified {
        id: prediction.id,
        target,
        compute_ratio: field(prediction, "compute_ratio")?,
        predicted,
        observed,
        error: predicted / observed - 1.0,
        in80: holds(level80)?,
        in90: holds(level90)?,
        in95: holds(level95)?,
        interval90,
        seconds_error: None,
        memory_error: None,
        sets: Vec::new(),
    })
}

fn line(one: &Verified) -> String {
    let held = match (one.in80, one.in90, one.in95) {
        (true, ..) => "inside the 80 % interval",
        (_, true, _) => "inside the 90 % interval",
        (.., true) => "inside the 95 % interval",
        _ => "outside every interval",
    };
    let cost = match (one.seconds_error, one.memory_error) {
        (Some(seconds), Some(memory)) => {
            format!("; time {:+.1} %, memory {:+.1} %", 100.0 * seconds, 100.0 * memory)
        }
        _ => String::new(),
    };
    format!(
        "{:>4}  at {:.3} times the dearest run: predicted {:.4}, observed {:.4}, error {:+.2} %, {held}{cost}\n",
        one.id,
        one.compute_ratio,
        one.predicted,
        one.observed,
        100.0 * one.error
    ) + &foretold_sets::lines(&one.sets)
}
