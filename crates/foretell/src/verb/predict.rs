//! `predict`: the loss of a run that nobody has paid for yet, from finished ones; of a ladder's next run also
//! its shape, time, memory and disk.

use crate::answer::{Answer, ends, in_words};
use crate::arguments::Common;
use crate::known::Known;
use crate::ladder::Ladder;
use crate::prediction::TargetRun;
use crate::target::Asked;
use crate::{Failure, foretold_sets, machine, output};
use plan::{Budget, Plan};
use record::Registry;
use scaling::backtest::reaches;
use scaling::{Family, Forecast, Target};
use std::path::PathBuf;

/// Options of `predict`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell predict ladders/real --budget 1e14 --register
  foretell predict ladders/real --budget 20m --max-rung 1e10
  foretell predict --log runs.csv --budget N=7e9,D=1.4e11
  foretell predict --log tensorboard/ --columns params=n,tokens=step*524288 --budget N=7e9,D=1.4e11
  foretell predict --log sweep.jsonl --columns params=N,tokens=D,loss=val --budget 1e22 --register")]
pub struct Options {
    /// Folder of a ladder
    #[arg(value_name = "LADDER", required_unless_present = "log", conflicts_with = "log")]
    pub ladder: Option<PathBuf>,
    /// Other people's finished runs of one family: a table (CSV, JSONL), the CSV of a chart of Weights & Biases, an event
    /// file of TensorBoard, or a folder of these; in a folder, runs.csv says of each run what its own files do not
    #[arg(long, value_name = "FILE|FOLDER")]
    pub log: Option<PathBuf>,
    /// Which column of the log is what: params, tokens, loss, flops (or 6·N·D is taken), run (rows of a curve), step, and
    /// schedule (its tokens), decayed, state (runs that were cut short are left out); also NAME*FACTOR and ln(NAME)
    #[arg(
        long,
        value_name = "ROLE=COLUMN,…",
        default_value = "",
        hide_default_value = true,
        requires = "log"
    )]
    pub columns: String,
    /// The run to foretell: a size (N=7e9,D=1.4e11), FLOP (1e22) spent as the law says is best, or of a ladder
    /// also a time (20m)
    #[arg(long, value_name = "BUDGET")]
    pub budget: String,
    /// Use only rungs that took at most so many FLOP
    #[arg(long, value_name = "FLOP", conflicts_with = "log")]
    pub max_rung: Option<f64>,
    /// Where the ladder's data is now, if it was moved
    #[arg(long, value_name = "DATA", conflicts_with = "log", value_parser = crate::arguments::path())]
    pub data: Option<PathBuf>,
    /// Time and memory on another machine, by its description: a TOML file, or NAME for machines/NAME.toml
    #[arg(long, value_name = "FILE|NAME", conflicts_with = "log")]
    pub machine: Option<String>,
    /// Of the run's weights and of its order of the data
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write the prediction into the registry, before its outcome is known
    #[arg(long)]
    pub register: bool,
    /// The registry
    #[arg(long, value_name = "FILE", default_value = "predictions.jsonl", value_parser = crate::arguments::new_path())]
    pub registry: PathBuf,
}

/// Foretells, and registers if asked to.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let budget: Budget = options.budget.parse().map_err(Failure::of_plan)?;
    if let Some(bound) = options.max_rung.filter(|bound| !(bound.is_finite() && *bound > 0.0)) {
        return Err(Failure::Usage(format!("--max-rung {bound}: it must be positive and finite")));
    }
    let ladder = options.ladder.as_deref().map(Ladder::open).transpose()?;
    let known = known(options, ladder.as_ref())?;
    known.notes.iter().for_each(|note| eprintln!("note: {note}"));
    let family = Family::new(&known.runs)?;
    let (target, plan) = match &ladder {
        None => (target(&family, budget)?, None),
        Some(ladder) => {
            let asked = Asked {
                ladder,
                family: &family,
                data: options.data.as_deref(),
                seed: options.seed,
                machine: options.machine.as_deref(),
            };
            let plan = asked.plan(budget, common)?;
            let target = Target { parameters: plan.parameters as f64, tokens: plan.tokens as f64 };
            (target, Some(plan))
        }
    };
    let forecast = family.forecast(&target)?;
    let mut answer = answer(options, &known, &forecast, target, plan.as_ref(), common)?;
    if let (Some(ladder), Some(path)) = (&ladder, &options.ladder) {
        let (sets, notes) = foretold_sets::foretell(&ladder.sets, path, &known.rungs, &target, answer.flops)?;
        notes.iter().for_each(|note| eprintln!("note: {note}"));
        answer.sets = sets;
    }
    if options.register {
        let entry = Registry::at(&options.registry).append(machine::now()?, "prediction", answer.body()?)?;
        (answer.id, answer.hash) = (Some(entry.id), Some(entry.hash));
    }
    let text = || answer.people(&forecast.prediction, &known.place, plan.as_ref(), &options.registry);
    Ok(output::either(common, &answer, text)?)
}

fn known(options: &Options, ladder: Option<&Ladder>) -> Result<Known, Failure> {
    match (&options.ladder, ladder, &options.log) {
        (Some(path), Some(ladder), _) => Known::of_ladder(ladder, path, options.max_rung),
        (_, _, Some(path)) => Known::of_log(path, &options.columns),
        _ => Err(Failure::Usage("a LADDER or --log is needed".into())),
    }
}

fn answer(
    options: &Options,
    known: &Known,
    forecast: &Forecast,
    target: Target,
    plan: Option<&Plan>,
    common: &Common,
) -> Result<Answer, Failure> {
    let prediction = &forecast.prediction;
    let dearest = known.runs.iter().map(|run| run.flops).fold(0.0, f64::max);
    // A law counts FLOP by those of the runs; a plan knows its own.
    let flops = plan.map_or(forecast.flops, |plan| plan.flops);
    let isa = machine::isa(common)?.to_string();
    Ok(Answer {
        id: None,
        target,
        flops,
        compute_ratio: flops / dearest,
        loss: prediction.loss,
        loss_unit: known.unit,
        ends: ends(&prediction.intervals, 1.0),
        bits_per_word: known.bytes_per_word.map(|bytes| in_words(prediction, bytes)),
        sets: Vec::new(),
        law: "joint law, averaged over its exponents and over which runs resemble the target",
        constants: prediction.constants,
        laws: forecast.opinions.clone(),
        noise: forecast.noise.map(|noise| noise.deviation),
        widening: forecast.widening,
        distrust: forecast.distrust,
        backtest: reaches(&forecast.backtests),
        runs: known.runs.len(),
        max_rung: options.max_rung,
        source: known.source.clone(),
        version: machine::version(),
        run: plan.map(|plan| TargetRun::of(plan, &isa)).transpose()?,
        hash: None,
    })
}

/// What a budget asks for of other people's runs: of FLOP, the size that reaches the lowest loss.
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
