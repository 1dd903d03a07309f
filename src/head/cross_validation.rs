//! The L2 penalty by grouped cross-validation: a prompt never stands in two folds.
//!
//! One curvature matrix of the whole problem serves all folds: scaled to a fold's share it is factored once per
//! penalty, and every fold's fit is preconditioned by that factor.

use rayon::prelude::*;

use super::lbfgs::{Preconditioner, minimise_from};
use super::problem::Problem;
use crate::error::{Error, Fault, Result};

/// Good enough to rank penalties: the held-out loss is then off by less than 1e-4, far less than its noise.
const TOLERANCE: f64 = 3e-4;
/// Wider problems are preconditioned by the diagonal alone: one factor a penalty would cost more than it saves.
const WIDEST_FACTOR: usize = 2048;

/// The candidate with the lowest held-out log-loss, and the mean log-loss of every candidate, ascending in λ.
///
/// The mean is weighted as the pairs are, and knows no margins ([`Problem::plain_loss`]). Each fold's path runs from the
/// strongest penalty to the weakest, each fit starting at the one before.
///
/// # Errors
/// [`Error::Numeric`] when there is no candidate or a fold's problem cannot be solved.
pub(super) fn choose_l2(problem: &Problem<'_>, grid: &[f64], folds: usize) -> Result<(f64, Vec<(f64, f64)>)> {
    let preconditioners = preconditioners(problem, grid, folds)?;
    let held_out: Vec<Vec<f64>> = (0..folds as u64)
        .into_par_iter()
        .map(|fold| {
            let inside = |group: u64| group % folds as u64 == fold;
            let (train, test) = (problem.subset(&|group| !inside(group)), problem.subset(&inside));
            path_losses(train, &test, grid, &preconditioners)
        })
        .collect::<Result<_>>()?;
    let mut totals = vec![0f64; grid.len()];
    for losses in held_out {
        totals.iter_mut().zip(losses).for_each(|(total, loss)| *total += loss);
    }
    let weight = problem.total_weight();
    let count = if weight > 0.0 { weight } else { 1.0 };
    let path: Vec<(f64, f64)> = grid.iter().zip(totals).map(|(l2, total)| (*l2, total / count)).collect();
    // Of equals the strongest penalty: it claims the least.
    let best = path.iter().rev().copied().min_by(|left, right| left.1.total_cmp(&right.1));
    let best = best.ok_or_else(|| Error::Numeric(vec![Fault::new("head.l2_grid", "no candidate to choose from")]))?;
    Ok((best.0, path))
}

/// One preconditioner per candidate, for a problem with one fold left out.
fn preconditioners(problem: &Problem<'_>, grid: &[f64], folds: usize) -> Result<Vec<Preconditioner>> {
    let share = 1.0 - 1.0 / folds as f64;
    let dimension = problem.dimension();
    if dimension > WIDEST_FACTOR {
        let diagonal = problem.diagonal_curvature()?;
        let of = |l2: &f64| Preconditioner::Diagonal(diagonal.iter().map(|value| share * value + l2).collect());
        return Ok(grid.iter().map(of).collect());
    }
    let curvature = problem.curvature(&problem.start())?;
    let scaled: Vec<f64> = curvature.iter().map(|value| share * value).collect();
    grid.par_iter().map(|l2| Preconditioner::factor(&scaled, problem, *l2)).collect()
}

/// Held-out loss of each candidate, in the grid's order.
fn path_losses(
    mut train: Problem<'_>,
    test: &Problem<'_>,
    grid: &[f64],
    preconditioners: &[Preconditioner],
) -> Result<Vec<f64>> {
    let mut losses = vec![0f64; grid.len()];
    let mut parameters = train.start();
    for (index, (&l2, preconditioner)) in grid.iter().zip(preconditioners).enumerate().rev() {
        train.set_l2(l2);
        parameters = minimise_from(&train, preconditioner, parameters, TOLERANCE)?.parameters;
        losses[index] = test.plain_loss(&parameters)?;
    }
    Ok(losses)
}
