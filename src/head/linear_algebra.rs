//! The few dense f64 kernels a head needs, in a fixed order of operations.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Σ aᵢbᵢ with eight running sums, added half to half, so that the compiler can use vector registers without reordering
/// anything.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0f64; 8];
    let ((left, left_rest), (right, right_rest)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    for (left, right) in left.iter().zip(right) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    for half in [4, 2] {
        for lane in 0..half {
            sums[lane] += sums[half + lane];
        }
    }
    (sums[0] + sums[1]) + rest
}

/// `target += factor · source`.
pub(super) fn add_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += factor * source;
    }
}

/// Euclidean norm.
pub(super) fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// Columns of a symmetric product that are computed together.
const SYMMETRIC_PANEL: usize = 128;

/// Adds the lower triangle of AᵀDA, of A, `(rows, width)`, and DA with a diagonal D, to `sum`, `(width, width)`; right of
/// the diagonal it leaves what is there.
///
/// # Errors
/// When candle's matrix product fails.
pub(super) fn add_lower_product(sum: &mut [f64], matrix: &Tensor, scaled: &Tensor) -> candle_core::Result<()> {
    let width = matrix.dim(1)?;
    let panel = |start: usize| -> candle_core::Result<Vec<f64>> {
        let below = matrix.narrow(1, start, width - start)?.t()?;
        let columns = scaled.narrow(1, start, SYMMETRIC_PANEL.min(width - start))?;
        below.matmul(&columns)?.flatten_all()?.to_vec1()
    };
    let starts: Vec<usize> = (0..width).step_by(SYMMETRIC_PANEL).collect();
    let panels: Vec<Vec<f64>> = starts.par_iter().map(|&start| panel(start)).collect::<candle_core::Result<_>>()?;
    for (start, panel) in starts.into_iter().zip(panels) {
        let columns = SYMMETRIC_PANEL.min(width - start);
        for (row, line) in (start..width).zip(panel.chunks_exact(columns)) {
            let inside = columns.min(row + 1 - start);
            add_scaled(&mut sum[row * width + start..row * width + start + inside], 1.0, &line[..inside]);
        }
    }
    Ok(())
}

/// Copies the lower triangle of a square matrix to the other side of the diagonal.
pub(super) fn mirror_lower(matrix: &mut [f64], width: usize) {
    for row in 0..width {
        (0..row).for_each(|column| matrix[column * width + row] = matrix[row * width + column]);
    }
}

/// A Cholesky factor L of a symmetric positive definite matrix, A = LLᵀ, row-major lower triangle.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cholesky {
    size: usize,
    lower: Vec<f64>,
}

/// Columns factored together; what lies right of them is updated by one matrix product.
const PANEL: usize = 64;

impl Cholesky {
    /// Factors `matrix` (row-major `size × size`, lower triangle read); `None` when it is not positive definite.
    ///
    /// Right-looking and blocked (Golub & Van Loan, Matrix Computations, section 4.2.6), so that most of the work is
    /// candle's matrix product.
    pub(super) fn new(matrix: &[f64], size: usize) -> Option<Self> {
        let mut factor = Self { size, lower: matrix.to_vec() };
        for start in (0..size).step_by(PANEL) {
            let end = (start + PANEL).min(size);
            (start..size).try_for_each(|row| factor.finish_row(row, start, end))?;
            factor.update_rest(start, end)?;
        }
        (0..size).for_each(|row| factor.lower[row * size + row + 1..(row + 1) * size].fill(0.0));
        Some(factor)
    }

    /// Computes the panel's columns `start..end` of `row` as far as the diagonal.
    fn finish_row(&mut self, row: usize, start: usize, end: usize) -> Option<()> {
        let size = self.size;
        let (above, current) = self.lower.split_at_mut(row * size);
        for column in start..end.min(row) {
            let other = &above[column * size..=column * size + column];
            let rest = current[column] - dot(&current[start..column], &other[start..column]);
            current[column] = rest / other[column];
        }
        if row < end {
            let rest = current[row] - dot(&current[start..row], &current[start..row]);
            current[row] = (rest > 0.0 && rest.is_finite()).then(|| rest.sqrt())?;
        }
        Some(())
    }

    /// Subtracts the panel's share from everything right of it.
    fn update_rest(&mut self, start: usize, end: usize) -> Option<()> {
        let size = self.size;
        if end == size {
            return Some(());
        }
        let panel: Vec<f64> =
            (end..size).flat_map(|row| self.lower[row * size + start..row * size + end].iter().copied()).collect();
        let panel = Tensor::from_vec(panel, (size - end, end - start), &Device::Cpu).ok()?;
        let product = panel.t().and_then(|transposed| panel.matmul(&transposed)).ok()?;
        let product = product.flatten_all().and_then(|flat| flat.to_vec1::<f64>()).ok()?;
        for (row, share) in (end..size).zip(product.chunks_exact(size - end)) {
            let line = &mut self.lower[row * size + end..=row * size + row];
            add_scaled(line, -1.0, &share[..line.len()]);
        }
        Some(())
    }

    /// Rows.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The lower triangle row by row without the zeros, `(size · (size + 1) / 2)`.
    pub(super) fn packed(&self) -> Vec<f64> {
        (0..self.size).flat_map(|row| &self.lower[row * self.size..=row * self.size + row]).copied().collect()
    }

    /// The factor of a packed triangle; `None` when it has another length or a diagonal that is not positive.
    pub(super) fn from_packed(size: usize, packed: &[f64]) -> Option<Self> {
        if packed.len() != size * (size + 1) / 2 {
            return None;
        }
        let mut lower = vec![0f64; size * size];
        let mut rest = packed;
        for row in 0..size {
            let (line, after) = rest.split_at(row + 1);
            lower[row * size..=row * size + row].copy_from_slice(line);
            rest = after;
        }
        let sound = |row: usize| lower[row * size + row] > 0.0;
        ((0..size).all(sound) && packed.iter().all(|value| value.is_finite())).then_some(Self { size, lower })
    }

    /// L⁻¹b; its squared length is bᵀA⁻¹b.
    pub(super) fn solve_lower(&self, right: &[f64]) -> Vec<f64> {
        let size = self.size;
        let mut solution = right.to_vec();
        for row in 0..size {
            let line = &self.lower[row * size..=row * size + row];
            solution[row] = (solution[row] - dot(&line[..row], &solution[..row])) / line[row];
        }
        solution
    }

    /// L⁻¹b for every row b of a row-major matrix `(rows, size)`, in place: panel by panel, so that most of the work is
    /// candle's matrix product.
    ///
    /// # Errors
    /// When candle's matrix product fails.
    pub(super) fn solve_lower_rows(&self, rows: &mut [f64]) -> candle_core::Result<()> {
        let (size, count) = (self.size, rows.len() / self.size.max(1));
        for start in (0..size).step_by(PANEL) {
            let end = (start + PANEL).min(size);
            for row in rows.chunks_exact_mut(size.max(1)) {
                for column in start..end {
                    let line = &self.lower[column * size + start..=column * size + column];
                    let (known, diagonal) = line.split_at(column - start);
                    row[column] = (row[column] - dot(known, &row[start..column])) / diagonal[0];
                }
            }
            if end < size {
                let solved: Vec<f64> = rows.chunks_exact(size).flat_map(|row| &row[start..end]).copied().collect();
                let below: Vec<f64> =
                    (end..size).flat_map(|row| &self.lower[row * size + start..row * size + end]).copied().collect();
                let solved = Tensor::from_vec(solved, (count, end - start), &Device::Cpu)?;
                let below = Tensor::from_vec(below, (size - end, end - start), &Device::Cpu)?;
                let shares: Vec<f64> = solved.matmul(&below.t()?)?.flatten_all()?.to_vec1()?;
                for (row, share) in rows.chunks_exact_mut(size).zip(shares.chunks_exact(size - end)) {
                    add_scaled(&mut row[end..], -1.0, share);
                }
            }
        }
        Ok(())
    }

    /// Solves A x = b.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let size = self.size;
        let mut solution = self.solve_lower(right);
        for row in (0..size).rev() {
            let line = &self.lower[row * size..=row * size + row];
            solution[row] /= line[row];
            let value = solution[row];
            add_scaled(&mut solution[..row], -value, &line[..row]);
        }
        solution
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_agrees_with_the_plain_sum() {
        let left: Vec<f64> = (0..29).map(|i| f64::from(i) * 0.5).collect();
        let right: Vec<f64> = (0..29).map(|i| f64::from(i - 7)).collect();
        let plain: f64 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
        assert!((dot(&left, &right) - plain).abs() < 1e-9);
    }

    #[test]
    fn cholesky_solves_a_system_worked_by_hand() {
        // A = [[4, 2], [2, 3]], A·[1, -2] = [0, -4].
        let factor = Cholesky::new(&[4.0, 2.0, 2.0, 3.0], 2).expect("positive definite");
        let solution = factor.solve(&[0.0, -4.0]);
        assert!((solution[0] - 1.0).abs() < 1e-12 && (solution[1] + 2.0).abs() < 1e-12);
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }

    #[test]
    fn many_solutions_at_once_are_those_of_one_by_one() {
        for size in [1, PANEL - 1, PANEL, 2 * PANEL + 5] {
            let entry = |row: usize, column: usize| ((row * 31 + column * 17) % 23) as f64 / 23.0 - 0.5;
            let at = |index: usize| {
                let (row, column) = (index / size, index % size);
                0.01 * (entry(row, column) + entry(column, row)) + if row == column { 3.0 } else { 0.0 }
            };
            let factor =
                Cholesky::new(&(0..size * size).map(at).collect::<Vec<f64>>(), size).expect("dominant diagonal");
            let rows: Vec<f64> = (0..7 * size).map(|index| entry(index, 3 * index + 1)).collect();
            let mut solved = rows.clone();
            factor.solve_lower_rows(&mut solved).expect("finite");
            for (row, solved) in rows.chunks_exact(size).zip(solved.chunks_exact(size)) {
                let alone = factor.solve_lower(row);
                alone.iter().zip(solved).for_each(|(a, b)| assert!((a - b).abs() < 1e-13, "size {size}: {a} {b}"));
            }
        }
    }

    #[test]
    fn the_lower_product_is_half_of_the_product() {
        let (rows, width) = (5, SYMMETRIC_PANEL + 3);
        let entry = |index: usize| ((index * 37) % 29) as f64 / 29.0 - 0.5;
        let matrix: Vec<f64> = (0..rows * width).map(entry).collect();
        let scaled: Vec<f64> =
            matrix.iter().enumerate().map(|(index, value)| value * (1 + index / width) as f64).collect();
        let tensor = |values: &[f64]| Tensor::from_slice(values, (rows, width), &Device::Cpu).expect("a matrix");
        let mut sum = vec![1f64; width * width];
        add_lower_product(&mut sum, &tensor(&matrix), &tensor(&scaled)).expect("finite");
        for (index, found) in sum.iter().enumerate() {
            let (row, column) = (index / width, index % width);
            let product = |inner: usize| matrix[inner * width + row] * scaled[inner * width + column];
            let expected = if column > row { 1.0 } else { 1.0 + (0..rows).map(product).sum::<f64>() };
            assert!((found - expected).abs() < 1e-12, "({row}, {column}): {found} {expected}");
        }
        mirror_lower(&mut sum, width);
        assert!((0..width * width).all(|index| sum[index] == sum[index % width * width + index / width]));
    }

    #[test]
    fn blocked_factor_reproduces_matrices_of_every_panel_shape() {
        for size in [1, 2, PANEL - 1, PANEL, PANEL + 1, 2 * PANEL + 5] {
            let entry = |row: usize, column: usize| ((row * 31 + column * 17) % 23) as f64 / 23.0 - 0.5;
            let mut matrix = vec![0f64; size * size];
            for row in 0..size {
                for column in 0..size {
                    let gram: f64 = (0..size).map(|inner| entry(row, inner) * entry(column, inner)).sum();
                    matrix[row * size + column] = gram + if row == column { 0.5 } else { 0.0 };
                }
            }
            let factor = Cholesky::new(&matrix, size).expect("positive definite");
            for row in 0..size {
                for column in 0..=row {
                    let line = |index: usize| &factor.lower[index * size..(index + 1) * size];
                    let product: f64 = line(row).iter().zip(line(column)).map(|(a, b)| a * b).sum();
                    assert!((product - matrix[row * size + column]).abs() < 1e-10, "size {size} at {row}, {column}");
                }
            }
        }
    }
}
