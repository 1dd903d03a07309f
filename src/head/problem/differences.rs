//! The standardised differences of pairs: kept in memory, or made block by block whenever they are needed.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::Standardiser;
use crate::error::Result;
use crate::features::FeatureRows;

/// Pairs whose feature rows are read together: few enough to stay in a core's cache until they are used, and many for a
/// read from disk.
const PAIRS_AT_ONCE: usize = 64;

/// Where the differences come from; both ways give the same bits.
#[derive(Clone)]
pub(super) enum Differences<'a> {
    /// Row-major `(pairs, width)`.
    Kept { width: usize, values: Vec<f64> },
    /// Made from the features of each pair's rows.
    Made { features: &'a dyn FeatureRows, standardiser: &'a Standardiser, pairs: Vec<(usize, usize)> },
}

impl<'a> Differences<'a> {
    /// The differences of `pairs` of rows, kept when they need at most `memory` bytes.
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
        if pairs.len().saturating_mul(width * size_of::<f64>()) <= memory {
            return Ok(Self::Kept { width, values: make(features, standardiser, &pairs)? });
        }
        Ok(Self::Made { features, standardiser, pairs })
    }

    /// Whether they are kept in memory.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    /// The differences of some pairs, row-major.
    ///
    /// # Errors
    /// What reading a row reports.
    pub(super) fn of(&self, rows: Range<usize>) -> Result<Cow<'_, [f64]>> {
        match self {
            Self::Kept { width, values } => Ok(Cow::Borrowed(&values[rows.start * width..rows.end * width])),
            Self::Made { features, standardiser, pairs } => {
                Ok(Cow::Owned(make(*features, standardiser, &pairs[rows])?))
            }
        }
    }

    /// Those of the pairs `kept`, in that order.
    pub(super) fn subset(&self, kept: &[usize]) -> Self {
        match self {
            Self::Kept { width, values } => {
                let mut some = Vec::with_capacity(kept.len() * width);
                kept.iter().for_each(|row| some.extend_from_slice(&values[row * width..(row + 1) * width]));
                Self::Kept { width: *width, values: some }
            }
            Self::Made { features, standardiser, pairs } => {
                Self::Made { features: *features, standardiser, pairs: kept.iter().map(|&row| pairs[row]).collect() }
            }
        }
    }
}

/// Standardised differences of `pairs`, row-major.
fn make(features: &dyn FeatureRows, standardiser: &Standardiser, pairs: &[(usize, usize)]) -> Result<Vec<f64>> {
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
    Ok(differences)
}
