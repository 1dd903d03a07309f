//! The standardised differences of pairs: kept in memory, or made block by block whenever they are needed.

use std::ops::Range;

use candle_core::{Device, Storage, Tensor};
use rayon::prelude::*;

use super::Standardiser;
use super::block::Block;
use super::sparse::SparseBlock;
use crate::error::{Error, Fault, Result};
use crate::features::{FeatureRows, SparseMatrix};

/// Pairs whose feature rows are read together: few enough to stay in a core's cache until they are used, and many for a
/// read from disk.
const PAIRS_AT_ONCE: usize = 64;

/// Where the differences come from; dense ones give the same bits kept and made.
pub(super) enum Differences<'a> {
    /// A matrix `(pairs, width)`.
    Kept(Tensor),
    /// The same without its zeros.
    Sparse(SparseMatrix<f64>),
    /// Made from the features of each pair's rows.
    Made { features: &'a dyn FeatureRows, standardiser: &'a Standardiser, pairs: Vec<(usize, usize)> },
}

impl<'a> Differences<'a> {
    /// The differences of `pairs` of rows, kept when they need at most `memory` bytes, or when the rows are kept without
    /// their zeros.
    ///
    /// # Errors
    /// What reading a row reports.
    pub(super) fn new(
        features: &'a dyn FeatureRows,
        standardiser: &'a Standardiser,
        pairs: Vec<(usize, usize)>,
        memory: usize,
    ) -> Result<Self> {
        let width = features.width();
        if let Some(sparse) = sparse(features, standardiser, &pairs) {
            return Ok(Self::Sparse(sparse));
        }
        if pairs.len().saturating_mul(width * size_of::<f64>()) <= memory {
            return Ok(Self::Kept(make(features, standardiser, &pairs)?));
        }
        Ok(Self::Made { features, standardiser, pairs })
    }

    /// Whether they are kept in memory.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_) | Self::Sparse(_))
    }

    /// `work` on the differences of some pairs.
    ///
    /// # Errors
    /// What reading a row reports.
    pub(super) fn with<T>(&self, rows: Range<usize>, work: impl FnOnce(Block<'_>) -> T) -> Result<T> {
        let matrix = match self {
            Self::Kept(matrix) => matrix.narrow(0, rows.start, rows.len()).map_err(unreadable)?,
            Self::Sparse(matrix) => return Ok(work(Block::Sparse(SparseBlock::new(matrix, rows)))),
            Self::Made { features, standardiser, pairs } => make(*features, standardiser, &pairs[rows])?,
        };
        let (storage, layout) = matrix.storage_and_layout();
        let values = match &*storage {
            Storage::Cpu(values) => values.as_slice::<f64>().map_err(unreadable)?,
            Storage::Cuda(_) | Storage::Metal(_) => return Err(unreadable("they are not in memory")),
        };
        let start = layout.start_offset();
        Ok(work(Block::Dense(&values[start..start + matrix.elem_count()], &matrix)))
    }
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Numeric(vec![Fault::new("head", format!("the differences cannot be read: {error}"))])
}

/// Standardised differences of `pairs` of rows that are kept without their zeros; `None` of others.
fn sparse(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    pairs: &[(usize, usize)],
) -> Option<SparseMatrix<f64>> {
    // Without a direction a row is no longer zero anywhere.
    if !standardiser.forbidden.is_empty() {
        return None;
    }
    let mut matrix = SparseMatrix::new(features.width());
    for &(left, right) in pairs {
        let (left, right) = (features.nonzeros(left)?, features.nonzeros(right)?);
        matrix.push(standardiser.sparse_difference(left, right));
    }
    Some(matrix)
}

/// Standardised differences of `pairs`, `(pairs, width)`.
fn make(features: &dyn FeatureRows, standardiser: &Standardiser, pairs: &[(usize, usize)]) -> Result<Tensor> {
    let width = features.width();
    let mut differences = vec![0f64; pairs.len() * width];
    let parts = differences.par_chunks_mut(PAIRS_AT_ONCE * width.max(1)).zip(pairs.par_chunks(PAIRS_AT_ONCE));
    parts.try_for_each_init(Vec::new, |buffer, (differences, pairs)| {
        let rows: Vec<usize> = pairs.iter().flat_map(|&(left, right)| [left, right]).collect();
        buffer.resize(rows.len() * width, 0f32);
        features.copy_rows(&rows, buffer)?;
        for (difference, sides) in differences.chunks_exact_mut(width).zip(buffer.chunks_exact(2 * width)) {
            let (left, right) = sides.split_at(width);
            standardiser.write_difference(left, right, difference);
        }
        Ok(())
    })?;
    Tensor::from_vec(differences, (pairs.len(), width), &Device::Cpu).map_err(unreadable)
}
