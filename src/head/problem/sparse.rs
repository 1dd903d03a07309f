//! Differences that are zero nearly everywhere, such as those of word counts: rows of columns and values.

use std::ops::Range;

use crate::features::SparseMatrix;

/// Some rows.
#[derive(Clone, Copy)]
pub(super) struct SparseBlock<'m> {
    matrix: &'m SparseMatrix<f64>,
    start: usize,
    end: usize,
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct SparseRow<'m> {
    columns: &'m [u32],
    values: &'m [f64],
}

impl<'m> SparseRow<'m> {
    /// Columns and values.
    pub(super) fn nonzeros(self) -> impl Iterator<Item = (usize, f64)> + 'm {
        self.columns.iter().zip(self.values).map(|(&column, &value)| (column as usize, value))
    }
}

impl<'m> SparseBlock<'m> {
    /// The rows `rows` of `matrix`.
    pub(super) fn new(matrix: &'m SparseMatrix<f64>, rows: Range<usize>) -> Self {
        Self { matrix, start: rows.start, end: rows.end }
    }

    /// A row of the block.
    pub(super) fn row(self, index: usize) -> SparseRow<'m> {
        let (columns, values) = self.matrix.row(self.start + index);
        SparseRow { columns, values }
    }

    fn rows(self) -> impl Iterator<Item = SparseRow<'m>> {
        (0..self.end - self.start).map(move |index| self.row(index))
    }

    /// DVᵀ of this block D and vectors V, `(count, width)`: row-major `(pairs, count)`.
    pub(super) fn times(self, vectors: &[f64], count: usize) -> Vec<f64> {
        // Column by column, so that a value meets all vectors at once.
        let by_column = transposed(vectors, count);
        let mut products = vec![0f64; (self.end - self.start) * count];
        for (row, line) in self.rows().zip(products.chunks_exact_mut(count)) {
            for (column, value) in row.nonzeros() {
                let vectors = &by_column[column * count..(column + 1) * count];
                line.iter_mut().zip(vectors).for_each(|(sum, weight)| *sum += weight * value);
            }
        }
        products
    }

    /// AᵀD of this block D and factors A, `(pairs, count)`: row-major `(count, width)`.
    pub(super) fn combined(self, factors: &[f64], count: usize) -> Vec<f64> {
        let mut by_column = vec![0f64; self.matrix.width() * count];
        for (row, factors) in self.rows().zip(factors.chunks_exact(count)) {
            for (column, value) in row.nonzeros() {
                let sums = &mut by_column[column * count..(column + 1) * count];
                sums.iter_mut().zip(factors).for_each(|(sum, factor)| *sum += factor * value);
            }
        }
        transposed(&by_column, self.matrix.width())
    }

    /// Adds the lower triangle of Dᵀ diag(a) D of this block D, with a factor a for each row, to `sum`, `(width, width)`.
    pub(super) fn add_lower_gram(self, factors: &[f64], sum: &mut [f64]) {
        let width = self.matrix.width();
        for (row, factor) in self.rows().zip(factors) {
            for (index, (column, value)) in row.nonzeros().enumerate() {
                let line = &mut sum[column * width..(column + 1) * width];
                for (&other, &second) in row.columns[..=index].iter().zip(row.values) {
                    line[other as usize] += factor * value * second;
                }
            }
        }
    }
}

/// The transpose of a row-major matrix with `rows` rows.
fn transposed(matrix: &[f64], rows: usize) -> Vec<f64> {
    let columns = matrix.len() / rows.max(1);
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}
