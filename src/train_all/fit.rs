//! One head per objective: fit, temperature, normalizer, scores of every item, and the bag-of-words twin.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Instant;

use rayon::prelude::*;

use super::reference::{Normalizers, fit_normalizers};
use crate::calibrate::fit_temperature;
use crate::config::{Config, HeadConfig, HeadKind, ObjectiveConfig};
use crate::data::{Dataset, Item, ObjectivePairs, Pair, Split};
use crate::ensemble::{ObjectiveScore, Scorer};
use crate::error::{Error, Fault, Result, did_you_mean, quote};
use crate::features::{Features, bag_of_words};
use crate::files;
use crate::head::{Comparison, Fit, FitSettings, LinearHead, fit};
use crate::progress::Progress;
use crate::registry::StoredHead;

/// Penalties and folds of the bag-of-words twin of a head that is not trained itself.
const BASELINE_GRID: [f64; 6] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5];
const BASELINE_FOLDS: usize = 5;

/// A head with everything learned for it.
pub struct TrainedHead {
    /// The head on the whole feature vector.
    pub head: LinearHead,
    /// How it was reached; `None` for a checkpoint's own head.
    pub fit: Option<Fit>,
    /// The calibration temperature.
    pub temperature: f64,
    /// Calibrated to normalized scores.
    pub normalizers: Normalizers,
    /// Scores of every item of the dataset, on the overall scale, in its order.
    pub scores: Vec<ObjectiveScore>,
    /// Scores of every item by the bag-of-words baseline.
    pub baseline: Vec<f64>,
    /// Wall time of the head itself: cross-validation, optimum and calibration.
    pub seconds: f64,
}

impl TrainedHead {
    /// How the fit went, in one line.
    fn describe(&self) -> String {
        let Some(Fit { standardised_weights, l2, gradient_norm, iterations, .. }) = &self.fit else {
            return format!("the checkpoint's own score head, temperature {:.3}", self.temperature);
        };
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
        let LinearHead { weights, bias } = self.head.clone();
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
    columns: &Columns<'_>,
    progress: &dyn Progress,
) -> Result<Vec<TrainedHead>> {
    let objectives: Vec<_> = config.objectives.iter().zip(&dataset.objectives).collect();
    let heads = || -> Result<Vec<TrainedHead>> {
        let fit = |(objective, pairs): &(&ObjectiveConfig, &ObjectivePairs)| {
            progress.start(&objective.name, pairs.pairs.len() as u64);
            let head = fit_one(objective, dataset, pairs, columns).map_err(|error| named(error, objective))?;
            progress.finish(&head.describe());
            Ok(head)
        };
        objectives.iter().map(fit).collect()
    };
    let baselines = || -> Result<Vec<Vec<f64>>> {
        let fit = |(objective, pairs): &(&ObjectiveConfig, &ObjectivePairs)| {
            bag_of_words_scores(&dataset.items, pairs, &baseline_settings(objective))
                .map_err(|error| named(error, objective))
        };
        objectives.par_iter().map(fit).collect()
    };
    let (heads, baselines) = rayon::join(heads, baselines);
    let complete = |(head, baseline)| TrainedHead { baseline, ..head };
    Ok(heads?.into_iter().zip(baselines?).map(complete).collect())
}

/// How a trained head is fitted.
fn settings(head: &HeadConfig) -> FitSettings {
    FitSettings { l2: head.l2, l2_grid: head.l2_grid.clone(), folds: head.folds }
}

/// The words are fitted with a penalty of their own: one that the user fixed for the backbone's features would
/// handicap them.
fn baseline_settings(objective: &ObjectiveConfig) -> FitSettings {
    match &objective.head {
        HeadKind::Linear(head) => FitSettings { l2: None, ..settings(head) },
        HeadKind::Pretrained(_) => FitSettings { l2: None, l2_grid: BASELINE_GRID.to_vec(), folds: BASELINE_FOLDS },
    }
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

/// The feature columns: the pooled states, on which heads are trained, then the checkpoint's own scores.
pub(super) struct Columns<'a> {
    features: &'a Features,
    /// The pooled states alone.
    pooled: Cow<'a, Features>,
    labels: &'a [String],
}

impl<'a> Columns<'a> {
    /// `labels` name the last columns of `features`.
    pub(super) fn new(features: &'a Features, labels: &'a [String]) -> Self {
        let pooled = match labels.len() {
            0 => Cow::Borrowed(features),
            count => Cow::Owned(features.first_columns(features.width() - count)),
        };
        Self { features, pooled, labels }
    }

    /// A head that gives one label's score as it is.
    fn pretrained(&self, objective: &ObjectiveConfig, label: Option<&str>) -> Result<LinearHead> {
        let index = label_index(objective, label, self.labels).map_err(|fault| Error::Model(vec![fault]))?;
        let mut weights = vec![0.0; self.features.width()];
        weights[self.pooled.width() + index] = 1.0;
        Ok(LinearHead { weights, bias: 0.0 })
    }

    /// The fit of a head on one split of the pairs.
    pub(super) fn fit(&self, head: &HeadConfig, pairs: &[Pair]) -> Result<Fit> {
        fit(&self.pooled, &comparisons(pairs, Split::Train), &settings(head))
    }

    /// The scores of every item by a head on the pooled states.
    pub(super) fn pooled_scores(&self, head: &LinearHead) -> Vec<f64> {
        (0..self.pooled.rows()).map(|row| head.score(self.pooled.row(row))).collect()
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        (0..self.features.rows()).map(|row| self.features.row(row))
    }
}

/// Checks before the hours of embedding that every label a config names is one of the checkpoint's `labels`.
///
/// # Errors
/// [`Error::Model`] with every label that is not.
pub(super) fn check_labels(config: &Config, labels: &[String]) -> Result<()> {
    let unknown = |objective: &ObjectiveConfig| match &objective.head {
        HeadKind::Pretrained(label) => label_index(objective, label.as_deref(), labels).err(),
        HeadKind::Linear(_) => None,
    };
    let faults: Vec<Fault> = config.objectives.iter().filter_map(unknown).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Model(faults)) }
}

/// Which of the checkpoint's labels, by name or number, an objective takes; the only one if it names none.
fn label_index(objective: &ObjectiveConfig, label: Option<&str>, labels: &[String]) -> Result<usize, Fault> {
    let found = match label {
        None if labels.len() == 1 => Some(0),
        None => None,
        Some(label) => labels.iter().position(|known| known == label).or_else(|| label.parse().ok()),
    };
    found.filter(|index| *index < labels.len()).ok_or_else(|| {
        let found = label.map_or_else(
            || format!("the checkpoint's score head has {} labels, and none is named", labels.len()),
            |label| format!("the checkpoint's score head has no label {}", quote(label)),
        );
        let known: Vec<&str> = labels.iter().map(String::as_str).collect();
        let near = label.and_then(|label| did_you_mean(label, &known));
        let help = near.map_or_else(
            || "name one of them: head: {pretrained: LABEL}".to_owned(),
            |near| format!("did you mean {}?", quote(near)),
        );
        let place = format!("{}: head.pretrained", files::shown(&objective.file));
        Fault::new(place, found).accepts(labels.join(", ")).help(help)
    })
}

/// The head without its baseline, which is fitted beside it.
fn fit_one(
    objective: &ObjectiveConfig,
    dataset: &Dataset,
    pairs: &ObjectivePairs,
    columns: &Columns<'_>,
) -> Result<TrainedHead> {
    let started = Instant::now();
    let (head, fit) = match &objective.head {
        HeadKind::Pretrained(label) => (columns.pretrained(objective, label.as_deref())?, None),
        HeadKind::Linear(settings) => {
            let fit = columns.fit(settings, &pairs.pairs)?;
            let mut head = fit.head.clone();
            head.weights.resize(columns.features.width(), 0.0);
            (head, Some(fit))
        }
    };
    let uncalibrated: Vec<f64> = columns.rows().map(|row| head.score(row)).collect();
    let temperature = temperature(&pairs.pairs, &uncalibrated)?;
    let calibrated: Vec<f64> = uncalibrated.iter().map(|score| score / temperature).collect();
    let normalizers = fit_normalizers(objective.normalizer, dataset, pairs, &calibrated)?;
    let scorer = Scorer::new(head.clone(), temperature, normalizers.overall.clone());
    let scores = columns.rows().map(|row| scorer.score(row)).collect();
    let seconds = started.elapsed().as_secs_f64();
    Ok(TrainedHead { head, fit, temperature, normalizers, scores, baseline: Vec::new(), seconds })
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
            margin: pair.margin,
            weight: pair.weight,
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
    let fitted = fit(&words, &comparisons(&pairs.pairs, Split::Train), settings)?;
    Ok((0..words.rows()).map(|row| fitted.head.score(words.row(row))).collect())
}
