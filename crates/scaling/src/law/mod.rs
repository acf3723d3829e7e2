//! Laws: what a loss is taken to be as a function of a run's size, each a type with its formula, its fit
//! and its source.
//!
//! A fit minimises a robust sum over relative residuals: beyond [`HUBER`] a residual counts by its size and
//! not by its square, so that one diverged run does not bend the law. Coefficients in which a law is linear
//! are solved for inside the search (variable projection); only exponents are searched, on a grid first and
//! then by a simplex from its best points.

mod compute;
mod coupled;
mod joint;

pub use compute::ComputeLaw;
pub use coupled::CoupledLaw;
pub use joint::JointLaw;

use crate::squares::{Normal, Solution};
use crate::{Error, Result, Run};

/// Relative residual beyond which a run counts less.
pub const HUBER: f64 = 0.01;

/// A law and the runs that it was fitted to.
pub trait Law: Sized {
    /// What it is called.
    const NAME: &'static str;
    /// How it is written.
    const FORMULA: &'static str;
    /// Names of its constants, in the order of [`Law::constants`].
    const CONSTANTS: &'static [&'static str];

    /// Fits it.
    fn fit(runs: &[Run]) -> Result<Self>;

    /// The loss that it says a run has.
    fn loss(&self, parameters: f64, tokens: f64, flops: f64) -> f64;

    /// Its constants.
    fn constants(&self) -> Vec<f64>;

    /// Standard deviations of its constants, by leaving out each run in turn (the jackknife of Efron, 1982);
    /// infinite where the law cannot be fitted without some run.
    fn deviations(runs: &[Run]) -> Vec<f64> {
        let count = Self::CONSTANTS.len();
        let without = |out: usize| {
            let rest: Vec<Run> =
                runs.iter().enumerate().filter(|(i, _)| *i != out).map(|(_, run)| *run).collect();
            Self::fit(&rest).map(|law| law.constants())
        };
        let Ok(fits) = (0..runs.len()).map(without).collect::<Result<Vec<_>>>() else {
            return vec![f64::INFINITY; count];
        };
        let n = fits.len() as f64;
        (0..count)
            .map(|k| {
                let mean = fits.iter().map(|fit| fit[k]).sum::<f64>() / n;
                ((n - 1.0) / n * fits.iter().map(|fit| (fit[k] - mean).powi(2)).sum::<f64>()).sqrt()
            })
            .collect()
    }
}

/// Refuses runs that are too few or no runs.
fn check<L: Law>(runs: &[Run], different: usize) -> Result<()> {
    runs.iter().try_for_each(Run::check)?;
    let constants = L::CONSTANTS.len();
    if different < constants {
        return Err(Error::Few { law: L::NAME, constants, runs: different });
    }
    Ok(())
}

/// How many different pairs of N and D there are.
pub(crate) fn places(runs: &[Run]) -> usize {
    let key = |run: &Run| (run.parameters.to_bits(), run.tokens.to_bits());
    runs.iter().map(key).collect::<std::collections::BTreeSet<_>>().len()
}

/// Huber's loss of a relative residual, in units of its bound.
fn huber(residual: f64) -> f64 {
    let z = residual.abs() / HUBER;
    if z <= 1.0 { 0.5 * z * z } else { z - 0.5 }
}

/// Coefficients that minimise the robust sum of relative residuals over some sets of columns, and the
/// sum: least squares, weighted anew by the residuals until they settle.
fn robust(rows: &[([f64; 3], f64)], sets: &[u8]) -> (Solution, f64) {
    let mut weights = vec![1.0; rows.len()];
    let mut best: Option<(Solution, f64)> = None;
    for _ in 0..12 {
        let mut normal = Normal::default();
        for ((row, y), weight) in rows.iter().zip(&weights) {
            normal.add(*row, *y, weight / (y * y));
        }
        let solution = normal.solve(sets);
        let mut sum = 0.0;
        for ((row, y), weight) in rows.iter().zip(&mut weights) {
            let residual = solution.at(*row) / y - 1.0;
            sum += huber(residual);
            *weight = (HUBER / residual.abs().max(1e-300)).min(1.0);
        }
        let settled = best.is_some_and(|(_, before)| sum >= before * (1.0 - 1e-9));
        if best.is_none_or(|(_, before)| sum < before) {
            best = Some((solution, sum));
        }
        if settled {
            break;
        }
    }
    // The loop runs at least once.
    best.unwrap_or_else(|| (Normal::default().solve(&[]), f64::INFINITY))
}

/// The geometric mean.
fn centre(values: impl Iterator<Item = f64> + Clone) -> f64 {
    (values.clone().map(f64::ln).sum::<f64>() / values.count().max(1) as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(law: impl Fn(f64, f64, f64) -> f64) -> Vec<Run> {
        let mut runs = Vec::new();
        for size in 0..7 {
            for ratio in [5.0, 20.0, 80.0] {
                let (n, d) = (1e6 * 3f64.powi(size), 1e6 * 3f64.powi(size) * ratio);
                runs.push(Run { parameters: n, tokens: d, flops: 6.0 * n * d, loss: law(n, d, 6.0 * n * d) });
            }
        }
        runs
    }

    fn close(got: &[f64], want: &[f64], tolerance: f64) {
        for (got, want) in got.iter().zip(want) {
            assert!((got / want - 1.0).abs() < tolerance, "{got} {want}");
        }
    }

    #[test]
    fn clean_runs_give_the_constants_back() {
        let want = ComputeLaw { a: 35.0, b: -0.09, c: 1.2 };
        let fit = ComputeLaw::fit(&runs(|n, d, c| want.loss(n, d, c))).unwrap();
        close(&fit.constants(), &want.constants(), 1e-3);
        // Hoffmann et al., as they printed them.
        let want = JointLaw { e: 1.69, a: 406.4, b: 410.7, alpha: 0.34, beta: 0.28 };
        let fit = JointLaw::fit(&runs(|n, d, c| want.loss(n, d, c))).unwrap();
        close(&fit.constants(), &want.constants(), 1e-3);
        let want = CoupledLaw { e: 1.2, a: 900.0, b: 1500.0, alpha: 0.45, beta: 0.4, gamma: 0.7 };
        let runs = runs(|n, d, c| want.loss(n, d, c));
        let fit = CoupledLaw::fit(&runs).unwrap();
        for run in &runs {
            let loss = fit.loss(run.parameters, run.tokens, run.flops);
            assert!((loss / run.loss - 1.0).abs() < 2e-4, "{fit:?}");
        }
        close(&[fit.e], &[want.e], 0.05);
    }

    #[test]
    fn a_diverged_run_does_not_bend_a_law() {
        let want = JointLaw { e: 1.69, a: 406.4, b: 410.7, alpha: 0.34, beta: 0.28 };
        let mut runs = runs(|n, d, c| want.loss(n, d, c));
        runs[7].loss *= 2.0;
        close(&JointLaw::fit(&runs).unwrap().constants(), &want.constants(), 0.02);
    }

    #[test]
    fn too_few_runs_are_refused() {
        let all = runs(|n, d, _| 1.0 + 1e3 / n + 1e3 / d);
        assert!(matches!(JointLaw::fit(&all[..4]), Err(Error::Few { constants: 5, .. })));
        assert!(matches!(ComputeLaw::fit(&all[..2]), Err(Error::Few { constants: 3, .. })));
        let same = vec![all[0]; 9];
        assert!(matches!(JointLaw::fit(&same), Err(Error::Few { runs: 1, .. })));
    }

    #[test]
    fn deviations_are_small_for_clean_runs_and_grow_with_noise() {
        let want = ComputeLaw { a: 35.0, b: -0.09, c: 1.2 };
        let clean = runs(|n, d, c| want.loss(n, d, c));
        let mut noisy = clean.clone();
        noisy
            .iter_mut()
            .enumerate()
            .for_each(|(i, run)| run.loss *= 1.0 + 0.003 * ((i * 7 % 5) as f64 - 2.0));
        let (clean, noisy) = (ComputeLaw::deviations(&clean), ComputeLaw::deviations(&noisy));
        assert!(clean[1] < 1e-3 && noisy[1] > 5.0 * clean[1] && noisy[1] < 0.1, "{clean:?} {noisy:?}");
    }
}
