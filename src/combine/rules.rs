//! What each rule computes. Every sum is taken in an order that depends on its values alone.

use super::Term;
use crate::logistic;

/// Scores beyond this are taken as this, so that no sum of finite scores overflows.
pub(super) const LARGEST_SCORE: f64 = 1e290;

/// A share below this is taken as this: no logarithm of 0, and no win rate that small is known anyway.
const SMALLEST_SHARE: f64 = 1e-12;

/// One objective of one item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its weight.
    pub weight: f64,
    /// Its score, made worse by the uncertainty penalty.
    pub score: f64,
    /// Its score less the uncertainty penalty: what floors are compared with.
    pub lower: f64,
}

impl Part {
    /// The part of a term that loses `penalty` standard errors.
    pub(super) fn new(weight: f64, term: Term, penalty: f64) -> Self {
        let pessimism = penalty * term.error;
        // Adding 0 makes +0 of -0, which would tell orders apart.
        let bounded = |score: f64| score.clamp(-LARGEST_SCORE, LARGEST_SCORE) + 0.0;
        let lower = bounded(term.score - pessimism);
        Self { weight, score: if weight < 0.0 { bounded(term.score + pessimism) } else { lower }, lower }
    }

    fn weighted(&self) -> f64 {
        self.weight * self.score
    }
}

/// Σ of values that are sorted first, so that the objectives may be listed in any order.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.into_iter().sum()
}

/// Σ wₖ zₖ.
pub(super) fn weighted_sum(parts: impl Iterator<Item = Part>) -> f64 {
    sum(parts.map(|part| part.weighted()))
}

/// The lowest score of the parts with a positive weight, of which there must be one.
pub(super) fn worst_case(parts: impl Iterator<Item = Part>) -> f64 {
    parts.filter(|part| part.weight > 0.0).map(|part| part.score).fold(f64::INFINITY, f64::min)
}

/// −τ log Σ vₖ exp(−zₖ / τ), taken from the lowest score upwards, so that no exponential overflows. Rounding leads
/// neither below the lowest score nor above the weighted mean.
pub(super) fn soft_min(parts: impl Iterator<Item = Part>, tau: f64) -> f64 {
    let parts: Vec<Part> = parts.filter(|part| part.weight > 0.0).collect();
    let lowest = worst_case(parts.iter().copied());
    let total = sum(parts.iter().map(|part| part.weight));
    let above = |part: &Part| part.score - lowest;
    let mean = sum(parts.iter().map(|part| part.weight / total * above(part)));
    let softened = sum(parts.iter().map(|part| part.weight / total * libm::exp(-above(part) / tau)));
    lowest + (-tau * libm::log(softened)).min(mean).max(0.0)
}

/// Σ wₖ log σ(zₖ − refₖ); each part comes with its reference.
pub(super) fn log_sigmoid(parts: impl Iterator<Item = (Part, f64)>) -> f64 {
    sum(parts.map(|(part, reference)| part.weight * logistic::log_sigmoid(part.score - reference)))
}

/// exp Σ vₖ log zₖ of scores from 0 to 1.
pub(super) fn geometric(parts: impl Iterator<Item = Part>) -> f64 {
    let parts: Vec<Part> = parts.filter(|part| part.weight > 0.0).collect();
    let total = sum(parts.iter().map(|part| part.weight));
    libm::exp(sum(parts.iter().map(|part| part.weight / total * libm::log(part.score.max(SMALLEST_SHARE)))))
}

/// Σ wₖ zₖ − λ Σ what is missing to a floor.
pub(super) fn constrained(primary: impl Iterator<Item = Part>, below: &[f64], lambda: f64) -> f64 {
    let costs = below.iter().map(|missing| -lambda * missing);
    sum(primary.map(|part| part.weighted()).chain(costs))
}

/// Σ wₖ zₖ; not more than `low_score` where something is missing to a floor. The lower of the two, because an answer
/// must not gain by falling through the gate.
pub(super) fn gate(parts: impl Iterator<Item = Part>, below: &[f64], low_score: f64) -> f64 {
    let open = below.iter().all(|missing| *missing <= 0.0);
    let total = weighted_sum(parts);
    if open { total } else { total.min(low_score) }
}
