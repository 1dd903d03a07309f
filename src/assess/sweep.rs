//! How accurate weighted sums of the scores are over all weights: on holistic pairs, or for the objective that fares
//! worst.

use rayon::prelude::*;

use super::Material;
use super::outcomes::{outcomes, statistic};
use crate::data::{Pair, Split};
use crate::evaluate::{Outcome, accuracy_difference};
use crate::report::{BestWeights, SimplexPoint, SweepLine, SweepMeasure, SweepSummary};
use crate::weights::{Comparison, accuracy};

/// Steps along a side of the simplex of three objectives.
const SIMPLEX_STEPS: usize = 20;
/// Steps of one objective's share.
const LINE_STEPS: usize = 20;

/// The pairs that judge weights, per list: one list of holistic pairs, or one per objective.
struct Judge {
    measure: SweepMeasure,
    lists: Vec<Vec<Comparison>>,
}

/// The sweep; `None` with a single objective, without test pairs, or with a rule that is no weighted sum.
pub(super) fn summary(material: &Material) -> Option<SweepSummary> {
    let count = material.heads.len();
    let weights = material.combiner.linear().ok()?;
    let judge = judge(material)?;
    let total: f64 = weights.iter().sum();
    let on_simplex = weights.iter().all(|weight| *weight >= 0.0) && total > 0.0;
    let shares = on_simplex.then(|| weights.iter().map(|weight| weight / total).collect::<Vec<f64>>());
    let simplex = if count == 3 { simplex(&judge) } else { Vec::new() };
    (count > 1).then(|| SweepSummary {
        measure: judge.measure,
        current: judge.accuracy(weights),
        best: best(&judge, &simplex, weights),
        simplex,
        steps: SIMPLEX_STEPS,
        lines: shares.as_ref().map_or_else(Vec::new, |shares| lines(material, &judge, shares)),
        shares,
    })
}

/// The first of the points that order most holistic pairs as labelled, against the weights in use.
fn best(judge: &Judge, simplex: &[SimplexPoint], current: &[f64]) -> Option<BestWeights> {
    let (SweepMeasure::Holistic, [pairs]) = (judge.measure, judge.lists.as_slice()) else { return None };
    let best = simplex.iter().reduce(|best, next| if next.accuracy > best.accuracy { next } else { best })?;
    let outcomes = |weights: &[f64]| -> Vec<Outcome> {
        let margin = |pair: &Comparison| weights.iter().zip(&pair.difference).map(|(weight, by)| weight * by).sum();
        let outcome = |pair| Outcome { margin: margin(pair), preference: pair.preference, cluster: pair.prompt };
        pairs.iter().map(outcome).collect()
    };
    let lead = statistic(accuracy_difference(&outcomes(&best.weights), &outcomes(current)));
    Some(BestWeights { weights: best.weights.clone(), lead })
}

fn judge(material: &Material) -> Option<Judge> {
    let holistic = comparisons(material, &material.dataset.holistic.pairs);
    if !holistic.is_empty() {
        return Some(Judge { measure: SweepMeasure::Holistic, lists: vec![holistic] });
    }
    let lists = material.dataset.objectives.iter().map(|list| comparisons(material, &list.pairs));
    let lists: Vec<Vec<Comparison>> = lists.filter(|list| !list.is_empty()).collect();
    (!lists.is_empty()).then_some(Judge { measure: SweepMeasure::WorstObjective, lists })
}

/// The test pairs with their differences of normalized scores.
fn comparisons(material: &Material, pairs: &[Pair]) -> Vec<Comparison> {
    let prompts = outcomes(pairs, Split::Test, &|_| 0.0);
    let tested = pairs.iter().filter(|pair| pair.split == Split::Test);
    let difference = |pair: &Pair| {
        let score = |head: &super::ScoredHead, item: usize| head.scores[item].normalized;
        material.heads.iter().map(|head| score(head, pair.chosen) - score(head, pair.rejected)).collect()
    };
    let comparison = |(pair, outcome): (&Pair, &Outcome)| Comparison {
        difference: difference(pair),
        preference: pair.preference,
        prompt: outcome.cluster,
    };
    tested.zip(&prompts).map(comparison).collect()
}

impl Judge {
    /// The lowest accuracy over the lists.
    fn accuracy(&self, weights: &[f64]) -> Option<f64> {
        self.lists.iter().filter_map(|list| accuracy(list, weights)).min_by(f64::total_cmp)
    }
}

fn simplex(judge: &Judge) -> Vec<SimplexPoint> {
    let part = |parts: usize| parts as f64 / SIMPLEX_STEPS as f64;
    let corners = (0..=SIMPLEX_STEPS).flat_map(|first| (0..=SIMPLEX_STEPS - first).map(move |second| (first, second)));
    let weights: Vec<Vec<f64>> = corners.map(|(a, b)| vec![part(a), part(b), part(SIMPLEX_STEPS - a - b)]).collect();
    let point = |weights: Vec<f64>| Some(SimplexPoint { accuracy: judge.accuracy(&weights)?, weights });
    weights.into_par_iter().filter_map(point).collect()
}

fn lines(material: &Material, judge: &Judge, shares: &[f64]) -> Vec<SweepLine> {
    let line = |index: usize| {
        let others = 1.0 - shares[index];
        let at = |step: usize| {
            let share = step as f64 / LINE_STEPS as f64;
            // Where the others have no weight to keep the proportion of, they share alike.
            let alike = (1.0 - share) / (shares.len() - 1) as f64;
            let weight = |(other, own): (usize, &f64)| match other == index {
                true => share,
                false if others > 0.0 => own * (1.0 - share) / others,
                false => alike,
            };
            let weights: Vec<f64> = shares.iter().enumerate().map(weight).collect();
            Some((share, judge.accuracy(&weights)?))
        };
        SweepLine {
            objective: material.dataset.objectives[index].name.clone(),
            share: shares[index],
            points: (0..=LINE_STEPS).filter_map(at).collect(),
        }
    };
    (0..shares.len()).into_par_iter().map(line).collect()
}
