//! States of many tokens, stored so that a tile of rows is read from end to end.

use std::ops::Range;

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

    /// Copies sixteen numbers of each of consecutive `rows`, which lie in tiles of `M`, into as many lanes.
    #[inline]
    pub(in crate::backbone) fn copy_lanes<const M: usize>(&self, rows: &Range<usize>, lane: usize, into: &mut [Lane]) {
        let (mut row, mut into) = (rows.start, into);
        while row < rows.end {
            let count = (M - row % M).min(rows.end - row);
            let from = place::<M>(self.lanes, row, lane);
            let (here, after) = into.split_at_mut(count);
            here.copy_from_slice(&self.values[from..from + count]);
            (row, into) = (row + count, after);
        }
    }

    /// Lanes of a row.
    pub(in crate::backbone) fn lanes(&self) -> usize {
        self.lanes
    }

    /// Where the tiles from the first to the second of `tiles` stand among all.
    fn places(&self, tiles: &Range<usize>) -> Range<usize> {
        let size = self.height * self.lanes;
        tiles.start * size..tiles.end * size
    }

    /// Some tiles, one after the other.
    pub(in crate::backbone) fn some_tiles(&self, tiles: &Range<usize>) -> &[Lane] {
        &self.values[self.places(tiles)]
    }

    /// As [`Rows::some_tiles`], to be written.
    pub(in crate::backbone) fn some_tiles_mut(&mut self, tiles: &Range<usize>) -> &mut [Lane] {
        let places = self.places(tiles);
        &mut self.values[places]
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
