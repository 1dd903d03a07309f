//! Some rows of differences, dense or sparse, and the products that a fit needs of them.

use candle_core::{Device, Tensor};

use super::Label;
use super::sparse::{SparseBlock, SparseRow};
use crate::head::linear_algebra::{add_lower_product, add_scaled, dot};

/// Some rows of differences.
#[derive(Clone, Copy)]
pub(super) enum Block<'b> {
    /// All numbers: row-major, and as candle's matrix `(pairs, width)`.
    Dense(&'b [f64], &'b Tensor),
    /// Those that are not zero.
    Sparse(SparseBlock<'b>),
}

/// One row.
#[derive(Clone, Copy)]
pub(super) enum Row<'b> {
    Dense(&'b [f64]),
    Sparse(SparseRow<'b>),
}

impl<'b> Block<'b> {
    /// The rows with their labels.
    pub(super) fn labelled<'l>(&self, labels: &'l [Label]) -> impl Iterator<Item = (Row<'b>, &'l Label)> + use<'b, 'l> {
        let (block, count) = (*self, labels.len().max(1));
        let row = move |index: usize| match block {
            Block::Dense(rows, _) => {
                let width = rows.len() / count;
                Row::Dense(&rows[index * width..(index + 1) * width])
            }
            Block::Sparse(rows) => Row::Sparse(rows.row(index)),
        };
        labels.iter().enumerate().map(move |(index, label)| (row(index), label))
    }

    /// DVᵀ of this block D and vectors V, `(count, width)`: row-major `(pairs, count)`.
    pub(super) fn times(&self, vectors: &[f64], count: usize) -> candle_core::Result<Vec<f64>> {
        match self {
            Self::Dense(_, matrix) => {
                let vectors = Tensor::from_slice(vectors, (count, vectors.len() / count.max(1)), &Device::Cpu)?;
                flat(&matrix.matmul(&vectors.t()?)?)
            }
            Self::Sparse(rows) => Ok(rows.times(vectors, count)),
        }
    }

    /// AᵀD of this block D and factors A, `(pairs, count)`: row-major `(count, width)`.
    pub(super) fn combined(&self, factors: Vec<f64>, count: usize) -> candle_core::Result<Vec<f64>> {
        match self {
            Self::Dense(_, matrix) => {
                let factors = Tensor::from_vec(factors, (matrix.dim(0)?, count), &Device::Cpu)?;
                flat(&factors.t()?.matmul(matrix)?)
            }
            Self::Sparse(rows) => Ok(rows.combined(&factors, count)),
        }
    }

    /// Adds the lower triangle of Dᵀ diag(a) D of this block D, with a factor a for each row, to `sum`, `(width, width)`.
    pub(super) fn add_lower_gram(&self, factors: &[f64], sum: &mut [f64]) -> candle_core::Result<()> {
        match self {
            Self::Dense(rows, matrix) => {
                let mut scaled = Vec::with_capacity(rows.len());
                for (row, factor) in rows.chunks_exact(matrix.dim(1)?).zip(factors) {
                    scaled.extend(row.iter().map(|value| factor * value));
                }
                add_lower_product(sum, matrix, &Tensor::from_vec(scaled, matrix.shape(), &Device::Cpu)?)
            }
            Self::Sparse(rows) => {
                rows.add_lower_gram(factors, sum);
                Ok(())
            }
        }
    }
}

impl Row<'_> {
    /// w·d.
    pub(super) fn dot(&self, weights: &[f64]) -> f64 {
        match self {
            Self::Dense(row) => dot(weights, row),
            Self::Sparse(row) => row.nonzeros().map(|(column, value)| weights[column] * value).sum(),
        }
    }

    /// `target += factor · d`.
    pub(super) fn add_to(&self, target: &mut [f64], factor: f64) {
        match self {
            Self::Dense(row) => add_scaled(target, factor, row),
            Self::Sparse(row) => row.nonzeros().for_each(|(column, value)| target[column] += factor * value),
        }
    }

    /// Adds `factor` times the square of every column.
    pub(super) fn add_squares_to(&self, target: &mut [f64], factor: f64) {
        match self {
            Self::Dense(row) => target.iter_mut().zip(*row).for_each(|(sum, value)| *sum += factor * value * value),
            Self::Sparse(row) => row.nonzeros().for_each(|(column, value)| target[column] += factor * value * value),
        }
    }
}

/// A matrix's numbers, row-major.
fn flat(matrix: &Tensor) -> candle_core::Result<Vec<f64>> {
    matrix.flatten_all()?.to_vec1()
}
