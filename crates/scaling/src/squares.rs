//! Weighted least squares with at most three columns and no negative coefficient.
//!
//! With so few columns the constrained optimum is found by trying each set of columns that may be non-zero:
//! no iteration, no tolerance, no start.

/// Columns at most.
pub(crate) const COLUMNS: usize = 3;

/// `XᵀX`, `Xᵀy` and `yᵀy` of weighted rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Normal {
    gram: [[f64; COLUMNS]; COLUMNS],
    moment: [f64; COLUMNS],
    square: f64,
}

/// The best non-negative coefficients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Solution {
    pub(crate) coefficients: [f64; COLUMNS],
    /// Weighted sum of squared residuals.
    pub(crate) residual: f64,
    /// Inverse of the Gram matrix of the columns that are used; zero elsewhere.
    inverse: [[f64; COLUMNS]; COLUMNS],
}

/// Added to the diagonal, as a share of the largest entry: columns that are one and the same (a single size,
/// say) share their coefficient instead of fighting over it.
const RIDGE: f64 = 1e-14;

impl Normal {
    /// Adds a row with its weight.
    pub(crate) fn add(&mut self, row: [f64; COLUMNS], y: f64, weight: f64) {
        for i in 0..COLUMNS {
            for j in 0..COLUMNS {
                self.gram[i][j] += weight * row[i] * row[j];
            }
            self.moment[i] += weight * row[i] * y;
        }
        self.square += weight * y * y;
    }

    /// Minimises over the given sets of columns, each a mask of bits.
    pub(crate) fn solve(&self, sets: &[u8]) -> Solution {
        let nothing = Solution {
            coefficients: [0.0; COLUMNS],
            residual: self.square,
            inverse: [[0.0; COLUMNS]; COLUMNS],
        };
        sets.iter()
            .filter_map(|&set| self.with(set))
            .fold(nothing, |best, new| if new.residual < best.residual { new } else { best })
    }

    /// Logarithm of the Gram matrix's determinant for coefficients in a unit of theirs. Columns that are
    /// nearly one and the same count as told apart by a millionth.
    pub(crate) fn log_determinant(&self, unit: f64) -> f64 {
        let largest = (0..COLUMNS).map(|i| self.gram[i][i]).fold(0.0, f64::max);
        let [[a, b, c], [_, d, e], [_, _, f]] = self.gram;
        let [a, d, f] = [a, d, f].map(|entry| entry + 1e-6 * largest);
        let determinant = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d);
        determinant.max(f64::MIN_POSITIVE).ln() + 2.0 * COLUMNS as f64 * unit.ln()
    }

    /// The unconstrained optimum on some columns, if it is non-negative.
    fn with(&self, set: u8) -> Option<Solution> {
        let columns: Vec<usize> = (0..COLUMNS).filter(|i| set >> i & 1 == 1).collect();
        let n = columns.len();
        // Gauss-Jordan on [G | I]; the matrix is symmetric and positive, so the diagonal serves as pivot.
        let mut left = [[0.0; COLUMNS]; COLUMNS];
        let mut right = [[0.0; COLUMNS]; COLUMNS];
        let largest = columns.iter().map(|&i| self.gram[i][i]).fold(0.0, f64::max);
        for (a, &i) in columns.iter().enumerate() {
            for (b, &j) in columns.iter().enumerate() {
                left[a][b] = self.gram[i][j];
            }
            left[a][a] += RIDGE * largest;
            right[a][a] = 1.0;
        }
        for pivot in 0..n {
            let by = left[pivot][pivot];
            if !(by > 0.0 && by.is_finite()) {
                return None;
            }
            for column in 0..n {
                left[pivot][column] /= by;
                right[pivot][column] /= by;
            }
            for row in (0..n).filter(|row| *row != pivot) {
                let factor = left[row][pivot];
                for column in 0..n {
                    left[row][column] -= factor * left[pivot][column];
                    right[row][column] -= factor * right[pivot][column];
                }
            }
        }
        let mut solution = Solution {
            coefficients: [0.0; COLUMNS],
            residual: self.square,
            inverse: [[0.0; COLUMNS]; COLUMNS],
        };
        for (a, &i) in columns.iter().enumerate() {
            for (b, &j) in columns.iter().enumerate() {
                solution.inverse[i][j] = right[a][b];
                solution.coefficients[i] += right[a][b] * self.moment[j];
            }
            if solution.coefficients[i] < 0.0 {
                return None;
            }
            solution.residual -= solution.coefficients[i] * self.moment[i];
        }
        solution.residual = solution.residual.max(0.0);
        Some(solution)
    }
}

impl Solution {
    /// The fitted value at a row.
    pub(crate) fn at(&self, row: [f64; COLUMNS]) -> f64 {
        (0..COLUMNS).map(|i| self.coefficients[i] * row[i]).sum()
    }

    /// Variance of the fitted value for residuals of variance one.
    pub(crate) fn variance(&self, row: [f64; COLUMNS]) -> f64 {
        let sum: f64 = (0..COLUMNS)
            .flat_map(|i| (0..COLUMNS).map(move |j| (i, j)))
            .map(|(i, j)| row[i] * self.inverse[i][j] * row[j])
            .sum();
        sum.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(rows: &[([f64; 3], f64)]) -> Normal {
        let mut normal = Normal::default();
        rows.iter().for_each(|(row, y)| normal.add(*row, *y, 1.0));
        normal
    }

    #[test]
    fn exact_rows_give_their_coefficients() {
        let row = |x: f64| [1.0, x, x * x];
        let rows: Vec<_> = [0.5, 1.0, 2.0, 3.0].map(|x| (row(x), 2.0 + 3.0 * x + 0.5 * x * x)).into();
        let solution = normal(&rows).solve(&[0b111]);
        for (got, want) in solution.coefficients.iter().zip([2.0, 3.0, 0.5]) {
            assert!((got - want).abs() < 1e-6, "{solution:?}");
        }
        assert!(solution.residual < 1e-9 && (solution.at(row(4.0)) - 22.0).abs() < 1e-7);
    }

    #[test]
    fn what_would_be_negative_is_left_out() {
        let rows: Vec<_> = [1.0, 2.0, 3.0].map(|x: f64| ([1.0, x, 0.0], 5.0 - x)).into();
        let solution = normal(&rows).solve(&[0b011, 0b001, 0b010]);
        assert_eq!(solution.coefficients[1], 0.0);
        assert!((solution.coefficients[0] - 3.0).abs() < 1e-9, "{solution:?}");
    }

    #[test]
    fn the_determinant_of_orthogonal_columns_is_their_product() {
        let rows = [([2.0, 0.0, 0.0], 1.0), ([0.0, 3.0, 0.0], 1.0), ([0.0, 0.0, 0.5], 1.0)];
        let found = normal(&rows).log_determinant(1.0);
        assert!((found - 9f64.ln()).abs() < 1e-4, "{found}");
        assert!((normal(&rows).log_determinant(2.0) - found - 6.0 * 2f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn the_variance_of_a_mean_is_one_over_n() {
        let rows: Vec<_> = [1.0, 2.0, 3.0, 4.0].map(|y: f64| ([1.0, 0.0, 0.0], y)).into();
        let solution = normal(&rows).solve(&[0b001]);
        assert!((solution.variance([1.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
