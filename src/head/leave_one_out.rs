//! What a head would say of its own training pairs had it not seen them, and what each pair does to the head, without
//! refitting.
//!
//! Leaving out the pairs of a group with differences D, slopes ℓ′ and curvatures W moves the optimum, to second order,
//! by ΔW = H⁻¹Dᵀu with (I − WQ) u = ℓ′ and Q = DH⁻¹Dᵀ; the group's own differences of scores move by Qu (approximate
//! leave-one-out: Rad & Maleki 2020, JRSS B 82; for one pair it is qℓ′/(1 − ℓ″q)). H is the Hessian at the optimum.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::factor::Factor;
use super::likelihood::{Likelihood, Terms};
use super::linear_algebra::dot;
use super::problem::outer_product;
use super::{Comparison, Fit};
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;

/// What is left out at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveOut {
    /// One pair.
    Pair,
    /// All pairs of one prompt, which share texts.
    Group,
}

/// A training pair as the head sees it with and without having learned from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutPair {
    /// w·d at the optimum: the raw difference of the scores.
    pub fitted: f64,
    /// The same without the pair or its group.
    pub held_out: f64,
}

/// A pair's difference with what the likelihood says of it.
struct Row {
    difference: Vec<f64>,
    fitted: f64,
    terms: Terms,
}

/// Pairs whose differences are held at a time.
const BLOCK_ROWS: usize = 4096;

/// For every comparison its difference of scores had it, or its group, been left out; in the order of `comparisons`,
/// which must be those that `fit` was trained on.
///
/// # Errors
/// What reading a row reports.
pub fn leave_one_out(
    features: &dyn FeatureRows,
    comparisons: &[Comparison],
    fit: &Fit,
    leave_out: LeaveOut,
) -> Result<Vec<HeldOutPair>> {
    let mut groups: BTreeMap<(u64, usize), Vec<usize>> = BTreeMap::new();
    for (index, comparison) in comparisons.iter().enumerate() {
        let alone = if leave_out == LeaveOut::Pair { index } else { 0 };
        groups.entry((comparison.group, alone)).or_default().push(index);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    let moved: Vec<Vec<(usize, HeldOutPair)>> = groups
        .par_iter()
        .map(|members| {
            let group: Vec<Comparison> = members.iter().map(|&index| comparisons[index]).collect();
            let rows = rows(features, &group, fit)?;
            let (quadratic, pull) = pull(&fit.posterior.precision, &rows);
            let pair = |(row, influence): (&Row, &[f64])| HeldOutPair {
                fitted: row.fitted,
                held_out: row.fitted + dot(influence, &pull),
            };
            Ok(members.iter().copied().zip(rows.iter().zip(quadratic.chunks_exact(rows.len())).map(pair)).collect())
        })
        .collect::<Result<_>>()?;
    let mut pairs: Vec<(usize, HeldOutPair)> = moved.into_iter().flatten().collect();
    pairs.sort_unstable_by_key(|&(index, _)| index);
    Ok(pairs.into_iter().map(|(_, pair)| pair).collect())
}

/// How the scores of some texts or pairs would move if each comparison were left out: the change of w·vⱼ for every
/// comparison (rows) and every standardised direction vⱼ (columns), row-major.
///
/// # Errors
/// [`Error::Numeric`] when candle's matrix product fails; what reading a row reports.
pub fn influence(
    features: &dyn FeatureRows,
    comparisons: &[Comparison],
    fit: &Fit,
    directions: &[Vec<f64>],
) -> Result<Vec<f64>> {
    let precision = &fit.posterior.precision;
    let solved: Vec<f64> =
        directions.par_iter().map(|direction| precision.solve(direction)).collect::<Vec<_>>().concat();
    let width = features.width();
    let mut changes = Vec::with_capacity(comparisons.len() * directions.len());
    for comparisons in comparisons.chunks(BLOCK_ROWS) {
        let rows = rows(features, comparisons, fit)?;
        let pulls: Vec<f64> = rows.par_iter().map(|row| pull(precision, std::slice::from_ref(row)).1[0]).collect();
        let scaled: Vec<f64> = rows
            .iter()
            .zip(&pulls)
            .flat_map(|(row, pull)| row.difference.iter().map(move |value| pull * value))
            .collect();
        let product = outer_product(&scaled, &solved, width).map_err(|error| {
            Error::Numeric(vec![Fault::new("head", format!("the influence cannot be computed: {error}"))])
        })?;
        changes.extend(product);
    }
    Ok(changes)
}

fn rows(features: &dyn FeatureRows, comparisons: &[Comparison], fit: &Fit) -> Result<Vec<Row>> {
    let standardiser = &fit.posterior.standardiser;
    let (mut chosen, mut rejected) = (vec![0f32; features.width()], vec![0f32; features.width()]);
    let likelihood = if fit.tie_parameter.is_some() { Likelihood::Davidson } else { Likelihood::BradleyTerry };
    let tie = fit.tie_parameter.unwrap_or(0.0);
    let mut rows = Vec::with_capacity(comparisons.len());
    for comparison in comparisons {
        features.copy_row(comparison.chosen, &mut chosen)?;
        features.copy_row(comparison.rejected, &mut rejected)?;
        let difference = standardiser.difference(&chosen, &rejected);
        let fitted = dot(&fit.standardised_weights, &difference);
        let preference = fit.smoothed(comparison.preference);
        let terms = likelihood.terms(fitted - comparison.margin, tie, preference);
        let (slope, curvature) = (comparison.weight * terms.slope, comparison.weight * terms.curvature);
        rows.push(Row { difference, fitted, terms: Terms { slope, curvature, ..terms } });
    }
    Ok(rows)
}

/// Q, row-major, and u of a group.
fn pull(precision: &Factor, group: &[Row]) -> (Vec<f64>, Vec<f64>) {
    let count = group.len();
    let mut quadratic = vec![0f64; count * count];
    match precision {
        // Half the work of solving both ways.
        Factor::Dense(factor) => {
            let solved: Vec<Vec<f64>> = group.iter().map(|row| factor.solve_lower(&row.difference)).collect();
            for left in 0..count {
                for right in 0..=left {
                    let value = dot(&solved[left], &solved[right]);
                    quadratic[left * count + right] = value;
                    quadratic[right * count + left] = value;
                }
            }
        }
        Factor::LowRank { .. } => {
            for (right, row) in group.iter().enumerate() {
                let solved = precision.solve(&row.difference);
                (0..count).for_each(|left| quadratic[left * count + right] = dot(&group[left].difference, &solved));
            }
        }
    }
    let mut system = vec![0f64; count * count];
    for (left, row) in group.iter().enumerate() {
        for right in 0..count {
            let unit = f64::from(u8::from(left == right));
            system[left * count + right] = unit - row.terms.curvature * quadratic[left * count + right];
        }
    }
    let mut pull: Vec<f64> = group.iter().map(|row| row.terms.slope).collect();
    eliminate(&mut system, &mut pull);
    (quadratic, pull)
}

/// Solves a small square system in place by Gaussian elimination with row exchanges.
fn eliminate(matrix: &mut [f64], right: &mut [f64]) {
    let count = right.len();
    for column in 0..count {
        let size = |row: &usize| matrix[row * count + column].abs();
        let pivot = (column..count).max_by(|left, other| size(left).total_cmp(&size(other))).unwrap_or(column);
        if pivot != column {
            (0..count).for_each(|index| matrix.swap(column * count + index, pivot * count + index));
            right.swap(column, pivot);
        }
        for row in column + 1..count {
            let factor = matrix[row * count + column] / matrix[column * count + column];
            let (above, below) = matrix.split_at_mut(row * count);
            let source = &above[column * count + column..(column + 1) * count];
            below[column..count].iter_mut().zip(source).for_each(|(target, value)| *target -= factor * value);
            right[row] -= factor * right[column];
        }
    }
    for column in (0..count).rev() {
        let solved = dot(&matrix[column * count + column + 1..(column + 1) * count], &right[column + 1..]);
        right[column] = (right[column] - solved) / matrix[column * count + column];
    }
}

#[cfg(test)]
mod tests;
