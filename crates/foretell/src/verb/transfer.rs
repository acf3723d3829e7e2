//! `transfer`: is training predictable here? Whether what is best for a small model is best for a large one.

use crate::arguments::Common;
use crate::fleet::{self, Fleet, Member};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::{Failure, machine, output, trials};
use anyhow::{Context, anyhow};
use data::Dataset;
use model::parametrisation::Parametrisation;
use plan::transfer::{DEPTH, DEPTHS, STEPS, TransferDesign, Trial, WIDTH, WIDTHS};
use plan::{Adjust, Budget, Corpus, Probe, Request, rules};
use record::Files;
use report::Transfer;
use report::transfer::{Coordinate, Kind};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use train::{Schedule, ScheduleKind, TrainConfig};

/// Options of `transfer`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell transfer --data data/real --out transfer
  foretell transfer --data data/real --out transfer-muon --set optimiser.matrices=muon
  foretell transfer --data data/real --out transfer-standard --parametrisation standard

It ends with 1 if a check fails. What is done is not done again.")]
pub struct Options {
    /// A folder made by `data build`
    #[arg(long, value_name = "DATA", value_parser = crate::arguments::path())]
    pub data: PathBuf,
    /// Folder of the test
    #[arg(long, value_name = "TRANSFER", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// What follows a model's size: transfer, or standard, which is PyTorch's initial values and one rate
    #[arg(long, value_name = "NAME", value_parser = parametrisation, default_value = "transfer")]
    pub parametrisation: Parametrisation,
    /// Tokens of a run; rules are tested at half, twice and eight times as many
    #[arg(long, value_name = "TOKENS", default_value_t = 2e5)]
    pub tokens: f64,
    /// Seeds of every point
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub seeds: u64,
    /// Only print what it costs
    #[arg(long)]
    pub dry_run: bool,
}

fn parametrisation(text: &str) -> Result<Parametrisation, String> {
    match text {
        "transfer" => Ok(Parametrisation::Transfer),
        "standard" => Ok(Parametrisation::Standard),
        _ => Err("it is transfer or standard".into()),
    }
}

/// `transfer.toml`: what was asked for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    version: String,
    parametrisation: Parametrisation,
    design: TransferDesign,
    settings: Vec<(String, String)>,
    data_hash: String,
    eval_hash: String,
}

/// What a trial's run has beyond its shape.
#[derive(Debug)]
struct Of<'a> {
    trial: &'a Trial,
    parametrisation: Parametrisation,
    fields: &'a [(String, String)],
}

impl Adjust for Of<'_> {
    fn adjust(&self, mut config: TrainConfig) -> plan::Result<TrainConfig> {
        config.seed = self.trial.seed;
        config.samples.prompts.clear();
        config.optimiser.parametrisation = self.parametrisation;
        config.optimiser.decay = self.trial.decay as f32;
        config.checkpoints.keep = 1;
        super::plan::set_fields(&config, self.fields)
    }
}

/// Runs what is not done, judges, and fails if something does not hold.
pub fn run(options: &Options, common: &Common, settings: &Settings) -> Result<(), Failure> {
    let dataset = Dataset::open(&options.data)?;
    let (corpus, _) = super::plan::corpus(&dataset, settings)?;
    let design = TransferDesign::new(options.tokens, options.seeds);
    let trials = design.trials(&corpus).map_err(Failure::of_plan)?;
    let config = |trial: &Trial| {
        let mut fixed = trial.settings();
        let fields = super::plan::apply(settings, &mut fixed)?;
        let adjust = Of { trial, parametrisation: options.parametrisation, fields: &fields };
        let budget = Budget::Size { parameters: None, tokens: Some(trial.tokens) };
        let available = crate::memory::available();
        let request = Request { budget, settings: &fixed, corpus: &corpus, adjust: &adjust, available };
        let mut config = plan::configure(&request, trial.shape, trial.tokens).map_err(Failure::of_plan)?;
        config.origin.version = machine::version();
        config.machine.threads = 1;
        Ok::<_, Failure>(config)
    };
    let asked = Asked {
        version: machine::version(),
        parametrisation: options.parametrisation,
        design,
        settings: settings.entries.clone(),
        data_hash: corpus.data.hash.clone(),
        eval_hash: corpus.data.eval_hash.clone(),
    };
    let device = machine::device_of(common, 1)?;
    bill(options, common, &trials, &config, &Probe::measure(&device)?)?;
    if options.dry_run {
        return Ok(());
    }
    begin(options, &asked, &trials, &config)?;
    let coordinates = coordinates(options, common, &dataset, &config, &corpus)?;
    let member = |trial: &Trial| Member { name: trial.name.clone(), flops: trial.flops() };
    let members: Vec<Vec<Member>> = trials.iter().map(|trial| vec![member(trial)]).collect();
    let fleet =
        Fleet { folder: &options.out, name: "transfer", dataset: &dataset, sets: &[], weights: false };
    let ended = fleet.run(&members, common)?;
    let place = options.out.display();
    if ended.stopped {
        return Err(Failure::Interrupted(format!("stopped and saved in {place}; the same command goes on")));
    }
    let tested = trials::tested(&options.out, trials, &ended.diverged)?;
    let parametrisation = match options.parametrisation {
        Parametrisation::Transfer => "transfer",
        Parametrisation::Standard => "standard",
    };
    let transfer =
        Transfer { parametrisation: parametrisation.into(), ..trials::judge(&tested, coordinates)? };
    let text = serde_json::to_string_pretty(&transfer)?;
    Files::new().replace(&options.out.join("transfer.json"), text.as_bytes())?;
    output::either(common, &transfer, || people(options, &transfer))?;
    let failed = transfer.checks.iter().filter(|check| !check.passed).count();
    match failed {
        0 => Ok(()),
        _ => Err(anyhow!("{failed} of {} checks fail: see {place}", transfer.checks.len()).into()),
    }
}

/// Writes down what is asked for, and a plan a run; what was begun goes on only as it was begun.
fn begin(
    options: &Options,
    asked: &Asked,
    trials: &[Trial],
    config: &dyn Fn(&Trial) -> Result<TrainConfig, Failure>,
) -> Result<(), Failure> {
    let place = options.out.join("transfer.toml");
    if place.exists() {
        let text =
            std::fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))?;
        let begun: Asked = toml::from_str(&text).map_err(|e| anyhow!("{}: {e}", place.display()))?;
        return match (Asked { version: asked.version.clone(), ..begun }) == *asked {
            true => Ok(()),
            false => Err(Failure::Usage(format!(
                "{} was begun with other options, settings or data; choose another --out",
                options.out.display()
            ))),
        };
    }
    let files = Files::new();
    files.create_folder(&options.out.join("plans"))?;
    for trial in trials {
        let path = fleet::plan_file(&options.out, &trial.name);
        files.replace(&path, config(trial)?.to_toml()?.as_bytes())?;
    }
    // Last: a folder that has it has everything.
    let text = toml::to_string(asked).map_err(|e| anyhow!("transfer.toml: {e}"))?;
    Ok(files.replace(&place, text.as_bytes())?)
}

/// What it costs, before it runs.
fn bill(
    options: &Options,
    common: &Common,
    trials: &[Trial],
    config: &dyn Fn(&Trial) -> Result<TrainConfig, Failure>,
    probe: &Probe,
) -> Result<(), Failure> {
    let mut seconds = 0.0;
    for trial in trials {
        seconds += probe.step_seconds(&config(trial)?).map_err(Failure::of_plan)? * trial.steps() as f64;
    }
    let flops: f64 = trials.iter().map(Trial::flops).sum();
    let workers = machine::threads(common)?;
    let seconds = seconds / workers as f64;
    if common.json {
        output::json(&serde_json::json!({
            "transfer": options.out, "runs": trials.len(), "flops": flops, "seconds": seconds,
        }))?;
    } else if !common.quiet {
        eprintln!(
            "The bill: {} runs, {flops:.2e} FLOP, about {seconds:.0} s, {workers} at a time",
            trials.len()
        );
    }
    Ok(())
}

/// The coordinate check: the first steps of models of all widths and depths, in the rule's warm-up.
fn coordinates(
    options: &Options,
    common: &Common,
    dataset: &Dataset,
    config: &dyn Fn(&Trial) -> Result<TrainConfig, Failure>,
    corpus: &Corpus,
) -> Result<Vec<Coordinate>, Failure> {
    let device = machine::device_of(common, 1)?;
    let widths = WIDTHS.map(|width| (Kind::Width, width, (width, DEPTH)));
    let depths = DEPTHS.map(|depth| (Kind::Depth, depth, (WIDTH, depth)));
    let mut progress =
        Progress::new("coordinates", (WIDTHS.len() + DEPTHS.len()) as u64, common.quiet || common.json);
    let mut found = Vec::new();
    for (done, (kind, size, (width, layers))) in (1..).zip(widths.into_iter().chain(depths)) {
        let shape = TransferDesign::shape(corpus, width, layers);
        let (rows, batch) = (2, (2 * shape.seq) as f64);
        let trial = Trial {
            name: String::new(),
            sweep: plan::transfer::Sweep::Rate,
            shape,
            tokens: STEPS as f64 * batch,
            rows,
            rate: rules::learning_rate(options.tokens, batch),
            decay: rules::DECAY,
            warmup: 1,
            seed: 1,
            x: 1.0,
        };
        let mut config = config(&trial)?;
        // As the first steps of a long run are.
        config.schedule = Schedule { kind: ScheduleKind::Constant, warmup_steps: STEPS, ..config.schedule };
        for change in train::coordinates(&config, dataset, &device)? {
            let train::Change { step, place, value } = change;
            found.push(Coordinate { kind, size: size as f64, step, layer: place.into(), value });
        }
        progress.show(done, || "models".into());
    }
    progress.end();
    Ok(found)
}

fn people(options: &Options, transfer: &Transfer) -> String {
    use std::fmt::Write;
    let mut text = format!("Parametrisation {}:\n", transfer.parametrisation);
    for check in &transfer.checks {
        let verdict = if check.passed { "holds" } else { "FAILS" };
        let _ = writeln!(text, "  {verdict}  {}: {:.4}, at most {:.4}", check.name, check.value, check.bound);
        let _ = writeln!(text, "         {}", check.text);
    }
    let _ = writeln!(text, "  {:<8} {:>9} {:>9} {:>10}  90 % interval", "sweep", "N", "tokens", "lowest at");
    for sweep in &transfer.sweeps {
        let _ =
            write!(text, "  {:<8} {:>9.2e} {:>9.2e}", sweep.name, sweep.size, sweep.tokens.unwrap_or(0.0));
        let _ = match (sweep.optimum, sweep.lo, sweep.hi) {
            (Some(best), Some(low), Some(high)) => {
                writeln!(text, " {best:>10.3e}  {low:.2e} to {high:.2e}")
            }
            _ => writeln!(text, " {:>10}", "an end"),
        };
    }
    let _ = writeln!(text, "  written to {}", options.out.join("transfer.json").display());
    text
}
