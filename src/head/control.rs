//! Bias control: what a head must not follow, such as an answer's length, is taken out of it or made to cost.
//!
//! For pairs i with standardised differences dᵢ and a probe's differences gᵢ (longer by so much), let sᵢ be the signed
//! rank of gᵢ, in −1..1. The direction a = Σ sᵢdᵢ / Σ sᵢ² is how the features move with the probe's rank, so w·a is the
//! slope of the score's differences on it. A constraint keeps w·a = 0: the head is fitted in the features without a. A
//! penalty adds ½ · strength · Σcᵢ · (w·a)². No label is used, so held-out texts may be among the pairs.
//!
//! That makes the score's differences zero on average along the probe's ranks, not their own ranks. A constrained head is
//! therefore fitted again with dᵢ weighed by rankᵢ/(w·dᵢ) of the fit before, until the rank correlation itself is zero.

use super::linear_algebra::{add_scaled, dot, norm};
use super::standardise::Standardiser;
use crate::config::ControlMode;
use crate::error::Result;
use crate::features::FeatureRows;

/// A probe that a head must not follow.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// The probe's value for each row of the features.
    pub values: Vec<f64>,
    /// How strictly.
    pub mode: ControlMode,
    /// Sets of (row, row); the control holds on each set by itself.
    pub pairs: Vec<Vec<(usize, usize)>>,
}

/// A direction shorter than this, after those before it are taken out, is rounding noise.
const NO_DIRECTION: f64 = 1e-9;

/// The orthonormal directions that the constraints among `controls` take out.
///
/// # Errors
/// What reading a row reports.
///
/// `weights` are those of the fit before on standardised features; `None` for the first.
pub(super) fn forbidden(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    controls: &[Control],
    weights: Option<&[f64]>,
) -> Result<Vec<Vec<f64>>> {
    let mut found: Vec<Vec<f64>> = Vec::new();
    for control in controls.iter().filter(|control| control.mode == ControlMode::Constraint) {
        for pairs in &control.pairs {
            let mut direction = direction(features, standardiser, (&control.values, pairs), weights)?;
            let length = norm(&direction);
            // Twice, because the first pass leaves rounding noise of the size of what it took out.
            for known in found.iter().chain(&found) {
                let share = dot(known, &direction);
                add_scaled(&mut direction, -share, known);
            }
            let rest = norm(&direction);
            if rest > NO_DIRECTION * length && length > 0.0 {
                found.push(direction.into_iter().map(|value| value / rest).collect());
            }
        }
    }
    Ok(found)
}

/// Adds the penalties among `controls` to the quadratic form Q; `weight` is Σcᵢ.
///
/// # Errors
/// What reading a row reports.
pub(super) fn add_penalties(
    quadratic: &mut Vec<f64>,
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    controls: &[Control],
    weight: f64,
) -> Result<()> {
    let width = features.width();
    for control in controls {
        let ControlMode::Penalty { strength } = control.mode else { continue };
        quadratic.resize(width * width, 0.0);
        for pairs in &control.pairs {
            let direction = direction(features, standardiser, (&control.values, pairs), None)?;
            for (row, value) in quadratic.chunks_exact_mut(width).zip(&direction) {
                add_scaled(row, strength * weight * value, &direction);
            }
        }
    }
    Ok(())
}

/// The largest rank correlation that a constraint leaves on one of its sets, for scores with these weights on standardised
/// features; 0 without a constraint.
///
/// # Errors
/// What reading a row reports.
pub(super) fn largest_correlation(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    controls: &[Control],
    weights: &[f64],
) -> Result<f64> {
    let mut largest = 0f64;
    for control in controls.iter().filter(|control| control.mode == ControlMode::Constraint) {
        for pairs in &control.pairs {
            let scores = score_differences(features, standardiser, pairs, weights)?;
            let probe: Vec<f64> = pairs.iter().map(|&(a, b)| control.values[a] - control.values[b]).collect();
            largest = largest.max(pair_rank_correlation(&scores, &probe).unwrap_or(0.0).abs());
        }
    }
    Ok(largest)
}

/// w·dᵢ of each pair.
fn score_differences(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    pairs: &[(usize, usize)],
    weights: &[f64],
) -> Result<Vec<f64>> {
    let (mut left, mut right) = (vec![0f32; features.width()], vec![0f32; features.width()]);
    let mut differences = Vec::with_capacity(pairs.len());
    for &(first, second) in pairs {
        features.copy_row(first, &mut left)?;
        features.copy_row(second, &mut right)?;
        differences.push(dot(weights, &standardiser.difference(&left, &right)));
    }
    Ok(differences)
}

/// a = Σ κᵢsᵢdᵢ / Σ sᵢ²; zero when the probe never differs. κᵢ is 1, or, after a fit, its rankᵢ/(w·dᵢ) over their mean.
fn direction(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    (values, pairs): (&[f64], &[(usize, usize)]),
    weights: Option<&[f64]>,
) -> Result<Vec<f64>> {
    let width = features.width();
    let differences: Vec<f64> = pairs.iter().map(|&(left, right)| values[left] - values[right]).collect();
    let mut ranks = signed_ranks(&differences);
    let squares: f64 = ranks.iter().map(|rank| rank * rank).sum();
    if let Some(weights) = weights {
        let scores = score_differences(features, standardiser, pairs, weights)?;
        let ratio = |(rank, score): (f64, &f64)| if *score == 0.0 { 0.0 } else { rank / score };
        let ratios: Vec<f64> = signed_ranks(&scores).into_iter().zip(&scores).map(ratio).collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
        ranks.iter_mut().zip(&ratios).for_each(|(rank, ratio)| *rank *= ratio / mean.max(f64::MIN_POSITIVE));
    }
    let mut direction = vec![0f64; width];
    let (mut left, mut right) = (vec![0f32; width], vec![0f32; width]);
    for (&(first, second), rank) in pairs.iter().zip(&ranks).filter(|(_, rank)| **rank != 0.0) {
        features.copy_row(first, &mut left)?;
        features.copy_row(second, &mut right)?;
        add_scaled(&mut direction, rank / squares, &standardiser.difference(&left, &right));
    }
    Ok(direction)
}

/// sign(gᵢ) · (rank of |gᵢ| among the values that differ from 0) / n, equal ranks shared; 0 for 0.
///
/// Up to scale and shift these are the ranks of gᵢ among all gᵢ and −gᵢ: which answer of a pair stands first decides
/// nothing.
pub fn signed_ranks(differences: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..differences.len()).filter(|&index| differences[index] != 0.0).collect();
    order.sort_by(|&left, &right| differences[left].abs().total_cmp(&differences[right].abs()));
    let zeros = (differences.len() - order.len()) as f64;
    let mut ranks = vec![0f64; differences.len()];
    let mut before = 0;
    for run in order.chunk_by(|&left, &right| differences[left].abs() == differences[right].abs()) {
        let rank = zeros + before as f64 + f64::midpoint(run.len() as f64, 0.0);
        for &index in run {
            ranks[index] = differences[index].signum() * rank / differences.len() as f64;
        }
        before += run.len();
    }
    ranks
}

/// The rank correlation of two differences over pairs: Spearman's over all (xᵢ, yᵢ) and (−xᵢ, −yᵢ), so that it does not
/// depend on which answer stands first. `None` when one of them never differs.
pub fn pair_rank_correlation(left: &[f64], right: &[f64]) -> Option<f64> {
    let (left, right) = (signed_ranks(left), signed_ranks(right));
    let correlation = dot(&left, &right) / (norm(&left) * norm(&right));
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signed_ranks_by_hand() {
        // |−3| is the largest of four, 1 and 1 share, 0 stays.
        assert_eq!(signed_ranks(&[1.0, -3.0, 0.0, 1.0]), [0.5, -0.75 - 0.125, 0.0, 0.5]);
    }

    /// Average ranks by counting, and Pearson's correlation of them.
    fn spearman(x: &[f64], y: &[f64]) -> f64 {
        let rank = |values: &[f64], value: f64| {
            let below = values.iter().filter(|other| **other < value).count() as f64;
            let equal = values.iter().filter(|other| **other == value).count() as f64;
            below + f64::midpoint(equal, 1.0)
        };
        let centre = f64::midpoint(x.len() as f64, 1.0);
        let (mut products, mut left, mut right) = (0.0, 0.0, 0.0);
        for (a, b) in x.iter().zip(y) {
            let (a, b) = (rank(x, *a) - centre, rank(y, *b) - centre);
            (products, left, right) = (products + a * b, left + a * a, right + b * b);
        }
        products / (left * right).sqrt()
    }

    proptest! {
        #[test]
        fn pair_rank_correlation_is_spearmans_of_both_directions(
            rows in proptest::collection::vec((-6i8..7, -6i8..7), 2..30)
        ) {
            let x: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            let y: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
            let both = |values: &[f64]| [values.to_vec(), values.iter().map(|v| 0.0 - v).collect()].concat();
            let truth = spearman(&both(&x), &both(&y));
            match pair_rank_correlation(&x, &y) {
                Some(found) => prop_assert!((found - truth).abs() < 1e-12, "{found} against {truth}"),
                None => prop_assert!(truth.is_nan()),
            }
        }
    }
}
