//! `predict`: the loss of a run that nobody has paid for yet, from finished ones.

use crate::arguments::Common;
use crate::ladder::Ladder;
use crate::runs::{self, Columns};
use crate::{Failure, machine, output};
use anyhow::anyhow;
use plan::Budget;
use record::{Entry, Registry};
use scaling::backtest::{Reach, reaches};
use scaling::forecast::Opinion;
use scaling::{Family, Interval, Prediction, Run, Target};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Options of `predict`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell predict ladders/real --budget 1e14 --register
  foretell predict --log runs.csv --budget N=7e9,D=1.4e11
  foretell predict --log sweep.jsonl --columns params=N,tokens=D,loss=val --budget 1e22 --register")]
pub struct Options {
    /// Folder of a ladder
    #[arg(value_name = "LADDER", required_unless_present = "log", conflicts_with = "log")]
    pub ladder: Option<PathBuf>,
    /// Other people's finished runs of one family: CSV, or JSONL with an object a line
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Which column of the log is what: params, tokens, loss, flops (or 6·N·D is taken), run (rows of a curve)
    #[arg(
        long,
        value_name = "ROLE=COLUMN,…",
        default_value = "",
        hide_default_value = true,
        requires = "log"
    )]
    pub columns: String,
    /// The run to foretell: a size (N=7e9,D=1.4e11), or FLOP (1e22) spent as the law says is best
    #[arg(long, value_name = "BUDGET")]
    pub budget: String,
    /// Write the prediction into the registry, before its outcome is known
    #[arg(long)]
    pub register: bool,
    /// The registry
    #[arg(long, value_name = "FILE", default_value = "predictions.jsonl", value_parser = crate::arguments::new_path())]
    pub registry: PathBuf,
}

/// The answer.
#[derive(Serialize)]
struct Answer {
    id: Option<u64>,
    target: Target,
    flops: f64,
    compute_ratio: f64,
    loss: f64,
    loss_unit: &'static str,
    #[serde(flatten)]
    ends: serde_json::Map<String, serde_json::Value>,
    law: &'static str,
    constants: scaling::foresight::Constants,
    laws: Vec<Opinion>,
    /// Relative deviation between equal runs, if some are equal.
    noise: Option<f64>,
    widening: f64,
    backtest: Vec<Reach>,
    runs: usize,
    /// Files and their hashes (BLAKE3).
    source: serde_json::Value,
    version: String,
    hash: Option<String>,
}

/// Foretells, and registers if asked to.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let budget: Budget = options.budget.parse().map_err(Failure::of_plan)?;
    let known = known(options)?;
    known.notes.iter().for_each(|note| eprintln!("note: {note}"));
    let family = Family::new(&known.runs)?;
    let target = target(&family, budget)?;
    let forecast = family.forecast(&target)?;
    let prediction = &forecast.prediction;
    let mut answer = Answer {
        id: None,
        target,
        flops: forecast.flops,
        compute_ratio: forecast.reach,
        loss: prediction.loss,
        loss_unit: known.unit,
        ends: ends(&prediction.intervals),
        law: "joint law, averaged over its exponents and over which runs resemble the target",
        constants: prediction.constants,
        laws: forecast.opinions,
        noise: forecast.noise.map(|noise| noise.deviation),
        widening: forecast.widening,
        backtest: reaches(&forecast.backtests),
        runs: known.runs.len(),
        source: known.source,
        version: machine::version(),
        hash: None,
    };
    if options.register {
        let registry = Registry::at(&options.registry);
        let mut body = serde_json::to_value(&answer)?;
        let body = body.as_object_mut().map(std::mem::take).unwrap_or_default();
        let body = body.into_iter().filter(|(name, _)| name != "id" && name != "hash").collect();
        let entry: Entry = registry.append(now()?, "prediction", body)?;
        (answer.id, answer.hash) = (Some(entry.id), Some(entry.hash));
    }
    Ok(output::either(common, &answer, || people(options, &answer, prediction, &known.place))?)
}

/// Finished runs, and where they come from.
struct Known {
    runs: Vec<Run>,
    unit: &'static str,
    notes: Vec<String>,
    /// For people.
    place: String,
    /// For the record: files and their hashes.
    source: serde_json::Value,
}

fn known(options: &Options) -> Result<Known, Failure> {
    match (&options.ladder, &options.log) {
        (Some(path), _) => {
            let ladder = Ladder::open(path)?;
            let (rungs, unfinished) = ladder.finished(path)?;
            let notes = (!unfinished.is_empty())
                .then(|| format!("{} of {} rungs are not done", unfinished.len(), ladder.rungs.len()));
            let hashes: serde_json::Map<_, _> =
                rungs.iter().map(|rung| (rung.name.clone(), rung.hash.clone().into())).collect();
            Ok(Known {
                runs: rungs.iter().map(|rung| rung.run).collect(),
                unit: "bits a byte",
                notes: notes.into_iter().collect(),
                place: path.display().to_string(),
                source: serde_json::json!({
                    "ladder": path, "data_hash": ladder.data_hash, "eval_hash": ladder.eval_hash, "rungs": hashes,
                }),
            })
        }
        (None, Some(path)) => {
            let log = runs::read(path, &Columns::parse(&options.columns)?)?;
            let hash = record::hash(&crate::input::read(path)?);
            Ok(Known {
                runs: log.runs,
                unit: "as in the log",
                notes: log.notes,
                place: path.display().to_string(),
                source: serde_json::json!({"log": path, "hash": hash}),
            })
        }
        (None, None) => Err(Failure::Usage("a LADDER or --log is needed".into())),
    }
}

/// Seconds since 1970.
pub fn now() -> Result<u64, Failure> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since.map_err(|_| anyhow!("the clock stands before 1970; set it"))?.as_secs())
}

/// What a budget asks for: of FLOP, the size that reaches the lowest loss.
pub fn target(family: &Family, budget: Budget) -> Result<Target, Failure> {
    let usage = |text: &str| Failure::Usage(format!("--budget {budget}: {text}"));
    match budget {
        Budget::Size { parameters: Some(parameters), tokens: Some(tokens) } => {
            Ok(Target { parameters, tokens })
        }
        Budget::Size { .. } => Err(usage("give both, as N=7e9,D=1.4e11: the runs have no rule of their own")),
        Budget::Seconds(_) => {
            Err(usage("the runs have no clock; give FLOP (1e22) or a size (N=7e9,D=1.4e11)"))
        }
        Budget::Flops(flops) => Ok(family.best(flops)?),
    }
}

/// `lo80`, `hi80` and so on.
fn ends(intervals: &[Interval]) -> serde_json::Map<String, serde_json::Value> {
    let pair = |interval: &Interval| {
        [
            (format!("lo{}", interval.level), interval.low.into()),
            (format!("hi{}", interval.level), interval.high.into()),
        ]
    };
    intervals.iter().flat_map(pair).collect()
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

fn people(options: &Options, answer: &Answer, prediction: &Prediction, place: &str) -> String {
    let Target { parameters, tokens } = answer.target;
    let unit = answer.loss_unit;
    let mut text = format!(
        "A run of N = {parameters:.3e}, D = {tokens:.3e} ({:.1} tokens a parameter), C = {:.3e} FLOP,\n\
         {:.3} times the dearest of {} runs of {}:\n  loss      {:.4} {unit}\n",
        tokens / parameters,
        answer.flops,
        answer.compute_ratio,
        answer.runs,
        place,
        answer.loss
    );
    for interval in &prediction.intervals {
        let half = 50.0 * (interval.high - interval.low) / answer.loss;
        let _ = writeln!(
            text,
            "  {} %      {:.4} to {:.4}  (±{half:.1} %)",
            interval.level, interval.low, interval.high
        );
    }
    let c = &answer.constants;
    let pair = |(mean, deviation): (f64, f64)| format!("{mean:.3} ± {deviation:.3}");
    let _ = writeln!(
        text,
        "  law       {}:\n            E = {}, α = {}, β = {}",
        answer.law,
        pair(c.irreducible),
        pair(c.alpha),
        pair(c.beta)
    );
    for law in &answer.laws {
        let _ = writeln!(text, "  {:<9} {:.4}  alone: {}", law.law, law.loss, law.formula);
        let shown: Vec<_> =
            law.constants.iter().map(|(name, x, _)| format!("{name} = {}", short(*x))).collect();
        let _ = writeln!(text, "            {}", shown.join(", "));
    }
    if let Some(noise) = answer.noise {
        let _ = writeln!(text, "  noise     equal runs differ by {:.2} %", 100.0 * noise);
    }
    if answer.backtest.is_empty() {
        text += "  back-test none: the runs do not span enough compute to hide any\n";
    }
    answer.backtest.iter().for_each(|row| text += &backtest_line(row));
    let _ = writeln!(text, "            so intervals are {:.2} times as wide as without", answer.widening);
    if let (Some(id), Some(hash)) = (answer.id, &answer.hash) {
        let _ = writeln!(text, "  registered as {id} in {}, hash {hash}", options.registry.display());
    }
    text
}

/// A number in few digits.
pub fn short(x: f64) -> String {
    if x == 0.0 || (0.001..1e4).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.3e}") }
}
