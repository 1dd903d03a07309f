//! One head per objective: fit, temperature, normalizer, scores of every item, and the bag-of-words twin.

use std::collections::BTreeSet;
use std::time::Instant;

use rayon::prelude::*;

use crate::calibrate::fit_temperature;
use crate::config::{Config, ObjectiveConfig};
use crate::data::{Dataset, Item, ObjectivePairs, Pair, Split};
use crate::ensemble::{ObjectiveScore, Scorer};
use crate::error::{Error, Result};
use crate::features::{Features, bag_of_words};
use crate::head::{Comparison, Fit, FitSettings, LinearHead, fit};
use crate::normalize::Normalizer;
use crate::progress::Progress;
use crate::registry::StoredHead;

/// A head with everything learned for it.
pub struct TrainedHead {
    /// The fit and how it was reached.
    pub fit: Fit,
    /// The calibration temperature.
    pub temperature: f64,
    /// Calibrated to normalized scores.
    pub normalizer: Normalizer,
    /// Scores of every item of the dataset, in its order.
    pub scores: Vec<ObjectiveScore>,
    /// Scores of every item by the bag-of-words baseline.
    pub baseline: Vec<f64>,
    /// Wall time of the head itself: cross-validation, optimum and calibration.
    pub seconds: f64,
}

impl TrainedHead {
    /// How the fit went, in one line.
    fn describe(&self) -> String {
        let Fit { standardised_weights, l2, gradient_norm, iterations, .. } = &self.fit;
        format!(
            "head of {} weights, l2 {l2}, gradient norm {gradient_norm:.1e} after {iterations} Newton steps, \
             temperature {:.3}, fitted in {:.2} s",
            standardised_weights.len(),
            self.temperature,
            self.seconds
        )
    }

    /// What the registry keeps.
    pub fn stored(&self) -> StoredHead {
        let LinearHead { weights, bias } = self.fit.head.clone();
        StoredHead { weights, bias, temperature: self.temperature }
    }
}

/// The items that stand in the pairs of one split, ascending.
pub(super) fn items_of(pairs: &[Pair], split: Split) -> Vec<usize> {
    let inside = pairs.iter().filter(|pair| pair.split == split);
    inside.flat_map(|pair| [pair.chosen, pair.rejected]).collect::<BTreeSet<usize>>().into_iter().collect()
}

/// Fits every objective, the baselines beside the heads.
///
/// # Errors
/// [`Error::Numeric`] naming the objective.
pub(super) fn fit_all(
    config: &Config,
    dataset: &Dataset,
    features: &Features,
    progress: &dyn Progress,
) -> Result<Vec<TrainedHead>> {
    let objectives: Vec<_> = config.objectives.iter().zip(&dataset.objectives).collect();
    let heads = || -> Result<Vec<TrainedHead>> {
        let fit = |(objective, pairs): &(&ObjectiveConfig, &ObjectivePairs)| {
            progress.start(&objective.name, pairs.pairs.len() as u64);
            let head = fit_one(objective, pairs, features).map_err(|error| named(error, objective))?;
            progress.finish(&head.describe());
            Ok(head)
        };
        objectives.iter().map(fit).collect()
    };
    let baselines = || -> Result<Vec<Vec<f64>>> {
        let fit = |(objective, pairs): &(&ObjectiveConfig, &ObjectivePairs)| {
            bag_of_words_scores(&dataset.items, pairs, &settings(objective)).map_err(|error| named(error, objective))
        };
        objectives.par_iter().map(fit).collect()
    };
    let (heads, baselines) = rayon::join(heads, baselines);
    let complete = |(head, baseline)| TrainedHead { baseline, ..head };
    Ok(heads?.into_iter().zip(baselines?).map(complete).collect())
}

fn settings(objective: &ObjectiveConfig) -> FitSettings {
    FitSettings { l2: objective.head.l2, l2_grid: objective.head.l2_grid.clone(), folds: objective.head.folds }
}

fn named(error: Error, objective: &ObjectiveConfig) -> Error {
    match error {
        Error::Numeric(mut faults) => {
            for fault in &mut faults {
                fault.place = format!("{} of objective \"{}\"", fault.place, objective.name);
            }
            Error::Numeric(faults)
        }
        other => other,
    }
}

/// The head without its baseline, which is fitted beside it.
fn fit_one(objective: &ObjectiveConfig, pairs: &ObjectivePairs, features: &Features) -> Result<TrainedHead> {
    let started = Instant::now();
    let fitted = fit(features, &comparisons(&pairs.pairs, Split::Train), &settings(objective))?;
    let uncalibrated: Vec<f64> = (0..features.rows()).map(|row| fitted.head.score(features.row(row))).collect();
    let temperature = temperature(&pairs.pairs, &uncalibrated)?;
    let references: Vec<f64> =
        items_of(&pairs.pairs, Split::Calibration).into_iter().map(|item| uncalibrated[item] / temperature).collect();
    let normalizer = Normalizer::fit(objective.normalizer, &references)?;
    let scorer = Scorer::new(fitted.head.clone(), temperature, normalizer.clone());
    let scores = (0..features.rows()).map(|row| scorer.score(features.row(row))).collect();
    let seconds = started.elapsed().as_secs_f64();
    Ok(TrainedHead { fit: fitted, temperature, normalizer, scores, baseline: Vec::new(), seconds })
}

fn temperature(pairs: &[Pair], scores: &[f64]) -> Result<f64> {
    let held_out: Vec<&Pair> = pairs.iter().filter(|pair| pair.split == Split::Calibration).collect();
    let margins: Vec<f64> = held_out.iter().map(|pair| scores[pair.chosen] - scores[pair.rejected]).collect();
    let preferences: Vec<f64> = held_out.iter().map(|pair| pair.preference).collect();
    fit_temperature(&margins, &preferences)
}

fn comparisons(pairs: &[Pair], split: Split) -> Vec<Comparison> {
    let group = |pair: &Pair| {
        let mut bytes = [0u8; 8];
        bytes.copy_from_slice(&pair.prompt_key.0[8..16]);
        u64::from_le_bytes(bytes)
    };
    let inside = pairs.iter().filter(|pair| pair.split == split);
    inside
        .map(|pair| Comparison {
            chosen: pair.chosen,
            rejected: pair.rejected,
            preference: pair.preference,
            group: group(pair),
        })
        .collect()
}

/// Scores by the same Bradley-Terry fit on word counts: what a reader of words alone would reach.
fn bag_of_words_scores(items: &[Item], pairs: &ObjectivePairs, settings: &FitSettings) -> Result<Vec<f64>> {
    let words = bag_of_words(items, &items_of(&pairs.pairs, Split::Train));
    if (0..words.rows()).all(|row| words.row(row) == words.row(0)) {
        // No word stands in enough training responses: the baseline knows nothing and ties everywhere.
        return Ok(vec![0.0; items.len()]);
    }
    // A penalty that the user fixed for the backbone's features would handicap the words.
    let training = comparisons(&pairs.pairs, Split::Train);
    let fitted = fit(&words, &training, &FitSettings { l2: None, ..settings.clone() })?;
    Ok((0..words.rows()).map(|row| fitted.head.score(words.row(row))).collect())
}
