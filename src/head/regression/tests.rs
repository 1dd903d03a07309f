//! Ridge regression against its closed form for one feature, and against the equations it must solve.

use super::*;
use crate::features::Features;
use crate::random::Random;

fn rated(count: usize, width: usize) -> (Features, Vec<RatedRow>) {
    let mut random = Random::new(8);
    let mut features = Features::new(width);
    let mut ratings = Vec::new();
    for row in 0..count {
        let values: Vec<f32> = (0..width).map(|_| 2.0 + 3.0 * random.normal() as f32).collect();
        let truth: f64 =
            values.iter().enumerate().map(|(column, value)| f64::from(*value) / (1.0 + column as f64)).sum();
        features.push(&values);
        ratings.push(RatedRow { row, score: 10.0 + truth + 0.5 * random.normal(), group: row as u64 / 3 });
    }
    (features, ratings)
}

#[test]
fn one_feature_has_its_closed_form() {
    let (features, ratings) = rated(50, 1);
    let fitted = fit_ratings(&features, &ratings, &FitSettings::with_l2(7.0)).expect("varies");
    let count = 50.0;
    let x: Vec<f64> = (0..50).map(|row| f64::from(features.row(row)[0])).collect();
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / count, ratings.iter().map(|one| one.score).sum::<f64>() / count);
    let deviation = (x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>() / count).sqrt();
    // Σ x² = n for standardised x, so w = Σ xy / (n + λ).
    let products: f64 = x.iter().zip(&ratings).map(|(x, one)| (x - mean_x) / deviation * (one.score - mean_y)).sum();
    let weight = products / (count + 7.0);
    assert!((fitted.standardised_weights[0] - weight).abs() < 1e-9);
    let residuals: f64 =
        x.iter().zip(&ratings).map(|(x, one)| (one.score - mean_y - weight * (x - mean_x) / deviation).powi(2)).sum();
    let variance = residuals / (count - 1.0 - count / (count + 7.0));
    let found = fitted.posterior.error_of_difference(features.row(0), features.row(1));
    let expected = ((x[0] - x[1]) / deviation).abs() * (variance / (count + 7.0)).sqrt();
    assert!((found - expected).abs() < 1e-9, "{found} against {expected}");
}

#[test]
fn the_solution_solves_the_normal_equations_and_the_penalty_is_the_best_of_exact_refits() {
    let (features, ratings) = rated(120, 4);
    let grid = vec![0.01, 10.0, 1e4];
    let fitted = fit_ratings(&features, &ratings, &FitSettings::choosing(grid.clone(), 4)).expect("varies");
    assert!(fitted.gradient_norm < 1e-8, "{}", fitted.gradient_norm);
    let standardiser = &fitted.posterior.standardiser;
    let mean = ratings.iter().map(|one| one.score).sum::<f64>() / 120.0;
    for column in 0..4 {
        let slope: f64 = ratings
            .iter()
            .map(|one| {
                let position = standardiser.position(features.row(one.row));
                (dot(&position, &fitted.standardised_weights) - (one.score - mean)) * position[column]
            })
            .sum::<f64>()
            + fitted.l2 * fitted.standardised_weights[column];
        assert!(slope.abs() < 1e-8, "{slope}");
    }
    assert_eq!(fitted.l2, 0.01, "little noise asks for a small penalty: {:?}", fitted.l2_path);
    let worst = fitted.l2_path.iter().map(|(_, loss)| *loss).fold(0.0, f64::max);
    assert_eq!(fitted.l2_path[2].1, worst);
}

#[test]
fn ratings_that_say_nothing_are_refused() {
    let (features, mut ratings) = rated(20, 2);
    ratings.iter_mut().for_each(|one| one.score = 3.0);
    assert!(fit_ratings(&features, &ratings, &FitSettings::with_l2(1.0)).is_err());
    assert!(fit_ratings(&features, &[], &FitSettings::with_l2(1.0)).is_err());
    ratings[0].score = f64::NAN;
    assert!(fit_ratings(&features, &ratings, &FitSettings::with_l2(1.0)).is_err());
}
