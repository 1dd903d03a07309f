//! On how many pairs two scorers point the same way: agreement, conflict, and agreement beyond chance.
//!
//! Both lists are margins over the same pairs; only their signs count, so the scorers' scales do not matter.

use std::cmp::Ordering;

use super::intervals::{Spread, clustered_mean};
use super::statistic::{Statistic, Undefined, check_lists};

/// Share of pairs on which two scorers' margins point the same way, with a 95% interval clustered by prompt; a margin
/// of zero counts one half.
pub fn sign_agreement(left: &[f64], right: &[f64], clusters: &[usize]) -> Statistic {
    let credit = |left: Ordering, right: Ordering| match (left, right) {
        (Ordering::Equal, _) | (_, Ordering::Equal) => 0.5,
        (left, right) => f64::from(u8::from(left == right)),
    };
    share(left, right, clusters, credit)
}

/// Share of pairs on which two scorers' margins point strictly opposite ways, with a 95% interval clustered by prompt.
pub fn conflict_rate(left: &[f64], right: &[f64], clusters: &[usize]) -> Statistic {
    let credit = |left: Ordering, right: Ordering| f64::from(u8::from(left.is_ne() && left == right.reverse()));
    share(left, right, clusters, credit)
}

fn share(left: &[f64], right: &[f64], clusters: &[usize], credit: impl Fn(Ordering, Ordering) -> f64) -> Statistic {
    if let Err(undefined) = check_lists(left, right, clusters) {
        return Statistic::Unknown { undefined };
    }
    let credits = left.iter().zip(right).map(|(left, right)| credit(sign(*left), sign(*right)));
    let rows: Vec<(f64, usize)> = credits.zip(clusters.iter().copied()).collect();
    clustered_mean(&rows, (0.0, 1.0)).ok_or(Undefined::NoValues).into()
}

fn sign(margin: f64) -> Ordering {
    margin.partial_cmp(&0.0).unwrap_or(Ordering::Equal)
}

/// Cohen's κ = (p_o − p_e) / (1 − p_e) of the signs −, 0 and + (Cohen 1960): agreement beyond what two scorers with
/// these shares of signs would have by chance. The 95% interval is from influence values, clustered by prompt.
///
/// [`Undefined::OneClass`] when both scorers always give one and the same sign.
pub fn cohen_kappa(left: &[f64], right: &[f64], clusters: &[usize]) -> Statistic {
    if let Err(undefined) = check_lists(left, right, clusters) {
        return Statistic::Unknown { undefined };
    }
    let class = |margin: &f64| (sign(*margin) as i8 + 1) as usize;
    let rows: Vec<(usize, usize)> = left.iter().map(class).zip(right.iter().map(class)).collect();
    let n = rows.len() as f64;
    let (mut of_left, mut of_right, mut same) = ([0_usize; 3], [0_usize; 3], 0_usize);
    for (left, right) in &rows {
        of_left[*left] += 1;
        of_right[*right] += 1;
        same += usize::from(left == right);
    }
    if (0..3).any(|class| of_left[class] == rows.len() && of_right[class] == rows.len()) {
        return Statistic::Unknown { undefined: Undefined::OneClass };
    }
    let (of_left, of_right) = (of_left.map(|count| count as f64 / n), of_right.map(|count| count as f64 / n));
    let observed = same as f64 / n;
    let expected: f64 = of_left.iter().zip(&of_right).map(|(left, right)| left * right).sum();
    let room = 1.0 - expected;
    let influence: Vec<f64> = rows
        .iter()
        .map(|(left, right)| {
            let of_observed = f64::from(u8::from(left == right)) - observed;
            let of_expected = of_right[*left] + of_left[*right] - 2.0 * expected;
            of_observed / room - (1.0 - observed) / (room * room) * of_expected
        })
        .collect();
    let spread = Spread::of_influence(&influence, clusters.iter().copied());
    Statistic::Known(spread.around((observed - expected) / room, (-1.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn signs_agree_by_hand() {
        // same, different, a zero, same: (1 + 0 + 1/2 + 1) / 4, and one conflict of four
        let (left, right) = ([1.0, -2.0, -0.0, -3.0], [0.5, 2.0, 1.0, -0.1]);
        assert_eq!(sign_agreement(&left, &right, &[0, 1, 2, 3]).value(), Some(0.625));
        assert_eq!(conflict_rate(&left, &right, &[0, 1, 2, 3]).value(), Some(0.25));
    }

    #[test]
    fn kappa_by_hand_and_its_limits() {
        // + + + − against + + − −: observed 3/4, expected 3/4 · 1/2 + 1/4 · 1/2.
        let clusters = [0, 1, 2, 3];
        let kappa = cohen_kappa(&[1.0, 2.0, 3.0, -1.0], &[1.0, 1.0, -1.0, -1.0], &clusters);
        assert_eq!(kappa.value(), Some(0.5));
        assert_eq!(cohen_kappa(&[1.0, 2.0], &[3.0, 1.0], &[0, 1]).undefined(), Some(Undefined::OneClass));
        let opposite = cohen_kappa(&[1.0, 2.0], &[-3.0, -1.0], &[0, 1]).known().expect("two classes");
        assert_eq!((opposite.value, opposite.low, opposite.high), (0.0, -1.0, 1.0));
        let perfect = cohen_kappa(&[1.0, -1.0, 1.0], &[1.0, -1.0, 1.0], &[0, 1, 2]).known().expect("two classes");
        assert!(perfect.value == 1.0 && perfect.high == 1.0 && perfect.low < 0.0, "three prompts prove nothing");
    }

    #[test]
    fn kappa_error_is_the_jackknifes() {
        let mut random = Random::new(11);
        let (mut left, mut right, mut clusters) = (Vec::new(), Vec::new(), Vec::new());
        for cluster in 0..60 {
            for _ in 0..=cluster % 4 {
                let common = random.normal();
                let mut margin = || (common + 0.7 * random.normal()).round();
                left.push(margin());
                right.push(margin() + 0.4);
                clusters.push(cluster);
            }
        }
        let found = cohen_kappa(&left, &right, &clusters).known().expect("varied");
        let without = |gone: usize| {
            let keep = |list: &[f64]| -> Vec<f64> {
                list.iter().zip(&clusters).filter(|(_, cluster)| **cluster != gone).map(|(value, _)| *value).collect()
            };
            let left = keep(&left);
            cohen_kappa(&left, &keep(&right), &vec![0; left.len()]).value()
        };
        let deletes: Vec<Option<f64>> = (0..60).map(without).collect();
        let jackknife = Spread::of_deletes(&deletes, left.len()).around(found.value, (-1.0, 1.0));
        let ratio = (found.high - found.low) / (jackknife.high - jackknife.low);
        assert!((ratio - 1.0).abs() < 0.04, "{ratio}");
    }

    #[test]
    fn kappa_covers_its_truth() {
        const RUNS: u32 = 1000;
        // Signs of two normals with correlation ρ agree with probability ½ + asin(ρ)/π, half of it by chance.
        let truth = 2.0 / std::f64::consts::PI * libm::asin(0.6);
        let mut random = Random::new(12);
        let mut covered = 0;
        for _ in 0..RUNS {
            let (mut left, mut right, mut clusters) = (Vec::new(), Vec::new(), Vec::new());
            for cluster in 0..80 {
                let [common, other] = [random.normal(), random.normal()];
                for _ in 0..3 {
                    let mut near = |centre: f64| 0.8 * centre + 0.6 * random.normal();
                    let (x, y) = (near(common), near(other));
                    left.push(x);
                    right.push(0.6 * x + 0.8 * y);
                    clusters.push(cluster);
                }
            }
            let kappa = cohen_kappa(&left, &right, &clusters).known().expect("varied");
            covered += u32::from((kappa.low..=kappa.high).contains(&truth));
        }
        let share = f64::from(covered) / f64::from(RUNS);
        assert!((share - 0.95).abs() < 0.025, "covered {share}");
    }
}
