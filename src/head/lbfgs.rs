//! L-BFGS preconditioned by a fixed factor: many nearby fits for the price of one factorisation each.
//!
//! Used where a fit must be good but not exact (cross-validation). Nocedal & Wright, Numerical Optimization,
//! algorithm 7.4, with the initial inverse Hessian given by a Cholesky factor of the Böhning-Lindsay bound.

use std::collections::VecDeque;

use super::bradley_terry::Problem;
use super::linear_algebra::{Cholesky, add_scaled, dot, norm};

const MEMORY: usize = 8;
const MOST_ITERATIONS: usize = 100;

struct Update {
    step: Vec<f64>,
    change: Vec<f64>,
    curvature: f64,
}

/// Minimises from `weights` until the gradient is `tolerance` times its size at zero.
pub(super) fn minimise_from(
    problem: &Problem,
    l2: f64,
    bound: &Cholesky,
    weights: Vec<f64>,
    tolerance: f64,
) -> Vec<f64> {
    let zero = vec![0f64; problem.width()];
    let target = tolerance * norm(&problem.loss_and_gradient(&zero, l2).1);
    let mut weights = weights;
    let (mut loss, mut gradient) = problem.loss_and_gradient(&weights, l2);
    let mut memory: VecDeque<Update> = VecDeque::new();
    for _ in 0..MOST_ITERATIONS {
        if norm(&gradient) <= target {
            break;
        }
        let direction = descent(&gradient, &memory, bound);
        let slope = dot(&gradient, &direction);
        let mut length = 1.0;
        let accepted = loop {
            let mut next = weights.clone();
            add_scaled(&mut next, -length, &direction);
            let (next_loss, next_gradient) = problem.loss_and_gradient(&next, l2);
            if next_loss <= loss - 1e-4 * length * slope {
                break Some((next, next_loss, next_gradient));
            }
            length *= 0.5;
            if length < 1e-8 {
                break None;
            }
        };
        let Some((next, next_loss, next_gradient)) = accepted else { break };
        let difference = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (step, change) = (difference(&next, &weights), difference(&next_gradient, &gradient));
        let curvature = dot(&step, &change);
        if curvature > 0.0 {
            memory.truncate(MEMORY - 1);
            memory.push_front(Update { step, change, curvature });
        }
        (weights, loss, gradient) = (next, next_loss, next_gradient);
    }
    weights
}

/// The two-loop recursion: an approximate inverse Hessian times the gradient.
fn descent(gradient: &[f64], memory: &VecDeque<Update>, bound: &Cholesky) -> Vec<f64> {
    let mut rest = gradient.to_vec();
    let mut factors = Vec::with_capacity(memory.len());
    for update in memory {
        let factor = dot(&update.step, &rest) / update.curvature;
        add_scaled(&mut rest, -factor, &update.change);
        factors.push(factor);
    }
    let mut direction = bound.solve(&rest);
    for (update, factor) in memory.iter().zip(factors).rev() {
        let correction = factor - dot(&update.change, &direction) / update.curvature;
        add_scaled(&mut direction, correction, &update.step);
    }
    direction
}
