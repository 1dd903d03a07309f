//! What the YAML says of a head: how it is trained, what it is kept from, or which label of the checkpoint it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TEXT_PATTERN;
use crate::config::{Loss, MlpConfig};

/// A head has at most this many probes to be kept from.
const MAX_CONTROLS: usize = 16;

/// A head to train, or the checkpoint's own.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum RawHeadChoice {
    /// The checkpoint's own score head, which has one label.
    Word(RawPretrained),
    /// How it is trained, or which label of the checkpoint's own score head it is.
    Settings(RawHead),
}

/// The word `pretrained`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawPretrained {
    /// The checkpoint's own score head.
    Pretrained,
}

/// How a linear head is trained.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawHead {
    /// The L2 penalty on standardized weights; `auto` chooses it from `l2_grid` by grouped cross-validation.
    #[serde(default = "default_penalty")]
    pub l2: RawPenalty,
    /// The candidates for cross-validation, ascending.
    #[serde(default = "default_grid")]
    #[schemars(length(min = 2, max = 32), extend("items" = {"type": "number", "exclusiveMinimum": 0}))]
    pub l2_grid: Vec<f64>,
    /// How many folds; a prompt never stands in two of them.
    #[serde(default = "default_folds")]
    #[schemars(range(min = 2, max = 20))]
    pub folds: usize,
    /// What the head is fitted to.
    #[serde(default)]
    pub loss: Loss,
    /// Label smoothing: the share of labels that is taken to be wrong. A pair won with certainty counts as won with
    /// 1 minus this.
    #[serde(default)]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 0.5))]
    pub label_smoothing: f64,
    /// This times the mean over pairs of (reward of the chosen + reward of the rejected answer) squared is added to the
    /// mean loss, which keeps rewards centred on 0; 0.01 is usual. As in TRL.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub center_rewards_coefficient: f64,
    /// What the score is not to follow: probes of the response's text whose effect is taken out of the head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_CONTROLS))]
    pub control: Vec<RawControl>,
    /// Train a hidden layer in place of a linear head, by AdamW: an option, since it seldom helps and is no exact optimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlp: Option<MlpConfig>,
    /// Train nothing: take this label (its name or number) of the checkpoint's own score head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub pretrained: Option<String>,
}

/// A probe of the response's text that the score is not to follow: one of `probe` and `pattern`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawControl {
    /// What is measured of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<RawProbe>,
    /// In place of `probe`: a regular expression whose matches are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub pattern: Option<String>,
    /// How the head is kept from it; `constraint` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RawControlMode>,
    /// With `mode: penalty`: how strongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000_000_u64))]
    pub strength: Option<f64>,
}

/// What is measured of a response.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawProbe {
    /// log(1 + words).
    Length,
    /// log(1 + marks): headings, list items and code fences at the beginning of lines, and bold spans.
    Markdown,
    /// 1 if a phrase of refusal stands in the first 200 characters, 0 otherwise.
    Refusal,
}

/// How a head is kept from following a probe.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawControlMode {
    /// The rank correlation of score and probe over pairs is zero.
    Constraint,
    /// The slope of the score on the probe's ranks costs half of `strength` times its square per pair.
    Penalty,
}

/// An L2 penalty: chosen or given.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum RawPenalty {
    /// Chosen by cross-validation.
    Chosen(RawAuto),
    /// Given.
    Given(#[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000_000_000_u64))] f64),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RawAuto {
    /// Chosen by cross-validation.
    Auto,
}

impl Default for RawHeadChoice {
    fn default() -> Self {
        Self::Settings(RawHead::default())
    }
}

impl Default for RawHead {
    fn default() -> Self {
        Self {
            l2: default_penalty(),
            l2_grid: default_grid(),
            folds: default_folds(),
            loss: Loss::default(),
            label_smoothing: 0.0,
            center_rewards_coefficient: 0.0,
            control: Vec::new(),
            mlp: None,
            pretrained: None,
        }
    }
}

fn default_penalty() -> RawPenalty {
    RawPenalty::Chosen(RawAuto::Auto)
}

fn default_grid() -> Vec<f64> {
    vec![1.0, 10.0, 100.0, 1e3, 1e4, 1e5]
}

fn default_folds() -> usize {
    5
}
