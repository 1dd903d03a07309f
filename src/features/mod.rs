//! Features: one vector per item, computed once and cached on disk.
//!
//! Joins items (data) with the backbone; knows nothing of labels. A head is fitted alike on the backbone's features and on
//! the bag of words, which is kept without its zeros.

mod bag_of_words;
mod embed;
mod extract;
mod feature_file;
mod groups;
mod places;
mod shard;
mod sparse;
mod store;

pub use bag_of_words::{WordCounts, bag_of_words};
pub use embed::{Counts, count_cached, embed, fill};
pub use extract::{Extractor, PreparedText};
pub use feature_file::FeatureFile;
pub use places::Places;
pub use shard::Shard;
pub use sparse::SparseMatrix;
pub use store::{Row, Store};

use crate::error::Result;

/// Feature vectors by row, wherever they are kept.
pub trait FeatureRows: Sync {
    /// Rows.
    fn rows(&self) -> usize;

    /// Columns.
    fn width(&self) -> usize;

    /// Copies row `index` into `into`, `(width)`.
    ///
    /// # Errors
    /// What reading it from disk reports.
    fn copy_row(&self, index: usize, into: &mut [f32]) -> Result<()>;

    /// The columns of row `index` that are not zero, ascending, with their values, where rows are kept so.
    fn nonzeros(&self, _index: usize) -> Option<(&[u32], &[f32])> {
        None
    }

    /// Copies the rows `indices`, in their order, into `into`, `(indices, width)`.
    ///
    /// # Errors
    /// As [`FeatureRows::copy_row`].
    fn copy_rows(&self, indices: &[usize], into: &mut [f32]) -> Result<()> {
        let mut rows = indices.iter().zip(into.chunks_exact_mut(self.width().max(1)));
        rows.try_for_each(|(index, row)| self.copy_row(*index, row))
    }
}

impl FeatureRows for Features {
    fn rows(&self) -> usize {
        Features::rows(self)
    }

    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, index: usize, into: &mut [f32]) -> Result<()> {
        into.copy_from_slice(self.row(index));
        Ok(())
    }
}

/// A matrix of feature vectors, one row per item: `(rows, width)`, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    /// An empty matrix of `width` columns.
    pub fn new(width: usize) -> Self {
        Self { width, values: Vec::new() }
    }

    /// A matrix of zeros, `(rows, width)`.
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self { width, values: vec![0.0; rows * width] }
    }

    /// Appends one row; a row of another length is cut or filled with zeros, which the store's check rules out.
    pub fn push(&mut self, row: &[f32]) {
        let end = self.values.len() + self.width;
        self.values.extend(row.iter().take(self.width));
        self.values.resize(end, 0.0);
    }

    /// The first `width` columns of every row.
    #[must_use]
    pub fn first_columns(&self, width: usize) -> Self {
        let mut first = Self::new(width);
        (0..self.rows()).for_each(|row| first.push(self.row(row)));
        first
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// One row, `(width)`, to be written.
    pub(super) fn row_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.width..(index + 1) * self.width]
    }

    /// One row, `(width)`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }
}
