//! A grid of laws, each with how likely the runs and what is known of other families make it.
//!
//! The laws are `L(N, D) = E + A·N^(−α) + B·D^(−β)` (Hoffmann et al., arXiv:2203.15556, approach 3). Where E, α and β
//! are given, `L − E` is linear in A and B ≥ 0, which are solved for (variable projection) and integrated out.

use crate::pair::{Pair, log_determinant};
use crate::{Noise, Run, Target};

/// Mean and deviation of both exponents among other families of runs. Hoffmann et al. found 0.34 and 0.28,
/// Besiroglu et al. (arXiv:2404.10102) 0.35 and 0.37 on the same runs, Muennighoff et al. (arXiv:2305.16264)
/// 0.35 for both, Gadre et al. (arXiv:2403.08540) 0.24 to 0.28.
const EXPONENT: (f64, f64) = (0.335, 0.1);

/// Deviation of `α − β` among them.
const APART: f64 = 0.1;

/// E as a share of the lowest loss seen, if the runs do not say: half of it where the dearest run took so
/// many FLOP, and with every e-fold of compute the logarithm of the odds rises by so much, for what can be
/// learned is learned by then. In the law of Besiroglu et al. the share is one half at 1e18 FLOP and the rise
/// 0.18 an e-fold; ladders of bytes have some of it behind them at 1e11 already, hence less.
const IRREDUCIBLE: (f64, f64) = (2e18, 0.07);

/// Deviation of that share, and the degrees of freedom of Student's distribution that it has: families
/// differ, and where the runs do say, they are to be heard.
const SHARE: (f64, f64) = (0.12, 2.0);

/// Relative deviation between equal runs before any are seen (seeds, order of data), and how many
/// runs' worth of evidence that is. Runs of one size say more of it ([`Noise`]), each as much as it resembles
/// the target.
const NOISE: (f64, f64) = (0.006, 2.0);

/// Exponents that are tried: 0.06 to 0.9.
const EXPONENTS: usize = 15;

fn exponent(step: usize) -> f64 {
    0.06 + 0.06 * step as f64
}

/// Shares of the lowest loss that are tried for E: 0 to 0.95.
const SHARES: usize = 20;

/// Laws that are less likely than the likeliest by this factor are forgotten.
const NEGLIGIBLE: f64 = 1e-6;

/// A law of the grid.
pub(crate) struct Point {
    /// Its share of all.
    pub(crate) weight: f64,
    /// What it says of the target.
    pub(crate) loss: f64,
    /// Variance of that, from the uncertainty of A and B.
    pub(crate) spread: f64,
    /// Relative variance of the residuals.
    pub(crate) variance: f64,
    pub(crate) irreducible: f64,
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
}

/// Two exponents of the grid.
struct Exponents {
    /// Which they are.
    places: (usize, usize),
    alpha: f64,
    beta: f64,
    /// Of the columns that they make of the runs.
    gram: [f64; 3],
    log_determinant: f64,
    /// Logarithm of how likely they are beforehand.
    prior: f64,
    /// The target's row.
    row: [f64; 2],
}

/// The grid's laws for runs that weigh so much each, and what they say of a target.
pub(crate) fn points(runs: &[Run], weights: &[f64], target: &Target) -> Vec<Point> {
    let used: Vec<(&Run, f64)> =
        runs.iter().zip(weights.iter().copied()).filter(|(_, weight)| *weight > 0.0).collect();
    let total: f64 = used.iter().map(|(_, weight)| weight).sum();
    let count = used.len() as f64;
    // As many equal weights would say as much (Kish).
    let effective = total * total / used.iter().map(|(_, weight)| weight * weight).sum::<f64>();
    let centre = |of: &dyn Fn(&Run) -> f64| {
        (used.iter().map(|(run, weight)| weight * of(run).ln()).sum::<f64>() / total).exp()
    };
    let (n0, d0) = (centre(&|run| run.parameters), centre(&|run| run.tokens));
    let lowest = used.iter().map(|(run, _)| run.loss).fold(f64::INFINITY, f64::min);
    let noise = expected_noise(&used);
    let dearest = used.iter().map(|(run, _)| run.flops).fold(0.0, f64::max);
    let expected = 1.0 / (1.0 + (dearest / IRREDUCIBLE.0).powf(-IRREDUCIBLE.1));
    let freedom = (effective - 3.0).max(0.0) + NOISE.1;

    // Rows over their loss and by the root of their weight, so that what is squared and summed is a relative error.
    let scales: Vec<f64> =
        used.iter().map(|(run, weight)| (weight * count / total).sqrt() / run.loss).collect();
    let losses: Vec<f64> = used.iter().zip(&scales).map(|((run, _), scale)| run.loss * scale).collect();
    // Of either column with every exponent: the target's power and the rows.
    let columns = |of: &dyn Fn(&Run) -> f64, of_target: f64, unit: f64| -> Vec<(f64, Vec<f64>)> {
        (0..EXPONENTS)
            .map(|k| {
                let power = |x: f64| (x / unit).powf(-exponent(k));
                (power(of_target), used.iter().zip(&scales).map(|((run, _), s)| power(of(run)) * s).collect())
            })
            .collect()
    };
    let sizes = columns(&|run| run.parameters, target.parameters, n0);
    let lengths = columns(&|run| run.tokens, target.tokens, d0);

    let squares = |columns: &[(f64, Vec<f64>)]| columns.iter().map(|(_, x)| dot(x, x)).collect();
    let (of_size, of_length): (Vec<f64>, Vec<f64>) = (squares(&sizes), squares(&lengths));
    // What a pair of exponents has whatever E is, in the order of the pairs.
    let exponents = (0..EXPONENTS).flat_map(|i| (0..EXPONENTS).map(move |j| (i, j)));
    let pairs: Vec<Exponents> = exponents
        .map(|(i, j)| {
            let (alpha, beta) = (exponent(i), exponent(j));
            let gram = [of_size[i], dot(&sizes[i].1, &lengths[j].1), of_length[j]];
            Exponents {
                places: (i, j),
                alpha,
                beta,
                gram,
                log_determinant: log_determinant(gram),
                prior: off(alpha, EXPONENT) + off(beta, EXPONENT) + off(alpha - beta, (0.0, APART)),
                row: [sizes[i].0, lengths[j].0],
            }
        })
        .collect();

    let mut points = Vec::with_capacity(EXPONENTS * EXPONENTS * SHARES);
    for step in 0..SHARES {
        let share = 0.05 * step as f64;
        let irreducible = share * lowest;
        let rest: Vec<f64> = losses.iter().zip(&scales).map(|(loss, s)| loss - irreducible * s).collect();
        let square = dot(&rest, &rest);
        let moments = |columns: &[(f64, Vec<f64>)]| columns.iter().map(|(_, x)| dot(x, &rest)).collect();
        let (of_sizes, of_lengths): (Vec<f64>, Vec<f64>) = (moments(&sizes), moments(&lengths));
        let of_share = far(share, expected, SHARE);
        for &Exponents { places: (i, j), alpha, beta, gram, log_determinant, prior, row } in &pairs {
            let fitted = Pair { gram, moment: [of_sizes[i], of_lengths[j]], square }.solve();
            let residual = fitted.residual * effective / count + NOISE.1 * noise;
            let variance = residual / freedom;
            // A and B are integrated out, so laws in which they are better determined do not win for that
            // alone; summing over the grid does the same for E, α and β.
            let fit = -0.5 * ((freedom + 1.0) * residual.ln() + log_determinant);
            points.push(Point {
                weight: fit + (prior + of_share),
                loss: irreducible + fitted.at(row),
                spread: fitted.variance(row) * variance * count / effective,
                variance,
                irreducible,
                alpha,
                beta,
            });
        }
    }
    let best = points.iter().map(|point| point.weight).fold(f64::NEG_INFINITY, f64::max);
    points.retain(|point| point.weight > best + NEGLIGIBLE.ln());
    points.iter_mut().for_each(|point| point.weight = (point.weight - best).exp());
    let sum: f64 = points.iter().map(|point| point.weight).sum();
    points.iter_mut().for_each(|point| point.weight /= sum);
    points
}

/// Relative variance that is expected of the residuals: between equal runs, as far as there are some.
fn expected_noise(used: &[(&Run, f64)]) -> f64 {
    let heaviest = used.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let rows: Vec<(Run, f64)> = used.iter().map(|(run, weight)| (**run, weight / heaviest)).collect();
    let (squares, freedom) = Noise::pool(&rows);
    (NOISE.1 * NOISE.0 * NOISE.0 + squares) / (NOISE.1 + freedom)
}

/// Inner product, in eight sums that the processor adds side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + rest
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_runs_say_how_much_noise_to_expect() {
        let run = Run { parameters: 1e6, tokens: 1e7, flops: 6e13, loss: 3.0 };
        let expected = |loss: f64| {
            let other = Run { loss, ..run };
            expected_noise(&[(&run, 1.0), (&other, 1.0)])
        };
        // Two equal runs: the prior's two runs' worth, and one more.
        assert!((expected(3.0) / (NOISE.0 * NOISE.0 * 2.0 / 3.0) - 1.0).abs() < 1e-9);
        assert!(expected(3.3) > NOISE.0 * NOISE.0);
    }
}
