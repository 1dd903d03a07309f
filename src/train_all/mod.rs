//! The main job, one verb per line: data → features → heads → registry → report.

mod audit;
mod calibration;
mod columns;
mod fit;
mod labels;
mod learning_curve;
mod reference;
mod registry_report;
mod search;
mod summarise;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use audit::{AuditedPair, LabelAudit, Reason, audit_labels};
use columns::Columns;
pub use fit::{TrainedHead, Training};
pub use reference::Normalizers;
pub use registry_report::report_registry;

use crate::assess::items_of;
use crate::backbone::Backbone;
use crate::combine::{Combination, Combiner, Term};
use crate::config::{Config, ModelPlace, Rule};
use crate::conversation::Item;
use crate::data::{self, Dataset, ObjectivePairs, Split};
use crate::ensemble::{distribution_to_arrays, golden_messages};
use crate::error::{Error, Fault, Result};
use crate::features::{Counts, Extractor, Features, count_cached, embed, fill};
use crate::files;
use crate::head::TrainingDistribution;
use crate::normalize::{Spread, quantile};
use crate::progress::{Progress, Silent};
use crate::registry::{
    self, Arrays, BackboneEntry, FORMAT, Golden, Manifest, ObjectiveEntry, PlaceEntry, Quality, ReferenceEntry,
    TrainingEntry,
};
use crate::report::{ObjectiveSummary, RunSummary, write_report};

/// Texts whose ids and scores are recorded in the registry.
const GOLDEN_EXAMPLES: usize = 8;

/// What normalizers are fitted on where the config names no reference.
const CALIBRATION: &str = "calibration split";

/// What a run left behind.
pub struct Run {
    /// All numbers the report shows.
    pub summary: RunSummary,
    /// The heads, in the order of the config.
    pub heads: Vec<TrainedHead>,
    /// What the embedding pass did.
    pub counts: Counts,
    /// The registry folder.
    pub registry: PathBuf,
    /// The report's page.
    pub report: PathBuf,
    /// Stages with their wall time in seconds.
    pub seconds: Vec<(&'static str, f64)>,
}

/// Trains every objective of `config` and leaves a registry and a report.
///
/// # Errors
/// [`Error::Data`], [`Error::Model`] for inputs that cannot be used; [`Error::Io`], [`Error::Numeric`] when the run
/// fails. The registry's manifest is written last but for the report, so a failed run leaves the old registry whole.
pub fn train_all(config: &Config, threads: usize, progress: &dyn Progress) -> Result<Run> {
    let mut clock = Clock::start();
    probe_outputs(config)?;
    let (dataset, backbone) = read_inputs(config, progress)?;
    clock.lap("data");
    let (features, counts) = featurize(config, &backbone, &dataset.items, threads, progress)?;
    clock.lap("features");
    let workers = workers(threads)?;
    let found = workers.install(|| search::search(config, &dataset, &backbone, &features, progress))?;
    let (backbone, features) = (backbone.keep(found.chosen), &features[found.chosen]);
    clock.lap("readouts");
    let columns = Columns::new(features, backbone.labels());
    let heads = workers.install(|| fit::fit_all(config, &dataset, &columns, progress))?;
    clock.lap("heads");
    let distribution = workers.install(|| distribution(&dataset, &columns, &heads))?;
    let trained = Trained { combiner: combiner(config, &dataset, &heads)?, heads, distribution };
    let mut summary = summarise::summarise(config, &backbone, &dataset, &trained, (counts, found));
    let manifest = publish(config, &backbone, &dataset, &trained, &summary)?;
    summary.heads = manifest.objectives.into_iter().map(|entry| entry.head_digest).collect();
    clock.lap("registry");
    progress.start("report", 1);
    let written = write_report(&config.output.report, &summary)?;
    progress.finish(&format!("{} files", written.len()));
    clock.lap("report");
    let report = config.output.report.join("index.html");
    let heads = trained.heads;
    Ok(Run { summary, heads, counts, registry: config.output.registry.clone(), report, seconds: clock.laps })
}

/// The heads, the rule that makes one number of their scores, and how the training texts are distributed.
struct Trained {
    heads: Vec<TrainedHead>,
    combiner: Combiner,
    distribution: Option<(TrainingDistribution, TrainingEntry)>,
}

impl Trained {
    /// The combined score of an item of the dataset.
    fn combined(&self, item: usize) -> f64 {
        let term = |head: &TrainedHead| head.scores[item].term();
        self.combiner.combine(&self.heads.iter().map(term).collect::<Vec<Term>>())
    }
}

/// The distribution of the texts that any head was trained on, compared with those of the calibration split; `None` when
/// none was trained.
fn distribution(
    dataset: &Dataset,
    columns: &Columns<'_>,
    heads: &[TrainedHead],
) -> Result<Option<(TrainingDistribution, TrainingEntry)>> {
    let trained = |(_, head): &(&ObjectivePairs, &TrainedHead)| !matches!(head.training, Training::Pretrained);
    let items = |split: Split| -> Vec<usize> {
        let objectives = dataset.objectives.iter().zip(heads).filter(trained);
        let items = objectives.flat_map(|(objective, _)| items_of(&objective.pairs, split));
        items.collect::<BTreeSet<usize>>().into_iter().collect()
    };
    let (training, held_out) = (items(Split::Train), items(Split::Calibration));
    if training.is_empty() {
        return Ok(None);
    }
    let distribution = TrainingDistribution::fit(columns.pooled(), &training, &held_out)?;
    let (file, digest) = (String::new(), String::new());
    let entry = TrainingEntry { file, digest, texts: training.len(), compared_with: held_out.len() };
    Ok(Some((distribution, entry)))
}

/// The run's rule over its objectives. The reference responses of `log_sigmoid` are those the normalizer was fitted
/// on.
fn combiner(config: &Config, dataset: &Dataset, heads: &[TrainedHead]) -> Result<Combiner> {
    let reference = |index: usize, share: f64| {
        let items = reference::reference_items(dataset, &dataset.objectives[index]);
        let mut scores: Vec<f64> = items.iter().map(|&item| heads[index].scores[item].normalized).collect();
        scores.sort_by(f64::total_cmp);
        quantile(&scores, share)
    };
    let objectives = config.objectives.iter();
    let references = match config.combine.rule {
        Rule::LogSigmoid { reference_quantile } => objectives
            .clone()
            .enumerate()
            .map(|(index, objective)| (objective.name.clone(), reference(index, reference_quantile)))
            .collect(),
        _ => BTreeMap::new(),
    };
    let (rule, uncertainty_penalty) = (config.combine.rule.clone(), config.combine.uncertainty_penalty);
    let combination = Combination { rule, uncertainty_penalty, references };
    let weights = objectives.map(|objective| (objective.name.clone(), objective.weight)).collect();
    Combiner::new(weights, combination).map_err(Error::Config)
}

/// What a run would do, for `--dry-run`.
pub struct Plan {
    /// The data as read.
    pub dataset: Dataset,
    /// The opened backbone.
    pub backbone: Backbone,
    /// Distinct texts whose features are stored already.
    pub cached: usize,
}

/// Reads data and backbone and looks into the cache; embeds and trains nothing.
///
/// # Errors
/// As [`train_all`] before its embedding pass.
pub fn plan(config: &Config, threads: usize, progress: &dyn Progress) -> Result<Plan> {
    let (dataset, backbone) = read_inputs(config, progress)?;
    let cached = count_cached(&Extractor::new(&backbone, threads)?, &dataset.items, &config.output.cache)?;
    Ok(Plan { dataset, backbone, cached })
}

/// Embeds every text of a run into the feature cache; trains nothing. Memory holds the data as read and some 70 bytes a
/// text and readout, never the features.
///
/// # Errors
/// As [`train_all`] up to its embedding pass.
pub fn embed_all(config: &Config, threads: usize, progress: &dyn Progress) -> Result<(Backbone, Counts)> {
    files::probe_writable(&config.output.cache)?;
    let (dataset, backbone) = read_inputs(config, progress)?;
    let counts = fill(&Extractor::new(&backbone, threads)?, &dataset.items, &config.output.cache, progress)?;
    Ok((backbone, counts))
}

/// Opens the backbone of a run and finds the labels of its score head that the objectives name.
///
/// # Errors
/// As [`Backbone::open`], and [`Error::Model`] naming every label that the checkpoint does not have.
pub fn open_backbone(config: &Config, progress: &dyn Progress) -> Result<Backbone> {
    let backbone = Backbone::open_showing(&config.backbone, progress)?;
    columns::check_labels(config, backbone.labels())?;
    Ok(backbone)
}

struct Clock {
    last: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Clock {
    fn start() -> Self {
        Self { last: Instant::now(), laps: Vec::new() }
    }

    fn lap(&mut self, stage: &'static str) {
        self.laps.push((stage, self.last.elapsed().as_secs_f64()));
        self.last = Instant::now();
    }
}

/// Finds an output folder that cannot be written before hours of work, not after.
fn probe_outputs(config: &Config) -> Result<()> {
    [&config.output.registry, &config.output.report, &config.output.cache]
        .into_iter()
        .try_for_each(|folder| files::probe_writable(folder))
}

/// The data and the backbone, read side by side; a download comes after the data, because it has a bar of its own.
fn read_inputs(config: &Config, progress: &dyn Progress) -> Result<(Dataset, Backbone)> {
    if let ModelPlace::Hub { .. } = config.backbone.place {
        return Ok((read(config, progress)?, open_backbone(config, progress)?));
    }
    let opened = config.clone();
    let backbone = std::thread::spawn(move || open_backbone(&opened, &Silent));
    // A fault in the data is told at once, and what the thread still reads is dropped.
    let dataset = read(config, progress)?;
    let backbone = backbone.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok((dataset, backbone?))
}

fn read(config: &Config, progress: &dyn Progress) -> Result<Dataset> {
    progress.start("data", config.objectives.len() as u64);
    let dataset = data::load(config)?;
    let pairs: usize = dataset.objectives.iter().map(|objective| objective.pairs.len()).sum();
    progress.finish(&format!("{pairs} pairs over {} distinct texts", dataset.items.len()));
    Ok(dataset)
}

fn featurize(
    config: &Config,
    backbone: &Backbone,
    items: &[Item],
    threads: usize,
    progress: &dyn Progress,
) -> Result<(Vec<Features>, Counts)> {
    embed(&Extractor::new(backbone, threads)?, items, &config.output.cache, progress)
}

/// A pool of `threads` to fit in, which decides speed only: all sums have a fixed order.
///
/// # Errors
/// [`Error::Io`] when the system refuses a thread.
pub fn workers(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Io(vec![Fault::new("--threads", error)]))
}

fn publish(
    config: &Config,
    backbone: &Backbone,
    dataset: &Dataset,
    trained: &Trained,
    summary: &RunSummary,
) -> Result<Manifest> {
    let heads = &trained.heads;
    let objectives = (0..heads.len())
        .map(|index| objective_entry(config, dataset, &heads[index], &summary.objectives[index], index));
    let manifest = Manifest {
        format: FORMAT,
        created_by: summary.created_by.clone(),
        name: config.name.clone(),
        backbone: backbone_entry(config, backbone),
        combine: trained.combiner.combination().clone(),
        objectives: objectives.collect(),
        training: trained.distribution.as_ref().map(|(_, entry)| entry.clone()),
        golden: golden(backbone, dataset, trained)?,
    };
    let stored: Vec<Arrays> = heads.iter().map(|head| head.scorer.to_arrays()).collect();
    let distribution = trained.distribution.as_ref().map(|(distribution, _)| distribution_to_arrays(distribution));
    registry::publish(&config.output.registry, manifest, &stored, distribution.as_ref())
}

fn backbone_entry(config: &Config, backbone: &Backbone) -> BackboneEntry {
    let readout = backbone.readout();
    let (template, template_digest) = backbone.template();
    BackboneEntry {
        place: match backbone.place() {
            ModelPlace::Disk(path) => {
                PlaceEntry::Path(files::relative(&config.output.registry, path).display().to_string())
            }
            ModelPlace::Hub { repository, revision } => {
                PlaceEntry::Hub { repository: repository.clone(), revision: revision.clone() }
            }
        },
        fingerprint: backbone.fingerprint().to_string(),
        architecture: backbone.architecture().to_owned(),
        pooling: readout.pooling,
        layers: readout.layers.clone(),
        max_tokens: backbone.max_tokens(),
        dtype: backbone.dtype(),
        width: backbone.width(readout),
        labels: backbone.labels().to_vec(),
        template: template.to_owned(),
        template_digest: template_digest.to_string(),
    }
}

fn objective_entry(
    config: &Config,
    dataset: &Dataset,
    head: &TrainedHead,
    summary: &ObjectiveSummary,
    index: usize,
) -> ObjectiveEntry {
    let (objective, audit) = (&config.objectives[index], &dataset.objectives[index].audit);
    let quality = Quality {
        test_pairs: summary.test.pairs,
        accuracy: summary.accuracy.map(|estimate| estimate.value),
        interval: summary.accuracy.map(|estimate| (estimate.low, estimate.high)),
        log_loss: summary.log_loss,
        calibration_error: summary.ece,
    };
    // Relative, so that the registry says the same wherever the project lies.
    let place = |path: &str| files::relative(&config.output.registry, Path::new(path)).display().to_string();
    let data: BTreeMap<String, String> =
        audit.sources.iter().map(|source| (place(&source.path), source.digest.to_string())).collect();
    ObjectiveEntry {
        name: objective.name.clone(),
        question: objective.question.clone(),
        weight: objective.weight,
        head: String::new(),
        head_digest: String::new(),
        normalizer: head.normalizers.overall.clone(),
        domains: head.normalizers.domains.clone(),
        reference: reference_entry(config, head),
        l2: head.training.fit().map(|fit| fit.l2),
        gradient_norm: head.training.fit().map(|fit| fit.gradient_norm),
        labels: summary.labels.clone(),
        data,
        quality,
    }
}

fn reference_entry(config: &Config, head: &TrainedHead) -> ReferenceEntry {
    let Spread { responses, mean, deviation, quantiles, .. } = head.normalizers.spread;
    let file = |path: &Path| files::relative(&config.output.registry, path).display().to_string();
    let source = config.reference.as_ref().map_or_else(|| CALIBRATION.to_owned(), |reference| file(&reference.path));
    ReferenceEntry { source, responses, mean, deviation, quantiles }
}

/// Evenly spaced items of `count`.
fn golden_items(count: usize) -> impl Iterator<Item = usize> {
    let examples = GOLDEN_EXAMPLES.min(count);
    (0..examples).map(move |index| index * count / examples)
}

/// The golden items with their ids and scores.
fn golden(backbone: &Backbone, dataset: &Dataset, trained: &Trained) -> Result<Vec<Golden>> {
    golden_items(dataset.items.len())
        .map(|index| {
            let item = &dataset.items[index];
            let encoded = backbone.encode(&backbone.render(&item.prompt, &item.response)?)?;
            Ok(Golden {
                messages: golden_messages(item),
                ids: encoded.ids,
                raw: trained.heads.iter().map(|head| head.scores[index].raw).collect(),
                combined: trained.combined(index),
            })
        })
        .collect()
}
