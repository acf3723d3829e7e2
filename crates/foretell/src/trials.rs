//! From the finished runs of a transfer test to what they say: sweeps with their lowest points, and what must hold.

use crate::{Failure, fleet};
use plan::transfer::{Sweep, Trial};
use record::Run as RunFolder;
use report::transfer::{Check, Coordinate, Kind, Point, Sweep as Shown};
use scaling::{Optimum, Tried};
use std::collections::BTreeMap;
use std::path::Path;

/// Steps whose mean loss is looked at: one alone says more of its text than of the model.
const BLOCK: usize = 16;

/// A block is a spike if its mean lies so many times above that of the [`BEFORE`] blocks before it.
const SPIKE: f64 = 1.15;

/// Blocks before.
const BEFORE: usize = 4;

/// Share of blocks that may be spikes.
const SPIKES: f64 = 0.005;

/// Exponent of the size by which a change may grow or shrink.
const SLOPE: f64 = 0.25;

/// Deviations of a difference by which the best of a dozen settings that are all alike lies below a given one in one
/// test of twenty (Dunnett, doi:10.1080/01621459.1955.10501294): a rule that loses less may be the best there is.
const LUCK: f64 = 2.5;

/// A trial that ended.
pub struct Tested {
    trial: Trial,
    /// Held-out bits a byte; infinite if it diverged.
    loss: f64,
    blocks: usize,
    spikes: usize,
}

/// Reads what the trials reached.
pub fn tested(folder: &Path, trials: Vec<Trial>, diverged: &[String]) -> Result<Vec<Tested>, Failure> {
    let read = |trial: Trial| {
        if diverged.contains(&trial.name) {
            return Ok(Tested { trial, loss: f64::INFINITY, blocks: 0, spikes: 0 });
        }
        let metrics = RunFolder::open(&fleet::run_folder(folder, &trial.name))?.metrics()?;
        let all =
            |name: &str| -> Vec<f64> { metrics.iter().filter_map(|line| line.get(name)?.as_f64()).collect() };
        let losses = all("train/loss");
        let loss = all("val/bits_per_byte").last().copied().unwrap_or(f64::INFINITY);
        let (blocks, spikes) = spikes(&losses);
        Ok(Tested { trial, loss, blocks, spikes })
    };
    trials.into_iter().map(read).collect()
}

/// Blocks, and those of them that are spikes.
fn spikes(losses: &[f64]) -> (usize, usize) {
    let means: Vec<f64> =
        losses.chunks_exact(BLOCK).map(|block| block.iter().sum::<f64>() / BLOCK as f64).collect();
    let above = |window: &&[f64]| {
        let before = window[..BEFORE].iter().sum::<f64>() / BEFORE as f64;
        window[BEFORE] > SPIKE * before
    };
    (means.len(), means.windows(BEFORE + 1).filter(above).count())
}

/// Runs of one model over one setting.
struct Series<'a> {
    runs: Vec<&'a Tested>,
    tried: Vec<Tried>,
    best: Option<Optimum>,
}

impl<'a> Series<'a> {
    /// One a model and horizon, in the order of size and tokens.
    fn all(tested: &'a [Tested], sweep: Sweep) -> Result<Vec<Series<'a>>, Failure> {
        let mut groups = BTreeMap::<(u64, u64), Vec<&Tested>>::new();
        for one in tested.iter().filter(|one| one.trial.sweep == sweep) {
            groups.entry((one.trial.shape.parameters(), one.trial.tokens as u64)).or_default().push(one);
        }
        let series = |runs: Vec<&'a Tested>| {
            let tried: Vec<Tried> = runs.iter().map(|one| Tried { x: one.trial.x, loss: one.loss }).collect();
            let best = Optimum::fit(&tried)?;
            Ok(Series { runs, tried, best })
        };
        groups.into_values().map(series).collect()
    }

    /// Mean losses by setting.
    fn means(&self) -> Vec<(f64, f64)> {
        let mut sums = BTreeMap::<u64, (f64, f64)>::new();
        for one in &self.tried {
            // The bits of positive numbers are in their order.
            let sum = sums.entry(one.x.to_bits()).or_default();
            *sum = (sum.0 + one.loss, sum.1 + 1.0);
        }
        sums.into_iter().map(|(x, (sum, count))| (f64::from_bits(x), sum / count)).collect()
    }

    /// Runs of the setting that has fewest.
    fn seeds(&self) -> Option<usize> {
        self.means().iter().map(|(x, _)| self.tried.iter().filter(|one| one.x == *x).count()).min()
    }

    /// The best setting: of the parabola, or the best that was tried.
    fn best(&self) -> f64 {
        let lowest = || self.means().into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        self.best.map(|best| best.x).or(lowest().map(|(x, _)| x)).unwrap_or(1.0)
    }

    /// What is lost at a setting, relative to the best.
    fn lost(&self, x: f64) -> f64 {
        if let Some(best) = &self.best {
            return best.lost(&self.tried, x);
        }
        let means = self.means();
        let lowest = means.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
        let near = means.iter().min_by(|a, b| (a.0 / x).ln().abs().total_cmp(&(b.0 / x).ln().abs()));
        near.map_or(0.0, |(_, loss)| loss / lowest - 1.0)
    }

    fn shown(&self, sweep: Sweep) -> Shown {
        let trial = &self.runs[0].trial;
        let value = |one: &Tested| match sweep {
            Sweep::Rate | Sweep::Horizon => one.trial.rate,
            Sweep::Batch => (one.trial.rows * one.trial.shape.seq) as f64,
            Sweep::Decay => one.trial.decay,
            Sweep::Warmup => one.trial.warmup as f64,
            Sweep::Width | Sweep::Depth => one.trial.x,
        };
        // From multiples of the rule's to the setting itself.
        let unit = self.runs.iter().find(|one| one.trial.x == 1.0).map_or(1.0, |one| value(one));
        let point = |one: &&Tested| Point {
            x: value(one),
            loss: one.loss.is_finite().then_some(one.loss),
            seed: one.trial.seed,
        };
        Shown {
            name: sweep.to_string(),
            size: trial.shape.parameters() as f64,
            width: Some(trial.shape.width as u64),
            layers: Some(trial.shape.layers as u64),
            tokens: Some(trial.tokens),
            points: self.runs.iter().map(point).collect(),
            optimum: self.best.map(|best| best.x * unit),
            lo: self.best.map(|best| best.low * unit),
            hi: self.best.map(|best| best.high * unit),
        }
    }
}

/// Relative deviation between seeds, over all points near the rules.
fn noise(tested: &[Tested]) -> f64 {
    let mut groups = BTreeMap::<String, Vec<f64>>::new();
    for one in tested.iter().filter(|one| (0.5..=2.0).contains(&one.trial.x) && one.loss.is_finite()) {
        let name = one.trial.name.trim_end_matches(|c: char| c.is_ascii_digit());
        groups.entry(name.into()).or_default().push(one.loss.ln());
    }
    let (mut squares, mut free) = (0.0, 0);
    for losses in groups.values() {
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        squares += losses.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        free += losses.len() - 1;
    }
    if free > 0 { (squares / free as f64).sqrt() } else { 0.0 }
}

/// What the trials and the coordinate check say.
pub fn judge(tested: &[Tested], coordinates: Vec<Coordinate>) -> Result<report::Transfer, Failure> {
    let noise = noise(tested);
    let (mut checks, mut sweeps) = (Vec::new(), Vec::new());
    let mut check = |name: &str, value: f64, bound: f64, text: String| {
        checks.push(Check { name: name.into(), passed: value <= bound, value, bound, text });
    };
    for (kind, name) in [(Kind::Width, "coordinates over width"), (Kind::Depth, "coordinates over depth")] {
        let (value, place) = steepest(&coordinates, kind);
        let text = format!("the change of the {place} goes as the size to the power of {value:.2}");
        check(name, value.abs(), SLOPE, text);
    }
    let rates = Series::all(tested, Sweep::Rate)?;
    if let [small, .., large] = rates.as_slice() {
        let carried = small.best();
        let times =
            large.runs[0].trial.shape.parameters() as f64 / small.runs[0].trial.shape.parameters() as f64;
        let text = format!(
            "a model {times:.0} times as large loses {:.2} % at the rate that is best for the small one; its own \
             best is {:.2} times that",
            100.0 * large.lost(carried),
            large.best() / carried
        );
        check("the rate transfers", large.lost(carried), noise, text);
    }
    for (sweep, name) in [
        (Sweep::Horizon, "the rate's rule over horizons"),
        (Sweep::Batch, "the batch's rule"),
        (Sweep::Decay, "the decay's rule"),
        (Sweep::Warmup, "the warm-up's rule"),
    ] {
        let all = Series::all(tested, sweep)?;
        let lost: Vec<f64> = all.iter().map(|series| series.lost(1.0)).collect();
        let shown: Vec<String> = lost.iter().map(|x| format!("{:.2}", 100.0 * x)).collect();
        let text = format!("by the rule {} % are lost, from the shortest to the longest", shown.join(", "));
        let seeds = all.iter().filter_map(Series::seeds).min().unwrap_or(1) as f64;
        check(name, lost.into_iter().fold(0.0, f64::max), LUCK * (2.0 / seeds).sqrt() * noise, text);
        sweeps.extend(all.iter().map(|series| series.shown(sweep)));
    }
    for (sweep, name) in [(Sweep::Width, "wider is better"), (Sweep::Depth, "deeper is better")] {
        let mut means = Vec::new();
        for series in Series::all(tested, sweep)? {
            means.extend(series.means());
        }
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worse = means.windows(2).map(|pair| pair[1].1 / pair[0].1 - 1.0).fold(f64::MIN, f64::max);
        let shown: Vec<String> = means.iter().map(|(x, loss)| format!("{loss:.3} at {x}")).collect();
        check(name, worse.max(0.0), noise, shown.join(", "));
    }
    let by_rule = || tested.iter().filter(|one| one.trial.x == 1.0);
    let blocks: usize = by_rule().map(|one| one.blocks).sum();
    let spikes: usize = by_rule().map(|one| one.spikes).sum();
    let text = format!(
        "{spikes} of {blocks} times {BLOCK} steps of the runs by the rules lie far above what was before"
    );
    check("spikes", spikes as f64 / blocks.max(1) as f64, SPIKES, text);
    let shown = rates.iter().map(|series| series.shown(Sweep::Rate));
    let sweeps = shown.chain(sweeps).collect();
    Ok(report::Transfer { parametrisation: String::new(), noise: Some(noise), checks, coordinates, sweeps })
}

/// The steepest exponent of the last step's changes, and where.
fn steepest(coordinates: &[Coordinate], kind: Kind) -> (f64, String) {
    let last = coordinates.iter().map(|one| one.step).max().unwrap_or(0);
    let mut places = BTreeMap::<&str, Vec<(f64, f64)>>::new();
    for one in coordinates.iter().filter(|one| one.kind == kind && one.step == last) {
        places.entry(&one.layer).or_default().push((one.size.ln(), one.value.ln()));
    }
    let slope = |points: &[(f64, f64)]| {
        let n = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / n, sum.1 + p.1 / n));
        let (xy, xx) = points
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + (p.0 - x) * (p.1 - y), sum.1 + (p.0 - x).powi(2)));
        xy / xx
    };
    let slopes = places.into_iter().map(|(place, points)| (slope(&points), place.to_string()));
    // A change that is no number fails the check.
    let rank = |slope: f64| if slope.is_nan() { f64::INFINITY } else { slope.abs() };
    slopes.max_by(|a, b| rank(a.0).total_cmp(&rank(b.0))).unwrap_or((f64::NAN, "nothing".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_a_spike_and_scatter_is_none() {
        let calm: Vec<f64> = (0..320).map(|i| 3.0 + 0.1 * f64::from(i * 7919 % 13) / 13.0).collect();
        assert_eq!(spikes(&calm), (20, 0));
        // A single loss says little; one that stays is a spike.
        let mut jumped = calm;
        jumped[120] = 6.0;
        assert_eq!(spikes(&jumped), (20, 0));
        jumped[160..180].fill(6.0);
        assert_eq!(spikes(&jumped).1, 1);
    }

    #[test]
    fn the_steepest_change_is_found() {
        let one = |layer: &str, size: f64, value: f64| Coordinate {
            kind: Kind::Width,
            size,
            step: 10,
            layer: layer.into(),
            value,
        };
        let mut coordinates: Vec<Coordinate> =
            [16.0, 32.0, 64.0, 128.0].map(|size| one("flat", size, 2.0)).into();
        coordinates.extend([16.0, 32.0, 64.0, 128.0].map(|size: f64| one("steep", size, size.powf(-0.7))));
        let (slope, place) = steepest(&coordinates, Kind::Width);
        assert!((slope + 0.7).abs() < 1e-12 && place == "steep");
        assert!(steepest(&coordinates, Kind::Depth).0.is_nan());
    }
}
