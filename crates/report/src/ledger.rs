//! The registry of predictions, read for people: what was foretold, and what came out.

use record::Entry;
use scaling::LEVELS;
use serde_json::Value;
use std::collections::BTreeSet;

/// A registry as it was found.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Its file, as it was given.
    pub file: String,
    /// Its entries, or what breaks their chain.
    pub entries: Result<Vec<Entry>, String>,
}

/// A prediction.
#[derive(Clone, Debug)]
pub(crate) struct Foretold {
    pub(crate) id: u64,
    pub(crate) time: u64,
    pub(crate) hash: String,
    pub(crate) parameters: f64,
    pub(crate) tokens: f64,
    pub(crate) flops: f64,
    /// How many times dearer than the dearest run that foretold it.
    pub(crate) reach: f64,
    pub(crate) loss: f64,
    pub(crate) unit: String,
    /// Ends of the intervals, in the order of [`LEVELS`].
    pub(crate) ends: [(f64, f64); 3],
    pub(crate) version: String,
    /// Where its runs come from.
    pub(crate) source: String,
    /// Hashes of their metrics.
    pub(crate) hashes: BTreeSet<String>,
    pub(crate) outcome: Option<Outcome>,
}

/// What came out.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) id: u64,
    pub(crate) time: u64,
    pub(crate) hash: String,
    pub(crate) loss: f64,
    /// Who says so.
    pub(crate) source: String,
    /// Every word of the entry, among which may be the hash of a run's metrics.
    pub(crate) words: BTreeSet<String>,
    /// Foretold over actual seconds, less one, if both are known.
    pub(crate) seconds: Option<f64>,
    /// Foretold over actual bytes of memory, less one, if both are known.
    pub(crate) memory: Option<f64>,
}

impl Foretold {
    /// `foretold / came out − 1`, if it is known.
    pub(crate) fn error(&self) -> Option<f64> {
        self.outcome.as_ref().map(|outcome| self.loss / outcome.loss - 1.0)
    }

    /// The narrowest interval that held the outcome: its level, or `None` if none did.
    pub(crate) fn held(&self, outcome: &Outcome) -> Option<u32> {
        let holds = |(low, high): (f64, f64)| (low..=high).contains(&outcome.loss);
        LEVELS.iter().zip(self.ends).find(|(_, ends)| holds(*ends)).map(|(level, _)| *level)
    }

    /// Tokens a parameter.
    pub(crate) fn ratio(&self) -> f64 {
        self.tokens / self.parameters
    }

    /// The anchor of its row.
    pub(crate) fn anchor(&self) -> String {
        format!("entry-{}", self.id)
    }
}

/// The predictions of a registry with their outcomes, and what is to be said of entries that are neither.
pub(crate) fn read(entries: &[Entry]) -> (Vec<Foretold>, Vec<String>) {
    let (mut all, mut notes) = (Vec::<Foretold>::new(), Vec::new());
    for entry in entries {
        match entry.kind.as_str() {
            "prediction" => match foretold(entry) {
                Ok(foretold) => all.push(foretold),
                Err(name) => notes.push(format!("Entry {} is a prediction without '{name}'.", entry.id)),
            },
            "outcome" => {
                let of = entry.body.get("of").and_then(Value::as_u64);
                let prediction = all.iter_mut().find(|one| Some(one.id) == of);
                match (prediction, outcome(entry)) {
                    (Some(prediction), Some(outcome)) => prediction.outcome = Some(outcome),
                    _ => notes.push(format!("Entry {} is an outcome of no prediction here.", entry.id)),
                }
            }
            kind => notes.push(format!("Entry {} is of another kind: {kind}.", entry.id)),
        }
    }
    (all, notes)
}

/// Names what is missing.
fn foretold(entry: &Entry) -> Result<Foretold, String> {
    let number = |value: Option<&Value>, name: &str| {
        value.and_then(Value::as_f64).filter(|x| x.is_finite()).ok_or_else(|| name.to_string())
    };
    let field = |name: &str| number(entry.body.get(name), name);
    let target = entry.body.get("target");
    let of_target = |name: &str| number(target.and_then(|target| target.get(name)), name);
    let text = |name: &str| entry.body.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let mut ends = [(0.0, 0.0); 3];
    for (level, ends) in LEVELS.iter().zip(&mut ends) {
        *ends = (field(&format!("lo{level}"))?, field(&format!("hi{level}"))?);
    }
    let source = entry.body.get("source");
    let place = ["ladder", "log"].iter().find_map(|name| source?.get(name)?.as_str());
    let mut hashes = BTreeSet::new();
    words(source.and_then(|source| source.get("rungs")), &mut hashes);
    Ok(Foretold {
        id: entry.id,
        time: entry.time,
        hash: entry.hash.clone(),
        parameters: of_target("parameters")?,
        tokens: of_target("tokens")?,
        flops: field("flops")?,
        reach: field("compute_ratio")?,
        loss: field("loss")?,
        unit: text("loss_unit"),
        ends,
        version: text("version"),
        source: place.unwrap_or_default().to_string(),
        hashes,
        outcome: None,
    })
}

fn outcome(entry: &Entry) -> Option<Outcome> {
    let loss = entry.body.get("observed")?.as_f64().filter(|loss| loss.is_finite() && *loss > 0.0)?;
    let mut all = BTreeSet::new();
    entry.body.values().for_each(|value| words(Some(value), &mut all));
    let text = |name: &str| entry.body.get(name).and_then(Value::as_str);
    let source = text("run").or(text("source")).unwrap_or_default().to_string();
    let over = |foretold: &str, actual: &str| {
        let value = |name: &str| entry.body.get(name).and_then(Value::as_f64).filter(|x| *x > 0.0);
        Some(value(foretold)? / value(actual)? - 1.0)
    };
    Some(Outcome {
        id: entry.id,
        time: entry.time,
        hash: entry.hash.clone(),
        loss,
        source,
        words: all,
        seconds: over("foretold_seconds", "seconds"),
        memory: over("foretold_memory_bytes", "memory_bytes"),
    })
}

/// Every string in a value.
fn words(value: Option<&Value>, into: &mut BTreeSet<String>) {
    match value {
        Some(Value::String(text)) => {
            into.insert(text.clone());
        }
        Some(Value::Array(all)) => all.iter().for_each(|value| words(Some(value), into)),
        Some(Value::Object(all)) => all.values().for_each(|value| words(Some(value), into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(id: u64, kind: &str, body: Value) -> Entry {
        let body = body.as_object().unwrap().clone();
        Entry { id, time: 1000 + id, kind: kind.into(), body, hash: format!("h{id}") }
    }

    fn prediction(id: u64) -> Entry {
        let body = json!({
            "target": {"parameters": 1e6, "tokens": 2e7}, "flops": 1.2e14, "compute_ratio": 30.0, "loss": 2.0,
            "loss_unit": "bits a byte", "lo80": 1.9, "hi80": 2.1, "lo90": 1.8, "hi90": 2.2, "lo95": 1.7, "hi95": 2.3,
            "version": "0.1.0", "source": {"ladder": "l", "rungs": {"a": "ha", "b": "hb"}},
        });
        entry(id, "prediction", body)
    }

    #[test]
    fn outcomes_find_their_predictions() {
        let outcome = entry(
            3,
            "outcome",
            json!({"of": 2, "observed": 2.15, "run": "r", "metrics_hash": "m", "foretold_seconds": 9, "seconds": 10}),
        );
        let (all, notes) = read(&[prediction(1), prediction(2), outcome]);
        assert!(notes.is_empty() && all.len() == 2 && all[0].outcome.is_none());
        let outcome = all[1].outcome.clone().unwrap();
        assert_eq!((all[1].held(&outcome), outcome.source.as_str()), (Some(90), "r"));
        assert!((outcome.seconds.unwrap() + 0.1).abs() < 1e-12 && outcome.memory.is_none());
        assert!(outcome.words.contains("m") && all[0].hashes.contains("hb"));
        assert!((all[1].error().unwrap() - (2.0 / 2.15 - 1.0)).abs() < 1e-12);
        let far = Outcome { loss: 9.0, ..outcome };
        assert_eq!(all[1].held(&far), None);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let mut strange = prediction(1);
        strange.body.shift_remove("lo90");
        let lost = entry(2, "outcome", json!({"of": 7, "observed": 1.0}));
        let (all, notes) = read(&[strange, lost, entry(3, "promise", json!({}))]);
        assert!(all.is_empty() && notes.len() == 3);
        assert!(
            notes[0].contains("lo90") && notes[1].contains("no prediction") && notes[2].contains("promise")
        );
    }
}
