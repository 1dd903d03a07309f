//! The L2 penalty by grouped cross-validation: a prompt never stands in two folds.

use rayon::prelude::*;

use super::bradley_terry::Problem;
use super::lbfgs::minimise_from;
use super::linear_algebra::Cholesky;
use super::{Comparison, FitSettings};
use crate::error::{Error, Fault, Result};

/// Good enough to rank penalties: the held-out loss is then off by less than 1e-4, far less than its noise.
const TOLERANCE: f64 = 3e-4;

/// The candidate with the lowest held-out log-loss, and the mean log-loss of every candidate, ascending in λ.
///
/// The mean is weighted as the pairs are, and knows no margins ([`Problem::plain_loss`]).
///
/// Each fold's path runs from the strongest penalty to the weakest, each fit starting at the one before.
///
/// # Errors
/// [`Error::Numeric`] when a fold's bound is not positive definite.
pub fn choose_l2(
    problem: &Problem,
    comparisons: &[Comparison],
    settings: &FitSettings,
) -> Result<(f64, Vec<(f64, f64)>)> {
    let fold_of = |comparison: &Comparison| (comparison.group % settings.folds as u64) as usize;
    let held_out: Vec<Result<Vec<f64>>> = (0..settings.folds)
        .into_par_iter()
        .map(|fold| {
            let inside = |index: &usize| fold_of(&comparisons[*index]) == fold;
            let (test, train): (Vec<usize>, Vec<usize>) = (0..problem.len()).partition(inside);
            path_losses(&problem.subset(&train), &problem.subset(&test), &settings.l2_grid)
        })
        .collect();
    let mut totals = vec![0f64; settings.l2_grid.len()];
    for losses in held_out {
        for (total, loss) in totals.iter_mut().zip(losses?) {
            *total += loss;
        }
    }
    let count = if problem.is_empty() { 1.0 } else { problem.total_weight() };
    let path: Vec<(f64, f64)> = settings.l2_grid.iter().zip(totals).map(|(l2, total)| (*l2, total / count)).collect();
    // Of equals the strongest penalty: it claims the least.
    let best = path.iter().rev().copied().min_by(|left, right| left.1.total_cmp(&right.1));
    let best = best.ok_or_else(|| Error::Numeric(vec![Fault::new("head.l2_grid", "no candidate to choose from")]))?;
    Ok((best.0, path))
}

/// Held-out loss of each candidate, in the grid's order.
fn path_losses(train: &Problem, test: &Problem, grid: &[f64]) -> Result<Vec<f64>> {
    let mut losses = vec![0f64; grid.len()];
    let mut weights = vec![0f64; train.width()];
    let mut bound = train.hessian_bound(0.0)?;
    let mut added = 0.0;
    for (index, &l2) in grid.iter().enumerate().rev() {
        (0..train.width()).for_each(|column| bound[column * train.width() + column] += l2 - added);
        added = l2;
        let factor = Cholesky::new(&bound, train.width())
            .ok_or_else(|| Error::Numeric(vec![Fault::new("head", "the features are not finite")]))?;
        weights = minimise_from(train, l2, &factor, weights, TOLERANCE);
        losses[index] = test.plain_loss(&weights);
    }
    Ok(losses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::head::newton::minimise;

    fn noisy_problem(labels: fn(usize) -> (f64, f64)) -> (Problem, Vec<Comparison>) {
        let mut features = Features::new(4);
        let noise = |seed: u64| (Digestish(seed).next() % 2000) as f32 / 1000.0 - 1.0;
        (0..160u64).for_each(|row| features.push(&[0, 1, 2, 3].map(|column| noise(row * 4 + column))));
        let comparisons: Vec<Comparison> = (0..80)
            .map(|index| {
                let (left, right) = (2 * index, 2 * index + 1);
                let truth = features.row(left)[0] - features.row(right)[0] + 0.8 * noise(9_000 + index as u64);
                let (chosen, rejected) = if truth > 0.0 { (left, right) } else { (right, left) };
                let (margin, weight) = labels(index);
                Comparison { chosen, rejected, preference: 1.0, group: index as u64 / 2, margin, weight }
            })
            .collect();
        (Problem::new(&features, &comparisons, &[1.0; 4]), comparisons)
    }

    /// A small fixed stream of numbers (splitmix64), so that the test needs no random crate.
    struct Digestish(u64);

    impl Digestish {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }
    }

    fn plain(_: usize) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn varied(index: usize) -> (f64, f64) {
        ((index % 4) as f64 * 0.3, 0.25 + (index % 5) as f64)
    }

    #[test]
    fn path_agrees_with_exact_fits_of_every_fold() {
        for labels in [plain, varied] {
            let (problem, comparisons) = noisy_problem(labels);
            let settings = FitSettings { l2: None, l2_grid: vec![0.01, 1.0, 100.0], folds: 4 };
            let (best, path) = choose_l2(&problem, &comparisons, &settings).expect("finite");
            let total: f64 = comparisons.iter().map(|comparison| comparison.weight).sum();
            let mut exact = vec![0f64; 3];
            for fold in 0..4u64 {
                let rows = |inside: bool| -> Vec<usize> {
                    (0..80).filter(|&index| (comparisons[index].group % 4 == fold) == inside).collect()
                };
                for (index, &l2) in settings.l2_grid.iter().enumerate() {
                    let solution = minimise(&problem.subset(&rows(false)), l2).expect("convex");
                    exact[index] += problem.subset(&rows(true)).plain_loss(&solution.weights) / total;
                }
            }
            for ((_, found), exact) in path.iter().zip(&exact) {
                assert!((found - exact).abs() < 1e-4, "{found} against {exact}");
            }
            let lowest = (0..3).min_by(|&a, &b| exact[a].total_cmp(&exact[b])).expect("three");
            assert_eq!(best.to_bits(), settings.l2_grid[lowest].to_bits());
        }
    }

    #[test]
    fn a_weight_of_three_counts_in_the_path_like_three_copies() {
        let (problem, comparisons) = noisy_problem(|index| (0.0, if index % 3 == 0 { 3.0 } else { 1.0 }));
        let rows: Vec<usize> = (0..80).flat_map(|index| vec![index; if index % 3 == 0 { 3 } else { 1 }]).collect();
        let (_, single) = noisy_problem(plain);
        let copies: Vec<Comparison> = rows.iter().map(|&row| single[row]).collect();
        let copied = noisy_problem(plain).0.subset(&rows);
        let settings = FitSettings { l2: None, l2_grid: vec![0.01, 1.0, 100.0], folds: 4 };
        let (best, path) = choose_l2(&problem, &comparisons, &settings).expect("finite");
        let (best_of_copies, path_of_copies) = choose_l2(&copied, &copies, &settings).expect("finite");
        assert_eq!(best.to_bits(), best_of_copies.to_bits());
        for (weighted, copied) in path.iter().zip(&path_of_copies) {
            assert!((weighted.1 - copied.1).abs() < 1e-9, "{} against {}", weighted.1, copied.1);
        }
    }
}
