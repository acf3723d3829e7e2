//! Shares of questions answered, instead of losses: the capability law of the GPT-4 report, its buckets
//! and exclusions, and the link from a loss to an accuracy.

use crate::minimise::simplex;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// `−E[ln pass rate] = α·C^(−k)`, the expectation over a set of questions (SCL-5). No irreducible
/// term: with enough compute every question is solved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapabilityLaw {
    /// Value at one unit of compute.
    pub alpha: f64,
    /// Exponent, positive where capability grows.
    pub k: f64,
}

impl CapabilityLaw {
    /// Fits points of compute and `−E[ln pass rate]` by a line through their logarithms.
    pub fn fit(points: &[(f64, f64)]) -> Result<CapabilityLaw> {
        for &(flops, value) in points {
            for (name, value) in [("FLOP", flops), ("−E[ln pass rate]", value)] {
                if !(value.is_finite() && value > 0.0) {
                    return Err(Error::Value { name, value });
                }
            }
        }
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x0, y0) = (mean(|p| p.0.ln()), mean(|p| p.1.ln()));
        let (mut xx, mut xy) = (0.0, 0.0);
        for (flops, value) in points {
            xx += (flops.ln() - x0).powi(2);
            xy += (flops.ln() - x0) * (value.ln() - y0);
        }
        if points.len() < 2 || xx == 0.0 {
            return Err(Error::Few { law: "the capability law", constants: 2, runs: points.len().min(1) });
        }
        let k = -xy / xx;
        Ok(CapabilityLaw { alpha: (y0 + k * x0).exp(), k })
    }

    /// `−E[ln pass rate]` at a compute.
    pub fn at(&self, flops: f64) -> f64 {
        self.alpha * flops.powf(-self.k)
    }

    /// The geometric mean of pass rates at a compute.
    pub fn pass_rate(&self, flops: f64) -> f64 {
        (-self.at(flops)).exp()
    }
}

/// Pass rates of several models on the same questions.
#[derive(Clone, Debug)]
pub struct PassRates {
    /// Compute of each model.
    pub flops: Vec<f64>,
    /// For each model a rate a question, in 0 to 1.
    pub rates: Vec<Vec<f64>>,
}

/// Questions of like difficulty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Numbers of its questions.
    pub questions: Vec<usize>,
    /// Questions left out because some model never solved them (SCL-6), each with that model.
    pub excluded: Vec<(usize, usize)>,
}

impl PassRates {
    /// Refuses rows of unequal length and rates that are none.
    pub fn check(&self) -> Result<()> {
        let questions = self.rates.first().map_or(0, Vec::len);
        for rates in &self.rates {
            if rates.len() != questions || self.rates.len() != self.flops.len() {
                return Err(Error::Few {
                    law: "a table of pass rates",
                    constants: questions,
                    runs: rates.len(),
                });
            }
            if let Some(&value) = rates.iter().find(|rate| !(0.0..=1.0).contains(*rate)) {
                return Err(Error::Value { name: "pass rate", value });
            }
        }
        Ok(())
    }

    /// Buckets from hard to easy by the mean rate of these (the smaller) models, without the `hardest`
    /// questions (SCL-7); sizes differ by at most one before questions that some model never solved
    /// are taken out and named.
    pub fn buckets(&self, count: usize, hardest: usize) -> Result<Vec<Bucket>> {
        self.check()?;
        let questions = self.rates.first().map_or(0, Vec::len);
        let mean = |q: usize| self.rates.iter().map(|rates| rates[q]).sum::<f64>();
        let mut order: Vec<usize> = (0..questions).collect();
        // Equal questions keep their order, so the assignment is the same every time.
        order.sort_by(|a, b| mean(*a).total_cmp(&mean(*b)));
        let left = &order[hardest.min(questions)..];
        if count == 0 || left.len() < count {
            return Err(Error::Few { law: "buckets of questions", constants: count, runs: left.len() });
        }
        let (size, larger) = (left.len() / count, left.len() % count);
        let mut begin = 0;
        let buckets = (0..count).map(|bucket| {
            let end = begin + size + usize::from(bucket < larger);
            let all = &left[begin..end];
            begin = end;
            let unsolved = |q: usize| self.rates.iter().position(|rates| rates[q] == 0.0);
            Bucket {
                questions: all.iter().copied().filter(|q| unsolved(*q).is_none()).collect(),
                excluded: all.iter().filter_map(|q| Some((*q, unsolved(*q)?))).collect(),
            }
        });
        Ok(buckets.collect())
    }

    /// Points of compute and `−E[ln pass rate]` over a bucket's questions.
    pub fn points(&self, bucket: &Bucket) -> Vec<(f64, f64)> {
        let count = bucket.questions.len() as f64;
        let value = |rates: &Vec<f64>| -bucket.questions.iter().map(|q| rates[*q].ln()).sum::<f64>() / count;
        self.flops.iter().copied().zip(self.rates.iter().map(value)).collect()
    }
}

/// Accuracy against loss: `chance + (top − chance) / (1 + exp((loss − middle) / width))`, the second step of
/// Bhagia et al., arXiv:2412.04403. Chance is known, not fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccuracyLink {
    /// Accuracy of guessing.
    pub chance: f64,
    /// Accuracy that is approached as the loss falls.
    pub top: f64,
    /// Loss at which half of the way is gone.
    pub middle: f64,
    /// Loss over which it is gone.
    pub width: f64,
}

impl AccuracyLink {
    /// Fits points of loss and accuracy by least squares.
    pub fn fit(points: &[(f64, f64)], chance: f64) -> Result<AccuracyLink> {
        if points.len() < 3 {
            return Err(Error::Few { law: "the accuracy link", constants: 3, runs: points.len() });
        }
        let losses = points.iter().map(|point| point.0);
        let (low, high) =
            (losses.clone().fold(f64::INFINITY, f64::min), losses.fold(f64::NEG_INFINITY, f64::max));
        let range = (high - low).max(1e-6);
        let open = |x: &[f64; 3]| AccuracyLink {
            chance,
            top: chance + (1.0 - chance) / (1.0 + (-x[2]).exp()),
            middle: x[0],
            width: x[1].exp(),
        };
        let sum = |x: &[f64; 3]| {
            let link = open(x);
            // A width far beyond the losses seen is a line, and tells nothing of where it bends.
            let prior = 1e-4 * ((x[1] - range.ln()) / 2.0).powi(2) + 1e-5 * x[2] * x[2];
            points.iter().map(|(loss, accuracy)| (link.at(*loss) - accuracy).powi(2)).sum::<f64>()
                / points.len() as f64
                + prior
        };
        let (x, _) = [0.1, 0.5, 0.9, -0.5]
            .iter()
            .flat_map(|place| [0.1f64, 0.4].map(|width| [low + place * range, (width * range).ln(), 2.0]))
            .map(|start| simplex(start, [0.3 * range, 0.5, 1.0], 600, sum))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or(([low, range.ln(), 2.0], 0.0));
        Ok(open(&x))
    }

    /// Accuracy at a loss.
    pub fn at(&self, loss: f64) -> f64 {
        self.chance + (self.top - self.chance) / (1.0 + ((loss - self.middle) / self.width).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_the_report() {
        let law = CapabilityLaw { alpha: 0.3, k: 0.2 };
        let points: Vec<_> = [1e-6, 1e-5, 1e-4, 1e-3].map(|c| (c, law.at(c))).into();
        for ((_, got), want) in points.iter().zip([4.75468, 3.0, 1.892872, 1.194322]) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
        let fit = CapabilityLaw::fit(&points).unwrap();
        assert!((fit.at(1.0) - 0.3).abs() < 1e-9 && (fit.pass_rate(1.0) - 0.741).abs() < 1e-3);
        assert!(CapabilityLaw::fit(&points[..1]).is_err());
        assert!(CapabilityLaw::fit(&[(1.0, 0.0), (2.0, 1.0)]).is_err());
    }

    #[test]
    fn buckets_go_by_difficulty_and_the_unsolved_are_named() {
        // Question q is solved at a rate of (q + 1) / 164 by the first model, twice that by the second.
        let rates =
            |scale: f64| (0..164).map(|q| (scale * (q + 1) as f64 / 164.0).min(1.0)).collect::<Vec<_>>();
        let mut table = PassRates { flops: vec![1.0, 2.0], rates: vec![rates(0.5), rates(1.0)] };
        table.rates[0][40] = 0.0;
        let buckets = table.buckets(6, 15).unwrap();
        let sizes: Vec<_> = buckets.iter().map(|b| b.questions.len() + b.excluded.len()).collect();
        assert_eq!(sizes, [25, 25, 25, 25, 25, 24]);
        let mut all: Vec<usize> = buckets
            .iter()
            .flat_map(|b| b.questions.iter().copied().chain(b.excluded.iter().map(|e| e.0)))
            .collect();
        all.sort_unstable();
        assert_eq!(all.len(), 149);
        assert!(!all.contains(&0) && all.contains(&163));
        assert_eq!(buckets.iter().flat_map(|b| b.excluded.clone()).collect::<Vec<_>>(), [(40, 0)]);
        // Twice the rate is ln 2 less, where no rate is cut at one.
        let points = table.points(&buckets[0]);
        assert!((points[0].1 - points[1].1 - 2f64.ln()).abs() < 1e-12);
        assert!(table.buckets(200, 0).is_err());
        table.rates[1][3] = 1.5;
        assert!(table.buckets(6, 15).is_err());
    }

    #[test]
    fn a_link_is_found_again() {
        let link = AccuracyLink { chance: 0.25, top: 0.97, middle: 1.4, width: 0.15 };
        let points: Vec<_> =
            (0..12).map(|i| 0.9 + 0.1 * f64::from(i)).map(|loss| (loss, link.at(loss))).collect();
        let fit = AccuracyLink::fit(&points, 0.25).unwrap();
        for loss in [0.8, 1.2, 1.5, 2.5] {
            assert!((fit.at(loss) - link.at(loss)).abs() < 0.02, "{fit:?}");
        }
        assert!(AccuracyLink::fit(&points[..2], 0.25).is_err());
    }
}
