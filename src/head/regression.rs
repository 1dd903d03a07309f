//! Ridge regression on attribute scores: for data that rate single answers instead of comparing two.
//!
//! L(w, b) = ½ Σᵢ (w·xᵢ + b − yᵢ)² + λ/2 ‖w‖² over rated answers with standardised features xᵢ (Hoerl & Kennard 1970; as
//! a reward model's first stage: Wang et al. 2024, arXiv 2406.12845). The score is on the rating's scale; calibration
//! turns its differences into log-odds like those of every other head.

use super::control::forbidden;
use super::factor::Factor;
use super::linear_algebra::{Cholesky, add_scaled, dot, norm};
use super::posterior::Posterior;
use super::problem::transposed_product;
use super::standardise::Standardiser;
use super::{Fit, FitSettings, LinearHead};
use crate::error::{Error, Fault, Result};
use crate::features::FeatureRows;

/// One rated answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatedRow {
    /// Row of its features; no row is rated twice.
    pub row: usize,
    /// Its rating.
    pub score: f64,
    /// Rows of one group never stand in two folds (same prompt, same group).
    pub group: u64,
}

/// Rows handled as one block.
const BLOCK_ROWS: usize = 4096;

/// XᵀX, Xᵀy and Σ(y − ȳ)² of some rated rows; y is centred by the mean of all of them.
#[derive(Clone)]
struct Moments {
    gram: Vec<f64>,
    products: Vec<f64>,
    squares: f64,
    count: f64,
}

impl Moments {
    fn new(width: usize) -> Self {
        Self { gram: vec![0.0; width * width], products: vec![0.0; width], squares: 0.0, count: 0.0 }
    }

    fn add(&mut self, other: &Self, factor: f64) {
        add_scaled(&mut self.gram, factor, &other.gram);
        add_scaled(&mut self.products, factor, &other.products);
        self.squares += factor * other.squares;
        self.count += factor * other.count;
    }

    /// Σ (w·x − y)² = Σy² − 2 w·Xᵀy + wᵀXᵀXw.
    fn squared_error(&self, weights: &[f64]) -> f64 {
        let width = weights.len();
        let product: Vec<f64> = self.gram.chunks_exact(width).map(|row| dot(row, weights)).collect();
        self.squares - 2.0 * dot(weights, &self.products) + dot(weights, &product)
    }

    /// (XᵀX + λI)⁻¹Xᵀy with its factor.
    fn solve(&self, l2: f64) -> Result<(Vec<f64>, Cholesky)> {
        let width = self.products.len();
        let factor = Cholesky::new(&self.penalised(l2), width).ok_or_else(|| {
            let found = format!("the ratings do not decide the weights at l2 = {l2}");
            Error::Numeric(vec![Fault::new("head", found).help("set a larger head.l2")])
        })?;
        Ok((factor.solve(&self.products), factor))
    }

    fn penalised(&self, l2: f64) -> Vec<f64> {
        let (width, mut matrix) = (self.products.len(), self.gram.clone());
        (0..width).for_each(|index| matrix[index * width + index] += l2);
        matrix
    }
}

/// Fits a head on rated rows of `features`; the penalty is chosen by the squared error in grouped cross-validation.
///
/// # Errors
/// [`Error::Numeric`] when the ratings or the features do not vary, or the weights are not decided.
pub fn fit_ratings(features: &dyn FeatureRows, ratings: &[RatedRow], settings: &FitSettings) -> Result<Fit> {
    let mut ratings = ratings.to_vec();
    ratings.sort_by_key(|rating| rating.row);
    let mean = ratings.iter().map(|rating| rating.score).sum::<f64>() / ratings.len().max(1) as f64;
    if !ratings.iter().any(|rating| rating.score != mean) || !mean.is_finite() {
        let found = format!("{} ratings, which do not vary or are not finite", ratings.len());
        return Err(Error::Numeric(vec![Fault::new("head", found).accepts("ratings that differ between answers")]));
    }
    let rows: Vec<usize> = ratings.iter().map(|rating| rating.row).collect();
    let mut standardiser = Standardiser::over(features, &rows)?;
    standardiser.forbidden = forbidden(features, &standardiser, &settings.controls, None)?;
    let folds = settings.folds as u64;
    let parts: Vec<Moments> = (0..folds)
        .map(|fold| {
            let inside: Vec<_> = ratings.iter().filter(|rating| rating.group % folds == fold).copied().collect();
            moments(features, &standardiser, &inside, mean)
        })
        .collect::<Result<_>>()?;
    let mut all = Moments::new(features.width());
    parts.iter().for_each(|part| all.add(part, 1.0));
    let (l2, l2_path) = match settings.l2 {
        Some(l2) => (l2, Vec::new()),
        None => choose_l2(&all, &parts, &settings.l2_grid)?,
    };
    let (weights, factor) = all.solve(l2)?;
    finish((weights, factor), &all, standardiser, (l2, l2_path))
}

fn moments(
    features: &dyn FeatureRows,
    standardiser: &Standardiser,
    ratings: &[RatedRow],
    mean: f64,
) -> Result<Moments> {
    let width = features.width();
    let mut moments = Moments::new(width);
    let mut buffer = vec![0f32; width];
    for block in ratings.chunks(BLOCK_ROWS) {
        let mut rows = Vec::with_capacity(block.len() * width);
        for rating in block {
            features.copy_row(rating.row, &mut buffer)?;
            let position = standardiser.position(&buffer);
            let centred = rating.score - mean;
            add_scaled(&mut moments.products, centred, &position);
            moments.squares += centred * centred;
            rows.extend(position);
        }
        let gram = transposed_product(&rows, &rows, block.len()).map_err(|error| {
            Error::Numeric(vec![Fault::new("head", format!("the moments cannot be computed: {error}"))])
        })?;
        add_scaled(&mut moments.gram, 1.0, &gram);
        moments.count += block.len() as f64;
    }
    Ok(moments)
}

fn choose_l2(all: &Moments, parts: &[Moments], grid: &[f64]) -> Result<(f64, Vec<(f64, f64)>)> {
    let mut path: Vec<(f64, f64)> = grid.iter().map(|l2| (*l2, 0.0)).collect();
    for part in parts {
        let mut train = all.clone();
        train.add(part, -1.0);
        for (l2, loss) in &mut path {
            *loss += part.squared_error(&train.solve(*l2)?.0) / all.count;
        }
    }
    let best = path.iter().rev().copied().min_by(|left, right| left.1.total_cmp(&right.1));
    let best = best.ok_or_else(|| Error::Numeric(vec![Fault::new("head.l2_grid", "no candidate to choose from")]))?;
    Ok((best.0, path))
}

/// The fit with its posterior: Σ = s² (XᵀX + λI)⁻¹ with the residual variance s² = RSS / (n − degrees of freedom).
fn finish(
    (weights, factor): (Vec<f64>, Cholesky),
    all: &Moments,
    standardiser: Standardiser,
    (l2, l2_path): (f64, Vec<(f64, f64)>),
) -> Result<Fit> {
    let width = weights.len();
    let matrix = all.penalised(l2);
    let gradient: Vec<f64> =
        matrix.chunks_exact(width).zip(&all.products).map(|(row, product)| dot(row, &weights) - product).collect();
    // tr(XᵀX (XᵀX + λI)⁻¹) = width − λ tr((XᵀX + λI)⁻¹).
    let unit = |index: usize| (0..width).map(|other| f64::from(u8::from(other == index))).collect::<Vec<f64>>();
    let trace: f64 = (0..width).map(|index| norm(&factor.solve_lower(&unit(index))).powi(2)).sum();
    let freedom = (all.count - 1.0 - (width as f64 - l2 * trace)).max(1.0);
    let variance = all.squared_error(&weights) / freedom;
    if !(variance.is_finite() && variance > 0.0) {
        let found = "the features reproduce every rating exactly, so nothing can be said about errors";
        return Err(Error::Numeric(vec![Fault::new("head", found).help("use more ratings or a larger head.l2")]));
    }
    let precision: Vec<f64> = matrix.iter().map(|value| value / variance).collect();
    let precision = Factor::dense(&precision, width)
        .ok_or_else(|| Error::Numeric(vec![Fault::new("head", "the posterior is not positive definite")]))?;
    let folded = standardiser.fold(&weights);
    let bias = -dot(&folded, &standardiser.means);
    Ok(Fit {
        head: LinearHead { weights: folded, bias },
        standardised_weights: weights,
        l2,
        l2_path,
        gradient_norm: norm(&gradient),
        iterations: 1,
        tie_parameter: None,
        label_smoothing: 0.0,
        posterior: Posterior { precision, standardiser },
    })
}

#[cfg(test)]
mod tests;
