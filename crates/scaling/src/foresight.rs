//! The prediction: an average over laws, not a choice among them.
//!
//! `L(N, D) = E + A·N^(−α) + B·D^(−β)` (Hoffmann et al., arXiv:2203.15556, approach 3) fits most ladders
//! with many exponents about equally well, and these part ways where it matters, far from the runs. So all
//! exponents of a grid are kept, each with the E, A, B ≥ 0 that fit best (variable projection), weighted by
//! how well they fit and by what is known of exponents elsewhere. What no run can decide — which of them
//! resemble the target — is averaged too: each `View` weighs the runs in its own way. The spread that
//! remains, the residuals of the runs and the uncertainty of E, A, B are the interval.

use crate::mixture::{Interval, Mixture};
use crate::squares::Normal;
use crate::{Error, Noise, Result, Run, Target};
use serde::{Deserialize, Serialize};

/// Mean and deviation of both exponents among other families of runs. Hoffmann et al. found 0.34 and 0.28,
/// Besiroglu et al. (arXiv:2404.10102) 0.35 and 0.37 on the same runs, Muennighoff et al. (arXiv:2305.16264)
/// 0.35 for both, Gadre et al. (arXiv:2403.08540) 0.24 to 0.28.
const EXPONENT: (f64, f64) = (0.335, 0.1);

/// Deviation of `α − β` among them.
const APART: f64 = 0.08;

/// E as a share of the lowest loss seen, if the runs do not say: half of it where the dearest run took so
/// many FLOP, and with every e-fold of compute the logarithm of the odds rises by so much, for what can be learned
/// is learned by then. In the law of Besiroglu et al. the share is one half at 1e18 FLOP and the rise 0.18 an e-fold; models of bytes
/// have some of it behind them at 1e11 already, hence less.
const IRREDUCIBLE: (f64, f64) = (2e18, 0.04);

/// Deviation of that share, and the degrees of freedom of Student's distribution that it has: families
/// differ, and where the runs do say, they are to be heard.
const SHARE: (f64, f64) = (0.15, 3.0);

/// Relative deviation between equal runs before any are seen (seeds, order of data), and how many
/// runs' worth of evidence that is. Runs of one size say more of it ([`Noise`]), each as much as it resembles the target.
const NOISE: (f64, f64) = (0.006, 2.0);

/// Relative error of the law itself, which no number of runs reduces.
const FLOOR: f64 = 0.006;

/// Exponents that are tried.
const GRID: std::ops::Range<usize> = 0..24;

fn exponent(step: usize) -> f64 {
    0.06 + 0.04 * step as f64
}

/// Which of the runs resemble the target: a weight a run.
struct View {
    /// Power of the compute: the dearest runs are nearest to the target.
    compute: f64,
    /// Tokens a parameter between which a run counts at all.
    ratios: Option<(f64, f64)>,
    /// Deviation of the logarithm of tokens a parameter around the target's, and the power
    /// with which runs below twenty tokens a parameter, starved of steps, lose weight.
    near: Option<(f64, f64)>,
}

const VIEWS: [View; 3] = [
    View { compute: 0.5, ratios: Some((10.0, 400.0)), near: None },
    View { compute: 0.8, ratios: Some((10.0, 400.0)), near: None },
    View { compute: 0.8, ratios: None, near: Some((2.0, 3.0)) },
];

/// Tokens a parameter below which a run is starved of steps.
const STARVED: f64 = 20.0;

/// Runs that weigh less than this share of the heaviest are left out.
const LIGHTEST: f64 = 1e-4;

/// Parts of the average that weigh less than this are forgotten.
const NEGLIGIBLE: f64 = 1e-6;

impl View {
    fn weights(&self, runs: &[Run], target: &Target) -> Vec<f64> {
        let most = runs.iter().map(|run| run.flops).fold(0.0, f64::max);
        let mut weights: Vec<f64> = runs
            .iter()
            .map(|run| {
                let near = self.near.map_or(1.0, |(deviation, power)| {
                    let apart = (run.ratio() / target.ratio()).ln() / deviation;
                    (-0.5 * apart * apart).exp() * (run.ratio() / STARVED).min(1.0).powf(power)
                });
                near * (run.flops / most).powf(self.compute)
            })
            .collect();
        if let Some((low, high)) = self.ratios {
            // A hair's breadth, for ratios that were computed from rounded figures.
            let inside = |run: &Run| (low * 0.999..=high * 1.001).contains(&run.ratio());
            let sizes: std::collections::BTreeSet<i64> = runs
                .iter()
                .filter(|run| inside(run))
                .map(|run| (10.0 * run.parameters.ln()).round() as i64)
                .collect();
            if sizes.len() >= 2 && runs.iter().filter(|run| inside(run)).count() >= 5 {
                runs.iter()
                    .zip(&mut weights)
                    .filter(|(run, _)| !inside(run))
                    .for_each(|(_, weight)| *weight = 0.0);
            }
        }
        let heaviest = weights.iter().copied().fold(0.0, f64::max);
        weights.iter_mut().filter(|weight| **weight < LIGHTEST * heaviest).for_each(|weight| *weight = 0.0);
        weights
    }
}

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
            let points = self.points(&view.weights(&self.runs, target), target);
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
        mixture.prune(NEGLIGIBLE);
        let [irreducible, alpha, beta] =
            moments.map(|(mean, square)| (mean, (square - mean * mean).max(0.0).sqrt()));
        Ok((mixture, Constants { irreducible, alpha, beta }))
    }

    /// The grid of exponents, each with its weight and what it says of the target.
    fn points(&self, weights: &[f64], target: &Target) -> Vec<Point> {
        let used: Vec<(&Run, f64)> =
            self.runs.iter().zip(weights.iter().copied()).filter(|(_, weight)| *weight > 0.0).collect();
        let total: f64 = used.iter().map(|(_, weight)| weight).sum();
        let count = used.len() as f64;
        // As many equal weights would say as much (Kish).
        let effective = total * total / used.iter().map(|(_, weight)| weight * weight).sum::<f64>();
        let centre = |of: fn(&Run) -> f64| {
            (used.iter().map(|(run, weight)| weight * of(run).ln()).sum::<f64>() / total).exp()
        };
        let (n0, d0) = (centre(|run| run.parameters), centre(|run| run.tokens));
        let lowest = used.iter().map(|(run, _)| run.loss).fold(f64::INFINITY, f64::min);
        // Powers of every run, once an exponent.
        let powers = |of: fn(&Run) -> f64, scale: f64| -> Vec<Vec<f64>> {
            GRID.map(|k| used.iter().map(|(run, _)| (of(run) / scale).powf(-exponent(k))).collect()).collect()
        };
        let (sizes, lengths) = (powers(|run| run.parameters, n0), powers(|run| run.tokens, d0));
        let weight_of: Vec<f64> =
            used.iter().map(|(run, weight)| weight * count / total / (run.loss * run.loss)).collect();
        let noise = expected_noise(&used);
        let dearest = used.iter().map(|(run, _)| run.flops).fold(0.0, f64::max);
        let share = 1.0 / (1.0 + (dearest / IRREDUCIBLE.0).powf(-IRREDUCIBLE.1));
        let freedom = (effective - 3.0).max(0.0) + NOISE.1;

        let mut points = Vec::with_capacity(GRID.len() * GRID.len());
        for i in GRID {
            for j in GRID {
                let mut normal = Normal::default();
                for (k, (run, _)) in used.iter().enumerate() {
                    normal.add([1.0, sizes[i][k], lengths[j][k]], run.loss, weight_of[k]);
                }
                let solution = normal.solve(&[0b111, 0b110, 0b011, 0b101]);
                let (alpha, beta) = (exponent(i), exponent(j));
                let row = [1.0, (target.parameters / n0).powf(-alpha), (target.tokens / d0).powf(-beta)];
                let residual = solution.residual * effective / count + NOISE.1 * noise;
                let variance = residual / freedom;
                let irreducible = solution.coefficients[0];
                // The evidence: E, A and B are integrated out, so exponents at which they are better
                // determined do not win for that alone.
                let fit = -0.5 * (freedom * residual.ln() + normal.log_determinant(lowest));
                let prior = off(alpha, EXPONENT)
                    + off(beta, EXPONENT)
                    + off(alpha - beta, (0.0, APART))
                    + far(irreducible / lowest, share, SHARE);
                points.push(Point {
                    weight: fit + prior,
                    loss: solution.at(row),
                    spread: solution.variance(row) * variance * count / effective,
                    variance,
                    irreducible,
                    alpha,
                    beta,
                });
            }
        }
        let best = points.iter().map(|point| point.weight).fold(f64::NEG_INFINITY, f64::max);
        points.iter_mut().for_each(|point| point.weight = (point.weight - best).exp());
        let sum: f64 = points.iter().map(|point| point.weight).sum();
        points.iter_mut().for_each(|point| point.weight /= sum);
        points
    }
}

/// Relative variance that is expected of the residuals: between equal runs, as far as there are some.
fn expected_noise(used: &[(&Run, f64)]) -> f64 {
    let heaviest = used.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let rows: Vec<(Run, f64)> = used.iter().map(|(run, weight)| (**run, weight / heaviest)).collect();
    let (squares, freedom) = Noise::pool(&rows);
    (NOISE.1 * NOISE.0 * NOISE.0 + squares) / (NOISE.1 + freedom)
}

/// Logarithm of a normal density, but for its constant.
fn off(x: f64, (mean, deviation): (f64, f64)) -> f64 {
    let z = (x - mean) / deviation;
    -0.5 * z * z
}

/// Logarithm of Student's density, but for its constant: of a deviation and degrees of freedom.
fn far(x: f64, mean: f64, (deviation, freedom): (f64, f64)) -> f64 {
    let z = (x - mean) / deviation;
    -0.5 * (freedom + 1.0) * (z * z / freedom).ln_1p()
}

/// A pair of exponents.
struct Point {
    /// First its logarithm, then its share of all.
    weight: f64,
    /// Of the target.
    loss: f64,
    /// Variance of that, from the uncertainty of E, A and B.
    spread: f64,
    /// Relative variance of the residuals.
    variance: f64,
    irreducible: f64,
    alpha: f64,
    beta: f64,
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
        let used = ladder(law)[..2].to_vec();
        let expected = |losses: [f64; 2]| {
            let runs = losses.map(|loss| Run { loss, ..used[0] });
            expected_noise(&[(&runs[0], 1.0), (&runs[1], 1.0)])
        };
        // Two equal runs: the prior's two runs' worth, and one more.
        assert!((expected([3.0, 3.0]) / (NOISE.0 * NOISE.0 * 2.0 / 3.0) - 1.0).abs() < 1e-9);
        assert!(expected([3.0, 3.3]) > NOISE.0 * NOISE.0);
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
