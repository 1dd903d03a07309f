//! How good the heads are, and how much they agree: pure functions over slices of `f64`.
//!
//! Accuracy, calibration and baselines stand in `metrics`, intervals clustered by prompt in `intervals`. `agreement` has
//! the correlations and `correlation` their intervals, `signs` how often two scorers point the same way, `ballots` how
//! far several labelers agree, `regression` a line, `distribution` distances of two lists, `benchmarks` the figures of
//! published benchmarks. No tensors, no tables, no texts. A value that is not defined (no pairs, constant scores) is
//! `None`, or a [`Statistic`] that says why, never NaN.

mod agreement;
mod ballots;
pub mod benchmarks;
mod best_of_n;
mod correlation;
mod distribution;
mod intervals;
mod metrics;
mod regression;
mod signs;
mod statistic;

pub use agreement::{average_ranks, kendall, pearson, spearman};
pub use ballots::{Ballot, agreement_with_labelers, fleiss_kappa, krippendorff_alpha, labeler_agreement};
pub use best_of_n::{best_of_n, best_of_n_divergence};
pub use correlation::{Correlation, correlation};
pub use distribution::{kolmogorov_smirnov, wasserstein};
pub use intervals::{Estimate, clustered_mean, wilson};
pub use metrics::{
    ReliabilityBin, accuracy, accuracy_difference, brier, credit, expected_calibration_error, histogram, log_loss,
    log_loss_difference, mean, quantile, reliability, standard_deviation,
};
pub use regression::{Line, slope};
pub use signs::{cohen_kappa, conflict_rate, sign_agreement};
pub use statistic::{Statistic, Undefined};

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
