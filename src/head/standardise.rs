//! Standardised features: each column divided by its spread over the training items, and, where a head must not follow
//! a probe (such as length), without the directions that would.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::Comparison;
use super::linear_algebra::{add_scaled, dot};
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;

/// Rows that are read and summed together.
const ROWS_AT_ONCE: usize = 128;
/// Parts of that many rows whose sums are held.
const PARTS_AT_ONCE: usize = 64;

/// From features as they are to the coordinates in which the penalty acts: x = Q⊥ (h − mean) / deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardiser {
    /// Mean of each column over the training items.
    pub means: Vec<f64>,
    /// Population standard deviation of each column over the training items; 0 marks a constant column, which is
    /// left out.
    pub deviations: Vec<f64>,
    /// Orthonormal directions that are taken out, each `(width)`; none unless the head is constrained.
    pub forbidden: Vec<Vec<f64>>,
}

impl Standardiser {
    /// Means and deviations over the rows that `comparisons` use.
    ///
    /// A deviation below a millionth of the column's root mean square is set to 0: some encoders have output columns whose layer
    /// norm weight is about 1e-33, and dividing by their spread would blow rounding noise up to full size.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a feature is not finite or none varies; what reading a row reports.
    pub fn new(features: &dyn FeatureRows, comparisons: &[Comparison]) -> Result<Self> {
        let used: BTreeSet<usize> =
            comparisons.iter().flat_map(|comparison| [comparison.chosen, comparison.rejected]).collect();
        Self::over(features, &used.into_iter().collect::<Vec<usize>>())
    }

    /// Means and deviations over the rows `used`, ascending.
    ///
    /// # Errors
    /// As [`Standardiser::new`].
    pub fn over(features: &dyn FeatureRows, used: &[usize]) -> Result<Self> {
        let count = used.len().max(1) as f64;
        let mean = |sum: f64| sum / count;
        let sums = sum_rows(features, used, |sums, row, values| {
            if let Some(column) = values.iter().position(|value| !value.is_finite()) {
                return Err(not_finite(row, column, values[column]));
            }
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
            Ok(())
        })?;
        let means: Vec<f64> = sums.into_iter().map(mean).collect();
        let squares = sum_rows(features, used, |squares, _, values| {
            for ((square, mean), value) in squares.iter_mut().zip(&means).zip(values) {
                let centred = f64::from(*value) - mean;
                *square += centred * centred;
            }
            Ok(())
        })?;
        let deviation = |(square, mean): (f64, &f64)| {
            let (deviation, size) = (square.sqrt(), (mean * mean + square).sqrt());
            if deviation > 1e-6 * size { deviation } else { 0.0 }
        };
        let deviations: Vec<f64> = squares.into_iter().map(mean).zip(&means).map(deviation).collect();
        if deviations.iter().all(|&deviation| deviation == 0.0) {
            return Err(Error::Numeric(vec![
                Fault::new("head", "no feature differs between the training items")
                    .help("the backbone gives the same vector for every text: check its weights, layers and pooling"),
            ]));
        }
        Ok(Self { means, deviations, forbidden: Vec::new() })
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.deviations.len()
    }

    /// The columns that do not vary and get no weight.
    pub fn constant_columns(&self) -> Vec<usize> {
        (0..self.width()).filter(|&column| self.deviations[column] == 0.0).collect()
    }

    /// (left − right) / deviation, without the forbidden directions.
    pub fn difference(&self, left: &[f32], right: &[f32]) -> Vec<f64> {
        let mut difference = vec![0f64; self.width()];
        self.write_difference(left, right, &mut difference);
        difference
    }

    /// [`Standardiser::difference`], written to `into`, `(width)`.
    pub(super) fn write_difference(&self, left: &[f32], right: &[f32], into: &mut [f64]) {
        for (((into, left), right), deviation) in into.iter_mut().zip(left).zip(right).zip(&self.deviations) {
            *into = if *deviation == 0.0 { 0.0 } else { (f64::from(*left) - f64::from(*right)) / deviation };
        }
        self.project(into);
    }

    /// (left − right) / deviation of rows given by the columns that are not zero, where no direction is forbidden: columns,
    /// ascending, with their values.
    pub(super) fn sparse_difference<'a>(
        &'a self,
        left: (&'a [u32], &'a [f32]),
        right: (&'a [u32], &'a [f32]),
    ) -> impl Iterator<Item = (u32, f64)> + 'a {
        let entries = |(columns, values): (&'a [u32], &'a [f32])| columns.iter().copied().zip(values.iter().copied());
        let (mut left, mut right) = (entries(left).peekable(), entries(right).peekable());
        let both = std::iter::from_fn(move || {
            let column = [left.peek(), right.peek()].into_iter().flatten().map(|(column, _)| *column).min()?;
            let [left, right] = [&mut left, &mut right]
                .map(|side| side.next_if(|entry| entry.0 == column).map_or(0.0, |(_, value)| f64::from(value)));
            Some((column, left - right))
        });
        let scaled = |(column, difference): (u32, f64)| {
            let deviation = self.deviations[column as usize];
            (difference != 0.0 && deviation != 0.0).then(|| (column, difference / deviation))
        };
        both.filter_map(scaled)
    }

    /// (h − origin) / deviation, without the forbidden directions.
    pub fn relative_to(&self, features: &[f32], origin: &[f64]) -> Vec<f64> {
        let pairs = features.iter().zip(origin).zip(&self.deviations);
        let divide = |((value, origin), deviation): ((&f32, &f64), &f64)| {
            if *deviation == 0.0 { 0.0 } else { (f64::from(*value) - origin) / deviation }
        };
        let mut position: Vec<f64> = pairs.map(divide).collect();
        self.project(&mut position);
        position
    }

    /// (h − mean) / deviation, without the forbidden directions.
    pub fn position(&self, features: &[f32]) -> Vec<f64> {
        self.relative_to(features, &self.means)
    }

    /// Takes the forbidden directions out of a standardised vector.
    pub fn project(&self, vector: &mut [f64]) {
        for direction in &self.forbidden {
            let share = dot(direction, vector);
            add_scaled(vector, -share, direction);
        }
    }

    /// Weights on the features as they are, from weights on standardised ones.
    pub fn fold(&self, weights: &[f64]) -> Vec<f64> {
        let fold = |(weight, deviation): (&f64, &f64)| if *deviation == 0.0 { 0.0 } else { weight / deviation };
        weights.iter().zip(&self.deviations).map(fold).collect()
    }
}

/// The sum over `rows` of what `add` adds to a sum of `width` columns for each. Parts are read and summed side by side and
/// added in order, so the result does not depend on the threads.
fn sum_rows(
    features: &dyn FeatureRows,
    rows: &[usize],
    add: impl Fn(&mut [f64], usize, &[f32]) -> Result<()> + Sync,
) -> Result<Vec<f64>> {
    let width = features.width().max(1);
    let part = |rows: &[usize]| {
        let (mut sum, mut buffer) = (vec![0f64; width], vec![0f32; rows.len() * width]);
        features.copy_rows(rows, &mut buffer)?;
        rows.iter().zip(buffer.chunks_exact(width)).try_for_each(|(row, values)| add(&mut sum, *row, values))?;
        Ok(sum)
    };
    let mut total = vec![0f64; width];
    for rows in rows.chunks(PARTS_AT_ONCE * ROWS_AT_ONCE) {
        let parts: Vec<Result<Vec<f64>>> = rows.par_chunks(ROWS_AT_ONCE).map(part).collect();
        for part in parts {
            add_scaled(&mut total, 1.0, &part?);
        }
    }
    Ok(total)
}

fn not_finite(row: usize, column: usize, value: f32) -> Error {
    Error::Numeric(vec![
        Fault::new("features", format!("{value} in column {column} of item {row}"))
            .accepts("finite numbers")
            .help("the backbone gives numbers that are not finite for this text: check its weights"),
    ])
}
