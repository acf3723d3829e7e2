//! When the answer is no: runs that cannot carry the extrapolation that is asked of them.

use crate::law::{JointLaw, Law, places};
use crate::{Error, Result, Run, Target, median};
use std::collections::BTreeSet;

/// Times the dearest run's compute beyond which nothing is foretold.
pub const FARTHEST: f64 = 1e5;

/// Times the cheapest run's compute that the dearest must have: a decade and a half.
pub const SPAN: f64 = 30.0;

/// Different runs, at least, and different sizes among them.
pub const FEWEST: (usize, usize) = (6, 3);

/// Share of the variance of losses that a law must explain, allowing for its constants.
pub const EXPLAINED: f64 = 0.6;

/// Times by which a target's tokens a parameter may lie outside those of the runs.
pub const ASIDE: f64 = 10.0;

/// How many times dearer the dearest is than the cheapest.
pub fn span(flops: impl Iterator<Item = f64> + Clone) -> f64 {
    let (least, most) = ends(flops);
    most / least
}

/// The least and the most.
fn ends(all: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    (all.clone().fold(f64::INFINITY, f64::min), all.fold(0.0, f64::max))
}

/// Compute of a target, counted as the runs count it.
pub fn flops(runs: &[Run], target: &Target) -> f64 {
    let factor = median(runs.iter().map(|run| run.flops / (run.parameters * run.tokens)));
    factor.map_or(f64::NAN, |factor| factor * target.parameters * target.tokens)
}

/// How many times dearer than the dearest run a target is.
pub fn reach(runs: &[Run], target: &Target) -> f64 {
    flops(runs, target) / runs.iter().map(|run| run.flops).fold(0.0, f64::max)
}

/// Refuses a target that the runs cannot support, with every reason.
pub fn check(runs: &[Run], target: &Target) -> Result<()> {
    runs.iter().try_for_each(Run::check)?;
    target.check()?;
    let mut reasons = Vec::new();
    let different = places(runs);
    let sizes = runs.iter().map(|run| run.parameters.to_bits()).collect::<BTreeSet<_>>().len();
    let (runs_needed, sizes_needed) = FEWEST;
    if different < runs_needed || sizes < sizes_needed {
        reasons.push(format!(
            "{different} different runs of {sizes} sizes, where {runs_needed} of {sizes_needed} are the least"
        ));
    }
    let span = span(runs.iter().map(|run| run.flops));
    if span < SPAN {
        reasons.push(format!("the runs span {span:.1} times in compute, where {SPAN} is the least"));
    }
    let far = reach(runs, target);
    if far > FARTHEST {
        reasons.push(format!(
            "the target costs {far:.1e} times the dearest run; beyond {FARTHEST:.0e} nothing is known"
        ));
    }
    let (low, high) = ends(runs.iter().map(Run::ratio));
    let ratio = target.ratio();
    if ratio > ASIDE * high || ratio * ASIDE < low {
        reasons.push(format!(
            "the target has {ratio:.3} tokens a parameter, the runs have {low:.3} to {high:.3}"
        ));
    }
    if reasons.is_empty() && explained(runs)? < EXPLAINED {
        reasons.push(
            "size explains little of the differences between the losses: noise, or runs of several families"
                .into(),
        );
    }
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(reasons)),
    }
}

/// Share of the variance of log losses that the joint law explains, allowing for the number of runs.
fn explained(runs: &[Run]) -> Result<f64> {
    let law = JointLaw::fit(runs)?;
    let count = runs.len() as f64;
    let mean = runs.iter().map(|run| run.loss.ln()).sum::<f64>() / count;
    let total: f64 = runs.iter().map(|run| (run.loss.ln() - mean).powi(2)).sum();
    let left: f64 = runs
        .iter()
        .map(|run| (run.loss / law.loss(run.parameters, run.tokens, run.flops)).ln().powi(2))
        .sum();
    Ok(1.0 - left / total * (count - 1.0) / (count - 4.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(sizes: i32, step: f64, law: impl Fn(usize, f64, f64) -> f64) -> Vec<Run> {
        let mut runs = Vec::new();
        for size in 0..sizes {
            for ratio in [10.0, 20.0, 40.0] {
                let n = 1e5 * step.powi(size);
                let loss = law(runs.len(), n, n * ratio);
                runs.push(Run { parameters: n, tokens: n * ratio, flops: 6.0 * n * n * ratio, loss });
            }
        }
        runs
    }

    fn clean(_: usize, n: f64, d: f64) -> f64 {
        1.0 + 30.0 * n.powf(-0.3) + 60.0 * d.powf(-0.3)
    }

    fn refusal(runs: &[Run], n: f64, ratio: f64) -> String {
        let target = Target { parameters: n, tokens: n * ratio };
        check(runs, &target).expect_err("should have been refused").to_string()
    }

    #[test]
    fn clean_ladders_are_not_refused() {
        for step in [1.5, 2.0, 4.0] {
            let runs = ladder(6, step, clean);
            let n = 1e5 * step.powi(5) * 30.0;
            check(&runs, &Target { parameters: n, tokens: n * 20.0 }).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_known_is_refused_with_its_reason() {
        let runs = ladder(6, 2.0, clean);
        assert!(refusal(&runs[..2], 1e7, 20.0).contains("2 different runs"));
        assert!(refusal(&ladder(3, 1.5, clean), 1e7, 20.0).contains("times in compute"));
        assert!(refusal(&runs, 1e10, 20.0).contains("times the dearest"));
        assert!(refusal(&runs, 1e7, 2000.0).contains("tokens a parameter"));
        // 1,000 ladders of nothing but noise.
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let refused = (0..1000)
            .filter(|_| {
                let values: Vec<f64> = (0..18).map(|_| 2.0 + random()).collect();
                let runs = ladder(6, 2.0, |i, _, _| values[i]);
                check(&runs, &Target { parameters: 1e7, tokens: 2e8 }).is_err()
            })
            .count();
        assert!(refused >= 985, "{refused} of 1,000 were refused");
    }

    #[test]
    fn compute_is_counted_as_the_runs_count_it() {
        let mut runs = ladder(6, 2.0, clean);
        runs.iter_mut().for_each(|run| run.flops *= 1.5);
        assert!((flops(&runs, &Target { parameters: 1e7, tokens: 2e8 }) / 1.8e16 - 1.0).abs() < 1e-9);
        assert!((reach(&runs, &runs[17].target()) - 1.0).abs() < 1e-9);
    }
}
