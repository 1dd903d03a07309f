//! Full Newton steps to the optimum of the strictly convex loss.

use super::linear_algebra::{Cholesky, add_scaled, dot, norm};
use super::problem::Problem;
use crate::error::{Error, Fault, Result};

/// The optimum and how well it was reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Solution {
    /// The minimiser, `(dimension)`.
    pub(super) parameters: Vec<f64>,
    /// ‖∇L‖ at the minimiser.
    pub(super) gradient_norm: f64,
    /// Steps taken.
    pub(super) iterations: usize,
}

/// Stop when the gradient is this small compared with the gradient at the start.
const RELATIVE_TOLERANCE: f64 = 1e-12;
/// Newton's error is squared by each step: one this short, compared with the parameters, leaves rounding. A small
/// gradient alone does not say so where a weak penalty makes the loss flat.
const SMALL_STEP: f64 = 1e-5;
/// What still counts as the optimum, where rounding stops the descent before.
pub(super) const SMALL_ENOUGH: f64 = 1e-6;
/// A gradient this small compared with the weight of all pairs is rounding noise of the sum it is. Where labels balance
/// (each pair as often one way as the other), the start has such a gradient, and its weights of exactly 0 are the optimum.
pub(super) const NOISE: f64 = 1e-15;
const MOST_ITERATIONS: usize = 200;

/// Minimises the penalised loss by Newton's method with step halving, from the problem's start.
///
/// # Errors
/// As [`minimise_from`].
pub(super) fn minimise(problem: &Problem<'_>) -> Result<Solution> {
    minimise_from(problem, problem.start())
}

/// As [`minimise`], from `parameters`.
///
/// # Errors
/// [`Error::Numeric`] when the Hessian is not positive definite, the loss leaves the numbers, or the gradient stays
/// above a millionth of its size at the problem's start.
pub(super) fn minimise_from(problem: &Problem<'_>, parameters: Vec<f64>) -> Result<Solution> {
    let first = Point::at(problem, problem.start())?;
    let start = norm(&first.gradient);
    let mut iterations = 0;
    let (mut point, mut moved) = if parameters == first.parameters {
        (first, 0.0)
    } else {
        // What an approximate method found is looked at once in any case.
        (Point::at(problem, parameters)?, f64::INFINITY)
    };
    let most = if start > NOISE * problem.total_weight() { MOST_ITERATIONS } else { 0 };
    while (norm(&point.gradient) > RELATIVE_TOLERANCE * start || moved > SMALL_STEP) && iterations < most {
        let hessian = problem.hessian(&point.parameters)?;
        let Some(factor) = Cholesky::new(&hessian, problem.dimension()) else {
            // Without a penalty the curvature of separable labels dies out on the way.
            if iterations > 0 {
                break;
            }
            return Err(not_convex(problem.l2));
        };
        let step = factor.solve(&point.gradient);
        let Some(next) = point.halve_until_better(problem, &step)? else { break };
        moved = norm(&step) / norm(&next.parameters).max(f64::MIN_POSITIVE);
        point = next;
        iterations += 1;
    }
    let gradient_norm = norm(&point.gradient);
    accepted(problem, gradient_norm, start, SMALL_ENOUGH)?;
    Ok(Solution { parameters: point.parameters, gradient_norm, iterations })
}

/// Whether a gradient is at most `share` of its size at the start, or rounding noise of the sum it is, so that its point
/// may be called the optimum.
///
/// # Errors
/// [`Error::Numeric`] when it is not.
pub(super) fn accepted(problem: &Problem<'_>, gradient_norm: f64, start: f64, share: f64) -> Result<()> {
    if gradient_norm <= share * start || gradient_norm <= 1e-12 * problem.total_weight() {
        return Ok(());
    }
    Err(Error::Numeric(vec![
        Fault::new(
            "head",
            format!("the optimum was not reached: gradient norm {gradient_norm:.1e}, {start:.1e} at the start"),
        )
        .help("a larger l2 makes the problem better conditioned"),
    ]))
}

/// Parameters with the loss and its gradient there.
pub(super) struct Point {
    pub(super) parameters: Vec<f64>,
    pub(super) loss: f64,
    pub(super) gradient: Vec<f64>,
}

impl Point {
    /// The point at `parameters`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when loss or gradient is not finite there; what reading a row reports.
    pub(super) fn at(problem: &Problem<'_>, parameters: Vec<f64>) -> Result<Self> {
        let (loss, gradient) = problem.loss_and_gradient(&parameters)?;
        if !loss.is_finite() || gradient.iter().any(|slope| !slope.is_finite()) {
            return Err(Error::Numeric(vec![
                Fault::new("head", "the loss is not a finite number").help("check margins and weights of the pairs"),
            ]));
        }
        Ok(Self { parameters, loss, gradient })
    }

    /// The first of the steps −1, −½, −¼ … along `step` that lowers the loss enough (Armijo), or, at rounding level,
    /// the gradient.
    ///
    /// # Errors
    /// As [`Point::at`].
    pub(super) fn halve_until_better(&self, problem: &Problem<'_>, step: &[f64]) -> Result<Option<Self>> {
        let slope = dot(&self.gradient, step);
        let mut length = 1.0;
        for _ in 0..40 {
            let mut parameters = self.parameters.clone();
            add_scaled(&mut parameters, -length, step);
            let next = Self::at(problem, parameters)?;
            let enough = next.loss <= self.loss - 1e-4 * length * slope;
            let level = (next.loss - self.loss).abs() <= 1e-12 * self.loss.abs();
            if enough || level && norm(&next.gradient) < norm(&self.gradient) {
                return Ok(Some(next));
            }
            length *= 0.5;
        }
        Ok(None)
    }
}

fn not_convex(l2: f64) -> Error {
    Error::Numeric(vec![
        Fault::new("head", format!("the Hessian is not positive definite at l2 = {l2}")).help("set a larger head.l2"),
    ])
}
