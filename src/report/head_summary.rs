//! What a run says of how a head came about: its fit, what it was kept from following, and what more pairs would bring.

use serde::{Deserialize, Serialize};

use crate::evaluate::Estimate;

/// How a head was fitted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitSummary {
    /// The L2 penalty used.
    pub l2: f64,
    /// (penalty, log-loss in grouped cross-validation), ascending; empty when the penalty was given.
    pub l2_path: Vec<(f64, f64)>,
    /// Norm of the gradient where the solver stopped.
    pub gradient_norm: f64,
    /// Steps the solver took.
    pub iterations: usize,
    /// Davidson's θ, the logarithm of the tie parameter; `None` for other losses.
    pub tie_parameter: Option<f64>,
    /// Feature columns that do not vary between the training items and got no weight.
    pub constant_columns: usize,
}

/// How a head with a hidden layer was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MlpSummary {
    /// Epochs run.
    pub epochs: usize,
    /// The epoch whose head was kept, counted from 1.
    pub best_epoch: usize,
    /// Whether the held-out loss had stopped falling; otherwise training ended because no more epochs were allowed.
    pub stopped_early: bool,
}

/// What the training pairs of a head say, and how it ranks them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingPairs {
    /// Pairs on which the labelers preferred one answer.
    pub decided: usize,
    /// Pairs on which they preferred none.
    pub ties: usize,
    /// The smallest lead of the preferred answer over the other one among the decided pairs, in log-odds before
    /// calibration; above 0, every decided pair is ranked right. `None` without decided pairs.
    pub smallest_margin: Option<f64>,
}

/// A probe that a head was kept from following, and what that cost, on the test pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlSummary {
    /// What is measured of a response, such as `length`.
    pub probe: String,
    /// How strongly following it was penalised; `None` for a constraint.
    pub strength: Option<f64>,
    /// Rank correlation over pairs of the score's difference and the probe's, both directions of each pair counted.
    pub correlation: Option<f64>,
    /// The same for the head without control.
    pub uncontrolled_correlation: Option<f64>,
    /// Accuracy of the head.
    pub accuracy: Option<Estimate>,
    /// Accuracy of the head without control.
    pub uncontrolled_accuracy: Option<Estimate>,
    /// What the control cost: accuracy without it minus accuracy with it, paired.
    pub paid: Option<Estimate>,
}

/// How well a head does when it is trained on a part of the pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearningPoint {
    /// Training pairs.
    pub pairs: usize,
    /// Accuracy on the test pairs.
    pub accuracy: Option<Estimate>,
    /// Log-loss on the test pairs without calibration, in nats.
    pub log_loss: Option<f64>,
}
