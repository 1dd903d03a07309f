//! What the answers to one prompt offer to choose from: how often one is best on every objective, how often a choice
//! between objectives must be made.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Material;
use super::examples::prompt_excerpt;
use super::held_out::HeldOut;
use super::outcomes::share;
use crate::report::{AgreementSummary, ParetoAnswer, ParetoExample, ParetoSummary};
use crate::weights::pareto_front;

/// Prompts shown as pictures.
const EXAMPLES: usize = 3;
/// Characters of a prompt under a picture.
const PROMPT_CHARACTERS: usize = 36;

/// The answers to one prompt.
struct Choice {
    prompt: usize,
    items: Vec<usize>,
    /// For each item whether no other one beats it.
    on_front: Vec<bool>,
    /// How many are on the front.
    front: usize,
    /// Whether one of them is best on every objective: all on the front have the same scores.
    undisputed: bool,
    /// The place in `items` with the highest combined score.
    chosen: usize,
}

pub(super) fn summary(material: &Material, held_out: &HeldOut, agreement: &AgreementSummary) -> ParetoSummary {
    if material.heads.len() < 2 {
        return ParetoSummary::default();
    }
    let mut answers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &item in &held_out.responses {
        answers.entry(held_out.prompts[item]).or_default().push(item);
    }
    answers.retain(|_, items| items.len() > 1);
    let choices: Vec<Choice> = answers.into_iter().map(|(prompt, items)| choice(material, prompt, items)).collect();
    let number = |flag: bool| f64::from(u8::from(flag));
    let rows = |value: &dyn Fn(&Choice) -> bool| -> Vec<(f64, usize)> {
        choices.iter().map(|choice| (number(value(choice)), choice.prompt)).collect()
    };
    let on_front = choices.iter().flat_map(|choice| choice.on_front.iter().map(|flag| (number(*flag), choice.prompt)));
    ParetoSummary {
        prompts: choices.len(),
        answers: choices.iter().map(|choice| choice.items.len()).sum(),
        on_front: Some(share(&on_front.collect::<Vec<(f64, usize)>>())),
        undisputed: Some(share(&rows(&|choice| choice.undisputed))),
        choice_on_front: Some(share(&rows(&|choice| choice.on_front[choice.chosen]))),
        examples: examples(material, agreement, &choices),
    }
}

fn choice(material: &Material, prompt: usize, items: Vec<usize>) -> Choice {
    // An objective with a negative weight is wanted low.
    let sign = |weight: &f64| if *weight < 0.0 { -1.0 } else { 1.0 };
    let signs: Vec<f64> = material.combiner.weights().iter().map(sign).collect();
    let scores = |&item: &usize| -> Vec<f64> {
        material.heads.iter().zip(&signs).map(|(head, sign)| sign * head.scores[item].normalized).collect()
    };
    let scores: Vec<Vec<f64>> = items.iter().map(scores).collect();
    let front = pareto_front(&scores);
    let mut on_front = vec![false; items.len()];
    front.iter().for_each(|&place| on_front[place] = true);
    let combined: Vec<f64> = items.iter().map(|&item| material.combined(material.combiner, item)).collect();
    let highest =
        (0..items.len()).max_by(|&left, &right| combined[left].total_cmp(&combined[right]).then(right.cmp(&left)));
    Choice {
        prompt,
        on_front,
        front: front.len(),
        undisputed: front.windows(2).all(|two| scores[two[0]] == scores[two[1]]),
        chosen: highest.unwrap_or_default(),
        items,
    }
}

/// The prompts with the longest fronts, in the plane of the two objectives that are most often in conflict.
fn examples(material: &Material, agreement: &AgreementSummary, choices: &[Choice]) -> Vec<ParetoExample> {
    let Some(two) = agreement.most_conflicting() else { return Vec::new() };
    let place = |name: &str| material.dataset.objectives.iter().position(|list| list.name == name);
    let (Some(left), Some(right)) = (place(&two.left), place(&two.right)) else { return Vec::new() };
    let mut order: Vec<&Choice> = choices.iter().filter(|choice| !choice.undisputed).collect();
    order.sort_by_key(|choice| (Reverse(choice.front), choice.prompt));
    let answer = |choice: &Choice, place: usize| ParetoAnswer {
        x: material.heads[left].scores[choice.items[place]].normalized,
        y: material.heads[right].scores[choice.items[place]].normalized,
        on_front: choice.on_front[place],
        chosen: choice.chosen == place,
    };
    let example = |choice: &&Choice| {
        let mut places: Vec<usize> = (0..choice.items.len()).collect();
        places.sort_by_key(|&place| (Reverse(choice.chosen == place), Reverse(choice.on_front[place]), place));
        ParetoExample {
            prompt: prompt_excerpt(&material.dataset.items[choice.items[0]], PROMPT_CHARACTERS),
            across: two.left.clone(),
            upright: two.right.clone(),
            answers: places.into_iter().take(ParetoExample::MOST).map(|place| answer(choice, place)).collect(),
            all: choice.items.len(),
            on_front: choice.front,
        }
    };
    order.iter().take(EXAMPLES).map(example).collect()
}
