//! Which further run would narrow a prediction most for what it costs.
//!
//! A candidate has no loss yet, but what it might be is foretold like any other run's. So for some of the losses
//! that it could have, it is added to the runs, the target is foretold anew, and the widths of these
//! predictions are averaged: the expected width once it has run (the preposterior analysis of Raiffa and Schlaifer, 1961).

use crate::{Foresight, Result, Run, Target, median};
use serde::{Deserialize, Serialize};

/// A run that could be added.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// N, counted as for the runs.
    pub parameters: f64,
    /// D.
    pub tokens: f64,
    /// C: what it costs.
    pub flops: f64,
}

/// What a candidate would bring.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worth {
    /// The run.
    pub candidate: Candidate,
    /// Expected width of the target's 90 % interval once it has run, relative to the foretold loss.
    pub width: f64,
    /// By how much of the width now it is narrower; negative where it is expected to be wider.
    pub narrower: f64,
}

/// Shares of the candidate's foretold distribution at which its loss is tried; each stands for a fifth.
const SHARES: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// Costs of candidates, in those of the dearest run.
const COSTS: [f64; 4] = [0.25, 1.0, 2.5, 6.25];

/// The width of the target's 90 % interval now, relative to its loss, and what each candidate would bring, what narrows it
/// most a FLOP first. Widths are those of [`Foresight`] itself: back-tests would widen all of them alike.
pub fn rank(runs: &[Run], target: &Target, candidates: &[Candidate]) -> Result<(f64, Vec<Worth>)> {
    let foresight = Foresight::new(runs)?;
    let now = width(&foresight, target)?;
    let mut worths = Vec::with_capacity(candidates.len());
    for &candidate in candidates {
        let Candidate { parameters, tokens, flops } = candidate;
        let losses = foresight.quantiles(&Target { parameters, tokens }, &SHARES)?;
        let mut sum = 0.0;
        for loss in losses {
            let with: Vec<Run> =
                runs.iter().copied().chain([Run { parameters, tokens, flops, loss }]).collect();
            sum += width(&Foresight::new(&with)?, target)?;
        }
        let width = sum / SHARES.len() as f64;
        worths.push(Worth { candidate, width, narrower: 1.0 - width / now });
    }
    let value = |worth: &Worth| worth.narrower / worth.candidate.flops;
    worths.sort_by(|a, b| value(b).total_cmp(&value(a)));
    Ok((now, worths))
}

fn width(foresight: &Foresight, target: &Target) -> Result<f64> {
    let prediction = foresight.predict(target)?;
    let [_, interval, _] = prediction.intervals;
    Ok((interval.high - interval.low) / prediction.loss)
}

/// Runs that could be added: a quarter to six times as dear as the dearest, and cheaper than the target,
/// at the lowest, the middle and the highest tokens a parameter of the runs.
pub fn candidates(runs: &[Run], target: &Target) -> Vec<Candidate> {
    let each = crate::support::flops(runs, &Target { parameters: 1.0, tokens: 1.0 });
    let dearest = runs.iter().map(|run| run.flops).fold(0.0, f64::max);
    let ratios = || runs.iter().map(Run::ratio);
    let (low, high) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    let mut kinds = vec![low, median(ratios()).unwrap_or(low), high];
    kinds.dedup_by(|a, b| (*a / *b).ln().abs() < 0.1);
    let limit = each * target.parameters * target.tokens;
    let all = COSTS.iter().map(|cost| cost * dearest).filter(|flops| *flops < limit);
    let size = |flops: f64, ratio: f64| {
        let parameters = (flops / each / ratio).sqrt();
        Candidate { parameters, tokens: ratio * parameters, flops }
    };
    all.flat_map(|flops| kinds.iter().map(move |ratio| size(flops, *ratio))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.5 % above and below a law, alternately.
    fn runs() -> Vec<Run> {
        let mut runs = Vec::new();
        for size in 0..6 {
            for ratio in [10.0, 20.0, 40.0] {
                let n = 1e4 * 2f64.powi(size);
                let sign = if runs.len() % 2 == 0 { 0.005 } else { -0.005 };
                let loss = (0.9 + 20.0 * n.powf(-0.3) + 30.0 * (n * ratio).powf(-0.3)) * (1.0 + sign);
                runs.push(Run { parameters: n, tokens: n * ratio, flops: 6.0 * n * n * ratio, loss });
            }
        }
        runs
    }

    #[test]
    fn a_dearer_run_says_more_and_a_cheap_one_more_a_flop() {
        let (runs, target) = (runs(), Target { parameters: 1e7, tokens: 2e8 });
        let (now, worths) = rank(&runs, &target, &candidates(&runs, &target)).unwrap();
        assert_eq!(worths.len(), 12);
        let best = |cost: f64| {
            let of = |worth: &&Worth| (worth.candidate.flops / runs[17].flops / cost - 1.0).abs() < 1e-6;
            worths.iter().filter(of).map(|worth| worth.width).fold(f64::INFINITY, f64::min)
        };
        assert!(best(6.25) < best(1.0) && best(1.0) < now, "{now} {worths:?}");
        let value = |worth: &Worth| worth.narrower / worth.candidate.flops;
        assert!(worths.is_sorted_by(|a, b| value(a) >= value(b)));
    }

    #[test]
    fn the_expected_width_is_about_what_it_turns_out_to_be() {
        let (runs, target) = (runs(), Target { parameters: 1e7, tokens: 2e8 });
        let n = 8e5;
        let candidate = Candidate { parameters: n, tokens: 20.0 * n, flops: 120.0 * n * n };
        let (_, worths) = rank(&runs, &target, &[candidate]).unwrap();
        let loss = 0.9 + 20.0 * n.powf(-0.3) + 30.0 * (20.0 * n).powf(-0.3);
        let run = Run { parameters: n, tokens: 20.0 * n, flops: candidate.flops, loss };
        let all: Vec<Run> = runs.into_iter().chain([run]).collect();
        let after = width(&Foresight::new(&all).unwrap(), &target).unwrap();
        assert!((0.6..1.6).contains(&(worths[0].width / after)), "{} {after}", worths[0].width);
    }

    #[test]
    fn candidates_are_cheaper_than_the_target_and_like_the_runs() {
        let runs = runs();
        let near = Target { parameters: 4e5, tokens: 8e6 };
        let found = candidates(&runs, &near);
        assert!(!found.is_empty() && found.len() < 12, "{found:?}");
        for one in found {
            assert!(one.flops < 6.0 * near.parameters * near.tokens);
            assert!((9.9..40.1).contains(&(one.tokens / one.parameters)), "{one:?}");
            assert!((one.flops / (6.0 * one.parameters * one.tokens) - 1.0).abs() < 1e-9);
        }
    }
}
