//! What a score follows beside quality: the answer's length, refusal phrases, Markdown, and the probes a config names.

use super::held_out::HeldOut;
use super::outcomes::{items_of, outcomes, share};
use super::scores::density;
use super::{Material, ScoredHead};
use crate::config::{HeadKind, ObjectiveConfig, Probe};
use crate::data::{ObjectivePairs, Pair, Split, probes};
use crate::evaluate::{Correlation, Outcome, correlation, credit, slope};
use crate::report::{BiasSummary, LengthBias, ProbeBias};

/// Answers whose numbers of words differ by at most this share of the larger one count as equally long.
const MATCHED: f64 = 0.1;

pub(super) fn summary(material: &Material, held_out: &HeldOut, index: usize) -> BiasSummary {
    let (pairs, head) = (&material.dataset.objectives[index], &material.heads[index]);
    let tested: Vec<&Pair> = pairs.pairs.iter().filter(|pair| pair.split == Split::Test).collect();
    let outcomes = outcomes(&pairs.pairs, Split::Test, &|item| head.scores[item].raw);
    let rows: Vec<(&Pair, Outcome)> = tested.into_iter().zip(outcomes).collect();
    let probes = probes_of(&material.config.objectives[index]);
    BiasSummary {
        length: (!rows.is_empty()).then(|| length(pairs, head, held_out, &rows)),
        probes: probes.iter().map(|probe| probe_bias(material, probe, &rows)).collect(),
    }
}

/// Refusal and Markdown, and what the objective's head is kept from following; length has figures of its own.
fn probes_of(objective: &ObjectiveConfig) -> Vec<Probe> {
    let mut probes = vec![Probe::Refusal, Probe::Markdown];
    if let HeadKind::Linear(config) = &objective.head {
        let more = config.control.iter().map(|control| control.probe.clone());
        probes.extend(more.filter(|probe| matches!(probe, Probe::Pattern(_))));
    }
    probes
}

fn length(pairs: &ObjectivePairs, head: &ScoredHead, held_out: &HeldOut, rows: &[(&Pair, Outcome)]) -> LengthBias {
    let items = items_of(&pairs.pairs, Split::Test);
    let scores: Vec<f64> = items.iter().map(|&item| head.scores[item].normalized).collect();
    let words: Vec<f64> = items.iter().map(|&item| held_out.words[item]).collect();
    let doublings: Vec<f64> = words.iter().map(|words| libm::log2(1.0 + words)).collect();
    let prompts = held_out.prompts_of(&items);
    let line = slope(&doublings, &scores, &prompts);
    let points: Vec<(f64, f64)> = doublings.iter().copied().zip(scores.iter().copied()).collect();
    let difference = |pair: &Pair| (held_out.words[pair.chosen], held_out.words[pair.rejected]);
    let accuracy = |keep: &dyn Fn((f64, f64)) -> bool| {
        let kept = rows.iter().filter(|(pair, _)| keep(difference(pair)));
        share(&kept.map(|(_, outcome)| (credit(outcome), outcome.cluster)).collect::<Vec<(f64, usize)>>())
    };
    LengthBias {
        correlation: correlation(Correlation::Spearman, &scores, &words, &prompts),
        line: line.ok(),
        no_line: line.err().map(|undefined| undefined.words().to_owned()),
        density: density(&points, ("log2(1 + words)", "normalized score")),
        matched: accuracy(&|(chosen, rejected)| (chosen - rejected).abs() <= MATCHED * chosen.max(rejected)),
        chosen_longer: accuracy(&|(chosen, rejected)| chosen > rejected),
        chosen_shorter: accuracy(&|(chosen, rejected)| chosen < rejected),
    }
}

fn probe_bias(material: &Material, probe: &Probe, rows: &[(&Pair, Outcome)]) -> ProbeBias {
    let value = |item: usize| probes::value(probe, &material.dataset.items[item]);
    let difference: Vec<f64> = rows.iter().map(|(pair, _)| value(pair.chosen) - value(pair.rejected)).collect();
    let over = |differs: bool, credit: &dyn Fn(f64, &Outcome) -> f64| {
        let kept = rows.iter().zip(&difference).filter(|(_, difference)| (**difference != 0.0) == differs);
        share(&kept.map(|((_, outcome), by)| (credit(*by, outcome), outcome.cluster)).collect::<Vec<(f64, usize)>>())
    };
    // Picking by the probe is a head whose margin is the probe's difference.
    let picked = |by: f64, outcome: &Outcome| credit(&Outcome { margin: by, ..*outcome });
    let followed = |by: f64, outcome: &Outcome| match outcome.margin * by {
        0.0 => 0.5,
        product => f64::from(u8::from(product > 0.0)),
    };
    ProbeBias {
        name: probe.name(),
        differing: difference.iter().filter(|by| **by != 0.0).count(),
        pairs: rows.len(),
        labels_prefer: over(true, &picked),
        head_prefers: over(true, &followed),
        accuracy_differing: over(true, &|_, outcome| credit(outcome)),
        accuracy_equal: over(false, &|_, outcome| credit(outcome)),
    }
}
