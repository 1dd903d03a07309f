//! Pairs worth reading, with the beginnings of both answers.

use serde::{Deserialize, Serialize};

/// Pairs worth reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExamplesSummary {
    /// Test pairs on which a head is most certain of the answer the labelers rejected.
    pub mistakes: Vec<Example>,
    /// Test pairs on which two heads prefer different answers most strongly.
    pub conflicts: Vec<Example>,
    /// Training pairs whose label a head that has not seen it believes least.
    pub suspicious: Vec<Example>,
}

/// One pair with what heads say of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The objective whose label it carries; of a conflict both objectives.
    pub objective: String,
    /// Who labelled it: `human`, `ai`, `rule`.
    pub labels: String,
    /// What the two answers are called.
    pub headings: (String, String),
    /// What is remarkable, in one sentence.
    pub remark: String,
    /// The prompt, shortened at its beginning.
    pub prompt: String,
    /// The answer the labelers preferred (of a conflict, the first head), shortened at its end.
    pub chosen: Passage,
    /// The other.
    pub rejected: Passage,
}

/// An answer with its scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Its text.
    pub text: String,
    /// How many words it has as a whole.
    pub words: usize,
    /// (objective, normalized score).
    pub scores: Vec<(String, f64)>,
}
