//! The training problem of a head: the loss of all labels with its gradient and Hessian.
//!
//! For pair i with standardised difference dᵢ, share pᵢ, margin mᵢ and weight cᵢ, let zᵢ = w·dᵢ − mᵢ. Then
//! L(w) = Σᵢ cᵢ ℓ(zᵢ; pᵢ) + Σ rankings + ½ wᵀQw + λ/2 ‖w‖²
//! with ℓ of [`Likelihood`] (Bradley & Terry 1952, as a reward-model loss: Christiano et al. 2017, arXiv 1706.03741; with
//! a margin: Touvron et al. 2023, arXiv 2307.09288, equation 2; Davidson 1970) and rankings as in [`Ranking`]. Q holds
//! quadratic penalties: centring and soft control. Davidson's θ is the last parameter and is not penalised.
//!
//! Differences are kept where they fit into memory; otherwise they are made anew, block by block, on every pass, from
//! features in memory or on disk. Both give the same bits.

mod block;
mod differences;
mod folds;
mod sparse;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::Comparison;
use super::likelihood::{Likelihood, Terms, is_tie};
use super::linear_algebra::{add_scaled, dot, mirror_lower};
use super::plackett_luce::Ranking;
use super::standardise::Standardiser;
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;
use block::{Block, Row};
use differences::Differences;
pub(super) use folds::{Evaluation, Folds, Trial};

/// Rows handled as one block. Blocks are summed in order, so the result does not depend on the threads.
const BLOCK_ROWS: usize = 512;
/// Gradients of blocks that are held at a time.
const GRADIENTS_AT_ONCE: usize = 64;

/// What a pair's labelers said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) preference: f64,
    pub(super) margin: f64,
    pub(super) weight: f64,
    pub(super) group: u64,
}

/// The differences of all pairs, their labels, rankings and penalties.
pub(super) struct Problem<'a> {
    width: usize,
    differences: Differences<'a>,
    labels: Vec<Label>,
    likelihood: Likelihood,
    pub(super) rankings: Vec<Ranking>,
    /// Q, row-major `(width, width)`; empty for none.
    pub(super) quadratic: Vec<f64>,
    pub(super) l2: f64,
}

impl<'a> Problem<'a> {
    /// The problem of `comparisons`; their differences are kept when they need at most `memory` bytes, or are zero nearly
    /// everywhere.
    ///
    /// # Errors
    /// What reading a row reports.
    pub(super) fn new(
        features: &'a dyn FeatureRows,
        comparisons: &[Comparison],
        standardiser: &'a Standardiser,
        likelihood: Likelihood,
        memory: usize,
    ) -> Result<Self> {
        let width = features.width();
        let rows = comparisons.iter().map(|pair| (pair.chosen, pair.rejected)).collect();
        let differences = Differences::new(features, standardiser, rows, memory)?;
        let label = |&Comparison { preference, margin, weight, group, .. }: &Comparison| Label {
            preference,
            margin,
            weight,
            group,
        };
        let labels: Vec<Label> = comparisons.iter().map(label).collect();
        let (rankings, quadratic) = (Vec::new(), Vec::new());
        Ok(Self { width, differences, labels, likelihood, rankings, quadratic, l2: 0.0 })
    }

    /// Whether the differences are kept in memory.
    pub(super) fn is_kept(&self) -> bool {
        self.differences.is_kept()
    }

    /// The same problem with another penalty λ.
    pub(super) fn set_l2(&mut self, l2: f64) {
        self.l2 = l2;
    }

    /// Columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Parameters: the weights, and Davidson's θ.
    pub(super) fn dimension(&self) -> usize {
        self.width + usize::from(self.likelihood == Likelihood::Davidson)
    }

    /// Pairs.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The pairs' labels.
    pub(super) fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Σ cᵢ over pairs, and over the choices of rankings.
    pub(super) fn total_weight(&self) -> f64 {
        let pairs: f64 = self.labels.iter().map(|label| label.weight).sum();
        pairs + self.rankings.iter().map(Ranking::total_weight).sum::<f64>()
    }

    /// Where a solver starts: no preference, and the tie parameter that fits the share of ties then.
    pub(super) fn start(&self) -> Vec<f64> {
        let mut start = vec![0f64; self.dimension()];
        if self.likelihood == Likelihood::Davidson {
            let weight = |tie: bool| {
                let inside = self.labels.iter().filter(|label| is_tie(label.preference) == tie);
                inside.map(|label| label.weight).sum::<f64>()
            };
            start[self.width] = libm::log(2.0 * weight(true) / weight(false));
        }
        start
    }

    /// Davidson's θ among `parameters`; 0 without one.
    fn tie(&self, parameters: &[f64]) -> f64 {
        parameters.get(self.width).copied().unwrap_or(0.0)
    }

    /// `work` on the differences and labels of a block.
    fn with_block<T>(
        &self,
        block: usize,
        work: impl FnOnce(Block<'_>, &[Label]) -> candle_core::Result<T>,
    ) -> Result<T> {
        let (start, end) = (block * BLOCK_ROWS, ((block + 1) * BLOCK_ROWS).min(self.labels.len()));
        self.differences.with(start..end, |block| work(block, &self.labels[start..end]))?.map_err(failed)
    }

    /// Folds `work`, which gives so many `gradients` a block, over all blocks in their order, some in parallel, holding the
    /// results of a few at a time.
    fn fold_blocks<T: Send>(
        &self,
        gradients: usize,
        work: impl Fn(Block<'_>, &[Label]) -> candle_core::Result<T> + Sync,
        mut take: impl FnMut(T),
    ) -> Result<()> {
        let count = self.labels.len().div_ceil(BLOCK_ROWS);
        let at_once = (GRADIENTS_AT_ONCE / gradients.max(1)).max(rayon::current_num_threads());
        for first in (0..count).step_by(at_once) {
            let blocks = (first..(first + at_once).min(count)).into_par_iter();
            let results: Vec<T> = blocks.map(|block| self.with_block(block, &work)).collect::<Result<_>>()?;
            results.into_iter().for_each(&mut take);
        }
        Ok(())
    }

    /// w·dᵢ of every pair, without margins.
    pub(super) fn predictions(&self, weights: &[f64]) -> Result<Vec<f64>> {
        let mut all = Vec::with_capacity(self.len());
        let weights = &weights[..self.width];
        let block = |block: Block<'_>, labels: &[Label]| {
            Ok(block.labelled(labels).map(|(row, _)| row.dot(weights)).collect::<Vec<f64>>())
        };
        self.fold_blocks(1, block, |part| all.extend(part))?;
        Ok(all)
    }

    /// L and ∇L.
    ///
    /// # Errors
    /// What reading a row reports.
    pub(super) fn loss_and_gradient(&self, parameters: &[f64]) -> Result<(f64, Vec<f64>)> {
        let (weights, tie) = (&parameters[..self.width], self.tie(parameters));
        let block = |block: Block<'_>, labels: &[Label]| {
            let (mut sum, mut gradient) = (0.0, vec![0f64; self.dimension()]);
            let (along, beyond) = gradient.split_at_mut(self.width);
            for (row, label) in block.labelled(labels) {
                let terms = self.terms(weights, tie, row, label);
                sum += terms.loss;
                row.add_to(along, terms.slope);
                beyond.iter_mut().for_each(|slope| *slope += terms.tie_slope);
            }
            Ok((sum, gradient))
        };
        let mut loss = 0.5 * self.l2 * dot(weights, weights);
        let mut gradient: Vec<f64> = weights.iter().map(|weight| self.l2 * weight).collect();
        gradient.resize(self.dimension(), 0.0);
        loss += self.add_quadratic(1.0, weights, &mut gradient);
        self.fold_blocks(1, block, |(part_loss, part)| {
            loss += part_loss;
            add_scaled(&mut gradient, 1.0, &part);
        })?;
        for ranking in &self.rankings {
            loss += ranking.add_loss_and_gradient(weights, &mut gradient[..self.width]);
        }
        Ok((loss, gradient))
    }

    /// `share` of ½ wᵀQw; its gradient is added to `gradient`.
    fn add_quadratic(&self, share: f64, weights: &[f64], gradient: &mut [f64]) -> f64 {
        if self.quadratic.is_empty() {
            return 0.0;
        }
        let product: Vec<f64> = self.quadratic.chunks_exact(self.width).map(|row| dot(row, weights)).collect();
        add_scaled(gradient, share, &product);
        0.5 * share * dot(weights, &product)
    }

    /// One pair's weighted terms.
    fn terms(&self, weights: &[f64], tie: f64, row: Row<'_>, label: &Label) -> Terms {
        let terms = self.likelihood.terms(row.dot(weights) - label.margin, tie, label.preference);
        Terms {
            loss: label.weight * terms.loss,
            slope: label.weight * terms.slope,
            tie_slope: label.weight * terms.tie_slope,
            curvature: label.weight * terms.curvature,
            mixed_curvature: label.weight * terms.mixed_curvature,
            tie_curvature: label.weight * terms.tie_curvature,
        }
    }

    /// ∇²L, row-major `(dimension, dimension)`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when candle's matrix product fails; what reading a row reports.
    pub(super) fn hessian(&self, parameters: &[f64]) -> Result<Vec<f64>> {
        let mut hessian = self.curvature(parameters)?;
        (0..self.width).for_each(|index| hessian[index * self.dimension() + index] += self.l2);
        Ok(hessian)
    }

    /// ∇²L without the penalty λ.
    ///
    /// # Errors
    /// As [`Problem::hessian`].
    pub(super) fn curvature(&self, parameters: &[f64]) -> Result<Vec<f64>> {
        let (width, dimension) = (self.width, self.dimension());
        let (weights, tie) = (&parameters[..width], self.tie(parameters));
        let (mut gram, mut mixed, mut both) = (vec![0f64; width * width], vec![0f64; width], 0.0);
        for block in 0..self.labels.len().div_ceil(BLOCK_ROWS) {
            self.with_block(block, |block, labels| {
                let mut curvatures = Vec::with_capacity(labels.len());
                for (row, label) in block.labelled(labels) {
                    let terms = self.terms(weights, tie, row, label);
                    curvatures.push(terms.curvature);
                    if dimension > width {
                        row.add_to(&mut mixed, terms.mixed_curvature);
                        both += terms.tie_curvature;
                    }
                }
                block.add_lower_gram(&curvatures, &mut gram)
            })?;
        }
        mirror_lower(&mut gram, width);
        for ranking in &self.rankings {
            let rows = ranking.hessian_rows(weights);
            let part = transposed_product(&rows, &rows, rows.len() / width).map_err(failed)?;
            add_scaled(&mut gram, 1.0, &part);
        }
        if !self.quadratic.is_empty() {
            add_scaled(&mut gram, 1.0, &self.quadratic);
        }
        Ok(if dimension > width { bordered(&gram, &mixed, both) } else { gram })
    }
}

impl Problem<'_> {
    /// The diagonal of the curvature at the start, for problems too wide for a matrix.
    ///
    /// # Errors
    /// What reading a row reports.
    pub(super) fn diagonal_curvature(&self) -> Result<Vec<f64>> {
        let start = self.start();
        let (weights, tie) = (&start[..self.width], self.tie(&start));
        let block = |block: Block<'_>, labels: &[Label]| {
            let mut diagonal = vec![0f64; self.dimension()];
            let (along, beyond) = diagonal.split_at_mut(self.width);
            for (row, label) in block.labelled(labels) {
                let terms = self.terms(weights, tie, row, label);
                row.add_squares_to(along, terms.curvature);
                beyond.iter_mut().for_each(|sum| *sum += terms.tie_curvature);
            }
            Ok(diagonal)
        };
        let mut diagonal = vec![0f64; self.dimension()];
        self.fold_blocks(1, block, |part| add_scaled(&mut diagonal, 1.0, &part))?;
        for ranking in &self.rankings {
            for row in ranking.hessian_rows(weights).chunks_exact(self.width) {
                diagonal.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * value);
            }
        }
        let corner = |index: usize| self.quadratic.get(index * self.width + index).copied().unwrap_or(0.0);
        diagonal.iter_mut().take(self.width).enumerate().for_each(|(index, sum)| *sum += corner(index));
        Ok(diagonal)
    }
}

impl Problem<'_> {
    /// The weights' part of the curvature at `parameters` times some vectors, without ever making the matrix: row-major
    /// `(count, width)` in and out.
    ///
    /// # Errors
    /// [`Error::Numeric`] when candle's matrix product fails; what reading a row reports.
    pub(super) fn curvature_times(&self, parameters: &[f64], vectors: &[f64]) -> Result<Vec<f64>> {
        let (width, tie) = (self.width, self.tie(parameters));
        let weights = &parameters[..width];
        let count = vectors.len() / width;
        let block = |block: Block<'_>, labels: &[Label]| {
            let mut along = block.times(vectors, count)?;
            for ((row, label), line) in block.labelled(labels).zip(along.chunks_exact_mut(count)) {
                let curvature = self.terms(weights, tie, row, label).curvature;
                line.iter_mut().for_each(|value| *value *= curvature);
            }
            block.combined(along, count)
        };
        let mut product = vec![0f64; vectors.len()];
        self.fold_blocks(count, block, |part| add_scaled(&mut product, 1.0, &part))?;
        for (vector, sum) in vectors.chunks_exact(width).zip(product.chunks_exact_mut(width)) {
            for ranking in &self.rankings {
                for row in ranking.hessian_rows(weights).chunks_exact(width) {
                    add_scaled(sum, dot(row, vector), row);
                }
            }
            if !self.quadratic.is_empty() {
                let extra: Vec<f64> = self.quadratic.chunks_exact(width).map(|row| dot(row, vector)).collect();
                add_scaled(sum, 1.0, &extra);
            }
        }
        Ok(product)
    }
}

/// ABᵀ of two row-major matrices with `width` columns.
pub(super) fn outer_product(left: &[f64], right: &[f64], width: usize) -> candle_core::Result<Vec<f64>> {
    let matrix = |values: &[f64]| Tensor::from_slice(values, (values.len() / width.max(1), width), &Device::Cpu);
    matrix(left)?.matmul(&matrix(right)?.t()?)?.flatten_all()?.to_vec1()
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Numeric(vec![Fault::new("head", format!("a matrix product failed: {error}"))])
}

/// The matrix with one more row and column.
fn bordered(matrix: &[f64], border: &[f64], corner: f64) -> Vec<f64> {
    let rows = matrix.chunks_exact(border.len()).zip(border);
    let mut larger: Vec<f64> = rows.flat_map(|(row, end)| row.iter().chain([end]).copied()).collect();
    larger.extend(border);
    larger.push(corner);
    larger
}

/// AᵀB of two row-major matrices with `rows` rows.
pub(super) fn transposed_product(left: &[f64], right: &[f64], rows: usize) -> candle_core::Result<Vec<f64>> {
    let matrix = |values: &[f64]| Tensor::from_slice(values, (rows, values.len() / rows.max(1)), &Device::Cpu);
    matrix(left)?.t()?.matmul(&matrix(right)?)?.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests;
