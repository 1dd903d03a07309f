//! Influence values against the jackknife and against brute force; coverage of the intervals; degenerate lists.

use super::*;
use crate::random::Random;

const KINDS: [Correlation; 3] = [Correlation::Pearson, Correlation::Spearman, Correlation::Kendall];

fn value(kind: Correlation, x: &[f64], y: &[f64]) -> Option<f64> {
    match kind {
        Correlation::Pearson => pearson(x, y),
        Correlation::Spearman => spearman(x, y),
        Correlation::Kendall => kendall(x, y),
    }
}

/// Lists with heavy ties, alike within clusters of one to three.
fn tied_lists(groups: usize, random: &mut Random) -> (Vec<f64>, Vec<f64>, Vec<usize>) {
    let (mut x, mut y, mut clusters) = (Vec::new(), Vec::new(), Vec::new());
    for cluster in 0..groups {
        let common = random.normal();
        for _ in 0..=cluster % 3 {
            let left = common + random.normal();
            x.push((1.5 * left).round());
            y.push((left + random.normal()).round());
            clusters.push(cluster);
        }
    }
    (x, y, clusters)
}

#[test]
fn errors_are_the_jackknifes_up_to_one_part_in_n() {
    let mut random = Random::new(3);
    for groups in [25, 50, 100, 200] {
        let (x, y, clusters) = tied_lists(groups, &mut random);
        for kind in KINDS {
            let influence = influence(kind, &x, &y).expect("both vary");
            assert!(influence.iter().sum::<f64>().abs() < 1e-9 * x.len() as f64, "influences sum to zero");
            let found = Spread::of_influence(&influence, clusters.iter().copied());
            let without = |gone: usize| {
                let keep = |list: &[f64]| -> Vec<f64> {
                    let rows = list.iter().zip(&clusters).filter(|(_, cluster)| **cluster != gone);
                    rows.map(|(value, _)| *value).collect()
                };
                value(kind, &keep(&x), &keep(&y))
            };
            let deletes: Vec<Option<f64>> = (0..groups).map(without).collect();
            let jackknife = Spread::of_deletes(&deletes, x.len());
            let ratio = found.error / jackknife.error;
            assert!((ratio - 1.0).abs() < 4.0 / groups as f64, "{kind:?} of {groups} groups: {ratio}");
        }
    }
}

#[test]
fn concordances_are_those_of_all_pairs() {
    let (x, y, _) = tied_lists(40, &mut Random::new(4));
    let sign = |value: f64| if value == 0.0 { 0.0 } else { value.signum() };
    let of_row =
        |row: usize| -> f64 { (0..x.len()).map(|other| sign(x[row] - x[other]) * sign(y[row] - y[other])).sum() };
    let found = concordances(&average_ranks(&x), &average_ranks(&y));
    assert_eq!(found, (0..x.len()).map(of_row).collect::<Vec<f64>>());
}

#[test]
fn intervals_cover_the_truth_when_prompts_repeat() {
    const RUNS: u32 = 1000;
    let rho: f64 = 0.6;
    // Of a normal pair: Spearman's is 6/π asin(ρ/2), Kendall's 2/π asin ρ (Kruskal, JASA 1958).
    let pi = std::f64::consts::PI;
    let truth = [rho, 6.0 / pi * libm::asin(rho / 2.0), 2.0 / pi * libm::asin(rho)];
    let mut random = Random::new(8);
    let mut covered = [0_u32; 3];
    for _ in 0..RUNS {
        let (mut x, mut y, mut clusters) = (Vec::new(), Vec::new(), Vec::new());
        for cluster in 0..80 {
            let [common, other] = [random.normal(), random.normal()];
            for _ in 0..3 {
                let mut near = |centre: f64| 0.8 * centre + 0.6 * random.normal();
                let (left, right) = (near(common), near(other));
                x.push(left);
                y.push(rho * left + (1.0 - rho * rho).sqrt() * right);
                clusters.push(cluster);
            }
        }
        for (index, kind) in KINDS.into_iter().enumerate() {
            let found = correlation(kind, &x, &y, &clusters).known().expect("both vary");
            covered[index] += u32::from((found.low..=found.high).contains(&truth[index]));
        }
    }
    let shares = covered.map(|covered| f64::from(covered) / f64::from(RUNS));
    assert!(shares.iter().all(|share| (share - 0.95).abs() < 0.025), "covered {shares:?}");
}

#[test]
fn degenerate_lists_get_a_wide_interval_or_a_reason() {
    let x: Vec<f64> = (0..30).map(f64::from).collect();
    let down: Vec<f64> = x.iter().map(|value| -value).collect();
    let clusters: Vec<usize> = (0..30).map(|row| row / 3).collect();
    for kind in KINDS {
        let perfect = correlation(kind, &x, &x, &clusters).known().expect("varied");
        assert!(perfect.value > 1.0 - 1e-12 && perfect.high == 1.0 && (0.3..0.7).contains(&perfect.low), "{perfect:?}");
        let opposite = correlation(kind, &x, &down, &clusters).known().expect("varied");
        assert!(opposite.low == -1.0 && (-0.7..-0.3).contains(&opposite.high), "{opposite:?}");
        let noisy: Vec<f64> = x.iter().map(|value| (value * 7.0) % 11.0).collect();
        let two: Vec<usize> = (0..30).map(|row| row % 2).collect();
        let found = correlation(kind, &x, &noisy, &two).known().expect("varied");
        assert_eq!((found.low, found.high, found.clusters), (-1.0, 1.0, 2));
        let why = |x: &[f64], y: &[f64], clusters: &[usize]| correlation(kind, x, y, clusters).undefined();
        assert_eq!(why(&[], &[], &[]), Some(Undefined::NoValues));
        assert_eq!(why(&[1.0], &[1.0], &[0]), Some(Undefined::TooFewValues));
        assert_eq!(why(&[0.1; 3], &[1.0, 2.0, 3.0], &[0, 1, 2]), Some(Undefined::Constant));
        assert_eq!(why(&[0.0, -0.0], &[1.0, 2.0], &[0, 1]), Some(Undefined::Constant));
        assert_eq!(why(&[0.0, f64::INFINITY], &[1.0, 2.0], &[0, 1]), Some(Undefined::NotFinite));
        assert_eq!(why(&[0.0, 1.0], &[1.0, 2.0], &[0]), Some(Undefined::UnequalLengths));
    }
}
