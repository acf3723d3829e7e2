//! `quickstart`: the whole story on generated text and pictures: world, small runs, the prediction of a large one, that run,
//! whether the prediction held, texts and answers, report. Each chapter is a verb that anybody can call, and leaves files that the next one
//! reads, so that a story that was interrupted goes on where it stopped.

use super::{data as build, ladder, predict, report, resume, sample, train, verify};
use crate::arguments::Common;
use crate::settings::Settings;
use crate::{Failure, output};
use data::world::{EXAM, Part, Sight, World};
use data::{BuildConfig, Source, TokenizerChoice};
use record::{Files, Registry, Run};
use std::path::{Path, PathBuf};

/// Options of `quickstart`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  foretell quickstart")]
pub struct Options {
    /// Folder for everything that is made
    #[arg(long, value_name = "FOLDER", default_value = "quickstart", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// The run to foretell: how long it trains (7m), its FLOP (1e13), or a size (N=1e5,D=2e6)
    #[arg(long, value_name = "BUDGET", default_value = "7m")]
    pub budget: String,
    /// FLOP of the dearest of the small runs
    #[arg(long, value_name = "FLOP", default_value_t = 7.5e11)]
    pub max: f64,
    /// Bytes of generated text
    #[arg(long, value_name = "N", default_value_t = 24_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes: u64,
    /// Pictures of each of nine kinds at the first level, fewer at the others; 0: text alone
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(..1 << 20))]
    pub pictures: u64,
    /// Of the world and of the run
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Texts that the model continues.
const PROMPTS: [&str; 3] = ["Dear ", "17 + 25 = ", "The town of "];

/// Tokens a row where there are pictures. In rows into which nearly all of their documents fit, a kilobyte, the smallest rungs have
/// some dozen steps, and what they lose by it looks like a law; here the last questions of four in ten are cut off.
const ROW: usize = 256;

/// The prediction's number: the first of its registry.
const ID: u64 = 1;

/// Tells the story, or its rest.
pub fn run(options: &Options, common: &Common, settings: &Settings) -> Result<(), Failure> {
    // What can be refused now is not refused after minutes.
    let budget: plan::Budget = options.budget.parse().map_err(Failure::of_plan)?;
    crate::machine::device(common)?;
    let design = plan::ladder::Design::new(options.max);
    design.rungs(data::Tokenizer::bytes()?.vocab_size()).map_err(Failure::of_plan)?;
    super::plan::apply(settings, &mut plan::Settings::default())?;
    let place = |name: &str| options.out.join(name);
    let [world, data, ladder, run, registry] =
        ["world", "data", "ladder", "run", "predictions.jsonl"].map(place);
    let [file, drawn] =
        ["world", "pictures"].map(|name| world.join(format!("{name}-{}.jsonl", options.seed)));
    let shown = Some(&drawn).filter(|_| options.pictures > 0);
    let mut settings = settings.clone();
    if shown.is_some() {
        // First, so that one that is given has the last word.
        settings.entries.insert(0, ("seq".into(), ROW.to_string()));
    }
    let settings = &settings;
    let mut building = BuildConfig {
        sources: [&file].into_iter().chain(shown).map(|file| Source::new(file.to_string_lossy())).collect(),
        tokenizer: TokenizerChoice::Bytes,
        threads: crate::machine::threads(common)?,
        ..BuildConfig::default()
    };
    // A tile each: rows have room for the largest document's, and most of them hold text alone.
    building.seeing.preparation.longest_edge = Some(building.seeing.preparation.tile);
    building.check().map_err(build::usage)?;
    same_story(options, settings)?;
    chapter(common, 1, "a world: people, places, stories, sums and programs, all from a seed");
    if !file.exists() {
        build::generate(&world, options.seed, options.bytes, false, common)?;
    }
    if shown.is_some_and(|drawn| !drawn.exists()) {
        build::draw(&world, options.seed, options.pictures, false, common)?;
    }
    chapter(common, 2, "text to tokens, a byte each, and pictures to tiles");
    // What it will be asked is not trained on.
    building.held_out = Some(world.join("questions.jsonl")).filter(|path| path.exists());
    if !data.join("manifest.json").exists() {
        let report = build::build(&building, &data, common)?;
        if !common.json && !common.quiet {
            eprint!("{}", build::summary(&data, &report));
        }
    }
    chapter(common, 3, "small runs, seconds each");
    let climb = ladder::Run { max: options.max, foretelling: true, ..ladder::Run::of(&data, &ladder) };
    ladder::run(&ladder::Verb::Run(climb), common, settings)?;
    chapter(common, 4, "what will a large one be? (written down before it runs)");
    let known = match registry.exists() {
        true => Registry::at(&registry).entries()?,
        false => Vec::new(),
    };
    if known.is_empty() {
        predict::run(
            &predict::Options {
                ladder: Some(ladder.clone()),
                log: None,
                columns: String::new(),
                budget: budget.to_string(),
                max_rung: None,
                machine: None,
                data: None,
                seed: options.seed,
                register: true,
                registry: registry.clone(),
            },
            common,
        )?;
    } else {
        note(common, "done before");
    }
    chapter(common, 5, "the large run");
    match Run::open(&run).map(|run| run.done()) {
        Ok(true) => note(common, "done before"),
        Ok(false) => {
            let rest = resume::Options { run: run.clone(), data: None, score: Vec::new(), ranks: None };
            resume::run(&rest, common)?;
        }
        Err(_) => {
            let whole =
                train::Options { out: Some(run.clone()), ..train::Options::of_prediction(ID, &registry) };
            train::run(&whole, common, &Settings::default())?;
        }
    }
    chapter(common, 6, "did it hold?");
    let judged = known.iter().any(|entry| entry.kind == "outcome");
    let outcome = Some(run.clone()).filter(|_| !judged);
    verify::run(
        &verify::Options { id: Some(ID), run: outcome, loss: None, registry: registry.clone() },
        common,
    )?;
    chapter(common, 7, "what it writes, and what it sees");
    for prompt in PROMPTS {
        let tokens = Some(60);
        sample::run(
            &sample::Options { tokens, temperature: 0.8, ..sample::Options::of(&run, prompt) },
            common,
        )?;
    }
    if shown.is_some() {
        look(&run, &place("asked"), options.seed, common)?;
    }
    chapter(common, 8, "all of it as a page");
    let page = place("report.html");
    report::run(
        &report::Options {
            folders: vec![ladder, run.clone()],
            registry: Some(registry),
            transfer: None,
            out: page.clone(),
        },
        common,
    )?;
    if common.json {
        output::json(&serde_json::json!({"out": options.out, "run": run, "report": page, "done": true}))?;
    }
    let show = run.display();
    note(
        common,
        &format!(
            "Go on with: foretell sample {show} --prompt \"Dear \"\n            foretell exam {show} --tasks world --world {}\n            foretell export {show} --to gguf --out world.gguf",
            options.seed
        ),
    );
    Ok(())
}

/// Asks about pictures that were not drawn for training, one of each kind, and tells the right answers.
fn look(model: &Path, folder: &Path, seed: u64, common: &Common) -> Result<(), Failure> {
    let files = Files::new();
    files.create_folder(folder)?;
    let world = World::new(seed);
    for sight in Sight::ALL {
        // Some stand behind their question, or two with their numbers: the first that is as `sample` shows it.
        let mut exhibits = (EXAM..EXAM + 64).map(|index| world.exhibit(sight, 1, index, false));
        let found = exhibits.find_map(|exhibit| {
            let asked = exhibit.questions.iter().find_map(|asked| match asked.prompt.split_last()? {
                (Part::Text(question), shown)
                    if shown.iter().all(|part| matches!(part, Part::Picture(_))) =>
                {
                    Some((question.clone(), asked.answer.clone()))
                }
                _ => None,
            });
            asked.map(|(question, answer)| (exhibit.pictures, question, answer))
        });
        let Some((pictures, question, answer)) = found else { continue };
        let mut image = Vec::new();
        for (number, picture) in pictures.iter().enumerate() {
            let path = folder.join(format!("{}-{number}.{}", sight.name(), data::world::extension(picture)));
            files.replace(&path, picture)?;
            image.push(path);
        }
        let shown: Vec<String> = image.iter().map(|path| path.display().to_string()).collect();
        note(common, &format!("{}: the answer is {answer}", shown.join(" ")));
        let asking = sample::Options {
            image,
            tokens: Some(12),
            temperature: 0.0,
            stop: vec!["\n".into()],
            ..sample::Options::of(model, &format!("{question}\n"))
        };
        sample::run(&asking, common)?;
    }
    Ok(())
}

/// An interrupted story goes on only with the options that it was begun with; until the ladder is begun, those
/// that its data depends on.
fn same_story(options: &Options, settings: &Settings) -> Result<(), Failure> {
    let Options { out, budget, max, bytes, pictures, seed } = options;
    let data = format!("bytes = {bytes}\npictures = {pictures}\nseed = {seed}\n");
    let mut told = format!("{data}budget = {budget:?}\nmax = {max:e}\n");
    for (name, value) in &settings.entries {
        told += &format!("{name:?} = {value:?}\n");
    }
    let path = out.join("quickstart.toml");
    match std::fs::read_to_string(&path) {
        Ok(begun) if begun == told => Ok(()),
        Ok(begun) if out.join("ladder").exists() || !begun.starts_with(&data) => {
            Err(Failure::Usage(format!(
                "{} was begun with other options, which stand in its quickstart.toml; choose another --out",
                out.display()
            )))
        }
        _ => {
            let files = Files::new();
            files.create_folder(out)?;
            Ok(files.replace(&path, told.as_bytes())?)
        }
    }
}

fn chapter(common: &Common, number: usize, title: &str) {
    note(common, &format!("\n{number}. {title}"));
}

fn note(common: &Common, text: &str) {
    if !common.json && !common.quiet {
        eprintln!("{text}");
    }
}
