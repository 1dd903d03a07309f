//! What the best of n answers is worth, without drawing: the mean over all ways to take n of the N answers at hand.

use std::cmp::Ordering;

/// Mean of `values` of the answer with the highest of `scores` over all subsets of n answers; `None` if n is 0 or there are
/// fewer than n answers, or if the lists differ in length or hold a number that is not finite.
///
/// Sorted by score, the i-th of N answers is the best of C(i−1, n−1) of the C(N, n) subsets, so the mean is
/// Σ C(i−1, n−1) / C(N, n) · valueᵢ: unbiased for n fresh answers (Nakano et al. 2021, arXiv 2112.09332, for best-of-n
/// curves). Answers with equal scores are taken equally often. With `values` = `scores` it is the score that a trainer
/// sees; with ratings it is what the score is worth.
pub fn best_of_n(scores: &[f64], values: &[f64], n: usize) -> Option<f64> {
    let finite = |list: &[f64]| list.iter().all(|number| number.is_finite());
    let count = scores.len();
    if n == 0 || n > count || values.len() != count || !finite(scores) || !finite(values) {
        return None;
    }
    let mut answers: Vec<(f64, f64)> = scores.iter().copied().zip(values.iter().copied()).collect();
    answers.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.total_cmp(&right.1)));
    // The share of subsets whose best is the answer in place i from the top: n/N for the first, and from one place to the
    // next C(i−2, n−1) / C(i−1, n−1) = (i − n) / (i − 1) of it, i counted from the bottom.
    let (mut share, mut place, mut sum) = (n as f64 / count as f64, count, 0.0);
    for tied in answers.chunk_by(|left, right| left.0.partial_cmp(&right.0) == Some(Ordering::Equal)) {
        let mean = tied.iter().map(|answer| answer.1).sum::<f64>() / tied.len() as f64;
        for _ in tied {
            sum += share * mean;
            share *= if place > n { (place - n) as f64 / (place - 1) as f64 } else { 0.0 };
            place -= 1;
        }
    }
    Some(sum)
}

/// How far the best of n moves from the policy that wrote the answers, at most, in nats: ln n − (n − 1)/n (Stiennon et al.
/// 2020, arXiv 2009.01325; a bound: Beirami et al. 2024, arXiv 2401.01879).
pub fn best_of_n_divergence(n: usize) -> f64 {
    let n = n.max(1) as f64;
    libm::log(n) - (n - 1.0) / n
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By its definition: look at every subset; of equal scores each counts alike.
    fn by_definition(scores: &[f64], values: &[f64], n: usize) -> f64 {
        let (mut sum, mut subsets) = (0.0, 0.0);
        for subset in 0_u32..1 << scores.len() {
            if subset.count_ones() as usize != n {
                continue;
            }
            let inside = || (0..scores.len()).filter(|index| subset >> index & 1 == 1);
            let best = inside().map(|index| scores[index]).fold(f64::NEG_INFINITY, f64::max);
            let tied: Vec<f64> = inside().filter(|&index| scores[index] == best).map(|index| values[index]).collect();
            sum += tied.iter().sum::<f64>() / tied.len() as f64;
            subsets += 1.0;
        }
        sum / subsets
    }

    #[test]
    fn one_of_all_is_the_mean_and_all_is_the_best() {
        let (scores, values) = ([3.0, 1.0, 2.0], [10.0, 40.0, 70.0]);
        assert_eq!(best_of_n(&scores, &values, 1), Some(40.0));
        assert_eq!(best_of_n(&scores, &values, 3), Some(10.0));
        assert_eq!(best_of_n(&scores, &values, 4), None);
        assert_eq!(best_of_n(&scores, &values, 0), None);
        assert_eq!(best_of_n(&scores, &values[..2], 1), None);
        assert_eq!(best_of_n(&[f64::NAN], &[1.0], 1), None);
        assert!(best_of_n_divergence(1) == 0.0 && (best_of_n_divergence(4) - (4.0_f64.ln() - 0.75)).abs() < 1e-15);
    }

    proptest! {
        #[test]
        fn equals_the_mean_over_all_subsets(
            answers in proptest::collection::vec((-3_i8..4, -9_i8..9), 1..10), n in 1_usize..10
        ) {
            let scores: Vec<f64> = answers.iter().map(|answer| f64::from(answer.0)).collect();
            let values: Vec<f64> = answers.iter().map(|answer| f64::from(answer.1)).collect();
            match best_of_n(&scores, &values, n) {
                Some(found) => prop_assert!((found - by_definition(&scores, &values, n)).abs() < 1e-9),
                None => prop_assert!(n > scores.len()),
            }
        }

        #[test]
        fn more_answers_never_lower_the_score(scores in proptest::collection::vec(-5.0_f64..5.0, 2..30)) {
            let curve: Vec<f64> = (1..=scores.len()).filter_map(|n| best_of_n(&scores, &scores, n)).collect();
            prop_assert!(curve.windows(2).all(|two| two[1] >= two[0] - 1e-12));
        }
    }
}
