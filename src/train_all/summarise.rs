//! From heads and pairs to the numbers the report shows.

use std::collections::{BTreeMap, BTreeSet};

use super::fit::{Training, items_of};
use super::search::Search;
use super::{CALIBRATION, Normalizers, Trained, TrainedHead};
use crate::backbone::Backbone;
use crate::config::{Config, ControlConfig, ControlMode, HeadKind, Loss, ModelPlace, ObjectiveConfig};
use crate::data::{Audit, Dataset, Item, ObjectivePairs, Pair, Split, probes};
use crate::evaluate::{
    Outcome, accuracy, accuracy_difference, brier, expected_calibration_error, log_loss, reliability, spearman,
};
use crate::features::Counts;
use crate::files;
use crate::head::{Fit, MlpFit, Stopped, pair_rank_correlation};
use crate::report::{
    AuditSummary, BAG_OF_WORDS, BackboneSummary, Baseline, CombinedSummary, ControlSummary, DomainSummary, FitSummary,
    GroupAccuracy, LONGER_WINS, MlpSummary, ObjectiveSummary, ReferenceSummary, RunSummary, SHORTER_WINS, SplitSize,
    TrainingPairs,
};

const RELIABILITY_BINS: usize = 10;

/// Everything the report shows of one run.
pub(super) fn summarise(
    config: &Config,
    backbone: &Backbone,
    dataset: &Dataset,
    trained: &Trained,
    (counts, search): (Counts, Search),
) -> RunSummary {
    let heads = trained.heads.as_slice();
    let test_items: Vec<usize> = dataset
        .objectives
        .iter()
        .flat_map(|objective| items_of(&objective.pairs, Split::Test))
        .collect::<BTreeSet<usize>>()
        .into_iter()
        .collect();
    let objectives = (0..heads.len())
        .map(|index| {
            objective_summary((config, &config.objectives[index]), &dataset.objectives[index], dataset, &heads[index])
        })
        .collect();
    RunSummary {
        name: config.name.clone(),
        created_by: concat!("ensemble ", env!("CARGO_PKG_VERSION")).to_owned(),
        backbone: backbone_summary(backbone, counts),
        readouts: search.table,
        objectives,
        combined: combined_summary(dataset, trained, &test_items),
        correlations: correlations(heads, &test_items),
        correlation_items: test_items.len(),
        command_next: next_command(config),
    }
}

/// The command that scores with the registry of this run.
fn next_command(config: &Config) -> String {
    format!("ensemble score --registry {} responses.jsonl", files::shown(&config.output.registry))
}

fn backbone_summary(backbone: &Backbone, counts: Counts) -> BackboneSummary {
    let readout = backbone.readout();
    let layers: Vec<String> = readout.layers.iter().map(ToString::to_string).collect();
    BackboneSummary {
        path: match backbone.place() {
            ModelPlace::Disk(path) => files::shown(path),
            ModelPlace::Hub { repository, revision } => format!("{repository} at {revision}"),
        },
        fingerprint: backbone.fingerprint().to_string(),
        architecture: backbone.architecture().to_owned(),
        layers: layers.join(", "),
        pooling: word(&readout.pooling),
        template: backbone.template().0.to_owned(),
        width: backbone.width(readout),
        max_tokens: backbone.max_tokens(),
        texts: counts.texts,
        tokens: counts.tokens as usize,
        embedded: counts.embedded,
        cached: counts.cached,
        cut_prompts: counts.cut_prompts,
        cut_responses: counts.cut_responses,
    }
}

/// The word that stands for an enum's value in YAML.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn objective_summary(
    (config, objective): (&Config, &ObjectiveConfig),
    pairs: &ObjectivePairs,
    dataset: &Dataset,
    head: &TrainedHead,
) -> ObjectiveSummary {
    let items = &dataset.items;
    let raw = |item: usize| head.scores[item].raw;
    let outcomes = outcomes(&pairs.pairs, Split::Test, &raw);
    let baselines = [
        (LONGER_WINS, &(|item: usize| words(&items[item])) as &dyn Fn(usize) -> f64),
        (SHORTER_WINS, &|item: usize| -words(&items[item])),
        (BAG_OF_WORDS, &|item: usize| head.baseline[item]),
    ];
    let baseline = |(name, score): (&str, &dyn Fn(usize) -> f64)| {
        let theirs = self::outcomes(&pairs.pairs, Split::Test, score);
        Baseline {
            name: name.to_owned(),
            accuracy: accuracy(&theirs),
            difference: accuracy_difference(&outcomes, &theirs),
        }
    };
    let uncalibrated = self::outcomes(&pairs.pairs, Split::Test, &|item| raw(item) * head.temperature);
    let test_items = items_of(&pairs.pairs, Split::Test);
    let test_scores: Vec<f64> = test_items.iter().map(|&item| head.scores[item].normalized).collect();
    let test_words: Vec<f64> = test_items.iter().map(|&item| words(&items[item])).collect();
    ObjectiveSummary {
        name: objective.name.clone(),
        question: objective.question.clone(),
        weight: objective.weight,
        normalizer: word(&objective.normalizer),
        reference: reference_summary(config, head),
        labels: pairs.audit.labels.iter().map(|(source, count)| (source.word().to_owned(), *count)).collect(),
        train: split_size(&pairs.pairs, Split::Train),
        calibration: split_size(&pairs.pairs, Split::Calibration),
        test: split_size(&pairs.pairs, Split::Test),
        fit: head.training.fit().map(fit_summary),
        mlp: mlp_summary(&head.training),
        training: training_pairs(objective, pairs, head),
        controls: controls(objective, pairs, dataset, head),
        learning_curve: head.learning_curve.clone(),
        temperature: head.temperature,
        accuracy: accuracy(&outcomes),
        baselines: baselines.into_iter().map(baseline).collect(),
        log_loss: log_loss(&outcomes),
        log_loss_train: log_loss(&self::outcomes(&pairs.pairs, Split::Train, &raw)),
        brier: brier(&outcomes),
        ece: expected_calibration_error(&outcomes),
        ece_uncalibrated: expected_calibration_error(&uncalibrated),
        reliability: reliability(&outcomes, RELIABILITY_BINS),
        repeated_responses: repeated_responses(items, &test_items, &items_of(&pairs.pairs, Split::Train)),
        length_correlation: spearman(&test_scores, &test_words),
        test_scores,
        groups: by_label_source(&pairs.pairs, &raw),
        audit: audit_summary(&pairs.audit),
        outcomes,
    }
}

fn fit_summary(fit: &Fit) -> FitSummary {
    FitSummary {
        l2: fit.l2,
        l2_path: fit.l2_path.clone(),
        gradient_norm: fit.gradient_norm,
        iterations: fit.iterations,
        tie_parameter: fit.tie_parameter,
        constant_columns: fit.posterior.standardiser.constant_columns().len(),
    }
}

fn mlp_summary(training: &Training) -> Option<MlpSummary> {
    let Training::Mlp(MlpFit { held_out_path, best_epoch, stopped, .. }) = training else { return None };
    let stopped_early = *stopped == Stopped::Early;
    Some(MlpSummary { epochs: held_out_path.len(), best_epoch: *best_epoch, stopped_early })
}

/// The training pairs under the head's own log-odds, before the temperature; `None` where it was not fitted on pairs.
fn training_pairs(objective: &ObjectiveConfig, pairs: &ObjectivePairs, head: &TrainedHead) -> Option<TrainingPairs> {
    match &objective.head {
        HeadKind::Pretrained(_) => return None,
        HeadKind::Linear(config) if config.loss == Loss::Regression => return None,
        HeadKind::Linear(_) | HeadKind::Mlp(_) => {}
    }
    let raw = |item: usize| head.scores[item].raw * head.temperature;
    Some(lead_of_training_pairs(&outcomes(&pairs.pairs, Split::Train, &raw)))
}

fn lead_of_training_pairs(outcomes: &[Outcome]) -> TrainingPairs {
    let decided: Vec<f64> =
        outcomes.iter().filter(|outcome| outcome.preference > 0.5).map(|outcome| outcome.margin).collect();
    TrainingPairs {
        decided: decided.len(),
        ties: outcomes.len() - decided.len(),
        smallest_margin: decided.into_iter().min_by(f64::total_cmp),
    }
}

/// How many of the `tested` items have a response that is also one of a `trained` item, but for blanks around it.
fn repeated_responses(items: &[Item], tested: &[usize], trained: &[usize]) -> usize {
    let known: BTreeSet<&str> = trained.iter().map(|&item| items[item].response.trim()).collect();
    tested.iter().filter(|&&item| known.contains(items[item].response.trim())).count()
}

/// What bias control did to a head and what it cost, on the test pairs.
fn controls(
    objective: &ObjectiveConfig,
    pairs: &ObjectivePairs,
    dataset: &Dataset,
    head: &TrainedHead,
) -> Vec<ControlSummary> {
    let HeadKind::Linear(config) = &objective.head else { return Vec::new() };
    let (ours, free) = (&|item: usize| head.scores[item].raw, &|item: usize| head.uncontrolled[item]);
    let control = |control: &ControlConfig| {
        let probe = |item: usize| probes::value(&control.probe, &dataset.items[item]);
        let margins = |score: &dyn Fn(usize) -> f64| {
            outcomes(&pairs.pairs, Split::Test, score).iter().map(|outcome| outcome.margin).collect::<Vec<f64>>()
        };
        let probed = margins(&probe);
        let (with, without) = (outcomes(&pairs.pairs, Split::Test, ours), outcomes(&pairs.pairs, Split::Test, free));
        ControlSummary {
            probe: control.probe.name(),
            strength: match control.mode {
                ControlMode::Constraint => None,
                ControlMode::Penalty { strength } => Some(strength),
            },
            correlation: pair_rank_correlation(&margins(ours), &probed),
            uncontrolled_correlation: pair_rank_correlation(&margins(free), &probed),
            accuracy: accuracy(&with),
            uncontrolled_accuracy: accuracy(&without),
            paid: accuracy_difference(&without, &with),
        }
    };
    config.control.iter().map(control).collect()
}

fn reference_summary(config: &Config, head: &TrainedHead) -> ReferenceSummary {
    let Normalizers { domains, spread, responses, .. } = &head.normalizers;
    let domain = |(name, responses): (&String, &usize)| DomainSummary {
        name: name.clone(),
        responses: *responses,
        own: domains.contains_key(name),
    };
    ReferenceSummary {
        source: config.reference.as_ref().map_or_else(|| CALIBRATION.to_owned(), |one| files::shown(&one.path)),
        responses: spread.responses,
        farthest: spread.farthest,
        domains: responses.iter().map(domain).collect(),
    }
}

fn words(item: &Item) -> f64 {
    item.response.split_whitespace().count() as f64
}

/// Margins of one split's pairs under `score`, with prompts numbered in order of appearance.
pub(super) fn outcomes(pairs: &[Pair], split: Split, score: &dyn Fn(usize) -> f64) -> Vec<Outcome> {
    outcomes_where(pairs, &|pair| pair.split == split, score)
}

fn outcomes_where(pairs: &[Pair], keep: &dyn Fn(&Pair) -> bool, score: &dyn Fn(usize) -> f64) -> Vec<Outcome> {
    let mut clusters = BTreeMap::new();
    let outcome = |pair: &Pair| {
        let next = clusters.len();
        let cluster = *clusters.entry(pair.prompt_key).or_insert(next);
        Outcome { margin: score(pair.chosen) - score(pair.rejected), preference: pair.preference, cluster }
    };
    pairs.iter().filter(|pair| keep(pair)).map(outcome).collect()
}

fn split_size(pairs: &[Pair], split: Split) -> SplitSize {
    let inside: Vec<&Pair> = pairs.iter().filter(|pair| pair.split == split).collect();
    let prompts: BTreeSet<_> = inside.iter().map(|pair| pair.prompt_key).collect();
    SplitSize { pairs: inside.len(), prompts: prompts.len() }
}

/// Accuracy by who labelled, where more than one kind did.
fn by_label_source(pairs: &[Pair], score: &dyn Fn(usize) -> f64) -> Vec<GroupAccuracy> {
    let tested = pairs.iter().filter(|pair| pair.split == Split::Test);
    let sources: BTreeSet<_> = tested.map(|pair| pair.labels).collect();
    if sources.len() < 2 {
        return Vec::new();
    }
    let group = |source| {
        let keep = |pair: &Pair| pair.split == Split::Test && pair.labels == source;
        let accuracy = accuracy(&outcomes_where(pairs, &keep, score));
        GroupAccuracy { name: format!("labels by {}", source.word()), accuracy }
    };
    sources.into_iter().map(group).collect()
}

fn audit_summary(audit: &Audit) -> AuditSummary {
    let mut dropped: BTreeMap<String, usize> = BTreeMap::new();
    for (reason, count) in audit.sources.iter().flat_map(|source| &source.dropped) {
        *dropped.entry(reason.clone()).or_default() += count;
    }
    let pairs = audit.splits.values().sum();
    let known = |value: f64| (pairs > 0).then_some(value);
    AuditSummary {
        rows: audit.sources.iter().map(|source| source.rows).sum(),
        pairs,
        dropped,
        duplicates: audit.duplicates,
        contradictions: audit.contradictions,
        split_conflicts: audit.split_conflicts,
        domain_conflicts: audit.domain_conflicts,
        longer_wins: known(audit.length.longer_wins),
        mean_words_chosen: known(audit.length.mean_words_chosen),
        mean_words_rejected: known(audit.length.mean_words_rejected),
        sources: audit
            .sources
            .iter()
            .map(|source| {
                let how = if source.detected { "detected" } else { "as configured" };
                format!(
                    "{} ({}, {how}, {} rows, {} pairs)",
                    source.path,
                    word(&source.format),
                    source.rows,
                    source.pairs
                )
            })
            .collect(),
    }
}

fn combined_summary(dataset: &Dataset, trained: &Trained, test_items: &[usize]) -> CombinedSummary {
    let combiner = &trained.combiner;
    let holistic = |score: &dyn Fn(usize) -> f64| accuracy(&outcomes(&dataset.holistic.pairs, Split::Test, score));
    CombinedSummary {
        combination: combiner.combination().clone(),
        weights: combiner.names().iter().cloned().zip(combiner.weights().iter().copied()).collect(),
        holistic: holistic(&|item| trained.combined(item)),
        holistic_longer: holistic(&|item| words(&dataset.items[item])),
        scores: test_items.iter().map(|&item| trained.combined(item)).collect(),
    }
}

fn correlations(heads: &[TrainedHead], items: &[usize]) -> Vec<Vec<Option<f64>>> {
    let column = |head: &TrainedHead| items.iter().map(|&item| head.scores[item].normalized).collect::<Vec<f64>>();
    let columns: Vec<Vec<f64>> = heads.iter().map(column).collect();
    columns.iter().map(|left| columns.iter().map(|right| spearman(left, right)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_count_as_repeated_word_for_word_but_for_blanks_around_them() {
        let item = |response: &str| Item { prompt: Vec::new(), response: response.to_owned() };
        let items: Vec<Item> = ["Yes.", " Yes.\n", "yes.", "Yes. No.", "No."].into_iter().map(item).collect();
        assert_eq!(repeated_responses(&items, &[1, 2, 3, 4], &[0]), 1, "only the second is the same");
        assert_eq!(repeated_responses(&items, &[0, 1, 2], &[0, 3]), 2, "every copy counts");
        assert_eq!(repeated_responses(&items, &[2, 3], &[]), 0);
    }

    #[test]
    fn the_smallest_lead_is_that_of_a_decided_pair() {
        let outcome = |(margin, preference): (f64, f64)| Outcome { margin, preference, cluster: 0 };
        let found =
            |rows: &[(f64, f64)]| lead_of_training_pairs(&rows.iter().copied().map(outcome).collect::<Vec<Outcome>>());
        let TrainingPairs { decided, ties, smallest_margin } =
            found(&[(40.0, 1.0), (-3.0, 0.5), (31.5, 0.75), (0.0, 0.5)]);
        assert_eq!((decided, ties, smallest_margin), (2, 2, Some(31.5)));
        assert_eq!(found(&[(5.0, 1.0), (-0.5, 1.0)]).smallest_margin, Some(-0.5));
        assert_eq!(found(&[(5.0, 0.5)]), TrainingPairs { decided: 0, ties: 1, smallest_margin: None });
    }
}
