//! A plan: everything that a budget decides, and what it will cost, before anything runs.

use crate::rules::{self, EPOCHS_REFUSED, EPOCHS_WARNED, EVAL_SHARE, EVALS, TOKENS_PER_PARAMETER};
use crate::{Budget, Error, Result, Settings, Shape, Sight, Site, Stopwatch, step_config};
use engine::CpuDevice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use train::{DataConfig, Memory, Samples, Schedule, ScheduleKind, TrainConfig};

/// What is to be trained on, as far as a plan needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Token that begins and ends documents.
    pub eos: Option<u32>,
    /// Tokens to train on; `None`: as many as wanted.
    pub train_tokens: Option<u64>,
    /// Held-out tokens.
    pub eval_tokens: u64,
    /// Of its pictures.
    pub sight: Option<Sight>,
    /// Seconds in which one core of this machine makes the pictures of a row, a token.
    pub decoding: f64,
    /// How many documents with pictures it has of so many tokens and tiles.
    pub shown: BTreeMap<(usize, usize), u64>,
    /// Where, and which.
    pub data: DataConfig,
}

impl Corpus {
    /// Of a data folder; where it has pictures, some are decoded, to see how long it takes.
    ///
    /// # Errors
    /// [`data::Error::Empty`] for one that holds everything out, as an exam does.
    pub fn of(dataset: &data::Dataset) -> Result<Corpus> {
        let manifest = dataset.manifest();
        if manifest.train.tokens == 0 {
            let folder = dataset.folder().display();
            let what = format!("{folder}: all of it is held out, so there is nothing to train on");
            return Err(data::Error::Empty(what).into());
        }
        let sight = Sight::of(dataset);
        let decoding = sight.as_ref().map(|sight| crate::decoding::seconds_per_token(dataset, sight));
        Ok(Corpus {
            vocab: dataset.tokenizer().vocab_size(),
            eos: Some(dataset.tokenizer().eos()),
            train_tokens: Some(manifest.train.tokens),
            eval_tokens: manifest.eval.tokens,
            sight,
            decoding: decoding.transpose()?.unwrap_or(0.0),
            shown: dataset.train().shown(),
            data: DataConfig {
                path: PathBuf::from(dataset.folder()),
                hash: manifest.data_hash(),
                eval_hash: manifest.eval_hash(),
            },
        })
    }

    /// Of which only the vocabulary is known: as much text as is wanted.
    pub fn of_vocabulary(vocab: usize) -> Corpus {
        Corpus {
            vocab,
            eos: None,
            train_tokens: None,
            eval_tokens: u64::MAX,
            sight: None,
            decoding: 0.0,
            shown: BTreeMap::new(),
            data: DataConfig { path: "none".into(), hash: String::new(), eval_hash: String::new() },
        }
    }

    /// What a step's pictures add to its time: the lanes share them. Another machine's cores were not timed.
    fn decoding(&self, config: &TrainConfig, site: &Site) -> f64 {
        match site {
            Site::Here { .. } => {
                let lanes = config.ranks() * train::lanes(config, site.threads() / config.ranks());
                self.decoding * config.step_tokens() as f64 / lanes as f64
            }
            Site::There(_) => 0.0,
        }
    }

    /// Mean tokens of a document with pictures, if there are some: rows hold such documents whole, of which each token sees only
    /// its own.
    fn showing(&self) -> Option<usize> {
        let documents: u64 = self.shown.values().sum();
        let tokens: u64 = self.shown.iter().map(|((tokens, _), count)| *tokens as u64 * count).sum();
        tokens.checked_div(documents).map(|tokens| tokens.max(1) as usize)
    }

    /// Documents with pictures, and how many of them fit into no row of `seq` tokens with room for `tiles` tiles: they are cut.
    pub fn cut(&self, seq: usize, tiles: usize) -> (u64, u64) {
        let fits_not = |((length, shown), _): &(&(usize, usize), &u64)| *length > seq || *shown > tiles;
        (self.shown.values().sum(), self.shown.iter().filter(fits_not).map(|(_, count)| count).sum())
    }

    /// The same for people; `None` where none is cut.
    pub fn cut_note(&self, seq: usize, tiles: usize) -> Option<String> {
        let (all, cut) = self.cut(seq, tiles);
        (cut > 0).then(|| {
            format!(
                "{cut} of {all} documents with pictures fit into no row of {seq} tokens and {tiles} tiles, and are cut; \
                 --set seq gives longer ones"
            )
        })
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// How much to spend.
    pub budget: Budget,
    /// What is fixed.
    pub settings: &'a Settings,
    /// What on.
    pub corpus: &'a Corpus,
    /// Changes to the configuration that the rules make: seed, optimiser, schedule, machine.
    pub adjust: &'a dyn Adjust,
    /// Bytes of memory that may be used.
    pub available: Option<u64>,
}

impl Request<'_> {
    /// What is wished for, or what the rules say.
    fn tokens_per_parameter(&self) -> f64 {
        let rule = self.corpus.sight.map_or(TOKENS_PER_PARAMETER, |sight| sight.tokens_per_parameter());
        self.settings.tokens_per_parameter.unwrap_or(rule)
    }
}

/// Changes a configuration that follows from the rules.
pub trait Adjust: fmt::Debug {
    /// Called on every configuration that is considered.
    fn adjust(&self, config: TrainConfig) -> Result<TrainConfig>;
}

impl Adjust for () {
    fn adjust(&self, config: TrainConfig) -> Result<TrainConfig> {
        Ok(config)
    }
}

/// Where the time goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// A step.
    pub step: f64,
    /// All steps.
    pub training: f64,
    /// All evaluations, without the samples drawn at them.
    pub evaluation: f64,
    /// All checkpoints.
    pub saving: f64,
    /// Everything.
    pub total: f64,
}

/// A run before it runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What was asked for.
    pub budget: Budget,
    /// The model.
    pub shape: Shape,
    /// N: weights that multiply.
    pub parameters: u64,
    /// All weights.
    pub total_parameters: u64,
    /// D: tokens trained on.
    pub tokens: u64,
    /// C: floating-point operations of all steps, from the graph.
    pub flops: f64,
    /// 6·N·D.
    pub six_nd: f64,
    /// Passes over the data.
    pub epochs: Option<f64>,
    /// What is held while it runs.
    pub memory: Memory,
    /// Their sum.
    pub memory_bytes: usize,
    /// Bytes of a checkpoint.
    pub checkpoint_bytes: usize,
    /// With nothing beside it.
    pub seconds: Seconds,
    /// The described machine that time and memory are of; `None`: this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Share of the machine's peak at which it trains.
    pub share_of_peak: f64,
    /// What the user should know.
    pub notes: Vec<String>,
    /// All of it as a configuration.
    #[serde(skip)]
    pub config: TrainConfig,
}

/// What is continued at every evaluation, unless others are set.
const PROMPTS: [&str; 3] = ["The ", "\"I ", "def "];

/// Bytes a second at which a checkpoint is hashed and written, roughly.
const SAVING_RATE: f64 = 2e8;

/// Steps of a run, at most, as [`TrainConfig::check`] has it.
const MOST_STEPS: f64 = (1u64 << 40) as f64;

/// Less than this share of the rule's tokens is no run.
const LEAST_SHARE: f64 = 0.05;

/// A shape that takes so many times a budget's time to train by the rule is not looked at more closely.
const FARTHEST: f64 = 3.0;

/// A candidate with the tokens that it would be trained on.
#[derive(Clone)]
struct Candidate {
    shape: Shape,
    tokens: f64,
    /// Rows a step, if they are not to follow from the tokens.
    rows: Option<usize>,
}

/// The configuration of a run of a shape over some tokens, by the rules and the request's settings; nothing is timed.
pub fn configure(request: &Request<'_>, shape: Shape, tokens: f64) -> Result<TrainConfig> {
    request.settings.check()?;
    configuration(request, &Candidate { shape, tokens, rows: None })
}

impl Plan {
    /// Resolves a request. Here, the steps of the chosen shape are timed for about a second.
    pub fn make(request: &Request<'_>, site: &Site) -> Result<Plan> {
        request.settings.check()?;
        let shapes = request.settings.candidates(request.corpus.vocab, request.corpus.sight)?;
        // How much slower the machine is than the probe says, learned from the steps that were timed.
        let mut correction = 1.0;
        for attempt in 0.. {
            let mut candidate = choose(request, site, &shapes, correction)?;
            let mut config = configuration(request, &candidate)?;
            // What is frozen costs less than the shape says.
            if let Budget::Flops(flops) = request.budget
                && config.trained_parameters() < config.model.parameters()
            {
                candidate.tokens = flops * config.step_tokens() as f64 / train::step_flops(&config)?;
                config = configuration(request, &candidate)?;
            }
            let memory = Memory::of(&config, site.threads())?;
            check_run(&memory, site.memory(request.available))?;
            let estimate = site.step_seconds(&config)?;
            let timed = match site {
                Site::Here { device, timed: known, .. } => {
                    known.step(&config, || timed(request.corpus, &config, device, estimate))?
                }
                Site::There(_) => None,
            };
            let step = timed.unwrap_or(estimate);
            correction = step / estimate;
            let step = step + request.corpus.decoding(&config, site);
            let Budget::Seconds(budget) = request.budget else {
                return finish(request, site, config, &candidate.shape, memory, step, timed.is_some());
            };
            // The tokens take up what the estimate was wrong by.
            if request.settings.steps.is_none() {
                let per_parameter = candidate.tokens / candidate.shape.parameters() as f64;
                let fit = fitting_steps(&config, budget, step);
                let tokens = fit as f64 * config.step_tokens() as f64;
                let ratio = tokens / candidate.shape.parameters() as f64 / per_parameter;
                if attempt < 3 && !(0.8..1.25).contains(&ratio) {
                    continue;
                }
                // With the rows that were timed.
                let rows = Some(config.rows);
                config = configuration(request, &Candidate { tokens, rows, ..candidate })?;
                return finish(request, site, config, &candidate.shape, memory, step, timed.is_some());
            }
            return finish(request, site, config, &candidate.shape, memory, step, timed.is_some());
        }
        unreachable!("the loop ends by itself")
    }
}

/// Steps that are timed, at least, the first of them to warm up.
const TRIALS: usize = 4;

/// Seconds that they may take.
const TRIAL_SECONDS: f64 = 4.0;

/// Median seconds of a step of one process, which is estimated to take `estimate`. Of a long step a part is timed:
/// the fewest micro-batches that keep all threads busy. `None` where even they take too long.
fn timed(corpus: &Corpus, config: &TrainConfig, device: &CpuDevice, estimate: f64) -> Result<Option<f64>> {
    // Ranks share the machine: together they do what one does.
    let mut alone = TrainConfig { machine: Default::default(), ..config.clone() };
    let lanes = train::lanes(&alone, device.cpu().threads());
    let seconds = |part: &TrainConfig| TRIALS as f64 * estimate * part.rows as f64 / config.rows as f64;
    while seconds(&alone) > TRIAL_SECONDS
        && alone.micro_batches() >= 2 * lanes
        && alone.micro_batches().is_multiple_of(2)
    {
        alone.rows /= 2;
    }
    if seconds(&alone) > 2.0 * TRIAL_SECONDS {
        return Ok(None);
    }
    let mut watch = Stopwatch::new(&alone, device)?;
    if let Some(tokens) = corpus.showing() {
        watch.documents(tokens);
    }
    let times = watch.times(TRIALS - 1, Duration::from_millis(700))?;
    Ok(Some(times[times.len() / 2] * config.rows as f64 / alone.rows as f64))
}

/// Steps that fit into a time, to three digits, so that small differences between measurements do not
/// change the run.
fn fitting_steps(config: &TrainConfig, budget: f64, step: f64) -> u64 {
    let shares = EVAL_SHARE + 0.02;
    let end = evaluation_seconds(config, step) + checkpoint_bytes(config) as f64 / SAVING_RATE;
    round_down(((budget * (1.0 - shares) - end).max(step) / step) as u64).max(1)
}

fn round_down(x: u64) -> u64 {
    let unit = 10u64.pow(x.max(1).ilog10().saturating_sub(2));
    x / unit * unit
}

/// The candidate that the budget buys.
fn choose(request: &Request<'_>, site: &Site, shapes: &[Shape], correction: f64) -> Result<Candidate> {
    let ratio = request.tokens_per_parameter();
    let fixed_tokens = |shape: &Shape| {
        let rows = request.settings.rows?;
        Some(request.settings.steps? as f64 * (rows * shape.seq) as f64)
    };
    let wanted = |shape: &Shape| fixed_tokens(shape).unwrap_or(ratio * shape.parameters() as f64);
    let infeasible = |reason: String| Error::Infeasible { budget: request.budget.to_string(), reason };
    let closest = |cost: &dyn Fn(&Shape) -> f64| {
        let rank = |shape: &&Shape| cost(shape).abs() + 0.05 * shape.aspect_penalty();
        shapes.iter().min_by(|a, b| rank(a).total_cmp(&rank(b))).copied()
    };
    let none = || infeasible("no shape can be made of these settings".into());
    match request.budget {
        Budget::Size { parameters, tokens } => {
            let n = parameters.or(tokens.map(|d| d / ratio)).ok_or_else(none)?;
            let shape = closest(&|s| (s.parameters() as f64 / n).ln()).ok_or_else(none)?;
            let off = shape.parameters() as f64 / n;
            if parameters.is_some() && !(0.7..1.4).contains(&off) {
                let reason = format!("the nearest shape has N = {}", shape.parameters());
                return Err(infeasible(format!("{reason}; choose another size, or --set width and layers")));
            }
            Ok(Candidate { shape, tokens: tokens.unwrap_or_else(|| wanted(&shape)), rows: None })
        }
        Budget::Flops(flops) => {
            let tokens = |s: &Shape| flops / s.flops_per_token();
            let shape = closest(&|s| (tokens(s) / wanted(s)).ln()).ok_or_else(none)?;
            let candidate = Candidate { shape, tokens: tokens(&shape), rows: None };
            let row = shape.seq as f64;
            match candidate.tokens < row {
                true => Err(infeasible(format!(
                    "one step of the smallest shape takes {:.1e} FLOP",
                    row * shape.flops_per_token()
                ))),
                false => Ok(candidate),
            }
        }
        Budget::Seconds(seconds) => {
            // Where the steps are fixed, the largest shape whose steps fit into the time; else the shape for which
            // the time buys the rule's tokens most nearly, for shapes are up to four times apart in cost.
            let fixed = request.settings.steps.is_some();
            let mut best: Option<(f64, Candidate)> = None;
            let mut least: Option<(f64, Candidate)> = None;
            for shape in shapes {
                let all = Candidate { shape: *shape, tokens: wanted(shape), rows: None };
                // Nothing runs faster than the peak: most shapes need no closer look.
                let bound = shape.flops_per_token() * all.tokens / site.peak_flops();
                if bound > if fixed { seconds } else { FARTHEST * seconds } && least.is_some() {
                    continue;
                }
                let config = configuration(request, &all)?;
                let step = site.step_seconds(&config)? * correction + request.corpus.decoding(&config, site);
                let total = step * config.steps as f64 * (1.0 + EVAL_SHARE + 0.02)
                    + evaluation_seconds(&config, step);
                let candidate = Candidate { tokens: all.tokens * seconds / total, ..all };
                let rank = match fixed {
                    true => (shape.parameters() as f64).ln() - 0.5 * shape.aspect_penalty(),
                    false => -(total / seconds).ln().abs() - 0.05 * shape.aspect_penalty(),
                };
                if !(fixed && total > seconds) && best.as_ref().is_none_or(|(best, _)| rank > *best) {
                    best = Some((rank, candidate.clone()));
                }
                if least.as_ref().is_none_or(|(least, _)| total < *least) {
                    least = Some((total, candidate));
                }
            }
            // Less than the rule's tokens for the smallest shape, if need be; the plan says so.
            let (total, short) = least.ok_or_else(none)?;
            match seconds > LEAST_SHARE * total {
                true => Ok(best.map_or(short, |(_, candidate)| candidate)),
                false => {
                    Err(infeasible(format!("by the rules, the least that can be trained takes {total:.0} s")))
                }
            }
        }
    }
}

/// The configuration that the rules make of a candidate.
fn configuration(request: &Request<'_>, candidate: &Candidate) -> Result<TrainConfig> {
    let (settings, corpus, shape) = (request.settings, request.corpus, &candidate.shape);
    let tokens = candidate.tokens;
    let rows = settings.rows.or(candidate.rows).unwrap_or_else(|| shape.rows(tokens));
    let micro_rows = settings.micro_rows.unwrap_or_else(|| rules::micro_rows(rows, shape.seq));
    let step_tokens = (rows * shape.seq) as f64;
    let wanted = (tokens / step_tokens).round();
    if settings.steps.is_none() && wanted > MOST_STEPS {
        let reason = format!(
            "it buys {wanted:.1e} steps of {step_tokens} tokens, and a run has {MOST_STEPS:.1e} at most"
        );
        return Err(Error::Infeasible {
            budget: request.budget.to_string(),
            reason: format!("{reason}; lower it"),
        });
    }
    let steps = settings.steps.unwrap_or((wanted as u64).max(1));
    let warmup_steps = settings.warmup_steps.unwrap_or_else(|| rules::warmup_steps(steps));
    let mut config = step_config(shape, rows, micro_rows)?;
    config.steps = steps;
    config.optimiser.decay = rules::DECAY as f32;
    config.optimiser.matrices = rules::matrices(shape.sight.is_some()).into();
    config.schedule = Schedule {
        kind: ScheduleKind::Linear,
        peak: settings
            .learning_rate
            .unwrap_or_else(|| rules::learning_rate(steps as f64 * step_tokens, step_tokens)),
        warmup_steps,
        decay_steps: 0,
        last: 0.0,
    };
    config.evaluation.tokens =
        settings.eval_tokens.unwrap_or(rules::EVAL_TOKENS).min(corpus.eval_tokens.max(1));
    config.checkpoints.keep = 2;
    config.samples = Samples { prompts: PROMPTS.map(String::from).to_vec(), tokens: 40 };
    config.data = corpus.data.clone();
    config.model.rope_theta = rules::rope_theta(shape.seq);
    config.model.bos_token_id = corpus.eos;
    config.model.eos_token_id = corpus.eos;
    config.origin.budget = request.budget.to_string();
    let config = request.adjust.adjust(config)?;
    config.check()?;
    Ok(config)
}

/// Seconds of one evaluation: the forward pass is a third of a step.
fn evaluation_seconds(config: &TrainConfig, step: f64) -> f64 {
    step / 3.0 * config.evaluation.tokens as f64 / config.step_tokens() as f64
}

/// Seconds of scoring the further sets, at the end: text is read in windows that begin half a row apart.
fn scoring_seconds(config: &TrainConfig, step: f64) -> f64 {
    let times = |set: &train::FurtherSet| if set.kind == train::SetKind::Text { 2 } else { 1 };
    let tokens: u64 = config.evaluation.sets.iter().map(|set| times(set) * set.tokens).sum();
    step / 3.0 * tokens as f64 / config.step_tokens() as f64
}

/// Weights, and two moments of those that are trained.
fn checkpoint_bytes(config: &TrainConfig) -> usize {
    4 * (config.model.parameters() + 2 * config.trained_parameters())
}

fn finish(
    request: &Request<'_>,
    site: &Site,
    mut config: TrainConfig,
    shape: &Shape,
    memory: Memory,
    step: f64,
    measured: bool,
) -> Result<Plan> {
    let training = step * config.steps as f64;
    let once = evaluation_seconds(&config, step);
    let evals =
        request.settings.evals.unwrap_or_else(|| ((EVAL_SHARE * training / once) as u64).clamp(1, EVALS));
    if config.evaluation.every == 0 {
        config.evaluation.every = config.steps.div_ceil(evals.max(1));
    }
    if config.checkpoints.every == 0 {
        config.checkpoints.every =
            round_down((rules::CHECKPOINT_SECONDS / step) as u64).clamp(1, config.steps);
    }
    let count = |every: u64| config.steps.div_ceil(every.max(1)) as f64;
    let evaluation = once * count(config.evaluation.every) + scoring_seconds(&config, step);
    let checkpoint_bytes = checkpoint_bytes(&config);
    let saving = checkpoint_bytes as f64 / SAVING_RATE * count(config.checkpoints.every);
    let tokens = config.steps * config.step_tokens();
    let parameters = config.model.multiplying() as u64;
    let flops = train::step_flops(&config)? * config.steps as f64;
    let mut notes: Vec<String> = request.corpus.cut_note(config.seq(), config.tiles).into_iter().collect();
    let parts = config.optimiser.rates.parts(&config.model);
    let frozen: Vec<&str> = parts.iter().filter(|part| part.1 == 0.0 && part.2).map(|part| part.0).collect();
    if !frozen.is_empty() {
        let trained = short(config.trained_parameters() as f64);
        notes.push(format!("{} frozen: {trained} weights are trained", frozen.join(" and ")));
    }
    let ratio = tokens as f64 / parameters as f64;
    if ratio < 0.5 * request.tokens_per_parameter() {
        notes.push(format!("{ratio:.1} tokens a parameter are few: even the smallest shape is too large"));
    }
    match site.described() {
        Some(name) => {
            notes.push(format!("time and memory are those of {name}, from a description: nothing was timed"));
            if shape.sight.is_some() {
                notes.push("the time to decode pictures is not in it".into());
            }
        }
        None if !measured => notes
            .push("a step takes so long that none was tried: its time is estimated from shorter ones".into()),
        None => {}
    }
    let bought = !matches!(request.budget, Budget::Size { tokens: None, .. });
    if let Some(steps) = request.settings.steps.filter(|_| bought) {
        let text = format!(
            "steps = {steps} was set: the budget {} decided the shape alone, not the tokens",
            request.budget
        );
        notes.push(text);
    }
    let epochs = request.corpus.train_tokens.map(|have| tokens as f64 / have.max(1) as f64);
    if let (Some(epochs), Some(have)) = (epochs, request.corpus.train_tokens) {
        let most = request.settings.max_epochs.unwrap_or(EPOCHS_REFUSED);
        if epochs > most {
            return Err(Error::Epochs { tokens: have, epochs, most });
        }
        if epochs > EPOCHS_WARNED {
            notes.push(format!("the data is seen {epochs:.1} times: beyond {EPOCHS_WARNED} times, more data teaches more than more passes"));
        }
    }
    Ok(Plan {
        budget: request.budget,
        shape: *shape,
        parameters,
        total_parameters: config.model.parameters() as u64,
        tokens,
        flops,
        six_nd: 6.0 * parameters as f64 * tokens as f64,
        epochs,
        memory_bytes: memory.total(),
        memory,
        checkpoint_bytes,
        share_of_peak: flops / training / site.peak_flops(),
        machine: site.described().map(String::from),
        seconds: Seconds { step, training, evaluation, saving, total: training + evaluation + saving },
        notes,
        config,
    })
}

/// Refuses a run that does not fit into the memory there is, with the figures.
pub fn check_run(memory: &Memory, available: Option<u64>) -> Result<()> {
    // What it begins with has been read by now, and is free no more.
    check_memory(&memory.parts(), available.map(|have| have + memory.initial as u64))
}

/// Refuses what does not fit into the memory there is, with the bytes of each part.
pub fn check_memory(parts: &[(&str, usize)], available: Option<u64>) -> Result<()> {
    let need: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    let Some(have) = available.filter(|&have| need as u64 > have) else { return Ok(()) };
    let parts: Vec<String> = used(parts).map(|(name, bytes)| format!("{name} {:.0}", mb(bytes))).collect();
    Err(Error::Memory { need_mb: mb(need), have_mb: have as f64 / 1e6, parts: parts.join(", ") })
}

/// The parts that are there at all.
fn used<'a>(parts: &'a [(&'a str, usize)]) -> impl Iterator<Item = (&'a str, usize)> {
    parts.iter().copied().filter(|(_, bytes)| *bytes > 0)
}

fn mb(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// A count with three digits and a letter.
fn short(x: f64) -> String {
    let (divisor, unit) = match x {
        x if x >= 1e15 => return format!("{x:.2e}"),
        x if x >= 1e12 => (1e12, " T"),
        x if x >= 1e9 => (1e9, " G"),
        x if x >= 1e6 => (1e6, " M"),
        x if x >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    };
    let x = x / divisor;
    let digits = if unit.is_empty() || x >= 100.0 {
        0
    } else if x >= 10.0 {
        1
    } else {
        2
    };
    format!("{x:.digits$}{unit}")
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, c, parts) = (&self.shape, &self.config, self.memory.parts());
        let mb = |bytes: usize| format!("{:.1} MB", mb(bytes));
        let parts: Vec<String> = used(&parts).map(|(name, bytes)| format!("{name} {}", mb(bytes))).collect();
        let mut line =
            |name: &str, value: String, rest: String| writeln!(f, "  {name:<12} {value:>10}  {rest}");
        line(
            "parameters N",
            short(self.parameters as f64),
            format!(
                "{} layers of width {}, {} heads of {}, feed-forward {}, vocabulary {}; {} in all",
                s.layers,
                s.width,
                s.heads,
                s.head_dim,
                s.ffn,
                s.vocab,
                short(self.total_parameters as f64)
            ),
        )?;
        if let Some(eyes) = &c.model.eyes {
            let vision = &eyes.vision;
            let encoder = match vision.encodes() {
                true => format!("{} layers of width {}", vision.num_hidden_layers, vision.hidden_size),
                false => "no encoder".into(),
            };
            line(
                "eyes",
                short(vision.multiplying(eyes.scale_factor, c.model.hidden_size) as f64),
                format!(
                    "of N; {encoder}, tiles of {} pixels in patches of {}; room for {} tiles a row",
                    vision.image_size, vision.patch_size, c.tiles
                ),
            )?;
        }
        let epochs = self.epochs.map_or(String::new(), |e| format!(", {e:.2} times the data"));
        let ratio = self.tokens as f64 / self.parameters as f64;
        line("tokens D", short(self.tokens as f64), format!("{ratio:.1} a parameter{epochs}"))?;
        line(
            "steps",
            c.steps.to_string(),
            format!(
                "of {} rows of {} tokens ({} a micro-batch), peak rate {}",
                c.rows,
                c.seq(),
                c.micro_rows,
                c.schedule.peak
            ),
        )?;
        line("FLOPs C", format!("{:.2e}", self.flops), format!("6·N·D = {:.2e}", self.six_nd))?;
        line("memory", mb(self.memory_bytes), parts.join(", "))?;
        line(
            "disk",
            mb(self.checkpoint_bytes * c.checkpoints.keep),
            format!("{} checkpoints, one every {} steps", c.checkpoints.keep, c.checkpoints.every),
        )?;
        line(
            "time",
            time(self.seconds.total),
            format!(
                "{} a step, {:.0} % of the peak; evaluation {}, checkpoints {}",
                time(self.seconds.step),
                100.0 * self.share_of_peak,
                time(self.seconds.evaluation),
                time(self.seconds.saving)
            ),
        )?;
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_memory_is_refused_with_its_figures() {
        let memory = Memory { parameters: 3_000_000, activations: 4_000_000, ..Memory::default() };
        assert!(check_run(&memory, None).is_ok() && check_run(&memory, Some(7_000_000)).is_ok());
        let said = check_run(&memory, Some(6_999_999)).unwrap_err().to_string();
        for part in ["7 MB of memory are needed", "(weights 3, activations 4)"] {
            assert!(said.contains(part), "{said}");
        }
        // Weights that were read already are a part of the figure, and not of what is still to be taken.
        let memory = Memory { initial: 3_000_000, ..memory };
        assert!(check_run(&memory, Some(7_000_000)).is_ok());
        assert!(check_run(&memory, Some(6_999_999)).unwrap_err().to_string().contains("10 MB"));
    }
}
