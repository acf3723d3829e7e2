//! `bench evidence`: ladders and targets that a file names before any of them is run: made, foretold, and held against what
//! came out, over as many sittings as it takes. What is done is not done again; every prediction that is registered counts.
//!
//! ```text
//! FOLDER/ ladders/<name>/    a ladder
//!         predictions.jsonl  every target from every one of its ladders and bounds, before the first target begins
//!         targets/           the targets: plans and runs, one a core
//! ```

use super::verify::Verified;
use super::{ladder, predict, verify};
use crate::arguments::Common;
use crate::fleet::{self, Ended, Fleet, Member};
use crate::ladder::Ladder;
use crate::prediction::Prediction;
use crate::settings::Settings;
use crate::{Failure, input, machine, output, sets};
use anyhow::{Context, anyhow};
use data::Dataset;
use plan::Budget;
use record::{Entry, Files, Registry, Run};
use scaling::backtest::{self, Reach};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use train::TrainConfig;

/// Options of `bench evidence`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:
  foretell bench evidence docs/evidence/ladders.toml --out evidence --records docs/evidence/ladders

What the file says: docs/evidence/ladders.toml is one.")]
pub struct Options {
    /// The file that names ladders and targets
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Folder of ladders, predictions and runs
    #[arg(long, value_name = "FOLDER", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// Folder to which the records are copied, without weights
    #[arg(long, value_name = "FOLDER", value_parser = crate::arguments::new_path())]
    pub records: Option<PathBuf>,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    ladder: Vec<NamedLadder>,
    target: Vec<NamedTarget>,
}

/// A ladder; what it does not say is the default of `ladder run`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedLadder {
    name: String,
    data: PathBuf,
    max: f64,
    span: Option<f64>,
    ratios: Option<Vec<f64>>,
    seeds: Option<u64>,
    seed: Option<u64>,
    full: Option<f64>,
    #[serde(default)]
    branches: bool,
    #[serde(default)]
    score: Vec<String>,
    /// Settings of the runs, `name=value`.
    #[serde(default)]
    set: Vec<String>,
}

/// A run that is foretold from every one of its ladders by each bound.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedTarget {
    name: String,
    ladders: Vec<String>,
    budget: String,
    seed: u64,
    bounds: Vec<f64>,
}

/// One prediction to be made.
struct Wanted<'a> {
    target: &'a NamedTarget,
    ladder: PathBuf,
    bound: f64,
}

/// What is said of a ladder.
#[derive(Serialize)]
struct LadderLine<'a> {
    ladder: &'a str,
    rungs: usize,
    /// FLOP of all of them.
    flops: f64,
    /// FLOP of the dearest.
    dearest: f64,
    /// Relative deviation between seeds.
    noise: Option<f64>,
    /// Every rung hidden, not only the dearest.
    backtest: Vec<Reach>,
}

/// What is said of a prediction and its outcome.
#[derive(Serialize)]
struct TargetLine<'a> {
    name: &'a str,
    ladder: String,
    bound: f64,
    parameters: f64,
    tokens: f64,
    flops: f64,
    /// Cost of the rungs that were used over that of the target.
    ladder_cost: f64,
    /// Half the width of the 90 % interval over the median.
    half90: f64,
    #[serde(flatten)]
    verified: &'a Verified,
}

/// Goes on from where the folder stands.
pub fn run(options: &Options, common: &Common) -> Result<(), Failure> {
    let named = Named::read(&options.file)?;
    let registry = options.out.join("predictions.jsonl");
    for ladder in &named.ladder {
        let place = place(&options.out, &ladder.name);
        ladder::run(&ladder::Verb::Run(ladder.options(&place)), common, &ladder.settings()?)?;
        let fit = ladder::Fit { ladder: place, next: false, target: None };
        ladder::run(&ladder::Verb::Fit(fit), common, &Settings::default())?;
    }
    // A target runs on one core, so its time and memory are foretold for one.
    let alone = Common { threads: Some(1), ..common.clone() };
    let wanted: Vec<Wanted> = named.wanted(&options.out).collect();
    for one in &wanted {
        if one.registered(&Registry::at(&registry).entries()?)?.is_none() {
            if one.run(&options.out).exists() {
                let text = "it has begun, and a prediction of it that is registered now would be none";
                return Err(anyhow!("target {}: {text}; name another target", one.target.name).into());
            }
            predict::run(&one.options(&registry), &alone)?;
        }
    }
    let stopped = train(&named, &wanted, options, &registry, common)?;
    judge(&wanted, options, &registry, common)?;
    summary(&named, &wanted, options, &registry, common)?;
    match stopped {
        true => Err(Failure::Interrupted("stopped and saved; the same command goes on".into())),
        false => Ok(()),
    }
}

fn place(out: &Path, ladder: &str) -> PathBuf {
    out.join("ladders").join(ladder)
}

fn targets(out: &Path) -> PathBuf {
    out.join("targets")
}

impl Named {
    fn read(path: &Path) -> Result<Named, Failure> {
        let place = path.display();
        let text = String::from_utf8(input::read(path)?).map_err(|_| anyhow!("{place}: it is not UTF-8"))?;
        let named: Named =
            toml::from_str(&text).map_err(|e| anyhow!("{place}: {}", e.to_string().trim_end()))?;
        let mut seen = BTreeSet::new();
        let names = named.ladder.iter().map(|one| &one.name).chain(named.target.iter().map(|one| &one.name));
        for name in names {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Err(anyhow!("{place}: name {name:?}: letters, digits and hyphens make a name").into());
            }
            if !seen.insert(name) {
                return Err(anyhow!("{place}: there are two of the name {name}").into());
            }
        }
        for target in &named.target {
            if target.ladders.is_empty() || target.bounds.is_empty() {
                return Err(anyhow!("{place}: target {} has no ladders or no bounds", target.name).into());
            }
            if let Some(other) = target.ladders.iter().find(|name| named.ladder(name).is_none()) {
                return Err(anyhow!("{place}: target {}: there is no ladder {other}", target.name).into());
            }
            target.budget.parse::<Budget>().map_err(Failure::of_plan)?;
        }
        Ok(named)
    }

    fn ladder(&self, name: &str) -> Option<&NamedLadder> {
        self.ladder.iter().find(|ladder| ladder.name == name)
    }

    /// Every prediction, in the order of the file.
    fn wanted<'a>(&'a self, out: &'a Path) -> impl Iterator<Item = Wanted<'a>> {
        self.target.iter().flat_map(move |target| {
            let of = move |ladder: &'a String| {
                let ladder = place(out, ladder);
                target.bounds.iter().map(move |&bound| Wanted { target, ladder: ladder.clone(), bound })
            };
            target.ladders.iter().flat_map(of)
        })
    }
}

impl NamedLadder {
    fn options(&self, place: &Path) -> ladder::Run {
        let default = ladder::Run::of(&self.data, place);
        ladder::Run {
            max: self.max,
            span: self.span.unwrap_or(default.span),
            ratios: self.ratios.clone().unwrap_or(default.ratios),
            seeds: self.seeds.unwrap_or(default.seeds),
            seed: self.seed.unwrap_or(default.seed),
            full: self.full,
            branches: self.branches,
            score: self.score.clone(),
            ..ladder::Run::of(&self.data, place)
        }
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_string(), value.trim().to_string())),
            None => Err(anyhow!("ladder {}: set = {text:?}: write it as name=value", self.name)),
        };
        let entries = self.set.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Settings { entries, typed: Vec::new() })
    }
}

impl Wanted<'_> {
    fn options(&self, registry: &Path) -> predict::Options {
        predict::Options {
            ladder: Some(self.ladder.clone()),
            log: None,
            columns: String::new(),
            budget: self.target.budget.clone(),
            max_rung: Some(self.bound),
            data: None,
            machine: None,
            seed: self.target.seed,
            register: true,
            registry: registry.into(),
        }
    }

    /// The entry that foretells it, if there is one.
    fn registered(&self, entries: &[Entry]) -> Result<Option<Prediction>, Failure> {
        let budget = self.target.budget.parse::<Budget>().map_err(Failure::of_plan)?.to_string();
        for entry in entries.iter().filter(|entry| entry.kind == "prediction") {
            let source = entry.body.get("source").and_then(|source| source.get("ladder")?.as_str());
            let bound = entry.body.get("max_rung").and_then(|bound| bound.as_f64());
            if source.map(Path::new) != Some(&*self.ladder) || bound != Some(self.bound) {
                continue;
            }
            let Some(prediction) = Prediction::of(entry)? else { continue };
            if prediction.run.seed == self.target.seed && prediction.config()?.origin.budget == budget {
                return Ok(Some(prediction));
            }
        }
        Ok(None)
    }

    fn run(&self, out: &Path) -> PathBuf {
        fleet::run_folder(&targets(out), &self.target.name)
    }
}

/// Trains the targets that are not done, those on the same data side by side; whether it was asked to stop.
fn train(
    named: &Named,
    wanted: &[Wanted],
    options: &Options,
    registry: &Path,
    common: &Common,
) -> Result<bool, Failure> {
    let entries = Registry::at(registry).entries()?;
    let folder = targets(&options.out);
    let files = Files::new();
    files.create_folder(&folder.join("plans"))?;
    for ladder in &named.ladder {
        let mut members = Vec::new();
        let mine = named.target.iter().filter(|target| target.ladders.first() == Some(&ladder.name));
        for target in mine {
            let of_target = wanted.iter().filter(|one| std::ptr::eq(one.target, target));
            let all: Vec<Prediction> =
                of_target.filter_map(|one| one.registered(&entries).transpose()).collect::<Result<_, _>>()?;
            // The last of them: a run that names it began after all of them.
            let Some(last) = all.iter().max_by_key(|one| one.entry.id) else { continue };
            // What came out is in the registry, so the run itself need not be here.
            if all.iter().all(|one| verify::known(&entries, one.entry.id)) {
                continue;
            }
            // When is saved follows the machine's speed, and that from minute to minute; it is none of the run's.
            for other in &all {
                let differ = TrainConfig::differences(&other.run.config, &last.run.config)?;
                if let Some((name, ..)) = differ.first() {
                    let ids = (other.entry.id, last.entry.id);
                    let text = format!("predictions {} and {} differ in {name}", ids.0, ids.1);
                    return Err(anyhow!("target {}: {text}: one run cannot be both", target.name).into());
                }
            }
            let path = fleet::plan_file(&folder, &target.name);
            if !fleet::run_folder(&folder, &target.name).exists() {
                let mut config = last.config()?;
                config.origin.prediction = Some(last.origin());
                config.origin.started = machine::now()?;
                files.replace(&path, config.to_toml()?.as_bytes())?;
            }
            members.push(vec![Member { name: target.name.clone(), flops: last.run.flops }]);
        }
        if members.is_empty() {
            continue;
        }
        let dataset = Dataset::open(&ladder.data)?;
        let sets = sets::load(&Ladder::open(&place(&options.out, &ladder.name))?.sets, &dataset)?;
        let fleet = Fleet { folder: &folder, name: "targets", dataset: &dataset, sets: &sets, weights: true };
        let Ended { stopped, diverged } = fleet.run(&members, common)?;
        if let Some(name) = diverged.first() {
            return Err(anyhow!("target {name}: its loss is no number").into());
        }
        if stopped {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the outcomes that there are into the registry.
fn judge(wanted: &[Wanted], options: &Options, registry: &Path, common: &Common) -> Result<(), Failure> {
    for one in wanted {
        let entries = Registry::at(registry).entries()?;
        let Some(prediction) = one.registered(&entries)? else { continue };
        let run = one.run(&options.out);
        let id = prediction.entry.id;
        if !verify::known(&entries, id) && Run::open(&run).is_ok_and(|run| run.done()) {
            let registry = registry.to_path_buf();
            verify::run(&verify::Options { id: Some(id), run: Some(run), loss: None, registry }, common)?;
        }
    }
    Ok(())
}

/// Shows how all of it came out, and copies the records.
fn summary(
    named: &Named,
    wanted: &[Wanted],
    options: &Options,
    registry: &Path,
    common: &Common,
) -> Result<(), Failure> {
    let entries = Registry::at(registry).entries()?;
    let verified = verify::verified(&entries, registry)?;
    let mut records = vec![serde_json::to_string(&serde_json::json!({
        "version": machine::version(), "time": machine::now()?, "file": options.file,
        "file_hash": record::hash(&input::read(&options.file)?),
    }))?];
    let mut costs = Vec::new();
    for ladder in &named.ladder {
        let path = place(&options.out, &ladder.name);
        let (rungs, _) = Ladder::open(&path)?.finished(&path)?;
        let runs: Vec<scaling::Run> = rungs.iter().map(|rung| rung.run).collect();
        let line = LadderLine {
            ladder: &ladder.name,
            rungs: runs.len(),
            flops: rungs.iter().map(|rung| rung.own_flops).sum(),
            dearest: runs.iter().map(|run| run.flops).fold(0.0, f64::max),
            noise: scaling::Noise::measure(&runs).map(|noise| noise.deviation),
            backtest: backtest::reaches(&backtest::hiding(&runs, usize::MAX)),
        };
        output::either(common, &line, || line.people())?;
        records.push(serde_json::to_string(&line)?);
        costs.push((path, rungs));
    }
    for one in wanted {
        let Some(prediction) = one.registered(&entries)? else { continue };
        let Some(verified) = verified.iter().find(|other| other.id == prediction.entry.id) else { continue };
        let used = costs.iter().filter(|(path, _)| *path == one.ladder).flat_map(|(_, rungs)| rungs);
        let used = used.filter(|rung| rung.run.flops <= one.bound * 1.000_001);
        let used: f64 = used.map(|rung| rung.own_flops).sum();
        let (low, high) = verified.interval90;
        let line = TargetLine {
            name: &one.target.name,
            ladder: one.ladder.file_name().map_or(String::new(), |name| name.to_string_lossy().into()),
            bound: one.bound,
            parameters: verified.target.parameters,
            tokens: verified.target.tokens,
            flops: prediction.run.flops,
            ladder_cost: used / prediction.run.flops,
            half90: 0.5 * (high - low) / verified.predicted,
            verified,
        };
        output::either(common, &line, || line.people())?;
        records.push(serde_json::to_string(&line)?);
    }
    let Some(folder) = &options.records else { return Ok(()) };
    let files = Files::new();
    files.create_folder(folder)?;
    files.replace(&folder.join("evidence.jsonl"), (records.join("\n") + "\n").as_bytes())?;
    copy(&files, registry, &folder.join("predictions.jsonl"))?;
    for ladder in &named.ladder {
        let path = place(&options.out, &ladder.name);
        copy(&files, &path.join("ladder.toml"), &folder.join(format!("{}.toml", ladder.name)))?;
        copy(&files, &path.join("laws.json"), &folder.join(format!("{}.json", ladder.name)))?;
    }
    Ok(())
}

fn copy(files: &Files, from: &Path, to: &Path) -> Result<(), Failure> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    Ok(files.replace(to, &bytes)?)
}

impl LadderLine<'_> {
    fn people(&self) -> String {
        let noise =
            self.noise.map_or(String::new(), |noise| format!(", seeds differ by {:.2} %", 100.0 * noise));
        let mut text = format!(
            "ladder {}: {} rungs to {:.2e} FLOP, {:.2e} together{noise}\n",
            self.ladder, self.rungs, self.dearest, self.flops
        );
        self.backtest.iter().for_each(|row| text += &crate::answer::backtest_line(row));
        text
    }
}

impl TargetLine<'_> {
    fn people(&self) -> String {
        let one = self.verified;
        let held = if one.in90 { "held" } else { "missed" };
        format!(
            "{:<12} {:<10} {:>6.0}×  {:.4} ±{:.1} % foretold, {:.4} came out: {:+.2} %, {held}; cost {:.2} %\n",
            self.name,
            self.ladder,
            one.compute_ratio,
            one.predicted,
            100.0 * self.half90,
            one.observed,
            100.0 * one.error,
            100.0 * self.ladder_cost
        )
    }
}
