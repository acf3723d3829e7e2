//! Weighted sums of normal distributions, and their quantiles.

use serde::{Deserialize, Serialize};

/// A central interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Share of outcomes that it should hold, in percent.
    pub level: u32,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether it holds an outcome.
    pub fn holds(&self, outcome: f64) -> bool {
        (self.low..=self.high).contains(&outcome)
    }
}

/// The intervals that every prediction has, in percent.
pub const LEVELS: [u32; 3] = [80, 90, 95];

/// A weighted sum of normal distributions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mixture {
    /// Weight, mean, deviation.
    parts: Vec<(f64, f64, f64)>,
}

impl Mixture {
    /// Adds a part.
    pub(crate) fn add(&mut self, weight: f64, mean: f64, deviation: f64) {
        self.parts.push((weight, mean, deviation));
    }

    /// Every deviation from the centre, times a factor.
    pub(crate) fn widened(mut self, factor: f64) -> Mixture {
        if factor == 1.0 {
            return self;
        }
        let centre = self.quantile(0.5);
        for (_, mean, deviation) in &mut self.parts {
            *mean = centre + factor * (*mean - centre);
            *deviation *= factor;
        }
        self
    }

    /// The share below `x`.
    pub(crate) fn below(&self, x: f64) -> f64 {
        let total: f64 = self.parts.iter().map(|part| part.0).sum();
        self.parts
            .iter()
            .map(|(weight, mean, deviation)| weight * normal((x - mean) / deviation))
            .sum::<f64>()
            / total
    }

    /// The value below which a share of it lies, by bisection to nine digits.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let ends =
            self.parts.iter().map(|(_, mean, deviation)| (mean - 9.0 * deviation, mean + 9.0 * deviation));
        let (mut low, mut high) =
            ends.fold((f64::INFINITY, f64::NEG_INFINITY), |all, one| (all.0.min(one.0), all.1.max(one.1)));
        while high - low > 1e-10 * high.abs().max(low.abs()) {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            match self.below(middle) < share {
                true => low = middle,
                false => high = middle,
            }
        }
        0.5 * (low + high)
    }

    /// The central intervals of [`LEVELS`].
    pub(crate) fn intervals(&self) -> [Interval; 3] {
        LEVELS.map(|level| {
            let tail = 0.5 * (1.0 - f64::from(level) / 100.0);
            Interval { level, low: self.quantile(tail), high: self.quantile(1.0 - tail) }
        })
    }
}

/// The standard normal distribution function.
pub(crate) fn normal(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_has_the_quantiles_of_tables() {
        let mut mixture = Mixture::default();
        mixture.add(3.0, 10.0, 2.0);
        for (share, z) in [(0.5, 0.0), (0.1, -1.2815515655446004), (0.975, 1.959963984540054)] {
            assert!((mixture.quantile(share) - (10.0 + 2.0 * z)).abs() < 1e-9);
        }
        let [i80, i90, i95] = mixture.intervals();
        assert!(i95.low < i90.low && i90.low < i80.low && i80.holds(10.0) && !i80.holds(13.0));
        let wide = mixture.widened(2.0);
        assert!((wide.quantile(0.1) - (10.0 - 4.0 * 1.2815515655446004)).abs() < 1e-9);
    }

    #[test]
    fn two_equal_parts_are_symmetric() {
        let mut mixture = Mixture::default();
        mixture.add(1.0, -1.0, 1.0);
        mixture.add(1.0, 1.0, 1.0);
        assert!(mixture.quantile(0.5).abs() < 1e-9);
        assert!((mixture.below(0.0) - 0.5).abs() < 1e-12);
    }
}
