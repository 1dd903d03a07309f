//! Which weights the labels ask for, and what other weights would change: pure functions over slices of `f64`.
//!
//! [`fit`] learns the weights of a weighted sum from holistic preferences, [`sweep`] walks over all weights, [`flip`]
//! says by which weights one preference turns round. All see the differences of the normalized scores of two answers;
//! no texts, no tensors, no tables. Sums run in a fixed order: same pairs, same bits, any number of threads.

mod cholesky;
mod fit;
mod flip;
mod likelihood;
mod pareto;
mod sweep;

pub use fit::{Dimension, Fit, MAX_OBJECTIVES, fit};
pub use flip::{Flip, Nearest, flip};
pub use pareto::front as pareto_front;
pub use sweep::{Sweep, SweepInput, SweepPoint, sweep};

/// Two answers to one prompt: how far their scores are apart, and what the labelers said.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Normalized score of the first answer minus that of the second, per objective.
    pub difference: Vec<f64>,
    /// Share of labelers who prefer the first answer, 0 to 1; ½ is a tie.
    pub preference: f64,
    /// The prompt's index: comparisons of one prompt are not independent.
    pub prompt: usize,
}

impl Comparison {
    /// Whether the labelers are tied.
    fn is_tie(&self) -> bool {
        (self.preference - 0.5).abs() < f64::EPSILON
    }

    /// 1 when the sign of `margin` is the labelers' preference, 0 when it is not, ½ when either is undecided.
    fn credit(&self, margin: f64) -> f64 {
        if margin == 0.0 || self.is_tie() {
            0.5
        } else {
            f64::from(u8::from((margin > 0.0) == (self.preference > 0.5)))
        }
    }
}

/// Σ wₖ δₖ in the order of the objectives.
fn margin(weights: &[f64], difference: &[f64]) -> f64 {
    weights.iter().zip(difference).map(|(weight, difference)| weight * difference).sum()
}

/// Share of comparisons that `weights` order as the labelers did, ties ½; `None` without comparisons.
pub fn accuracy(comparisons: &[Comparison], weights: &[f64]) -> Option<f64> {
    let credit = |comparison: &Comparison| comparison.credit(margin(weights, &comparison.difference));
    let credits: f64 = comparisons.iter().map(credit).sum();
    (!comparisons.is_empty()).then(|| credits / comparisons.len() as f64)
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_of_scores_and_of_labelers_count_half() {
        let comparison =
            |difference: [f64; 2], preference| Comparison { difference: difference.into(), preference, prompt: 0 };
        let comparisons = [
            comparison([1.0, 0.0], 1.0),  // right
            comparison([1.0, 0.0], 0.25), // wrong
            comparison([2.0, -1.0], 1.0), // no margin at weights 1, 2
            comparison([1.0, 3.0], 0.5),  // tied labelers
            comparison([-9.0, 1.0], 0.0), // right
        ];
        assert_eq!(accuracy(&comparisons, &[1.0, 2.0]), Some(3.0 / 5.0));
        assert_eq!(accuracy(&[], &[1.0]), None);
    }
}
