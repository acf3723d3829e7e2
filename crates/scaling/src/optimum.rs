//! The best value of a setting from a sweep: a parabola through the losses over the setting's logarithm.

use crate::{Error, Result};

/// A run of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// The setting, above 0.
    pub x: f64,
    /// What it reached; infinite if it diverged.
    pub loss: f64,
}

/// Where a sweep is lowest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// The setting.
    pub x: f64,
    /// Ends of its 90 % interval, from the scatter of the runs about the parabola (delta method).
    pub low: f64,
    /// The upper one.
    pub high: f64,
    /// The loss there.
    pub loss: f64,
    /// Half of the second derivative by the setting's logarithm.
    curvature: f64,
    /// Logarithms of the settings between which the parabola was fitted.
    ends: (f64, f64),
}

/// Settings further than this factor from the best tried one do not enter the fit: a parabola is a local matter.
const NEAR: f64 = 4.5;

/// Student's 95 % points for 1 to 10 degrees of freedom; 1.7 beyond.
const STUDENT: [f64; 10] = [6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81];

/// Mean losses by setting, in its order.
fn means(tried: &[Tried]) -> Vec<(f64, f64)> {
    let mut sorted = tried.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x));
    sorted
        .chunk_by(|a, b| a.x == b.x)
        .map(|same| (same[0].x, same.iter().map(|one| one.loss).sum::<f64>() / same.len() as f64))
        .collect()
}

impl Optimum {
    /// Fits. `None`: the lowest loss is at an end of the sweep, or the losses have no lowest point.
    pub fn fit(tried: &[Tried]) -> Result<Option<Optimum>> {
        if let Some(one) = tried.iter().find(|one| !(one.x > 0.0 && one.x.is_finite())) {
            return Err(Error::Value { name: "a sweep's setting", value: one.x });
        }
        if let Some(one) = tried.iter().find(|one| one.loss.is_nan()) {
            return Err(Error::Value { name: "a sweep's loss", value: one.loss });
        }
        let means = means(tried);
        let Some(best) = (0..means.len()).min_by(|&a, &b| means[a].1.total_cmp(&means[b].1)) else {
            return Ok(None);
        };
        if best == 0 || best + 1 == means.len() {
            return Ok(None);
        }
        let center = means[best].0;
        let near: Vec<(f64, f64)> = tried
            .iter()
            .filter(|one| (one.x / center).max(center / one.x) <= NEAR && one.loss.is_finite())
            .map(|one| ((one.x / center).ln(), one.loss))
            .collect();
        // Normal equations of 1, u, u²; the settings are centred, so they are well conditioned.
        let moment = |k: i32| near.iter().map(|(u, _)| u.powi(k)).sum::<f64>();
        let right = |k: i32| near.iter().map(|(u, y)| u.powi(k) * y).sum::<f64>();
        let normal = [
            [moment(0), moment(1), moment(2)],
            [moment(1), moment(2), moment(3)],
            [moment(2), moment(3), moment(4)],
        ];
        let Some(inverse) = inverse(normal) else { return Ok(None) };
        let y = [right(0), right(1), right(2)];
        let [a, b, c] = [0, 1, 2].map(|i| (0..3).map(|j| inverse[i][j] * y[j]).sum::<f64>());
        if c <= 0.0 {
            return Ok(None);
        }
        let u = -b / (2.0 * c);
        let ends = near.iter().fold((0.0_f64, 0.0_f64), |ends, (u, _)| (ends.0.min(*u), ends.1.max(*u)));
        if !(ends.0..=ends.1).contains(&u) {
            return Ok(None);
        }
        let free = near.len().saturating_sub(3);
        let squares: f64 = near.iter().map(|(u, y)| (y - (a + b * u + c * u * u)).powi(2)).sum();
        let variance = if free > 0 { squares / free as f64 } else { 0.0 };
        let slope = [0.0, -1.0 / (2.0 * c), b / (2.0 * c * c)];
        let spread: f64 = (0..3)
            .flat_map(|i| (0..3).map(move |j| (i, j)))
            .map(|(i, j)| slope[i] * inverse[i][j] * slope[j])
            .sum();
        let student = free.checked_sub(1).map_or(f64::INFINITY, |i| STUDENT.get(i).copied().unwrap_or(1.7));
        // No interval is wider than what was swept.
        let reach = (student * (variance * spread).sqrt()).min(ends.1 - ends.0);
        let at = |u: f64| center * u.exp();
        Ok(Some(Optimum {
            x: at(u),
            low: at(u - reach),
            high: at(u + reach),
            loss: a + b * u + c * u * u,
            curvature: c,
            ends: (ends.0 + center.ln(), ends.1 + center.ln()),
        }))
    }

    /// How much higher the loss is at `x`, relative to the lowest: by the parabola where it was fitted, else by the
    /// line between the runs of the sweep; outside of it, as at its end.
    pub fn lost(&self, tried: &[Tried], x: f64) -> f64 {
        let u = x.ln();
        if (self.ends.0..=self.ends.1).contains(&u) {
            return self.curvature * (u - self.x.ln()).powi(2) / self.loss;
        }
        let means = means(tried);
        let after = means.partition_point(|(other, _)| *other < x);
        let loss = match (after.checked_sub(1).map(|i| means[i]), means.get(after)) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (u - x0.ln()) / (x1 / x0).ln(),
            (Some((_, y)), None) => y,
            (None, Some((_, y))) => *y,
            (None, None) => self.loss,
        };
        loss / self.loss - 1.0
    }
}

/// Inverse of a symmetric matrix by its adjugate.
fn inverse(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let minor = |i: usize, j: usize| {
        let (r, s) = ((i + 1) % 3, (i + 2) % 3);
        let (p, q) = ((j + 1) % 3, (j + 2) % 3);
        m[r][p] * m[s][q] - m[r][q] * m[s][p]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    let size = m[0][0] * m[1][1] * m[2][2];
    (determinant.abs() > 1e-9 * size.abs())
        .then(|| [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(f: impl Fn(f64) -> f64) -> Vec<Tried> {
        (-3..=3).map(|i| 0.01 * 2f64.powi(i)).map(|x| Tried { x, loss: f(x) }).collect()
    }

    #[test]
    fn a_parabola_is_found_again() {
        let tried = sweep(|x| 2.0 + 0.05 * (x / 0.013).ln().powi(2));
        let best = Optimum::fit(&tried).unwrap().unwrap();
        assert!((best.x / 0.013 - 1.0).abs() < 1e-9 && (best.loss - 2.0).abs() < 1e-9, "{best:?}");
        assert!((best.low / best.high - 1.0).abs() < 1e-6);
        for x in [0.005, 0.013, 0.03] {
            let expected = 0.05 * (x / 0.013_f64).ln().powi(2) / 2.0;
            assert!((best.lost(&tried, x) - expected).abs() < 1e-9);
        }
        // Far away, the runs themselves; beyond them, the last.
        assert!((best.lost(&tried, 0.08) - 0.025 * (0.08 / 0.013_f64).ln().powi(2)).abs() < 1e-9);
        assert_eq!(best.lost(&tried, 8.0), best.lost(&tried, 0.08));
    }

    #[test]
    fn the_interval_grows_with_the_scatter_and_holds_the_truth() {
        let noisy = |size: f64| {
            let mut tried = Vec::new();
            for (i, sign) in [1.0, -1.0, 0.3].into_iter().enumerate() {
                tried.extend(sweep(|x| {
                    let wave = (x.ln() * (7.0 + i as f64)).sin();
                    2.0 + 0.05 * (x / 0.013).ln().powi(2) + size * sign * wave
                }));
            }
            Optimum::fit(&tried).unwrap().unwrap()
        };
        let (calm, wild) = (noisy(1e-3), noisy(1e-2));
        assert!(wild.high / wild.low > calm.high / calm.low);
        assert!((wild.low..=wild.high).contains(&0.013), "{wild:?}");
    }

    #[test]
    fn what_has_no_lowest_point_has_none() {
        assert_eq!(Optimum::fit(&sweep(|x| x)).unwrap(), None);
        assert_eq!(Optimum::fit(&sweep(|x| 1.0 / x)).unwrap(), None);
        assert_eq!(Optimum::fit(&[]).unwrap(), None);
        let diverged = sweep(|x| if x > 0.02 { f64::INFINITY } else { 2.0 - x });
        assert!(Optimum::fit(&diverged).unwrap().is_none_or(|best| best.loss.is_finite()));
        assert!(Optimum::fit(&[Tried { x: -1.0, loss: 1.0 }]).is_err());
    }
}
