//! `train`: a plan, then the run. `resume` goes on with the same loop.

use crate::arguments::Common;
use crate::checkpoint::Model;
use crate::prediction::Prediction;
use crate::progress::Progress;
use crate::sets::{self, Loaded};
use crate::settings::Settings;
use crate::{Failure, machine, memory, output, signals};
use anyhow::anyhow;
use data::Dataset;
use engine::{CpuDevice, Store};
use generate::{Capacity, Generator, Request, Sampling};
use plan::Corpus;
use record::{Files, RunWriter};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use train::{
    EvalLine, Events, Machine, Memory, Outcome, SampleLine, Session, SetScores, StepLine, TrainConfig,
};

/// Options of `train`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell train --data data/real --budget 20m --out runs/first
  foretell train --data data/real --budget N=1e6 --out runs/muon --set optimiser.matrices=muon
  foretell train --data data/real --budget 20m --out runs/code --score code='src/*.py'
  foretell train --config runs/first/run.toml --out runs/again
  foretell train --prediction 1

Settings (--set): width layers heads kv_heads head_dim ffn seq tied rows micro_rows steps
learning_rate warmup_steps eval_tokens evals tokens_per_parameter max_epochs, and every field of
run.toml by its dotted name (seed, optimiser.decay, schedule.kind, samples.prompts, …).")]
pub struct Options {
    /// A folder made by `data build`
    #[arg(long, value_name = "DATA", value_parser = crate::arguments::path())]
    pub data: Option<PathBuf>,
    /// How much: a time (20m), FLOP (1e14), or a size (N=1e6,D=2e7)
    #[arg(long, value_name = "BUDGET")]
    pub budget: Option<String>,
    /// Run what a registered prediction foretells, exactly
    #[arg(long, value_name = "ID", conflicts_with_all = ["budget", "init_from"])]
    pub prediction: Option<u64>,
    /// The registry that has it
    #[arg(long, value_name = "FILE", default_value = "predictions.jsonl", requires = "prediction")]
    pub registry: PathBuf,
    /// Folder of the run [default with --prediction: runs/prediction-ID]
    #[arg(long, value_name = "RUN", required_unless_present = "prediction", value_parser = crate::arguments::new_path())]
    pub out: Option<PathBuf>,
    /// Begin with the weights of this model (weights only)
    #[arg(long, value_name = "MODEL", value_parser = crate::arguments::path())]
    pub init_from: Option<PathBuf>,
    /// Ranks in this process: a power of two that divides the micro-batches
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub ranks: usize,
    /// Score the finished model on a further set: text (a file, folder or glob) or a file of questions; may be given
    /// several times, and replaces the sets of --config
    #[arg(long, value_name = "NAME=PATH")]
    pub score: Vec<String>,
    /// Write event files for TensorBoard
    #[arg(long)]
    pub tensorboard: bool,
}

impl Options {
    /// What is not said, for the run of a prediction.
    pub fn of_prediction(id: u64, registry: &Path) -> Options {
        Options {
            data: None,
            budget: None,
            prediction: Some(id),
            registry: registry.into(),
            out: None,
            init_from: None,
            ranks: 1,
            score: Vec::new(),
            tensorboard: false,
        }
    }
}

/// What describes the machine.
const MACHINE: &str = "--threads, --ranks, --isa and --tensorboard";

/// Plans and trains.
pub fn run(options: &Options, common: &Common, settings: &Settings) -> Result<(), Failure> {
    if let Some(name) = settings.typed.iter().find(|name| name.starts_with("machine.")) {
        return Err(Failure::Usage(format!("--set {name}: {MACHINE} describe the machine")));
    }
    if let Some(name) = settings.typed.iter().find(|name| is_beginning(name)) {
        return Err(Failure::Usage(format!("--set {name}: the run itself records how it began")));
    }
    // Another run began otherwise.
    let mut settings = settings.clone();
    settings.entries.retain(|(name, _)| !is_beginning(name));
    let settings = &settings;
    let out = options.out.clone().or(options.prediction.map(Prediction::folder));
    let out = out.ok_or_else(|| Failure::Usage("--out is needed".into()))?;
    let initial = options.init_from.as_deref().map(Model::open).transpose()?;
    let mut config = match (options.prediction, &options.budget) {
        (Some(id), _) => foretold(id, options, common, settings, &out)?,
        (None, Some(budget)) => planned(options, &out, common, settings, budget, initial.as_ref())?,
        (None, None) => stated(options, settings)?,
    };
    // Those that time and memory were foretold for, unless others are given now.
    let threads = Some(config.machine.threads).filter(|_| options.prediction.is_some());
    let machine = Machine {
        threads: common.threads.or(threads).unwrap_or(0),
        ranks: options.ranks,
        isa: common.isa.clone().unwrap_or_default(),
        tensorboard: options.tensorboard,
    };
    if settings.entries.iter().any(|(name, _)| name.starts_with("machine.")) && config.machine != machine {
        eprintln!("note: [machine] of --config is not taken over: {MACHINE} describe this one");
    }
    config.machine = machine;
    config.origin.version = machine::version();
    config.origin.started = machine::now()?;
    if let Some(model) = &initial {
        config.origin.init_from = model.path.display().to_string();
    }
    config.check().map_err(|e| Failure::Usage(e.to_string()))?;
    if let Some(model) = initial.as_ref().filter(|model| model.config.shapes() != config.model.shapes()) {
        return Err(Failure::Usage(format!(
            "--init-from {}: its parameters are not those of the run ({})",
            model.path.display(),
            first_difference(&model.config, &config.model)
        )));
    }
    let dataset = Dataset::open(&config.data.path)?;
    let writer = RunWriter::create(&out, &config.to_toml()?, Files::new())?;
    let mut common = common.clone();
    common.threads = common.threads.or(threads.filter(|&n| n > 0));
    begin(&config, &dataset, writer, initial.as_ref().map(|model| &model.params), &common)
}

/// Whether a setting tells when and for what a run began.
fn is_beginning(name: &str) -> bool {
    name == "origin.started"
        || ["origin.prediction", "origin.branch"].iter().any(|part| name.starts_with(part))
}

/// The configuration of a registered prediction, if this program would run it as it was registered.
fn foretold(
    id: u64,
    options: &Options,
    common: &Common,
    settings: &Settings,
    out: &Path,
) -> Result<TrainConfig, Failure> {
    if let Some((name, _)) = settings.entries.first() {
        return Err(Failure::Usage(format!("'{name}': the run of a prediction is what was registered")));
    }
    RunWriter::vacant(out)?;
    let prediction = Prediction::find(&options.registry, id)?;
    let mut config = prediction.config()?;
    if let Some(data) = &options.data {
        config.data.path.clone_from(data);
    }
    let dataset = open_data(&config, None)?;
    let manifest = dataset.manifest();
    for (what, then, now) in [
        ("data", &config.data.hash, manifest.data_hash()),
        ("held-out set", &config.data.eval_hash, manifest.eval_hash()),
    ] {
        if *then != now {
            let place = config.data.path.display();
            return Err(anyhow!(
                "{place}: its {what} is not that of prediction {id} ({now}, not {then}); give the folder that it was registered for with --data"
            )
            .into());
        }
    }
    let version = prediction.version();
    if version != machine::version() {
        eprintln!(
            "note: {version} registered prediction {id}, {} runs it; the configuration is the same",
            machine::version()
        );
    }
    config.origin.prediction = Some(prediction.origin());
    if prediction.run.machine.is_some() {
        // A description's cores are not those of this machine.
        config.machine.threads = 0;
    }
    if !common.json && !common.quiet {
        let run = &prediction.run;
        eprintln!(
            "The run of prediction {id}: {} steps, {} tokens, {:.1} MB, {:.0} s on {} threads{}",
            run.steps,
            run.tokens,
            run.memory_bytes as f64 / 1e6,
            run.seconds.total,
            run.threads,
            run.machine.as_ref().map_or(String::new(), |name| format!(" of {name}"))
        );
    }
    Ok(config)
}

/// Runs a run that was just made; one that cannot take a step leaves nothing.
pub fn begin(
    config: &TrainConfig,
    dataset: &Dataset,
    writer: RunWriter,
    initial: Option<&Store>,
    common: &Common,
) -> Result<(), Failure> {
    let ended = go(config, dataset, &writer, initial, common);
    if let Err(Failure::Failed(error)) = &ended
        && let Some(train::Error::NonFinite { step: 1, .. }) = error.downcast_ref()
    {
        // The line of a step that was none is no record.
        let _ = writer.lines("metrics.jsonl", 0);
    }
    if matches!(ended, Err(Failure::Usage(_) | Failure::Failed(_))) {
        writer.take_back();
    }
    ended
}

/// The first parameter in which two models differ.
fn first_difference(a: &model::Config, b: &model::Config) -> String {
    let (a, b) = (a.shapes(), b.shapes());
    match a.iter().zip(&b).find(|(a, b)| a != b) {
        Some(((name, shape), (_, other))) if shape != other => format!("{name}: {shape:?}, not {other:?}"),
        _ => format!("{} parameters, not {}", a.len(), b.len()),
    }
}

/// The configuration that a budget buys.
fn planned(
    options: &Options,
    out: &Path,
    common: &Common,
    settings: &Settings,
    budget: &str,
    initial: Option<&Model>,
) -> Result<TrainConfig, Failure> {
    let Some(data) = &options.data else {
        return Err(Failure::Usage("--data is needed: a folder made by `foretell data build`".into()));
    };
    // Refused before a minute is spent on planning.
    RunWriter::vacant(out)?;
    let dataset = Dataset::open(data)?;
    let device = machine::device(common)?;
    let mut ranked = settings.clone();
    ranked.entries.push(("machine.ranks".into(), options.ranks.to_string()));
    if !options.score.is_empty() {
        let sets = sets::resolve(&options.score, dataset.tokenizer())?;
        ranked.entries.push(("evaluation.sets".into(), sets::setting(&sets)?));
    }
    let plan = super::plan::make(&Corpus::of(&dataset)?, budget, &ranked, &device, initial)?;
    match common.json {
        true => output::json(&serde_json::json!({"plan": plan}))?,
        false if !common.quiet => eprint!("The plan:\n{plan}"),
        false => {}
    }
    Ok(plan.config)
}

/// A configuration given as a whole, as `run.toml` of another run.
fn stated(options: &Options, settings: &Settings) -> Result<TrainConfig, Failure> {
    if settings.entries.is_empty() {
        return Err(Failure::Usage(
            "--budget is needed, or --config with the run.toml of another run".into(),
        ));
    }
    let mut table = toml::Table::new();
    for (name, value) in &settings.entries {
        let mut place = &mut table;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                let parsed =
                    format!("x = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("x"));
                place.insert(part.into(), parsed.unwrap_or_else(|| toml::Value::String(value.clone())));
                break;
            }
            let inner = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            place =
                inner.as_table_mut().ok_or_else(|| Failure::Usage(format!("{name}: {part} is no table")))?;
        }
    }
    let text = table.to_string();
    let mut config = TrainConfig::from_toml(&text, Path::new("--config and --set"))
        .map_err(|e| Failure::Usage(format!("{e}\n(without --budget, all of run.toml must be given)")))?;
    if let Some(data) = &options.data {
        config.data.path.clone_from(data);
    }
    if !options.score.is_empty() {
        config.evaluation.sets =
            sets::resolve(&options.score, Dataset::open(&config.data.path)?.tokenizer())?;
    }
    if options.init_from.is_none() && !config.origin.init_from.is_empty() {
        let from = &config.origin.init_from;
        return Err(Failure::Usage(format!(
            "that run began with the weights of {from}: pass --init-from {from}, or --set origin.init_from= for random ones"
        )));
    }
    Ok(config)
}

/// One device a rank: they share the threads.
pub fn devices(config: &TrainConfig, common: &Common) -> Result<Vec<CpuDevice>, Failure> {
    let ranks = config.ranks();
    let each = (machine::threads(common)? / ranks).max(1);
    (0..ranks).map(|_| machine::device_of(common, each)).collect()
}

/// Runs to the end, or to the next signal.
pub fn go(
    config: &TrainConfig,
    dataset: &Dataset,
    writer: &RunWriter,
    initial: Option<&Store>,
    common: &Common,
) -> Result<(), Failure> {
    let stop = signals::stop()?;
    check_prompts(config, dataset)?;
    let sets = sets::load(&config.evaluation.sets, dataset.tokenizer())?;
    let devices = devices(config, common)?;
    let held = Memory::of(config, devices[0].cpu().threads() * devices.len())?;
    plan::check_run(
        &Memory { initial: initial.map_or(0, |store| store.layout().bytes()), ..held },
        memory::available(),
    )?;
    let peak = plan::peak(&devices[0], Duration::from_millis(8)) * devices.len() as f64;
    let stop = || signals::stopping(&stop);
    let session = Session { config, dataset, writer, devices: &devices, peak, initial, stop: &stop };
    let mut display = Display::new(config, dataset, sets, devices[0].clone(), common);
    let outcome = train::train(&session, &mut display);
    display.progress.end();
    finish(writer.run().path(), outcome?, common)
}

/// Refuses prompts that leave no room for a token, before they end a run at its first evaluation.
fn check_prompts(config: &TrainConfig, dataset: &Dataset) -> Result<(), Failure> {
    for prompt in &config.samples.prompts {
        let (tokens, seq) = (generate::prompt(dataset.tokenizer(), prompt)?.len(), config.seq());
        if tokens >= seq {
            let text =
                format!("{tokens} tokens do not fit into a context (max_position_embeddings) of {seq}");
            return Err(Failure::Usage(format!("samples.prompts: {prompt:?}: {text}; shorten it")));
        }
    }
    Ok(())
}

fn finish(path: &Path, outcome: Outcome, common: &Common) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Summary<'a> {
        run: &'a Path,
        done: bool,
        step: u64,
        tokens: u64,
        seconds: f64,
        loss: Option<f64>,
        bits_per_byte: Option<f64>,
        bits_per_word: Option<f64>,
    }
    let state = outcome.state;
    let last = outcome.last;
    let summary = Summary {
        run: path,
        done: outcome.done,
        step: state.step,
        tokens: state.tokens,
        seconds: state.seconds,
        loss: last.map(|l| l.loss),
        bits_per_byte: last.map(|l| l.bits_per_byte),
        bits_per_word: last.map(|l| l.bits_per_word),
    };
    if common.json {
        output::json(&summary)?;
    }
    let path = path.display();
    if !outcome.done {
        let text = format!("stopped after step {} and saved; go on with: foretell resume {path}", state.step);
        return Err(Failure::Interrupted(text));
    }
    match last {
        Some(last) if !common.json => output::text(&format!(
            "done: {} steps, {} tokens in {:.1} s; {}\n\
             try: foretell sample {path} --prompt \"The\"\n",
            state.step,
            state.tokens,
            state.seconds,
            held_out(&last)
        ))?,
        _ => {}
    }
    Ok(())
}

/// Shows a run on the terminal, or as JSON.
struct Display<'a> {
    config: &'a TrainConfig,
    dataset: &'a Dataset,
    sets: Vec<Loaded>,
    device: CpuDevice,
    json: bool,
    quiet: bool,
    progress: Progress,
    last: Option<EvalLine>,
}

impl<'a> Display<'a> {
    fn new(
        config: &'a TrainConfig,
        dataset: &'a Dataset,
        sets: Vec<Loaded>,
        device: CpuDevice,
        common: &Common,
    ) -> Display<'a> {
        let quiet = common.quiet || common.json;
        let progress = Progress::new("train", config.steps, quiet);
        Display { config, dataset, sets, device, json: common.json, quiet, progress, last: None }
    }

    /// Continues the configured prompts.
    fn texts(&self, step: u64, params: &Store) -> generate::Result<Vec<SampleLine>> {
        let (samples, tokenizer) = (&self.config.samples, self.dataset.tokenizer());
        let mut requests = Vec::new();
        for prompt in &samples.prompts {
            let tokens = generate::prompt(tokenizer, prompt)?;
            let room = self.config.seq().saturating_sub(tokens.len());
            let sampling = Sampling { temperature: 0.8, seed: self.config.seed, ..Sampling::default() };
            let max_tokens = Some(samples.tokens.min(room));
            requests.push(Request { max_tokens, sampling, ..Request::new(tokenizer, tokens) });
        }
        let device = Arc::new(self.device.clone());
        let mut generator =
            Generator::new(device, &self.config.model, params.layout(), capacity(self.config))?;
        let texts = generator.generate(params, tokenizer, requests, &mut |_, _| ControlFlow::Continue(()))?;
        let line = |(prompt, text): (&String, generate::Completion)| SampleLine {
            step,
            prompt: prompt.clone(),
            text: text.text,
        };
        Ok(samples.prompts.iter().zip(texts).map(line).collect())
    }
}

/// How texts are drawn at an evaluation: with the one graph that [`Memory::of`] counts.
fn capacity(config: &TrainConfig) -> Capacity {
    Capacity { sequences: 1, context: config.seq(), chunk: 1, tiles: 0 }
}

impl Events for Display<'_> {
    fn step(&mut self, line: &StepLine) {
        if self.json {
            // A reader that went away does not stop the training.
            let _ = output::json(line);
        }
        let last = self.last;
        self.progress.show(line.step, || {
            let held =
                last.map_or(String::new(), |l| format!(" (held-out {:.3} bits a byte)", l.bits_per_byte));
            format!(
                "loss {:.3}{held} {} tokens/s {:.0} % of peak",
                line.loss.unwrap_or(f64::NAN),
                thousands(line.tokens_per_s),
                100.0 * line.share_of_peak
            )
        });
    }

    fn evaluated(&mut self, line: &EvalLine) {
        self.last = Some(*line);
        if self.json {
            let _ = output::json(line);
        } else if !self.quiet {
            self.progress.note(&format!("step {}: {}", line.step, held_out(line)));
        }
    }

    fn note(&mut self, text: &str) {
        self.progress.note(&format!("note: {text}"));
    }

    fn samples(&mut self, step: u64, params: &Store) -> train::Result<Vec<SampleLine>> {
        if self.config.samples.none() {
            return Ok(Vec::new());
        }
        self.texts(step, params).map_err(|e| train::Error::Samples { step, reason: e.to_string() })
    }

    fn scores(&mut self, step: u64, params: &Store) -> train::Result<Vec<SetScores>> {
        let all = sets::score(&self.sets, self.config, &self.device, step, params)?;
        for scores in &all {
            if self.json {
                let _ = output::json(&scores.line(step));
            } else if !self.quiet {
                self.progress.note(&format!("step {step}: {}", sets::line(scores)));
            }
        }
        Ok(all)
    }
}

fn held_out(line: &EvalLine) -> String {
    let EvalLine { loss, bits_per_byte, bits_per_word, .. } = line;
    format!("held-out loss {loss:.4} nats a token, {bits_per_byte:.4} bits a byte, {bits_per_word:.3} a word")
}

fn thousands(x: f64) -> String {
    match x >= 1e4 {
        true => format!("{:.1} k", x / 1e3),
        false => format!("{x:.0}"),
    }
}

/// Opens a run's data, wherever the run was begun.
pub fn open_data(config: &TrainConfig, other: Option<&Path>) -> Result<Dataset, Failure> {
    let path = other.unwrap_or(&config.data.path);
    if !path.exists() {
        let text = "the data of the run is not there; give its folder with --data";
        return Err(anyhow!("{}: {text}", path.display()).into());
    }
    Ok(Dataset::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::Tokenizer;
    use kernels::{Cpu, Isa};
    use train::Samples;

    #[test]
    fn the_texts_take_what_the_plan_says() {
        let tokenizer = Tokenizer::bytes().unwrap();
        let shape = plan::Family::new(tokenizer.vocab_size()).shape(48, 2);
        for threads in [1, 2] {
            let mut config = plan::step_config(&shape, 4, 2).unwrap();
            config.samples = Samples { prompts: vec!["A prompt of some length.".into()], tokens: 5 };
            let device = Arc::new(CpuDevice::new(Cpu::new(Isa::best(), threads).unwrap()));
            let params = train::Replica::new(&config, &device).unwrap().params;
            let mut generator =
                Generator::new(device, &config.model, params.layout(), capacity(&config)).unwrap();
            let prompt = generate::prompt(&tokenizer, &config.samples.prompts[0]).unwrap();
            let request = Request { max_tokens: Some(5), ..Request::new(&tokenizer, prompt) };
            generator
                .generate(&params, &tokenizer, vec![request], &mut |_, _| ControlFlow::Continue(()))
                .unwrap();
            assert_eq!(generator.memory(), Memory::of(&config, threads).unwrap().texts);
        }
    }
}
