//! Full Newton steps to the optimum of the strictly convex loss.

use super::bradley_terry::Problem;
use super::linear_algebra::{Cholesky, add_scaled, dot, norm};
use crate::error::{Error, Fault, Result};

/// The optimum and how well it was reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The minimiser, `(width)`.
    pub weights: Vec<f64>,
    /// ‖∇L‖ at the minimiser.
    pub gradient_norm: f64,
    /// Newton steps taken.
    pub iterations: usize,
}

/// Stop when the gradient is this small compared with the gradient at zero.
const RELATIVE_TOLERANCE: f64 = 1e-12;
const MOST_ITERATIONS: usize = 200;

/// Minimises the penalised Bradley-Terry loss by Newton's method with step halving.
///
/// # Errors
/// [`Error::Numeric`] when the Hessian is not positive definite or the gradient stays above a millionth of its start.
pub fn minimise(problem: &Problem, l2: f64) -> Result<Solution> {
    let mut point = Point::at(problem, l2, vec![0f64; problem.width()]);
    let start = norm(&point.gradient);
    let mut iterations = 0;
    while norm(&point.gradient) > RELATIVE_TOLERANCE * start && iterations < MOST_ITERATIONS {
        let hessian = problem.hessian(&point.weights, l2)?;
        let factor = Cholesky::new(&hessian, problem.width()).ok_or_else(|| not_convex(l2))?;
        let step = factor.solve(&point.gradient);
        let Some(next) = halve_until_better(problem, l2, &point, &step) else { break };
        point = next;
        iterations += 1;
    }
    let gradient_norm = norm(&point.gradient);
    if gradient_norm <= 1e-6 * start {
        return Ok(Solution { weights: point.weights, gradient_norm, iterations });
    }
    Err(Error::Numeric(vec![
        Fault::new(
            "head",
            format!("the optimum was not reached: gradient norm {gradient_norm:.1e}, {start:.1e} at the start"),
        )
        .help("a larger l2 makes the problem better conditioned"),
    ]))
}

/// Weights with the loss and its gradient there.
struct Point {
    weights: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
}

impl Point {
    fn at(problem: &Problem, l2: f64, weights: Vec<f64>) -> Self {
        let (loss, gradient) = problem.loss_and_gradient(&weights, l2);
        Self { weights, loss, gradient }
    }
}

/// The first of the steps 1, ½, ¼ … that lowers the loss enough (Armijo), or, at rounding level, the gradient.
fn halve_until_better(problem: &Problem, l2: f64, point: &Point, step: &[f64]) -> Option<Point> {
    let slope = dot(&point.gradient, step);
    let mut length = 1.0;
    for _ in 0..40 {
        let mut weights = point.weights.clone();
        add_scaled(&mut weights, -length, step);
        let next = Point::at(problem, l2, weights);
        let enough = next.loss <= point.loss - 1e-4 * length * slope;
        let level = (next.loss - point.loss).abs() <= 1e-12 * point.loss.abs();
        if enough || level && norm(&next.gradient) < norm(&point.gradient) {
            return Some(next);
        }
        length *= 0.5;
    }
    None
}

fn not_convex(l2: f64) -> Error {
    Error::Numeric(vec![
        Fault::new("head", format!("the Hessian is not positive definite at l2 = {l2}")).help("set a larger head.l2"),
    ])
}
