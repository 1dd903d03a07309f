//! Rules that make one number of the objectives' normalized scores: their numbers, and what they ask of weights.
//!
//! How each rule computes stands in the room `combine`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::quote;

/// Weights, floors and the like lie between minus this and this, so that sums of many scores stay finite.
pub const LARGEST: f64 = 1e6;

/// How the objectives' normalized scores become one number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CombineConfig {
    /// The rule.
    pub rule: Rule,
    /// How many standard errors are taken off each score before the rule sees it, 0 or more.
    pub uncertainty_penalty: f64,
}

/// A rule with its numbers. zₖ is a normalized score, wₖ its weight, vₖ = wₖ / Σ w its share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// Σ wₖ zₖ.
    #[default]
    WeightedSum,
    /// The lowest score of the objectives with a positive weight.
    WorstCase,
    /// −τ log Σ vₖ exp(−zₖ / τ): between the worst case (τ → 0) and the weighted mean (τ → ∞).
    SoftMin {
        /// How soft, in units of normalized scores; above 0.
        tau: f64,
    },
    /// Σ wₖ log σ(zₖ − refₖ): beyond the reference there is little left to gain (Wang et al. 2024, arXiv 2402.00742).
    LogSigmoid {
        /// Which quantile of the reference responses' scores refₖ is, 0 to 1.
        reference_quantile: f64,
    },
    /// Π zₖ^vₖ of scores from 0 to 1.
    Geometric,
    /// Σ wₖ zₖ over the objectives without a floor − λ Σ max(0, floorⱼ − zⱼ) over those with one: the Lagrangian form
    /// of Safe RLHF (Dai et al. 2023, arXiv 2310.12773).
    Constrained {
        /// The normalized score below which an objective costs.
        floors: BTreeMap<String, f64>,
        /// What one unit below a floor costs, 0 or more.
        lambda: f64,
    },
    /// Σ wₖ zₖ, but at most `low_score` where an objective is below its floor.
    Gate {
        /// The normalized score below which an objective closes the gate.
        floors: BTreeMap<String, f64>,
        /// The most that an answer below a floor gets.
        low_score: f64,
    },
}

impl Rule {
    /// Its name in YAML and in messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::WeightedSum => "weighted_sum",
            Self::WorstCase => "worst_case",
            Self::SoftMin { .. } => "soft_min",
            Self::LogSigmoid { .. } => "log_sigmoid",
            Self::Geometric => "geometric",
            Self::Constrained { .. } => "constrained",
            Self::Gate { .. } => "gate",
        }
    }

    /// Whether a weight below 0 has a meaning: only in a plain sum. "The lowest of" and its kin know no less than none.
    pub fn takes_negative(&self) -> bool {
        matches!(self, Self::WeightedSum | Self::Constrained { .. } | Self::Gate { .. })
    }

    /// Whether the weight of this objective has a meaning: what is only held above a floor is not summed.
    pub fn weighs(&self, objective: &str) -> bool {
        match self {
            Self::Constrained { floors, .. } => !floors.contains_key(objective),
            _ => true,
        }
    }

    /// The floors, if the rule has them.
    pub fn floors(&self) -> Option<&BTreeMap<String, f64>> {
        match self {
            Self::Constrained { floors, .. } | Self::Gate { floors, .. } => Some(floors),
            _ => None,
        }
    }

    /// What is wrong with all weights together, and what would be accepted; `None` when there is something to sum.
    pub fn nothing_to_weigh<'a>(
        &self,
        mut weights: impl Iterator<Item = (&'a str, f64)>,
    ) -> Option<(&'static str, &'static str)> {
        match self {
            Self::WeightedSum | Self::Gate { .. } => (!weights.any(|(_, weight)| weight != 0.0))
                .then_some(("every objective has weight 0", "at least one weight that is not 0")),
            Self::Constrained { .. } => (!weights.any(|(name, weight)| weight > 0.0 && self.weighs(name))).then_some((
                "no objective without a floor has a weight above 0",
                "at least one objective that has no floor and a weight above 0",
            )),
            _ => (!weights.any(|(_, weight)| weight > 0.0))
                .then_some(("no objective has a weight above 0", "at least one weight above 0")),
        }
    }

    /// What is wrong with the rule's own numbers, for a rule that was not read from YAML.
    pub fn unusable(&self, objectives: &[&str]) -> Vec<String> {
        let within = |number: f64, least: f64, most: f64| number >= least && number <= most;
        let mut found = Vec::new();
        let mut number = |key: &str, value: f64, least: f64, most: f64| {
            if !within(value, least, most) {
                found.push(format!("{key} of the rule {} is {value}", self.word()));
            }
        };
        match self {
            Self::SoftMin { tau } => number("tau", *tau, f64::from_bits(1), LARGEST),
            Self::LogSigmoid { reference_quantile } => number("reference_quantile", *reference_quantile, 0.0, 1.0),
            Self::Constrained { lambda, .. } => number("lambda", *lambda, 0.0, LARGEST),
            Self::Gate { low_score, .. } => number("low_score", *low_score, -LARGEST, LARGEST),
            Self::WeightedSum | Self::WorstCase | Self::Geometric => {}
        }
        if let Some(floors) = self.floors() {
            if floors.is_empty() {
                found.push(format!("the rule {} has no floor", self.word()));
            }
            for (name, floor) in floors {
                if !within(*floor, -LARGEST, LARGEST) {
                    found.push(format!("the floor of {} is {floor}", quote(name)));
                }
                if !objectives.contains(&name.as_str()) {
                    found.push(format!("the floor of {} belongs to no objective", quote(name)));
                }
            }
        }
        found
    }
}
