//! How much the heads agree with each other, with each other's labels, and how much labelers agree among themselves.

use serde::{Deserialize, Serialize};

use crate::evaluate::Statistic;

/// Agreement on the held-out texts that all heads have scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgreementSummary {
    /// Distinct test responses.
    pub responses: usize,
    /// Distinct test pairs of answers, whoever labelled them.
    pub pairs: usize,
    /// Every two objectives once, in the order of the run.
    pub objectives: Vec<ObjectivesAgreement>,
    /// Every head on every objective's labels: row by row, in the order of the run.
    pub cross_accuracy: Vec<CrossAccuracy>,
    /// The objectives that have pairs with several labelers.
    pub labelers: Vec<LabelerAgreement>,
}

/// How two objectives' scores of the same answers agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectivesAgreement {
    /// One objective.
    pub left: String,
    /// The other.
    pub right: String,
    /// Pearson's correlation of the normalized scores.
    pub pearson: Statistic,
    /// Spearman's rank correlation.
    pub spearman: Statistic,
    /// Kendall's τ-b.
    pub kendall: Statistic,
    /// Share of pairs on which both prefer the same answer; undecided counts one half.
    pub sign_agreement: Statistic,
    /// Cohen's κ of the preferred answers.
    pub cohen_kappa: Statistic,
    /// Share of pairs on which each prefers another answer.
    pub conflict_rate: Statistic,
}

/// One objective's head judged by the labels of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossAccuracy {
    /// Whose head.
    pub head: String,
    /// Whose test pairs.
    pub labels: String,
    /// Accuracy there.
    pub accuracy: Statistic,
}

/// What several labelers say of the same test pairs, and how the head compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelerAgreement {
    /// Which objective.
    pub objective: String,
    /// Test pairs with two or more labelers.
    pub pairs: usize,
    /// Krippendorff's α of their labels, as nominal data.
    pub krippendorff_alpha: Statistic,
    /// Fleiss' κ, on the pairs with the most frequent number of labelers.
    pub fleiss_kappa: Statistic,
    /// How often two labelers of a pair say the same: what a head would reach if it were one more of them.
    pub between_labelers: Statistic,
    /// How often the head says what a labeler says, on the same pairs.
    pub head: Statistic,
    /// The head's agreement less the labelers', paired.
    pub lead: Statistic,
}

impl AgreementSummary {
    /// The two objectives that most often prefer different answers; of equals the first.
    pub fn most_conflicting(&self) -> Option<&ObjectivesAgreement> {
        let known = self.objectives.iter().filter_map(|two| Some((two, two.conflict_rate.value()?)));
        known.reduce(|most, next| if next.1 > most.1 { next } else { most }).map(|(two, _)| two)
    }

    /// The agreement of two objectives, named in any order.
    pub fn of(&self, one: &str, other: &str) -> Option<&ObjectivesAgreement> {
        let names = |two: &ObjectivesAgreement| {
            (two.left == one && two.right == other) || (two.left == other && two.right == one)
        };
        self.objectives.iter().find(|two| names(two))
    }
}
