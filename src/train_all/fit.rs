//! One head per objective: fit, temperature, normalizers, scores of every item, and the bag-of-words twin.

use std::collections::BTreeSet;
use std::time::Instant;

use rayon::prelude::*;

use super::calibration::temperature;
use super::columns::Columns;
use super::golden_items;
use super::labels::{baseline_settings, comparisons, controls, rated_rows, settings};
use super::learning_curve::learning_curve;
use super::reference::{Normalizers, fit_normalizers, reference_items};
use crate::assess::items_of;
use crate::config::{Config, HeadConfig, HeadKind, Loss, ObjectiveConfig};
use crate::data::{Dataset, ObjectivePairs, Split};
use crate::ensemble::{ObjectiveScore, Scorer, Uncertainty};
use crate::error::{Error, Result};
use crate::features::{FeatureRows, WordCounts, bag_of_words};
use crate::head::{
    Fit, FitSettings, Head, LinearHead, MlpFit, Posterior, fit, fit_head, fit_mlp, fit_ratings, last_layer_posterior,
};
use crate::progress::Progress;
use crate::report::LearningPoint;

/// A head with everything learned for it.
pub struct TrainedHead {
    /// The head with its temperature, normalizers and posterior.
    pub scorer: Scorer,
    /// How it was reached.
    pub training: Training,
    /// The calibration temperature.
    pub temperature: f64,
    /// Calibrated to normalized scores.
    pub normalizers: Normalizers,
    /// Scores of every item of the dataset, on the overall scale, in its order. Items of the training split have no errors
    /// but for the golden examples: nothing else asks for them.
    pub scores: Vec<ObjectiveScore>,
    /// Scores of every item by the bag-of-words baseline.
    pub baseline: Vec<f64>,
    /// Scores of every item by the same head without bias control; empty where there is none.
    pub uncontrolled: Vec<f64>,
    /// Accuracy on the test split by number of training pairs; empty for heads that are not linear in pairs.
    pub learning_curve: Vec<LearningPoint>,
    /// For training pairs (by their place among the objective's pairs) the probability that a head gives the label which has
    /// seen no pair of its prompt; empty for heads that cannot tell.
    pub credibility: Vec<(usize, f64)>,
    /// Wall time of the head itself: cross-validation, optimum and calibration.
    pub seconds: f64,
}

/// How a head was reached.
pub enum Training {
    /// A convex optimum.
    Linear(Box<Fit>),
    /// AdamW.
    Mlp(MlpFit),
    /// It is the checkpoint's own.
    Pretrained,
}

impl Training {
    /// The convex fit, if it was one.
    pub fn fit(&self) -> Option<&Fit> {
        match self {
            Self::Linear(fit) => Some(fit),
            Self::Mlp(_) | Self::Pretrained => None,
        }
    }
}

impl TrainedHead {
    /// How the fit went, in one line.
    fn describe(&self) -> String {
        let how = match &self.training {
            Training::Linear(fit) => format!(
                "head of {} weights, l2 {}, gradient norm {:.1e} after {} steps",
                fit.standardised_weights.len(),
                fit.l2,
                fit.gradient_norm,
                fit.iterations
            ),
            Training::Mlp(fit) => {
                format!("head with a hidden layer, best after {} of {} epochs", fit.best_epoch, fit.held_out_path.len())
            }
            Training::Pretrained => {
                return format!("the checkpoint's own score head, temperature {:.3}", self.temperature);
            }
        };
        format!("{how}, temperature {:.3}, fitted in {:.2} s", self.temperature, self.seconds)
    }
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
    let (heads, baselines) = rayon::join(heads, || baselines(config, dataset));
    let complete = |(head, baseline)| TrainedHead { baseline, ..head };
    Ok(heads?.into_iter().zip(baselines?).map(complete).collect())
}

pub(super) fn named(error: Error, objective: &ObjectiveConfig) -> Error {
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

/// What was learned of one objective before calibration.
struct Learned {
    head: Head,
    training: Training,
    posterior: Option<Posterior>,
    uncontrolled: Vec<f64>,
    learning_curve: Vec<LearningPoint>,
}

/// The head without its baseline, which is fitted beside it.
fn fit_one(
    objective: &ObjectiveConfig,
    dataset: &Dataset,
    pairs: &ObjectivePairs,
    columns: &Columns<'_>,
) -> Result<TrainedHead> {
    let started = Instant::now();
    let learned = learn(objective, dataset, pairs, columns)?;
    let uncalibrated: Vec<f64> = columns.rows().map(|row| learned.head.score(row)).collect();
    let (temperature, seen) = temperature(&learned.training, objective, &pairs.pairs, (columns, &uncalibrated))?;
    let places = (0..pairs.pairs.len()).filter(|&pair| pairs.pairs[pair].split == Split::Train);
    let credibility = places.zip(seen.iter().map(|pair| pair.probability(temperature))).collect();
    let calibrated: Vec<f64> = uncalibrated.iter().map(|score| score / temperature).collect();
    let normalizers = fit_normalizers(objective.normalizer, dataset, pairs, &calibrated)?;
    let uncertainty = learned.posterior.map(|posterior| {
        let origin =
            mean_input(&learned.head, columns, &reference_items(dataset, pairs), posterior.standardiser.width());
        Uncertainty { posterior, origin }
    });
    let (overall, domains) = (normalizers.overall.clone(), normalizers.domains.clone());
    let scorer = Scorer::new(learned.head, temperature, overall, domains, uncertainty);
    let trained_on: BTreeSet<usize> =
        dataset.objectives.iter().flat_map(|objective| items_of(&objective.pairs, Split::Train)).collect();
    let golden: BTreeSet<usize> = golden_items(dataset.items.len()).collect();
    let score = |(item, row): (usize, &[f32])| {
        if trained_on.contains(&item) && !golden.contains(&item) {
            scorer.score_without_error(row)
        } else {
            scorer.score(row, None)
        }
    };
    let scores = columns.rows().enumerate().collect::<Vec<_>>().into_par_iter().map(score).collect();
    let seconds = started.elapsed().as_secs_f64();
    let Learned { training, uncontrolled, learning_curve, .. } = learned;
    let baseline = Vec::new();
    Ok(TrainedHead {
        scorer,
        training,
        temperature,
        normalizers,
        scores,
        baseline,
        uncontrolled,
        learning_curve,
        credibility,
        seconds,
    })
}

fn learn(
    objective: &ObjectiveConfig,
    dataset: &Dataset,
    pairs: &ObjectivePairs,
    columns: &Columns<'_>,
) -> Result<Learned> {
    let (uncontrolled, learning_curve) = (Vec::new(), Vec::new());
    match &objective.head {
        HeadKind::Pretrained(label) => {
            let head = Head::Linear(columns.pretrained(objective, label.as_deref())?);
            Ok(Learned { head, training: Training::Pretrained, posterior: None, uncontrolled, learning_curve })
        }
        HeadKind::Mlp(config) => {
            let training = comparisons(&pairs.pairs, Split::Train);
            let held_out = comparisons(&pairs.pairs, Split::Calibration);
            let fitted = fit_mlp(columns.pooled(), &training, &held_out, config)?;
            let posterior = Some(last_layer_posterior(&fitted.head, columns.pooled(), &training)?);
            let mut head = fitted.head.clone();
            // The checkpoint's own scores, if any, are columns that this head does not read.
            head.input_weights.resize(columns.width() * head.hidden_biases.len(), 0.0);
            let (head, training) = (Head::Mlp(head), Training::Mlp(fitted));
            Ok(Learned { head, training, posterior, uncontrolled, learning_curve })
        }
        HeadKind::Linear(config) => linear(config, dataset, pairs, columns),
    }
}

/// A convex head, the same without bias control where there is some, and the learning curve.
fn linear(config: &HeadConfig, dataset: &Dataset, pairs: &ObjectivePairs, columns: &Columns<'_>) -> Result<Learned> {
    let free = settings(config);
    let controlled = FitSettings { controls: controls(config, dataset, pairs), ..free.clone() };
    let training = comparisons(&pairs.pairs, Split::Train);
    let fit_with = |settings: &FitSettings| match config.loss {
        Loss::Regression => fit_ratings(columns.pooled(), &rated_rows(&pairs.ratings), settings),
        Loss::BradleyTerry | Loss::Davidson | Loss::PlackettLuce => fit(columns.pooled(), &training, settings),
    };
    let fitted = fit_with(&controlled)?;
    let uncontrolled =
        if controlled.controls.is_empty() { Vec::new() } else { columns.pooled_scores(&fit_with(&free)?.head) };
    let learning_curve = match config.loss {
        Loss::Regression => Vec::new(),
        _ => learning_curve(columns, &training, &pairs.pairs, &controlled, &fitted),
    };
    let LinearHead { mut weights, bias } = fitted.head.clone();
    weights.resize(columns.width(), 0.0);
    let (head, posterior) = (Head::Linear(LinearHead { weights, bias }), Some(fitted.posterior.clone()));
    Ok(Learned { head, training: Training::Linear(Box::new(fitted)), posterior, uncontrolled, learning_curve })
}

/// Mean over some items of what the head's last layer sees, `(width)`.
fn mean_input(head: &Head, columns: &Columns<'_>, items: &[usize], width: usize) -> Vec<f64> {
    let mut mean = vec![0f64; width];
    for &item in items {
        let input = head.last_layer_input(columns.row(item));
        mean.iter_mut().zip(input.iter()).for_each(|(sum, value)| *sum += f64::from(*value) / items.len() as f64);
    }
    mean
}

/// Scores of every item of the dataset by the same Bradley-Terry fit on word counts, one list per objective: what a
/// reader of words alone would reach.
///
/// # Errors
/// [`Error::Numeric`] naming the objective.
pub(super) fn baselines(config: &Config, dataset: &Dataset) -> Result<Vec<Vec<f64>>> {
    let counts = WordCounts::of(&dataset.items);
    let objectives: Vec<_> = config.objectives.iter().zip(&dataset.objectives).collect();
    let scores = |(objective, pairs): &(&ObjectiveConfig, &ObjectivePairs)| {
        baseline(&counts, pairs, &baseline_settings(objective)).map_err(|error| named(error, objective))
    };
    objectives.par_iter().map(scores).collect()
}

fn baseline(counts: &WordCounts, pairs: &ObjectivePairs, settings: &FitSettings) -> Result<Vec<f64>> {
    let words = bag_of_words(counts, &items_of(&pairs.pairs, Split::Train));
    if (0..words.rows()).all(|row| words.row(row) == words.row(0)) {
        // No word stands in enough training responses: the baseline knows nothing and ties everywhere.
        return Ok(vec![0.0; words.rows()]);
    }
    let head = fit_head(&words, &comparisons(&pairs.pairs, Split::Train), settings)?;
    let mut row = vec![0f32; words.width()];
    let score = |index: usize| words.copy_row(index, &mut row).map(|()| head.score(&row));
    (0..words.rows()).map(score).collect()
}
