//! The L2 penalty by grouped cross-validation: a prompt never stands in two folds.
//!
//! All penalties and folds are fitted side by side, so that a pass over the differences serves every one of them. One
//! curvature matrix of the whole problem, scaled to what a fold leaves, is factored once per penalty and preconditions
//! every fold's fit.

use rayon::prelude::*;

use super::lbfgs::{Descent, target};
use super::linear_algebra::norm;
use super::newton::accepted;
use super::preconditioner::Preconditioner;
use super::problem::{Evaluation, Folds, Problem, Trial};
use crate::error::{Error, Fault, Result};

/// Good enough to rank penalties: the held-out loss is then off by less than 1e-4, far less than its noise.
const TOLERANCE: f64 = 3e-4;

/// The fit of one penalty without one fold.
struct FoldFit<'p> {
    fold: u64,
    l2: f64,
    descent: Descent<'p>,
    /// Size of the gradient at the start.
    start: f64,
    /// The loss of the fold left out, where the descent stands.
    held_out: f64,
}

/// A penalty with how it came about.
pub(super) struct Choice {
    /// λ.
    pub(super) l2: f64,
    /// The mean held-out log-loss of every candidate, ascending in λ.
    pub(super) path: Vec<(f64, f64)>,
    /// What preconditioned its fits.
    pub(super) preconditioner: Option<Preconditioner>,
}

/// The candidate with the lowest held-out log-loss.
///
/// The mean is weighted as the pairs are, and knows no margins ([`Evaluation::held_out`]).
///
/// # Errors
/// [`Error::Numeric`] when there is no candidate or a fold's problem cannot be solved.
pub(super) fn choose_l2(problem: &Problem<'_>, grid: &[f64], folds: usize) -> Result<Choice> {
    if grid.is_empty() {
        return Err(Error::Numeric(vec![Fault::new("head.l2_grid", "no candidate to choose from")]));
    }
    let share = 1.0 - 1.0 / folds as f64;
    let mut preconditioners = Preconditioner::for_penalties(problem, grid, share)?;
    let left_out = Folds::new(problem, folds);
    let fits = descend(&left_out, begin(&left_out, &problem.start(), grid, &preconditioners)?)?;
    let weight = problem.total_weight();
    let count = if weight > 0.0 { weight } else { 1.0 };
    let total = |fits: &[FoldFit<'_>]| fits.iter().map(|fit| fit.held_out).sum::<f64>();
    let path: Vec<(f64, f64)> =
        grid.iter().zip(fits.chunks(folds)).map(|(l2, fits)| (*l2, total(fits) / count)).collect();
    // Of equals the strongest penalty: it claims the least.
    let best = (0..path.len()).rev().min_by(|&left, &right| path[left].1.total_cmp(&path[right].1)).unwrap_or(0);
    Ok(Choice { l2: path[best].0, path, preconditioner: Some(preconditioners.swap_remove(best)) })
}

/// Every penalty's fits at the start, fold by fold.
fn begin<'p>(
    folds: &Folds<'_, '_>,
    start: &[f64],
    penalties: &[f64],
    preconditioners: &'p [Preconditioner],
) -> Result<Vec<FoldFit<'p>>> {
    let mut trials = Vec::new();
    for &l2 in penalties {
        trials.extend((0..folds.count()).map(|fold| Trial { fold, l2, parameters: start.to_vec() }));
    }
    let kinds: Vec<(u64, f64)> = trials.iter().map(|trial| (trial.fold, trial.l2)).collect();
    let preconditioners = preconditioners.iter().flat_map(|one| (0..folds.count()).map(move |_| one));
    let fit = |(((fold, l2), preconditioner), Evaluation { point, held_out }): (_, Evaluation)| {
        let start = norm(&point.gradient);
        let target = target(start, folds.training_weight(fold), TOLERANCE);
        FoldFit { fold, l2, descent: Descent::new(point, target, preconditioner), start, held_out }
    };
    Ok(kinds.into_iter().zip(preconditioners).zip(folds.evaluate(trials)?).map(fit).collect())
}

/// Leads every fit to its optimum.
///
/// # Errors
/// [`Error::Numeric`] when one does not get there.
fn descend<'p>(folds: &Folds<'_, '_>, mut fits: Vec<FoldFit<'p>>) -> Result<Vec<FoldFit<'p>>> {
    loop {
        let (mut asking, mut trials): (Vec<&mut FoldFit<'p>>, Vec<Trial>) = (Vec::new(), Vec::new());
        for fit in &mut fits {
            if let Some(parameters) = fit.descent.wants() {
                trials.push(Trial { fold: fit.fold, l2: fit.l2, parameters });
                asking.push(fit);
            }
        }
        if trials.is_empty() {
            break;
        }
        asking.into_par_iter().zip(folds.evaluate(trials)?).for_each(|(fit, Evaluation { point, held_out })| {
            if fit.descent.take(point) {
                fit.held_out = held_out;
            }
        });
    }
    let reached = |fit: &FoldFit<'_>| {
        accepted(folds.training_weight(fit.fold), fit.descent.gradient_norm(), fit.start, TOLERANCE)
    };
    fits.iter().try_for_each(reached)?;
    Ok(fits)
}
