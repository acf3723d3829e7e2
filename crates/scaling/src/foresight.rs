//! The prediction: an average over laws, not a choice among them.
//!
//! Most ladders are fitted about equally well by laws of many exponents, and these part ways where it
//! matters, far from the runs. So all laws of a grid (`grid.rs`) are kept, weighted by how well they fit
//! and by what is known of other families. What no run can decide — which of them resemble the target — is
//! averaged too: each `View` weighs the runs in its own way. The spread that remains, the residuals of the
//! runs and the uncertainty of the constants are the interval.

use crate::mixture::{Interval, Mixture};
use crate::view::VIEWS;
use crate::{Error, Result, Run, Target, grid};
use serde::{Deserialize, Serialize};

/// Relative error of the law itself, which no number of runs reduces.
const FLOOR: f64 = 0.006;

/// A prediction of a held-out loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// What was asked.
    pub target: Target,
    /// The median, in the unit of the runs.
    pub loss: f64,
    /// 80, 90 and 95 %.
    pub intervals: [Interval; 3],
    /// What the runs say of the constants.
    pub constants: Constants,
}

impl Prediction {
    /// Relative deviation: that of a normal distribution with the same 80 % interval.
    pub fn deviation(&self) -> f64 {
        0.5 * (self.intervals[0].high - self.intervals[0].low) / (QUANTILE90 * self.loss)
    }

    /// The same with intervals so many times as wide.
    pub(crate) fn widened(mut self, factor: f64) -> Prediction {
        let away = |end: f64| self.loss + factor * (end - self.loss);
        self.intervals =
            self.intervals.map(|one| Interval { low: away(one.low), high: away(one.high), ..one });
        self
    }
}

/// The point of the standard normal distribution below which 90 % lie.
const QUANTILE90: f64 = 1.281_551_565_544_600_4;

/// Averages over the posterior, each with its deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Constants {
    /// Irreducible loss E.
    pub irreducible: (f64, f64),
    /// α, of the parameters.
    pub alpha: (f64, f64),
    /// β, of the tokens.
    pub beta: (f64, f64),
}

/// Finished runs, ready to foretell others.
#[derive(Clone, Debug)]
pub struct Foresight {
    runs: Vec<Run>,
    widening: f64,
}

impl Foresight {
    /// Of runs of one family: same data, same method, different sizes. Five different ones at least.
    pub fn new(runs: &[Run]) -> Result<Foresight> {
        runs.iter().try_for_each(Run::check)?;
        if runs.len() < 5 {
            return Err(Error::Few { law: "the averaged law", constants: 5, runs: runs.len() });
        }
        // The order in which runs are given is no evidence.
        let mut runs = runs.to_vec();
        runs.sort_by(|a, b| {
            let key = |run: &Run| [run.flops, run.parameters, run.tokens, run.loss];
            key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(Foresight { runs, widening: 1.0 })
    }

    /// The same with intervals so many times as wide, as back-tests of these runs suggest.
    pub fn widened(mut self, factor: f64) -> Foresight {
        self.widening = factor;
        self
    }

    /// The runs, from the cheapest to the dearest.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Foretells a run.
    pub fn predict(&self, target: &Target) -> Result<Prediction> {
        let (mixture, constants) = self.mixture(target)?;
        let mixture = mixture.widened(self.widening);
        Ok(Prediction {
            target: *target,
            loss: mixture.quantile(0.5),
            intervals: mixture.intervals(),
            constants,
        })
    }

    /// The size that reaches the lowest foretold loss with so much compute, among 33 ratios of tokens to
    /// parameters between the runs' own: outside of these nothing is known of the optimum.
    pub fn best(&self, flops: f64) -> Result<Target> {
        let each = crate::support::flops(&self.runs, &Target { parameters: 1.0, tokens: 1.0 });
        let ratios = self.runs.iter().map(Run::ratio);
        let low = ratios.clone().fold(f64::INFINITY, f64::min);
        let high = ratios.fold(0.0, f64::max);
        let mut best: Option<(f64, Target)> = None;
        for step in 0..=32 {
            let ratio = low * (high / low).powf(f64::from(step) / 32.0);
            let parameters = (flops / each / ratio).sqrt();
            let target = Target { parameters, tokens: ratio * parameters };
            let loss = self.predict(&target)?.loss;
            if best.is_none_or(|(least, _)| loss < least) {
                best = Some((loss, target));
            }
        }
        best.map(|(_, target)| target).ok_or(Error::Value { name: "FLOP", value: flops })
    }

    /// The median of a prediction and the share of its distribution below an outcome: uniform over
    /// many outcomes, if predictions are calibrated.
    pub fn judge(&self, target: &Target, outcome: f64) -> Result<(f64, f64)> {
        let mixture = self.mixture(target)?.0.widened(self.widening);
        Ok((mixture.quantile(0.5), mixture.below(outcome)))
    }

    /// Points of a target's foretold distribution below which these shares lie.
    pub fn quantiles(&self, target: &Target, shares: &[f64]) -> Result<Vec<f64>> {
        let mixture = self.mixture(target)?.0.widened(self.widening);
        Ok(shares.iter().map(|share| mixture.quantile(*share)).collect())
    }

    fn mixture(&self, target: &Target) -> Result<(Mixture, Constants)> {
        target.check()?;
        let mut mixture = Mixture::default();
        let mut moments = [(0.0, 0.0); 3];
        for view in &VIEWS {
            let points = grid::points(&self.runs, &view.weights(&self.runs, target), target);
            let mean: f64 = points.iter().map(|point| point.weight * point.loss).sum();
            let noise: f64 = points.iter().map(|point| point.weight * point.variance).sum();
            let common = (mean * mean) * (FLOOR * FLOOR + noise);
            for point in &points {
                let share = point.weight / VIEWS.len() as f64;
                mixture.add(share, point.loss, (point.spread + common).sqrt());
                for (sum, value) in moments.iter_mut().zip([point.irreducible, point.alpha, point.beta]) {
                    sum.0 += share * value;
                    sum.1 += share * value * value;
                }
            }
        }
        let [irreducible, alpha, beta] =
            moments.map(|(mean, square)| (mean, (square - mean * mean).max(0.0).sqrt()));
        Ok((mixture, Constants { irreducible, alpha, beta }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of a law, without noise.
    fn ladder(law: impl Fn(f64, f64) -> f64) -> Vec<Run> {
        let mut runs = Vec::new();
        for size in 0..8 {
            for ratio in [10.0, 20.0, 40.0, 80.0] {
                let n = 1e6 * 2f64.powi(size);
                let d = n * ratio;
                runs.push(Run { parameters: n, tokens: d, flops: 6.0 * n * d, loss: law(n, d) });
            }
        }
        runs
    }

    #[test]
    fn a_clean_law_is_foretold_a_thousandfold() {
        for (e, alpha, beta) in [(1.7, 0.34, 0.28), (0.6, 0.25, 0.4), (2.0, 0.42, 0.37)] {
            let law = |n: f64, d: f64| e + 2.0 * (n / 1e6).powf(-alpha) + 2.0 * (d / 1e7).powf(-beta);
            let foresight = Foresight::new(&ladder(law)).unwrap();
            let target = Target { parameters: 4e9, tokens: 8e10 };
            let prediction = foresight.predict(&target).unwrap();
            let truth = law(target.parameters, target.tokens);
            assert!((prediction.loss / truth - 1.0).abs() < 0.02, "{} {truth}", prediction.loss);
            assert!(prediction.intervals[1].holds(truth), "{prediction:?}");
        }
    }

    #[test]
    fn the_order_of_the_runs_and_the_unit_of_the_loss_change_nothing() {
        let law = |n: f64, d: f64| 1.0 + 2.0 * (n / 1e6).powf(-0.3) + (d / 1e7).powf(-0.3);
        let mut runs = ladder(law);
        let target = Target { parameters: 1e9, tokens: 2e10 };
        let first = Foresight::new(&runs).unwrap().predict(&target).unwrap();
        runs.reverse();
        assert_eq!(Foresight::new(&runs).unwrap().predict(&target).unwrap(), first);
        runs.iter_mut().for_each(|run| run.loss *= std::f64::consts::LOG2_E);
        let bits = Foresight::new(&runs).unwrap().predict(&target).unwrap();
        assert!((bits.loss / first.loss / std::f64::consts::LOG2_E - 1.0).abs() < 1e-9);
    }

    #[test]
    fn noise_between_equal_runs_widens_or_narrows_what_is_expected() {
        let law = |n: f64, d: f64| 1.7 + 2.0 * (n / 1e6).powf(-0.34) + 2.0 * (d / 1e7).powf(-0.3);
        let target = Target { parameters: 4e9, tokens: 8e10 };
        let width = |apart: f64| {
            let runs = ladder(law);
            let twins = runs.iter().map(|run| Run { loss: run.loss * (1.0 + apart), ..*run });
            let runs: Vec<Run> = twins.chain(runs.iter().copied()).collect();
            let [_, interval, _] = Foresight::new(&runs).unwrap().predict(&target).unwrap().intervals;
            interval.high - interval.low
        };
        let widths = [0.0, 0.01, 0.03].map(width);
        assert!(widths.is_sorted(), "{widths:?}");
    }

    #[test]
    fn the_best_size_is_that_of_the_closed_form() {
        // A = B and α = β at equal scales: the optimum has thirty tokens a parameter, at any compute.
        let law = |n: f64, d: f64| 0.8 + 2.0 * (n / 1e6).powf(-0.33) + 2.0 * (d / 3e7).powf(-0.33);
        let best = Foresight::new(&ladder(law)).unwrap().best(1e19).unwrap();
        assert!((6.0 * best.parameters * best.tokens / 1e19 - 1.0).abs() < 1e-9);
        assert!((15.0..60.0).contains(&best.ratio()), "{best:?}");
    }

    #[test]
    fn what_is_no_run_is_refused() {
        let runs = ladder(|_, _| 1.0);
        assert!(matches!(Foresight::new(&runs[..4]), Err(Error::Few { .. })));
        let mut bad = runs.clone();
        bad[3].loss = f64::NAN;
        assert!(matches!(Foresight::new(&bad), Err(Error::Value { name: "loss", .. })));
        let target = Target { parameters: 0.0, tokens: 1.0 };
        assert!(Foresight::new(&runs).unwrap().predict(&target).is_err());
    }
}
