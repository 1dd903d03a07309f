//! The keys of `combine` in a run file. What they mean together stands in [`crate::config::check`].

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::TEXT_PATTERN;

/// Floors and the like lie between minus this and this.
const LARGEST: i64 = 1_000_000;

/// How the objectives' normalized scores become one number.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawCombine {
    /// The rule.
    #[serde(default)]
    pub rule: RawRule,
    /// How many standard errors are taken off each score before the rule sees it; 0 by default.
    #[serde(default)]
    #[schemars(range(min = 0, max = LARGEST))]
    pub uncertainty_penalty: f64,
    /// With `soft_min`: how soft, in units of normalized scores; near 0 is the worst case, far above is the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = LARGEST))]
    pub tau: Option<f64>,
    /// With `log_sigmoid`: the quantile of the reference responses' scores that each score is compared with; 0.85 by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub reference_quantile: Option<f64>,
    /// With `constrained` and `gate`: the least normalized score of the objectives that must not fall below one, as
    /// `safety: 0.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "floors")]
    pub floors: Option<BTreeMap<String, f64>>,
    /// With `constrained`: what one unit below a floor costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = LARGEST))]
    pub lambda: Option<f64>,
    /// With `gate`: the most that an answer below a floor gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -LARGEST, max = LARGEST))]
    pub low_score: Option<f64>,
}

/// Rules that make one number of normalized scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawRule {
    /// Σ weight · score.
    #[default]
    WeightedSum,
    /// The lowest score of the objectives with a positive weight.
    WorstCase,
    /// A soft lowest score: −τ log Σ share · exp(−score / τ).
    SoftMin,
    /// Σ weight · log σ(score − reference): beyond the reference there is little left to gain.
    LogSigmoid,
    /// The weighted geometric mean of scores from 0 to 1.
    Geometric,
    /// Σ weight · score without the objectives that have a floor, less λ for each unit below a floor.
    Constrained,
    /// Σ weight · score, but at most `low_score` below a floor.
    Gate,
}

impl RawRule {
    /// Every rule, in the order of the documentation.
    pub(in crate::config) const ALL: [Self; 7] = [
        Self::WeightedSum,
        Self::WorstCase,
        Self::SoftMin,
        Self::LogSigmoid,
        Self::Geometric,
        Self::Constrained,
        Self::Gate,
    ];

    /// Its name in YAML.
    pub(in crate::config) fn word(self) -> &'static str {
        match self {
            Self::WeightedSum => "weighted_sum",
            Self::WorstCase => "worst_case",
            Self::SoftMin => "soft_min",
            Self::LogSigmoid => "log_sigmoid",
            Self::Geometric => "geometric",
            Self::Constrained => "constrained",
            Self::Gate => "gate",
        }
    }
}

/// Any name is a key here; whether it is an objective's is known only when all files are read.
fn floors(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "patternProperties": { TEXT_PATTERN: { "type": "number", "minimum": -LARGEST, "maximum": LARGEST } },
        "additionalProperties": false,
    })
}
