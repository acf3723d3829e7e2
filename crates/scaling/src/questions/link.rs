//! From surprise to accuracy: one curve for all buckets. What easy questions show of it on large rungs is
//! where hard ones will be at the target.

use crate::capability::AccuracyLink;
use crate::mixture::{Interval, Mixture};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Points' worth of evidence that rates scatter about the link as independent questions do.
const PRIOR: f64 = 10.0;

/// A share that is foretold: of right answers, or their mean probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The median, in 0 to 1.
    pub rate: f64,
    /// 80, 90 and 95 %.
    pub intervals: [Interval; 3],
}

/// A bucket as a run answered it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Mean of `−ln p` over that of `−ln chance`.
    pub(super) surprise: f64,
    /// Accuracy or mean probability.
    pub(super) rate: f64,
    /// Of guessing.
    pub(super) chance: f64,
    /// How many.
    pub(super) questions: f64,
}

/// The curve, and how far rates scatter about it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    curve: AccuracyLink,
    /// Variance over that of independent questions.
    scatter: f64,
}

impl Link {
    pub(super) fn fit(seen: &[Seen]) -> Result<Link> {
        let points: Vec<(f64, f64)> =
            seen.iter().map(|one| (one.surprise, (one.rate - one.chance) / (1.0 - one.chance))).collect();
        if points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite()) {
            return Err(Error::Value { name: "rate of answers", value: f64::NAN });
        }
        let mut link = Link { curve: AccuracyLink::fit(&points, 0.0)?, scatter: 1.0 };
        let squares: f64 = seen
            .iter()
            .map(|one| {
                (link.at(one.surprise, one.chance) - one.rate).powi(2) / variance(one.rate, one.questions)
            })
            .sum();
        link.scatter = (squares + PRIOR) / (seen.len() as f64 + PRIOR);
        Ok(link)
    }

    fn at(&self, surprise: f64, chance: f64) -> f64 {
        chance + (1.0 - chance) * self.curve.at(surprise)
    }

    /// A rate, where these surprises are equally likely.
    pub(super) fn rate(&self, surprises: &[f64], chance: f64, questions: f64) -> Mixture {
        let mut mixture = Mixture::default();
        for surprise in surprises {
            let mean = self.at(*surprise, chance);
            mixture.add(1.0, mean, (self.scatter * variance(mean, questions)).sqrt());
        }
        mixture
    }
}

/// Of the share of independent questions, drawn towards a half as if one more of each were seen.
fn variance(rate: f64, questions: f64) -> f64 {
    let rate = (rate * questions + 1.0) / (questions + 2.0);
    rate * (1.0 - rate) / questions
}

impl Rate {
    pub(super) fn of(mixture: &Mixture) -> Rate {
        let inside = |x: f64| x.clamp(0.0, 1.0);
        let mut intervals = mixture.intervals();
        for interval in &mut intervals {
            (interval.low, interval.high) = (inside(interval.low), inside(interval.high));
        }
        Rate { rate: inside(mixture.quantile(0.5)), intervals }
    }
}
