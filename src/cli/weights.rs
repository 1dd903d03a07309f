//! `ensemble weights fit|sweep|flip`: what the three share, from the files of pairs to differences of scores.

mod fit;
mod flip;
mod sweep;

use std::collections::BTreeMap;
use std::path::Path;

use super::arguments::{WeightsAction, WeightsOptions};
use super::machine::Machine;
use super::ui::Ui;
use crate::config::{HOLISTIC_SCORE, Rule, SourceArgument, SourceConfig};
use crate::data::{Dataset, Pair, load_lists};
use crate::error::{Error, Result};
use crate::files::Digest;
use crate::progress::{Progress, Silent};
use crate::registry::Manifest;
use crate::weights::Comparison;

/// Items scored between two signs of life.
const BATCH: usize = 256;

pub(super) fn run(options: &WeightsOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    match &options.action {
        WeightsAction::Fit(options) => fit::run(options, machine, ui),
        WeightsAction::Sweep(options) => sweep::run(options, machine, ui),
        WeightsAction::Flip(options) => flip::run(options, machine, ui),
    }
}

/// The registry's objectives with their weights, in one order.
struct Objectives {
    names: Vec<String>,
    weights: Vec<f64>,
}

impl Objectives {
    /// Of a manifest; tells people when its rule is another one than the weighted sum.
    fn of(manifest: &Manifest, ui: &Ui) -> Self {
        if manifest.combine.rule != Rule::WeightedSum {
            ui.note("this registry combines by another rule: what follows is about the weighted sum of its scores");
        }
        let entries = &manifest.objectives;
        Self {
            names: entries.iter().map(|entry| entry.name.clone()).collect(),
            weights: entries.iter().map(|entry| entry.weight).collect(),
        }
    }
}

/// The pairs of one file, folder or pattern.
fn read(place: &str, path: &Path, reading: &super::arguments::PairReading) -> Result<Dataset> {
    let (format, score) = (reading.format, reading.score.as_deref());
    let argument = SourceArgument { place, path, format, score, default_score: HOLISTIC_SCORE };
    let source: SourceConfig = argument.source().map_err(|fault| Error::Usage(vec![fault]))?;
    load_lists(&[], &[source])
}

/// The normalized scores of all items of a dataset, per item and objective.
fn normalized(registry: &Path, dataset: &Dataset, machine: Machine, ui: &Ui) -> Result<Vec<Vec<f64>>> {
    let ensemble = machine.open(registry)?;
    let scoring = ensemble.scoring()?;
    let progress: &dyn Progress = if ui.json { &Silent } else { ui };
    progress.start("scores", dataset.items.len() as u64);
    let mut scores = Vec::with_capacity(dataset.items.len());
    for batch in dataset.items.chunks(BATCH) {
        let batch = scoring.score(batch)?;
        progress.advance(batch.len() as u64);
        scores.extend(batch.iter().map(|score| score.objectives.iter().map(|one| one.normalized).collect()));
    }
    progress.finish(&format!("{} responses", scores.len()));
    Ok(scores)
}

/// The differences between the two answers of a pair.
fn difference(pair: &Pair, scores: &[Vec<f64>]) -> Vec<f64> {
    scores[pair.chosen].iter().zip(&scores[pair.rejected]).map(|(chosen, rejected)| chosen - rejected).collect()
}

/// Pairs as comparisons of scores; prompts are numbered in their order.
fn comparisons(pairs: &[Pair], scores: &[Vec<f64>]) -> Vec<Comparison> {
    let mut prompts: BTreeMap<Digest, usize> = BTreeMap::new();
    let comparison = |pair: &Pair| {
        let next = prompts.len();
        let prompt = *prompts.entry(pair.prompt_key).or_insert(next);
        Comparison { difference: difference(pair, scores), preference: pair.preference, prompt }
    };
    pairs.iter().map(comparison).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}
