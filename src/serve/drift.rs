//! Do the scores of the last texts still look like those of the reference?
//!
//! Drift never changes a score. It is a reason to look: a policy in training moves its scores on purpose, and a prompt
//! format or a domain that the heads never saw moves them by accident.

use std::collections::VecDeque;

/// How many of the last scores are compared with the reference.
pub(super) const WINDOW: usize = 512;

/// Fewer scores say nothing, and the drift is 0.
pub(super) const LEAST: usize = 128;

/// A drift above this many reference deviations is an alarm. Of 512 independent scores of the reference itself the mean
/// lies within 0.14 deviations in 999 of 1,000 windows; groups of answers to one prompt are alike and vary more.
pub(super) const THRESHOLD: f64 = 0.5;

/// The last raw scores of one objective, beside the reference it was normalized on.
#[derive(Clone, Debug)]
pub(super) struct Drift {
    mean: f64,
    deviation: f64,
    last: VecDeque<f64>,
}

impl Drift {
    /// Compares with a reference of this mean and standard deviation.
    pub(super) fn new(mean: f64, deviation: f64) -> Self {
        Self { mean, deviation, last: VecDeque::with_capacity(WINDOW) }
    }

    /// Takes one more score in and says how far the mean of the last [`WINDOW`] lies from the reference's, in
    /// reference deviations: |mean − reference mean| / reference deviation. 0 before [`LEAST`] scores, and where the
    /// reference does not vary.
    pub(super) fn push(&mut self, score: f64) -> f64 {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(score);
        if self.last.len() < LEAST || self.deviation <= 0.0 {
            return 0.0;
        }
        // Added anew every time: a running sum would gather rounding over millions of scores.
        let mean = self.last.iter().sum::<f64>() / self.last.len() as f64;
        let drift = (mean - self.mean).abs() / self.deviation;
        if drift.is_finite() { drift } else { f64::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normal numbers with the mean and the deviation asked for.
    fn normal(random: &mut crate::random::Random, mean: f64, deviation: f64) -> f64 {
        mean + deviation * random.normal()
    }

    #[test]
    fn the_drift_is_the_distance_of_the_means_of_the_last_window() {
        let mut drift = Drift::new(2.0, 4.0);
        assert!((1..LEAST).all(|_| drift.push(100.0) == 0.0), "too few scores");
        // Now a window of 512 scores, 0 to 511 in another order: their mean is 255.5.
        let last = (0..WINDOW).map(|index| drift.push((index * 37 % WINDOW) as f64)).last();
        assert_eq!(last, Some((255.5 - 2.0) / 4.0));
        assert_eq!(Drift::new(0.0, 0.0).push(1.0), 0.0);
    }

    #[test]
    fn a_shift_of_one_deviation_is_seen_within_500_scores_and_the_reference_never_alarms() {
        let mut random = crate::random::Random::new(7);
        for _ in 0..20 {
            let mut drift = Drift::new(-1.0, 3.0);
            let steady = (0..20_000).map(|_| drift.push(normal(&mut random, -1.0, 3.0))).fold(0.0, f64::max);
            assert!(steady < THRESHOLD, "{steady}");
            let shifted = (0..500).map(|_| drift.push(normal(&mut random, 2.0, 3.0))).last().unwrap_or(0.0);
            assert!(shifted > THRESHOLD, "{shifted}");
        }
    }
}
