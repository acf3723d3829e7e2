//! What `predict` answers, for machines, for the registry and for people.

use crate::foretold_sets::{self, SetForesight};
use crate::prediction::TargetRun;
use plan::Plan;
use scaling::backtest::Reach;
use scaling::forecast::Opinion;
use scaling::foresight::Constants;
use scaling::{Interval, Prediction, Target};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

/// The answer.
#[derive(Serialize)]
pub struct Answer {
    /// Its number, once it is registered.
    pub id: Option<u64>,
    /// N and D.
    pub target: Target,
    /// C.
    pub flops: f64,
    /// C of the dearest run times this.
    pub compute_ratio: f64,
    /// The median.
    pub loss: f64,
    /// Its unit.
    pub loss_unit: &'static str,
    /// `lo80` … `hi95`.
    #[serde(flatten)]
    pub ends: Map<String, Value>,
    /// The same in bits a word, where the words are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_word: Option<Map<String, Value>>,
    /// Further sets of a ladder: a text's loss, accuracy of questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetForesight>,
    /// What foretold it.
    pub law: &'static str,
    /// Its constants.
    pub constants: Constants,
    /// What single laws say.
    pub laws: Vec<Opinion>,
    /// Relative deviation between equal runs, if some are equal.
    pub noise: Option<f64>,
    /// How many times as wide the intervals are as without back-tests.
    pub widening: f64,
    /// The relative deviation that failing back-tests ask for at least.
    #[serde(skip_serializing_if = "is_nought")]
    pub distrust: f64,
    /// Hidden runs.
    pub backtest: Vec<Reach>,
    /// How many runs it stands on.
    pub runs: usize,
    /// Only those of at most so many FLOP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rung: Option<f64>,
    /// Files and their hashes (BLAKE3).
    pub source: Value,
    /// The program.
    pub version: String,
    /// The run itself, where it is this program's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<TargetRun>,
    /// Of the entry, once it is registered.
    pub hash: Option<String>,
}

fn is_nought(x: &f64) -> bool {
    *x == 0.0
}

/// `lo80`, `hi80` and so on, in another unit if `times` is not one.
pub fn ends(intervals: &[Interval], times: f64) -> Map<String, Value> {
    let pair = |interval: &Interval| {
        [
            (format!("lo{}", interval.level), (times * interval.low).into()),
            (format!("hi{}", interval.level), (times * interval.high).into()),
        ]
    };
    intervals.iter().flat_map(pair).collect()
}

/// A whole prediction in bits a word.
pub fn in_words(prediction: &Prediction, bytes_per_word: f64) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("loss".into(), (bytes_per_word * prediction.loss).into());
    all.extend(ends(&prediction.intervals, bytes_per_word));
    all
}

impl Answer {
    /// What the registry holds of it: everything but what the registry gives it.
    pub fn body(&self) -> serde_json::Result<Map<String, Value>> {
        let mut body = serde_json::to_value(self)?.as_object_mut().map(std::mem::take).unwrap_or_default();
        body.retain(|name, _| name != "id" && name != "hash");
        Ok(body)
    }

    /// For people.
    pub fn people(
        &self,
        prediction: &Prediction,
        place: &str,
        plan: Option<&Plan>,
        registry: &Path,
    ) -> String {
        let Target { parameters, tokens } = self.target;
        let mut text = format!(
            "A run of N = {parameters:.3e}, D = {tokens:.3e} ({:.1} tokens a parameter), C = {:.3e} FLOP,\n\
             {:.3} times the dearest of {} runs of {place}:\n",
            tokens / parameters,
            self.flops,
            self.compute_ratio,
            self.runs,
        );
        plan.iter().for_each(|plan| text += &plan.to_string());
        self.losses(prediction, &mut text);
        foretold_sets::people(&self.sets, &mut text);
        self.laws(&mut text);
        if let (Some(id), Some(hash)) = (self.id, &self.hash) {
            let _ = writeln!(text, "  registered as {id} in {}, hash {hash}", registry.display());
            if self.run.is_some() {
                let _ = writeln!(text, "  go on with: foretell train --prediction {id}");
            }
        }
        text
    }

    fn losses(&self, prediction: &Prediction, text: &mut String) {
        let words = self.bits_per_word.as_ref().and_then(|words| words.get("loss")?.as_f64());
        let words = words.map_or(String::new(), |loss| format!(", {loss:.3} bits a word"));
        let _ = writeln!(text, "  loss      {:.4} {}{words}", self.loss, self.loss_unit);
        for interval in &prediction.intervals {
            let half = 50.0 * (interval.high - interval.low) / self.loss;
            let _ = writeln!(
                text,
                "  {} %      {:.4} to {:.4}  (±{half:.1} %)",
                interval.level, interval.low, interval.high
            );
        }
    }

    fn laws(&self, text: &mut String) {
        let c = &self.constants;
        let pair = |(mean, deviation): (f64, f64)| format!("{mean:.3} ± {deviation:.3}");
        let _ = writeln!(
            text,
            "  law       {}:\n            E = {}, α = {}, β = {}",
            self.law,
            pair(c.irreducible),
            pair(c.alpha),
            pair(c.beta)
        );
        for law in &self.laws {
            let _ = writeln!(text, "  {:<9} {:.4}  alone: {}", law.law, law.loss, law.formula);
            let shown: Vec<_> =
                law.constants.iter().map(|(name, x, _)| format!("{name} = {}", short(*x))).collect();
            let _ = writeln!(text, "            {}", shown.join(", "));
        }
        if let Some(noise) = self.noise {
            let _ = writeln!(text, "  noise     equal runs differ by {:.2} %", 100.0 * noise);
        }
        if self.backtest.is_empty() {
            *text += "  back-test none: the runs do not span enough compute to hide any\n";
        }
        self.backtest.iter().for_each(|row| *text += &backtest_line(row));
        let _ = writeln!(text, "            so intervals are {:.2} times as wide as without", self.widening);
        if self.distrust > 0.0 {
            *text += "            and grow with the reach: the furthest back-tests fail, these runs follow no law\n";
        }
    }
}

/// Back-tests of one reach, for people.
pub fn backtest_line(tests: &Reach) -> String {
    format!(
        "  back-test {:>3.0}×: {} hidden runs, median error {:.2} %, 90 % intervals held {:.0} %\n",
        tests.reach,
        tests.hidden,
        100.0 * tests.median_error,
        100.0 * tests.in90
    )
}

/// A number in few digits.
pub fn short(x: f64) -> String {
    if x == 0.0 || (0.001..1e4).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.3e}") }
}
