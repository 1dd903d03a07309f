//! Error bars and probabilities mean what they say: coverage of the posterior, calibration of heads that are too sure.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use ensemble::calibrate::fit_temperature;
use ensemble::evaluate::{Outcome, expected_calibration_error};
use ensemble::features::Features;
use ensemble::head::{Comparison, FitSettings, fit};
use ensemble::logistic::sigmoid;
use ensemble::random::Random;

/// Pairs of fresh items with normal features of mean `centre`, labelled by Bradley-Terry with the weights `truth`.
fn simulated(pairs: usize, truth: &[f64], random: &mut Random) -> (Features, Vec<Comparison>) {
    let mut features = Features::new(truth.len());
    let mut comparisons = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        let mut item = || -> Vec<f32> { truth.iter().map(|_| (3.0 + random.normal()) as f32).collect() };
        let (left, right) = (item(), item());
        let score = |item: &[f32]| truth.iter().zip(item).map(|(w, x)| w * f64::from(*x)).sum::<f64>();
        let wins = random.uniform() < sigmoid(score(&left) - score(&right));
        features.push(&left);
        features.push(&right);
        let (first, second) = (2 * pair, 2 * pair + 1);
        comparisons.push(if wins { Comparison::hard(first, second) } else { Comparison::hard(second, first) });
    }
    (features, comparisons)
}

#[test]
fn intervals_of_score_differences_cover_the_truth_in_95_of_100_cases() {
    const DATA_SETS: usize = 200;
    const NEW_PAIRS: usize = 50;
    let truth = [0.9, -0.6, 0.3, 0.0, 0.5, -0.2, 0.1, 0.4];
    let mut random = Random::new(2026);
    let mut covered = 0;
    let (mut covered_references, mut covered_smoothly) = (0, 0.0);
    for _ in 0..DATA_SETS {
        let (features, pairs) = simulated(400, &truth, &mut random);
        let fitted = fit(&features, &pairs, &FitSettings::with_l2(0.1)).expect("convex");
        let (fresh, _) = simulated(NEW_PAIRS, &truth, &mut random);
        let score = |row: usize| truth.iter().zip(fresh.row(row)).map(|(w, x)| w * f64::from(*x)).sum::<f64>();
        // The reference: the mean of all fresh items.
        let count = fresh.rows() as f64;
        let mean = |column: usize| (0..fresh.rows()).map(|row| f64::from(fresh.row(row)[column])).sum::<f64>() / count;
        let origin: Vec<f64> = (0..truth.len()).map(mean).collect();
        let origin_truth: f64 = truth.iter().zip(&origin).map(|(w, x)| w * x).sum();
        let origin_score = fitted.head.bias + fitted.head.weights.iter().zip(&origin).map(|(w, x)| w * x).sum::<f64>();
        for pair in 0..NEW_PAIRS {
            let (left, right) = (fresh.row(2 * pair), fresh.row(2 * pair + 1));
            let error = fitted.posterior.error_of_difference(left, right);
            let miss = fitted.head.score(left) - fitted.head.score(right) - (score(2 * pair) - score(2 * pair + 1));
            covered += usize::from(miss.abs() <= 1.959_964 * error);
            covered_smoothly += miss * miss / (error * error);
            let error = fitted.posterior.error_relative_to(left, &origin);
            let miss = fitted.head.score(left) - origin_score - (score(2 * pair) - origin_truth);
            covered_references += usize::from(miss.abs() <= 1.959_964 * error);
        }
    }
    let share = covered as f64 / (DATA_SETS * NEW_PAIRS) as f64;
    let reference_share = covered_references as f64 / (DATA_SETS * NEW_PAIRS) as f64;
    let squares = covered_smoothly / (DATA_SETS * NEW_PAIRS) as f64;
    println!(
        "{DATA_SETS} data sets: {:.1}% of 95% intervals of differences cover, {:.1}% of scores against the reference mean; \
         mean squared miss over squared error {squares:.3}",
        100.0 * share,
        100.0 * reference_share
    );
    assert!((0.93..=0.97).contains(&share), "{share}");
    assert!((0.93..=0.97).contains(&reference_share), "{reference_share}");
}

#[test]
fn a_head_that_is_too_sure_or_too_timid_is_mended() {
    let mut random = Random::new(7);
    for factor in [4.0, 0.25] {
        // The true log-odds times a factor: what a head says that exaggerates by it.
        let mut outcomes = |count: usize| -> Vec<Outcome> {
            (0..count)
                .map(|pair| {
                    let odds = 1.5 * random.normal();
                    let sign = if random.uniform() < sigmoid(odds) { 1.0 } else { -1.0 };
                    Outcome { margin: sign * factor * odds, preference: 1.0, cluster: pair }
                })
                .collect()
        };
        let (calibration, test) = (outcomes(2_000), outcomes(4_000));
        let margins: Vec<f64> = calibration.iter().map(|outcome| outcome.margin).collect();
        let temperature = fit_temperature(&margins, &vec![1.0; margins.len()]).expect("finite");
        let mended: Vec<Outcome> =
            test.iter().map(|outcome| Outcome { margin: outcome.margin / temperature, ..*outcome }).collect();
        let error = |outcomes: &[Outcome]| expected_calibration_error(outcomes).expect("pairs");
        let (before, after) = (error(&test), error(&mended));
        println!("log-odds times {factor}: temperature {temperature:.2}, ECE {before:.3} before and {after:.3} after");
        assert!((temperature / factor - 1.0).abs() < 0.15, "{temperature}");
        assert!(before > 0.08 && after < 0.03, "{before} {after}");
    }
}
