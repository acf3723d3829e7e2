//! Further sets as the registry has them: losses of texts and buckets of questions, foretold and come out.

use crate::figure::{Row, number, opened, table, word};
use crate::html::Element;
use crate::number::{digits, percent};
use crate::page::Page;
use record::Entry;
use serde_json::Value;

/// A number that was foretold.
struct Foretold {
    entry: u64,
    what: String,
    /// Whether it is a share, shown in percent.
    share: bool,
    predicted: f64,
    /// At 90 %.
    ends: (f64, f64),
    /// Of the best rung.
    best: Option<f64>,
    observed: Option<f64>,
}

/// The table; left out where nothing was foretold beyond the held-out loss.
pub(crate) fn numbers(page: &Page) -> Option<Element> {
    let entries = page.report.ledger.as_ref()?.entries.as_ref().ok()?;
    let all: Vec<Foretold> = entries
        .iter()
        .filter(|entry| entry.kind == "prediction")
        .flat_map(|entry| of(entry, entries))
        .collect();
    let heads = ["#entry", "what", "#best rung", "#foretold", "#90 %", "#came out", "held"];
    let row = |one: &Foretold| -> Row {
        let shown = |x: f64| if one.share { percent(x, 1) } else { digits(x, 4) };
        let (low, high) = one.ends;
        let held = match one.observed.map(|observed| (low..=high).contains(&observed)) {
            Some(true) => word("90 %").class("good"),
            Some(false) => word("no").class("bad"),
            None => word(""),
        };
        vec![
            number(one.entry.to_string()),
            word(&one.what),
            number(one.best.map(shown).unwrap_or_default()),
            number(shown(one.predicted)),
            number(format!("{} to {}", shown(low), shown(high))),
            number(one.observed.map(shown).unwrap_or_default()),
            held,
        ]
        .into()
    };
    let heading = "Further sets, foretold and come out";
    (!all.is_empty()).then(|| opened(heading, table(heading, &heads, all.iter().map(row))))
}

/// What a prediction says of its sets, with its outcome; what is not understood is left out.
fn of(entry: &Entry, entries: &[Entry]) -> Vec<Foretold> {
    let outcome = entries.iter().find(|other| {
        other.kind == "outcome" && other.body.get("of").and_then(Value::as_u64) == Some(entry.id)
    });
    let outcomes = outcome.and_then(|outcome| outcome.body.get("sets")?.as_array());
    let mut all = Vec::new();
    for set in entry.body.get("sets").and_then(Value::as_array).into_iter().flatten() {
        let Some(name) = set.get("name").and_then(Value::as_str) else { continue };
        let came = outcomes.and_then(|all| all.iter().find(|one| one.get("name") == set.get("name")));
        let add = |what: String, of: &Value, median: &str, best: Option<f64>, observed: Option<f64>| {
            let field = |name: &str| of.get(name)?.as_f64();
            let (predicted, ends) = (field(median)?, (field("lo90")?, field("hi90")?));
            Some(Foretold { entry: entry.id, what, share: median == "rate", predicted, ends, best, observed })
        };
        let observed = came.and_then(|came| came.get("observed")?.as_f64());
        all.extend(add(format!("{name}, bits a byte"), set, "loss", None, observed));
        for bucket in set.get("buckets").and_then(Value::as_array).into_iter().flatten() {
            let Some(place) = bucket.get("name").and_then(Value::as_str) else { continue };
            for what in ["accuracy", "probability"] {
                let Some(rate) = bucket.get(what) else { continue };
                let best = bucket.get(format!("best_{what}")).and_then(Value::as_f64);
                let mark = came.and_then(|came| came.get("buckets")?.get(place)?.get(what)?.as_f64());
                all.extend(add(format!("{name} {place} {what}"), rate, "rate", best, mark));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outcomes_stand_beside_what_was_foretold() {
        let entry = |id: u64, kind: &str, body: Value| {
            let body = body.as_object().unwrap().clone();
            Entry { id, time: id, kind: kind.into(), body, hash: String::new() }
        };
        let rate = json!({"rate": 0.6, "lo90": 0.5, "hi90": 0.7});
        let sets = json!({"sets": [
            {"name": "code", "loss": 2.0, "lo90": 1.9, "hi90": 2.1},
            {"name": "world", "buckets": [{"name": "1", "best_accuracy": 0.4, "accuracy": rate, "probability": {"rate": 0.5}}]},
            {"strange": 1},
        ]});
        let came = json!({"of": 1, "sets": [
            {"name": "world", "buckets": {"1": {"accuracy": 0.75}}},
            {"name": "code", "observed": 2.05},
        ]});
        let entries = [entry(1, "prediction", sets), entry(2, "outcome", came)];
        let all = of(&entries[0], &entries);
        let told: Vec<_> = all.iter().map(|one| (one.what.as_str(), one.best, one.observed)).collect();
        assert_eq!(
            told,
            [("code, bits a byte", None, Some(2.05)), ("world 1 accuracy", Some(0.4), Some(0.75))]
        );
    }
}
