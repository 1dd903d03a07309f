//! What the normalizers rest on, as the report tells it.

use serde::{Deserialize, Serialize};

/// The responses whose scores fix the scale of the normalized ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReferenceSummary {
    /// `calibration split`, or the file.
    pub source: String,
    /// How many there are.
    pub responses: usize,
    /// How far the farthest score lies from the median, in units of 1.4826 · median absolute deviation; `None` where
    /// more than half of the scores are equal.
    pub farthest: Option<f64>,
    /// The domains that have any of them, by name.
    pub domains: Vec<DomainSummary>,
}

/// A domain's share of the reference responses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DomainSummary {
    /// Its name.
    pub name: String,
    /// How many there are.
    pub responses: usize,
    /// Whether it has a normalizer of its own; the overall one serves otherwise.
    pub own: bool,
}
