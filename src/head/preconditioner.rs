//! Approximate inverses of a Hessian from the curvature at the start, where the logistic loss is steepest (Böhning &
//! Lindsay 1988: it bounds the curvature everywhere).

use rayon::prelude::*;

use super::linear_algebra::Cholesky;
use super::problem::Problem;
use crate::error::{Error, Fault, Result};

/// Wider problems are preconditioned by the diagonal alone: a factor would cost more than it saves.
const WIDEST_FACTOR: usize = 2048;

/// An approximate inverse of the Hessian.
pub(super) enum Preconditioner {
    /// The whole matrix, factored.
    Factor(Cholesky),
    /// Its diagonal.
    Diagonal(Vec<f64>),
}

impl Preconditioner {
    /// One for each penalty λ, for fits on a `share` of the labels of `problem`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when the curvature is not positive definite; what reading a row reports.
    pub(super) fn for_penalties(problem: &Problem<'_>, penalties: &[f64], share: f64) -> Result<Vec<Self>> {
        // Davidson's θ, which is the last parameter, has no penalty.
        let (width, dimension) = (problem.width(), problem.dimension());
        if dimension > WIDEST_FACTOR {
            let diagonal = problem.diagonal_curvature()?;
            let with = |l2: &f64| {
                let penalised = |(index, value): (usize, &f64)| share * value + if index < width { *l2 } else { 0.0 };
                diagonal.iter().enumerate().map(penalised).map(|value| value.max(f64::MIN_POSITIVE)).collect()
            };
            return Ok(penalties.iter().map(with).map(Self::Diagonal).collect());
        }
        let mut curvature = problem.curvature(&problem.start())?;
        curvature.iter_mut().for_each(|value| *value *= share);
        let with = |l2: &f64| {
            let mut matrix = curvature.clone();
            (0..width).for_each(|index| matrix[index * dimension + index] += l2);
            let singular = || Fault::new("head", "the features are collinear and l2 is 0").help("set a larger head.l2");
            let factor = Cholesky::new(&matrix, dimension).map(Self::Factor);
            factor.ok_or_else(|| Error::Numeric(vec![singular()]))
        };
        penalties.par_iter().map(with).collect()
    }

    /// The approximate inverse times a vector.
    pub(super) fn apply(&self, vector: &[f64]) -> Vec<f64> {
        match self {
            Self::Factor(factor) => factor.solve(vector),
            Self::Diagonal(diagonal) => vector.iter().zip(diagonal).map(|(value, scale)| value / scale).collect(),
        }
    }
}
