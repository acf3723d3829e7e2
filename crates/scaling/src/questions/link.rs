//! From the probability of right answers to how many of them are the likeliest: one curve for all cells. What easy
//! questions show of it on large rungs is where hard ones will be at the target.

use crate::mixture::{Interval, Mixture};
use serde::{Deserialize, Serialize};

/// Points' worth of evidence for a curve's exponent, and that rates scatter about it as independent questions do.
const PRIOR: f64 = 10.0;

/// The exponent before any answer is seen: a model that gives every choice what it should is as often right as it thinks
/// where it is sure, and more often where it is not.
const EXPONENT: f64 = 1.3;

/// Exponents that are tried.
const EXPONENTS: std::ops::Range<i32> = 0..61;

/// A share that is foretold: of right answers, or their mean probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The median, in 0 to 1.
    pub rate: f64,
    /// 80, 90 and 95 %.
    pub intervals: [Interval; 3],
}

/// A cell as a run answered it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Share of the way from chance to certainty, of the mean probability.
    pub(super) way: f64,
    /// Accuracy.
    pub(super) accuracy: f64,
    /// Of guessing.
    pub(super) chance: f64,
    /// How many.
    pub(super) questions: f64,
}

/// Accuracy has gone `1 − (1 − way)^γ` of its own way from chance to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// γ.
    exponent: f64,
    /// Variance about the curve over that of independent questions.
    scatter: f64,
}

impl Link {
    /// The γ that fits best.
    pub(super) fn fit(pairs: &[Pair]) -> Link {
        let squares = |exponent: f64| -> f64 {
            let off = |pair: &Pair| (at(exponent, pair.way, pair.chance) - pair.accuracy).powi(2);
            pairs.iter().map(|pair| off(pair) / variance(pair.accuracy, pair.questions)).sum()
        };
        let with_prior =
            |exponent: f64| squares(exponent) + PRIOR * ((exponent / EXPONENT).ln() / 0.3).powi(2);
        let exponent = EXPONENTS
            .map(|step| 0.8 * 1.02f64.powi(step))
            .min_by(|a, b| with_prior(*a).total_cmp(&with_prior(*b)))
            .unwrap_or(EXPONENT);
        Link { exponent, scatter: (squares(exponent) + PRIOR) / (pairs.len() as f64 + PRIOR) }
    }

    /// Accuracy where the mean probability has gone so much of its way.
    pub(super) fn at(&self, way: f64, chance: f64) -> f64 {
        at(self.exponent, way, chance)
    }

    /// The accuracy of so many questions, where these are equally likely to be expected of them.
    pub(super) fn sampled(&self, means: &[f64], questions: f64) -> Mixture {
        let mut mixture = Mixture::default();
        means
            .iter()
            .for_each(|mean| mixture.add(1.0, *mean, (self.scatter * variance(*mean, questions)).sqrt()));
        mixture
    }
}

fn at(exponent: f64, way: f64, chance: f64) -> f64 {
    chance + (1.0 - chance) * (1.0 - (1.0 - way.clamp(0.0, 1.0)).powf(exponent))
}

/// Of the share of independent questions, drawn towards a half as if two more were seen.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_again_and_its_scatter_is_that_of_the_questions() {
        let pairs: Vec<Pair> = (0..200)
            .map(|i| {
                let way = f64::from(i % 20) / 20.0;
                let mean = at(1.5, way, 0.25);
                let sign = if (i / 20) % 2 == 0 { 1.0 } else { -1.0 };
                let accuracy = mean + sign * variance(mean, 100.0).sqrt();
                Pair { way, accuracy, chance: 0.25, questions: 100.0 }
            })
            .collect();
        let link = Link::fit(&pairs);
        assert!((link.exponent / 1.5 - 1.0).abs() < 0.05, "{link:?}");
        assert!((0.8..1.3).contains(&link.scatter), "{link:?}");
        let rate = Rate::of(&link.sampled(&[link.at(0.5, 0.25), 1.0, 0.0], 50.0));
        assert!(rate.intervals.iter().all(|one| one.low >= 0.0 && one.high <= 1.0), "{rate:?}");
    }
}
