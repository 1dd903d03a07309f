//! Newton's steps to the optimum of the strictly convex loss; a factor of the Hessian serves as long as it does well.

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
/// A factor that makes the gradient this much smaller serves the next step too (chord steps: Ortega & Rheinboldt 1970,
/// section 7.1), which is then for nothing but the price of a gradient.
const CONTRACTION: f64 = 1e-3;
/// The error left by such a step is a part of the step, not its square.
const SMALL_CHORD: f64 = 1e-10;
/// What still counts as the optimum, where rounding stops the descent before.
pub(super) const SMALL_ENOUGH: f64 = 1e-6;
/// A gradient this small compared with the weight of all pairs is rounding noise of the sum it is. Where labels balance
/// (each pair as often one way as the other), the start has such a gradient, and its weights of exactly 0 are the optimum.
pub(super) const NOISE: f64 = 1e-15;
const MOST_ITERATIONS: usize = 200;
/// A step this often halved leads nowhere.
pub(super) const MOST_HALVINGS: usize = 40;

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
    let (mut kept, mut short) = (None, SMALL_STEP);
    while (norm(&point.gradient) > RELATIVE_TOLERANCE * start || moved > short) && iterations < most {
        let fresh = kept.is_none();
        let Some(factor) = kept.take().map_or_else(|| factor(problem, &point), |factor| Ok(Some(factor)))? else {
            // Without a penalty the curvature of separable labels dies out on the way.
            if iterations > 0 {
                break;
            }
            return Err(not_convex(problem.l2));
        };
        let step = factor.solve(&point.gradient);
        let Some(next) = point.halve_until_better(problem, &step)? else {
            if fresh {
                break;
            }
            continue;
        };
        moved = norm(&step) / norm(&next.parameters).max(f64::MIN_POSITIVE);
        short = if fresh { SMALL_STEP } else { SMALL_CHORD };
        kept = (norm(&next.gradient) <= CONTRACTION * norm(&point.gradient)).then_some(factor);
        point = next;
        iterations += 1;
    }
    let gradient_norm = norm(&point.gradient);
    accepted(problem.total_weight(), gradient_norm, start, SMALL_ENOUGH)?;
    Ok(Solution { parameters: point.parameters, gradient_norm, iterations })
}

/// The factor of the Hessian at `point`; `None` when it is not positive definite.
fn factor(problem: &Problem<'_>, point: &Point) -> Result<Option<Cholesky>> {
    Ok(Cholesky::new(&problem.hessian(&point.parameters)?, problem.dimension()))
}

/// Whether a gradient is at most `share` of its size at the start, or rounding noise of the sum of labels of that `weight`,
/// so that its point may be called the optimum.
///
/// # Errors
/// [`Error::Numeric`] when it is not.
pub(super) fn accepted(weight: f64, gradient_norm: f64, start: f64, share: f64) -> Result<()> {
    if gradient_norm <= share * start || gradient_norm <= 1e-12 * weight {
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
    /// `parameters` with the loss and its gradient there.
    ///
    /// # Errors
    /// [`Error::Numeric`] when one of them is not finite.
    pub(super) fn new(parameters: Vec<f64>, loss: f64, gradient: Vec<f64>) -> Result<Self> {
        if !loss.is_finite() || gradient.iter().any(|slope| !slope.is_finite()) {
            return Err(Error::Numeric(vec![
                Fault::new("head", "the loss is not a finite number").help("check margins and weights of the pairs"),
            ]));
        }
        Ok(Self { parameters, loss, gradient })
    }

    /// The point at `parameters`.
    ///
    /// # Errors
    /// As [`Point::new`]; what reading a row reports.
    pub(super) fn at(problem: &Problem<'_>, parameters: Vec<f64>) -> Result<Self> {
        let (loss, gradient) = problem.loss_and_gradient(&parameters)?;
        Self::new(parameters, loss, gradient)
    }

    /// The parameters `length` times `step` below.
    pub(super) fn below(&self, step: &[f64], length: f64) -> Vec<f64> {
        let mut parameters = self.parameters.clone();
        add_scaled(&mut parameters, -length, step);
        parameters
    }

    /// Whether `next`, which lies `length` times `step` below, has a loss that is low enough (Armijo), or, at rounding
    /// level, a smaller gradient.
    pub(super) fn yields_to(&self, next: &Self, step: &[f64], length: f64) -> bool {
        let enough = next.loss <= self.loss - 1e-4 * length * dot(&self.gradient, step);
        let level = (next.loss - self.loss).abs() <= 1e-12 * self.loss.abs();
        enough || level && norm(&next.gradient) < norm(&self.gradient)
    }

    /// The first of the steps −1, −½, −¼ … along `step` that is better.
    ///
    /// # Errors
    /// As [`Point::at`].
    fn halve_until_better(&self, problem: &Problem<'_>, step: &[f64]) -> Result<Option<Self>> {
        let mut length = 1.0;
        for _ in 0..MOST_HALVINGS {
            let next = Self::at(problem, self.below(step, length))?;
            if self.yields_to(&next, step, length) {
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
