//! A little data and a little run for the tests of training.
#![allow(dead_code, unreachable_pub)]

use data::{BuildConfig, Dataset, Source, TokenizerChoice, build};
use engine::{CpuDevice, Store};
use kernels::{Cpu, Isa};
use model::{Config, Sizes};
use record::{Files, Run, RunWriter};
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use train::*;

/// A data folder of a few dozen documents of bytes.
pub fn dataset(folder: &Path) -> Dataset {
    let mut lines = String::new();
    for i in 0..60u64 {
        let words: Vec<String> =
            (0..20 + i % 17).map(|j| format!("w{}", (i * 31 + j * j * 7) % 97)).collect();
        let _ = writeln!(lines, "{}", serde_json::json!({"text": words.join(" ")}));
    }
    let file = folder.join("text.jsonl");
    std::fs::write(&file, lines).unwrap();
    let config = BuildConfig {
        sources: vec![Source::new(file.to_string_lossy())],
        tokenizer: TokenizerChoice::Bytes,
        holdout: 0.1,
        ..BuildConfig::default()
    };
    build(&config, &folder.join("data"), &mut |_| ()).unwrap();
    Dataset::open(&folder.join("data")).unwrap()
}

/// Trains in `path`, from `initial` weights if they are given, until the end, or until it was asked for the `until`-th time whether
/// to stop.
pub fn go(
    path: &Path,
    config: &TrainConfig,
    data: &Dataset,
    files: Files,
    until: u64,
    initial: Option<&Store>,
    events: &mut dyn Events,
) -> Result<Outcome> {
    let writer = match Run::open(path) {
        Ok(_) => RunWriter::open(path, files)?,
        Err(_) => RunWriter::create(path, &config.to_toml()?, files)?,
    };
    let devices: Vec<_> = (0..config.ranks()).map(|_| device(config.machine.threads.max(1))).collect();
    let asked = AtomicU64::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) + 1 >= until;
    let session = Session {
        config,
        dataset: data,
        writer: &writer,
        devices: &devices,
        peak: 1e9,
        initial,
        stop: &stop,
    };
    train::train(&session, events)
}

/// Twelve steps of a tiny model, eight rows a step.
pub fn config(dataset: &Dataset, micro_rows: usize) -> TrainConfig {
    let vocab = dataset.tokenizer().vocab_size();
    let sizes = Sizes {
        vocab,
        width: 16,
        ffn: 40,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        context: 24,
        tied: false,
    };
    TrainConfig {
        seed: 3,
        steps: 12,
        rows: 12,
        micro_rows,
        z_loss: 1e-4,
        recompute: false,
        tiles: 0,
        non_finite: NonFinite::Stop,
        schedule: Schedule {
            kind: ScheduleKind::Cosine,
            peak: 1e-2,
            warmup_steps: 2,
            decay_steps: 0,
            last: 0.1,
        },
        optimiser: OptimiserConfig::default(),
        evaluation: Evaluation { tokens: 2000, every: 5, sets: Vec::new() },
        checkpoints: Checkpoints { every: 4, keep: 2, branch: false },
        samples: Samples::default(),
        data: DataConfig {
            path: dataset.folder().into(),
            hash: dataset.manifest().data_hash(),
            eval_hash: dataset.manifest().eval_hash(),
        },
        machine: Machine::default(),
        origin: Origin::default(),
        model: Config::new(sizes).unwrap(),
    }
}

/// A device of so many threads.
pub fn device(threads: usize) -> CpuDevice {
    CpuDevice::new(Cpu::new(Isa::best(), threads).unwrap())
}
