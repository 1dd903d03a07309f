//! How much two lists of numbers agree: Pearson's, Spearman's and Kendall's correlation.
//!
//! Every measure is `None` when it is not defined: fewer than two values, a constant list, lists of unequal length,
//! or a value that is not finite.

use std::cmp::Ordering;

/// Pearson's correlation r = Σ(x−x̄)(y−ȳ) / sqrt(Σ(x−x̄)² · Σ(y−ȳ)²).
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    comparable(x, y)?;
    let (x, y) = (unit_deviations(x)?, unit_deviations(y)?);
    let correlation: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Deviations from the mean, scaled so that their squares sum to one; `None` of equal values.
///
/// Before they are squared, values and deviations are divided by a power of two near the largest of them: that costs no
/// digit, and neither huge nor tiny values leave the range of `f64`.
pub(super) fn unit_deviations(values: &[f64]) -> Option<Vec<f64>> {
    // The mean of equal values may miss them by a rounding error, so equality is asked for and not a spread of zero.
    if constant(values) {
        return None;
    }
    let (_, deviations) = centred(&near_one(values).0);
    let (mut deviations, _) = near_one(&deviations);
    let length = deviations.iter().map(|value| value * value).sum::<f64>().sqrt();
    deviations.iter_mut().for_each(|value| *value /= length);
    Some(deviations)
}

/// The mean and the deviations from it; of values far from zero, the mean's rounding is taken out of them once more.
pub(super) fn centred(values: &[f64]) -> (f64, Vec<f64>) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let first = mean(values);
    let mut deviations: Vec<f64> = values.iter().map(|value| value - first).collect();
    let rest = mean(&deviations);
    deviations.iter_mut().for_each(|value| *value -= rest);
    (first + rest, deviations)
}

/// The values divided by a power of two, so that the largest lies in ½..1, and the power's exponent.
pub(super) fn near_one(values: &[f64]) -> (Vec<f64>, i32) {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let (_, exponent) = libm::frexp(largest);
    (values.iter().map(|value| libm::ldexp(*value, -exponent)).collect(), exponent)
}

/// Whether no two values differ.
pub(super) fn constant(values: &[f64]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

/// Spearman's correlation: Pearson's of the average ranks.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    comparable(x, y)?;
    pearson(&average_ranks(x), &average_ranks(y))
}

/// Ranks from 1; equal values share the mean of the ranks they fill.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for run in order.chunk_by(|left, right| left.0.partial_cmp(&right.0) == Some(Ordering::Equal)) {
        let rank = before as f64 + f64::midpoint(run.len() as f64, 1.0);
        for (_, index) in run {
            ranks[*index] = rank;
        }
        before += run.len();
    }
    ranks
}

/// Kendall's τ-b = (C − D) / sqrt((T − T_x)(T − T_y)) over the T = n(n−1)/2 pairs, C concordant, D discordant, T_x and
/// T_y tied on one side; by Knight's merge sort (JASA 1966) in O(n log n).
pub fn kendall(x: &[f64], y: &[f64]) -> Option<f64> {
    comparable(x, y)?;
    // Adding zero turns −0 into 0, so that total order and equality say the same.
    let mut rows: Vec<(f64, f64)> = x.iter().zip(y).map(|(left, right)| (left + 0.0, right + 0.0)).collect();
    rows.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
    let all = pairs_within(rows.len());
    let tied_x = tied_pairs(&rows, |left, right| left.0.total_cmp(&right.0).is_eq());
    let tied_both = tied_pairs(&rows, |left, right| left.partial_cmp(right) == Some(Ordering::Equal));
    let mut second: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let discordant = sort_counting_swaps(&mut second);
    let tied_y = tied_pairs(&second, |left, right| left.total_cmp(right).is_eq());
    let difference = all - tied_x - tied_y + tied_both - 2.0 * discordant;
    let tau = difference / ((all - tied_x).sqrt() * (all - tied_y).sqrt());
    tau.is_finite().then(|| tau.clamp(-1.0, 1.0))
}

pub(super) fn finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

fn comparable(x: &[f64], y: &[f64]) -> Option<()> {
    (x.len() == y.len() && x.len() > 1 && finite(x) && finite(y)).then_some(())
}

fn pairs_within(count: usize) -> f64 {
    let count = count as f64;
    count * (count - 1.0) / 2.0
}

fn tied_pairs<T>(sorted: &[T], same: impl Fn(&T, &T) -> bool) -> f64 {
    sorted.chunk_by(|left, right| same(left, right)).map(|run| pairs_within(run.len())).sum()
}

/// Sorts ascending and returns how many pairs stood in strictly descending order.
fn sort_counting_swaps(values: &mut Vec<f64>) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mut right = values.split_off(values.len() / 2);
    let mut swaps = sort_counting_swaps(values) + sort_counting_swaps(&mut right);
    let left = std::mem::take(values);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        if second < first {
            swaps += left.len() as f64;
            values.extend(right.next());
        } else {
            values.extend(left.next());
        }
    }
    values.extend(left);
    values.extend(right);
    swaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const X: [f64; 10] = [2.0, -1.5, 3.25, 0.0, 2.0, 7.5, -4.0, 1.0, 1.0, 2.0];
    const Y: [f64; 10] = [1.0, -2.0, 1.0, 0.5, 3.0, 9.0, -1.0, 0.5, -3.0, 2.5];

    fn close(found: Option<f64>, truth: f64) {
        assert!(found.is_some_and(|found| (found - truth).abs() < 1e-12), "{found:?} is not {truth}");
    }

    /// τ-b by its definition: look at every pair.
    fn kendall_by_definition(x: &[f64], y: &[f64]) -> Option<f64> {
        let (mut score, mut untied_x, mut untied_y) = (0.0, 0.0_f64, 0.0_f64);
        for i in 0..x.len() {
            for j in 0..i {
                let sign = |value: f64| if value == 0.0 { 0.0 } else { value.signum() };
                let (dx, dy) = (sign(x[i] - x[j]), sign(y[i] - y[j]));
                score += dx * dy;
                untied_x += dx.abs();
                untied_y += dy.abs();
            }
        }
        let tau = score / (untied_x * untied_y).sqrt();
        tau.is_finite().then_some(tau)
    }

    #[test]
    fn correlations_agree_with_scipy() {
        // scipy.stats.pearsonr, spearmanr and kendalltau of SciPy 1.17.1 on the same lists.
        close(pearson(&X, &Y), 0.810_654_261_353_238_4);
        close(spearman(&X, &Y), 0.814_276_608_840_952_5);
        close(kendall(&X, &Y), 0.643_039_436_109_880_2);
        // scipy.stats.rankdata
        assert_eq!(average_ranks(&X), [7.0, 2.0, 9.0, 3.0, 7.0, 10.0, 1.0, 4.5, 4.5, 7.0]);
    }

    #[test]
    fn undefined_is_none() {
        for measure in [pearson, spearman, kendall] {
            assert_eq!(measure(&[], &[]), None);
            assert_eq!(measure(&[1.0], &[2.0]), None);
            assert_eq!(measure(&[1.0, 1.0], &[2.0, 3.0]), None);
            assert_eq!(measure(&[1.0, 2.0], &[2.0, 3.0, 4.0]), None);
            assert_eq!(measure(&[1.0, f64::NAN], &[2.0, 3.0]), None);
            close(measure(&[1.0, 2.0], &[3.0, 2.0]), -1.0);
        }
        // Three times 0.1, divided by three, is not 0.1.
        assert_eq!(pearson(&[0.1; 3], &[1.0, 2.0, 4.0]), None);
    }

    #[test]
    fn neither_huge_nor_tiny_values_leave_the_range() {
        let truth = pearson(&X, &Y).expect("both vary");
        for exponent in [-1070, -600, 600, 1018] {
            let scaled: Vec<f64> = X.iter().map(|value| libm::ldexp(value * 4.0, exponent)).collect();
            close(pearson(&scaled, &Y), truth);
        }
    }

    proptest! {
        #[test]
        fn kendall_equals_its_definition(rows in proptest::collection::vec((-4_i8..5, -4_i8..5), 0..60)) {
            let x: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            let y: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
            match (kendall(&x, &y), kendall_by_definition(&x, &y)) {
                (None, None) => {}
                (Some(found), Some(truth)) => prop_assert!((found - truth).abs() < 1e-12),
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn rank_measures_do_not_see_a_rising_curve(rows in proptest::collection::vec((-9_i8..9, -9_i8..9), 2..40)) {
            let x: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            let y: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
            let bent: Vec<f64> = x.iter().map(|value| value.powi(3) + 5.0).collect();
            prop_assert_eq!(spearman(&x, &y), spearman(&bent, &y));
            prop_assert_eq!(kendall(&x, &y), kendall(&bent, &y));
        }
    }
}
