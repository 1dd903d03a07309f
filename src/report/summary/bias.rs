//! What a score follows beside quality: length and other probes of the text.

use serde::{Deserialize, Serialize};

use super::scores::Density;
use crate::evaluate::{Estimate, Line, Statistic};

/// What one objective's score follows, on its test responses and pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BiasSummary {
    /// Length in words; `None` where nothing was measured.
    pub length: Option<LengthBias>,
    /// Each probe of the text.
    pub probes: Vec<ProbeBias>,
}

/// How a score goes with an answer's number of words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LengthBias {
    /// Spearman's correlation of normalized score and number of words.
    pub correlation: Statistic,
    /// Least squares of the normalized score on log₂(1 + words): its slope is what a doubling of the words brings.
    pub line: Option<Line>,
    /// Why there is no line.
    pub no_line: Option<String>,
    /// The same as a picture: words on a log scale across, score upright.
    pub density: Density,
    /// Accuracy on pairs whose numbers of words differ by at most a tenth.
    pub matched: Statistic,
    /// Accuracy where the chosen answer has more words.
    pub chosen_longer: Statistic,
    /// Accuracy where it has fewer.
    pub chosen_shorter: Statistic,
}

/// How a head deals with one probe, such as a refusal phrase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeBias {
    /// The probe's name.
    pub name: String,
    /// Test pairs whose answers differ in it.
    pub differing: usize,
    /// Test pairs.
    pub pairs: usize,
    /// Of those that differ, the share whose chosen answer has more of it: what picking by the probe would reach.
    pub labels_prefer: Statistic,
    /// Of those that differ, the share whose higher-scored answer has more of it.
    pub head_prefers: Statistic,
    /// The head's accuracy on the pairs that differ in it.
    pub accuracy_differing: Statistic,
    /// The head's accuracy on the pairs that do not: what is left when the probe cannot help.
    pub accuracy_equal: Statistic,
}

impl BiasSummary {
    /// The rank correlation of score and length, where it is defined.
    pub fn length_correlation(&self) -> Option<Estimate> {
        self.length.as_ref()?.correlation.known()
    }
}
