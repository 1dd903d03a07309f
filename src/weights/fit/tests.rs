//! The fit against closed forms, a slow search and the properties that its numbers must have.

use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::logistic::{log_sigmoid, sigmoid};

fn names(count: usize) -> Vec<String> {
    ["helpfulness", "safety", "conciseness"][..count].iter().map(|name| (*name).to_owned()).collect()
}

fn comparison(difference: &[f64], preference: f64, prompt: usize) -> Comparison {
    Comparison { difference: difference.into(), preference, prompt }
}

/// `wins` of `total` comparisons one unit apart go to the first answer.
fn coin(wins: usize, total: usize) -> Vec<Comparison> {
    (0..total).map(|index| comparison(&[1.0], f64::from(u8::from(index < wins)), index)).collect()
}

/// Numbers without a pattern in −1..1.
fn number(index: usize, salt: usize) -> f64 {
    ((index * 7919 + salt * 104_729 + index * index * 31) % 1009) as f64 / 504.5 - 1.0
}

/// Noisy labels, hard and soft, of prompts with several comparisons.
fn noisy(count: usize, width: usize) -> Vec<Comparison> {
    let row = |index: usize| {
        let difference: Vec<f64> = (0..width).map(|k| (k + 1) as f64 * number(index, k)).collect();
        let margin: f64 = difference.iter().sum::<f64>() + 2.0 * number(index, 99);
        let preference =
            if index.is_multiple_of(5) { 0.5 + 0.4 * number(index, 7) } else { f64::from(u8::from(margin > 0.0)) };
        comparison(&difference, preference, index / 3)
    };
    (0..count).map(row).collect()
}

fn close(found: f64, truth: f64, tolerance: f64) {
    assert!((found - truth).abs() <= tolerance * (1.0 + truth.abs()), "{found} is not {truth}");
}

#[test]
fn one_objective_has_a_closed_form() {
    // σ(w) = 30/40, so w = ln 3; information 40 · ¾ · ¼; the scores of 40 prompts have the same sum of squares.
    let found = fit(&names(1), &coin(30, 40), "pairs").expect("40 pairs");
    let one = &found.dimensions[0];
    let information: f64 = 40.0 * 0.75 * 0.25;
    close(one.weight, 3.0_f64.ln(), 1e-12);
    close(one.standard_error, 1.0 / information.sqrt(), 1e-12);
    close(one.standard_error_clustered, (40.0 / 39.0 / information).sqrt(), 1e-12);
    assert!(!found.clustered, "every prompt has one pair");
    let log_likelihood = 30.0 * 0.75_f64.ln() + 10.0 * 0.25_f64.ln();
    close(found.log_likelihood, log_likelihood, 1e-12);
    close(found.log_likelihood_null, 40.0 * 0.5_f64.ln(), 1e-12);
    close(found.pseudo_r2, 1.0 - log_likelihood / (40.0 * 0.5_f64.ln()), 1e-12);
    close(one.likelihood_ratio, 2.0 * (log_likelihood - 40.0 * 0.5_f64.ln()), 1e-10);
    close(found.accuracy, 0.75, 1e-12);
    assert!(one.share == 1.0 && one.p_value == one.likelihood_ratio_p);
}

#[test]
fn soft_labels_are_shares_of_labelers() {
    let shared: Vec<Comparison> = (0..40).map(|index| comparison(&[2.0], 0.8, index)).collect();
    // σ(2w) = 0.8.
    close(fit(&names(1), &shared, "pairs").expect("40 pairs").dimensions[0].weight, 4.0_f64.ln() / 2.0, 1e-12);
}

#[test]
fn tails_of_the_chi_square_agree_with_the_tables() {
    // 5%, 1% and 0.1% points of χ² with one degree of freedom.
    for (x, p) in [(3.841_458_820_694_124, 0.05), (6.634_896_601_021_213, 0.01), (10.827_566_170_662_733, 0.001)] {
        close(chi_square_tail(x), p, 1e-12);
    }
    assert!(chi_square_tail(0.0) == 1.0);
}

fn margin_of(weights: [f64; 2], one: &Comparison) -> f64 {
    weights[0] * one.difference[0] + weights[1] * one.difference[1]
}

/// The log-likelihood of two weights.
fn value(comparisons: &[Comparison], weights: [f64; 2]) -> f64 {
    let term = |one: &Comparison| {
        let margin = margin_of(weights, one);
        one.preference * log_sigmoid(margin) + (1.0 - one.preference) * log_sigmoid(-margin)
    };
    comparisons.iter().map(term).sum()
}

/// Its slope.
fn slope(comparisons: &[Comparison], weights: [f64; 2]) -> [f64; 2] {
    let term = |one: &Comparison, k: usize| (one.preference - sigmoid(margin_of(weights, one))) * one.difference[k];
    [0, 1].map(|k| comparisons.iter().map(|one| term(one, k)).sum())
}

/// Its maximum by gradient ascent, with a step below the inverse of the largest curvature, n/4 · E|d|².
fn climbed(comparisons: &[Comparison]) -> [f64; 2] {
    let mut weights = [0.0, 0.0];
    for _ in 0..20_000 {
        let [x, y] = slope(comparisons, weights);
        weights = [weights[0] + x / 60.0, weights[1] + y / 60.0];
    }
    weights
}

#[test]
fn two_weights_agree_with_a_slow_climb() {
    let comparisons = noisy(120, 2);
    let found = fit(&names(2), &comparisons, "pairs").expect("noisy pairs");
    let weights = climbed(&comparisons);
    for (dimension, weight) in found.dimensions.iter().zip(weights) {
        close(dimension.weight, weight, 1e-8);
    }
    close(found.log_likelihood, value(&comparisons, weights), 1e-10);
    // Without the second objective: golden-section search for the best single weight.
    let (mut low, mut high) = (-10.0, 10.0);
    while high - low > 1e-9 {
        let (one, other) = (low + 0.382 * (high - low), low + 0.618 * (high - low));
        if value(&comparisons, [one, 0.0]) < value(&comparisons, [other, 0.0]) { low = one } else { high = other }
    }
    let ratio = 2.0 * (value(&comparisons, weights) - value(&comparisons, [low, 0.0]));
    close(found.dimensions[1].likelihood_ratio, ratio, 1e-8);
}

#[test]
fn standard_errors_agree_with_finite_differences_and_the_sandwich_written_out() {
    let comparisons = noisy(120, 2);
    let found = fit(&names(2), &comparisons, "pairs").expect("noisy pairs");
    let weights = climbed(&comparisons);
    // Second derivatives by central differences of the slope; the inverse of a 2 × 2 matrix by its formula.
    let step = 1e-5;
    let [up, down] = [step, -step].map(|step| slope(&comparisons, [weights[0] + step, weights[1]]));
    let [right, left] = [step, -step].map(|step| slope(&comparisons, [weights[0], weights[1] + step]));
    let [a, b, c] = [down[0] - up[0], down[1] - up[1], left[1] - right[1]].map(|change| change / (2.0 * step));
    let determinant = a * c - b * b;
    let inverse = [[c / determinant, -b / determinant], [-b / determinant, a / determinant]];
    let mut meat = [[0.0; 2]; 2];
    for prompt in 0..40 {
        let mut sum = [0.0; 2];
        for one in comparisons.iter().filter(|one| one.prompt == prompt) {
            (0..2).for_each(|k| sum[k] += (one.preference - sigmoid(margin_of(weights, one))) * one.difference[k]);
        }
        (0..4).for_each(|index| meat[index / 2][index % 2] += sum[index / 2] * sum[index % 2]);
    }
    for (k, dimension) in found.dimensions.iter().enumerate() {
        let variance: f64 =
            (0..4).map(|index| inverse[k][index / 2] * meat[index / 2][index % 2] * inverse[index % 2][k]).sum();
        close(dimension.standard_error_model, inverse[k][k].sqrt(), 1e-6);
        close(dimension.standard_error_clustered, (40.0 / 39.0 * variance).sqrt(), 1e-6);
        assert!(dimension.standard_error == dimension.standard_error_clustered);
    }
    assert!(found.clustered, "three pairs of each prompt");
}

#[test]
fn copies_within_a_prompt_leave_the_clustered_errors_as_they_are() {
    let once: Vec<Comparison> =
        noisy(90, 2).into_iter().enumerate().map(|(index, one)| Comparison { prompt: index, ..one }).collect();
    let thrice: Vec<Comparison> = once.iter().flat_map(|one| [one.clone(), one.clone(), one.clone()]).collect();
    let (once, thrice) =
        (fit(&names(2), &once, "pairs").expect("pairs"), fit(&names(2), &thrice, "pairs").expect("pairs"));
    for (once, thrice) in once.dimensions.iter().zip(&thrice.dimensions) {
        close(thrice.weight, once.weight, 1e-10);
        close(thrice.standard_error_clustered, once.standard_error_clustered, 1e-9);
        close(thrice.standard_error_model, once.standard_error_model / 3.0_f64.sqrt(), 1e-9);
        close(thrice.likelihood_ratio, 3.0 * once.likelihood_ratio, 1e-9);
    }
    assert!(thrice.clustered && !once.clustered);
}

#[test]
fn verdicts_say_what_was_shown() {
    let dimension = |weight: f64, p_value| Dimension {
        name: "safety".into(),
        weight,
        share: 0.5,
        standard_error: 0.1,
        standard_error_model: 0.1,
        standard_error_clustered: 0.1,
        z: weight / 0.1,
        likelihood_ratio: 1.0,
        likelihood_ratio_p: p_value,
        p_value,
    };
    assert_eq!(dimension(0.08, 0.41).verdict(), "safety: not shown to matter for the holistic label (p = 0.410)");
    let matters = "safety: matters for the holistic label (weight 0.500, 95% 0.304 to 0.696, p < 0.001)";
    assert_eq!(dimension(0.5, 1e-7).verdict(), matters);
    assert!(dimension(-0.5, 0.01).verdict().starts_with("safety: counts against an answer"));
}

/// The one fault of a fit that must be refused.
fn refused(count: usize, comparisons: &[Comparison]) -> (u8, String) {
    let error = fit(&names(count), comparisons, "pairs").expect_err("no weights");
    assert_eq!(error.faults().len(), 1);
    let numeric = matches!(error, Error::Numeric(_) | Error::Data(_));
    assert!(numeric && error.faults()[0].help.is_some(), "{error}");
    (error.exit_code(), error.to_string())
}

#[test]
fn separated_labels_are_told_and_not_fitted() {
    // Both objectives are noisy, but helpfulness + 2 safety is always right.
    let mix: Vec<Comparison> = (0..60)
        .map(|index| {
            let (x, y) = (number(index, 1), number(index, 2));
            comparison(&[x, y], f64::from(u8::from(x + 2.0 * y > 0.0)), index)
        })
        .collect();
    let (code, message) = refused(2, &mix);
    assert_eq!(code, 3);
    assert!(message.contains("a mix of the scores of helpfulness, safety orders every pair"), "{message}");

    let (_, message) = refused(1, &coin(40, 40));
    assert!(message.contains("the score of helpfulness orders every pair"), "{message}");

    // Safety differs in seven pairs only and is right in all of them: only its weight has no bound.
    let mut partly: Vec<Comparison> = coin(50, 80);
    partly.iter_mut().enumerate().for_each(|(index, one)| {
        let toward = 2.0 * one.preference - 1.0;
        one.difference.push(if index.is_multiple_of(12) { toward * (1.0 + index as f64) } else { 0.0 });
    });
    let (_, message) = refused(2, &partly);
    assert!(message.contains("the score of safety orders every pair on which it differs"), "{message}");
    // One vote of the other kind bounds it.
    partly[12].preference = 1.0 - partly[12].preference;
    assert!(fit(&names(2), &partly, "pairs").is_ok_and(|found| found.dimensions[1].weight.is_finite()));
}

#[test]
fn objectives_that_follow_from_others_are_named_with_their_mix() {
    let mut comparisons = noisy(90, 2);
    comparisons.iter_mut().for_each(|one| one.difference.push(0.5 * one.difference[0] - 2.0 * one.difference[1]));
    let (code, message) = refused(3, &comparisons);
    assert_eq!(code, 3);
    assert!(message.contains("conciseness is always 0.500 × helpfulness + -2.000 × safety"), "{message}");
    comparisons.iter_mut().for_each(|one| one.difference[2] = one.difference[1]);
    let (_, message) = refused(3, &comparisons);
    assert!(message.contains("conciseness is always 1.000 × safety"), "{message}");
    comparisons.iter_mut().for_each(|one| one.difference[1] = 0.0);
    let (_, message) = refused(3, &comparisons);
    assert!(message.contains("both answers of every pair have the same score of safety"), "{message}");
}

#[test]
fn too_little_is_told_with_what_is_needed() {
    let (code, message) = refused(2, &noisy(12, 2));
    assert_eq!(code, 3);
    assert!(message.contains("of 4 prompts for 2 objectives") && message.contains("at least 20"), "{message}");
    let one_prompt: Vec<Comparison> = noisy(90, 2).into_iter().map(|one| Comparison { prompt: 0, ..one }).collect();
    assert!(refused(2, &one_prompt).1.contains("1 prompt for"));
    assert!(refused(1, &[]).1.contains("0 decided pairs of 0 prompts"));
    let ties: Vec<Comparison> = noisy(90, 2).into_iter().map(|one| Comparison { preference: 0.5, ..one }).collect();
    let (code, message) = refused(2, &ties);
    assert_eq!(code, 2);
    assert!(message.contains("each of the 90 pairs is a tie"), "{message}");
    for wild in [f64::NAN, f64::INFINITY] {
        let mut comparisons = noisy(90, 2);
        comparisons[7].difference[1] = wild;
        assert!(refused(2, &comparisons).1.contains("comparison 7"));
    }
}

#[test]
fn labels_that_cancel_give_zero_and_no_nan() {
    let both: Vec<Comparison> = coin(40, 40)
        .into_iter()
        .enumerate()
        .map(|(index, one)| Comparison { preference: (index % 2) as f64, ..one })
        .collect();
    let found = fit(&names(1), &both, "pairs").expect("decided pairs");
    let one = &found.dimensions[0];
    assert_eq!((one.weight, one.share, one.z, one.likelihood_ratio_p, found.pseudo_r2), (0.0, 0.0, 0.0, 1.0, 0.0));
    // Within prompts: each prompt's own score vanishes, and the clustered error with it, which would claim certainty.
    let both: Vec<Comparison> =
        both.into_iter().enumerate().map(|(index, one)| Comparison { prompt: index / 2, ..one }).collect();
    let one = &fit(&names(1), &both, "pairs").expect("decided pairs").dimensions[0];
    assert!(one.standard_error_clustered < 1e-12 && one.standard_error == one.standard_error_model);
    assert_eq!(one.p_value, 1.0);
}

proptest! {
    #[test]
    fn turning_pairs_round_and_rescaling_objectives_change_what_they_must(
        seed in 0_usize..1000, factors in (1e-6_f64..1e6, 1e-6_f64..1e6)
    ) {
        let plain: Vec<Comparison> = noisy(90 + seed % 7, 2);
        let found = fit(&names(2), &plain, "pairs").expect("noisy pairs");
        // The same comparisons with their answers in the other order: the very same fit.
        let turned: Vec<Comparison> = plain
            .iter()
            .enumerate()
            .map(|(index, one)| match (index + seed) % 2 {
                0 => one.clone(),
                _ => comparison(&[-one.difference[0], -one.difference[1]], 1.0 - one.preference, one.prompt),
            })
            .collect();
        let turned = fit(&names(2), &turned, "pairs").expect("noisy pairs");
        let scaled: Vec<Comparison> = plain
            .iter()
            .map(|one| {
                let difference = [factors.0 * one.difference[0], factors.1 * one.difference[1]];
                comparison(&difference, one.preference, one.prompt)
            })
            .collect();
        let scaled = fit(&names(2), &scaled, "pairs").expect("noisy pairs");
        let near = |left: f64, right: f64| (left - right).abs() <= 1e-9 * (1e-3 + right.abs());
        for (k, factor) in [factors.0, factors.1].into_iter().enumerate() {
            let (one, turned, scaled) = (&found.dimensions[k], &turned.dimensions[k], &scaled.dimensions[k]);
            prop_assert!(near(turned.weight, one.weight) && near(turned.standard_error, one.standard_error));
            prop_assert!(near(factor * scaled.weight, one.weight) && near(scaled.z, one.z));
            prop_assert!(near(scaled.likelihood_ratio, one.likelihood_ratio));
        }
        let shares: f64 = found.dimensions.iter().map(|one| one.share.abs()).sum();
        prop_assert!((shares - 1.0).abs() < 1e-12);
    }
}
