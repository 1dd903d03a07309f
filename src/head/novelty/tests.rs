//! Distances against scikit-learn's, p-values against their definition.

use serde::Deserialize;

use super::*;
use crate::features::Features;
use crate::random::Random;

/// Written by `tests/fixtures/make_covariance.py`.
#[derive(Deserialize)]
struct Fixture {
    rows: Vec<Vec<f32>>,
    shrinkage: f64,
    covariance: Vec<Vec<f64>>,
    distances: Vec<f64>,
}

#[test]
fn shrinkage_and_distances_equal_scikit_learns() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/covariance.json");
    let fixture: Fixture =
        serde_json::from_slice(&crate::files::read(&path, "a fixture").expect("fixture")).expect("fixture");
    let mut features = Features::new(fixture.rows[0].len());
    fixture.rows.iter().for_each(|row| features.push(row));
    let all: Vec<usize> = (0..features.rows()).collect();
    let standardiser = Standardiser::over(&features, &all).expect("varies");
    let (covariance, share) = shrunk_covariance(&features, &standardiser, &all).expect("finite");
    assert!((share - fixture.shrinkage).abs() < 1e-9, "{share} against {}", fixture.shrinkage);
    for (found, truth) in covariance.iter().zip(fixture.covariance.iter().flatten()) {
        assert!((found - truth).abs() < 1e-9);
    }
    let distribution = TrainingDistribution::fit(&features, &all, &all).expect("finite");
    for (row, truth) in fixture.distances.iter().enumerate() {
        let found = distribution.distance(features.row(row));
        assert!((found - truth).abs() < 1e-9, "{found} against {truth}");
    }
}

#[test]
fn p_values_count_what_lies_as_far() {
    let (standardiser, covariance) =
        (Standardiser { means: vec![0.0], deviations: vec![1.0], forbidden: Vec::new() }, Factor::dense(&[1.0], 1));
    let distribution = TrainingDistribution { standardiser, covariance, distances: vec![1.0, 2.0, 2.0, 4.0] };
    for (distance, p) in [(0.5, 1.0), (1.0, 1.0), (1.5, 0.8), (2.0, 0.8), (3.0, 0.4), (4.0, 0.4), (4.5, 0.2)] {
        assert!((distribution.p_value(distance) - p).abs() < 1e-12, "{distance}");
    }
}

/// Rows of correlated features.
fn correlated(count: usize, shift: f64, random: &mut Random) -> Vec<Vec<f32>> {
    let mut row = || {
        let common = random.normal();
        (0..20).map(|_| (0.7 * common + random.normal() + shift) as f32).collect()
    };
    (0..count).map(|_| row()).collect()
}

#[test]
fn new_texts_of_the_same_kind_are_rarely_called_strange_and_others_nearly_always() {
    let mut random = Random::new(17);
    let mut features = Features::new(20);
    for row in correlated(3_000, 0.0, &mut random) {
        features.push(&row);
    }
    let (training, held_out): (Vec<usize>, Vec<usize>) = (0..3_000).partition(|row| *row < 2_000);
    let distribution = TrainingDistribution::fit(&features, &training, &held_out).expect("finite");
    let share = |rows: Vec<Vec<f32>>| {
        let strange = rows.iter().filter(|row| distribution.p_value(distribution.distance(row)) <= 0.01).count();
        strange as f64 / rows.len() as f64
    };
    let (same, other) = (share(correlated(20_000, 0.0, &mut random)), share(correlated(500, 5.0, &mut random)));
    // 1% by construction; the 1,000 held-out texts give the threshold itself an error of 0.3 points.
    assert!((same - 0.01).abs() < 0.0075, "{same}");
    assert!(other > 0.95, "{other}");
}

#[test]
fn wide_features_are_compared_column_by_column() {
    let mut features = Features::new(WIDEST_COVARIANCE + 1);
    let mut random = Random::new(2);
    for _ in 0..20 {
        let row: Vec<f32> = (0..features.width()).map(|_| random.normal() as f32).collect();
        features.push(&row);
    }
    let distribution =
        TrainingDistribution::fit(&features, &(0..10).collect::<Vec<_>>(), &(10..20).collect::<Vec<_>>());
    let distribution = distribution.expect("finite");
    assert!(distribution.covariance.is_none());
    assert!(distribution.distance(features.row(3)).is_finite());
}
