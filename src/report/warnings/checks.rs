//! When a run deserves which warning: one check a kind, with its threshold.

use super::Warning;
use crate::normalize::LEAST_RESPONSES;
use crate::report::summary::{ObjectiveSummary, ReferenceSummary, RunSummary};

/// Fewer test pairs than this may all be ranked right by a good head.
const MANY_PERFECT: usize = 50;
const FEW_PAIRS: usize = 100;
const FEW_PROMPTS: usize = 50;
const FOLLOWS_LENGTH: f64 = 0.8;
const NEARLY_SAME: f64 = 0.95;
const POOR_CALIBRATION: f64 = 0.1;
const MANY_TIES: f64 = 0.9;
const MANY_DROPPED: f64 = 0.1;
const MANY_CONTRADICTIONS: f64 = 0.01;
/// In units of 1.4826 · median absolute deviation.
const FAR_REFERENCE: f64 = 10.0;
/// In log-odds before calibration: one labeler in 10¹³ would disagree, which no data say.
const SEPARATED: f64 = 30.0;

/// All warnings of a run: what spoils the numbers first, then what limits them, each kind in the run's order.
pub fn warnings(summary: &RunSummary) -> Vec<Warning> {
    let checks: [fn(&ObjectiveSummary) -> Option<Warning>; 16] = [
        split_conflicts,
        data_changed,
        perfect,
        chance,
        few_test_pairs,
        rule_labels,
        follows_length,
        poor_calibration,
        mostly_ties,
        many_dropped,
        contradictions,
        few_references,
        far_reference,
        separated,
        not_converged,
        grid_edge,
    ];
    let mut found: Vec<Warning> = checks.iter().flat_map(|check| summary.objectives.iter().filter_map(check)).collect();
    found.extend(nearly_same(summary));
    found
}

fn split_conflicts(objective: &ObjectiveSummary) -> Option<Warning> {
    let split_conflicts = objective.audit.split_conflicts;
    (split_conflicts > 0).then(|| Warning::SplitConflicts { objective: objective.name.clone(), split_conflicts })
}

fn data_changed(objective: &ObjectiveSummary) -> Option<Warning> {
    objective.data_changed.then(|| Warning::DataChanged { objective: objective.name.clone() })
}

fn perfect(objective: &ObjectiveSummary) -> Option<Warning> {
    // Without a pair that is tied or ranked wrong, the mean of the credits is exactly 1.
    let accuracy = objective.accuracy.filter(|accuracy| accuracy.value == 1.0 && accuracy.n >= MANY_PERFECT)?;
    Some(Warning::SuspiciouslyPerfect {
        objective: objective.name.clone(),
        pairs: accuracy.n,
        repeated: objective.repeated_responses,
        responses: objective.test_responses,
    })
}

/// Said beside the baselines: a head can beat a bad baseline and still not beat a coin.
fn chance(objective: &ObjectiveSummary) -> Option<Warning> {
    let accuracy = objective.accuracy.filter(|accuracy| accuracy.low <= 0.5)?;
    Some(Warning::NotBetterThanChance { objective: objective.name.clone(), accuracy })
}

fn few_test_pairs(objective: &ObjectiveSummary) -> Option<Warning> {
    let (pairs, prompts) = (objective.test.pairs, objective.test.prompts);
    (pairs < FEW_PAIRS || prompts < FEW_PROMPTS).then(|| Warning::TooFewTestPairs {
        objective: objective.name.clone(),
        pairs,
        prompts,
        accuracy: objective.accuracy,
    })
}

fn rule_labels(objective: &ObjectiveSummary) -> Option<Warning> {
    objective.is_style_rule().then(|| Warning::RuleLabels { objective: objective.name.clone() })
}

fn follows_length(objective: &ObjectiveSummary) -> Option<Warning> {
    let correlation = objective.bias.length_correlation()?.value;
    if correlation.abs() <= FOLLOWS_LENGTH {
        return None;
    }
    Some(Warning::ScoreFollowsLength { objective: objective.name.clone(), correlation })
}

/// A calibration error of few pairs is never near zero, so one bin must also lie clearly off.
fn poor_calibration(objective: &ObjectiveSummary) -> Option<Warning> {
    let ece = objective.ece.filter(|ece| *ece > POOR_CALIBRATION)?;
    let bins = &objective.reliability;
    bins.iter().find(|bin| bin.predicted < bin.low || bin.predicted > bin.high)?;
    let excess: f64 = bins.iter().map(|bin| bin.n as f64 * (bin.predicted - bin.observed)).sum();
    Some(Warning::PoorCalibration { objective: objective.name.clone(), ece, overconfident: excess > 0.0 })
}

/// Pairs that nobody ordered are no loss: rated answers that tie make none.
const NO_COMPARISON: [&str; 4] =
    ["equal scores", "scores closer than min_gap", "not equal on the rule's score", "equal numbers of words"];

fn mostly_ties(objective: &ObjectiveSummary) -> Option<Warning> {
    let training = objective.training?;
    let pairs = training.decided + training.ties;
    let found = Warning::MostlyTies { objective: objective.name.clone(), ties: training.ties, pairs };
    (training.ties as f64 > MANY_TIES * pairs as f64).then_some(found)
}

fn many_dropped(objective: &ObjectiveSummary) -> Option<Warning> {
    let rows = objective.audit.rows;
    let lost = || objective.audit.dropped.iter().filter(|(reason, _)| !NO_COMPARISON.contains(&reason.as_str()));
    let dropped: usize = lost().map(|(_, count)| count).sum();
    let (reason, _) = lost().max_by_key(|(_, count)| **count)?;
    (dropped as f64 > MANY_DROPPED * rows as f64 && rows > 0).then(|| Warning::ManyDropped {
        objective: objective.name.clone(),
        dropped,
        rows,
        reason: reason.clone(),
    })
}

fn contradictions(objective: &ObjectiveSummary) -> Option<Warning> {
    let (contradictions, pairs) = (objective.audit.contradictions, objective.audit.pairs);
    (contradictions as f64 > MANY_CONTRADICTIONS * pairs as f64).then(|| Warning::Contradictions {
        objective: objective.name.clone(),
        contradictions,
        pairs,
    })
}

fn few_references(objective: &ObjectiveSummary) -> Option<Warning> {
    let ReferenceSummary { source, responses, .. } = &objective.reference;
    (*responses < LEAST_RESPONSES).then(|| Warning::FewReferences {
        objective: objective.name.clone(),
        responses: *responses,
        source: source.clone(),
    })
}

/// Only where mean, deviation or range decide: ranks and medians hardly move.
fn far_reference(objective: &ObjectiveSummary) -> Option<Warning> {
    let farthest = objective.reference.farthest.filter(|farthest| *farthest > FAR_REFERENCE)?;
    let normalizer = objective.normalizer.clone();
    let moved = ["zscore", "sigmoid", "minmax"].contains(&normalizer.as_str());
    moved.then(|| Warning::FarReference { objective: objective.name.clone(), normalizer, farthest })
}

fn separated(objective: &ObjectiveSummary) -> Option<Warning> {
    let training = objective.training?;
    let smallest_margin = training.smallest_margin.filter(|margin| *margin > SEPARATED)?;
    Some(Warning::SeparatedTraining { objective: objective.name.clone(), pairs: training.decided, smallest_margin })
}

fn not_converged(objective: &ObjectiveSummary) -> Option<Warning> {
    let mlp = objective.mlp.as_ref().filter(|mlp| !mlp.stopped_early)?;
    Some(Warning::NotConverged { objective: objective.name.clone(), epochs: mlp.epochs, best_epoch: mlp.best_epoch })
}

fn grid_edge(objective: &ObjectiveSummary) -> Option<Warning> {
    let fit = objective.fit.as_ref()?;
    let (first, last, l2) = (fit.l2_path.first()?.0, fit.l2_path.last()?.0, fit.l2);
    let edge = first < last && (l2 <= first || l2 >= last);
    edge.then(|| Warning::L2AtGridEdge { objective: objective.name.clone(), l2, largest: l2 >= last })
}

fn nearly_same(summary: &RunSummary) -> Vec<Warning> {
    let known = summary.agreement.objectives.iter().filter_map(|two| Some((two, two.spearman.value()?)));
    let alike = known.filter(|(_, correlation)| correlation.abs() > NEARLY_SAME);
    alike
        .map(|(two, correlation)| {
            let (left, right) = (two.left.clone(), two.right.clone());
            Warning::NearlySameObjectives { left, right, correlation }
        })
        .collect()
}
