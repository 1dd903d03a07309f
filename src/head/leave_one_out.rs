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
use super::linear_algebra::{add_scaled, dot};
use super::problem::outer_product;
use super::{Comparison, Fit};
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;
use crate::logistic::sigmoid;

/// Groups that are solved together.
const GROUPS_AT_ONCE: usize = 64;

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
    /// Standard error of that difference.
    pub held_out_error: f64,
}

impl HeldOutPair {
    /// The probability that the label favours the chosen answer, for a head that has not seen the pair or its group, at
    /// the given temperature: what the head does not know draws it towards ½ (MacKay 1992, Neural Computation 4:
    /// σ(z / √(1 + π s²/8)) for a normal z with standard error s).
    pub fn probability(&self, temperature: f64) -> f64 {
        let (z, error) = (self.held_out / temperature, self.held_out_error / temperature);
        sigmoid(z / (1.0 + std::f64::consts::PI * error * error / 8.0).sqrt())
    }
}

/// A pair's difference with what the likelihood says of it.
struct Row {
    difference: Vec<f64>,
    fitted: f64,
    terms: Terms,
}

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
    let seen: Vec<Vec<(usize, HeldOutPair)>> = groups
        .par_chunks(GROUPS_AT_ONCE)
        .map(|groups| {
            let members = groups.concat();
            let inside: Vec<Comparison> = members.iter().map(|&index| comparisons[index]).collect();
            let rows = rows(features, &inside, fit)?;
            let leverages = leverages(&fit.posterior.precision, &rows)?;
            let (mut pairs, mut start) = (Vec::with_capacity(members.len()), 0);
            for group in groups {
                let inside = start..start + group.len();
                pairs.extend(without(&rows[inside.clone()], &leverages[inside.clone()]));
                start = inside.end;
            }
            Ok(members.into_iter().zip(pairs).collect())
        })
        .collect::<Result<_>>()?;
    let mut seen: Vec<(usize, HeldOutPair)> = seen.into_iter().flatten().collect();
    seen.sort_unstable_by_key(|(index, _)| *index);
    Ok(seen.into_iter().map(|(_, pair)| pair).collect())
}

/// The pairs of a group as a head sees them that has seen none of them.
fn without(group: &[Row], leverages: &[Leverage]) -> Vec<HeldOutPair> {
    let count = group.len();
    let quadratic = quadratic(leverages);
    // (I − WQ) once for the pull of the slopes, and for every column of the variance Q (I − WQ)⁻¹.
    let mut right = vec![0f64; count * (count + 1)];
    for (index, row) in group.iter().enumerate() {
        right[index * (count + 1)] = row.terms.slope;
        right[index * (count + 1) + index + 1] = 1.0;
    }
    eliminate(&mut system(&quadratic, group), &mut right, count + 1);
    let along = |row: usize, column: usize| -> f64 {
        (0..count).map(|inner| quadratic[row * count + inner] * right[inner * (count + 1) + column]).sum()
    };
    let pair = |(index, row): (usize, &Row)| HeldOutPair {
        fitted: row.fitted,
        held_out: row.fitted + along(index, 0),
        held_out_error: along(index, index + 1).max(0.0).sqrt(),
    };
    group.iter().enumerate().map(pair).collect()
}

/// How the scores of some texts or pairs would move if a comparison were left out.
pub struct Influence<'a> {
    fit: &'a Fit,
    /// H⁻¹vⱼ, row-major `(directions, width)`.
    solved: Vec<f64>,
}

impl<'a> Influence<'a> {
    /// On w·vⱼ for standardised directions vⱼ, such as the differences of held-out pairs.
    pub fn new(fit: &'a Fit, directions: &[Vec<f64>]) -> Self {
        let precision = &fit.posterior.precision;
        let solved: Vec<Vec<f64>> = directions.par_iter().map(|direction| precision.solve(direction)).collect();
        Self { fit, solved: solved.concat() }
    }

    /// The change of every w·vⱼ (columns) when each of `comparisons`, which the fit was trained on, is left out (rows);
    /// row-major.
    ///
    /// # Errors
    /// [`Error::Numeric`] when candle's matrix product fails; what reading a row reports.
    pub fn changes(&self, features: &dyn FeatureRows, comparisons: &[Comparison]) -> Result<Vec<f64>> {
        let rows = rows(features, comparisons, self.fit)?;
        // For one pair (1 − ℓ″q) u = ℓ′.
        let pull = |row: &Row| {
            let leverage = self.fit.posterior.precision.inverse_form(&row.difference);
            row.terms.slope / (1.0 - row.terms.curvature * leverage)
        };
        let pulls: Vec<f64> = rows.par_iter().map(pull).collect();
        let scaled: Vec<f64> = rows
            .iter()
            .zip(&pulls)
            .flat_map(|(row, pull)| row.difference.iter().map(move |value| pull * value))
            .collect();
        outer_product(&scaled, &self.solved, features.width()).map_err(|error| {
            Error::Numeric(vec![Fault::new("head", format!("the influence cannot be computed: {error}"))])
        })
    }
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

/// Vectors of each row by which Qᵢⱼ = leftᵢ·rightⱼ.
struct Leverage {
    left: Vec<f64>,
    right: Vec<f64>,
}

/// Of each row; L⁻¹d on both sides, of the Cholesky factor L of H, is half the work of H⁻¹d on one.
fn leverages(precision: &Factor, rows: &[Row]) -> Result<Vec<Leverage>> {
    let Factor::Dense(factor) = precision else {
        let whole = |row: &Row| Leverage { left: row.difference.clone(), right: precision.solve(&row.difference) };
        return Ok(rows.iter().map(whole).collect());
    };
    let mut all: Vec<f64> = rows.iter().flat_map(|row| &row.difference).copied().collect();
    factor.solve_lower_rows(&mut all).map_err(|error| {
        Error::Numeric(vec![Fault::new("head", format!("the leverages cannot be computed: {error}"))])
    })?;
    let half = |row: &[f64]| Leverage { left: row.to_vec(), right: row.to_vec() };
    Ok(all.chunks_exact(precision.width()).map(half).collect())
}

/// Q of a group, row-major.
fn quadratic(group: &[Leverage]) -> Vec<f64> {
    group.iter().flat_map(|row| group.iter().map(|column| dot(&row.left, &column.right))).collect()
}

/// I − WQ.
fn system(quadratic: &[f64], group: &[Row]) -> Vec<f64> {
    let count = group.len();
    let entry = |index: usize| {
        let unit = f64::from(u8::from(index / count == index % count));
        unit - group[index / count].terms.curvature * quadratic[index]
    };
    (0..count * count).map(entry).collect()
}

/// Solves a small square system for `columns` right sides in place, by Gaussian elimination with row exchanges.
fn eliminate(matrix: &mut [f64], right: &mut [f64], columns: usize) {
    let count = right.len() / columns.max(1);
    for column in 0..count {
        let size = |row: &usize| matrix[row * count + column].abs();
        let pivot = (column..count).max_by(|left, other| size(left).total_cmp(&size(other))).unwrap_or(column);
        if pivot != column {
            (0..count).for_each(|index| matrix.swap(column * count + index, pivot * count + index));
            (0..columns).for_each(|index| right.swap(column * columns + index, pivot * columns + index));
        }
        for row in column + 1..count {
            let factor = matrix[row * count + column] / matrix[column * count + column];
            if factor != 0.0 {
                take_row(matrix, count, (row, column), factor);
                take_row(right, columns, (row, column), factor);
            }
        }
    }
    for column in (0..count).rev() {
        for below in column + 1..count {
            let factor = matrix[column * count + below];
            take_row(right, columns, (column, below), factor);
        }
        let pivot = matrix[column * count + column];
        right[column * columns..(column + 1) * columns].iter_mut().for_each(|value| *value /= pivot);
    }
}

/// row −= factor · other.
fn take_row(matrix: &mut [f64], width: usize, (row, other): (usize, usize), factor: f64) {
    let source = matrix[other * width..(other + 1) * width].to_vec();
    add_scaled(&mut matrix[row * width..(row + 1) * width], -factor, &source);
}

#[cfg(test)]
mod tests;
