//! L-BFGS with a preconditioner: for wide features, for differences that do not fit into memory, and for many nearby
//! fits at the price of one factorisation.
//!
//! Nocedal & Wright, Numerical Optimization, algorithm 7.4, with a [`Preconditioner`] for the initial inverse Hessian.

use std::collections::VecDeque;

use super::linear_algebra::{add_scaled, dot, norm};
use super::newton::{MOST_HALVINGS, NOISE, Point, SMALL_ENOUGH, Solution, accepted};
use super::preconditioner::Preconditioner;
use super::problem::Problem;
use crate::error::Result;

const MEMORY: usize = 10;
const MOST_ITERATIONS: usize = 1000;

/// A step with what it did to the gradient.
struct Update {
    step: Vec<f64>,
    change: Vec<f64>,
    preconditioned_change: Vec<f64>,
    curvature: f64,
}

/// A minimisation on its way: it says where it wants to look, and is told what was found there.
pub(super) struct Descent<'p> {
    preconditioner: &'p Preconditioner,
    /// Where it stands.
    point: Point,
    preconditioned_gradient: Vec<f64>,
    memory: VecDeque<Update>,
    direction: Vec<f64>,
    length: f64,
    target: f64,
    iterations: usize,
    halvings: usize,
}

impl<'p> Descent<'p> {
    /// From `point` until the gradient is at most `target`.
    pub(super) fn new(point: Point, target: f64, preconditioner: &'p Preconditioner) -> Self {
        let preconditioned_gradient = preconditioner.apply(&point.gradient);
        let (memory, direction) = (VecDeque::new(), preconditioned_gradient.clone());
        let (length, iterations, halvings) = (1.0, 0, 0);
        Self { preconditioner, point, preconditioned_gradient, memory, direction, length, target, iterations, halvings }
    }

    /// The parameters to look at next; `None` when the gradient is small enough, no step lowers the loss
    /// any more, or there were too many.
    pub(super) fn wants(&self) -> Option<Vec<f64>> {
        let done = norm(&self.point.gradient) <= self.target
            || self.iterations == MOST_ITERATIONS
            || self.halvings == MOST_HALVINGS;
        (!done).then(|| self.point.below(&self.direction, self.length))
    }

    /// Goes to `next`, which is what [`Descent::wants`] asked for, if it is better; or the next step is half as long.
    /// Says whether it went.
    pub(super) fn take(&mut self, next: Point) -> bool {
        if !self.point.yields_to(&next, &self.direction, self.length) {
            self.length *= 0.5;
            self.halvings += 1;
            return false;
        }
        let difference = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let preconditioned = self.preconditioner.apply(&next.gradient);
        let step = difference(&next.parameters, &self.point.parameters);
        let change = difference(&next.gradient, &self.point.gradient);
        let preconditioned_change = difference(&preconditioned, &self.preconditioned_gradient);
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            self.memory.truncate(MEMORY - 1);
            self.memory.push_front(Update { step, change, preconditioned_change, curvature });
        }
        (self.point, self.preconditioned_gradient) = (next, preconditioned);
        self.direction = self.next_direction();
        (self.length, self.halvings) = (1.0, 0);
        self.iterations += 1;
        true
    }

    /// The two-loop recursion: an approximate inverse Hessian times the gradient. The preconditioner is scaled to the
    /// curvature last seen (equation 7.20), which dies out where labels become separable.
    fn next_direction(&self) -> Vec<f64> {
        let mut rest = self.point.gradient.clone();
        let mut direction = self.preconditioned_gradient.clone();
        let mut factors = Vec::with_capacity(self.memory.len());
        for update in &self.memory {
            let factor = dot(&update.step, &rest) / update.curvature;
            add_scaled(&mut rest, -factor, &update.change);
            add_scaled(&mut direction, -factor, &update.preconditioned_change);
            factors.push(factor);
        }
        if let Some(last) = self.memory.front() {
            let scale = last.curvature / dot(&last.change, &last.preconditioned_change);
            // At rounding level it may be nothing of the kind.
            if scale.is_finite() && scale > 0.0 {
                direction.iter_mut().for_each(|value| *value *= scale);
            }
        }
        for (update, factor) in self.memory.iter().zip(factors).rev() {
            let correction = factor - dot(&update.change, &direction) / update.curvature;
            add_scaled(&mut direction, correction, &update.step);
        }
        direction
    }

    /// Euclidean norm of the gradient where it stands.
    pub(super) fn gradient_norm(&self) -> f64 {
        norm(&self.point.gradient)
    }

    /// Where it ended.
    fn solution(self) -> Solution {
        let gradient_norm = self.gradient_norm();
        Solution { parameters: self.point.parameters, gradient_norm, iterations: self.iterations }
    }
}

/// Minimises from the problem's start until the gradient is `tolerance` times its size there, or no step lowers
/// the loss any more.
///
/// # Errors
/// [`Error::Numeric`] when the loss leaves the numbers; what reading a row reports.
pub(super) fn minimise(problem: &Problem<'_>, preconditioner: &Preconditioner, tolerance: f64) -> Result<Solution> {
    let first = Point::at(problem, problem.start())?;
    let (start, weight) = (norm(&first.gradient), problem.total_weight());
    let mut descent = Descent::new(first, target(start, weight, tolerance), preconditioner);
    while let Some(parameters) = descent.wants() {
        descent.take(Point::at(problem, parameters)?);
    }
    let solution = descent.solution();
    accepted(weight, solution.gradient_norm, start, tolerance.max(SMALL_ENOUGH))?;
    Ok(solution)
}

/// How small the gradient of labels of some `weight` is to become that had the size `start`.
pub(super) fn target(start: f64, weight: f64, tolerance: f64) -> f64 {
    (tolerance * start).max(NOISE * weight)
}
