//! The combined score: how good it is all things considered, what each objective brings, and what other weights turn.

use super::Material;
use super::held_out::{HeldOut, turned_share};
use super::outcomes::{outcomes, statistic};
use super::sweep;
use crate::data::Split;
use crate::evaluate::{Statistic, Undefined, accuracy, accuracy_difference};
use crate::report::{CombinedSummary, LeftOut, TurnedShares};

pub(super) fn summary(material: &Material, held_out: &HeldOut) -> CombinedSummary {
    let combiner = material.combiner;
    let holistic = |score: &dyn Fn(usize) -> f64| outcomes(&material.dataset.holistic.pairs, Split::Test, score);
    let ours = holistic(&|item| material.combined(combiner, item));
    let several = material.heads.len() > 1;
    let objectives = || (0..material.heads.len()).filter(|_| several);
    CombinedSummary {
        combination: combiner.combination().clone(),
        weights: combiner.names().iter().cloned().zip(combiner.weights().iter().copied()).collect(),
        holistic: accuracy(&ours),
        holistic_longer: accuracy(&holistic(&|item| held_out.words[item])),
        left_out: objectives().filter(|_| !ours.is_empty()).filter_map(|index| left_out(material, index)).collect(),
        turned: objectives().map(|index| turned_shares(material, held_out, index)).collect(),
        sweep: sweep::summary(material),
    }
}

/// The holistic pairs with one objective left out of the rule; `None` where the rule cannot do without it.
fn left_out(material: &Material, index: usize) -> Option<LeftOut> {
    let without = material.combiner.without(index)?;
    let fewer = |item: usize| {
        let mut terms = material.terms(item);
        terms.remove(index);
        without.combine(&terms)
    };
    let pairs = &material.dataset.holistic.pairs;
    let with = outcomes(pairs, Split::Test, &|item| material.combined(material.combiner, item));
    let without = outcomes(pairs, Split::Test, &fewer);
    Some(LeftOut {
        objective: material.dataset.objectives[index].name.clone(),
        accuracy: statistic(accuracy(&without)),
        brings: statistic(accuracy_difference(&with, &without)),
    })
}

fn turned_shares(material: &Material, held_out: &HeldOut, index: usize) -> TurnedShares {
    let turned = |factor: f64| match material.combiner.scaled(index, factor) {
        Some(other) => turned_share(
            &held_out.pairs,
            [&|item| material.combined(material.combiner, item), &|item| material.combined(&other, item)],
        ),
        None => Statistic::Unknown { undefined: Undefined::NotUsable },
    };
    TurnedShares {
        objective: material.dataset.objectives[index].name.clone(),
        weight: material.combiner.weights()[index],
        without: turned(0.0),
        halved: turned(0.5),
        doubled: turned(2.0),
    }
}
