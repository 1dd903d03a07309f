//! What was found, in one sentence per kind of warning, without a full stop.

use super::super::words::{count, counted, fixed, interval, percent, short};
use crate::evaluate::Estimate;

pub(super) fn split_conflicts(objective: &str, prompts: usize) -> String {
    let prompts = counted(prompts, "prompt");
    format!("{objective}: {prompts} marked both for training and as held out; all are held out")
}

pub(super) fn perfect(objective: &str, pairs: usize, (repeated, responses): (usize, usize)) -> String {
    let (pairs, responses) = (counted(pairs, "test pair"), counted(responses, "test response"));
    let overlap = format!("{} of {responses} stand word for word among the training responses", count(repeated));
    format!("{objective}: suspiciously perfect; all {pairs} are ranked right. No prompt is in two splits; {overlap}")
}

pub(super) fn chance(objective: &str, accuracy: &Estimate) -> String {
    let comparison = if accuracy.high < 0.5 { "worse than chance" } else { "not better than chance" };
    let (value, range) = (percent(accuracy.value), interval(accuracy));
    format!("{objective}: {comparison}; right on {value} of test pairs (95% {range}), a coin on 50%")
}

pub(super) fn few_test_pairs(objective: &str, (pairs, prompts): (usize, usize), accuracy: Option<&Estimate>) -> String {
    let size = format!("{} of {}", counted(pairs, "test pair"), counted(prompts, "prompt"));
    let range = accuracy.map(|accuracy| format!("; 95% interval of its accuracy: {}", interval(accuracy)));
    format!("{objective}: only {size}{}", range.unwrap_or_default())
}

pub(super) fn follows_length(objective: &str, correlation: f64) -> String {
    let direction = if correlation > 0.0 { "longer" } else { "shorter" };
    let correlation = fixed(correlation, 2);
    format!("{objective}: the score mostly says that an answer is {direction} (rank correlation {correlation})")
}

pub(super) fn nearly_same(left: &str, right: &str, correlation: f64) -> String {
    let manner = if correlation > 0.0 { "alike" } else { "oppositely" };
    let correlation = fixed(correlation, 2);
    format!("{left} and {right} rank answers almost {manner} (rank correlation {correlation})")
}

pub(super) fn calibration(objective: &str, ece: f64, overconfident: bool) -> String {
    let word = if overconfident { "overconfident" } else { "underconfident" };
    let points = fixed(ece * 100.0, 1);
    format!("{objective}: {word}; predicted probabilities are off by {points} points on average")
}

pub(super) fn ties(objective: &str, (ties, pairs): (usize, usize)) -> String {
    let share = percent(ties as f64 / pairs as f64);
    format!("{objective}: {} of {} ({share}) are ties", count(ties), counted(pairs, "training pair"))
}

pub(super) fn many_dropped(objective: &str, (dropped, rows): (usize, usize), reason: &str) -> String {
    let share = percent(dropped as f64 / rows as f64);
    let (dropped, rows) = (count(dropped), counted(rows, "row"));
    format!("{objective}: {dropped} of {rows} ({share}) left out, mostly: {reason}")
}

pub(super) fn contradictions(objective: &str, contradictions: usize, pairs: usize) -> String {
    let (contradictions, pairs) = (count(contradictions), counted(pairs, "pair"));
    format!("{objective}: {contradictions} of {pairs} stand there in both directions")
}

pub(super) fn few_references(objective: &str, responses: usize, source: &str) -> String {
    let responses = counted(responses, "response");
    format!("{objective}: its normalizer rests on only {responses} ({source})")
}

pub(super) fn far_reference(objective: &str, normalizer: &str, farthest: f64) -> String {
    let far = fixed(farthest, 0);
    format!("{objective}: a reference score lies {far} robust deviations out and widens its {normalizer}")
}

pub(super) fn separated(objective: &str, pairs: usize, smallest_margin: f64) -> String {
    let (pairs, lead) = (counted(pairs, "training pair"), fixed(smallest_margin, 0));
    format!("{objective}: all {pairs} with a winner are ranked right, with log-odds of {lead} or more")
}

pub(super) fn not_converged(objective: &str, epochs: usize, best_epoch: usize) -> String {
    let (epochs, best) = (counted(epochs, "epoch"), count(best_epoch));
    format!("{objective}: not converged; training ended after {epochs}, all that were allowed (best: {best})")
}

pub(super) fn grid_edge(objective: &str, l2: f64, largest: bool) -> String {
    let edge = if largest { "largest" } else { "smallest" };
    format!("{objective}: the best penalty, {}, is the {edge} one tried", short(l2))
}
