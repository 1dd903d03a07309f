//! L-BFGS with a preconditioner: for wide features, for differences that do not fit into memory, and for many nearby
//! fits at the price of one factorisation.
//!
//! Nocedal & Wright, Numerical Optimization, algorithm 7.4, with the initial inverse Hessian given by the curvature at
//! the start, where the logistic loss is steepest (Böhning & Lindsay 1988: it bounds the curvature everywhere).

use std::collections::VecDeque;

use super::linear_algebra::{Cholesky, add_scaled, dot, norm};
use super::newton::{NOISE, Point, SMALL_ENOUGH, Solution, accepted};
use super::problem::Problem;
use crate::error::{Error, Fault, Result};

const MEMORY: usize = 10;
const MOST_ITERATIONS: usize = 1000;

/// An approximate inverse of the Hessian.
pub(super) enum Preconditioner {
    /// The whole matrix, factored.
    Factor(Cholesky),
    /// Its diagonal.
    Diagonal(Vec<f64>),
}

impl Preconditioner {
    /// The factor of a curvature matrix with `l2` added to the weights' diagonal (not to Davidson's θ).
    ///
    /// # Errors
    /// [`Error::Numeric`] when it is not positive definite.
    pub(super) fn factor(curvature: &[f64], problem: &Problem<'_>, l2: f64) -> Result<Self> {
        let dimension = problem.dimension();
        let mut matrix = curvature.to_vec();
        (0..problem.width()).for_each(|index| matrix[index * dimension + index] += l2);
        let factor = Cholesky::new(&matrix, dimension);
        let singular = || Fault::new("head", "the features are collinear and l2 is 0").help("set a larger head.l2");
        factor.map(Self::Factor).ok_or_else(|| Error::Numeric(vec![singular()]))
    }

    fn apply(&self, vector: &[f64]) -> Vec<f64> {
        match self {
            Self::Factor(factor) => factor.solve(vector),
            Self::Diagonal(diagonal) => vector.iter().zip(diagonal).map(|(value, scale)| value / scale).collect(),
        }
    }
}

struct Update {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// Minimises from `parameters` until the gradient is `tolerance` times its size at the problem's start, or no step
/// lowers the loss any more.
///
/// # Errors
/// [`Error::Numeric`] when the loss leaves the numbers; what reading a row reports.
pub(super) fn minimise_from(
    problem: &Problem<'_>,
    preconditioner: &Preconditioner,
    parameters: Vec<f64>,
    tolerance: f64,
) -> Result<Solution> {
    let first = Point::at(problem, problem.start())?;
    let start = norm(&first.gradient);
    let target = (tolerance * start).max(NOISE * problem.total_weight());
    let mut point = if parameters == first.parameters { first } else { Point::at(problem, parameters)? };
    let mut memory: VecDeque<Update> = VecDeque::new();
    let mut iterations = 0;
    while norm(&point.gradient) > target && iterations < MOST_ITERATIONS {
        let direction = descent(&point.gradient, &memory, preconditioner);
        let Some(next) = point.halve_until_better(problem, &direction)? else { break };
        let difference = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let step = difference(&next.parameters, &point.parameters);
        let change = difference(&next.gradient, &point.gradient);
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            memory.truncate(MEMORY - 1);
            memory.push_front(Update { step, change, curvature });
        }
        point = next;
        iterations += 1;
    }
    let gradient_norm = norm(&point.gradient);
    accepted(problem, gradient_norm, start, tolerance.max(SMALL_ENOUGH))?;
    Ok(Solution { parameters: point.parameters, gradient_norm, iterations })
}

/// The two-loop recursion: an approximate inverse Hessian times the gradient.
fn descent(gradient: &[f64], memory: &VecDeque<Update>, preconditioner: &Preconditioner) -> Vec<f64> {
    let mut rest = gradient.to_vec();
    let mut factors = Vec::with_capacity(memory.len());
    for update in memory {
        let factor = dot(&update.step, &rest) / update.curvature;
        add_scaled(&mut rest, -factor, &update.change);
        factors.push(factor);
    }
    let mut direction = preconditioner.apply(&rest);
    for (update, factor) in memory.iter().zip(factors).rev() {
        let correction = factor - dot(&update.change, &direction) / update.curvature;
        add_scaled(&mut direction, correction, &update.step);
    }
    direction
}
