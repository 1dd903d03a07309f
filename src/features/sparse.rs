//! Rows that are zero nearly everywhere, kept as columns and values.

use super::FeatureRows;
use crate::error::Result;

/// A matrix without its zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix<T> {
    width: usize,
    /// Where each row ends in `columns` and `values`.
    ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<T>,
}

impl<T> SparseMatrix<T> {
    /// A matrix of `width` columns without rows.
    pub fn new(width: usize) -> Self {
        Self { width, ends: Vec::new(), columns: Vec::new(), values: Vec::new() }
    }

    /// Adds a row: columns below the width, ascending, with their values.
    pub fn push(&mut self, row: impl IntoIterator<Item = (u32, T)>) {
        for (column, value) in row {
            self.columns.push(column);
            self.values.push(value);
        }
        self.ends.push(self.columns.len());
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row: its columns, ascending, with their values.
    pub fn row(&self, index: usize) -> (&[u32], &[T]) {
        let inside = index.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[index];
        (&self.columns[inside.clone()], &self.values[inside])
    }
}

impl FeatureRows for SparseMatrix<f32> {
    fn rows(&self) -> usize {
        self.ends.len()
    }

    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, index: usize, into: &mut [f32]) -> Result<()> {
        into.fill(0.0);
        let (columns, values) = self.row(index);
        columns.iter().zip(values).for_each(|(&column, &value)| into[column as usize] = value);
        Ok(())
    }

    fn nonzeros(&self, index: usize) -> Option<(&[u32], &[f32])> {
        Some(self.row(index))
    }
}
