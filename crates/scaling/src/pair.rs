//! Weighted least squares with two columns and no negative coefficient, in closed form: a prediction solves
//! tens of thousands of them ([`crate::grid`]).

/// `XᵀX`, `Xᵀy` and `yᵀy` of weighted rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// Of the first column with itself, of both, of the second with itself.
    pub(crate) gram: [f64; 3],
    /// Of each column with `y`.
    pub(crate) moment: [f64; 2],
    /// Of `y` with itself.
    pub(crate) square: f64,
}

/// The best non-negative coefficients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fitted {
    coefficients: [f64; 2],
    /// Weighted sum of squared residuals.
    pub(crate) residual: f64,
    /// Inverse of the Gram matrix of the columns that are used, as in [`Pair::gram`]; zero elsewhere.
    inverse: [f64; 3],
}

/// Added to the diagonal, as a share of the largest entry: columns that are one and the same (a single size,
/// say) share their coefficient instead of fighting over it.
const RIDGE: f64 = 1e-14;

impl Pair {
    /// Minimises over both columns, or over one where the other would be negative.
    pub(crate) fn solve(&self) -> Fitted {
        let [a, b, c] = self.gram;
        let ridge = RIDGE * a.max(c);
        let determinant = (a + ridge) * (c + ridge) - b * b;
        let both = [(c + ridge) / determinant, -b / determinant, (a + ridge) / determinant];
        if let Some(fitted) = self.with(both) {
            return fitted;
        }
        let nothing = Fitted { coefficients: [0.0; 2], residual: self.square, inverse: [0.0; 3] };
        [[1.0 / (a + ridge), 0.0, 0.0], [0.0, 0.0, 1.0 / (c + ridge)]]
            .into_iter()
            .filter_map(|inverse| self.with(inverse))
            .fold(nothing, |best, new| if new.residual < best.residual { new } else { best })
    }

    /// The optimum that goes with an inverse, if it is non-negative.
    fn with(&self, inverse: [f64; 3]) -> Option<Fitted> {
        let [x, y] = self.moment;
        let coefficients = [inverse[0] * x + inverse[1] * y, inverse[1] * x + inverse[2] * y];
        if !coefficients.iter().all(|one| *one >= 0.0 && one.is_finite()) {
            return None;
        }
        let residual = (self.square - coefficients[0] * x - coefficients[1] * y).max(0.0);
        Some(Fitted { coefficients, residual, inverse })
    }
}

/// Logarithm of a Gram matrix's determinant. Columns that are nearly one and the same count as told apart by a
/// millionth.
pub(crate) fn log_determinant([a, b, c]: [f64; 3]) -> f64 {
    let little = 1e-6 * a.max(c);
    ((a + little) * (c + little) - b * b).max(f64::MIN_POSITIVE).ln()
}

impl Fitted {
    /// The fitted value at a row.
    pub(crate) fn at(&self, row: [f64; 2]) -> f64 {
        self.coefficients[0] * row[0] + self.coefficients[1] * row[1]
    }

    /// Variance of the fitted value for residuals of variance one.
    pub(crate) fn variance(&self, row: [f64; 2]) -> f64 {
        let [a, b, c] = self.inverse;
        (a * row[0] * row[0] + 2.0 * b * row[0] * row[1] + c * row[1] * row[1]).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(rows: &[([f64; 2], f64)]) -> Pair {
        let mut pair = Pair { gram: [0.0; 3], moment: [0.0; 2], square: 0.0 };
        for ([a, b], y) in rows {
            pair.gram = [pair.gram[0] + a * a, pair.gram[1] + a * b, pair.gram[2] + b * b];
            pair.moment = [pair.moment[0] + a * y, pair.moment[1] + b * y];
            pair.square += y * y;
        }
        pair
    }

    #[test]
    fn exact_rows_give_their_coefficients() {
        let rows: Vec<_> = [0.5, 1.0, 2.0, 3.0].map(|x: f64| ([1.0, x], 2.0 + 3.0 * x)).into();
        let fitted = pair(&rows).solve();
        for (got, want) in fitted.coefficients.iter().zip([2.0, 3.0]) {
            assert!((got - want).abs() < 1e-6, "{fitted:?}");
        }
        assert!(fitted.residual < 1e-9 && (fitted.at([1.0, 4.0]) - 14.0).abs() < 1e-7);
    }

    #[test]
    fn what_would_be_negative_is_left_out() {
        let rows: Vec<_> = [1.0, 2.0, 3.0].map(|x: f64| ([1.0, x], 5.0 - x)).into();
        let fitted = pair(&rows).solve();
        assert_eq!(fitted.coefficients[1], 0.0);
        assert!((fitted.coefficients[0] - 3.0).abs() < 1e-9, "{fitted:?}");
    }

    #[test]
    fn the_determinant_of_orthogonal_columns_is_their_product() {
        let found = log_determinant(pair(&[([2.0, 0.0], 1.0), ([0.0, 3.0], 1.0)]).gram);
        assert!((found - 36f64.ln()).abs() < 1e-4, "{found}");
    }

    #[test]
    fn the_variance_of_a_mean_is_one_over_n() {
        let rows: Vec<_> = [1.0, 2.0, 3.0, 4.0].map(|y: f64| ([1.0, 0.0], y)).into();
        assert!((pair(&rows).solve().variance([1.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
