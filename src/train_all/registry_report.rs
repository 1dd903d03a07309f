//! The same flow with heads from a registry: data → features → scores → report. Nothing is trained but the bag-of-words
//! baseline.

use std::collections::BTreeSet;
use std::path::Path;

use rayon::prelude::*;

use super::fit::baselines;
use super::summarise::{backbone_summary, fitted_on_pairs};
use super::{CALIBRATION, read, workers};
use crate::assess::{self, Material, Older, ScoredHead, TrainingRecord};
use crate::combine::Term;
use crate::config::{Config, ObjectiveConfig};
use crate::data::{Dataset, ObjectivePairs, Split};
use crate::ensemble::{Ensemble, ObjectiveScore};
use crate::error::{Error, Fault, Result};
use crate::features::{Counts, Extractor, Features, embed};
use crate::files;
use crate::progress::Progress;
use crate::registry::{Manifest, ObjectiveEntry, read_manifest};
use crate::report::{FitSummary, ReferenceSummary, RunSummary};

/// Everything the report shows of a registry's heads on the data of `config`, beside an `older` registry if one is named.
/// Features come from the cache or are embedded now.
///
/// # Errors
/// [`Error::Config`] when registry and config have other objectives; what reading, opening and embedding report.
pub fn report_registry(
    config: &Config,
    (registry, older): (&Path, Option<&Path>),
    threads: usize,
    progress: &dyn Progress,
) -> Result<RunSummary> {
    let manifest = read_manifest(registry)?;
    // A registry that is not there is found before the texts are read.
    older.map(read_manifest).transpose()?;
    same_objectives(config, registry, &manifest)?;
    let dataset = read(config, progress)?;
    let ensemble = Ensemble::open_on(registry, config.backbone.device)?.with_threads(threads);
    let (scores, counts) = score_all(&ensemble, &dataset, &config.output.cache, progress)?;
    let workers = workers(threads)?;
    let baselines = workers.install(|| baselines(config, &dataset))?;
    let heads: Vec<ScoredHead> = (0..config.objectives.len())
        .map(|index| ScoredHead {
            question: manifest.objectives[index].question.clone(),
            normalizer: assess::word(&manifest.objectives[index].normalizer.kind()),
            data_changed: data_changed(&manifest.objectives[index], &dataset.objectives[index]),
            scores: &scores[index],
            baseline: &baselines[index],
            uncontrolled: &[],
            temperature: ensemble.scorers()[index].temperature(),
            reference: reference(registry, &manifest.objectives[index]),
            training: record(&config.objectives[index], &manifest.objectives[index]),
        })
        .collect();
    let (dataset, combiner) = (&dataset, ensemble.combiner());
    let material = Material { config, registry, dataset, heads: &heads, combiner };
    let older = older.map(|folder| older_scores(config, folder, dataset, threads, progress)).transpose()?;
    progress.start("statistics", 1);
    let summary = workers.install(|| {
        let mut summary = assess::summarise(&material, backbone_summary(ensemble.backbone(), counts), Vec::new());
        summary.from_registry = true;
        summary.heads = manifest.objectives.iter().map(|entry| entry.head_digest.clone()).collect();
        summary.drift = older.as_ref().map(|older| assess::drift(&material, older));
        summary
    });
    progress.finish("done");
    Ok(summary)
}

fn same_objectives(config: &Config, registry: &Path, manifest: &Manifest) -> Result<()> {
    let ours: Vec<&str> = config.objectives.iter().map(|objective| objective.name.as_str()).collect();
    let theirs: Vec<&str> = manifest.objectives.iter().map(|entry| entry.name.as_str()).collect();
    if ours == theirs {
        return Ok(());
    }
    let found = format!("its objectives are {}", theirs.join(", "));
    Err(Error::Config(vec![
        Fault::new(files::shown(registry), found)
            .accepts(format!("those of {}: {}", files::shown(&config.file), ours.join(", ")))
            .help("name the config that the registry was trained with, or train again"),
    ]))
}

/// Scores of every item of the dataset, per objective. Training responses have no error bars: nothing asks for them.
fn score_all(
    ensemble: &Ensemble,
    dataset: &Dataset,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(Vec<Vec<ObjectiveScore>>, Counts)> {
    let extractor = Extractor::new(ensemble.backbone(), ensemble.threads())?;
    let (features, counts) = embed(&extractor, &dataset.items, cache, progress)?;
    let Some(features) = features.first() else { return Ok((vec![Vec::new(); ensemble.names().len()], counts)) };
    let training = training_items(dataset);
    let score = |scorer: &crate::ensemble::Scorer| -> Vec<ObjectiveScore> {
        let one = |item: usize| {
            let row = features.row(item);
            if training[item] { scorer.score_without_error(row) } else { scorer.score(row, None) }
        };
        (0..Features::rows(features)).into_par_iter().map(one).collect()
    };
    Ok((ensemble.scorers().iter().map(score).collect(), counts))
}

/// Whether each item stands in a pair of the training split.
fn training_items(dataset: &Dataset) -> Vec<bool> {
    let mut training = vec![false; dataset.items.len()];
    for list in &dataset.objectives {
        assess::items_of(&list.pairs, Split::Train).into_iter().for_each(|item| training[item] = true);
    }
    training
}

/// Whether an objective's rows are others than those its head was trained and judged on.
fn data_changed(entry: &ObjectiveEntry, pairs: &ObjectivePairs) -> bool {
    let then: BTreeSet<&str> = entry.data.values().map(String::as_str).collect();
    let now: BTreeSet<String> = pairs.audit.sources.iter().map(|source| source.digest.to_string()).collect();
    !then.iter().copied().eq(now.iter().map(String::as_str))
}

/// What a registry remembers of a head's training.
fn record(objective: &ObjectiveConfig, entry: &ObjectiveEntry) -> TrainingRecord<'static> {
    let fit = |(l2, gradient_norm)| FitSummary { l2, gradient_norm, ..FitSummary::default() };
    TrainingRecord {
        fit: entry.l2.zip(entry.gradient_norm).map(fit),
        on_pairs: fitted_on_pairs(objective),
        ..TrainingRecord::default()
    }
}

fn reference(registry: &Path, entry: &ObjectiveEntry) -> ReferenceSummary {
    let source = entry.reference.source.as_str();
    ReferenceSummary {
        source: if source == CALIBRATION { source.to_owned() } else { files::discreet(&registry.join(source)) },
        responses: entry.reference.responses,
        ..ReferenceSummary::default()
    }
}

fn older_scores(
    config: &Config,
    folder: &Path,
    dataset: &Dataset,
    threads: usize,
    progress: &dyn Progress,
) -> Result<Older> {
    let manifest = read_manifest(folder)?;
    let ensemble = Ensemble::open_on(folder, config.backbone.device)?.with_threads(threads);
    let (scores, _) = score_all(&ensemble, dataset, &config.output.cache, progress)?;
    let combined = |item: usize| {
        let terms: Vec<Term> = scores.iter().map(|scores| scores[item].term()).collect();
        ensemble.combiner().combine(&terms)
    };
    Ok(Older {
        place: files::discreet(folder),
        fingerprint: ensemble.backbone().fingerprint().to_string(),
        names: ensemble.names().to_vec(),
        data_changed: manifest
            .objectives
            .iter()
            .filter(|entry| {
                let list = dataset.objectives.iter().find(|list| list.name == entry.name);
                list.is_some_and(|list| data_changed(entry, list))
            })
            .map(|entry| entry.name.clone())
            .collect(),
        combined: (0..dataset.items.len()).map(combined).collect(),
        scores,
    })
}
