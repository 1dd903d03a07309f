//! Weights learned from holistic preferences: Bradley-Terry on the differences of normalized scores.
//!
//! P(a preferred over b) = σ(Σₖ wₖ (zₖ(a) − zₖ(b))): a logistic regression without intercept, since swapping the answers
//! must turn the probability round. The maximum itself is found in [`super::likelihood`].

mod checks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::likelihood::{Likelihood, Maximum, add_outer, add_scaled, dot};
use super::{Comparison, accuracy};
use crate::error::Result;
use crate::logistic::log_sigmoid;
use checks::Checks;

/// More objectives than this are not fitted.
pub const MAX_OBJECTIVES: usize = 64;
/// A p value below this is called evidence.
const SIGNIFICANT: f64 = 0.05;
/// Clustered standard errors below this share of the model-based ones are rounding noise.
const NO_SPREAD: f64 = 1e-9;
/// The 97.5% quantile of the standard normal distribution.
const NORMAL_QUANTILE: f64 = 1.959_964;

/// What the holistic labels say of the weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// One entry per objective, in their order.
    pub dimensions: Vec<Dimension>,
    /// Comparisons, ties included.
    pub pairs: usize,
    /// Comparisons on which the labelers are tied.
    pub ties: usize,
    /// Distinct prompts.
    pub prompts: usize,
    /// Whether prompts repeat, so that [`Dimension::standard_error`] and [`Dimension::p_value`] are the clustered ones.
    pub clustered: bool,
    /// Σ p log σ(m) + (1 − p) log σ(−m) at the maximum.
    pub log_likelihood: f64,
    /// The same with every weight 0: n log ½.
    pub log_likelihood_null: f64,
    /// McFadden's 1 − LL / LL₀: the share of the holistic label that the scores explain. Not a share of variance: 0.2 to
    /// 0.4 is a very good fit (McFadden 1979), and soft labels keep it below 1 however good the scores are.
    pub pseudo_r2: f64,
    /// Share of comparisons that the weights order as the labelers did, on the very pairs they were fitted to; ties ½.
    pub accuracy: f64,
    /// ‖∇ log-likelihood‖ per comparison at the maximum, on scores scaled to mean square 1.
    pub gradient_norm: f64,
    /// Newton steps taken.
    pub iterations: usize,
}

/// What the holistic labels say of one objective.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dimension {
    /// The objective.
    pub name: String,
    /// Its weight at the maximum: log-odds of being preferred per unit of normalized score.
    pub weight: f64,
    /// The weight divided by the sum of all absolute weights; 0 when all are 0.
    pub share: f64,
    /// The standard error to read: clustered by prompt when prompts repeat, model-based otherwise, and where what the
    /// labels of each prompt leave unexplained cancels, which would claim certainty.
    pub standard_error: f64,
    /// From the inverse of the observed information.
    pub standard_error_model: f64,
    /// The sandwich H⁻¹ B H⁻¹ with B = G/(G−1) Σ_g s_g s_gᵀ over the prompts' summed scores (Liang and Zeger 1986).
    pub standard_error_clustered: f64,
    /// `weight / standard_error`.
    pub z: f64,
    /// 2 (LL − LL without this objective).
    pub likelihood_ratio: f64,
    /// Its tail under χ² with one degree of freedom; too small when pairs of one prompt are alike.
    pub likelihood_ratio_p: f64,
    /// The p value to read: of `z` (two-sided) when prompts repeat, of the likelihood ratio otherwise.
    pub p_value: f64,
}

impl Dimension {
    /// `errors` are the model-based and the clustered standard error.
    fn new(name: &str, (weight, share): (f64, f64), errors: (f64, f64), ratio: f64, clustered: bool) -> Self {
        let (standard_error_model, standard_error_clustered) = errors;
        let no_spread = standard_error_clustered <= NO_SPREAD * standard_error_model;
        let standard_error = if clustered && !no_spread { standard_error_clustered } else { standard_error_model };
        let z = weight / standard_error;
        let likelihood_ratio_p = chi_square_tail(ratio);
        Self {
            name: name.to_owned(),
            weight,
            share,
            standard_error,
            standard_error_model,
            standard_error_clustered,
            z,
            likelihood_ratio: ratio,
            likelihood_ratio_p,
            p_value: if clustered { chi_square_tail(z * z) } else { likelihood_ratio_p },
        }
    }

    /// One sentence for people.
    pub fn verdict(&self) -> String {
        let Self { name, weight, p_value, .. } = self;
        let p = if *p_value < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p_value:.3}") };
        if *p_value >= SIGNIFICANT {
            return format!("{name}: not shown to matter for the holistic label ({p})");
        }
        let half = NORMAL_QUANTILE * self.standard_error;
        let interval = format!("weight {weight:.3}, 95% {:.3} to {:.3}, {p}", weight - half, weight + half);
        if *weight > 0.0 {
            format!("{name}: matters for the holistic label ({interval})")
        } else {
            format!("{name}: counts against an answer when the other scores are equal ({interval})")
        }
    }
}

/// Learns one weight per objective; every comparison counts once. `place` names the comparisons in messages.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) when every comparison is a tie;
/// [`Error::Numeric`](crate::error::Error::Numeric) when a score is not finite, when there are too few comparisons, and
/// when no single vector of weights is best: an objective that is constant or a mix of others, or labels that some mix
/// orders without a mistake.
pub fn fit(names: &[String], comparisons: &[Comparison], place: &str) -> Result<Fit> {
    let checks = Checks { names, comparisons, place };
    checks.usable()?;
    let scales = checks.column_scales()?;
    let all: Vec<usize> = (0..names.len()).collect();
    let likelihood = Likelihood::new(comparisons, &all, &scales);
    let maximum = likelihood.maximise().map_err(|trouble| checks.describe(&trouble, &all, &scales))?;
    let without = (0..names.len())
        .into_par_iter()
        .map(|left_out| log_likelihood_without(left_out, &checks, &scales))
        .collect::<Result<Vec<f64>>>()?;

    let prompts: BTreeMap<usize, usize> = comparisons.iter().map(|comparison| comparison.prompt).zip(0..).collect();
    let clustered = prompts.len() < comparisons.len();
    let covariances = (maximum.factor.inverse(), sandwich(&likelihood, &maximum, comparisons));
    let point = &maximum.point;
    let weights: Vec<f64> = point.weights.iter().zip(&scales).map(|(weight, scale)| weight / scale).collect();
    let total: f64 = weights.iter().map(|weight| weight.abs()).sum();
    let dimension = |k: usize| {
        let share = if total > 0.0 { weights[k] / total } else { 0.0 };
        let error = |covariance: &[f64]| covariance[k * names.len() + k].max(0.0).sqrt() / scales[k];
        let errors = (error(&covariances.0), error(&covariances.1));
        let likelihood_ratio = (2.0 * (point.log_likelihood - without[k])).max(0.0);
        Dimension::new(&names[k], (weights[k], share), errors, likelihood_ratio, clustered)
    };
    let log_likelihood_null = null(comparisons);
    Ok(Fit {
        dimensions: all.iter().map(|k| dimension(*k)).collect(),
        pairs: comparisons.len(),
        ties: comparisons.iter().filter(|comparison| comparison.is_tie()).count(),
        prompts: prompts.len(),
        clustered,
        log_likelihood: point.log_likelihood,
        log_likelihood_null,
        pseudo_r2: 1.0 - point.log_likelihood / log_likelihood_null,
        accuracy: accuracy(comparisons, &weights).unwrap_or(0.5),
        gradient_norm: dot(&point.gradient, &point.gradient).sqrt() / comparisons.len() as f64,
        iterations: maximum.iterations,
    })
}

/// The log-likelihood when every weight is zero, n log ½, summed as the others are.
fn null(comparisons: &[Comparison]) -> f64 {
    let half = log_sigmoid(0.0);
    comparisons.iter().map(|comparison| comparison.preference * half + (1.0 - comparison.preference) * half).sum()
}

/// The highest log-likelihood when objective `left_out` has weight zero.
fn log_likelihood_without(left_out: usize, checks: &Checks, scales: &[f64]) -> Result<f64> {
    let columns: Vec<usize> = (0..checks.names.len()).filter(|column| *column != left_out).collect();
    if columns.is_empty() {
        return Ok(null(checks.comparisons));
    }
    let maximum = Likelihood::new(checks.comparisons, &columns, scales).maximise();
    Ok(maximum.map_err(|trouble| checks.describe(&trouble, &columns, scales))?.point.log_likelihood)
}

/// H⁻¹ B H⁻¹, clustered by prompt, row-major.
fn sandwich(likelihood: &Likelihood, maximum: &Maximum, comparisons: &[Comparison]) -> Vec<f64> {
    let width = maximum.point.weights.len();
    let mut sums: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (comparison, (row, residual)) in comparisons.iter().zip(likelihood.residuals(&maximum.point.weights)) {
        add_scaled(sums.entry(comparison.prompt).or_insert_with(|| vec![0.0; width]), residual, row);
    }
    let groups = sums.len() as f64;
    let mut covariance = vec![0.0; width * width];
    for sum in sums.values() {
        add_outer(&mut covariance, groups / (groups - 1.0), &maximum.factor.solve(sum));
    }
    covariance
}

/// P(χ²₁ > x) = erfc(√(x/2)).
fn chi_square_tail(x: f64) -> f64 {
    libm::erfc((0.5 * x).sqrt())
}
