//! `quickstart`: the whole story on generated data: world, tokenizer, plan, training, held-out loss,
//! samples. Each chapter leaves files that the next one reads, so that a story that was interrupted goes
//! on where it stopped.

use crate::arguments::Common;
use crate::settings::Settings;
use crate::{Failure, output};
use data::{BuildConfig, Dataset, Source, TokenizerChoice};
use engine::CpuDevice;
use plan::Corpus;
use record::{Files, Run, RunWriter};
use std::path::{Path, PathBuf};
use train::TrainConfig;

/// Options of `quickstart`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  foretell quickstart")]
pub struct Options {
    /// Folder for everything that is made
    #[arg(long, value_name = "FOLDER", default_value = "quickstart", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// How long to train
    #[arg(long, value_name = "BUDGET", default_value = "4m")]
    pub budget: String,
    /// Bytes of generated text
    #[arg(long, value_name = "N", default_value_t = 24_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes: u64,
    /// Tokens of the vocabulary
    #[arg(long, value_name = "N", default_value_t = 2048)]
    pub vocab: usize,
    /// Of the world and of the run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Texts that are continued while it trains.
const PROMPTS: [&str; 3] = ["Dear ", "17 + 25 = ", "The town of "];

/// Tells the story, or its rest.
pub fn run(options: &Options, common: &Common, settings: &Settings) -> Result<(), Failure> {
    // What can be refused now is not refused after minutes.
    let device = crate::machine::device(common)?;
    super::plan::check(&options.budget, settings, options.vocab)?;
    let (world, data, run) = (options.out.join("world"), options.out.join("data"), options.out.join("run"));
    let file = world.join(format!("world-{}.jsonl", options.seed));
    let mut building = BuildConfig {
        sources: vec![Source::new(file.to_string_lossy())],
        tokenizer: TokenizerChoice::Train(options.vocab),
        threads: crate::machine::threads(common)?,
        ..BuildConfig::default()
    };
    building.check().map_err(super::data::usage)?;
    same_story(options, settings)?;
    chapter(common, 1, "a world: people, places, stories, sums and programs, all from a seed");
    if !file.exists() {
        super::data::generate(&world, options.seed, options.bytes, false, common)?;
    }
    chapter(common, 2, "text to tokens");
    // What it will be asked is not trained on.
    building.held_out = Some(world.join("questions.jsonl")).filter(|path| path.exists());
    if !data.join("manifest.json").exists() {
        let report = super::data::build(&building, &data, common)?;
        if !common.json && !common.quiet {
            eprint!("{}", super::data::summary(&data, &report));
        }
    }
    let dataset = Dataset::open(&data)?;
    chapter(common, 3, "what will it cost? (known before it runs)");
    let begun = Run::open(&run).ok();
    let (config, writer) = match &begun {
        Some(found) => (
            TrainConfig::from_toml(&found.config()?, &run.join("run.toml"))?,
            RunWriter::open(&run, Files::new())?,
        ),
        None => begin(options, common, settings, &dataset, &device, &run)?,
    };
    chapter(common, 4, "training");
    match (writer.run().done(), begun) {
        (true, _) => note(common, "done before"),
        (false, Some(_)) => super::train::go(&config, &dataset, &writer, None, common)?,
        (false, None) => super::train::begin(&config, &dataset, writer, None, common)?,
    }
    chapter(common, 5, "what it writes now");
    let samples = record::read_metrics(&run.join("samples.jsonl"))?;
    let last = samples.last().and_then(|line| line.get("step").cloned());
    for sample in samples.iter().filter(|line| line.get("step") == last.as_ref()) {
        let field = |name: &str| sample.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        match common.json {
            true => output::json(sample)?,
            false => output::text(&format!("{}│{}\n\n", field("prompt"), field("text")))?,
        }
    }
    if common.json {
        output::json(&serde_json::json!({"out": options.out, "run": run, "done": true}))?;
    }
    let show = run.display();
    note(
        common,
        &format!(
            "Go on with: foretell sample {show} --prompt \"Dear \"\n            foretell export {show} --to gguf --out world.gguf"
        ),
    );
    Ok(())
}

/// An interrupted story goes on only with the options that it was begun with; until the run is begun, those
/// that its data depends on.
fn same_story(options: &Options, settings: &Settings) -> Result<(), Failure> {
    let Options { out, budget, bytes, vocab, seed } = options;
    let data = format!("bytes = {bytes}\nvocab = {vocab}\nseed = {seed}\n");
    let mut told = format!("{data}budget = {budget:?}\n");
    for (name, value) in &settings.entries {
        told += &format!("{name:?} = {value:?}\n");
    }
    let path = out.join("quickstart.toml");
    match std::fs::read_to_string(&path) {
        Ok(begun) if begun == told => Ok(()),
        Ok(begun) if out.join("run").exists() || !begun.starts_with(&data) => Err(Failure::Usage(format!(
            "{} was begun with other options, which stand in its quickstart.toml; choose another --out",
            out.display()
        ))),
        _ => {
            let files = Files::new();
            files.create_folder(out)?;
            Ok(files.replace(&path, told.as_bytes())?)
        }
    }
}

/// Plans the run and makes its folder.
fn begin(
    options: &Options,
    common: &Common,
    settings: &Settings,
    dataset: &Dataset,
    device: &CpuDevice,
    run: &Path,
) -> Result<(TrainConfig, RunWriter), Failure> {
    let mut settings = settings.clone();
    let prompts = PROMPTS.map(|prompt| format!("{prompt:?}")).join(", ");
    for (name, value) in [
        ("seed", options.seed.to_string()),
        ("samples.prompts", format!("[{prompts}]")),
        ("samples.tokens", "60".into()),
    ] {
        settings.entries.insert(0, (name.into(), value));
    }
    let plan = super::plan::make(&Corpus::of(dataset), &options.budget, &settings, device, None)?;
    match common.json {
        true => output::json(&serde_json::json!({"plan": plan}))?,
        false if !common.quiet => eprint!("{plan}"),
        false => {}
    }
    let writer = RunWriter::create(run, &plan.config.to_toml()?, Files::new())?;
    Ok((plan.config, writer))
}

fn chapter(common: &Common, number: usize, title: &str) {
    note(common, &format!("\n{number}. {title}"));
}

fn note(common: &Common, text: &str) {
    if !common.json && !common.quiet {
        eprintln!("{text}");
    }
}
