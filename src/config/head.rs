//! A head to train or to take: its penalty, and what it is kept from following.

use super::Pattern;

/// A head to train, or the checkpoint's own.
#[derive(Clone, Debug, PartialEq)]
pub enum HeadKind {
    /// Fitted by Bradley-Terry.
    Linear(HeadConfig),
    /// Trained with a hidden layer.
    Mlp(MlpConfig),
    /// A label of the checkpoint's own score head: its name or number, `None` for the only one.
    Pretrained(Option<String>),
}

/// How a head with a hidden layer is trained.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of the hidden layer.
    #[schemars(range(min = 1, max = 4096))]
    pub hidden: usize,
    /// Size of AdamW's steps.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub learning_rate: f64,
    /// Each step shrinks all weights by this times the learning rate.
    #[schemars(range(min = 0, max = 1_000))]
    pub weight_decay: f64,
    /// Pairs per step.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch_size: usize,
    /// Passes over the training pairs at most.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_epochs: usize,
    /// Epochs without a lower loss on the calibration split after which training stops.
    #[schemars(range(min = 1, max = 100_000))]
    pub patience: usize,
    /// Decides the first weights and the order of the pairs.
    pub seed: u64,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: 64,
            learning_rate: 1e-3,
            weight_decay: 1e-2,
            batch_size: 64,
            max_epochs: 100,
            patience: 5,
            seed: 0,
        }
    }
}

/// How a linear head is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadConfig {
    /// The L2 penalty on standardized weights; `None` means: chosen by grouped cross-validation from `l2_grid`.
    pub l2: Option<f64>,
    /// The candidates for cross-validation, ascending.
    pub l2_grid: Vec<f64>,
    /// How many folds; a prompt never stands in two of them.
    pub folds: usize,
    /// What it is fitted to.
    pub loss: Loss,
    /// Label smoothing ε, 0 ≤ ε < ½: a preference p counts as (1 − ε)·p + ε·(1 − p); 0 with [`Loss::Regression`].
    pub label_smoothing: f64,
    /// TRL's coefficient of the mean over pairs of (r(chosen) + r(rejected))² beside the mean loss, 0 or more; 0 with
    /// [`Loss::Regression`].
    pub center_rewards_coefficient: f64,
    /// What the score is not to follow, each probe once.
    pub control: Vec<ControlConfig>,
}

/// What a head is fitted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Pairs by Bradley and Terry (1952): the log-odds of a win are the difference of the scores; a tie is half a win.
    #[default]
    BradleyTerry,
    /// Pairs with ties by Davidson (1970): Bradley-Terry with a fitted share of ties.
    Davidson,
    /// Whole rankings of the answers to a prompt by Plackett (1975) and Luce (1959): the best is chosen first.
    PlackettLuce,
    /// The ratings themselves by least squares; for sources of rated answers.
    Regression,
}

/// Something a head is kept from following.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlConfig {
    /// What is measured of the response.
    pub probe: Probe,
    /// How the head is kept from it.
    pub mode: ControlMode,
}

/// A number of a response's text that a head should not simply copy; computed by `data::probes`.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// log(1 + words).
    Length,
    /// log(1 + Markdown marks).
    Markdown,
    /// Whether a phrase of refusal stands near the beginning: 1 or 0.
    Refusal,
    /// log(1 + matches).
    Pattern(Pattern),
}

impl Probe {
    /// Its name in messages and tables: `length`, `markdown`, `refusal`, or `pattern` with the expression.
    pub fn name(&self) -> String {
        match self {
            Self::Length => "length".to_owned(),
            Self::Markdown => "markdown".to_owned(),
            Self::Refusal => "refusal".to_owned(),
            Self::Pattern(pattern) => format!("pattern {}", pattern.as_str()),
        }
    }
}

/// How a head is kept from following a probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ControlMode {
    /// The rank correlation of score and probe over pairs is zero.
    Constraint,
    /// The slope of the scores' differences on the ranks of the probe's costs ½ · strength · its square per pair.
    Penalty {
        /// Above 0.
        strength: f64,
    },
}
