//! The Bradley-Terry loss with its gradient and Hessian.
//!
//! For pair i with feature difference dᵢ = (h(aᵢ) − h(bᵢ)) / deviation, share pᵢ of labelers who prefer aᵢ, margin mᵢ
//! and weight cᵢ, let zᵢ = w·dᵢ − mᵢ. Then
//! L(w) = Σᵢ cᵢ [ −pᵢ log σ(zᵢ) − (1 − pᵢ) log σ(−zᵢ) ] + λ/2 ‖w‖²
//! (Bradley & Terry 1952; as a reward-model loss: Christiano et al. 2017, arXiv 1706.03741; with a margin: Touvron et
//! al. 2023, arXiv 2307.09288, equation 2).
//! ∇L = Σᵢ cᵢ (σ(zᵢ) − pᵢ) dᵢ + λw,  ∇²L = Σᵢ cᵢ σ(zᵢ) σ(−zᵢ) dᵢdᵢᵀ + λI.

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
    labels: Vec<Label>,
}

/// What a pair's labelers said.
#[derive(Clone, Copy)]
struct Label {
    preference: f64,
    margin: f64,
    weight: f64,
}

impl Label {
    /// The loss of a pair whose scores differ by `difference`, the margin taken off.
    fn loss(self, difference: f64) -> f64 {
        let p = self.preference;
        self.weight * (p * log_sigmoid(difference) + (1.0 - p) * log_sigmoid(-difference))
    }
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
        let label = |&Comparison { preference, margin, weight, .. }: &Comparison| Label { preference, margin, weight };
        Self { width, differences, labels: comparisons.iter().map(label).collect() }
    }

    /// The pairs at `rows`, in that order.
    pub(super) fn subset(&self, rows: &[usize]) -> Self {
        let differences = rows.iter().flat_map(|&row| self.row(row).iter().copied()).collect();
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        Self { width: self.width, differences, labels }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pairs.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn row(&self, index: usize) -> &[f64] {
        &self.differences[index * self.width..(index + 1) * self.width]
    }

    fn blocks(&self) -> impl IndexedParallelIterator<Item = (&[f64], &[Label])> {
        self.differences.par_chunks(BLOCK_ROWS * self.width.max(1)).zip(self.labels.par_chunks(BLOCK_ROWS))
    }

    /// Σ cᵢ.
    pub(super) fn total_weight(&self) -> f64 {
        self.labels.iter().map(|label| label.weight).sum()
    }

    /// Σ of the pairs' weighted losses with all margins 0, without the penalty: how badly σ(w·dᵢ) predicts the labels.
    ///
    /// A margin asks of the training that strong preferences stand further apart; it is no part of the probability
    /// that a difference of scores means, so what judges a fit leaves it out (as arXiv 2307.09288 does).
    pub fn plain_loss(&self, weights: &[f64]) -> f64 {
        let block = |(rows, labels): (&[f64], &[Label])| {
            let mut sum = 0.0;
            for (row, label) in rows.chunks_exact(self.width).zip(labels) {
                sum -= label.loss(dot(weights, row));
            }
            sum
        };
        self.blocks().map(block).collect::<Vec<f64>>().iter().sum()
    }

    /// L(w) and ∇L(w).
    pub fn loss_and_gradient(&self, weights: &[f64], l2: f64) -> (f64, Vec<f64>) {
        let block = |(rows, labels): (&[f64], &[Label])| {
            let (mut sum, mut gradient) = (0.0, vec![0f64; self.width]);
            for (row, label) in rows.chunks_exact(self.width).zip(labels) {
                let difference = dot(weights, row) - label.margin;
                sum -= label.loss(difference);
                add_scaled(&mut gradient, label.weight * (sigmoid(difference) - label.preference), row);
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
        let curvature = |row: &[f64], label: &Label| {
            let probability = sigmoid(dot(weights, row) - label.margin);
            label.weight * (probability * (1.0 - probability))
        };
        self.weighted_gram(curvature, l2)
    }

    /// A bound on every Hessian, ¼ Σ cᵢ dᵢdᵢᵀ + λI (Böhning & Lindsay 1988), used to precondition. It holds whatever
    /// the margins are: σσ′ is at most ¼ everywhere.
    ///
    /// # Errors
    /// [`Error::Numeric`] when candle's matrix product fails.
    pub(super) fn hessian_bound(&self, l2: f64) -> Result<Vec<f64>> {
        self.weighted_gram(|_, label| 0.25 * label.weight, l2)
    }

    /// Σᵢ fᵢ dᵢdᵢᵀ + λI by candle's f64 matrix product, block by block in order.
    fn weighted_gram(&self, factor: impl Fn(&[f64], &Label) -> f64 + Sync, l2: f64) -> Result<Vec<f64>> {
        let width = self.width;
        let mut sum = vec![0f64; width * width];
        let blocks = self.differences.chunks(8 * BLOCK_ROWS * width.max(1)).zip(self.labels.chunks(8 * BLOCK_ROWS));
        for (rows, labels) in blocks {
            let scaled: Vec<f64> = rows
                .par_chunks_exact(width)
                .zip(labels)
                .flat_map_iter(|(row, label)| {
                    let factor = factor(row, label);
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

    /// Margins and weights by index.
    type Labels = (fn(usize) -> f64, fn(usize) -> f64);

    const PLAIN: Labels = (|_| 0.0, |_| 1.0);
    const VARIED: Labels = (|index| (index * 7 % 5) as f64 * 0.37, |index| 0.125 + (index * 11 % 7) as f64 * 0.6);

    fn problem((margin, weight): Labels) -> Problem {
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
            margin: margin(index),
            weight: weight(index),
        };
        let comparisons: Vec<Comparison> = (0..12).map(comparison).collect();
        Problem::new(&features, &comparisons, &[1.0, 2.0, 0.5])
    }

    #[test]
    fn gradient_agrees_with_finite_differences_of_the_loss() {
        let (l2, step, weights) = (0.7, 1e-6, [0.3, -0.2, 0.9]);
        for problem in [problem(PLAIN), problem(VARIED)] {
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
    }

    #[test]
    fn hessian_agrees_with_finite_differences_of_the_gradient() {
        let (l2, step, weights) = (0.7, 1e-6, [0.3, -0.2, 0.9]);
        for problem in [problem(PLAIN), problem(VARIED)] {
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
    }

    #[test]
    fn bound_exceeds_the_hessian_in_every_direction() {
        for problem in [problem(PLAIN), problem(VARIED)] {
            let (hessian, bound) = (problem.hessian(&[1.0, 1.0, 1.0], 0.1), problem.hessian_bound(0.1));
            let (hessian, bound) = (hessian.expect("finite"), bound.expect("finite"));
            for angle in 0..60 {
                let angle = f64::from(angle) * 0.7;
                let direction = [angle.sin(), angle.cos(), (1.7 * angle).sin()];
                let along = |matrix: &[f64]| -> f64 {
                    (0..9).map(|index| direction[index / 3] * matrix[index] * direction[index % 3]).sum()
                };
                assert!(along(&bound) >= along(&hessian));
            }
        }
    }

    #[test]
    fn the_loss_is_the_one_of_the_formula() {
        // One pair of difference 2 at w = 1: z = 2 − 0.5; with p = 0.75 and c = 3.
        let mut features = Features::new(1);
        [2.0, 0.0].iter().for_each(|value| features.push(&[*value]));
        let comparison = Comparison { chosen: 0, rejected: 1, preference: 0.75, group: 0, margin: 0.5, weight: 3.0 };
        let problem = Problem::new(&features, &[comparison], &[1.0]);
        let by_hand = |z: f64| 3.0 * (0.75 * (1.0 + (-z).exp()).ln() + 0.25 * (1.0 + z.exp()).ln());
        assert!((problem.loss_and_gradient(&[1.0], 4.0).0 - (by_hand(1.5) + 2.0)).abs() < 1e-12);
        assert!((problem.plain_loss(&[1.0]) - by_hand(2.0)).abs() < 1e-12);
        assert_eq!(problem.total_weight(), 3.0);
    }
}
