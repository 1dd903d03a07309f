//! What a head does not know: the Laplace approximation of the posterior of its weights.
//!
//! Around the optimum the posterior of w is nearly normal with covariance Σ = (∇²L)⁻¹ = (Σᵢ cᵢ σ′ᵢ dᵢdᵢᵀ + λI)⁻¹
//! (MacKay 1992; for reward models: Daxberger et al. 2021, arXiv 2106.14806). The score of a text has no error by
//! itself, because a constant added to all scores changes nothing: what has one is the difference of two scores, or of a
//! score and the mean score of a reference.

use super::factor::Factor;
use super::likelihood::Likelihood;
use super::linear_algebra::add_scaled;
use super::low_rank;
use super::problem::Problem;
use super::standardise::Standardiser;
use super::{Comparison, DIFFERENCE_MEMORY, MlpHead};
use crate::error::{Error, Fault, Result};
use crate::features::Features;

/// Wider posteriors are kept as their leading directions: a whole factor would take more than 16 MiB and be slow to use.
const WIDEST_DENSE: usize = 2048;
/// Directions kept of a wide posterior.
const RANK: usize = 128;

/// The posterior of a head's weights on standardised features.
#[derive(Clone, Debug, PartialEq)]
pub struct Posterior {
    /// The precision matrix ∇²L.
    pub precision: Factor,
    /// To the coordinates of the weights.
    pub standardiser: Standardiser,
}

impl Posterior {
    /// Standard error of the difference of the raw scores of two feature vectors, `(width)` each.
    pub fn error_of_difference(&self, left: &[f32], right: &[f32]) -> f64 {
        self.precision.inverse_form(&self.standardiser.difference(left, right)).sqrt()
    }

    /// Standard error of the raw score of a feature vector relative to the mean score of texts whose mean feature
    /// vector is `origin`.
    pub fn error_relative_to(&self, features: &[f32], origin: &[f64]) -> f64 {
        self.precision.inverse_form(&self.standardiser.relative_to(features, origin)).sqrt()
    }
}

/// The precision of the weights at the optimum; Davidson's tie parameter is integrated out (Schur's complement), but for
/// wide features, where it is taken as known.
///
/// # Errors
/// [`Error::Numeric`] when it is not positive definite; what reading a row reports.
pub(super) fn precision(problem: &Problem<'_>, parameters: &[f64]) -> Result<Factor> {
    let (width, dimension) = (problem.width(), problem.dimension());
    if width > WIDEST_DENSE {
        let times = |vectors: &[f64]| problem.curvature_times(parameters, vectors);
        return low_rank::leading(width, RANK, problem.l2, &times);
    }
    let hessian = problem.hessian(parameters)?;
    let mut precision = vec![0f64; width * width];
    for (row, line) in precision.chunks_exact_mut(width).enumerate() {
        line.copy_from_slice(&hessian[row * dimension..row * dimension + width]);
        if dimension > width {
            let border = &hessian[width * dimension..width * dimension + width];
            add_scaled(line, -border[row] / hessian[dimension * dimension - 1], border);
        }
    }
    Factor::dense(&precision, width).ok_or_else(|| {
        let found = format!("the posterior is not positive definite at l2 = {}", problem.l2);
        Error::Numeric(vec![Fault::new("head", found).help("set a larger head.l2")])
    })
}

/// The prior precision of a last layer's weights on standardised hidden units, which AdamW does not state.
const LAST_LAYER_PRIOR: f64 = 1.0;

/// The posterior of the output weights of a head with a hidden layer, the hidden units taken as known (last-layer Laplace:
/// Kristiadi et al. 2020, arXiv 2002.10118), on the pairs it was trained on.
///
/// # Errors
/// [`Error::Numeric`] when no hidden unit varies.
pub fn last_layer_posterior(head: &MlpHead, features: &Features, comparisons: &[Comparison]) -> Result<Posterior> {
    let mut hidden = Features::new(head.hidden_biases.len());
    for row in 0..features.rows() {
        let units: Vec<f32> = head.hidden(features.row(row)).into_iter().map(|unit| unit as f32).collect();
        hidden.push(&units);
    }
    let standardiser = Standardiser::new(&hidden, comparisons)?;
    let mut problem = Problem::new(&hidden, comparisons, &standardiser, Likelihood::BradleyTerry, DIFFERENCE_MEMORY)?;
    problem.set_l2(LAST_LAYER_PRIOR);
    let scaled = head.output_weights.iter().zip(&standardiser.deviations);
    let precision = precision(&problem, &scaled.map(|(weight, deviation)| weight * deviation).collect::<Vec<f64>>())?;
    drop(problem);
    Ok(Posterior { precision, standardiser })
}
