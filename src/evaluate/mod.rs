//! How good the heads are, and how much they agree: pure functions over slices of `f64`.
//!
//! Accuracy, calibration and baselines stand in `metrics`, intervals clustered by prompt in `intervals`, rank
//! correlations in `agreement`. No tensors, no tables, no texts. A value that is not defined (no pairs, constant
//! scores) is `None`, never NaN. Training fills the report's summary with these; `eval` prints them.

mod agreement;
mod intervals;
mod metrics;

pub use agreement::{average_ranks, kendall, pearson, sign_agreement, spearman};
pub use intervals::{Estimate, clustered_mean, wilson};
pub use metrics::{
    ReliabilityBin, accuracy, accuracy_difference, brier, expected_calibration_error, histogram, log_loss, mean,
    quantile, reliability, standard_deviation,
};

/// What a predictor said about one held-out pair, beside what the labelers said.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Calibrated score of the chosen answer minus that of the rejected one, in log-odds: σ(margin) is the predicted
    /// probability that a labeler prefers the chosen answer.
    pub margin: f64,
    /// Share of labelers who preferred the chosen answer, 0.5 (a tie) to 1.
    pub preference: f64,
    /// The prompt's index: pairs of one prompt are not independent, so intervals are clustered by it.
    pub cluster: usize,
}
