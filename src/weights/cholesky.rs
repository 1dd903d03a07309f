//! A Cholesky factor of a small symmetric matrix, which says where the matrix stops being positive definite.

/// A = L Lᵀ, the lower triangle row-major.
#[derive(Debug)]
pub(super) struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

/// A column that the columns before it explain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dependent {
    /// Its index.
    pub column: usize,
    /// It is about Σ coefficientⱼ · column j over the columns before it.
    pub coefficients: Vec<f64>,
}

impl Cholesky {
    /// Factors `matrix` (row-major `size × size`, lower triangle read; Golub & Van Loan, section 4.2.5).
    ///
    /// # Errors
    /// The first column whose pivot, what the columns before it leave of its diagonal, is not above `least`.
    pub(super) fn new(matrix: &[f64], size: usize, least: &[f64]) -> Result<Self, Dependent> {
        let mut factor = Self { size, lower: vec![0.0; size * size] };
        for row in 0..size {
            for column in 0..row {
                let rest = matrix[row * size + column] - factor.product(row, column, column);
                factor.lower[row * size + column] = rest / factor.lower[column * size + column];
            }
            let pivot = matrix[row * size + row] - factor.product(row, row, row);
            if !(pivot > least[row] && pivot.is_finite()) {
                let mut coefficients = factor.lower[row * size..row * size + row].to_vec();
                factor.solve_transposed(&mut coefficients);
                return Err(Dependent { column: row, coefficients });
            }
            factor.lower[row * size + row] = pivot.sqrt();
        }
        Ok(factor)
    }

    /// Σ over the first `count` columns of row `left` times row `right` of L.
    fn product(&self, left: usize, right: usize, count: usize) -> f64 {
        let row = |index: usize| &self.lower[index * self.size..index * self.size + count];
        row(left).iter().zip(row(right)).map(|(left, right)| left * right).sum()
    }

    /// What the columns before it leave of each column's diagonal.
    pub(super) fn pivots(&self) -> Vec<f64> {
        (0..self.size).map(|row| self.lower[row * self.size + row]).map(|root| root * root).collect()
    }

    /// Solves A x = b.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut solution = right.to_vec();
        for row in 0..self.size {
            let line = &self.lower[row * self.size..=row * self.size + row];
            let known: f64 = line[..row].iter().zip(&solution).map(|(factor, value)| factor * value).sum();
            solution[row] = (solution[row] - known) / line[row];
        }
        self.solve_transposed(&mut solution);
        solution
    }

    /// Solves Lᵀ x = b in place, for as many rows as `right` has.
    fn solve_transposed(&self, right: &mut [f64]) {
        for row in (0..right.len()).rev() {
            let known: f64 =
                (row + 1..right.len()).map(|below| self.lower[below * self.size + row] * right[below]).sum();
            right[row] = (right[row] - known) / self.lower[row * self.size + row];
        }
    }

    /// A⁻¹, row-major.
    pub(super) fn inverse(&self) -> Vec<f64> {
        let unit = |column: usize| (0..self.size).map(|row| f64::from(u8::from(row == column))).collect::<Vec<f64>>();
        (0..self.size).flat_map(|column| self.solve(&unit(column))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn solves_a_system_worked_by_hand() {
        // A = [[4, 2], [2, 3]]: A·[1, −2] = [0, −4], A⁻¹ = [[3, −2], [−2, 4]] / 8, pivots 4 and 3 − 2²/4.
        let factor = Cholesky::new(&[4.0, 2.0, 2.0, 3.0], 2, &[0.0; 2]).expect("positive definite");
        let close = |found: Vec<f64>, truth: &[f64]| {
            assert!(found.iter().zip(truth).all(|(found, truth)| (found - truth).abs() < 1e-12), "{found:?}");
        };
        close(factor.solve(&[0.0, -4.0]), &[1.0, -2.0]);
        close(factor.inverse(), &[0.375, -0.25, -0.25, 0.5]);
        close(factor.pivots(), &[4.0, 2.0]);
    }

    #[test]
    fn a_dependent_column_is_named_with_its_mix() {
        // Columns x = (1, 0, 2), y = (0, 1, 1) and 2x − 3y; the matrix holds their products.
        let columns = [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0], [2.0, -3.0, 1.0]];
        let product = |left: usize, right: usize| (0..3).map(|row| columns[left][row] * columns[right][row]).sum();
        let gram: Vec<f64> = (0..9).map(|index| product(index / 3, index % 3)).collect();
        let dependent = Cholesky::new(&gram, 3, &[1e-12; 3]).expect_err("the third follows from the others");
        assert_eq!(dependent.column, 2);
        assert!((dependent.coefficients[0] - 2.0).abs() < 1e-12 && (dependent.coefficients[1] + 3.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_inverse_times_the_matrix_is_the_identity(
            entries in proptest::collection::vec(-1.0_f64..1.0, 36), size in 1_usize..=6
        ) {
            let entry = |row: usize, column: usize| entries[row * 6 + column];
            let element = |row: usize, column: usize| {
                (0..6).map(|inner| entry(row, inner) * entry(column, inner)).sum::<f64>()
                    + f64::from(u8::from(row == column))
            };
            let matrix: Vec<f64> = (0..size * size).map(|index| element(index / size, index % size)).collect();
            let inverse = Cholesky::new(&matrix, size, &vec![0.0; size]).expect("positive definite").inverse();
            for row in 0..size {
                for column in 0..size {
                    let product: f64 = (0..size).map(|k| matrix[row * size + k] * inverse[k * size + column]).sum();
                    prop_assert!((product - f64::from(u8::from(row == column))).abs() < 1e-10);
                }
            }
        }
    }
}
