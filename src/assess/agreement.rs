//! Agreement between heads, between a head and another objective's labels, and between labelers.

use rayon::prelude::*;

use super::held_out::HeldOut;
use super::outcomes::{outcomes, statistic};
use super::{Material, ScoredHead};
use crate::data::{ObjectivePairs, Pair, Split, Votes};
use crate::evaluate::{
    Ballot, Correlation, Outcome, Statistic, accuracy, agreement_with_labelers, clustered_mean, cohen_kappa,
    conflict_rate, correlation, fleiss_kappa, krippendorff_alpha, labeler_agreement, sign_agreement,
};
use crate::report::{AgreementSummary, CrossAccuracy, LabelerAgreement, ObjectivesAgreement};

pub(super) fn summary(material: &Material, held_out: &HeldOut) -> AgreementSummary {
    let (heads, dataset) = (material.heads, material.dataset);
    let twos: Vec<(usize, usize)> =
        (0..heads.len()).flat_map(|left| (left + 1..heads.len()).map(move |right| (left, right))).collect();
    let grid: Vec<(usize, usize)> =
        (0..heads.len()).flat_map(|head| (0..heads.len()).map(move |labels| (head, labels))).collect();
    let cross = |&(head, labels): &(usize, usize)| {
        let raw = |item: usize| heads[head].scores[item].raw;
        CrossAccuracy {
            head: dataset.objectives[head].name.clone(),
            labels: dataset.objectives[labels].name.clone(),
            accuracy: statistic(accuracy(&outcomes(&dataset.objectives[labels].pairs, Split::Test, &raw))),
        }
    };
    AgreementSummary {
        responses: held_out.responses.len(),
        pairs: held_out.pairs.len(),
        objectives: twos.par_iter().map(|two| objectives(material, held_out, *two)).collect(),
        cross_accuracy: grid.par_iter().map(cross).collect(),
        labelers: dataset.objectives.iter().zip(heads).filter_map(|(pairs, head)| labelers(pairs, head)).collect(),
    }
}

fn objectives(material: &Material, held_out: &HeldOut, (left, right): (usize, usize)) -> ObjectivesAgreement {
    let scores = |head: usize| -> Vec<f64> {
        held_out.responses.iter().map(|&item| material.heads[head].scores[item].normalized).collect()
    };
    let margins = |head: usize| -> Vec<f64> {
        let scores = material.heads[head].scores;
        held_out.pairs.iter().map(|pair| scores[pair.first].raw - scores[pair.second].raw).collect()
    };
    let (x, y, prompts) = (scores(left), scores(right), held_out.prompts_of(&held_out.responses));
    let (one, other) = (margins(left), margins(right));
    let pair_prompts: Vec<usize> = held_out.pairs.iter().map(|pair| pair.prompt).collect();
    let name = |index: usize| material.dataset.objectives[index].name.clone();
    ObjectivesAgreement {
        left: name(left),
        right: name(right),
        pearson: correlation(Correlation::Pearson, &x, &y, &prompts),
        spearman: correlation(Correlation::Spearman, &x, &y, &prompts),
        kendall: correlation(Correlation::Kendall, &x, &y, &prompts),
        sign_agreement: sign_agreement(&one, &other, &pair_prompts),
        cohen_kappa: cohen_kappa(&one, &other, &pair_prompts),
        conflict_rate: conflict_rate(&one, &other, &pair_prompts),
    }
}

/// The test pairs on which several labelers voted; `None` without any.
fn labelers(pairs: &ObjectivePairs, head: &ScoredHead) -> Option<LabelerAgreement> {
    let voted = |votes: &Votes| u64::from(votes.chosen) + u64::from(votes.rejected) + u64::from(votes.tied) > 1;
    let tested = pairs.pairs.iter().filter(|pair| pair.split == Split::Test);
    let several: Vec<(&Pair, Votes)> = tested.filter_map(|pair| Some((pair, pair.votes.filter(voted)?))).collect();
    let kept: Vec<Pair> = several.iter().map(|(pair, _)| (*pair).clone()).collect();
    let outcomes = outcomes(&kept, Split::Test, &|item| head.scores[item].raw);
    // The chosen answer is what most labelers chose, which would make chance agreement look larger than it is: sides are
    // taken as the items stand in the dataset.
    let turn = |pair: &Pair| pair.chosen > pair.rejected;
    let ballot = |((pair, votes), outcome): (&(&Pair, Votes), &Outcome)| {
        let Votes { chosen: first, rejected: second, tied } = *votes;
        let ballot = Ballot { first, second, tied, cluster: outcome.cluster };
        if turn(pair) { ballot.turned() } else { ballot }
    };
    let ballots: Vec<Ballot> = several.iter().zip(&outcomes).map(ballot).collect();
    let margin = |((pair, _), outcome): (&(&Pair, Votes), &Outcome)| {
        if turn(pair) { -outcome.margin } else { outcome.margin }
    };
    let margins: Vec<f64> = several.iter().zip(&outcomes).map(margin).collect();
    (!ballots.is_empty()).then(|| LabelerAgreement {
        objective: pairs.name.clone(),
        pairs: ballots.len(),
        krippendorff_alpha: krippendorff_alpha(&ballots),
        fleiss_kappa: fleiss_kappa(&ballots),
        between_labelers: labeler_agreement(&ballots),
        head: agreement_with_labelers(&margins, &ballots),
        lead: lead(&margins, &ballots),
    })
}

/// By how much more often the head says what a labeler says than another labeler does, pair by pair.
fn lead(margins: &[f64], ballots: &[Ballot]) -> Statistic {
    let one = |(margin, ballot): (&f64, &Ballot)| {
        let head = agreement_with_labelers(&[*margin], &[*ballot]).value()?;
        Some((head - labeler_agreement(&[*ballot]).value()?, ballot.cluster))
    };
    let rows: Vec<(f64, usize)> = margins.iter().zip(ballots).filter_map(one).collect();
    statistic(clustered_mean(&rows, (-1.0, 1.0)))
}
