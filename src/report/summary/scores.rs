//! How scores are spread, alone, two by two, and between the answers to one prompt; always counted, never listed.

use serde::{Deserialize, Serialize};

use crate::evaluate::Statistic;

/// A histogram of equal bins with the mean and the spread of all its values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Lower end of the first bin.
    pub low: f64,
    /// Upper end of the last bin; values beyond an end are counted in the bin there.
    pub high: f64,
    /// How many values each bin holds.
    pub counts: Vec<usize>,
    /// Their mean; `None` without values.
    pub mean: Option<f64>,
    /// Their standard deviation; `None` of fewer than two.
    pub deviation: Option<f64>,
}

/// The scores of one objective, split by split; all histograms of a kind share their bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreSummary {
    /// `train`, `calibration`, `test`.
    pub split: String,
    /// In log-odds, calibrated.
    pub raw: Distribution,
    /// On the normalized scale.
    pub normalized: Distribution,
}

/// How many responses lie where in the plane of two numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// What the level axis shows.
    pub across: String,
    /// What the upright axis shows.
    pub upright: String,
    /// Both ends of the level axis; values beyond are counted at that end.
    pub x: (f64, f64),
    /// Both ends of the upright axis.
    pub y: (f64, f64),
    /// Counts, `counts[row][column]`, the lowest row first.
    pub counts: Vec<Vec<u32>>,
}

/// What the answers to one prompt offer to choose from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParetoSummary {
    /// Prompts with at least two answers.
    pub prompts: usize,
    /// Their answers.
    pub answers: usize,
    /// Share of answers that no other answer to the prompt beats on every objective.
    pub on_front: Option<Statistic>,
    /// Share of prompts with one answer that is best on every objective: there is nothing to weigh.
    pub undisputed: Option<Statistic>,
    /// Share of prompts whose answer with the highest combined score is on the front.
    pub choice_on_front: Option<Statistic>,
    /// The prompts with the most answers on their front, in the plane of the two objectives in most conflict.
    pub examples: Vec<ParetoExample>,
}

/// The answers to one prompt in the plane of two objectives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParetoExample {
    /// The prompt's end, shortened.
    pub prompt: String,
    /// What the level axis shows.
    pub across: String,
    /// What the upright axis shows.
    pub upright: String,
    /// The answers, the chosen one first, then those on the front; at most [`ParetoExample::MOST`].
    pub answers: Vec<ParetoAnswer>,
    /// How many there are.
    pub all: usize,
    /// How many are on the front.
    pub on_front: usize,
}

impl ParetoExample {
    /// Answers that one picture shows at most.
    pub const MOST: usize = 60;
}

/// One answer among others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ParetoAnswer {
    /// Normalized score on the level axis.
    pub x: f64,
    /// Normalized score on the upright axis.
    pub y: f64,
    /// Whether no other answer is at least as good on every objective of the run and better on one.
    pub on_front: bool,
    /// Whether it has the highest combined score.
    pub chosen: bool,
}
