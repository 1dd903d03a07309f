//! The Bradley-Terry likelihood of the labels given the scores, and its maximum by Newton's method.

use super::Comparison;
use super::cholesky::{Cholesky, Dependent};
use crate::logistic::{log_sigmoid, sigmoid};

/// Newton has arrived when ‖∇‖ per comparison is below this, on differences of mean square 1.
const GRADIENT: f64 = 1e-13;
/// Where rounding stops it earlier, this is still an optimum; above it, something is wrong.
const GRADIENT_AT_ROUNDING: f64 = 1e-9;
/// A column of which the others leave less than this share of the square is a mix of them.
const DEPENDENT: f64 = 1e-10;
/// Where curvature falls below this share of what it is at zero weights, probabilities have left for 0 and 1.
const SATURATED: f64 = 1e-11;
const MOST_ITERATIONS: usize = 200;

/// Why there is no single best vector of weights.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// A column is a mix of the ones before it, with these coefficients.
    Dependent(Dependent),
    /// Moving along this direction never makes the fit worse: the labels are separated.
    Separated(Vec<f64>),
    /// Newton's method stopped with this gradient norm per comparison.
    Stuck(f64),
}

/// Comparisons as one matrix of chosen columns, each divided by its scale.
pub(super) struct Likelihood {
    width: usize,
    rows: Vec<f64>,
    preferences: Vec<f64>,
}

/// The log-likelihood with its derivatives at one vector of weights.
pub(super) struct Point {
    pub weights: Vec<f64>,
    pub log_likelihood: f64,
    /// ∇ of the log-likelihood.
    pub gradient: Vec<f64>,
    /// Minus its second derivatives, Σ σ′ d dᵀ, row-major.
    pub information: Vec<f64>,
}

/// Where the likelihood is highest.
pub(super) struct Maximum {
    pub point: Point,
    pub factor: Cholesky,
    pub iterations: usize,
}

impl Likelihood {
    /// The columns `columns` of the comparisons' differences, each divided by its entry of `scales`.
    pub(super) fn new(comparisons: &[Comparison], columns: &[usize], scales: &[f64]) -> Self {
        let row = |comparison: &Comparison| -> Vec<f64> {
            columns.iter().map(|column| comparison.difference[*column] / scales[*column]).collect()
        };
        Self {
            width: columns.len(),
            rows: comparisons.iter().flat_map(row).collect(),
            preferences: comparisons.iter().map(|comparison| comparison.preference).collect(),
        }
    }

    fn each(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.rows.chunks_exact(self.width).zip(self.preferences.iter().copied())
    }

    /// For each comparison ∂ log-likelihood / ∂ margin = p − σ(w·d), with its row.
    pub(super) fn residuals<'a>(&'a self, weights: &'a [f64]) -> impl Iterator<Item = (&'a [f64], f64)> {
        self.each().map(move |(row, preference)| (row, residual(preference, dot(weights, row))))
    }

    /// Σ p log σ(w·d) + (1 − p) log σ(−w·d) and its derivatives.
    pub(super) fn at(&self, weights: Vec<f64>) -> Point {
        let mut log_likelihood = 0.0;
        let mut gradient = vec![0.0; self.width];
        let mut information = vec![0.0; self.width * self.width];
        for (row, preference) in self.each() {
            let margin = dot(&weights, row);
            log_likelihood += preference * log_sigmoid(margin) + (1.0 - preference) * log_sigmoid(-margin);
            add_scaled(&mut gradient, residual(preference, margin), row);
            add_outer(&mut information, sigmoid(margin) * sigmoid(-margin), row);
        }
        Point { weights, log_likelihood, gradient, information }
    }

    /// The maximum, from zero weights by Newton's method with step halving.
    ///
    /// # Errors
    /// Why there is none, or not one alone.
    pub(super) fn maximise(&self) -> Result<Maximum, Trouble> {
        let count = self.preferences.len() as f64;
        let mut squares = vec![0.0; self.width * self.width];
        self.each().for_each(|(row, _)| add_outer(&mut squares, 1.0, row));
        let least: Vec<f64> = (0..self.width).map(|k| DEPENDENT * squares[k * self.width + k]).collect();
        let pivots = Cholesky::new(&squares, self.width, &least).map_err(Trouble::Dependent)?.pivots();
        let least: Vec<f64> = pivots.iter().map(|pivot| SATURATED * pivot).collect();

        let mut point = self.at(vec![0.0; self.width]);
        let mut step = vec![0.0; self.width];
        let mut iterations = 0;
        loop {
            // Where labels are separated, every step is about the same direction and curvature fades along it.
            let factor = Cholesky::new(&point.information, self.width, &least)
                .map_err(|_| Trouble::Separated(std::mem::take(&mut step)))?;
            let norm = dot(&point.gradient, &point.gradient).sqrt() / count;
            let next = if norm > GRADIENT && iterations < MOST_ITERATIONS {
                step = factor.solve(&point.gradient);
                self.better(&point, &step)
            } else {
                None
            };
            match next {
                Some(next) => point = next,
                None if norm <= GRADIENT_AT_ROUNDING => return Ok(Maximum { point, factor, iterations }),
                None => return Err(Trouble::Stuck(norm)),
            }
            iterations += 1;
        }
    }

    /// The first of the steps 1, ½, ¼ … that raises the likelihood enough (Armijo), or, at rounding level, lowers the
    /// gradient.
    fn better(&self, point: &Point, step: &[f64]) -> Option<Point> {
        let slope = dot(&point.gradient, step);
        let mut length = 1.0;
        for _ in 0..40 {
            let mut weights = point.weights.clone();
            add_scaled(&mut weights, length, step);
            let next = self.at(weights);
            let gain = next.log_likelihood - point.log_likelihood;
            let level = gain.abs() <= 1e-12 * point.log_likelihood.abs();
            let flatter = dot(&next.gradient, &next.gradient) < dot(&point.gradient, &point.gradient);
            if (gain >= 1e-4 * length * slope && !level) || (level && flatter) {
                return Some(next);
            }
            length *= 0.5;
        }
        None
    }
}

/// p − σ(m), without cancellation at either end.
fn residual(preference: f64, margin: f64) -> f64 {
    preference * sigmoid(-margin) - (1.0 - preference) * sigmoid(margin)
}

/// Σ aᵢ bᵢ.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// `target += factor · source`.
pub(super) fn add_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target += factor * source);
}

/// `matrix += factor · row rowᵀ`.
pub(super) fn add_outer(matrix: &mut [f64], factor: f64, row: &[f64]) {
    for (line, value) in matrix.chunks_exact_mut(row.len()).zip(row) {
        add_scaled(line, factor * value, row);
    }
}
