//! `ladder run`: the small runs. `ladder fit`: the laws that they follow.

use crate::arguments::Common;
use crate::fleet::{self, Ended, Fleet, Member};
use crate::foretold_sets::{self, SetLaw};
use crate::ladder::{Finished, Ladder, RungPlan};
use crate::next_rung::NextRungs;
use crate::progress::Progress;
use crate::sets;
use crate::settings::Settings;
use crate::{Failure, machine, output};
use anyhow::{Context, anyhow};
use data::Dataset;
use plan::ladder::{Design, Rung};
use plan::{Adjust, Corpus, Plan, Request, Site, rules};
use record::Files;
use scaling::support::{self, SPAN};
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};
use train::{Branch, FurtherSet, ScheduleKind, TrainConfig};

/// What to do with a ladder.
#[derive(clap::Subcommand, Debug)]
pub enum Verb {
    /// Design the small runs, print the bill, run those that are not done
    Run(Run),
    /// The laws that the finished runs follow
    Fit(Fit),
}

/// Options of `ladder run`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell ladder run --data data/real --out ladders/real --max 1e11
  foretell ladder run --data data/real --out ladders/real --max 1e11 --rung 3/20
  foretell ladder run --data data/real --out ladders/real --max 1e12 --span 1000 --full 1e11
  foretell ladder run --data data/real --out ladders/branches --max 1e11 --branches
  foretell ladder run --data data/eyes --out ladders/eyes --max 1e12 --score eyes=exam-7.parquet")]
pub struct Run {
    /// A folder made by `data build`; bytes or a small vocabulary, or the head is most of a small rung
    #[arg(long, value_name = "DATA")]
    pub data: PathBuf,
    /// Folder of the ladder
    #[arg(long, value_name = "LADDER", value_parser = crate::arguments::new_path())]
    pub out: PathBuf,
    /// FLOP of the dearest rung
    #[arg(long, value_name = "FLOP")]
    pub max: f64,
    /// How many times cheaper the cheapest rung is
    #[arg(long, value_name = "TIMES", default_value_t = 100.0)]
    pub span: f64,
    /// Tokens a parameter
    #[arg(long, value_name = "RATIO,…", value_delimiter = ',', default_values_t = [5.0, 10.0, 20.0, 40.0, 80.0])]
    pub ratios: Vec<f64>,
    /// Seeds of every rung
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub seeds: u64,
    /// The first seed: ladders that differ in it are of the same design, and independent
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Rungs dearer than this have one seed and the two middle ratios [default: none]
    #[arg(long, value_name = "FLOP")]
    pub full: Option<f64>,
    /// Runs of one shape and seed share their steps before the decay, which then is the last fifth; they also
    /// share rows, rate and warm-up
    #[arg(long)]
    pub branches: bool,
    /// Score every finished rung on a further set: text (a file, folder or glob) or a file of questions (JSONL or
    /// Parquet, also about pictures); may be given several times
    #[arg(long, value_name = "NAME=PATH")]
    pub score: Vec<String>,
    /// Of n parts of the rungs run only the k-th: for job arrays
    #[arg(long, value_name = "K/N")]
    pub rung: Option<String>,
    /// Only print the bill
    #[arg(long)]
    pub dry_run: bool,
    /// Whether something is to be foretold next: then rungs that span too little are refused, not noted.
    #[arg(skip)]
    pub foretelling: bool,
}

impl Run {
    /// What is not said, for a ladder of some data.
    pub fn of(data: &Path, out: &Path) -> Run {
        let Design { max, span, ratios, seeds, seed, full, branches, .. } = Design::new(1e11);
        let (score, rung, dry_run, foretelling) = (Vec::new(), None, false, false);
        let (data, out) = (data.into(), out.into());
        Run { data, out, max, span, ratios, seeds, seed, full, branches, score, rung, dry_run, foretelling }
    }
}

/// Options of `ladder fit`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell ladder fit ladders/real
  foretell ladder fit ladders/real --next --target 1e14")]
pub struct Fit {
    /// Folder of the ladder
    #[arg(value_name = "LADDER")]
    pub ladder: PathBuf,
    /// Say which further rung would narrow the prediction of the target most
    #[arg(long, requires = "target")]
    pub next: bool,
    /// The run to foretell: FLOP (1e14), or a size (N=1e6,D=2e7)
    #[arg(long, value_name = "BUDGET", requires = "next")]
    pub target: Option<String>,
}

/// Runs the verb.
pub fn run(verb: &Verb, common: &Common, settings: &Settings) -> Result<(), Failure> {
    match verb {
        Verb::Run(options) => climb(options, common, settings),
        Verb::Fit(options) => {
            settings.refuse()?;
            fit(options, common)
        }
    }
}

/// What the rungs share beyond their shapes.
#[derive(Debug)]
struct Shared<'a> {
    fields: &'a [(String, String)],
    sets: &'a [FurtherSet],
    seed: u64,
    branches: bool,
}

impl Adjust for Shared<'_> {
    fn adjust(&self, mut config: TrainConfig) -> plan::Result<TrainConfig> {
        config.seed = self.seed;
        config.samples.prompts.clear();
        config.evaluation.sets = self.sets.to_vec();
        if self.branches {
            config.schedule.kind = ScheduleKind::Wsd;
            config.schedule.decay_steps = rules::decay_steps(config.steps);
        }
        super::plan::set_fields(&config, self.fields)
    }
}

fn climb(options: &Run, common: &Common, settings: &Settings) -> Result<(), Failure> {
    let part = options.rung.as_deref().map(part).transpose()?;
    let dataset = Dataset::open(&options.data)?;
    let ladder = match options.out.join("ladder.toml").exists() {
        true => begun(options, &dataset, settings)?,
        false => design(options, common, settings, &dataset)?,
    };
    bill(options, &ladder, common)?;
    if options.dry_run {
        return Ok(());
    }
    let (skip, step) = part.map_or((0, 1), |(k, n)| (k - 1, n));
    let member = |rung: &RungPlan| Member { name: rung.name.clone(), flops: rung.own_flops() };
    let chains = ladder.chains();
    let mine = chains.iter().skip(skip).step_by(step);
    let mine: Vec<Vec<Member>> = mine.map(|chain| chain.iter().map(|rung| member(rung)).collect()).collect();
    let sets = sets::load(&ladder.sets, &dataset)?;
    let fleet = Fleet { folder: &options.out, name: "ladder", dataset: &dataset, sets: &sets, weights: true };
    let Ended { stopped, diverged } = fleet.run(&mine, common)?;
    if let Some(name) = diverged.first() {
        return Err(anyhow!(
            "rung {name}: its loss is no number; a lower rate may help (--set learning_rate)"
        )
        .into());
    }
    let (finished, others) = ladder.finished(&options.out)?;
    let summary =
        serde_json::json!({"ladder": options.out, "rungs": ladder.rungs.len(), "done": finished.len()});
    if stopped {
        let text = format!(
            "stopped and saved; {} of {} rungs are done; the same command goes on",
            finished.len(),
            ladder.rungs.len()
        );
        return Err(Failure::Interrupted(text));
    }
    Ok(output::either(common, &summary, || {
        let place = options.out.display();
        match others.is_empty() {
            true => format!(
                "{place}: all {} rungs are done; go on with: foretell ladder fit {place}\n",
                finished.len()
            ),
            false => format!("{place}: {} of {} rungs are done\n", finished.len(), ladder.rungs.len()),
        }
    })?)
}

/// `k/n`.
fn part(text: &str) -> Result<(usize, usize), Failure> {
    let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match numbers {
        Some((k, n)) if (1..=n).contains(&k) => Ok((k, n)),
        _ => Err(Failure::Usage(format!("--rung {text}: write it as k/n with k from 1 to n, as in 3/20"))),
    }
}

/// The design that is asked for, and what its rungs are trained on.
fn asked(options: &Run, dataset: &Dataset, settings: &Settings) -> Result<(Design, Corpus), Failure> {
    let Run { max, span, ratios, seeds, seed, full, branches, .. } = options;
    let (corpus, fixed) = super::plan::corpus(dataset, settings)?;
    let rule = Design::new(*max).seeing(&corpus);
    let design = Design {
        span: *span,
        ratios: ratios.clone(),
        seeds: *seeds,
        seed: *seed,
        full: *full,
        branches: *branches,
        head_dim: fixed.head_dim.unwrap_or(rule.head_dim),
        seq: fixed.seq.unwrap_or(rule.seq),
        ..rule
    };
    Ok((design, corpus))
}

/// A ladder that was designed before goes on only as it was designed.
fn begun(options: &Run, dataset: &Dataset, settings: &Settings) -> Result<Ladder, Failure> {
    let ladder = Ladder::open(&options.out)?;
    let place = options.out.display();
    let (design, corpus) = asked(options, dataset, settings)?;
    if (&ladder.data_hash, &ladder.eval_hash) != (&corpus.data.hash, &corpus.data.eval_hash) {
        return Err(
            anyhow!("{}: is not the data that {place} was designed for", options.data.display()).into()
        );
    }
    if ladder.design != design || ladder.settings != settings.entries {
        return Err(Failure::Usage(format!(
            "{place} was designed with other options, which stand in its ladder.toml; choose another --out"
        )));
    }
    let asked = sets::resolve(&options.score, dataset)?;
    let same =
        |set: &FurtherSet| ladder.sets.iter().any(|own| (&own.name, &own.hash) == (&set.name, &set.hash));
    if let Some(other) = asked.iter().find(|set| !same(set)) {
        return Err(Failure::Usage(format!(
            "--score {}={}: {place} was designed without it; choose another --out",
            other.name, other.path
        )));
    }
    Ok(ladder)
}

/// Plans every rung and writes the ladder down.
fn design(options: &Run, common: &Common, settings: &Settings, dataset: &Dataset) -> Result<Ladder, Failure> {
    let (design, corpus) = asked(options, dataset, settings)?;
    let (rungs, notes) = design.rungs(corpus.vocab).map_err(Failure::of_plan)?;
    notes.iter().for_each(|note| eprintln!("note: {note}"));
    let sets = sets::resolve(&options.score, dataset)?;
    let loaded = sets::load(&sets, dataset)?;
    let device = machine::device_of(common, 1)?;
    let site = Site::measure(&device)?;
    let mut progress = Progress::new("design", rungs.len() as u64, common.quiet || common.json);
    let (mut planned, mut configs) = (Vec::<RungPlan>::new(), Vec::<TrainConfig>::new());
    for (count, rung) in (1..).zip(&rungs) {
        let Plan { parameters, tokens, flops, seconds, mut config, .. } =
            plan_rung(rung, &corpus, settings, &sets, &site)?;
        sets::check(&loaded, &config)?;
        config.origin.version = machine::version();
        config.machine.threads = 1;
        // They come in order of cost, so the last of the same shape and seed is the next shorter one.
        let same = |other: &Rung| design.branches && (other.shape, other.seed) == (rung.shape, rung.seed);
        if let Some(shorter) = rungs[..planned.len()].iter().rposition(same) {
            let step = train::branches_from(&config.to_toml()?, &configs[shorter].to_toml()?)
                .with_context(|| format!("--branches: rung {}", rung.name))?;
            configs[shorter].checkpoints.branch = true;
            config.origin.branch = Some(Branch { run: rungs[shorter].name.clone(), step });
        }
        let (name, seed, seconds) = (rung.name.clone(), rung.seed, seconds.total);
        let (steps, branch) = (config.steps, config.origin.branch.clone());
        planned.push(RungPlan { name, parameters, tokens, flops, steps, seconds, seed, branch });
        configs.push(config);
        progress.show(count, || "rungs planned".into());
    }
    progress.end();
    // The same for all rungs.
    if let Some(config) = configs.first() {
        corpus.cut_note(config.seq(), config.tiles).iter().for_each(|note| eprintln!("note: {note}"));
    }
    let ladder = Ladder {
        version: machine::version(),
        design,
        settings: settings.entries.clone(),
        data: options.data.clone(),
        data_hash: corpus.data.hash.clone(),
        eval_hash: corpus.data.eval_hash.clone(),
        sets,
        rungs: planned,
    };
    let span = support::span(ladder.rungs.iter().map(|rung| rung.flops));
    if span < SPAN {
        let text =
            format!("the rungs span {span:.1} times in compute; predictions want {SPAN}: a higher --max");
        if options.foretelling {
            return Err(Failure::Usage(text));
        }
        eprintln!("note: {text}");
    }
    if !options.dry_run {
        let files = Files::new();
        files.create_folder(&options.out.join("plans"))?;
        // Parts of a job array begin at the same time: the first to get here designs it for all.
        let place = options.out.join("lock");
        let lock = File::create(&place).with_context(|| format!("cannot create {}", place.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", place.display()))?;
        if options.out.join("ladder.toml").exists() {
            return begun(options, dataset, settings);
        }
        for (rung, config) in ladder.rungs.iter().zip(&configs) {
            files.replace(&fleet::plan_file(&options.out, &rung.name), config.to_toml()?.as_bytes())?;
        }
        // Last: a folder that has it has everything.
        let text = toml::to_string(&ladder).map_err(|e| anyhow!("ladder.toml: {e}"))?;
        files.replace(&options.out.join("ladder.toml"), text.as_bytes())?;
    }
    Ok(ladder)
}

/// Plans a rung, or the run above them all.
pub fn plan_rung(
    rung: &Rung,
    corpus: &Corpus,
    settings: &Settings,
    sets: &[FurtherSet],
    site: &Site,
) -> Result<Plan, Failure> {
    let mut fixed = rung.settings();
    let fields = super::plan::apply(settings, &mut fixed)?;
    let adjust = Shared { fields: &fields, sets, seed: rung.seed, branches: rung.trunk.is_some() };
    let available = crate::memory::available();
    let request = Request { budget: rung.budget(), settings: &fixed, corpus, adjust: &adjust, available };
    Plan::make(&request, site).map_err(Failure::of_plan)
}

/// What the ladder costs, before it runs.
fn bill(options: &Run, ladder: &Ladder, common: &Common) -> Result<(), Failure> {
    let workers = machine::threads(common)?;
    let flops: f64 = ladder.rungs.iter().map(RungPlan::own_flops).sum();
    let seconds: f64 = ladder.rungs.iter().map(RungPlan::own_seconds).sum();
    if common.json {
        output::json(&serde_json::json!({
            "ladder": options.out, "rungs": ladder.rungs, "flops": flops, "seconds": seconds / workers as f64,
        }))?;
        return Ok(());
    }
    if common.quiet {
        return Ok(());
    }
    eprintln!("The bill: {} rungs", ladder.rungs.len());
    eprintln!("  {:<22} {:>9} {:>9} {:>9} {:>7} {:>8}", "rung", "N", "D", "FLOP", "D/N", "seconds");
    for rung in &ladder.rungs {
        eprintln!(
            "  {:<22} {:>9} {:>9.2e} {:>9.2e} {:>7.1} {:>8.1}{}",
            rung.name,
            rung.parameters,
            rung.tokens as f64,
            rung.own_flops(),
            rung.tokens as f64 / rung.parameters as f64,
            rung.own_seconds(),
            rung.branch.as_ref().map_or(String::new(), |from| format!("  {} steps are there", from.step)),
        );
    }
    eprintln!("  together {flops:.2e} FLOP, about {:.0} s, {workers} at a time", seconds / workers as f64);
    Ok(())
}

/// What `ladder fit` says and writes.
#[derive(Serialize)]
struct Laws {
    loss_unit: &'static str,
    rungs: Vec<Finished>,
    unfinished: Vec<String>,
    /// Relative deviation between seeds.
    noise: Option<f64>,
    laws: Vec<scaling::forecast::Opinion>,
    /// Of the further sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sets: Vec<SetLaw>,
    backtest: Vec<scaling::backtest::Reach>,
    /// Further rungs, what narrows the prediction most a FLOP first.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<NextRungs>,
}

fn fit(options: &Fit, common: &Common) -> Result<(), Failure> {
    let ladder = Ladder::open(&options.ladder)?;
    let (rungs, unfinished) = ladder.finished(&options.ladder)?;
    let runs: Vec<scaling::Run> = rungs.iter().map(|rung| rung.run).collect();
    let Some(dearest) = runs.iter().max_by(|a, b| a.flops.total_cmp(&b.flops)) else {
        let text = format!("{}: no rung is done yet; `ladder run` runs them", options.ladder.display());
        return Err(anyhow!(text).into());
    };
    let next = options.target.as_deref().map(|budget| NextRungs::find(&runs, budget)).transpose()?;
    let laws = Laws {
        loss_unit: "bits a byte",
        noise: scaling::Noise::measure(&runs).map(|noise| noise.deviation),
        laws: scaling::forecast::opinions(&runs, &dearest.target()),
        backtest: scaling::backtest::reaches(&scaling::backtest::backtest(&runs)),
        sets: foretold_sets::laws(&ladder.sets, &options.ladder, &rungs)?,
        rungs,
        unfinished,
        next,
    };
    let text = serde_json::to_string_pretty(&laws)?;
    Files::new().replace(&options.ladder.join("laws.json"), text.as_bytes())?;
    Ok(output::either(common, &laws, || people(options, &laws))?)
}

fn people(options: &Fit, laws: &Laws) -> String {
    use std::fmt::Write;
    let mut text = format!("{}: {} rungs are done", options.ladder.display(), laws.rungs.len());
    if !laws.unfinished.is_empty() {
        let _ = write!(text, ", {} are not", laws.unfinished.len());
    }
    let _ = writeln!(text, "\n  {:<22} {:>9} {:>9} {:>9} {:>10}", "rung", "N", "D", "FLOP", "bits/byte");
    for Finished { name, run, .. } in &laws.rungs {
        let scaling::Run { parameters, tokens, flops, loss } = run;
        let _ = writeln!(text, "  {name:<22} {parameters:>9.2e} {tokens:>9.2e} {flops:>9.2e} {loss:>10.4}");
    }
    if let Some(noise) = laws.noise {
        let _ = writeln!(text, "  seeds differ by {:.2} %", 100.0 * noise);
    }
    for law in &laws.laws {
        let constants: Vec<_> = law
            .constants
            .iter()
            .map(|(name, value, deviation)| {
                format!("{name} = {} ± {}", crate::answer::short(*value), crate::answer::short(*deviation))
            })
            .collect();
        let _ = writeln!(text, "  {:<9} {}\n            {}", law.law, law.formula, constants.join(", "));
    }
    for row in &laws.backtest {
        text += &crate::answer::backtest_line(row);
    }
    foretold_sets::people_of_laws(&laws.sets, &mut text);
    if let Some(next) = &laws.next {
        text += &next.people();
    }
    let _ = writeln!(text, "  written to {}", options.ladder.join("laws.json").display());
    text
}
