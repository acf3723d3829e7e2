//! The whole answer in one call: the averaged prediction, widened by what back-tests say, beside what each
//! law alone says; or a refusal with its reasons.

use crate::backtest::{BackTest, backtest, distrust, widening};
use crate::law::{ComputeLaw, CoupledLaw, JointLaw, Law};
use crate::{Foresight, Noise, Prediction, Result, Run, Target, support};
use serde::Serialize;

/// Everything that finished runs say of one to come.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// The average over laws, in the unit of the runs; its intervals are widened already.
    pub prediction: Prediction,
    /// Compute of the target, counted as the runs count it.
    pub flops: f64,
    /// How many times dearer it is than the dearest run.
    pub reach: f64,
    /// What single laws say; those with too few runs say nothing.
    pub opinions: Vec<Opinion>,
    /// Runs that were hidden, and how far off they were foretold.
    pub backtests: Vec<BackTest>,
    /// How many times as wide the intervals are as without back-tests.
    pub widening: f64,
    /// The relative deviation that failing back-tests ask for at least ([`distrust`]); nought as a rule.
    pub distrust: f64,
    /// How much equal runs differ, if some are equal.
    pub noise: Option<Noise>,
}

/// What a law alone says.
#[derive(Clone, Debug, Serialize)]
pub struct Opinion {
    /// Its name.
    pub law: &'static str,
    /// How it is written.
    pub formula: &'static str,
    /// Names, values and deviations.
    pub constants: Vec<(&'static str, f64, f64)>,
    /// Of the target.
    pub loss: f64,
}

/// Runs of one family with their back-tests: what foretells any number of targets.
#[derive(Clone, Debug)]
pub struct Family {
    foresight: Foresight,
    backtests: Vec<BackTest>,
    widening: f64,
}

/// Foretells a run from finished ones of its family, or refuses with every reason.
pub fn foretell(runs: &[Run], target: &Target) -> Result<Forecast> {
    Family::new(runs)?.forecast(target)
}

impl Family {
    /// Back-tests the runs. Five different ones at least; whether they carry an extrapolation is asked of each target.
    pub fn new(runs: &[Run]) -> Result<Family> {
        let foresight = Foresight::new(runs)?;
        let backtests = backtest(runs);
        let widening = widening(&backtests);
        Ok(Family { foresight: foresight.widened(widening), backtests, widening })
    }

    /// The runs, from the cheapest to the dearest.
    pub fn runs(&self) -> &[Run] {
        self.foresight.runs()
    }

    /// Hidden runs and how they were foretold.
    pub fn backtests(&self) -> &[BackTest] {
        &self.backtests
    }

    /// The size that reaches the lowest foretold loss with so much compute: [`Foresight::best`].
    pub fn best(&self, flops: f64) -> Result<Target> {
        self.foresight.best(flops)
    }

    /// The prediction alone, whether the runs can carry it or not.
    pub fn predict(&self, target: &Target) -> Result<Prediction> {
        let reach = support::reach(self.runs(), target);
        Ok(self.widened(target, distrust(&self.backtests, reach))?.0)
    }

    /// The prediction with at least such a deviation, and how many times as wide as without back-tests it is.
    fn widened(&self, target: &Target, distrust: f64) -> Result<(Prediction, f64)> {
        let prediction = self.foresight.predict(target)?;
        let short = distrust / prediction.deviation();
        match short > 1.0 {
            true => Ok((prediction.widened(short), self.widening * short)),
            false => Ok((prediction, self.widening)),
        }
    }

    /// The prediction with all that stands behind it, or a refusal with every reason ([`support::check`]).
    pub fn forecast(&self, target: &Target) -> Result<Forecast> {
        support::check(self.runs(), target)?;
        let reach = support::reach(self.runs(), target);
        let distrust = distrust(&self.backtests, reach);
        let (prediction, widening) = self.widened(target, distrust)?;
        Ok(Forecast {
            prediction,
            flops: support::flops(self.runs(), target),
            reach,
            opinions: opinions(self.runs(), target),
            backtests: self.backtests.clone(),
            widening,
            distrust,
            noise: Noise::measure(self.runs()),
        })
    }
}

/// What each law alone says of a target.
pub fn opinions(runs: &[Run], target: &Target) -> Vec<Opinion> {
    let flops = support::flops(runs, target);
    let all = [
        opinion::<JointLaw>(runs, target, flops),
        opinion::<CoupledLaw>(runs, target, flops),
        opinion::<ComputeLaw>(runs, target, flops),
    ];
    all.into_iter().flatten().collect()
}

/// A law with too few runs has none.
fn opinion<L: Law>(runs: &[Run], target: &Target, flops: f64) -> Option<Opinion> {
    let law = L::fit(runs).ok()?;
    let deviations = L::deviations(runs);
    let constants = L::CONSTANTS.iter().zip(law.constants()).zip(deviations);
    Some(Opinion {
        law: L::NAME,
        formula: L::FORMULA,
        constants: constants.map(|((name, value), deviation)| (*name, value, deviation)).collect(),
        loss: law.loss(target.parameters, target.tokens, flops),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn runs(sizes: i32) -> Vec<Run> {
        let mut runs = Vec::new();
        for size in 0..sizes {
            for ratio in [10.0, 20.0, 40.0] {
                let n = 1e5 * 2f64.powi(size);
                let (d, loss) = (n * ratio, 1.0 + 30.0 * n.powf(-0.3) + 60.0 * (n * ratio).powf(-0.3));
                runs.push(Run { parameters: n, tokens: d, flops: 6.0 * n * d, loss });
            }
        }
        runs
    }

    #[test]
    fn one_call_says_what_its_parts_say() {
        let runs = runs(8);
        let target = Target { parameters: 2e8, tokens: 4e9 };
        let all = foretell(&runs, &target).unwrap();
        let tests = backtest(&runs);
        let parts = Foresight::new(&runs).unwrap().widened(widening(&tests)).predict(&target).unwrap();
        assert_eq!((&all.prediction, &all.backtests), (&parts, &tests));
        assert_eq!(
            all.opinions.iter().map(|one| one.law).collect::<Vec<_>>(),
            ["joint", "coupled", "compute"]
        );
        assert_eq!(all.noise, None);
        assert!((all.flops / 4.8e18 - 1.0).abs() < 1e-9 && all.reach > 100.0, "{} {}", all.flops, all.reach);
    }

    #[test]
    fn where_back_tests_fail_intervals_are_as_wide_as_they_say() {
        let target = Target { parameters: 2e8, tokens: 4e9 };
        let plain = Family::new(&runs(8)).unwrap();
        let failing = |error: f64| {
            let backtests: Vec<_> =
                plain.backtests().iter().map(|test| BackTest { error, ..*test }).collect();
            Family { backtests, ..plain.clone() }.forecast(&target).unwrap()
        };
        assert_eq!(failing(0.05).prediction, plain.predict(&target).unwrap());
        let forecast = failing(0.5);
        assert!((forecast.prediction.deviation() / forecast.distrust - 1.0).abs() < 1e-6);
        assert!((forecast.prediction.loss / plain.predict(&target).unwrap().loss - 1.0).abs() < 1e-9);
        assert!(forecast.distrust > 0.2 && forecast.widening > 5.0 * plain.widening);
    }

    #[test]
    fn what_the_runs_cannot_carry_is_refused() {
        let target = Target { parameters: 2e8, tokens: 4e9 };
        assert!(matches!(foretell(&runs(1), &target), Err(Error::Few { .. })));
        assert!(matches!(foretell(&runs(2), &target), Err(Error::Refused(_))));
        // The prediction alone can still be had, for those who know what they do.
        Family::new(&runs(2)).unwrap().predict(&target).unwrap();
    }
}
