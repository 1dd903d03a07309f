//! The linear reward head: r(x) = w·h(x) + b, fitted by Bradley-Terry to the exact optimum.
//!
//! Works on [`Features`] and index pairs; knows nothing of texts. All sums are f64 in a fixed order, so the same
//! pairs give the same bits with any number of threads.

mod bradley_terry;
mod cross_validation;
mod lbfgs;
mod linear_algebra;
mod mlp;
mod newton;

use std::collections::BTreeSet;

pub use bradley_terry::Problem;
pub use cross_validation::choose_l2;
pub use mlp::{MlpFit, MlpHead, MlpSettings, Stopped, fit_mlp};
pub use newton::{Solution, minimise};

use crate::error::{Error, Fault, Result};
use crate::features::Features;

/// One comparison of two feature rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Row of the preferred item.
    pub chosen: usize,
    /// Row of the other item.
    pub rejected: usize,
    /// Share of labelers who prefer `chosen`, 0..=1.
    pub preference: f64,
    /// Comparisons with the same group never stand in two folds (same prompt, same group).
    pub group: u64,
    /// By how much the score of `chosen` should lead, in units of the log-odds; 0 for none. It shapes the training and
    /// is left out wherever a fit is judged.
    pub margin: f64,
    /// How much the comparison counts; 1 is plain, k counts like k copies. Finite and above 0.
    pub weight: f64,
}

/// How to fit a head.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Fixed L2 penalty; `None` chooses from the grid by grouped cross-validation.
    pub l2: Option<f64>,
    /// Candidates, ascending.
    pub l2_grid: Vec<f64>,
    /// Folds of the cross-validation.
    pub folds: usize,
}

/// A fitted linear head.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// Weights on the features as they are (standardisation folded in), `(width)`.
    pub weights: Vec<f64>,
    /// Makes the mean score of the training items zero.
    pub bias: f64,
}

impl LinearHead {
    /// w·h + b, summed in index order in f64.
    pub fn score(&self, features: &[f32]) -> f64 {
        let mut sum = self.bias;
        for (weight, value) in self.weights.iter().zip(features) {
            sum += weight * f64::from(*value);
        }
        sum
    }
}

/// A head with how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The head.
    pub head: LinearHead,
    /// Weights on standardised features, which the penalty acts on.
    pub standardised_weights: Vec<f64>,
    /// Population standard deviation of each feature over the training items; 0 marks a constant feature.
    pub deviations: Vec<f64>,
    /// The L2 penalty used.
    pub l2: f64,
    /// Cross-validated mean log-loss per candidate; empty for a fixed penalty.
    pub l2_path: Vec<(f64, f64)>,
    /// Euclidean norm of the gradient at the solution.
    pub gradient_norm: f64,
    /// Newton steps.
    pub iterations: usize,
}

/// Fits a head on `comparisons` of rows of `features`.
///
/// # Errors
/// [`Error::Numeric`] when no feature varies or the optimum cannot be reached.
pub fn fit(features: &Features, comparisons: &[Comparison], settings: &FitSettings) -> Result<Fit> {
    let (means, deviations) = moments(features, comparisons);
    if deviations.iter().all(|&deviation| deviation == 0.0) {
        return Err(Error::Numeric(vec![
            Fault::new("head", "no feature differs between the training items")
                .help("the backbone gives the same vector for every text: check its weights, layers and pooling"),
        ]));
    }
    let problem = Problem::new(features, comparisons, &deviations);
    let (l2, l2_path) = match settings.l2 {
        Some(l2) => (l2, Vec::new()),
        None => choose_l2(&problem, comparisons, settings)?,
    };
    let Solution { weights: standardised_weights, gradient_norm, iterations } = minimise(&problem, l2)?;
    let fold = |(weight, deviation): (&f64, &f64)| if *deviation == 0.0 { 0.0 } else { weight / deviation };
    let weights: Vec<f64> = standardised_weights.iter().zip(&deviations).map(fold).collect();
    let bias = -weights.iter().zip(&means).map(|(weight, mean)| weight * mean).sum::<f64>();
    let head = LinearHead { weights, bias };
    Ok(Fit { head, standardised_weights, deviations, l2, l2_path, gradient_norm, iterations })
}

/// Mean and population standard deviation of each column over the distinct rows that the comparisons use.
///
/// A deviation below a millionth of the column's size is set to 0: some encoders have output columns whose layer norm
/// weight is about 1e-33, and dividing by their spread would blow rounding noise up to full size.
fn moments(features: &Features, comparisons: &[Comparison]) -> (Vec<f64>, Vec<f64>) {
    let used: BTreeSet<usize> =
        comparisons.iter().flat_map(|comparison| [comparison.chosen, comparison.rejected]).collect();
    let (count, width) = (used.len().max(1) as f64, features.width());
    let (mut means, mut squares, mut sizes) = (vec![0f64; width], vec![0f64; width], vec![0f64; width]);
    for &row in &used {
        for (mean, value) in means.iter_mut().zip(features.row(row)) {
            *mean += f64::from(*value) / count;
        }
    }
    for &row in &used {
        for (column, value) in features.row(row).iter().enumerate() {
            let value = f64::from(*value);
            squares[column] += (value - means[column]).powi(2) / count;
            sizes[column] = sizes[column].max(value.abs());
        }
    }
    let deviation = |(square, size): (&f64, &f64)| {
        let deviation = square.sqrt();
        if deviation > 1e-6 * size { deviation } else { 0.0 }
    };
    let deviations = squares.iter().zip(&sizes).map(deviation).collect();
    (means, deviations)
}
