//! Margins of labelled pairs, with their prompts numbered for clustered intervals.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::{Item, Pair, Split};
use crate::evaluate::{Outcome, Statistic, Undefined, clustered_mean};

/// The items that stand in the pairs of one split, ascending.
pub fn items_of(pairs: &[Pair], split: Split) -> Vec<usize> {
    let inside = pairs.iter().filter(|pair| pair.split == split);
    inside.flat_map(|pair| [pair.chosen, pair.rejected]).collect::<BTreeSet<usize>>().into_iter().collect()
}

/// Margins of one split's pairs under `score`, with prompts numbered in order of appearance.
pub fn outcomes(pairs: &[Pair], split: Split, score: &dyn Fn(usize) -> f64) -> Vec<Outcome> {
    outcomes_where(pairs, &|pair| pair.split == split, score)
}

/// The same of the pairs that `keep` keeps.
pub(super) fn outcomes_where(
    pairs: &[Pair],
    keep: &dyn Fn(&Pair) -> bool,
    score: &dyn Fn(usize) -> f64,
) -> Vec<Outcome> {
    let mut clusters = BTreeMap::new();
    let outcome = |pair: &Pair| {
        let next = clusters.len();
        let cluster = *clusters.entry(pair.prompt_key).or_insert(next);
        Outcome { margin: score(pair.chosen) - score(pair.rejected), preference: pair.preference, cluster }
    };
    pairs.iter().filter(|pair| keep(pair)).map(outcome).collect()
}

/// Words of a response.
pub(super) fn words(item: &Item) -> f64 {
    item.response.split_whitespace().count() as f64
}

/// Mean of a share over `(value, prompt)` rows with its clustered interval.
pub(super) fn share(rows: &[(f64, usize)]) -> Statistic {
    clustered_mean(rows, (0.0, 1.0)).map_or(Statistic::Unknown { undefined: Undefined::NoValues }, Statistic::Known)
}

/// A statistic that is only undefined when there is nothing to measure.
pub(super) fn statistic(estimate: Option<crate::evaluate::Estimate>) -> Statistic {
    estimate.map_or(Statistic::Unknown { undefined: Undefined::NoValues }, Statistic::Known)
}
