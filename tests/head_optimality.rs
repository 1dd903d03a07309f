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
}

#[derive(Deserialize)]
struct Optimum {
    l2: f64,
    sklearn_weights: Vec<f64>,
}

fn fixture() -> (Features, Vec<Comparison>, Fixture) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/logistic.json");
    let fixture: Fixture = serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("fixture");
    let mut features = Features::new(fixture.items[0].len());
    fixture.items.iter().for_each(|row| features.push(row));
    let comparisons = fixture
        .pairs
        .iter()
        .enumerate()
        .map(|(index, &(chosen, rejected))| Comparison { chosen, rejected, preference: 1.0, group: index as u64 })
        .collect();
    (features, comparisons, fixture)
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn weights_equal_scikit_learns() {
    let (features, comparisons, fixture) = fixture();
    for optimum in &fixture.fits {
        let settings = FitSettings { l2: Some(optimum.l2), l2_grid: Vec::new(), folds: 2 };
        let fitted = fit(&features, &comparisons, &settings).expect("convex");
        let deviation = largest(fitted.deviations.iter().zip(&fixture.std).map(|(a, b)| a / b - 1.0));
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
    let settings = FitSettings { l2: Some(1.0), l2_grid: Vec::new(), folds: 2 };
    let fitted = fit(&features, &comparisons, &settings).expect("convex");
    for comparison in comparisons.iter().take(50) {
        let (a, b) = (features.row(comparison.chosen), features.row(comparison.rejected));
        let folded = fitted.head.score(a) - fitted.head.score(b);
        let terms = fitted.standardised_weights.iter().zip(&fitted.deviations).enumerate();
        let standardised: f64 =
            terms.map(|(column, (weight, deviation))| weight * f64::from(a[column] - b[column]) / deviation).sum();
        assert!((folded - standardised).abs() < 1e-5 * (1.0 + standardised.abs()));
    }
}

#[test]
fn order_of_pairs_moves_the_optimum_by_rounding_only() {
    let (features, mut comparisons, _) = fixture();
    let settings = FitSettings { l2: Some(10.0), l2_grid: Vec::new(), folds: 2 };
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
    let comparisons: Vec<Comparison> = (0..20)
        .map(|index| Comparison { chosen: index, rejected: index + 20, preference: 1.0, group: index as u64 })
        .collect();
    let settings = FitSettings { l2: Some(1.0), l2_grid: Vec::new(), folds: 2 };
    let fitted = fit(&features, &comparisons, &settings).expect("convex");
    assert_eq!(fitted.head.weights[1], 0.0);
    assert!(fitted.head.weights[0].is_finite());
}
