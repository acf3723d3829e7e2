//! Which of the runs resemble a target: no run can decide it, so several answers are averaged.

use crate::{Run, Target};

/// A weight a run.
pub(crate) struct View {
    /// Power of the compute: the dearest runs are nearest to the target.
    compute: f64,
    /// Tokens a parameter between which a run counts at all.
    ratios: Option<(f64, f64)>,
    /// Deviation of the logarithm of tokens a parameter around the target's, and the power
    /// with which runs below twenty tokens a parameter, starved of steps, lose weight.
    near: Option<(f64, f64)>,
}

/// What is averaged.
pub(crate) const VIEWS: [View; 3] = [
    View { compute: 0.5, ratios: Some((10.0, 400.0)), near: None },
    View { compute: 0.8, ratios: Some((10.0, 400.0)), near: None },
    View { compute: 0.8, ratios: None, near: Some((2.0, 3.0)) },
];

/// Tokens a parameter below which a run is starved of steps.
const STARVED: f64 = 20.0;

/// Runs that weigh less than this share of the heaviest are left out.
const LIGHTEST: f64 = 1e-4;

impl View {
    /// How much each run counts for a target.
    pub(crate) fn weights(&self, runs: &[Run], target: &Target) -> Vec<f64> {
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
