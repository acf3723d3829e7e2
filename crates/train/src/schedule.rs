//! Learning rate by step.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What follows the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The peak, to the end.
    Constant,
    /// A straight line to the final rate (Bergsma et al., arXiv:2502.15938).
    Linear,
    /// Half a cosine (Loshchilov and Hutter, arXiv:1608.03983).
    Cosine,
    /// The peak, then a decay as `1 − √x` over the last steps (Hägele et al., arXiv:2405.18392).
    Wsd,
}

/// Warm-up and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What follows the warm-up.
    pub kind: Kind,
    /// Highest rate.
    pub peak: f64,
    /// Steps over which the rate rises in a straight line.
    pub warmup_steps: u64,
    /// Last steps, over which [`Kind::Wsd`] decays; the others do not use it.
    #[serde(default)]
    pub decay_steps: u64,
    /// Rate after the last step, as a share of the peak.
    #[serde(default)]
    pub last: f64,
}

impl Schedule {
    /// The rate of a step, counted from 1, in a run of `steps`.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        if step <= self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        let decay = match self.kind {
            Kind::Wsd => self.decay_steps,
            _ => steps.saturating_sub(self.warmup_steps),
        };
        let begin = steps.saturating_sub(decay);
        // The last step has a rate above the last one: the line ends one step behind it.
        let x = if decay == 0 { 0.0 } else { (step - 1).saturating_sub(begin) as f64 / decay as f64 };
        let share = match self.kind {
            Kind::Constant => 1.0,
            Kind::Linear => 1.0 - x,
            Kind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * x).cos()),
            Kind::Wsd => 1.0 - x.sqrt(),
        };
        self.peak * (self.last + (1.0 - self.last) * share)
    }

    pub(crate) fn check(&self, steps: u64) -> Result<()> {
        let rate = |name: &str, value: f64, most: f64| match value >= 0.0 && value <= most {
            true => Ok(()),
            false => Err(Error::setting(name, value, format!("it must lie between 0 and {most}"))),
        };
        rate("schedule.peak", self.peak, 10.0)?;
        rate("schedule.last", self.last, 1.0)?;
        for (name, value) in [("warmup_steps", self.warmup_steps), ("decay_steps", self.decay_steps)] {
            if value > steps {
                let reason = format!("the run has {steps} steps");
                return Err(Error::setting(&format!("schedule.{name}"), value, reason));
            }
        }
        match self.kind == Kind::Wsd && self.warmup_steps + self.decay_steps > steps {
            true => {
                Err(Error::setting("schedule.decay_steps", self.decay_steps, "warm-up and decay overlap"))
            }
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: Kind) -> Schedule {
        Schedule { kind, peak: 2.0, warmup_steps: 10, decay_steps: 20, last: 0.1 }
    }

    #[test]
    fn every_kind_warms_up_and_ends_where_it_says() {
        for kind in [Kind::Constant, Kind::Linear, Kind::Cosine, Kind::Wsd] {
            let schedule = schedule(kind);
            assert_eq!(schedule.rate(1, 110), 0.2);
            assert_eq!(schedule.rate(10, 110), 2.0);
            assert_eq!(schedule.rate(11, 110), 2.0);
            let end = if kind == Kind::Constant { 2.0 } else { 0.2 };
            assert!((schedule.rate(111, 110) - end).abs() < 1e-12, "{kind:?}");
            let rates: Vec<f64> = (10..=110).map(|s| schedule.rate(s, 110)).collect();
            assert!(rates.is_sorted_by(|a, b| a >= b), "{kind:?}");
        }
    }

    #[test]
    fn middles_are_the_closed_forms() {
        let middle = |kind, step| schedule(kind).rate(step, 110);
        assert!((middle(Kind::Linear, 61) - 1.1).abs() < 1e-12);
        assert!((middle(Kind::Cosine, 61) - 1.1).abs() < 1e-12);
        assert_eq!(middle(Kind::Wsd, 91), 2.0);
        assert!((middle(Kind::Wsd, 96) - 2.0 * (0.1 + 0.9 * 0.5)).abs() < 1e-12);
    }

    #[test]
    fn a_run_of_one_step_trains() {
        let schedule = Schedule { kind: Kind::Linear, peak: 1.0, warmup_steps: 0, decay_steps: 0, last: 0.0 };
        assert_eq!(schedule.rate(1, 1), 1.0);
        assert!(schedule.check(1).is_ok());
        assert!(Schedule { warmup_steps: 2, ..schedule }.check(1).is_err());
        assert!(Schedule { peak: f64::NAN, ..schedule }.check(1).is_err());
    }
}
