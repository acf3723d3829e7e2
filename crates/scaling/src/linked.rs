//! The loss on a text of another kind, which training never saw: foretold from its own values over the runs, and
//! from the held-out loss, on which it hangs (Brandfonbrener et al., arXiv:2411.12925). Both are kept, each as far as back-tests
//! speak for it.

use crate::backtest::{REACHES, Reach, widening_of};
use crate::mixture::Mixture;
use crate::{Error, Foresight, Interval, Result, Run, Target, median};
use serde::{Deserialize, Serialize};

/// A loss that is foretold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// The median.
    pub loss: f64,
    /// 80, 90 and 95 %.
    pub intervals: [Interval; 3],
    /// Share of the way from the held-out loss; the rest is of the law of this text alone.
    pub share: f64,
    /// How many times as wide the intervals are as without back-tests.
    pub widening: f64,
    /// Hidden runs.
    pub backtest: Vec<Reach>,
}

/// Power of the compute with which runs weigh.
const NEAR: f64 = 0.8;

/// Relative deviation of a run's text from the line, and the runs' worth of evidence for it, before any are seen.
const NOISE: (f64, f64) = (0.01, 2.0);

/// Beyond the best of the runs a text is taken to follow the held-out loss half-way between as steeply as it did and in
/// proportion: a steep fall is that of small models which are past the first of what they learn.
const PROPORTION: f64 = 0.5;

/// Relative error of that an e-fold of the held-out loss beyond the best run: at least so much, and this share of how far the slope is
/// from one.
const BENT: (f64, f64) = (0.12, 0.25);

/// Relative error of either way that back-tests are taken to have shown before there are any, and as how many.
const ERROR: (f64, f64) = (0.03, 2.0);

/// Hidden runs a reach, at most: the dearest.
const HIDDEN: usize = 8;

/// Losses that stand for the foretold distribution of the held-out one.
const LOSSES: usize = 24;

/// Foretells a text's loss from runs whose own losses are on it, and the held-out losses of the same runs, in the same order.
pub fn foretell(runs: &[Run], held_out: &[Run], target: &Target) -> Result<Linked> {
    if runs.len() != held_out.len() {
        return Err(Error::Few { law: "losses of a text", constants: held_out.len(), runs: runs.len() });
    }
    let (own, other) = (Foresight::new(runs)?, Foresight::new(held_out)?);
    let tests = backtest(runs, held_out);
    let share = share(&tests);
    let judged: Vec<Judged> = tests.iter().map(|test| test.at(share)).collect();
    let widening = widening_of(judged.iter().map(|test| (test.reach, test.below)));
    let line = Line::fit(runs, held_out)?;
    let ways = Ways {
        own: own.quantiles(target, &shares())?,
        linked: line.at(&other.quantiles(target, &shares())?),
    };
    let mixture = ways.mixture(share).widened(widening);
    let of = |reach: f64| {
        let tests = || judged.iter().filter(move |test| test.reach == reach);
        let hidden = tests().count();
        let held = tests().filter(|test| (0.05..=0.95).contains(&test.below)).count();
        let median_error = median(tests().map(|test| test.error.abs()))?;
        Some(Reach { reach, hidden, median_error, in90: held as f64 / hidden as f64 })
    };
    Ok(Linked {
        loss: mixture.quantile(0.5).exp(),
        intervals: mixture.intervals().map(|one| Interval {
            low: one.low.exp(),
            high: one.high.exp(),
            ..one
        }),
        share,
        widening,
        backtest: REACHES.into_iter().filter_map(of).collect(),
    })
}

fn shares() -> Vec<f64> {
    (0..LOSSES).map(|i| (i as f64 + 0.5) / LOSSES as f64).collect()
}

/// `ln loss = a + b·ln held-out loss`.
struct Line {
    a: f64,
    b: f64,
    /// Weighted mean of ln held-out losses, and the least of them.
    centre: f64,
    least: f64,
    /// Variances: of the residuals, of the line at its centre, of b.
    variance: (f64, f64, f64),
}

impl Line {
    fn fit(runs: &[Run], held_out: &[Run]) -> Result<Line> {
        let dearest = runs.iter().map(|run| run.flops).fold(0.0, f64::max);
        let rows: Vec<(f64, f64, f64)> = runs
            .iter()
            .zip(held_out)
            .map(|(run, other)| (other.loss.ln(), run.loss.ln(), (run.flops / dearest).powf(NEAR)))
            .collect();
        let total: f64 = rows.iter().map(|row| row.2).sum();
        let effective = total * total / rows.iter().map(|row| row.2 * row.2).sum::<f64>();
        let mean = |of: &dyn Fn(&(f64, f64, f64)) -> f64| {
            rows.iter().map(|row| row.2 * of(row)).sum::<f64>() / total
        };
        let (x0, y0) = (mean(&|row| row.0), mean(&|row| row.1));
        let spread = mean(&|row| (row.0 - x0).powi(2));
        if spread == 0.0 || !spread.is_finite() {
            return Err(Error::Few { law: "the line from loss to loss", constants: 2, runs: 1 });
        }
        let b = mean(&|row| (row.0 - x0) * (row.1 - y0)) / spread;
        let residual = mean(&|row| (row.1 - y0 - b * (row.0 - x0)).powi(2));
        let freedom = (effective - 2.0).max(0.0) + NOISE.1;
        let variance = (effective * residual + NOISE.1 * NOISE.0 * NOISE.0) / freedom;
        Ok(Line {
            a: y0,
            b,
            centre: x0,
            least: rows.iter().map(|row| row.0).fold(f64::INFINITY, f64::min),
            variance: (variance, variance / effective, variance / effective / spread),
        })
    }

    /// Means and deviations of ln loss at held-out losses.
    fn at(&self, losses: &[f64]) -> Vec<(f64, f64)> {
        let point = |loss: &f64| {
            let x = loss.ln() - self.centre;
            let (noise, level, slope) = self.variance;
            let beyond = (self.least - loss.ln()).max(0.0);
            let bent = BENT.0.max(BENT.1 * (self.b - 1.0).abs()) * beyond;
            let straightened = PROPORTION * (self.b - 1.0) * beyond;
            (self.a + self.b * x + straightened, (noise + level + slope * x * x + bent * bent).sqrt())
        };
        losses.iter().map(point).collect()
    }
}

/// What both ways say of a run.
struct Ways {
    /// Losses that are equally likely.
    own: Vec<f64>,
    /// Means and deviations of their logarithms that are.
    linked: Vec<(f64, f64)>,
}

impl Ways {
    /// Of the logarithm.
    fn mixture(&self, share: f64) -> Mixture {
        let mut mixture = Mixture::default();
        let logs: Vec<f64> = self.own.iter().map(|loss| loss.max(f64::MIN_POSITIVE).ln()).collect();
        // Between the points there is something too.
        let apart = (logs[logs.len() - 1] - logs[0]).max(1e-6) / logs.len() as f64;
        logs.iter().for_each(|log| mixture.add((1.0 - share).max(1e-9), *log, apart));
        let scale = logs.len() as f64 / self.linked.len() as f64;
        self.linked.iter().for_each(|(mean, deviation)| mixture.add(scale * share, *mean, *deviation));
        mixture
    }
}

/// A hidden run.
struct Test {
    reach: f64,
    ways: Ways,
    /// ln of what it reached.
    observed: f64,
}

struct Judged {
    reach: f64,
    /// `predicted / observed − 1`.
    error: f64,
    below: f64,
}

impl Test {
    fn at(&self, share: f64) -> Judged {
        let mixture = self.ways.mixture(share);
        let error = (mixture.quantile(0.5) - self.observed).exp_m1();
        Judged { reach: self.reach, error, below: mixture.below(self.observed) }
    }
}

fn backtest(runs: &[Run], held_out: &[Run]) -> Vec<Test> {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by(|a, b| runs[*b].flops.total_cmp(&runs[*a].flops));
    let mut tests = Vec::new();
    for reach in REACHES {
        for &hidden in order.iter().take(HIDDEN) {
            let of = |all: &[Run]| -> Vec<Run> {
                let bound = runs[hidden].flops / reach * (1.0 + 1e-6);
                all.iter().zip(runs).filter(|(_, run)| run.flops <= bound).map(|(one, _)| *one).collect()
            };
            let (known, other) = (of(runs), of(held_out));
            let ways = || -> Result<Ways> {
                let target = runs[hidden].target();
                let line = Line::fit(&known, &other)?;
                Ok(Ways {
                    own: Foresight::new(&known)?.quantiles(&target, &shares())?,
                    linked: line.at(&Foresight::new(&other)?.quantiles(&target, &shares())?),
                })
            };
            let Ok(ways) = ways() else { continue };
            tests.push(Test { reach, ways, observed: runs[hidden].loss.ln() });
        }
    }
    tests
}

/// The share of the way from the held-out loss: the better its back-tests, the more.
fn share(tests: &[Test]) -> f64 {
    let error = |share: f64| {
        let squares: f64 = tests.iter().map(|test| test.at(share).error.powi(2)).sum();
        // Back-tests of one ladder are few independent ones.
        let scale = (tests.len() as f64).min(6.0) / (tests.len() as f64).max(1.0);
        (ERROR.1 * ERROR.0 * ERROR.0 + scale * squares) / (ERROR.1 + scale * tests.len() as f64)
    };
    let (own, linked) = (error(0.0), error(1.0));
    own / (own + linked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> (Vec<Run>, Vec<Run>) {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for size in 0..8 {
            for ratio in [10.0, 20.0, 40.0] {
                let n = 1e4 * 2f64.powi(size);
                let loss = 0.8 + 9.0 * n.powf(-0.2) + 12.0 * (n * ratio).powf(-0.2);
                let run = Run { parameters: n, tokens: n * ratio, flops: 6.0 * n * n * ratio, loss };
                other.push(run);
                own.push(Run { loss: 1.7 * loss.powf(0.8), ..run });
            }
        }
        (own, other)
    }

    #[test]
    fn a_text_that_hangs_on_the_held_out_loss_is_foretold_by_it() {
        let (own, other) = ladder();
        let target = Target { parameters: 4e7, tokens: 8e8 };
        let held_out = 0.8 + 9.0 * 4e7f64.powf(-0.2) + 12.0 * 8e8f64.powf(-0.2);
        let truth = 1.7 * held_out.powf(0.8);
        let linked = foretell(&own, &other, &target).unwrap();
        assert!((linked.loss / truth - 1.0).abs() < 0.03, "{linked:?} {truth}");
        assert!(linked.intervals.iter().all(|interval| interval.holds(truth)), "{linked:?} {truth}");
        assert!((0.2..0.8).contains(&linked.share) && !linked.backtest.is_empty(), "{linked:?}");
    }

    #[test]
    fn too_few_runs_are_refused() {
        let (own, other) = ladder();
        let target = own[0].target();
        assert!(foretell(&own[..3], &other[..3], &target).is_err());
        assert!(foretell(&own, &other[1..], &target).is_err());
    }
}
