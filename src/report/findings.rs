//! What a run shows, in sentences: typed conclusions, each with its interval, with what follows from it, and with the
//! section of the page that has the numbers.
//!
//! Adding a finding = one variant, its two texts, one place in [`findings`]. Warnings, which limit what numbers can be
//! used for, are [`super::warnings`]' business.

mod drawn;
mod texts;

use serde::Serialize;

pub use drawn::findings;

use super::summary::Standing;
use crate::evaluate::Estimate;

/// A conclusion from the numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// How a head stands against the baseline that is hardest to beat.
    Baselines {
        /// Which objective.
        objective: String,
        /// How it stands.
        #[serde(skip)]
        standing: Standing,
        /// That baseline, to complete "better than …".
        baseline: Option<String>,
        /// The head's lead over it; `None` without test pairs.
        lead: Option<Estimate>,
        /// Whether its labels were all made by a rule.
        style_rule: bool,
        /// The head's verdict.
        verdict: String,
    },
    /// What a doubling of the words does to a score, and what is left when length cannot help.
    LengthBias {
        /// Which objective.
        objective: String,
        /// Normalized score per doubling of the words.
        slope: Estimate,
        /// Rank correlation of score and words.
        correlation: Option<Estimate>,
        /// Accuracy on pairs of nearly equal length.
        matched: Option<Estimate>,
    },
    /// The score's slope on length is not defined.
    LengthUnknown {
        /// Which objective.
        objective: String,
        /// Why.
        why: String,
    },
    /// The two heads that most often prefer different answers.
    MostConflicting {
        /// One objective.
        left: String,
        /// The other.
        right: String,
        /// Share of pairs in conflict.
        rate: Estimate,
        /// Rank correlation of the scores.
        correlation: Option<Estimate>,
    },
    /// Labelers among themselves, and a head among them.
    LabelerCeiling {
        /// Which objective.
        objective: String,
        /// How often two labelers say the same.
        between: Estimate,
        /// How often the head says what a labeler says.
        head: Estimate,
        /// The second less the first, paired.
        lead: Estimate,
    },
    /// Which head's probabilities are off most.
    Calibration {
        /// Which objective.
        objective: String,
        /// Expected calibration error.
        ece: f64,
    },
    /// How often the answers to one prompt leave something to weigh.
    Choices {
        /// Share of prompts with one answer that is best on every objective.
        undisputed: Estimate,
    },
    /// The objective without which most preferences turn.
    DecisiveWeight {
        /// Which objective.
        objective: String,
        /// Share of pairs that turn without it.
        without: Estimate,
    },
    /// Objectives without which the combined score is not shown to be worse, all things considered.
    NotShownToHelp {
        /// Each with accuracy with it minus accuracy without it.
        objectives: Vec<(String, Estimate)>,
    },
    /// Better weights on the holistic pairs at hand.
    OtherWeights {
        /// The weights by objective.
        weights: Vec<(String, f64)>,
        /// Their accuracy less that of the weights in use.
        lead: Estimate,
    },
    /// A probe decides much of a head's accuracy.
    FollowsProbe {
        /// Which objective.
        objective: String,
        /// The probe.
        probe: String,
        /// How often the probe alone says what the labelers say, where the answers differ in it.
        alone: f64,
        /// Accuracy on pairs whose answers differ in it.
        differing: Estimate,
        /// Accuracy on the others.
        equal: Estimate,
    },
    /// What changed against an older registry.
    Changed {
        /// Which objective.
        objective: String,
        /// New accuracy minus old.
        change: Estimate,
        /// Share of pairs that turned.
        turned: Option<Estimate>,
    },
}

impl Finding {
    /// The conclusion in one sentence, without a full stop.
    pub fn headline(&self) -> String {
        texts::headline(self)
    }

    /// What follows from it.
    pub fn remedy(&self) -> String {
        texts::remedy(self)
    }

    /// The section of the page that has the numbers.
    pub fn section(&self) -> &'static str {
        match self {
            Self::Baselines { .. } => "heads",
            Self::LengthBias { .. } | Self::LengthUnknown { .. } => "length",
            Self::FollowsProbe { .. } => "probes",
            Self::MostConflicting { .. } => "agreement",
            Self::LabelerCeiling { .. } => "labelers",
            Self::Calibration { .. } => "calibration",
            Self::Choices { .. } => "choices",
            Self::DecisiveWeight { .. } | Self::NotShownToHelp { .. } | Self::OtherWeights { .. } => "combined",
            Self::Changed { .. } => "drift",
        }
    }
}
