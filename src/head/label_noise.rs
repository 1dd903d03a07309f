//! Which labels are probably wrong: what a head says of a pair that has not seen its label, and that does not trust the
//! other labels blindly either.
//!
//! A label is wrong with probability ε. Given that, a label that the rest of the data gives probability s is right with
//! probability r = (1 − ε)s / ((1 − ε)s + ε(1 − s)); the head is fitted again with r in place of 1, and asked again
//! (expectation maximisation for noisy labels: Dawid & Skene 1979; Raykar et al. 2010, JMLR 11).

use super::leave_one_out::{HeldOutPair, LeaveOut, leave_one_out};
use super::{Comparison, Fit, FitSettings, fit};
use crate::error::Result;
use crate::features::FeatureRows;

/// The share of labels that is expected to be wrong: between the few percent of careful labelers and the quarter on which
/// crowds disagree.
const EXPECTED_NOISE: f64 = 0.1;
/// Times the head is fitted again; the ranking of the labels hardly moves after the first.
const ROUNDS: usize = 2;

/// For every comparison, in their order, what a head says of it that has not seen it, after doubting all labels.
///
/// `fitted` is the plain fit on `comparisons` by `settings`.
///
/// # Errors
/// As [`fit`].
pub fn doubt_labels(
    features: &dyn FeatureRows,
    comparisons: &[Comparison],
    fitted: &Fit,
    settings: &FitSettings,
) -> Result<Vec<HeldOutPair>> {
    let settings = FitSettings { l2: Some(fitted.l2), ..settings.clone() };
    let mut seen = leave_one_out(features, comparisons, fitted, LeaveOut::Pair)?;
    for _ in 0..ROUNDS {
        let doubted: Vec<Comparison> =
            comparisons.iter().zip(&seen).map(|(comparison, pair)| doubt(comparison, pair)).collect();
        let again = fit(features, &doubted, &settings)?;
        seen = leave_one_out(features, &doubted, &again, LeaveOut::Pair)?;
    }
    Ok(seen)
}

fn doubt(comparison: &Comparison, pair: &HeldOutPair) -> Comparison {
    let chance = pair.probability(1.0);
    let (right, wrong) = ((1.0 - EXPECTED_NOISE) * chance, EXPECTED_NOISE * (1.0 - chance));
    let trust = right / (right + wrong);
    let p = comparison.preference;
    Comparison { preference: trust * p + (1.0 - trust) * (1.0 - p), ..*comparison }
}

#[cfg(test)]
#[expect(clippy::print_stdout, reason = "tests print the figures they checked")]
mod tests {
    use super::*;
    use crate::head::tests::simulated;

    /// The share of (turned, kept) pairs of labels in which the turned one has the lower value.
    fn auc(values: &[f64], turned: &dyn Fn(usize) -> bool) -> f64 {
        let (mut below, mut all) = (0.0, 0.0);
        for (left, value) in values.iter().enumerate().filter(|(left, _)| turned(*left)) {
            for (right, other) in values.iter().enumerate().filter(|(right, _)| !turned(*right)) {
                assert!(left != right);
                all += 1.0;
                below += if value < other { 1.0 } else { 0.5 * f64::from(u8::from(value == other)) };
            }
        }
        below / all
    }

    #[test]
    fn turned_labels_are_found_better_than_by_the_plain_margin() {
        // More columns than the labels can decide well: a head learns its own labels by heart.
        let mut truth = vec![0.0; 60];
        truth[..6].copy_from_slice(&[1.5, -1.5, 1.2, 1.0, -1.0, 2.0]);
        let (mut plain_total, mut doubted_total) = (0.0, 0.0);
        for seed in 0..5 {
            let (features, mut pairs) = simulated(300, &truth, 40 + seed);
            for pair in pairs.iter_mut().step_by(10) {
                std::mem::swap(&mut pair.chosen, &mut pair.rejected);
            }
            let settings = FitSettings::with_l2(3.0);
            let fitted = fit(&features, &pairs, &settings).expect("convex");
            let plain = leave_one_out(&features, &pairs, &fitted, LeaveOut::Pair).expect("finite");
            let doubted = doubt_labels(&features, &pairs, &fitted, &settings).expect("finite");
            let turned = |index: usize| index.is_multiple_of(10);
            plain_total += auc(&plain.iter().map(|pair| pair.fitted).collect::<Vec<f64>>(), &turned) / 5.0;
            doubted_total +=
                auc(&doubted.iter().map(|pair| pair.probability(1.0)).collect::<Vec<f64>>(), &turned) / 5.0;
        }
        println!("AUC {doubted_total:.3} after doubting, {plain_total:.3} by the plain margin");
        assert!(doubted_total > plain_total + 0.01 && doubted_total > 0.75, "{doubted_total} {plain_total}");
    }
}
