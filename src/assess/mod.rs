//! From scores and labels to the numbers that the report shows.
//!
//! [`summarise`] fills a [`RunSummary`] from what is scored already; whether the heads were trained a moment ago or come
//! from a registry makes no difference. Texts are read here for the last time: for their lengths, probes and excerpts.

mod agreement;
mod benchmarks;
mod bias;
mod combined;
mod drift;
mod examples;
mod held_out;
mod objective;
mod outcomes;
mod pareto;
mod scores;
mod sweep;

pub use benchmarks::{BenchmarkFiles, Benchmarks};
pub use drift::{Older, drift};
pub use objective::word;
pub use outcomes::{items_of, outcomes};

use std::path::Path;

use held_out::HeldOut;

use crate::combine::{Combiner, Term};
use crate::config::Config;
use crate::data::Dataset;
use crate::ensemble::ObjectiveScore;
use crate::report::{
    BackboneSummary, FitSummary, LearningPoint, MlpSummary, ReadoutSummary, ReferenceSummary, RunSummary,
};

/// Everything that is scored and labelled.
pub struct Material<'a> {
    /// The run's configuration.
    pub config: &'a Config,
    /// The registry that holds the heads.
    pub registry: &'a Path,
    /// Its pairs and items.
    pub dataset: &'a Dataset,
    /// The heads, in the order of the configuration.
    pub heads: &'a [ScoredHead<'a>],
    /// The rule over their scores.
    pub combiner: &'a Combiner,
}

/// One head with its scores of every item of the dataset.
pub struct ScoredHead<'a> {
    /// What the labelers were asked.
    pub question: String,
    /// How raw scores become normalized ones.
    pub normalizer: String,
    /// Whether the data are others than those the registry's head was trained and judged on.
    pub data_changed: bool,
    /// Scores on the overall scale, per item.
    pub scores: &'a [ObjectiveScore],
    /// Scores of the bag-of-words baseline, per item.
    pub baseline: &'a [f64],
    /// Scores of the same head without bias control, per item; empty where there is none.
    pub uncontrolled: &'a [f64],
    /// The calibration temperature.
    pub temperature: f64,
    /// What the normalizer rests on.
    pub reference: ReferenceSummary,
    /// How it came about.
    pub training: TrainingRecord<'a>,
}

/// How a head came about, as far as it is known: a registry remembers less than training knows.
#[derive(Default)]
pub struct TrainingRecord<'a> {
    /// How a linear head was fitted.
    pub fit: Option<FitSummary>,
    /// How a head with a hidden layer was trained.
    pub mlp: Option<MlpSummary>,
    /// Whether it was fitted on this dataset's pairs of the training split.
    pub on_pairs: bool,
    /// Accuracy by number of training pairs.
    pub learning_curve: &'a [LearningPoint],
    /// For training pairs (by their place among the objective's pairs) the probability that a head which has not seen the
    /// label gives it.
    pub credibility: &'a [(usize, f64)],
}

impl Material<'_> {
    /// The combined score of an item.
    fn combined(&self, combiner: &Combiner, item: usize) -> f64 {
        combiner.combine(&self.terms(item))
    }

    fn terms(&self, item: usize) -> Vec<Term> {
        self.heads.iter().map(|head| head.scores[item].term()).collect()
    }
}

/// Everything the report shows but what an older registry says.
pub fn summarise(material: &Material, backbone: BackboneSummary, readouts: Vec<ReadoutSummary>) -> RunSummary {
    let held_out = HeldOut::of(material);
    let objectives = (0..material.heads.len()).map(|index| objective::summary(material, &held_out, index)).collect();
    let agreement = agreement::summary(material, &held_out);
    RunSummary {
        name: material.config.name.clone(),
        created_by: concat!("ensemble ", env!("CARGO_PKG_VERSION")).to_owned(),
        from_registry: false,
        heads: Vec::new(),
        backbone,
        readouts,
        objectives,
        combined: combined::summary(material, &held_out),
        combined_scores: scores::combined(material),
        densities: scores::densities(material, &held_out, &agreement),
        pareto: pareto::summary(material, &held_out, &agreement),
        examples: examples::summary(material, &held_out),
        agreement,
        drift: None,
        benchmarks: Vec::new(),
        command_next: format!(
            "ensemble score --registry {} responses.jsonl",
            crate::files::discreet(material.registry)
        ),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "halves and quarters are exact")]
mod tests;
