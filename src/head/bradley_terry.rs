//! The Bradley-Terry loss with its gradient and Hessian.
//!
//! For pair i with feature difference dᵢ = (h(aᵢ) − h(bᵢ)) / deviation and share pᵢ of labelers who prefer aᵢ:
//! L(w) = Σᵢ [ −pᵢ log σ(w·dᵢ) − (1 − pᵢ) log σ(−w·dᵢ) ] + λ/2 ‖w‖²
//! (Bradley & Terry 1952; as a reward-model loss: Christiano et al. 2017, arXiv 1706.03741).
//! ∇L = Σᵢ (σ(w·dᵢ) − pᵢ) dᵢ + λw,  ∇²L = Σᵢ σ(w·dᵢ) σ(−w·dᵢ) dᵢdᵢᵀ + λI.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::Comparison;
use super::linear_algebra::{add_scaled, dot, norm};
use crate::error::{Error, Fault, Result};
use crate::features::Features;
use crate::logistic::{log_sigmoid, sigmoid};

/// Rows handled as one block. Blocks are summed in order, so the result does not depend on the threads.
const BLOCK_ROWS: usize = 512;

/// The differences of all pairs and their labels.
pub struct Problem {
    width: usize,
    /// Row-major `(pairs, width)`.
    differences: Vec<f64>,
    preferences: Vec<f64>,
}

impl Problem {
    /// Differences of standardised features; columns with deviation 0 become 0.
    pub fn new(features: &Features, comparisons: &[Comparison], deviations: &[f64]) -> Self {
        let width = features.width();
        let mut differences = Vec::with_capacity(comparisons.len() * width);
        for comparison in comparisons {
            let (chosen, rejected) = (features.row(comparison.chosen), features.row(comparison.rejected));
            for ((a, b), deviation) in chosen.iter().zip(rejected).zip(deviations) {
                let difference = f64::from(*a) - f64::from(*b);
                differences.push(if *deviation == 0.0 { 0.0 } else { difference / deviation });
            }
        }
        let preferences = comparisons.iter().map(|comparison| comparison.preference).collect();
        Self { width, differences, preferences }
    }

    /// The pairs at `rows`, in that order.
    pub(super) fn subset(&self, rows: &[usize]) -> Self {
        let differences = rows.iter().flat_map(|&row| self.row(row).iter().copied()).collect();
        let preferences = rows.iter().map(|&row| self.preferences[row]).collect();
        Self { width: self.width, differences, preferences }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pairs.
    pub fn len(&self) -> usize {
        self.preferences.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.preferences.is_empty()
    }

    fn row(&self, index: usize) -> &[f64] {
        &self.differences[index * self.width..(index + 1) * self.width]
    }

    fn blocks(&self) -> impl IndexedParallelIterator<Item = (&[f64], &[f64])> {
        self.differences.par_chunks(BLOCK_ROWS * self.width.max(1)).zip(self.preferences.par_chunks(BLOCK_ROWS))
    }

    /// Σ of the pairs' losses, without the penalty.
    pub fn data_loss(&self, weights: &[f64]) -> f64 {
        let block = |(rows, preferences): (&[f64], &[f64])| {
            let mut sum = 0.0;
            for (row, p) in rows.chunks_exact(self.width).zip(preferences) {
                let margin = dot(weights, row);
                sum -= p * log_sigmoid(margin) + (1.0 - p) * log_sigmoid(-margin);
            }
            sum
        };
        self.blocks().map(block).collect::<Vec<f64>>().iter().sum()
    }

    /// L(w) and ∇L(w).
    pub fn loss_and_gradient(&self, weights: &[f64], l2: f64) -> (f64, Vec<f64>) {
        let block = |(rows, preferences): (&[f64], &[f64])| {
            let (mut sum, mut gradient) = (0.0, vec![0f64; self.width]);
            for (row, p) in rows.chunks_exact(self.width).zip(preferences) {
                let margin = dot(weights, row);
                sum -= p * log_sigmoid(margin) + (1.0 - p) * log_sigmoid(-margin);
                add_scaled(&mut gradient, sigmoid(margin) - p, row);
            }
            (sum, gradient)
        };
        let parts: Vec<(f64, Vec<f64>)> = self.blocks().map(block).collect();
        let mut loss = 0.5 * l2 * norm(weights).powi(2);
        let mut gradient: Vec<f64> = weights.iter().map(|weight| l2 * weight).collect();
        for (part_loss, part) in parts {
            loss += part_loss;
            add_scaled(&mut gradient, 1.0, &part);
        }
        (loss, gradient)
    }

    /// ∇²L(w), row-major `(width, width)`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when candle's matrix product fails.
    pub fn hessian(&self, weights: &[f64], l2: f64) -> Result<Vec<f64>> {
        let curvature = |row: &[f64]| {
            let probability = sigmoid(dot(weights, row));
            probability * (1.0 - probability)
        };
        self.weighted_gram(curvature, l2)
    }

    /// A bound on every Hessian, ¼ Σ dᵢdᵢᵀ + λI (Böhning & Lindsay 1988), used to precondition.
    ///
    /// # Errors
    /// [`Error::Numeric`] when candle's matrix product fails.
    pub(super) fn hessian_bound(&self, l2: f64) -> Result<Vec<f64>> {
        self.weighted_gram(|_| 0.25, l2)
    }

    /// Σᵢ cᵢ dᵢdᵢᵀ + λI by candle's f64 matrix product, block by block in order.
    fn weighted_gram(&self, weight: impl Fn(&[f64]) -> f64 + Sync, l2: f64) -> Result<Vec<f64>> {
        let width = self.width;
        let mut sum = vec![0f64; width * width];
        for rows in self.differences.chunks(8 * BLOCK_ROWS * width.max(1)) {
            let scaled: Vec<f64> = rows
                .par_chunks_exact(width)
                .flat_map_iter(|row| {
                    let factor = weight(row);
                    row.iter().map(move |value| factor * value)
                })
                .collect();
            let product = transposed_product(rows, &scaled, width).map_err(|error| {
                Error::Numeric(vec![Fault::new("head", format!("the Hessian cannot be computed: {error}"))])
            })?;
            add_scaled(&mut sum, 1.0, &product);
        }
        (0..width).for_each(|index| sum[index * width + index] += l2);
        Ok(sum)
    }
}

/// AᵀB of two row-major matrices with `width` columns.
fn transposed_product(left: &[f64], right: &[f64], width: usize) -> candle_core::Result<Vec<f64>> {
    let rows = left.len() / width.max(1);
    let left = Tensor::from_slice(left, (rows, width), &Device::Cpu)?;
    let right = Tensor::from_slice(right, (rows, width), &Device::Cpu)?;
    left.t()?.matmul(&right)?.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Problem {
        let mut features = Features::new(3);
        for row in 0..12u32 {
            let value = |column: u32| ((row * 7 + column * 5) % 11) as f32 / 3.0 - 1.5;
            features.push(&[value(0), value(1), value(2)]);
        }
        let comparison = |index: usize| Comparison {
            chosen: index,
            rejected: (index * 5 + 1) % 12,
            preference: [1.0, 0.5, 0.8][index % 3],
            group: index as u64,
        };
        let comparisons: Vec<Comparison> = (0..12).map(comparison).collect();
        Problem::new(&features, &comparisons, &[1.0, 2.0, 0.5])
    }

    #[test]
    fn gradient_agrees_with_finite_differences_of_the_loss() {
        let (problem, l2, step) = (problem(), 0.7, 1e-6);
        let weights = [0.3, -0.2, 0.9];
        let (_, gradient) = problem.loss_and_gradient(&weights, l2);
        for index in 0..3 {
            let shifted = |by: f64| {
                let mut moved = weights;
                moved[index] += by;
                problem.loss_and_gradient(&moved, l2).0
            };
            let numeric = (shifted(step) - shifted(-step)) / (2.0 * step);
            assert!((gradient[index] - numeric).abs() < 1e-7, "{index}: {} against {numeric}", gradient[index]);
        }
    }

    #[test]
    fn hessian_agrees_with_finite_differences_of_the_gradient() {
        let (problem, l2, step) = (problem(), 0.7, 1e-6);
        let weights = [0.3, -0.2, 0.9];
        let hessian = problem.hessian(&weights, l2).expect("finite");
        for column in 0..3 {
            let gradient = |by: f64| {
                let mut moved = weights;
                moved[column] += by;
                problem.loss_and_gradient(&moved, l2).1
            };
            let (above, below) = (gradient(step), gradient(-step));
            for row in 0..3 {
                let numeric = (above[row] - below[row]) / (2.0 * step);
                assert!((hessian[row * 3 + column] - numeric).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn bound_exceeds_the_hessian_on_the_diagonal() {
        let problem = problem();
        let (hessian, bound) = (problem.hessian(&[1.0, 1.0, 1.0], 0.1), problem.hessian_bound(0.1));
        let (hessian, bound) = (hessian.expect("finite"), bound.expect("finite"));
        (0..3).for_each(|index| assert!(bound[index * 4] >= hessian[index * 4]));
    }
}
