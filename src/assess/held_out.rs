//! The held-out side of a dataset: its responses, its distinct pairs of answers, and what is counted of texts once.

use std::collections::{BTreeMap, BTreeSet};

use super::Material;
use super::outcomes::{items_of, share, words};
use crate::data::{Pair, Split};
use crate::evaluate::Statistic;
use crate::files::Digest;

/// What all sections of a report look at.
pub(super) struct HeldOut {
    /// The responses of the objectives' test pairs, ascending.
    pub(super) responses: Vec<usize>,
    /// The distinct pairs of answers among the test pairs of all objectives.
    pub(super) pairs: Vec<AnswerPair>,
    /// Words of every item of the dataset.
    pub(super) words: Vec<f64>,
    /// The prompt of every item that stands in a pair, numbered; one number for all others.
    pub(super) prompts: Vec<usize>,
}

/// Two answers to one prompt, whoever labelled them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AnswerPair {
    /// The item that stands first in the dataset.
    pub(super) first: usize,
    /// The other.
    pub(super) second: usize,
    /// The prompt's number.
    pub(super) prompt: usize,
}

impl HeldOut {
    pub(super) fn of(material: &Material) -> Self {
        let dataset = material.dataset;
        let prompts = prompts(dataset.objectives.iter().chain([&dataset.holistic]).flat_map(|list| &list.pairs), {
            dataset.items.len()
        });
        let tested = || dataset.objectives.iter().flat_map(|list| &list.pairs).filter(|pair| pair.split == Split::Test);
        let keys = tested().map(|pair| (pair.chosen.min(pair.rejected), pair.chosen.max(pair.rejected)));
        let keys: BTreeSet<(usize, usize)> = keys.collect();
        let pair = |(first, second): (usize, usize)| AnswerPair { first, second, prompt: prompts[first] };
        let responses: BTreeSet<usize> =
            dataset.objectives.iter().flat_map(|list| items_of(&list.pairs, Split::Test)).collect();
        Self {
            responses: responses.into_iter().collect(),
            pairs: keys.into_iter().map(pair).collect(),
            words: dataset.items.iter().map(words).collect(),
            prompts,
        }
    }

    /// The prompts of some items.
    pub(super) fn prompts_of(&self, items: &[usize]) -> Vec<usize> {
        items.iter().map(|&item| self.prompts[item]).collect()
    }
}

/// Share of pairs whose preferred answer is another one by the second score than by the first; undecided by just one of
/// them counts one half.
pub(super) fn turned_share(pairs: &[AnswerPair], scores: [&dyn Fn(usize) -> f64; 2]) -> Statistic {
    let sign = |margin: f64| f64::from(i8::from(margin > 0.0) - i8::from(margin < 0.0));
    let row = |pair: &AnswerPair| {
        let [before, now] = scores.map(|score| sign(score(pair.first) - score(pair.second)));
        (0.5 * (before - now).abs(), pair.prompt)
    };
    share(&pairs.iter().map(row).collect::<Vec<(f64, usize)>>())
}

fn prompts<'a>(pairs: impl Iterator<Item = &'a Pair>, items: usize) -> Vec<usize> {
    let mut numbers: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut prompts = vec![usize::MAX; items];
    for pair in pairs {
        let next = numbers.len();
        let number = *numbers.entry(pair.prompt_key).or_insert(next);
        prompts[pair.chosen] = number;
        prompts[pair.rejected] = number;
    }
    prompts
}
