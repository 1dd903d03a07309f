//! Pairs worth reading: a head's worst mistakes, the hardest conflicts between heads, the least credible labels.

use std::collections::BTreeSet;

use super::Material;
use super::held_out::{AnswerPair, HeldOut};
use crate::conversation::{Item, render_prompt};
use crate::data::{Pair, Split};
use crate::evaluate::standard_deviation;
use crate::logistic::sigmoid;
use crate::report::{Example, ExamplesSummary, Passage};

/// Pairs of each kind and objective.
pub(super) const EACH: usize = 3;
/// Conflicts over all objectives.
const CONFLICTS: usize = 5;
const PROMPT_CHARACTERS: usize = 500;
const ANSWER_CHARACTERS: usize = 700;

pub(super) fn summary(material: &Material, held_out: &HeldOut) -> ExamplesSummary {
    let objectives = || 0..material.heads.len();
    ExamplesSummary {
        mistakes: objectives().flat_map(|index| mistakes(material, held_out, index)).collect(),
        conflicts: conflicts(material, held_out),
        suspicious: objectives().flat_map(|index| suspicious(material, held_out, index)).collect(),
    }
}

/// The first of `ranked` with different prompts.
pub(super) fn of_different_prompts<T>(ranked: Vec<T>, prompt: impl Fn(&T) -> usize, most: usize) -> Vec<T> {
    let mut seen = BTreeSet::new();
    ranked.into_iter().filter(|one| seen.insert(prompt(one))).take(most).collect()
}

fn mistakes(material: &Material, held_out: &HeldOut, index: usize) -> Vec<Example> {
    let (list, scores) = (&material.dataset.objectives[index], material.heads[index].scores);
    let decided = list.pairs.iter().filter(|pair| pair.split == Split::Test && pair.preference > 0.5);
    let mut wrong: Vec<(&Pair, f64)> = decided
        .map(|pair| (pair, scores[pair.chosen].raw - scores[pair.rejected].raw))
        .filter(|(_, margin)| *margin < 0.0)
        .collect();
    wrong.sort_by(|left, right| left.1.total_cmp(&right.1));
    let example = |(pair, margin): (&Pair, f64)| {
        let certain = percent(sigmoid(-margin));
        let remark = format!("the head gives {certain} to the answer that was rejected");
        Example {
            objective: list.name.clone(),
            labels: label(pair),
            remark,
            ..shown(material, held_out, pair_of(pair))
        }
    };
    let picked = of_different_prompts(wrong, |(pair, _)| held_out.prompts[pair.chosen], EACH);
    picked.into_iter().map(example).collect()
}

fn suspicious(material: &Material, held_out: &HeldOut, index: usize) -> Vec<Example> {
    let list = &material.dataset.objectives[index];
    let mut ranked: Vec<(&Pair, f64)> = material.heads[index]
        .training
        .credibility
        .iter()
        .filter_map(|(place, credibility)| Some((list.pairs.get(*place)?, *credibility)))
        .filter(|(pair, credibility)| pair.preference > 0.5 && *credibility < 0.5)
        .collect();
    ranked.sort_by(|left, right| left.1.total_cmp(&right.1));
    let example = |(pair, credibility): (&Pair, f64)| {
        let chance = percent(credibility);
        let remark = format!("a head that has not seen this label gives it {chance}");
        Example {
            objective: list.name.clone(),
            labels: label(pair),
            remark,
            ..shown(material, held_out, pair_of(pair))
        }
    };
    let picked = of_different_prompts(ranked, |(pair, _)| held_out.prompts[pair.chosen], EACH);
    picked.into_iter().map(example).collect()
}

/// A pair of answers on which two heads disagree.
struct Conflict {
    pair: AnswerPair,
    left: usize,
    right: usize,
    /// The smaller of the two leads, each in standard deviations of the head's leads.
    strength: f64,
}

fn conflicts(material: &Material, held_out: &HeldOut) -> Vec<Example> {
    let leads: Vec<Vec<f64>> = material
        .heads
        .iter()
        .map(|head| {
            let lead = |pair: &AnswerPair| head.scores[pair.first].normalized - head.scores[pair.second].normalized;
            let leads: Vec<f64> = held_out.pairs.iter().map(lead).collect();
            let spread = standard_deviation(&leads).filter(|spread| *spread > 0.0).unwrap_or(1.0);
            leads.iter().map(|lead| lead / spread).collect()
        })
        .collect();
    let mut found = Vec::new();
    for left in 0..leads.len() {
        for right in left + 1..leads.len() {
            let both = held_out.pairs.iter().zip(leads[left].iter().zip(&leads[right]));
            let opposed = both.filter(|(_, (one, other))| *one * *other < 0.0);
            let conflict = |(pair, (one, other)): (&AnswerPair, (&f64, &f64))| Conflict {
                pair: *pair,
                left,
                right,
                strength: one.abs().min(other.abs()),
            };
            // Those of two heads are cut at once, so that many heads need no more memory than two.
            found.extend(hardest(opposed.map(conflict).collect()));
        }
    }
    hardest(found).iter().map(|conflict| shown_conflict(material, held_out, conflict)).collect()
}

/// The strongest conflicts on different prompts.
fn hardest(mut found: Vec<Conflict>) -> Vec<Conflict> {
    found.sort_by(|left, right| right.strength.total_cmp(&left.strength));
    of_different_prompts(found, |conflict| conflict.pair.prompt, CONFLICTS)
}

fn shown_conflict(material: &Material, held_out: &HeldOut, conflict: &Conflict) -> Example {
    let name = |index: usize| material.dataset.objectives[index].name.clone();
    let AnswerPair { first, second, .. } = conflict.pair;
    let scores = material.heads[conflict.left].scores;
    let (liked, other) =
        if scores[first].normalized > scores[second].normalized { (first, second) } else { (second, first) };
    let (left, right) = (name(conflict.left), name(conflict.right));
    Example {
        objective: format!("{left} against {right}"),
        headings: (format!("{left} prefers"), format!("{right} prefers")),
        remark: format!(
            "each lead is over {:.1} standard deviations of that head's leads",
            (conflict.strength * 10.0).floor() / 10.0
        ),
        ..shown(material, held_out, (liked, other))
    }
}

fn pair_of(pair: &Pair) -> (usize, usize) {
    (pair.chosen, pair.rejected)
}

fn label(pair: &Pair) -> String {
    pair.labels.word().to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A pair with both texts shortened and the scores of both.
pub(super) fn shown(material: &Material, held_out: &HeldOut, (chosen, rejected): (usize, usize)) -> Example {
    let passage = |item: usize| Passage {
        text: beginning(&material.dataset.items[item].response, ANSWER_CHARACTERS),
        words: held_out.words[item] as usize,
        scores: material
            .dataset
            .objectives
            .iter()
            .zip(material.heads)
            .map(|(list, head)| (list.name.clone(), head.scores[item].normalized))
            .collect(),
    };
    Example {
        headings: ("chosen".to_owned(), "rejected".to_owned()),
        prompt: prompt_excerpt(&material.dataset.items[chosen], PROMPT_CHARACTERS),
        chosen: passage(chosen),
        rejected: passage(rejected),
        ..Example::default()
    }
}

/// The end of an item's prompt: what was asked last decides what a good answer is.
pub(super) fn prompt_excerpt(item: &Item, most: usize) -> String {
    let text = render_prompt(&item.prompt);
    let text = text.trim();
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count - most).collect();
    // Not in the middle of a word, where the next one is near.
    let next = end.char_indices().take(12).find(|(_, one)| one.is_whitespace()).map_or(0, |(place, _)| place);
    format!("…{}", &end[next..])
}

fn beginning(text: &str, most: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_cut_between_characters() {
        assert_eq!(beginning("  äöü  ", 3), "äöü");
        assert_eq!(beginning("äöüß", 3), "äöü…");
        let item = Item {
            prompt: vec![crate::conversation::Message {
                role: crate::conversation::Role::User,
                content: "äöüß".into(),
            }],
            response: String::new(),
        };
        assert_eq!(prompt_excerpt(&item, 3), "…öüß");
        assert_eq!(prompt_excerpt(&item, 4), "äöüß");
    }

    #[test]
    fn one_prompt_is_shown_once() {
        assert_eq!(
            of_different_prompts(vec![(1, 'a'), (1, 'b'), (2, 'c'), (3, 'd')], |one| one.0, 2),
            [(1, 'a'), (2, 'c')]
        );
    }
}
