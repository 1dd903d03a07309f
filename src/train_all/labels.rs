//! From an objective's pairs and ratings to what a head is fitted on.

use crate::config::{HeadConfig, HeadKind, Loss, ObjectiveConfig};
use crate::data::{Dataset, ItemRating, ObjectivePairs, Pair, Split, probes};
use crate::files::Digest;
use crate::head::{Comparison, Control, FitSettings, PairLoss, RatedRow};

/// Penalties and folds of the bag-of-words twin of a head that is not linear, and of a search for a readout then.
const BASELINE_GRID: [f64; 6] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5];
const BASELINE_FOLDS: usize = 5;

/// How a linear head is fitted, but for what it must not follow.
pub(super) fn settings(head: &HeadConfig) -> FitSettings {
    FitSettings {
        l2: head.l2,
        loss: match head.loss {
            Loss::BradleyTerry | Loss::Regression => PairLoss::BradleyTerry,
            Loss::Davidson => PairLoss::Davidson,
            Loss::PlackettLuce => PairLoss::PlackettLuce,
        },
        label_smoothing: head.label_smoothing,
        center_rewards_coefficient: head.center_rewards_coefficient,
        ..FitSettings::choosing(head.l2_grid.clone(), head.folds)
    }
}

/// Plain Bradley-Terry where the objective's own head says nothing of penalties.
pub(super) fn default_settings() -> FitSettings {
    FitSettings::choosing(BASELINE_GRID.to_vec(), BASELINE_FOLDS)
}

/// How the words are fitted: plain Bradley-Terry with a penalty of their own, because one that the user fixed for the
/// backbone's features would handicap them.
pub(super) fn baseline_settings(objective: &ObjectiveConfig) -> FitSettings {
    match &objective.head {
        HeadKind::Linear(head) => FitSettings::choosing(head.l2_grid.clone(), head.folds),
        HeadKind::Mlp(_) | HeadKind::Pretrained(_) => default_settings(),
    }
}

/// What a head must not follow. The texts of every split take part, each split by itself, because probes need no labels.
pub(super) fn controls(head: &HeadConfig, dataset: &Dataset, pairs: &ObjectivePairs) -> Vec<Control> {
    let sides = |split: Split| {
        let inside = pairs.pairs.iter().filter(|pair| pair.split == split);
        let mut sides: Vec<(usize, usize)> =
            inside.map(|pair| (pair.chosen.min(pair.rejected), pair.chosen.max(pair.rejected))).collect();
        sides.sort_unstable();
        sides
    };
    let sets: Vec<Vec<(usize, usize)>> = [Split::Train, Split::Calibration, Split::Test].map(sides).to_vec();
    head.control
        .iter()
        .map(|control| Control {
            values: dataset.items.iter().map(|item| probes::value(&control.probe, item)).collect(),
            mode: control.mode,
            pairs: sets.clone(),
        })
        .collect()
}

/// The pairs of one split as comparisons of feature rows.
pub(super) fn comparisons(pairs: &[Pair], split: Split) -> Vec<Comparison> {
    let inside = pairs.iter().filter(|pair| pair.split == split);
    inside
        .map(|pair| Comparison {
            chosen: pair.chosen,
            rejected: pair.rejected,
            preference: pair.preference,
            group: group(&pair.prompt_key),
            margin: pair.margin,
            weight: pair.weight,
        })
        .collect()
}

/// The ratings of the training split as rated feature rows.
pub(super) fn rated_rows(ratings: &[ItemRating]) -> Vec<RatedRow> {
    let inside = ratings.iter().filter(|rating| rating.split == Split::Train);
    inside.map(|rating| RatedRow { row: rating.item, score: rating.score, group: group(&rating.prompt_key) }).collect()
}

/// A prompt's number, by which folds and learning curves are drawn.
fn group(prompt: &Digest) -> u64 {
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(&prompt.0[8..16]);
    u64::from_le_bytes(bytes)
}
