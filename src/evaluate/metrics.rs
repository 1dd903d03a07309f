//! Accuracy, losses, calibration and the shape of a list of scores.
//!
//! Intervals come from [`super::intervals`]; correlations stand in [`super::agreement`].

use super::Outcome;
use super::intervals::{Estimate, clustered_mean, wilson};
use crate::logistic::{log_sigmoid, sigmoid};

/// How many equal-mass bins the calibration error uses.
const CALIBRATION_BINS: usize = 10;

/// Share of pairs ranked as the labelers did, with a 95% interval clustered by prompt; `None` without pairs.
///
/// A margin of zero counts one half, and so does a pair on which the labelers were tied: it has no right order, and
/// which of its answers is called chosen is an accident of the file.
pub fn accuracy(outcomes: &[Outcome]) -> Option<Estimate> {
    let rows: Vec<(f64, usize)> = outcomes.iter().map(|outcome| (credit(outcome), outcome.cluster)).collect();
    clustered_mean(&rows, (0.0, 1.0))
}

/// Accuracy of `left` minus accuracy of `right` on the same pairs in the same order, with a 95% interval clustered by
/// prompt; pairing removes the noise they share. `None` without pairs or when the lists are not of the same pairs.
pub fn accuracy_difference(left: &[Outcome], right: &[Outcome]) -> Option<Estimate> {
    let same = |(left, right): (&Outcome, &Outcome)| left.cluster == right.cluster;
    if left.len() != right.len() || !left.iter().zip(right).all(same) {
        return None;
    }
    let difference = |(left, right): (&Outcome, &Outcome)| (credit(left) - credit(right), left.cluster);
    let rows: Vec<(f64, usize)> = left.iter().zip(right).map(difference).collect();
    clustered_mean(&rows, (-1.0, 1.0))
}

/// What a pair counts in an accuracy: 1 when ranked as the labelers did, 0 when not, ½ where either side is undecided.
pub fn credit(outcome: &Outcome) -> f64 {
    if outcome.margin == 0.0 || (outcome.preference - 0.5).abs() < f64::EPSILON {
        0.5
    } else if outcome.margin > 0.0 {
        1.0
    } else {
        0.0
    }
}

/// Mean of −p log σ(m) − (1−p) log σ(−m) in nats: log 2 is what a coin would have. `None` without pairs.
pub fn log_loss(outcomes: &[Outcome]) -> Option<f64> {
    average(outcomes, loss)
}

fn loss(outcome: &Outcome) -> f64 {
    let Outcome { margin, preference, .. } = *outcome;
    // A certain label must not be multiplied with an infinite loss of the other side: 0 · ∞ is NaN.
    let against = if preference < 1.0 { (1.0 - preference) * log_sigmoid(-margin) } else { 0.0 };
    -(preference * log_sigmoid(margin) + against)
}

/// Log-loss of `left` minus that of `right` on the same pairs in the same order, with a 95% interval clustered by prompt
/// that stays within the largest difference seen. `None` without pairs, when the lists are not of the same pairs, or when
/// a loss is not finite.
pub fn log_loss_difference(left: &[Outcome], right: &[Outcome]) -> Option<Estimate> {
    let same = |(left, right): (&Outcome, &Outcome)| left.cluster == right.cluster;
    if left.len() != right.len() || !left.iter().zip(right).all(same) {
        return None;
    }
    let difference = |(left, right): (&Outcome, &Outcome)| (loss(left) - loss(right), left.cluster);
    let rows: Vec<(f64, usize)> = left.iter().zip(right).map(difference).collect();
    let most = rows.iter().map(|row| row.0.abs()).fold(0.0, f64::max);
    clustered_mean(&rows, (-most, most)).filter(|one| one.value.is_finite() && most.is_finite())
}

/// Brier score: mean of (p − σ(m))². `None` without pairs.
pub fn brier(outcomes: &[Outcome]) -> Option<f64> {
    average(outcomes, |outcome| {
        let miss = outcome.preference - sigmoid(outcome.margin);
        miss * miss
    })
}

fn average(outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) -> Option<f64> {
    let values: Vec<f64> = outcomes.iter().map(value).collect();
    mean(&values).filter(|mean| mean.is_finite())
}

/// One bin of a reliability curve: what was predicted for its pairs, and what the labelers said.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ReliabilityBin {
    /// Mean predicted probability of the answer the head prefers, 0.5 to 1.
    pub predicted: f64,
    /// Mean share of labelers who prefer that answer too, 0 to 1.
    pub observed: f64,
    /// How many pairs fell into the bin.
    pub n: usize,
    /// Lower end of Wilson's 95% interval of `observed`.
    pub low: f64,
    /// Upper end of Wilson's 95% interval of `observed`.
    pub high: f64,
}

/// Reliability curve with about `bins` bins of equal mass, by rising prediction.
///
/// Each pair is seen from the side of the answer the head prefers: predicted = max(σ(m), σ(−m)), observed = the share
/// of labelers on that side. Equal predictions never stand in two bins, so there may be fewer bins than asked for and
/// the order of the pairs does not matter.
pub fn reliability(outcomes: &[Outcome], bins: usize) -> Vec<ReliabilityBin> {
    let mut pairs: Vec<(f64, f64)> = outcomes.iter().filter(|outcome| outcome.margin.is_finite()).map(folded).collect();
    pairs.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
    let bins = bins.clamp(1, pairs.len().max(1));
    let mut curve = Vec::with_capacity(bins);
    let mut start = 0;
    for bin in 1..=bins {
        let mut end = (bin * pairs.len() / bins).max(start);
        while end > start && end < pairs.len() && pairs[end].0.total_cmp(&pairs[end - 1].0).is_eq() {
            end += 1;
        }
        if end > start {
            curve.push(reliability_bin(&pairs[start..end]));
            start = end;
        }
    }
    curve
}

fn folded(outcome: &Outcome) -> (f64, f64) {
    // At a margin of zero neither side is predicted, so which of them is called chosen must not count.
    let observed = match outcome.margin {
        0.0 => 0.5,
        margin if margin > 0.0 => outcome.preference,
        _ => 1.0 - outcome.preference,
    };
    (sigmoid(outcome.margin.abs()), observed)
}

fn reliability_bin(pairs: &[(f64, f64)]) -> ReliabilityBin {
    let n = pairs.len() as f64;
    let predicted = pairs.iter().map(|pair| pair.0).sum::<f64>() / n;
    let observed = pairs.iter().map(|pair| pair.1).sum::<f64>() / n;
    let (low, high) = wilson(observed, pairs.len());
    ReliabilityBin { predicted, observed, n: pairs.len(), low, high }
}

/// Expected calibration error: Σ_b n_b/n · |predicted_b − observed_b| over ten bins of equal mass (Naeini et al. 2015,
/// with equal mass instead of equal width). `None` without pairs.
pub fn expected_calibration_error(outcomes: &[Outcome]) -> Option<f64> {
    let curve = reliability(outcomes, CALIBRATION_BINS);
    let n: usize = curve.iter().map(|bin| bin.n).sum();
    let gaps: f64 = curve.iter().map(|bin| bin.n as f64 * (bin.predicted - bin.observed).abs()).sum();
    (n > 0).then(|| gaps / n as f64)
}

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation with n − 1 in the denominator; `None` of fewer than two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - centre) * (value - centre)).sum();
    (values.len() > 1).then(|| (squares / (values.len() as f64 - 1.0)).sqrt())
}

/// The quantile at `share` (0..=1) by linear interpolation between order statistics (Hyndman and Fan's type 7, the
/// default of R and NumPy); values that are not finite are left out; `None` of nothing.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * (place - place.floor()))
}

/// Counts per bin of `bins` equal bins over `range`; the last bin includes its upper end, and values outside the
/// range or not finite are not counted.
pub fn histogram(values: &[f64], bins: usize, range: (f64, f64)) -> Vec<usize> {
    let mut counts = vec![0; bins];
    let width = (range.1 - range.0) / bins as f64;
    let edge = |bin: usize| range.0 + width * bin as f64;
    for value in values.iter().filter(|value| (range.0..=range.1).contains(*value)) {
        // A range without width has one bin that is hit; NaN casts to 0.
        let mut bin = (((value - range.0) / width).floor() as usize).min(bins.saturating_sub(1));
        // The division may round a value over the edge beside it.
        if *value < edge(bin) {
            bin = bin.saturating_sub(1);
        } else if bin + 1 < bins && *value >= edge(bin + 1) {
            bin += 1;
        }
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::intervals::NORMAL_QUANTILE;
    use super::*;

    fn outcome(margin: f64, preference: f64, cluster: usize) -> Outcome {
        Outcome { margin, preference, cluster }
    }

    fn close(found: Option<f64>, truth: f64) {
        assert!(found.is_some_and(|found| (found - truth).abs() < 1e-12), "{found:?} is not {truth}");
    }

    #[test]
    fn accuracy_counts_ties_as_half() {
        let outcomes = [outcome(2.0, 1.0, 0), outcome(-1.0, 1.0, 1), outcome(0.0, 1.0, 2), outcome(-3.0, 0.5, 3)];
        let estimate = accuracy(&outcomes).expect("four pairs");
        close(Some(estimate.value), 0.5);
        assert_eq!(estimate.n, 4);
        assert!(accuracy(&[]).is_none());
    }

    #[test]
    fn losses_agree_with_numpy() {
        let outcomes = [outcome(2.0, 1.0, 0), outcome(-0.5, 0.8, 0), outcome(0.25, 0.6, 1), outcome(3.0, 1.0, 1)];
        // numpy 2.4: mean(−p log s − (1−p) log(1−s)) and mean((p−s)²) with s = 1/(1+e^−m).
        close(log_loss(&outcomes), 0.431_382_941_668_916_2);
        close(brier(&outcomes), 0.049_090_263_417_506_51);
        close(log_loss(&[outcome(0.0, 1.0, 0)]), std::f64::consts::LN_2);
        assert_eq!(log_loss(&[]), None);
    }

    #[test]
    fn losses_survive_huge_margins() {
        close(log_loss(&[outcome(1e4, 1.0, 0)]), 0.0);
        close(log_loss(&[outcome(-1e4, 1.0, 0)]), 1e4);
        close(brier(&[outcome(-1e4, 1.0, 0)]), 1.0);
        close(log_loss(&[outcome(f64::INFINITY, 1.0, 0)]), 0.0);
    }

    #[test]
    fn one_pair_of_certain_probability_has_finite_figures_and_a_wide_interval() {
        // σ(±1000) is exactly 1 and 0 in f64.
        for (margin, right, loss) in [(1e3, 1.0, 0.0), (-1e3, 0.0, 1e3)] {
            let one = [outcome(margin, 1.0, 0)];
            close(log_loss(&one), loss);
            close(brier(&one), 1.0 - right);
            close(expected_calibration_error(&one), 1.0 - right);
            let accuracy = accuracy(&one).expect("a pair");
            assert_eq!(accuracy.value, right);
            // Wilson's interval of 1 of 1 reaches down to 1 / (1 + z²).
            close(Some(accuracy.high - accuracy.low), 1.0 - 1.0 / (1.0 + NORMAL_QUANTILE.powi(2)));
        }
        // The extremes together: 0 · ∞ must not come up.
        close(log_loss(&[outcome(1e3, 0.5, 0), outcome(-1e3, 1.0, 1)]), 750.0);
    }

    #[test]
    fn reliability_by_hand() {
        // Margins ±log 4: predicted 0.8 for the preferred side. Two of the three labels agree with the head.
        let m = 4.0_f64.ln();
        let outcomes = [outcome(m, 1.0, 0), outcome(-m, 0.5, 1), outcome(-m, 1.0, 2), outcome(m, 1.0, 3)];
        let curve = reliability(&outcomes, 10);
        assert_eq!(curve.len(), 1, "equal predictions share a bin");
        close(Some(curve[0].predicted), 0.8);
        close(Some(curve[0].observed), 0.625);
        close(expected_calibration_error(&outcomes), 0.175);
        assert_eq!(expected_calibration_error(&[]), None);
        assert!(reliability(&[], 10).is_empty());
    }

    #[test]
    fn bins_have_equal_mass_and_rise() {
        let outcomes: Vec<Outcome> = (0..100).map(|i| outcome(i as f64 / 25.0, 1.0, i)).collect();
        let curve = reliability(&outcomes, 10);
        assert!(curve.iter().all(|bin| bin.n == 10) && curve.len() == 10);
        assert!(curve.windows(2).all(|pair| pair[0].predicted < pair[1].predicted));
    }

    #[test]
    fn paired_difference_by_hand() {
        // Right where the other is wrong on prompt 0, equal on prompts 1 and 2: differences 1 0 0, mean 1/3,
        // residuals 2/3 −1/3 −1/3, se = sqrt(3/2 · 6/9) / 3 = 1/3.
        let left = [outcome(1.0, 1.0, 0), outcome(1.0, 1.0, 1), outcome(-1.0, 1.0, 2)];
        let right = [outcome(-1.0, 1.0, 0), outcome(2.0, 1.0, 1), outcome(-5.0, 1.0, 2)];
        let difference = accuracy_difference(&left, &right).expect("pairs");
        close(Some(difference.value), 1.0 / 3.0);
        close(Some(difference.low), 1.0 / 3.0 - NORMAL_QUANTILE / 3.0);
        close(Some(difference.high), 1.0 / 3.0 + NORMAL_QUANTILE / 3.0);
        assert!(accuracy_difference(&left, &right[..2]).is_none());
        let same = accuracy_difference(&left, &left).expect("pairs");
        assert!(same.value == 0.0 && same.low < 0.0 && same.high > 0.0, "three prompts prove nothing");
    }

    #[test]
    fn spread_agrees_with_numpy() {
        let values = [2.0, -1.5, 3.25, 0.0, 2.0, 7.5, -4.0, 1.0, 1.0, 2.0];
        // numpy 2.4: quantile, std(ddof=1) and histogram(bins=4, range=(-4, 8)) of the same values.
        for (share, truth) in [(0.0, -4.0), (0.1, -1.75), (0.5, 1.5), (0.77, 2.0), (1.0, 7.5)] {
            close(quantile(&values, share), truth);
        }
        close(standard_deviation(&values), 3.009_360_397_160_832);
        assert_eq!(histogram(&values, 4, (-4.0, 8.0)), [2, 3, 4, 1]);
        assert_eq!(histogram(&[1.0, 1.0, f64::NAN], 1, (1.0, 1.0)), [2]);
        assert!(histogram(&values, 0, (0.0, 1.0)).is_empty());
        assert_eq!((quantile(&[], 0.5), mean(&[]), standard_deviation(&[1.0])), (None, None, None));
    }

    proptest! {
        #[test]
        fn turning_every_pair_round_mirrors_accuracy_and_keeps_calibration(
            rows in proptest::collection::vec((-5.0_f64..5.0, 0.0_f64..1.0, 0_usize..9), 1..60)
        ) {
            let there: Vec<Outcome> = rows.iter().map(|row| outcome(row.0, row.1, row.2)).collect();
            let back: Vec<Outcome> = rows.iter().map(|row| outcome(-row.0, 1.0 - row.1, row.2)).collect();
            let swapped: Vec<Outcome> = rows.iter().map(|row| outcome(-row.0, row.1, row.2)).collect();
            let loss = |outcomes: &[Outcome]| log_loss(outcomes).unwrap_or(f64::NAN);
            prop_assert!((loss(&there) - loss(&back)).abs() < 1e-9);
            let calibration = |outcomes: &[Outcome]| expected_calibration_error(outcomes).unwrap_or(f64::NAN);
            prop_assert!((calibration(&there) - calibration(&back)).abs() < 1e-9);
            let right = |outcomes: &[Outcome]| accuracy(outcomes).map_or(f64::NAN, |estimate| estimate.value);
            prop_assert!((right(&there) + right(&swapped) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn intervals_hold_their_estimate(
            rows in proptest::collection::vec((-5.0_f64..5.0, 0.5_f64..1.0, 0_usize..9), 1..60)
        ) {
            let outcomes: Vec<Outcome> = rows.iter().map(|row| outcome(row.0, row.1, row.2)).collect();
            let estimate = accuracy(&outcomes).expect("at least one pair");
            prop_assert!(0.0 <= estimate.low && estimate.low <= estimate.value);
            prop_assert!(estimate.value <= estimate.high && estimate.high <= 1.0);
            let turned: Vec<Outcome> = outcomes.iter().rev().copied().collect();
            prop_assert_eq!(reliability(&outcomes, 5), reliability(&turned, 5));
        }
    }
}
