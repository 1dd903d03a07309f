//! The combined score, and what other weights would make of it.

use serde::{Deserialize, Serialize};

use crate::combine::Combination;
use crate::evaluate::{Estimate, Statistic};

/// The combined score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CombinedSummary {
    /// The rule with its numbers.
    pub combination: Combination,
    /// (objective, weight), in the order of the configuration.
    pub weights: Vec<(String, f64)>,
    /// Accuracy on pairs labelled all things considered, if there are any.
    pub holistic: Option<Estimate>,
    /// What picking the longer answer would have on them.
    pub holistic_longer: Option<Estimate>,
    /// Combined score against each objective left out of it, on the same pairs.
    pub left_out: Vec<LeftOut>,
    /// What turns when one weight changes.
    pub turned: Vec<TurnedShares>,
    /// Accuracy over all weights.
    pub sweep: Option<SweepSummary>,
}

/// The combined score without one objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Which objective.
    pub objective: String,
    /// Accuracy on the holistic pairs without it.
    pub accuracy: Statistic,
    /// What it brings: accuracy with it minus accuracy without it, paired.
    pub brings: Statistic,
}

/// Share of test pairs whose combined preference turns when one objective's weight is multiplied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnedShares {
    /// Which objective.
    pub objective: String,
    /// Its weight now.
    pub weight: f64,
    /// With weight 0.
    pub without: Statistic,
    /// With half the weight.
    pub halved: Statistic,
    /// With twice the weight.
    pub doubled: Statistic,
}

/// What accuracy means in a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepMeasure {
    /// On the pairs labelled all things considered.
    Holistic,
    /// Of the objective that fares worst, each on its own test pairs: there are no holistic pairs.
    WorstObjective,
}

/// Accuracy of weighted sums over all weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepSummary {
    /// What was measured.
    pub measure: SweepMeasure,
    /// The accuracy of the weights in use.
    pub current: Option<f64>,
    /// The best point of the simplex against them, paired; only of holistic pairs.
    pub best: Option<BestWeights>,
    /// The weights in use, scaled to sum 1; `None` where one is negative and has no place on the simplex.
    pub shares: Option<Vec<f64>>,
    /// With three objectives: every point of the simplex in steps of 1 / `steps`.
    pub simplex: Vec<SimplexPoint>,
    /// The steps of the simplex.
    pub steps: usize,
    /// With any number: one objective's share from 0 to 1, the others in their proportion.
    pub lines: Vec<SweepLine>,
}

/// The weights that order most holistic pairs as labelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestWeights {
    /// Not negative, with sum 1.
    pub weights: Vec<f64>,
    /// Their accuracy less that of the weights in use. They were chosen on the same pairs, so it flatters them.
    pub lead: Statistic,
}

/// A point of the simplex of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimplexPoint {
    /// Weights, not negative, with sum 1.
    pub weights: Vec<f64>,
    /// The accuracy there.
    pub accuracy: f64,
}

/// Accuracy while one objective's share grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepLine {
    /// Which objective.
    pub objective: String,
    /// Its share now.
    pub share: f64,
    /// (share, accuracy), by rising share.
    pub points: Vec<(f64, f64)>,
}
