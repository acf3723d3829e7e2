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
        let nothing = Solution { coefficients: [0.0; COLUMNS], residual: self.square };
        sets.iter()
            .filter_map(|&set| self.with(set))
            .fold(nothing, |best, new| if new.residual < best.residual { new } else { best })
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
        let mut solution = Solution { coefficients: [0.0; COLUMNS], residual: self.square };
        for (a, &i) in columns.iter().enumerate() {
            for (b, &j) in columns.iter().enumerate() {
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
}
