//! How far an item lies from the texts the heads were trained on, as a registry keeps it.

use super::scorer::{keep_factor, take_factor};
use crate::head::{Standardiser, TrainingDistribution};
use crate::registry::Arrays;

/// How far an item lies from the training texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Novelty {
    /// Mahalanobis distance of its features from the training mean.
    pub distance: f64,
    /// The share of held-out texts that lie at least as far: small for texts unlike those of the training.
    pub p_value: f64,
}

/// What a registry keeps of the distribution of the training features.
pub fn distribution_to_arrays(distribution: &TrainingDistribution) -> Arrays {
    let mut arrays = Arrays::default();
    arrays.list("means", distribution.standardiser.means.clone());
    arrays.list("deviations", distribution.standardiser.deviations.clone());
    if let Some(covariance) = &distribution.covariance {
        keep_factor(&mut arrays, covariance);
    }
    arrays.list("distances", distribution.distances.clone());
    arrays
}

/// The distribution that a registry keeps, for features of at least its width.
///
/// # Errors
/// What was found, when the arrays are not those of a distribution.
pub(super) fn distribution_from_arrays(mut arrays: Arrays, most: usize) -> Result<TrainingDistribution, String> {
    let means = arrays.take_list("means", None)?;
    let width = means.len();
    if width == 0 || width > most {
        return Err(format!("means has {width} columns; the backbone gives {most}"));
    }
    let deviations = arrays.take_list("deviations", Some(width))?;
    let distances = arrays.take_list("distances", None)?;
    if !distances.is_sorted() || distances.is_empty() || deviations.iter().any(|deviation| *deviation < 0.0) {
        return Err("distances are not ascending, or a deviation is negative".to_owned());
    }
    let whole = arrays.has("factor") || arrays.has("floor");
    let covariance = if whole { Some(take_factor(&mut arrays, width)?) } else { None };
    arrays.done()?;
    let standardiser = Standardiser { means, deviations, forbidden: Vec::new() };
    Ok(TrainingDistribution { standardiser, covariance, distances })
}

/// What a distribution says of a feature vector.
pub(super) fn novelty(distribution: &TrainingDistribution, features: &[f32]) -> Novelty {
    let distance = distribution.distance(features);
    Novelty { distance, p_value: distribution.p_value(distance) }
}
