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
    let mut weights = vec![0f64; problem.width()];
    let (mut loss, mut gradient) = problem.loss_and_gradient(&weights, l2);
    let start = norm(&gradient);
    let mut iterations = 0;
    while norm(&gradient) > RELATIVE_TOLERANCE * start && iterations < MOST_ITERATIONS {
        let hessian = problem.hessian(&weights, l2)?;
        let factor = Cholesky::new(&hessian, problem.width()).ok_or_else(|| not_convex(l2))?;
        let step = factor.solve(&gradient);
        let Some((next, next_loss, next_gradient)) = halve_until_better(problem, l2, &weights, loss, &gradient, &step)
        else {
            break;
        };
        (weights, loss, gradient) = (next, next_loss, next_gradient);
        iterations += 1;
    }
    let gradient_norm = norm(&gradient);
    if gradient_norm <= 1e-6 * start {
        return Ok(Solution { weights, gradient_norm, iterations });
    }
    Err(Error::Numeric(vec![
        Fault::new("head", format!("the optimum was not reached: gradient norm {gradient_norm:.1e}, {start:.1e} at the start"))
            .help("a larger l2 makes the problem better conditioned"),
    ]))
}

type Point = (Vec<f64>, f64, Vec<f64>);

/// The first of the steps 1, ½, ¼ … that lowers the loss enough (Armijo), or, at rounding level, the gradient.
fn halve_until_better(
    problem: &Problem,
    l2: f64,
    weights: &[f64],
    loss: f64,
    gradient: &[f64],
    step: &[f64],
) -> Option<Point> {
    let slope = dot(gradient, step);
    let mut length = 1.0;
    for _ in 0..40 {
        let mut next = weights.to_vec();
        add_scaled(&mut next, -length, step);
        let (next_loss, next_gradient) = problem.loss_and_gradient(&next, l2);
        let enough = next_loss <= loss - 1e-4 * length * slope;
        let rounding = (next_loss - loss).abs() <= 1e-12 * loss.abs() && norm(&next_gradient) < norm(gradient);
        if enough || rounding {
            return Some((next, next_loss, next_gradient));
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
