//! States of many tokens, stored so that a tile of rows is read from end to end.

use super::kernels::Lane;

/// Where sixteen numbers of a row stand in tiles of `M` rows of `lanes` lanes. The next sixteen stand `M` further.
#[inline]
pub(in crate::backbone) fn place<const M: usize>(lanes: usize, row: usize, lane: usize) -> usize {
    (row / M * lanes + lane) * M + row % M
}

/// Rows of numbers in tiles of `height` rows: `(tiles, lanes, height)`, so that sixteen numbers of one row stand beside
/// the same sixteen of the next. The last tile may hold rows that nobody asked for; their numbers mean nothing and are never
/// read out.
#[derive(Default)]
pub(in crate::backbone) struct Rows {
    height: usize,
    lanes: usize,
    values: Vec<Lane>,
}

impl Rows {
    /// Makes room for `rows` rows of `lanes` lanes in tiles of `height`. What stood there before may stay.
    pub(in crate::backbone) fn reshape(&mut self, rows: usize, lanes: usize, height: usize) {
        self.height = height;
        self.lanes = lanes;
        self.values.resize(rows.div_ceil(height) * height * lanes, Lane::ZERO);
    }

    /// Takes the shape of `other`, but with `lanes` lanes.
    pub(in crate::backbone) fn like(&mut self, other: &Self, lanes: usize) {
        let tiles = other.values.len() / (other.height * other.lanes).max(1);
        self.reshape(tiles * other.height, lanes, other.height);
    }

    /// Becomes equal to `other`.
    pub(in crate::backbone) fn copy(&mut self, other: &Self) {
        self.like(other, other.lanes);
        self.values.copy_from_slice(&other.values);
    }

    fn index(&self, row: usize, lane: usize) -> usize {
        (row / self.height * self.lanes + lane) * self.height + row % self.height
    }

    /// Sixteen numbers of a row.
    pub(in crate::backbone) fn lane(&self, row: usize, lane: usize) -> &Lane {
        &self.values[self.index(row, lane)]
    }

    /// As [`Rows::lane`], to be written.
    pub(in crate::backbone) fn lane_mut(&mut self, row: usize, lane: usize) -> &mut Lane {
        let index = self.index(row, lane);
        &mut self.values[index]
    }

    /// Lanes of a row.
    pub(in crate::backbone) fn lanes(&self) -> usize {
        self.lanes
    }

    /// All tiles, one after the other.
    pub(in crate::backbone) fn tiles(&self) -> &[Lane] {
        &self.values
    }

    /// As [`Rows::tiles`], to be written.
    pub(in crate::backbone) fn tiles_mut(&mut self) -> &mut [Lane] {
        &mut self.values
    }
}
