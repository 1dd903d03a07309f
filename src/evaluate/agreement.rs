//! How much two lists of numbers agree: Pearson, Spearman, Kendall, and the share of equal signs.
//!
//! Every measure is `None` when it is not defined: fewer than two values, a constant list, lists of unequal length,
//! or a value that is not finite.

use std::cmp::Ordering;

/// Pearson's correlation r = Σ(x−x̄)(y−ȳ) / sqrt(Σ(x−x̄)² · Σ(y−ȳ)²).
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    comparable(x, y)?;
    let n = x.len() as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut products, mut squares_x, mut squares_y) = (0.0, 0.0, 0.0);
    for (left, right) in x.iter().zip(y) {
        let (dx, dy) = (left - mean_x, right - mean_y);
        products += dx * dy;
        squares_x += dx * dx;
        squares_y += dy * dy;
    }
    let correlation = products / (squares_x.sqrt() * squares_y.sqrt());
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
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

/// Share of pairs on which two objectives' margins point the same way; a margin of zero counts one half.
pub fn sign_agreement(left: &[f64], right: &[f64]) -> Option<f64> {
    if left.is_empty() || left.len() != right.len() || !finite(left) || !finite(right) {
        return None;
    }
    let same: f64 = left
        .iter()
        .zip(right)
        .map(|(left, right)| match (left.partial_cmp(&0.0), right.partial_cmp(&0.0)) {
            (Some(Ordering::Equal), _) | (_, Some(Ordering::Equal)) => 0.5,
            (left, right) => f64::from(u8::from(left == right)),
        })
        .sum();
    Some(same / left.len() as f64)
}

fn finite(values: &[f64]) -> bool {
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
        assert_eq!(sign_agreement(&[], &[]), None);
    }

    #[test]
    fn signs_agree_by_hand() {
        // same, different, a zero, same: (1 + 0 + 1/2 + 1) / 4
        close(sign_agreement(&[1.0, -2.0, 0.0, -3.0], &[0.5, 2.0, 1.0, -0.1]), 0.625);
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
