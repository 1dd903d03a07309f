//! How far a text lies from the training texts: Mahalanobis distance of its features, with a p-value.
//!
//! The covariance of the training features is shrunk towards a multiple of the identity (Ledoit & Wolf 2004, J.
//! Multivariate Analysis 88), so that it can be inverted whatever the numbers of texts and columns. The p-value compares
//! the distance with those of texts that were not trained on: (1 + how many lie as far) / (n + 1), which is valid
//! whatever the distribution (Vovk et al. 2005: a conformal p-value). As an out-of-distribution score: Lee et al. 2018,
//! arXiv 1807.03888.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::factor::Factor;
use super::linear_algebra::{add_lower_product, mirror_lower, norm};
use super::standardise::Standardiser;
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;

/// Most held-out distances kept; more are thinned to evenly spaced order statistics.
const MOST_DISTANCES: usize = 1024;
/// Wider features are compared column by column: their covariance would not be estimated well, nor be cheap to keep.
const WIDEST_COVARIANCE: usize = 2048;
/// Rows handled as one block.
const BLOCK_ROWS: usize = 512;

/// The distribution of the training features.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingDistribution {
    /// Means and deviations of the columns.
    pub standardiser: Standardiser,
    /// The shrunk covariance of the standardised features; `None` for wide ones, whose columns are taken as
    /// uncorrelated.
    pub covariance: Option<Factor>,
    /// Distances of held-out texts, ascending.
    pub distances: Vec<f64>,
}

impl TrainingDistribution {
    /// The distribution of the rows `training`, compared with the rows `held_out`; both ascending.
    ///
    /// # Errors
    /// [`Error::Numeric`] when no feature varies or there is no held-out row; what reading a row reports.
    pub fn fit(features: &dyn FeatureRows, training: &[usize], held_out: &[usize]) -> Result<Self> {
        let standardiser = Standardiser::over(features, training)?;
        let covariance = match features.width() {
            width if width > WIDEST_COVARIANCE => None,
            width => {
                let (covariance, _) = shrunk_covariance(features, &standardiser, training)?;
                let singular = || Fault::new("features", "their covariance is not positive definite");
                Some(Factor::dense(&covariance, width).ok_or_else(|| Error::Numeric(vec![singular()]))?)
            }
        };
        let mut distribution = Self { standardiser, covariance, distances: Vec::new() };
        let mut buffer = vec![0f32; features.width()];
        let mut distances = Vec::with_capacity(held_out.len());
        for &row in held_out {
            features.copy_row(row, &mut buffer)?;
            distances.push(distribution.distance(&buffer));
        }
        if distances.is_empty() {
            let found = "no held-out text to compare distances with";
            return Err(Error::Numeric(vec![Fault::new("features", found).accepts("at least one")]));
        }
        distances.sort_by(f64::total_cmp);
        distribution.distances = thin(distances);
        Ok(distribution)
    }

    /// The Mahalanobis distance of a feature vector from the training mean.
    pub fn distance(&self, features: &[f32]) -> f64 {
        let position = self.standardiser.position(features);
        match &self.covariance {
            Some(covariance) => covariance.inverse_form(&position).sqrt(),
            None => norm(&position),
        }
    }

    /// The share of held-out texts that lie at least as far, itself counted: in 1/(n + 1)..1.
    pub fn p_value(&self, distance: f64) -> f64 {
        let below = self.distances.partition_point(|known| *known < distance);
        (1 + self.distances.len() - below) as f64 / (self.distances.len() + 1) as f64
    }
}

fn thin(sorted: Vec<f64>) -> Vec<f64> {
    if sorted.len() <= MOST_DISTANCES {
        return sorted;
    }
    let last = sorted.len() - 1;
    (0..MOST_DISTANCES).map(|index| sorted[index * last / (MOST_DISTANCES - 1)]).collect()
}

/// (1 − δ)S + δμI over the standardised rows, row-major, and δ.
///
/// μ = tr S / width, d² = ‖S − μI‖²/width, b² = min(d², Σ ‖xxᵀ − S‖² / n² / width), δ = b²/d².
fn shrunk_covariance(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    rows: &[usize],
) -> Result<(Vec<f64>, f64)> {
    let (width, count) = (features.width(), rows.len() as f64);
    let mut covariance = vec![0f64; width * width];
    let mut fourth_powers = 0.0;
    let unmade = |error: candle_core::Error| {
        Error::Numeric(vec![Fault::new("features", format!("their covariance cannot be computed: {error}"))])
    };
    for block in rows.chunks(BLOCK_ROWS) {
        let position = |&row: &usize| {
            let mut buffer = vec![0f32; width];
            features.copy_row(row, &mut buffer)?;
            Ok(standardiser.position(&buffer))
        };
        let positions: Vec<Vec<f64>> = block.par_iter().map(position).collect::<Result<_>>()?;
        fourth_powers += positions.iter().map(|position| norm(position).powi(4)).sum::<f64>();
        let positions = Tensor::from_vec(positions.concat(), (block.len(), width), &Device::Cpu);
        positions.and_then(|matrix| add_lower_product(&mut covariance, &matrix, &matrix)).map_err(unmade)?;
    }
    mirror_lower(&mut covariance, width);
    covariance.iter_mut().for_each(|value| *value /= count);
    let trace: f64 = (0..width).map(|index| covariance[index * width + index]).sum();
    let size = trace / width as f64;
    let squares = norm(&covariance).powi(2);
    let spread = (squares - width as f64 * size * size).max(0.0);
    let noise = ((fourth_powers / count - squares) / count).clamp(0.0, spread);
    let share = if spread > 0.0 { noise / spread } else { 1.0 };
    // Features that are all on one line leave nothing to shrink by; a millionth keeps the matrix invertible.
    let share = share.max(1e-6);
    for (index, value) in covariance.iter_mut().enumerate() {
        let diagonal = if index / width == index % width { share * size } else { 0.0 };
        *value = (1.0 - share) * *value + diagonal;
    }
    Ok((covariance, share))
}

#[cfg(test)]
mod tests;
