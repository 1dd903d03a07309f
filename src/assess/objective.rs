//! One head on its test pairs: accuracy beside the baselines, calibration, scores, bias, and what its data are like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::held_out::HeldOut;
use super::outcomes::{items_of, outcomes, outcomes_where};
use super::scores::{by_split, distribution};
use super::{Material, ScoredHead, bias};
use crate::config::{ControlConfig, ControlMode, HeadKind, ObjectiveConfig};
use crate::data::{Audit, Dataset, Item, ObjectivePairs, Pair, Split, probes};
use crate::evaluate::{
    Outcome, accuracy, accuracy_difference, brier, expected_calibration_error, log_loss, quantile, reliability,
};
use crate::files;
use crate::head::pair_rank_correlation;
use crate::report::{
    AuditSummary, BAG_OF_WORDS, Baseline, ControlSummary, Distribution, GroupAccuracy, LONGER_WINS, ObjectiveSummary,
    SHORTER_WINS, SplitSize, TrainingPairs,
};

const RELIABILITY_BINS: usize = 10;
const MARGIN_BINS: usize = 24;

pub(super) fn summary(material: &Material, held_out: &HeldOut, index: usize) -> ObjectiveSummary {
    let (objective, pairs) = (&material.config.objectives[index], &material.dataset.objectives[index]);
    let (head, items) = (&material.heads[index], &material.dataset.items);
    let raw = |item: usize| head.scores[item].raw;
    let outcomes = outcomes(&pairs.pairs, Split::Test, &raw);
    let uncalibrated = self::outcomes(&pairs.pairs, Split::Test, &|item| raw(item) * head.temperature);
    let test_items = items_of(&pairs.pairs, Split::Test);
    let (right_margins, wrong_margins) = margins(&outcomes);
    ObjectiveSummary {
        name: objective.name.clone(),
        question: head.question.clone(),
        weight: material.combiner.weights()[index],
        normalizer: head.normalizer.clone(),
        reference: head.reference.clone(),
        labels: pairs.audit.labels.iter().map(|(source, count)| (source.word().to_owned(), *count)).collect(),
        train: split_size(&pairs.pairs, Split::Train),
        calibration: split_size(&pairs.pairs, Split::Calibration),
        test: split_size(&pairs.pairs, Split::Test),
        data_changed: head.data_changed,
        pretrained: matches!(objective.head, HeadKind::Pretrained(_)),
        fit: head.training.fit.clone(),
        mlp: head.training.mlp.clone(),
        training: head.training.on_pairs.then(|| training_pairs(pairs, head)),
        controls: controls(objective, pairs, material.dataset, head),
        learning_curve: head.training.learning_curve.to_vec(),
        temperature: head.temperature,
        accuracy: accuracy(&outcomes),
        baselines: baselines(pairs, head, held_out, &outcomes),
        log_loss: log_loss(&outcomes),
        log_loss_train: log_loss(&self::outcomes(&pairs.pairs, Split::Train, &raw)),
        brier: brier(&outcomes),
        ece: expected_calibration_error(&outcomes),
        ece_uncalibrated: expected_calibration_error(&uncalibrated),
        reliability: reliability(&outcomes, RELIABILITY_BINS),
        right_margins,
        wrong_margins,
        scores: by_split(&pairs.pairs, head),
        test_responses: test_items.len(),
        repeated_responses: repeated_responses(items, &test_items, &items_of(&pairs.pairs, Split::Train)),
        bias: bias::summary(material, held_out, index),
        groups: by_label_source(&pairs.pairs, &raw),
        audit: audit_summary(&pairs.audit),
    }
}

fn baselines(pairs: &ObjectivePairs, head: &ScoredHead, held_out: &HeldOut, outcomes: &[Outcome]) -> Vec<Baseline> {
    let scores: [(&str, &dyn Fn(usize) -> f64); 3] = [
        (LONGER_WINS, &|item| held_out.words[item]),
        (SHORTER_WINS, &|item| -held_out.words[item]),
        (BAG_OF_WORDS, &|item| head.baseline[item]),
    ];
    let baseline = |(name, score): (&str, &dyn Fn(usize) -> f64)| {
        let theirs = self::outcomes(&pairs.pairs, Split::Test, score);
        Baseline {
            name: name.to_owned(),
            accuracy: accuracy(&theirs),
            difference: accuracy_difference(outcomes, &theirs),
        }
    };
    scores.into_iter().map(baseline).collect()
}

/// Margins without sign of the pairs ranked right and wrong, in the same bins; ties of labelers and of scores are neither.
fn margins(outcomes: &[Outcome]) -> (Distribution, Distribution) {
    let decided = || outcomes.iter().filter(|outcome| outcome.preference > 0.5 && outcome.margin != 0.0);
    let sizes: Vec<f64> = decided().map(|outcome| outcome.margin.abs()).collect();
    let high = quantile(&sizes, 0.99).filter(|high| *high > 0.0).unwrap_or(1.0);
    let of = |right: bool| {
        let kept = decided().filter(|outcome| (outcome.margin > 0.0) == right);
        let sizes: Vec<f64> = kept.map(|outcome| outcome.margin.abs()).collect();
        distribution(&sizes, MARGIN_BINS, (0.0, high))
    };
    (of(true), of(false))
}

/// The word that stands for an enum's value in YAML.
pub fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The training pairs under the head's own log-odds, before the temperature.
fn training_pairs(pairs: &ObjectivePairs, head: &ScoredHead) -> TrainingPairs {
    let raw = |item: usize| head.scores[item].raw * head.temperature;
    lead_of_training_pairs(&outcomes(&pairs.pairs, Split::Train, &raw))
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
    head: &ScoredHead,
) -> Vec<ControlSummary> {
    let HeadKind::Linear(config) = &objective.head else { return Vec::new() };
    if head.uncontrolled.is_empty() {
        return Vec::new();
    }
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
                    files::discreet(Path::new(&source.path)),
                    word(&source.format),
                    source.rows,
                    source.pairs
                )
            })
            .collect(),
    }
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
