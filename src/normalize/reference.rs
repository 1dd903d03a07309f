//! What is known of the reference scores beside the normalizer fitted on them: how they are spread, and how far the
//! farthest lies out.

use super::{MEDIAN_DEVIATION_SCALE, mean_and_deviation, quantile};

/// The shares at which quantiles are kept.
pub const SHARES: [f64; 9] = [0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];

/// A normalizer that rests on fewer reference responses is not to be relied on, and a domain with fewer has none of
/// its own.
pub const LEAST_RESPONSES: usize = 30;

/// How the scores of the reference responses are spread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub responses: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (n − 1).
    pub deviation: f64,
    /// Their quantiles at [`SHARES`] (Hyndman & Fan type 7).
    pub quantiles: [f64; SHARES.len()],
    /// The largest |score − median| in units of 1.4826 · MAD, which are standard deviations of a normal distribution;
    /// `None` where more than half of the scores are equal.
    pub farthest: Option<f64>,
}

impl Spread {
    /// The spread of finite scores; of fewer than two nothing but their number is known, and the rest is 0.
    pub fn of(scores: &[f64]) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        if sorted.len() < 2 {
            return Self { responses: sorted.len(), ..Self::default() };
        }
        let (mean, deviation) = mean_and_deviation(&sorted);
        let median = quantile(&sorted, 0.5);
        let mut distances: Vec<f64> = sorted.iter().map(|score| (score - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        let unit = MEDIAN_DEVIATION_SCALE * quantile(&distances, 0.5);
        let farthest = distances.last().filter(|_| unit > 0.0).map(|distance| distance / unit);
        Self {
            responses: sorted.len(),
            mean,
            deviation,
            quantiles: SHARES.map(|share| quantile(&sorted, share)),
            farthest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_a_few_scores_worked_by_hand() {
        // 0, 1, …, 100 in another order: the quantiles are the shares in per cent.
        let scores: Vec<f64> = (0..=100).map(|index| f64::from(index * 37 % 101)).collect();
        let spread = Spread::of(&scores);
        assert_eq!(spread.responses, 101);
        for (found, share) in spread.quantiles.iter().zip(SHARES) {
            assert!((found - 100.0 * share).abs() < 1e-9, "{found} at {share}");
        }
        // The variance (n − 1) of 0..=n−1 is n(n + 1)/12.
        assert!(
            (spread.mean - 50.0).abs() < 1e-9 && (spread.deviation - (101.0 * 102.0 / 12.0f64).sqrt()).abs() < 1e-9
        );
        // Distances from 50 are 0, 1, 1, …, 50, 50: their median is 25.
        assert!((spread.farthest.expect("spread") - 50.0 / (1.482_602_218_505_602 * 25.0)).abs() < 1e-12);
    }

    #[test]
    fn one_score_far_out_is_seen_however_far_it_pulls_the_deviation() {
        let mut scores = vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        assert!(Spread::of(&scores).farthest.expect("spread") < 2.0);
        scores.push(1e6);
        assert!(Spread::of(&scores).farthest.expect("spread") > 1e5);
        assert_eq!(Spread::of(&[2.0, 2.0, 2.0, 9.0]).farthest, None);
    }

    #[test]
    fn of_fewer_than_two_nothing_is_known() {
        assert_eq!(Spread::of(&[]), Spread::default());
        assert_eq!(Spread::of(&[3.0]), Spread { responses: 1, ..Spread::default() });
    }
}
