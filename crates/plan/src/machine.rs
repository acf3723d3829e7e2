//! The machine as a few numbers: what it could do, and what each operation makes of it.
//!
//! Seconds of an operation are `overhead + flops·per_flop + bytes·per_byte`, a roofline whose three
//! coefficients are measured for every kind of operation on this machine with small graphs. It
//! foretells sizes that were never run; where a run is planned for real, the steps of its own graph
//! are timed besides ([`crate::Stopwatch`]).

use crate::{Family, Result, Stopwatch, step_config};
use engine::CpuDevice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use train::TrainConfig;

/// What a machine can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Instruction set.
    pub isa: String,
    /// Threads.
    pub threads: usize,
    /// Floating-point operations a second of a loop of nothing but multiply-adds, all threads.
    pub peak_flops: f64,
    /// Costs by operation.
    pub operations: BTreeMap<String, Cost>,
}

/// Seconds of an operation: `overhead + flops·per_flop + bytes·per_byte`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds of a call.
    pub overhead: f64,
    /// Seconds a floating-point operation.
    pub per_flop: f64,
    /// Seconds a byte read or written.
    pub per_byte: f64,
}

/// One observation for a fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub flops: f64,
    pub bytes: f64,
    pub seconds: f64,
}

impl Cost {
    /// Seconds of a call.
    pub fn seconds(&self, flops: f64, bytes: f64) -> f64 {
        self.overhead + flops * self.per_flop + bytes * self.per_byte
    }

    /// Least squares of relative errors with no coefficient below zero: with three of them every
    /// subset is tried.
    pub(crate) fn fit(seen: &[Observation]) -> Cost {
        let mut best = (f64::INFINITY, Cost::default());
        for subset in 1u32..8 {
            let used: Vec<usize> = (0..3).filter(|i| subset >> i & 1 == 1).collect();
            let Some(x) = solve(seen, &used) else { continue };
            if x.iter().any(|&v| v < 0.0) {
                continue;
            }
            let cost = Cost { overhead: x[0], per_flop: x[1], per_byte: x[2] };
            let error: f64 =
                seen.iter().map(|o| (cost.seconds(o.flops, o.bytes) / o.seconds - 1.0).powi(2)).sum();
            if error < best.0 {
                best = (error, cost);
            }
        }
        best.1
    }
}

/// Normal equations of the used columns, by elimination with pivots.
fn solve(seen: &[Observation], used: &[usize]) -> Option<[f64; 3]> {
    let n = used.len();
    let mut a = [[0.0f64; 4]; 3];
    // Columns are brought to one size first, so that a small pivot means dependence.
    let raw = |o: &Observation| [1.0 / o.seconds, o.flops / o.seconds, o.bytes / o.seconds];
    let mut size = [0.0f64; 3];
    for o in seen {
        raw(o).iter().zip(&mut size).for_each(|(x, s)| *s = s.max(x.abs()));
    }
    if used.iter().any(|&i| size[i] == 0.0) {
        return None;
    }
    for o in seen {
        let row = raw(o);
        for (i, &p) in used.iter().enumerate() {
            for (j, &q) in used.iter().enumerate() {
                a[i][j] += row[p] / size[p] * row[q] / size[q];
            }
            a[i][3] += row[p] / size[p];
        }
    }
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs()))?;
        a.swap(i, pivot);
        if a[i][i].abs() < 1e-9 {
            return None;
        }
        for k in (0..n).filter(|&k| k != i) {
            let factor = a[k][i] / a[i][i];
            let row = a[i];
            a[k].iter_mut().zip(row).for_each(|(x, pivot)| *x -= factor * pivot);
        }
    }
    let mut x = [0.0; 3];
    for (i, &p) in used.iter().enumerate() {
        x[p] = a[i][3] / a[i][i] / size[p];
    }
    Some(x)
}

/// Graphs that are timed for the fit: width, layers, rows of a micro-batch, row, vocabulary. None takes more
/// than 30 MB a thread, so that planning holds little that the run does not.
const SAMPLES: [(usize, usize, usize, usize, usize); 5] = [
    (16, 2, 1, 128, 256),
    (32, 2, 2, 128, 512),
    (64, 1, 8, 128, 1024),
    (128, 1, 2, 256, 2048),
    (192, 1, 2, 256, 1024),
];

impl Probe {
    /// Measures this machine for about a second and a half.
    pub fn measure(device: &CpuDevice) -> Result<Probe> {
        let cpu = device.cpu();
        let mut probe = Probe {
            isa: cpu.isa().to_string(),
            threads: cpu.threads(),
            peak_flops: peak(device, Duration::from_millis(40)),
            operations: BTreeMap::new(),
        };
        let mut seen: BTreeMap<String, Vec<Observation>> = BTreeMap::new();
        // Two micro-batches a thread, so that their sum is timed too.
        let count = 2 << cpu.threads().ilog2();
        for (width, layers, rows, seq, vocab) in SAMPLES {
            let shape = Family { vocab, head_dim: 32.min(width), seq, tied: false }.shape(width, layers);
            observe(&mut Stopwatch::new(&step_config(&shape, count * rows, rows)?, device)?, &mut seen)?;
        }
        probe.operations = seen.iter().map(|(name, seen)| (name.clone(), Cost::fit(seen))).collect();
        Ok(probe)
    }

    /// Seconds of a step of this configuration: its micro-batches, the sums of their gradients, the update.
    pub fn step_seconds(&self, config: &TrainConfig) -> Result<f64> {
        step_seconds(config, self.threads, &|name, flops, bytes, share| {
            let seconds = self.seconds(name, flops, bytes);
            match share {
                // What was measured is a lane of one thread among others; one of several shares its work.
                Share::Lane(threads) => seconds / threads as f64,
                Share::Whole => seconds,
            }
        })
    }

    /// Seconds of one call of an operation; one that was not measured runs at half of the peak.
    pub fn seconds(&self, operation: &str, flops: f64, bytes: f64) -> f64 {
        match self.operations.get(operation) {
            Some(cost) => cost.seconds(flops, bytes),
            None => 2.0 * flops / self.peak_flops + 1e-6,
        }
    }
}

/// Who does an operation of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// One lane, with so many threads, while the others do the same.
    Lane(usize),
    /// All threads.
    Whole,
}

/// Seconds of a step on so many threads, from those of its operations by name, floating-point operations and bytes.
pub(crate) fn step_seconds(
    config: &TrainConfig,
    threads: usize,
    seconds: &dyn Fn(&str, f64, f64, Share) -> f64,
) -> Result<f64> {
    let graph = train::step_graph(config)?;
    let lanes = train::lanes(config, threads);
    let (count, lane) = (config.micro_batches() / lanes, Share::Lane(threads / lanes));
    let each: f64 = graph.graph.nodes().map(|n| seconds(n.name, n.flops as f64, n.bytes as f64, lane)).sum();
    let weights = 4.0 * config.trained_parameters() as f64;
    let sums = seconds("add_into", 0.0, SUM_BYTES * weights, lane) * (count - 1) as f64;
    let levels = f64::from(lanes.ilog2());
    let lanes = seconds("add_lanes", 0.0, SUM_BYTES * weights, Share::Whole) * levels;
    let update = seconds("update", 0.0, UPDATE_BYTES * weights, Share::Whole);
    Ok(each * count as f64 + sums + lanes + update)
}

/// FLOP/s of nothing but multiply-adds on all threads: the best of some bursts of two milliseconds.
pub fn peak(device: &CpuDevice, time: Duration) -> f64 {
    let (begin, mut rounds, mut best) = (Instant::now(), 1 << 12, 0.0f64);
    while best == 0.0 || begin.elapsed() < time {
        let start = Instant::now();
        let flops = kernels::probe::multiply_adds(device.cpu(), rounds);
        let seconds = start.elapsed().as_secs_f64();
        match seconds < 2e-3 {
            true => rounds *= 2,
            false => best = best.max(flops as f64 / seconds),
        }
    }
    best
}

/// Bytes a second read and written by a loop over three vectors of 32 MB, all threads.
pub fn bandwidth(device: &CpuDevice) -> f64 {
    let (a, b, mut c) = (vec![1.0f32; 8 << 20], vec![2.0f32; 8 << 20], vec![0.0f32; 8 << 20]);
    let mut best = 0.0f64;
    for _ in 0..4 {
        let start = Instant::now();
        let bytes = kernels::probe::triad(device.cpu(), &a, &b, &mut c);
        best = best.max(bytes as f64 / start.elapsed().as_secs_f64());
    }
    best
}

/// Bytes of an update for each byte of weights: gradients read twice, weights and moments read and written.
const UPDATE_BYTES: f64 = 8.0;

/// Bytes of a sum for each byte of weights.
const SUM_BYTES: f64 = 3.0;

/// Times every operation of a step: the least of several runs, as the machine does when it is quiet.
fn observe(step: &mut Stopwatch, seen: &mut BTreeMap<String, Vec<Observation>>) -> Result<()> {
    let mut least: Vec<(String, f64)> = Vec::new();
    let begin = Instant::now();
    let mut runs = 0;
    while runs < 3 || (runs < 40 && begin.elapsed() < Duration::from_millis(150)) {
        let mut at = 0;
        let mut last = Instant::now();
        step.step_with(&mut |name| {
            let seconds = last.elapsed().as_secs_f64();
            match least.get_mut(at) {
                Some(entry) => entry.1 = entry.1.min(seconds),
                None => least.push((name.to_string(), seconds)),
            }
            (at, last) = (at + 1, Instant::now());
        })?;
        runs += 1;
    }
    let weights = step.replica().params.layout().bytes() as f64;
    let mut costs = step.replica().costs().iter().cycle();
    for (name, seconds) in least {
        let (flops, bytes) = match name.as_str() {
            "add_into" | "add_lanes" => (0.0, SUM_BYTES * weights),
            "update" => (0.0, UPDATE_BYTES * weights),
            _ => costs.next().map_or((0.0, 0.0), |&(_, flops, bytes)| (flops as f64, bytes as f64)),
        };
        let observation = Observation { flops, bytes, seconds: seconds.max(1e-8) };
        seen.entry(name).or_default().push(observation);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_finds_the_coefficients() {
        let truth = Cost { overhead: 2e-6, per_flop: 1e-11, per_byte: 3e-11 };
        let seen: Vec<Observation> = (1..20)
            .map(|i| {
                let (flops, bytes) = (1e6 * f64::from(i * i % 7 + 1), 1e5 * f64::from(i));
                Observation { flops, bytes, seconds: truth.seconds(flops, bytes) }
            })
            .collect();
        let got = Cost::fit(&seen);
        assert!((got.per_flop / truth.per_flop - 1.0).abs() < 1e-6, "{got:?}");
        assert!((got.per_byte / truth.per_byte - 1.0).abs() < 1e-6, "{got:?}");
        assert!((got.overhead / truth.overhead - 1.0).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn no_coefficient_is_negative_and_one_observation_will_do() {
        let falling = [(1e6, 1e-3), (2e6, 5e-4), (3e6, 3e-4)];
        let seen: Vec<_> =
            falling.map(|(flops, seconds)| Observation { flops, bytes: 0.0, seconds }).to_vec();
        let got = Cost::fit(&seen);
        assert!(got.overhead > 0.0 && got.per_flop == 0.0 && got.per_byte == 0.0, "{got:?}");
        let got = Cost::fit(&seen[..1]);
        assert!((got.seconds(1e6, 0.0) / 1e-3 - 1.0).abs() < 1e-9, "{got:?}");
        assert_eq!(Cost::fit(&[]), Cost::default());
    }
}
