//! What changed between two registries that score the same texts.

use serde::{Deserialize, Serialize};

use super::examples::Example;
use super::scores::Distribution;
use crate::evaluate::Statistic;

/// What the combined score is called among objectives.
pub const COMBINED: &str = "(combined)";

/// A registry against an older one, on the same test pairs and responses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftSummary {
    /// The older registry's folder.
    pub old: String,
    /// Its backbone's fingerprint.
    pub old_fingerprint: String,
    /// Objectives whose data are others than those its heads were trained and judged on.
    pub data_changed: Vec<String>,
    /// Objectives that both have, in the order of the new one; the combined score last.
    pub objectives: Vec<ObjectiveDrift>,
    /// Test pairs that old and new order differently, those that moved most of each score.
    pub turned: Vec<Example>,
    /// Objectives of the new registry that the old one lacks.
    pub added: Vec<String>,
    /// Objectives of the old registry that the new one lacks.
    pub removed: Vec<String>,
}

/// How one objective's scores changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveDrift {
    /// Its name; `(combined)` for the combined score.
    pub name: String,
    /// Accuracy of the old head on its test pairs; for the combined score on the holistic pairs.
    pub old_accuracy: Statistic,
    /// Accuracy of the new one.
    pub new_accuracy: Statistic,
    /// New minus old, paired.
    pub change: Statistic,
    /// New log-loss minus old, paired, in nats; below 0 is better. Undefined for the combined score.
    pub log_loss_change: Option<Statistic>,
    /// Expected calibration error, old and new.
    pub calibration_error: (Option<f64>, Option<f64>),
    /// Share of all test pairs on which old and new prefer different answers.
    pub turned: Statistic,
    /// Spearman's correlation of old and new scores.
    pub correlation: Statistic,
    /// Kolmogorov and Smirnov's largest distance between the distributions of old and new scores.
    pub kolmogorov_smirnov: Option<f64>,
    /// Wasserstein's distance between them, in units of the score.
    pub wasserstein: Option<f64>,
    /// The old scores of the test responses.
    pub old_scores: Distribution,
    /// The new ones, in the same bins.
    pub new_scores: Distribution,
}
