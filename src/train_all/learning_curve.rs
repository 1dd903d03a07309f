//! How accuracy grows with the number of pairs: the same head fitted on growing parts of the training prompts.

use rayon::prelude::*;

use super::columns::Columns;
use crate::assess::outcomes;
use crate::data::{Pair, Split};
use crate::evaluate::{accuracy, log_loss};
use crate::head::{Comparison, Fit, FitSettings, fit_head};
use crate::report::LearningPoint;

/// Parts of the training prompts, each holding those before it.
const PARTS: [f64; 6] = [1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 1.0];
/// A part with fewer pairs says nothing.
const FEWEST_PAIRS: usize = 20;

/// A point for each part that has enough pairs, with the penalty of `fitted`, which is the fit of the whole: it stands for
/// what is believed of the weights before any pair is seen.
pub(super) fn learning_curve(
    columns: &Columns<'_>,
    comparisons: &[Comparison],
    pairs: &[Pair],
    settings: &FitSettings,
    fitted: &Fit,
) -> Vec<LearningPoint> {
    let point = |part: f64| {
        // Prompts are drawn by digits of their digest that neither splits nor folds look at first.
        let inside = |comparison: &&Comparison| ((comparison.group >> 11) as f64) < part * (1u64 << 53) as f64;
        let some: Vec<Comparison> = comparisons.iter().filter(inside).copied().collect();
        if some.len() < FEWEST_PAIRS {
            return None;
        }
        let scores = if some.len() == comparisons.len() {
            columns.pooled_scores(&fitted.head)
        } else {
            let settings = FitSettings { l2: Some(fitted.l2), ..settings.clone() };
            // A small part may have only ties or none: then there is no such point.
            columns.pooled_scores(&fit_head(columns.pooled(), &some, &settings).ok()?)
        };
        let outcomes = outcomes(pairs, Split::Test, &|item| scores[item]);
        Some(LearningPoint { pairs: some.len(), accuracy: accuracy(&outcomes), log_loss: log_loss(&outcomes) })
    };
    // Half of the pairs at a time, as one part or as all the smaller ones.
    let (small, large) = PARTS.split_at(PARTS.len() - 2);
    let small: Vec<LearningPoint> = small.par_iter().filter_map(|&part| point(part)).collect();
    small.into_iter().chain(large.iter().filter_map(|&part| point(part))).collect()
}
