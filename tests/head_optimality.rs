//! The linear head is the optimum that scikit-learn's LogisticRegression finds.
//!
//! Fixture: `fixtures/make_logistic.py` (scikit-learn, no intercept, on feature differences, tol 1e-12).
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::path::PathBuf;

use ensemble::features::Features;
use ensemble::head::{Comparison, FitSettings, fit};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    items: Vec<Vec<f32>>,
    pairs: Vec<(usize, usize)>,
    std: Vec<f64>,
    fits: Vec<Optimum>,
    weighted: Weighted,
}

#[derive(Deserialize)]
struct Optimum {
    l2: f64,
    sklearn_weights: Vec<f64>,
}

/// Shares, margins and weights of the pairs, and the optima with them.
#[derive(Deserialize)]
struct Weighted {
    preferences: Vec<f64>,
    margins: Vec<f64>,
    weights: Vec<f64>,
    fits: Vec<WeightedOptimum>,
}

#[derive(Deserialize)]
struct WeightedOptimum {
    l2: f64,
    sklearn_without_margins: Vec<f64>,
    scipy_with_margins: Vec<f64>,
}

/// A comparison in a group of its own, with a hard label and nothing special about it.
fn plain(index: usize, chosen: usize, rejected: usize) -> Comparison {
    Comparison { group: index as u64, ..Comparison::hard(chosen, rejected) }
}

fn fixture() -> (Features, Vec<Comparison>, Fixture) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logistic.json");
    let fixture: Fixture = serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("fixture");
    let mut features = Features::new(fixture.items[0].len());
    fixture.items.iter().for_each(|row| features.push(row));
    let comparisons =
        fixture.pairs.iter().enumerate().map(|(index, &(chosen, rejected))| plain(index, chosen, rejected)).collect();
    (features, comparisons, fixture)
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn weights_equal_scikit_learns() {
    let (features, comparisons, fixture) = fixture();
    for optimum in &fixture.fits {
        let settings = FitSettings::with_l2(optimum.l2);
        let fitted = fit(&features, &comparisons, &settings).expect("convex");
        let deviation =
            largest(fitted.posterior.standardiser.deviations.iter().zip(&fixture.std).map(|(a, b)| a / b - 1.0));
        assert!(deviation < 1e-12, "standard deviations differ by {deviation:e}");
        let theirs = &optimum.sklearn_weights;
        let difference = largest(fitted.standardised_weights.iter().zip(theirs).map(|(a, b)| a - b));
        let relative = difference / largest(theirs.iter().copied());
        println!("l2 {}: relative difference {relative:.1e}, gradient norm {:.1e}", optimum.l2, fitted.gradient_norm);
        assert!(relative < 1e-6, "l2 {}: {relative:e}", optimum.l2);
        assert!(fitted.gradient_norm < 1e-9);
    }
}

#[test]
fn folded_weights_score_differences_like_standardised_ones() {
    let (features, comparisons, _) = fixture();
    let settings = FitSettings::with_l2(1.0);
    let fitted = fit(&features, &comparisons, &settings).expect("convex");
    for comparison in comparisons.iter().take(50) {
        let (a, b) = (features.row(comparison.chosen), features.row(comparison.rejected));
        let folded = fitted.head.score(a) - fitted.head.score(b);
        let terms = fitted.standardised_weights.iter().zip(&fitted.posterior.standardiser.deviations).enumerate();
        let standardised: f64 =
            terms.map(|(column, (weight, deviation))| weight * f64::from(a[column] - b[column]) / deviation).sum();
        assert!((folded - standardised).abs() < 1e-5 * (1.0 + standardised.abs()));
    }
}

#[test]
fn order_of_pairs_moves_the_optimum_by_rounding_only() {
    let (features, mut comparisons, _) = fixture();
    let settings = FitSettings::with_l2(10.0);
    let forwards = fit(&features, &comparisons, &settings).expect("convex");
    comparisons.reverse();
    let backwards = fit(&features, &comparisons, &settings).expect("convex");
    let pairs = forwards.head.weights.iter().zip(&backwards.head.weights);
    assert!(largest(pairs.map(|(a, b)| a - b)) < 1e-9);
}

#[test]
fn a_constant_feature_gets_no_weight_and_no_nan() {
    let mut features = Features::new(2);
    // The second column differs by rounding noise only, as columns with a dead layer norm weight do.
    (0..40u8).for_each(|row| features.push(&[f32::from(row % 7), 0.25 + f32::from(row % 2) * 1e-9]));
    let comparisons: Vec<Comparison> = (0..20).map(|index| plain(index, index, index + 20)).collect();
    let settings = FitSettings::with_l2(1.0);
    let fitted = fit(&features, &comparisons, &settings).expect("convex");
    assert_eq!(fitted.head.weights[1], 0.0);
    assert!(fitted.head.weights[0].is_finite());
}

#[test]
fn shares_weights_and_margins_lead_to_the_optima_of_scikit_learn_and_scipy() {
    let (features, comparisons, Fixture { weighted, .. }) = fixture();
    let labelled = |with_margins: bool| -> Vec<Comparison> {
        let labels = weighted.preferences.iter().zip(&weighted.margins).zip(&weighted.weights);
        let label = |(comparison, ((preference, margin), weight)): (&Comparison, ((&f64, &f64), &f64))| Comparison {
            preference: *preference,
            margin: if with_margins { *margin } else { 0.0 },
            weight: *weight,
            ..*comparison
        };
        comparisons.iter().zip(labels).map(label).collect()
    };
    for optimum in &weighted.fits {
        let references = [(false, &optimum.sklearn_without_margins), (true, &optimum.scipy_with_margins)];
        for (with_margins, theirs) in references {
            let settings = FitSettings::with_l2(optimum.l2);
            let fitted = fit(&features, &labelled(with_margins), &settings).expect("convex");
            let difference = largest(fitted.standardised_weights.iter().zip(theirs).map(|(a, b)| a - b));
            let relative = difference / largest(theirs.iter().copied());
            println!("l2 {}, margins {with_margins}: relative difference {relative:.1e}", optimum.l2);
            assert!(relative < 1e-6, "l2 {}, margins {with_margins}: {relative:e}", optimum.l2);
        }
    }
}

#[test]
fn a_weight_of_k_is_k_copies() {
    let (features, comparisons, _) = fixture();
    let times = |index: usize| 1 + index % 4;
    let labelled = |(index, comparison): (usize, &Comparison)| {
        let margin = [0.0, 0.75, 1.5][index % 3];
        Comparison { preference: 0.8, margin, ..*comparison }
    };
    let copies: Vec<Comparison> =
        comparisons.iter().enumerate().flat_map(|(index, pair)| vec![labelled((index, pair)); times(index)]).collect();
    let weighted: Vec<Comparison> = comparisons
        .iter()
        .enumerate()
        .map(|(index, pair)| Comparison { weight: times(index) as f64, ..labelled((index, pair)) })
        .collect();
    for l2 in [0.1, 10.0] {
        let settings = FitSettings::with_l2(l2);
        let [copied, weighted] =
            [&copies, &weighted].map(|comparisons| fit(&features, comparisons, &settings).expect("convex"));
        let pairs = copied.standardised_weights.iter().zip(&weighted.standardised_weights);
        let difference = largest(pairs.map(|(a, b)| a - b));
        println!("l2 {l2}: difference {difference:.1e}");
        assert!(difference < 1e-9, "l2 {l2}: {difference:e}");
    }
}
