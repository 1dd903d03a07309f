//! What changed between an older registry and this one, on the same texts.

use super::Material;
use super::examples::{EACH, of_different_prompts, shown};
use super::held_out::{AnswerPair, HeldOut, turned_share};
use super::outcomes::{items_of, outcomes, statistic};
use super::scores::{distribution, inner_range};
use crate::data::{Pair, Split};
use crate::ensemble::ObjectiveScore;
use crate::evaluate::{
    Correlation, accuracy, accuracy_difference, correlation, expected_calibration_error, kolmogorov_smirnov,
    log_loss_difference, wasserstein,
};
use crate::report::{COMBINED, DriftSummary, Example, ObjectiveDrift};

const BINS: usize = 30;

/// An older registry's view of the items of the dataset.
pub struct Older {
    /// The registry's folder.
    pub place: String,
    /// Its backbone's fingerprint.
    pub fingerprint: String,
    /// Its objectives.
    pub names: Vec<String>,
    /// Those whose data are others than those its heads were trained and judged on.
    pub data_changed: Vec<String>,
    /// Scores of every item, per objective.
    pub scores: Vec<Vec<ObjectiveScore>>,
    /// Combined scores of every item.
    pub combined: Vec<f64>,
}

/// Two scores of the same thing, by item.
struct Both<'a> {
    name: &'a str,
    /// The pairs that judge the score.
    pairs: &'a [Pair],
    /// In log-odds, or combined.
    margins: [&'a dyn Fn(usize) -> f64; 2],
    /// What is compared in distribution.
    scores: [&'a dyn Fn(usize) -> f64; 2],
    /// The responses whose scores are compared.
    responses: Vec<usize>,
    /// Whether σ of a margin is a probability.
    probabilities: bool,
}

/// Every objective that both registries have, and the combined score.
pub fn drift(material: &Material, old: &Older) -> DriftSummary {
    let held_out = HeldOut::of(material);
    let dataset = material.dataset;
    let known = |name: &String| old.names.iter().position(|other| other == name);
    let (mut objectives, mut turned) = (Vec::new(), Vec::new());
    let mut look = |both: &Both| {
        objectives.push(compare(&held_out, both));
        turned.extend(most_turned(material, &held_out, both));
    };
    for (list, head) in dataset.objectives.iter().zip(material.heads) {
        let Some(place) = known(&list.name) else { continue };
        let before = &old.scores[place];
        look(&Both {
            name: &list.name,
            pairs: &list.pairs,
            margins: [&|item| before[item].raw, &|item| head.scores[item].raw],
            scores: [&|item| before[item].normalized, &|item| head.scores[item].normalized],
            responses: items_of(&list.pairs, Split::Test),
            probabilities: true,
        });
    }
    let now = |item: usize| material.combined(material.combiner, item);
    let before = |item: usize| old.combined[item];
    look(&Both {
        name: COMBINED,
        pairs: &dataset.holistic.pairs,
        margins: [&before, &now],
        scores: [&before, &now],
        responses: held_out.responses.clone(),
        probabilities: false,
    });
    let names: Vec<&String> = dataset.objectives.iter().map(|list| &list.name).collect();
    DriftSummary {
        old: old.place.clone(),
        old_fingerprint: old.fingerprint.clone(),
        data_changed: old.data_changed.clone(),
        objectives,
        turned,
        added: names.iter().filter(|name| known(name).is_none()).map(|name| (*name).clone()).collect(),
        removed: old.names.iter().filter(|name| !names.contains(name)).cloned().collect(),
    }
}

fn compare(held_out: &HeldOut, both: &Both) -> ObjectiveDrift {
    let [old, new] = both.margins.map(|margin| outcomes(both.pairs, Split::Test, margin));
    let [before, now] = both.scores.map(|score| both.responses.iter().map(|&item| score(item)).collect::<Vec<f64>>());
    let range = inner_range(&[before.as_slice(), &now].concat());
    let calibration_error = |outcomes| both.probabilities.then(|| expected_calibration_error(outcomes)).flatten();
    ObjectiveDrift {
        name: both.name.to_owned(),
        old_accuracy: statistic(accuracy(&old)),
        new_accuracy: statistic(accuracy(&new)),
        change: statistic(accuracy_difference(&new, &old)),
        log_loss_change: both.probabilities.then(|| statistic(log_loss_difference(&new, &old))),
        calibration_error: (calibration_error(&old), calibration_error(&new)),
        turned: turned_share(&held_out.pairs, both.margins),
        correlation: correlation(Correlation::Spearman, &before, &now, &held_out.prompts_of(&both.responses)),
        kolmogorov_smirnov: kolmogorov_smirnov(&before, &now),
        wasserstein: wasserstein(&before, &now),
        old_scores: distribution(&before, BINS, range),
        new_scores: distribution(&now, BINS, range),
    }
}

/// The test pairs on different prompts that old and new order differently, those whose difference moved most.
fn most_turned(material: &Material, held_out: &HeldOut, both: &Both) -> Vec<Example> {
    let lead = |pair: &AnswerPair, which: usize| both.margins[which](pair.first) - both.margins[which](pair.second);
    let leads = held_out.pairs.iter().map(|pair| (pair, lead(pair, 0), lead(pair, 1)));
    let mut turned: Vec<(&AnswerPair, f64, f64)> = leads.filter(|(_, before, now)| before * now < 0.0).collect();
    let moved = |(_, before, now): &(&AnswerPair, f64, f64)| (now - before).abs();
    turned.sort_by(|left, right| moved(right).total_cmp(&moved(left)));
    let example = |(pair, before, now): (&AnswerPair, f64, f64)| {
        let sides = if now > 0.0 { (pair.first, pair.second) } else { (pair.second, pair.first) };
        let (before, now) = (before.abs(), now.abs());
        Example {
            objective: both.name.to_owned(),
            headings: ("preferred now".to_owned(), "preferred before".to_owned()),
            remark: format!("the second answer led by {before:.2}, now the first leads by {now:.2}"),
            ..shown(material, held_out, sides)
        }
    };
    of_different_prompts(turned, |one| one.0.prompt, EACH).into_iter().map(example).collect()
}
