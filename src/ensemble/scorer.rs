//! One objective ready to score: a head, its temperature, its normalizers, and what it does not know.

use std::collections::BTreeMap;

use crate::combine::Term;
use crate::head::{Factor, Head, LinearHead, MlpHead, Posterior, Standardiser};
use crate::normalize::Normalizer;
use crate::registry::Arrays;

/// One objective's view of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObjectiveScore {
    /// In log-odds: the difference of two raw scores is the log-odds that labelers prefer the first item.
    pub raw: f64,
    /// Standard error of the raw score relative to the mean score of the reference responses, in log-odds; `None` for a
    /// checkpoint's own head, of whose training nothing is known.
    pub raw_error: Option<f64>,
    /// On the objective's normalized scale.
    pub normalized: f64,
    /// Standard error of the normalized score: half of what the normalizer makes of raw ± its error.
    pub error: Option<f64>,
    /// Whether that is the scale of the item's domain and not the overall one.
    pub in_domain: bool,
}

impl ObjectiveScore {
    /// What a rule combines; an error that is not known counts as none.
    pub fn term(&self) -> Term {
        Term { score: self.normalized, error: self.error.unwrap_or(0.0) }
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        let errors = [self.raw_error, self.error].into_iter().flatten();
        [self.raw, self.normalized].into_iter().chain(errors).all(f64::is_finite)
    }
}

/// By how much one item scores higher than another for one objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// In log-odds: σ of it is the probability that labelers prefer the first item.
    pub raw: f64,
    /// Its standard error; `None` for a checkpoint's own head.
    pub error: Option<f64>,
}

/// What a head does not know, and the reference its scores are compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Uncertainty {
    /// The posterior of the weights of the head's last layer.
    pub posterior: Posterior,
    /// Mean of what the last layer sees of the reference responses.
    pub origin: Vec<f64>,
}

/// One head ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Scorer {
    head: Head,
    temperature: f64,
    normalizer: Normalizer,
    domains: BTreeMap<String, Normalizer>,
    uncertainty: Option<Uncertainty>,
}

impl Scorer {
    /// A head with its temperature, its overall normalizer and those of single domains.
    pub fn new(
        head: Head,
        temperature: f64,
        normalizer: Normalizer,
        domains: BTreeMap<String, Normalizer>,
        uncertainty: Option<Uncertainty>,
    ) -> Self {
        Self { head, temperature, normalizer, domains, uncertainty }
    }

    /// Calibrated and normalized score of one feature vector with their errors, for a prompt of `domain`; without a
    /// normalizer of its own the overall one serves.
    pub fn score(&self, features: &[f32], domain: Option<&str>) -> ObjectiveScore {
        let raw = self.raw(features);
        let own = domain.and_then(|domain| self.domains.get(domain));
        let normalizer = own.unwrap_or(&self.normalizer);
        let raw_error = self.uncertainty.as_ref().map(|Uncertainty { posterior, origin }| {
            posterior.error_relative_to(&self.head.last_layer_input(features), origin) / self.temperature
        });
        let half = |error: f64| 0.5 * (normalizer.apply(raw + error) - normalizer.apply(raw - error));
        // Where a normalizer is flat, rounding could make the difference negative; NaN must stay for the last check.
        let error = raw_error.map(half).map(|error| if error < 0.0 { 0.0 } else { error });
        ObjectiveScore { raw, raw_error, normalized: normalizer.apply(raw), error, in_domain: own.is_some() }
    }

    /// The calibrated score; adding 0 makes a negative zero a plain one.
    fn raw(&self, features: &[f32]) -> f64 {
        self.head.score(features) / self.temperature + 0.0
    }

    /// The same on the overall scale without the errors, which cost a triangular solve each.
    pub fn score_without_error(&self, features: &[f32]) -> ObjectiveScore {
        let raw = self.raw(features);
        let normalized = self.normalizer.apply(raw);
        ObjectiveScore { raw, raw_error: None, normalized, error: None, in_domain: false }
    }

    /// By how much the first feature vector scores higher.
    pub fn difference(&self, left: &[f32], right: &[f32]) -> Difference {
        let raw = (self.head.score(left) - self.head.score(right)) / self.temperature + 0.0;
        let error = self.uncertainty.as_ref().map(|Uncertainty { posterior, .. }| {
            let (left, right) = (self.head.last_layer_input(left), self.head.last_layer_input(right));
            posterior.error_of_difference(&left, &right) / self.temperature
        });
        Difference { raw, error }
    }

    /// The domains with a normalizer of their own.
    pub fn domains(&self) -> impl Iterator<Item = &String> {
        self.domains.keys()
    }

    /// The calibration temperature.
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The raw score as a linear head, weights and bias divided by the temperature; `None` for a head with a hidden
    /// layer.
    pub fn linear(&self) -> Option<LinearHead> {
        let Head::Linear(head) = &self.head else { return None };
        let weights = head.weights.iter().map(|weight| weight / self.temperature).collect();
        Some(LinearHead { weights, bias: head.bias / self.temperature })
    }

    /// What a registry keeps of the head; the normalizers stand in its manifest.
    pub fn to_arrays(&self) -> Arrays {
        let mut arrays = Arrays::default();
        arrays.number("temperature", self.temperature);
        match &self.head {
            Head::Linear(LinearHead { weights, bias }) => {
                arrays.list("weights", weights.clone());
                arrays.number("bias", *bias);
            }
            Head::Mlp(MlpHead { input_weights, hidden_biases, output_weights, output_bias }) => {
                arrays.matrix("input_weights", hidden_biases.len(), input_weights.clone());
                arrays.list("hidden_biases", hidden_biases.clone());
                arrays.list("output_weights", output_weights.clone());
                arrays.number("output_bias", *output_bias);
            }
        }
        if let Some(Uncertainty { posterior: Posterior { precision, standardiser }, origin }) = &self.uncertainty {
            arrays.list("reference_mean", origin.clone());
            arrays.list("deviations", standardiser.deviations.clone());
            if !standardiser.forbidden.is_empty() {
                arrays.matrix("forbidden", standardiser.width(), standardiser.forbidden.concat());
            }
            keep_factor(&mut arrays, precision);
        }
        arrays
    }

    /// The head that a registry keeps, for features of `width`.
    ///
    /// # Errors
    /// What was found, when the arrays are not those of a head.
    pub fn from_arrays(
        mut arrays: Arrays,
        width: usize,
        normalizer: Normalizer,
        domains: BTreeMap<String, Normalizer>,
    ) -> Result<Self, String> {
        let temperature = arrays.take_number("temperature")?;
        if temperature <= 0.0 {
            return Err(format!("the temperature is {temperature}; it must be above 0"));
        }
        let head = if arrays.has("weights") {
            let weights = arrays.take_list("weights", Some(width))?;
            Head::Linear(LinearHead { weights, bias: arrays.take_number("bias")? })
        } else {
            let hidden_biases = arrays.take_list("hidden_biases", None)?;
            let hidden = hidden_biases.len();
            let input_weights = arrays.take_matrix("input_weights", hidden)?;
            if input_weights.len() != width * hidden {
                return Err(format!("input_weights do not have the {width} rows of the backbone's features"));
            }
            let output_weights = arrays.take_list("output_weights", Some(hidden))?;
            let output_bias = arrays.take_number("output_bias")?;
            Head::Mlp(MlpHead { input_weights, hidden_biases, output_weights, output_bias })
        };
        let uncertainty = if arrays.has("deviations") { Some(take_uncertainty(&mut arrays, width)?) } else { None };
        arrays.done()?;
        Ok(Self::new(head, temperature, normalizer, domains, uncertainty))
    }
}

/// Adds a factored matrix.
pub(super) fn keep_factor(arrays: &mut Arrays, factor: &Factor) {
    match factor {
        Factor::Dense(dense) => arrays.list("factor", dense.packed()),
        Factor::LowRank { floor, values, directions } => {
            arrays.number("floor", *floor);
            arrays.list("leading_values", values.clone());
            arrays.matrix("leading_directions", factor.width(), directions.concat());
        }
    }
}

/// Takes a factored matrix of `width` columns out.
pub(super) fn take_factor(arrays: &mut Arrays, width: usize) -> Result<Factor, String> {
    if arrays.has("factor") {
        let packed = arrays.take_list("factor", Some(width * (width + 1) / 2))?;
        return Factor::from_packed(width, &packed).ok_or_else(|| "factor is no Cholesky factor".to_owned());
    }
    let (floor, values) = (arrays.take_number("floor")?, arrays.take_list("leading_values", None)?);
    let directions = arrays.take_matrix("leading_directions", width)?;
    if floor <= 0.0 || values.iter().any(|value| *value < 0.0) || directions.len() != values.len() * width {
        return Err("floor and leading_values do not belong to a positive definite matrix".to_owned());
    }
    Ok(Factor::LowRank { floor, values, directions: directions.chunks_exact(width).map(<[f64]>::to_vec).collect() })
}

fn take_uncertainty(arrays: &mut Arrays, most: usize) -> Result<Uncertainty, String> {
    let deviations = arrays.take_list("deviations", None)?;
    let width = deviations.len();
    if width == 0 || width > most || deviations.iter().any(|deviation| *deviation < 0.0) {
        return Err(format!("deviations are not those of 1 to {most} columns"));
    }
    let origin = arrays.take_list("reference_mean", Some(width))?;
    let forbidden = if arrays.has("forbidden") { arrays.take_matrix("forbidden", width)? } else { Vec::new() };
    let forbidden = forbidden.chunks_exact(width).map(<[f64]>::to_vec).collect();
    let precision = take_factor(arrays, width)?;
    let standardiser = Standardiser { means: origin.clone(), deviations, forbidden };
    Ok(Uncertainty { posterior: Posterior { precision, standardiser }, origin })
}
