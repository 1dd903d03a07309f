//! Centred rewards: the penalty Σ c (r_chosen + r_rejected)², which keeps the scores of all prompts around zero.
//!
//! Eisenstein et al. 2023, arXiv 2312.09244; TRL's `center_rewards_coefficient` adds coefficient · mean of the squares to
//! its mean loss, and this adds coefficient · Σ c of them to the sum. With x the standardised features and b a bias,
//! r_a + r_b = w·s + 2b for s = x_a + x_b; the best bias is −w·s̄/2, which leaves ½ wᵀQw with
//! Q = 2 · coefficient · Σ c (s − s̄)(s − s̄)ᵀ.

use super::Comparison;
use super::linear_algebra::add_scaled;
use super::problem::transposed_product;
use super::standardise::Standardiser;
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;

/// Pairs handled as one block.
const BLOCK_ROWS: usize = 4096;

/// Adds Q to `quadratic` and gives s̄/2, by which the bias differs from one that centres the training items.
///
/// # Errors
/// [`Error::Numeric`] when candle's matrix product fails; what reading a row reports.
pub(super) fn add(
    quadratic: &mut Vec<f64>,
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    comparisons: &[Comparison],
    coefficient: f64,
) -> Result<Vec<f64>> {
    let width = features.width();
    let weight: f64 = comparisons.iter().map(|comparison| comparison.weight).sum();
    let mut mean = vec![0f64; width];
    for comparison in comparisons {
        add_scaled(&mut mean, comparison.weight / weight, &sum(features, standardiser, comparison)?);
    }
    quadratic.resize(width * width, 0.0);
    for block in comparisons.chunks(BLOCK_ROWS) {
        let mut rows = Vec::with_capacity(block.len() * width);
        for comparison in block {
            let factor = (2.0 * coefficient * comparison.weight).sqrt();
            let sum = sum(features, standardiser, comparison)?;
            rows.extend(sum.iter().zip(&mean).map(|(value, mean)| factor * (value - mean)));
        }
        let gram = transposed_product(&rows, &rows, rows.len() / width).map_err(|error| {
            Error::Numeric(vec![Fault::new("head", format!("the centring penalty cannot be computed: {error}"))])
        })?;
        add_scaled(quadratic, 1.0, &gram);
    }
    Ok(mean.iter().map(|value| 0.5 * value).collect())
}

/// s = x_a + x_b of one pair.
fn sum(features: &dyn FeatureRows, standardiser: &Standardiser, comparison: &Comparison) -> Result<Vec<f64>> {
    let mut buffer = vec![0f32; features.width()];
    features.copy_row(comparison.chosen, &mut buffer)?;
    let mut sum = standardiser.position(&buffer);
    features.copy_row(comparison.rejected, &mut buffer)?;
    add_scaled(&mut sum, 1.0, &standardiser.position(&buffer));
    Ok(sum)
}
