//! Times the steps of a configuration on made-up tokens: for the probe, for the plan of a run, and
//! for `bench step`.

use crate::{Result, Shape};
use data::{Batch, TileBatch};
use engine::CpuDevice;
use model::Eyes;
use std::time::{Duration, Instant};
use train::{Checkpoints, DataConfig, Evaluation, Replica, Schedule, ScheduleKind, Solo, TrainConfig};

/// A compiled step and a batch for it.
pub struct Stopwatch {
    replica: Replica,
    batch: Batch,
    updates: u64,
}

/// A configuration that trains a shape on nothing in particular.
pub fn step_config(shape: &Shape, rows: usize, micro_rows: usize) -> Result<TrainConfig> {
    Ok(TrainConfig {
        seed: 1,
        steps: 1,
        rows,
        micro_rows,
        tiles: shape.tiles(),
        z_loss: 0.0,
        recompute: false,
        non_finite: Default::default(),
        schedule: Schedule {
            kind: ScheduleKind::Constant,
            peak: 1e-3,
            warmup_steps: 0,
            decay_steps: 0,
            last: 0.0,
        },
        optimiser: Default::default(),
        evaluation: Evaluation { tokens: 0, every: 0, sets: Vec::new() },
        checkpoints: Checkpoints { every: 0, keep: 1, branch: false },
        samples: Default::default(),
        data: DataConfig { path: "none".into(), hash: String::new(), eval_hash: String::new() },
        machine: Default::default(),
        origin: Default::default(),
        model: shape.config()?,
    })
}

impl Stopwatch {
    /// Compiles and fills the step of one rank.
    pub fn new(config: &TrainConfig, device: &CpuDevice) -> Result<Stopwatch> {
        let mut replica = Replica::new(config, device)?;
        replica.initialise(config.seed)?;
        let mut batch = rows(config.micro_rows, config.seq(), config.model.vocab_size);
        if let Some(eyes) = &config.model.eyes {
            batch.tiles = made_up(config, eyes);
            // The loss counts text only.
            for place in batch.tiles.rows.iter().filter_map(|&row| usize::try_from(row).ok()) {
                batch.targets[place] = -1;
            }
        }
        Ok(Stopwatch { replica, batch, updates: 0 })
    }

    /// Lets rows hold documents of so many tokens, instead of one that fills it.
    pub fn documents(&mut self, tokens: usize) {
        let Batch { seq, positions, lo, .. } = &mut self.batch;
        for (at, (position, lo)) in positions.iter_mut().zip(lo).enumerate() {
            let within = at % *seq % tokens.max(1);
            (*position, *lo) = (within as i32, (at - within) as i32);
        }
    }

    /// The step.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// One step; returns its loss, in nats a token.
    pub fn step(&mut self) -> Result<f64> {
        self.step_with(&mut |_| ())
    }

    /// As [`Stopwatch::step`], calling `each` with the name of every operation of the first lane after it.
    pub fn step_with(&mut self, each: &mut (dyn FnMut(&str) + Send)) -> Result<f64> {
        let made = &self.batch;
        self.replica.gradient_with(
            &|_, batch| {
                // A lane keeps its batch from step to step.
                if batch.rows == 0 {
                    *batch = made.clone();
                }
                Ok(())
            },
            each,
        )?;
        self.updates += 1;
        let stepped = self.replica.update(&mut Solo, 1e-3, self.updates, false)?;
        each("update");
        Ok(stepped.loss)
    }

    /// Seconds of each step, after a first one that is not counted: at least `least` of them, and until
    /// `time` has passed.
    pub fn times(&mut self, least: usize, time: Duration) -> Result<Vec<f64>> {
        self.step()?;
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < least || begin.elapsed() < time {
            let start = Instant::now();
            self.step()?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}

/// Tiles that show nothing.
fn made_up(config: &TrainConfig, eyes: &Eyes) -> TileBatch {
    let tiles = config.micro_rows * config.tiles;
    let places = config.micro_rows * config.seq();
    TileBatch::grey(tiles, &eyes.order(), eyes.vision.patch_len(), eyes.tokens(), places)
}

/// Rows that are one document each, of tokens that follow no pattern.
fn rows(rows: usize, seq: usize, vocab: usize) -> Batch {
    let mut state = 1u64;
    let mut token = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocab as u64) as i32
    };
    let mut batch = Batch::documents(rows, seq);
    batch.tokens.fill_with(&mut token);
    batch.targets.fill_with(&mut token);
    batch
}
