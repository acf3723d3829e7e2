//! `bench`: figures of this program on this machine, as JSON.

use super::{bench_evidence, bench_images, bench_predict};
use crate::arguments::Common;
use crate::{Failure, input, machine, memory, output};
use anyhow::anyhow;
use data::Batch;
use engine::{CpuDevice, Store};
use model::gpt::ScoreGraph;
use plan::sizes::{Size, reference};
use plan::{Probe, Sight, Stopwatch, step_config};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use train::{Memory, Replica, Solo, TrainConfig};

/// What to measure.
#[derive(clap::Subcommand, Debug)]
pub enum Verb {
    /// The machine: peak, bandwidth, cost of every operation
    #[command(after_help = "Example:\n  foretell bench probe --threads 1")]
    Probe,
    /// A training step of a reference size, in the fields of the PyTorch peer
    Step(Step),
    /// Bits a byte against time on a file of bytes, in the recipe of the PyTorch peer
    Race(Race),
    /// Foretell other people's runs from their cheaper ones
    Predict(bench_predict::Options),
    /// Pictures to tiles, on one core
    Images(bench_images::Options),
    /// Ladders, predictions and outcomes that a file names before any of them is run
    Evidence(bench_evidence::Options),
}

/// Options of `bench step`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  foretell bench step --size S --threads 1
  foretell bench step --shape width=80,layers=2,heads=4,ffn=224,seq=192,rows=8,vocab=1000
  foretell bench step --shape width=128,layers=4,heads=4,ffn=352,seq=512,rows=2,vocab=298,tiles=15")]
pub struct Step {
    /// XXS, XS, S, M or L
    #[arg(long, default_value = "S")]
    pub size: String,
    /// Changes to the size: width, layers, heads, head_dim, ffn, seq, rows, micro_rows, vocab; with an encoder of pictures where
    /// a row has tiles: also tile, patch, scale_factor
    #[arg(long, value_name = "KEY=N,…", value_delimiter = ',')]
    pub shape: Vec<String>,
    /// Least steps to time
    #[arg(long, default_value_t = 12)]
    pub steps: usize,
    /// Least seconds to time
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
    /// Show where the time goes
    #[arg(long)]
    pub profile: bool,
}

/// Options of `bench race`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  foretell bench race --bytes book.txt --size XS --seconds 60 --threads 1")]
pub struct Race {
    /// The file; its last tenth is held out
    #[arg(long, value_name = "FILE")]
    pub bytes: PathBuf,
    /// XXS, XS, S, M or L, with a vocabulary of 256
    #[arg(long, default_value = "XS")]
    pub size: String,
    /// Seconds of training
    #[arg(long, default_value_t = 120.0)]
    pub seconds: f64,
    /// Highest learning rate
    #[arg(long, default_value_t = 3e-3)]
    pub rate: f64,
    /// Deviation of the initial matrices, as the peer's; 0: the one that goes with the width
    #[arg(long, default_value_t = 0.02)]
    pub deviation: f32,
    /// Rows a step, instead of the size's
    #[arg(long)]
    pub rows: Option<usize>,
    /// Of initial weights and windows
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Measures.
pub fn run(verb: &Verb, common: &Common) -> Result<(), Failure> {
    match verb {
        Verb::Predict(options) => return bench_predict::run(options, common),
        Verb::Evidence(options) => return bench_evidence::run(options, common),
        Verb::Images(options) => return bench_images::run(options, common),
        _ => {}
    }
    let device = machine::device(common)?;
    match verb {
        Verb::Predict(_) | Verb::Evidence(_) | Verb::Images(_) => Ok(()),
        Verb::Probe => {
            #[derive(Serialize)]
            struct Line {
                #[serde(flatten)]
                probe: Probe,
                /// Bytes a second.
                bandwidth: f64,
            }
            Ok(output::json(&Line { probe: Probe::measure(&device)?, bandwidth: plan::bandwidth(&device) })?)
        }
        Verb::Step(options) => step(options, &device),
        Verb::Race(options) => race(options, &device),
    }
}

/// The fields of `bench/torch_train.py step`, and the share of the peak.
#[derive(Serialize)]
struct StepLine {
    peer: String,
    size: String,
    threads: usize,
    ms_median: f64,
    ms_min: f64,
    tokens_per_s: f64,
    gflop_per_s: f64,
    peak_rss_mb: Option<f64>,
    share_of_peak: f64,
    first_ms: f64,
    plan_mb: f64,
    /// Weights that multiply.
    parameters: u64,
}

/// A size with changes, and the rows of a micro-batch if they are among them.
fn sized(name: &str, changes: &[String]) -> Result<(Size, Option<usize>), Failure> {
    let usage = Failure::Usage;
    let mut size = reference(name).map_err(Failure::of_plan)?;
    let (mut head_dim, mut micro_rows, mut tiles) = (None, None, 0);
    let (mut tile, mut patch, mut scale_factor) = (64, 8, 2);
    for change in changes {
        let pair = change.split_once('=').and_then(|(key, value)| Some((key, value.parse::<usize>().ok()?)));
        let (key, value) = pair.ok_or_else(|| usage(format!("--shape {change}: write it as key=number")))?;
        let shape = &mut size.shape;
        match key {
            "width" => shape.width = value,
            "layers" => shape.layers = value,
            "heads" => (shape.heads, shape.kv_heads) = (value, value),
            "head_dim" => head_dim = Some(value),
            "ffn" => shape.ffn = value,
            "seq" => shape.seq = value,
            "vocab" => shape.vocab = value,
            "rows" => size.rows = value,
            "micro_rows" => micro_rows = Some(value),
            "tiles" => tiles = value,
            "tile" => tile = value,
            "patch" => patch = value,
            "scale_factor" => scale_factor = value,
            _ => {
                return Err(usage(format!(
                    "--shape {key}: the keys are width, layers, heads, head_dim, ffn, seq, rows, micro_rows, vocab, tiles, \
                     tile, patch, scale_factor"
                )));
            }
        }
    }
    if tiles > 0 {
        let token = patch.saturating_mul(scale_factor);
        if token == 0 || !tile.is_multiple_of(token) {
            return Err(usage(format!(
                "--shape tile={tile},patch={patch},scale_factor={scale_factor}: a tile is no whole number of tokens wide"
            )));
        }
        let image = size.shape.vocab.saturating_sub(1) as u32;
        // The room of a row is what its largest document has.
        let (width, layers, most) = (None, None, tiles as u64);
        let sight = Sight { tile, patch, scale_factor, image, tiles: 0, tokens: 1, most, width, layers };
        if sight.row(size.shape.seq) != tiles {
            let seq = size.shape.seq;
            return Err(usage(format!(
                "--shape tiles={tiles}: rows of {seq} have room for {}",
                sight.row(seq)
            )));
        }
        size.shape.sight = Some(sight);
    }
    size.shape.head_dim = head_dim.unwrap_or(size.shape.width / size.shape.heads.max(1));
    size.shape.check().map_err(Failure::of_plan)?;
    check_rows(size.rows)?;
    Ok((size, micro_rows))
}

fn check_rows(rows: usize) -> Result<(), Failure> {
    match (1..=1 << 20).contains(&rows) {
        true => Ok(()),
        false => Err(Failure::Usage(format!("rows = {rows}: a step has between 1 and 1048576"))),
    }
}

/// A time to measure; `least` is 0 where the number of steps decides too.
fn seconds(seconds: f64, least: f64) -> Result<Duration, Failure> {
    match seconds >= least && seconds <= 1e6 {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(Failure::Usage(format!("--seconds {seconds}: it must lie between {least} and 1e6"))),
    }
}

/// The configuration of a step of that size.
fn stated(size: &Size, micro_rows: usize) -> Result<TrainConfig, Failure> {
    let config = step_config(&size.shape, size.rows, micro_rows).map_err(Failure::of_plan)?;
    config.check().map_err(|e| Failure::of_plan(e.into()))?;
    Ok(config)
}

/// Seconds of a step that can be measured, at most.
const LONGEST_STEP: f64 = 60.0;

/// Refuses a step that memory cannot hold or that nobody would wait for, before it is allocated.
fn fits(config: &TrainConfig, size: &Size, device: &CpuDevice) -> Result<(), Failure> {
    memory::check(&Memory::of(config, device.cpu().threads())?.parts())?;
    let tokens = config.step_tokens() as f64;
    let seconds = size.shape.flops_per_token() * tokens / plan::peak(device, Duration::from_millis(8));
    match seconds <= LONGEST_STEP {
        true => Ok(()),
        false => Err(Failure::Usage(format!(
            "rows = {}, seq = {}: a step takes {seconds:.0} s even at the machine's peak; at most {LONGEST_STEP} s are measured",
            config.rows,
            config.seq()
        ))),
    }
}

fn step(options: &Step, device: &CpuDevice) -> Result<(), Failure> {
    let time = seconds(options.seconds, 0.0)?;
    if options.steps == 0 {
        return Err(Failure::Usage("--steps 0: at least one is measured".into()));
    }
    let (size, micro_rows) = sized(&options.size, &options.shape)?;
    let by_rule = plan::rules::micro_rows(size.rows, size.shape.seq);
    let micro_rows = micro_rows.unwrap_or(by_rule);
    let config = stated(&size, micro_rows)?;
    fits(&config, &size, device)?;
    let begin = Instant::now();
    let mut watch = Stopwatch::new(&config, device)?;
    watch.step()?;
    let first_ms = begin.elapsed().as_secs_f64() * 1e3;
    let times = watch.times(options.steps, time)?;
    let peak_rss_mb = machine::peak_rss_mb();
    if options.profile {
        return profile(&mut watch);
    }
    let median = times[times.len() / 2];
    let tokens = (size.rows * size.shape.seq) as f64;
    let flops = size.shape.flops_per_token() * tokens;
    let peak = plan::peak(device, Duration::from_millis(200));
    Ok(output::json(&StepLine {
        peer: format!("foretell-{}", machine::version()),
        size: size.name.into(),
        threads: device.cpu().threads(),
        ms_median: median * 1e3,
        ms_min: times[0] * 1e3,
        tokens_per_s: tokens / median,
        gflop_per_s: flops / median / 1e9,
        peak_rss_mb,
        share_of_peak: flops / median / peak,
        first_ms,
        plan_mb: watch.replica().bytes() as f64 / (1 << 20) as f64,
        parameters: size.shape.parameters(),
    })?)
}

/// Milliseconds of every kind of operation in a step, the median of some steps.
fn profile(watch: &mut Stopwatch) -> Result<(), Failure> {
    let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    const STEPS: usize = 21;
    for number in 0..STEPS {
        let mut last = Instant::now();
        watch.step_with(&mut |name| {
            let now = Instant::now();
            let row = sums.entry(name.into()).or_insert_with(|| vec![0.0; STEPS]);
            row[number] += (now - last).as_secs_f64() * 1e3;
            last = Instant::now();
        })?;
    }
    let median = |mut row: Vec<f64>| {
        row.sort_by(f64::total_cmp);
        row[STEPS / 2]
    };
    let mut parts: Vec<(String, f64)> = sums.into_iter().map(|(name, row)| (name, median(row))).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (operation, ms) in parts {
        output::json(&serde_json::json!({"operation": operation, "ms": ms}))?;
    }
    Ok(())
}

/// Windows of a file's bytes; the random numbers are SplitMix64's.
struct Windows {
    bytes: Vec<u8>,
    state: u64,
    /// Where those of a step begin.
    starts: Vec<usize>,
}

impl Windows {
    /// Sets the rows of a batch to the windows that begin there.
    fn fill(&self, starts: &[usize], batch: &mut Batch) {
        let seq = batch.seq;
        for (row, start) in starts.iter().enumerate() {
            for i in 0..seq {
                batch.tokens[row * seq + i] = i32::from(self.bytes[start + i]);
                batch.targets[row * seq + i] = i32::from(self.bytes[start + i + 1]);
            }
        }
    }

    /// Draws the windows of a step from the bytes before `end`.
    fn draw(&mut self, end: usize, seq: usize) {
        let (mut state, last) = (self.state, (end - seq - 1) as u64);
        self.starts.fill_with(|| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((u128::from(z ^ (z >> 31)) * u128::from(last)) >> 64) as usize
        });
        self.state = state;
    }
}

fn race(options: &Race, device: &CpuDevice) -> Result<(), Failure> {
    let (mut size, _) = sized(&options.size, &["vocab=256".into()])?;
    size.rows = options.rows.unwrap_or(size.rows);
    check_rows(size.rows)?;
    seconds(options.seconds, 1e-3)?;
    if !(options.rate > 0.0 && options.rate <= 10.0) {
        return Err(Failure::Usage(format!("--rate {}: it must be positive, and 10 at most", options.rate)));
    }
    let bytes = input::read(&options.bytes)?;
    let (seq, rows) = (size.shape.seq, size.rows);
    if bytes.len() < 20 * (seq + 1) {
        return Err(anyhow!(
            "{}: {} bytes are too few for rows of {seq}",
            options.bytes.display(),
            bytes.len()
        )
        .into());
    }
    let mut config = stated(&size, plan::rules::micro_rows(rows, seq))?;
    config.seed = options.seed;
    config.optimiser.decay_all = true;
    config.optimiser.deviation = options.deviation;
    config.check().map_err(|e| Failure::of_plan(e.into()))?;
    fits(&config, &size, device)?;
    let mut replica = Replica::new(&config, device)?;
    replica.initialise(config.seed)?;
    let cut = bytes.len() * 9 / 10;
    let mut windows = Windows { bytes, state: options.seed, starts: vec![0; rows] };
    let micro_rows = config.micro_rows;
    let (mut clock, mut steps, mut mark) = (0.0, 0u64, options.seconds / 4.0);
    let schedule = |clock: f64| {
        let warm = ((clock + 1e-3) / (0.02 * options.seconds)).min(1.0);
        options.rate * warm * (1.0 - clock / options.seconds).max(0.0)
    };
    while clock < options.seconds {
        let start = Instant::now();
        windows.draw(cut, seq);
        replica.gradient(&|number, batch| {
            if batch.rows == 0 {
                *batch = Batch::documents(micro_rows, seq);
            }
            windows.fill(&windows.starts[number * micro_rows..][..micro_rows], batch);
            Ok(())
        })?;
        steps += 1;
        let stepped = replica.update(&mut Solo, schedule(clock), steps, false)?;
        if !stepped.finite {
            return Err(anyhow!("step {steps}: the loss is no number; a lower --rate usually helps").into());
        }
        clock += start.elapsed().as_secs_f64();
        if clock >= mark {
            mark += options.seconds / 4.0;
            let bits = held_out(&config, device, &replica.params, &windows, cut)?;
            output::json(&serde_json::json!({
                "peer": "foretell", "size": size.name, "seconds": (clock * 10.0).round() / 10.0,
                "tokens": steps * config.step_tokens(), "bits_per_byte": bits,
            }))?;
        }
    }
    Ok(())
}

/// Every byte of the tail is scored once, in windows of a row, as the peer does.
fn held_out(
    config: &TrainConfig,
    device: &CpuDevice,
    params: &Store,
    windows: &Windows,
    cut: usize,
) -> Result<f64, Failure> {
    use engine::Device;
    let (rows, seq) = (config.micro_rows, config.seq());
    let graph = ScoreGraph::new(&config.model, rows, seq)?;
    let mut empty = device.store(&Arc::new(engine::Layout::default()))?;
    let mut executable = device.compile(&graph.graph, &graph.outputs(), params.layout(), empty.layout())?;
    let count = (windows.bytes.len() - cut - 1) / seq;
    let mut out = vec![0.0f32; rows * seq];
    let mut batch = Batch::documents(rows, seq);
    let mut nats = 0.0;
    for first in (0..count).step_by(rows) {
        let here = rows.min(count - first);
        let starts: Vec<usize> = (0..here).map(|row| cut + (first + row) * seq).collect();
        windows.fill(&starts, &mut batch);
        train::upload(executable.as_mut(), &batch)?;
        executable.run(params, &mut empty)?;
        executable.download(graph.logp, &mut out)?;
        nats -= out[..here * seq].iter().map(|&x| f64::from(x)).sum::<f64>();
    }
    Ok(nats / (count * seq) as f64 / std::f64::consts::LN_2)
}
