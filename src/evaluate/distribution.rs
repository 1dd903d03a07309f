//! How far two lists of numbers lie apart as distributions.

use super::agreement::finite;

/// Kolmogorov and Smirnov's distance: the largest difference between the two empirical distribution functions, 0..=1.
/// `None` when a list is empty or a value not finite.
pub fn kolmogorov_smirnov(left: &[f64], right: &[f64]) -> Option<f64> {
    let steps = steps(left, right)?;
    Some(steps.iter().fold(0.0, |largest: f64, (_, difference)| largest.max(difference.abs())))
}

/// Wasserstein's distance of order one: how far a unit of mass travels on average to turn one distribution into the
/// other, ∫ |F − G|, in the unit of the values. `None` when a list is empty or a value, or the distance, not finite.
pub fn wasserstein(left: &[f64], right: &[f64]) -> Option<f64> {
    let steps = steps(left, right)?;
    let distance: f64 = steps.windows(2).map(|pair| pair[0].1.abs() * (pair[1].0 - pair[0].0)).sum();
    distance.is_finite().then_some(distance)
}

/// At each value of either list, ascending and once: F − G from there on.
fn steps(left: &[f64], right: &[f64]) -> Option<Vec<(f64, f64)>> {
    if left.is_empty() || right.is_empty() || !finite(left) || !finite(right) {
        return None;
    }
    // Adding zero turns −0 into 0, so that total order and equality say the same.
    let of = |list: &[f64], is_left: bool| -> Vec<(f64, bool)> { list.iter().map(|x| (x + 0.0, is_left)).collect() };
    let mut values = of(left, true);
    values.extend(of(right, false));
    values.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut of_left, mut of_right) = (0, 0);
    let runs = values.chunk_by(|left, right| left.0.total_cmp(&right.0).is_eq());
    let step = |run: &[(f64, bool)]| {
        let lefts = run.iter().filter(|(_, is_left)| *is_left).count();
        (of_left, of_right) = (of_left + lefts, of_right + run.len() - lefts);
        (run[0].0, of_left as f64 / left.len() as f64 - of_right as f64 / right.len() as f64)
    };
    Some(runs.map(step).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distances_by_hand() {
        // F is 1/2 on 0..2 and 1 after; G is 0 before 1, 1 after: |F − G| = 1/2 on 0..1 and on 1..2.
        assert_eq!(kolmogorov_smirnov(&[0.0, 2.0], &[1.0]), Some(0.5));
        assert_eq!(wasserstein(&[0.0, 2.0], &[1.0]), Some(1.0));
        assert_eq!(kolmogorov_smirnov(&[-0.0], &[0.0]), Some(0.0));
        assert_eq!(wasserstein(&[], &[0.0]), None);
        assert_eq!(kolmogorov_smirnov(&[f64::NAN], &[0.0]), None);
        assert_eq!(wasserstein(&[f64::MAX], &[f64::MIN]), None);
    }

    proptest! {
        #[test]
        fn a_shift_costs_its_length(values in proptest::collection::vec(-40_i8..40, 1..40), shift in 0_u8..9) {
            let left: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            let right: Vec<f64> = left.iter().map(|value| value + f64::from(shift)).collect();
            let found = wasserstein(&left, &right).expect("values");
            prop_assert!((found - f64::from(shift)).abs() < 1e-9);
        }
    }
}
