//! A reward head with one hidden layer, r(x) = w₂·tanh(W₁ᵀx + b₁) + b₂, for features whose direction is not enough.
//!
//! Trained on the Bradley-Terry loss of the linear head by AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101; Kingma &
//! Ba 2015, arXiv 1412.6980) over mini-batches, and stopped where the loss on held-out comparisons was lowest. The loss
//! is not convex: another seed gives other weights. The same seed gives the same bits with any number of threads.

mod network;
#[cfg(test)]
mod tests;
mod training;

use std::collections::BTreeSet;

use rayon::prelude::*;

use self::training::Training;
use super::linear_algebra::{add_scaled, dot};
use super::{Comparison, Standardiser};
use crate::config::MlpConfig;
use crate::error::{Error, Fault, Result};
use crate::features::Features;
use crate::logistic::log_sigmoid;
use crate::random::Random;

/// A trained head. It acts on the features as they are: standardisation is folded into the first layer.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpHead {
    /// W₁, row-major `(width, hidden)`: first the weights from feature 0 to every hidden unit.
    pub input_weights: Vec<f64>,
    /// b₁, `(hidden)`.
    pub hidden_biases: Vec<f64>,
    /// w₂, `(hidden)`.
    pub output_weights: Vec<f64>,
    /// b₂; makes the mean score of the training items zero.
    pub output_bias: f64,
}

impl MlpHead {
    /// tanh(W₁ᵀx + b₁), `(hidden)`, summed in the features' order in f64.
    pub fn hidden(&self, features: &[f32]) -> Vec<f64> {
        let mut units = self.hidden_biases.clone();
        for (value, weights) in features.iter().zip(self.input_weights.chunks_exact(units.len().max(1))) {
            add_scaled(&mut units, f64::from(*value), weights);
        }
        units.iter_mut().for_each(|unit| *unit = libm::tanh(*unit));
        units
    }

    /// w₂·hidden + b₂. It depends on these features only, never on what else is scored.
    pub fn score(&self, features: &[f32]) -> f64 {
        dot(&self.output_weights, &self.hidden(features)) + self.output_bias
    }

    fn is_finite(&self) -> bool {
        let numbers = self.input_weights.iter().chain(&self.hidden_biases).chain(&self.output_weights);
        numbers.chain([&self.output_bias]).all(|number| number.is_finite())
    }
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The held-out loss fell no more for `patience` epochs.
    Early,
    /// `max_epochs` were run: more might have been better.
    MostEpochs,
}

/// A head with how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct MlpFit {
    /// The head after the best epoch.
    pub head: MlpHead,
    /// Mean log-loss on the held-out comparisons after each epoch run, unweighted and without margins.
    pub held_out_path: Vec<f64>,
    /// The epoch with the lowest held-out loss, counted from 1; the first of equals.
    pub best_epoch: usize,
    /// Why no more epochs were run.
    pub stopped: Stopped,
}

/// Trains a head on `training` comparisons of rows of `features` and keeps the epoch that is best on `held_out`.
///
/// # Errors
/// [`Error::Config`] for settings out of range; [`Error::Numeric`] when there is nothing to train on or to hold out,
/// when features are not finite or none varies, and at the first step whose loss or gradient is not finite.
pub fn fit_mlp(
    features: &Features,
    training: &[Comparison],
    held_out: &[Comparison],
    settings: &MlpConfig,
) -> Result<MlpFit> {
    check_settings(settings)?;
    check_comparisons(features, training, held_out)?;
    let scale = Standardiser::new(features, training)?;
    let mut random = Random::new(settings.seed);
    let mut network = Training::new(features, &scale, settings, &mut random)?;
    let mut order = training.to_vec();
    let (mut held_out_path, mut best, mut best_epoch) = (Vec::new(), network.head()?, 0);
    let mut lowest = f64::INFINITY;
    let mut stopped = Stopped::MostEpochs;
    for epoch in 1..=settings.max_epochs {
        random.shuffle(&mut order);
        network.run_epoch(epoch, &order, settings.batch_size)?;
        let head = network.head()?;
        let loss = log_loss(&head, features, held_out);
        if !loss.is_finite() || !head.is_finite() {
            let found = format!("after epoch {epoch} the held-out loss is {loss}, or a weight is infinite");
            return Err(Error::Numeric(vec![Fault::new("head", found).help(network.smaller_steps())]));
        }
        held_out_path.push(loss);
        if loss < lowest {
            (best, best_epoch, lowest) = (head, epoch, loss);
        } else if epoch - best_epoch >= settings.patience {
            stopped = Stopped::Early;
            break;
        }
    }
    best.output_bias = -mean_score(&best, features, training);
    Ok(MlpFit { head: best, held_out_path, best_epoch, stopped })
}

/// Mean over the comparisons of −p log σ(d) − (1 − p) log σ(−d), d the difference of the scores.
fn log_loss(head: &MlpHead, features: &Features, comparisons: &[Comparison]) -> f64 {
    let loss = |&Comparison { chosen, rejected, preference, .. }: &Comparison| {
        let difference = head.score(features.row(chosen)) - head.score(features.row(rejected));
        -preference * log_sigmoid(difference) - (1.0 - preference) * log_sigmoid(-difference)
    };
    comparisons.par_iter().map(loss).collect::<Vec<f64>>().iter().sum::<f64>() / comparisons.len() as f64
}

/// Mean score of the distinct items of the comparisons.
fn mean_score(head: &MlpHead, features: &Features, comparisons: &[Comparison]) -> f64 {
    let rows: Vec<usize> = rows_of(comparisons).into_iter().collect();
    let scores: Vec<f64> = rows.par_iter().map(|row| head.score(features.row(*row))).collect();
    scores.iter().sum::<f64>() / rows.len() as f64
}

fn rows_of(comparisons: &[Comparison]) -> BTreeSet<usize> {
    comparisons.iter().flat_map(|comparison| [comparison.chosen, comparison.rejected]).collect()
}

fn check_settings(settings: &MlpConfig) -> Result<()> {
    let MlpConfig { hidden, learning_rate, weight_decay, batch_size, max_epochs, patience, seed: _ } = *settings;
    let counts = [("hidden", hidden), ("batch_size", batch_size), ("max_epochs", max_epochs), ("patience", patience)];
    let zeros = counts.into_iter().filter(|(_, count)| *count == 0);
    let mut faults: Vec<Fault> =
        zeros.map(|(name, _)| Fault::new(format!("head.{name}"), "it is 0").accepts("a whole number from 1")).collect();
    if !(learning_rate.is_finite() && learning_rate > 0.0) {
        faults.push(Fault::new("head.learning_rate", format!("it is {learning_rate}")).accepts("a number above 0"));
    }
    if !(weight_decay.is_finite() && weight_decay >= 0.0) {
        faults.push(Fault::new("head.weight_decay", format!("it is {weight_decay}")).accepts("a number from 0"));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Config(faults)) }
}

fn check_comparisons(features: &Features, training: &[Comparison], held_out: &[Comparison]) -> Result<()> {
    let mut faults = Vec::new();
    if training.is_empty() {
        faults.push(Fault::new("head", "there is no comparison to train on").help("give more preference pairs"));
    }
    if held_out.is_empty() {
        let found = "there is no held-out comparison, so nothing says when to stop training";
        faults.push(Fault::new("head", found).help("give more preference pairs, or fit a linear head"));
    }
    let mut rows = rows_of(training);
    rows.append(&mut rows_of(held_out));
    let odd_column = |row: usize| features.row(row).iter().position(|value| !value.is_finite());
    let odd: Vec<(usize, usize)> = rows.into_iter().filter_map(|row| Some((row, odd_column(row)?))).collect();
    if let Some(&(row, column)) = odd.first() {
        let value = features.row(row)[column];
        let found = format!("feature row {row} holds {value} in column {column}; such rows: {}", odd.len());
        let fault = Fault::new("head", found).accepts("finite numbers");
        faults.push(fault.help("check the backbone that gave these features"));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Numeric(faults)) }
}
