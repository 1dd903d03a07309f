//! Labelling rules: what a rule measures of an answer, and which of two answers it prefers.
//!
//! Every criterion becomes one number, its merit, of which the higher is better; so all rules share one comparison.
//! Knows texts and numbers; nothing of rows, prompts or scores.

mod bleu;
mod rouge;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use serde::de::IgnoredAny;

use crate::config::{Criterion, RuleConfig};

/// What computed merits may be off by: BLEU and ROUGE-L of equal quality may differ in their last bits.
const ROUNDING: f64 = 1e-9;

/// How well an answer does by a criterion; the higher is better, and always finite. `reference` is the text that
/// answers are compared with, empty for a criterion without one.
pub(super) fn merit(criterion: &Criterion, response: &str, reference: &str) -> f64 {
    let words = || response.split_whitespace().count() as f64;
    let characters = || response.trim().chars().count() as f64;
    match criterion {
        Criterion::FewerWords => -words(),
        Criterion::MoreWords => words(),
        Criterion::FewerCharacters => -characters(),
        Criterion::MoreCharacters => characters(),
        Criterion::Length { target_words } => -(words() - *target_words as f64).abs(),
        Criterion::Matches(pattern) => f64::from(pattern.is_match(response)),
        Criterion::Avoids(pattern) => f64::from(!pattern.is_match(response)),
        Criterion::ValidJson => f64::from(is_json(response)),
        Criterion::Bleu { .. } => bleu::sentence_bleu(response, reference),
        Criterion::RougeL { .. } => rouge::rouge_l(response, reference),
    }
}

/// Which of two merits wins: `Greater` for the left one, `Less` for the right one, never `Equal`.
///
/// # Errors
/// Why the two make no pair.
pub(super) fn prefer(rule: &RuleConfig, left: f64, right: f64) -> Result<Ordering, &'static str> {
    let difference = left - right;
    if difference.abs() <= ROUNDING {
        return Err(tie(&rule.criterion));
    }
    if difference.abs() + ROUNDING < rule.min_gap {
        return Err("closer than the rule's min_gap");
    }
    Ok(if difference > 0.0 { Ordering::Greater } else { Ordering::Less })
}

/// Why two answers of equal merit make no pair.
fn tie(criterion: &Criterion) -> &'static str {
    match criterion {
        Criterion::FewerWords | Criterion::MoreWords => "equal numbers of words",
        Criterion::FewerCharacters | Criterion::MoreCharacters => "equal numbers of characters",
        Criterion::Length { .. } => "equally near target_words",
        Criterion::Matches(_) | Criterion::Avoids(_) => "the pattern is in both or in neither",
        Criterion::ValidJson => "both or neither are valid JSON",
        Criterion::Bleu { .. } => "equal BLEU",
        Criterion::RougeL { .. } => "equal ROUGE-L",
    }
}

/// Whether the answer is one JSON value (RFC 8259), bare or as all there is in one Markdown fence, ```` ``` ```` or
/// ```` ```json ````. Words around the value or the fence make it invalid: a program could not read the answer.
fn is_json(response: &str) -> bool {
    let text = response.trim_matches([' ', '\t', '\n', '\r']);
    serde_json::from_str::<IgnoredAny>(fenced(text).unwrap_or(text)).is_ok()
}

/// What stands in the fence that encloses the whole text.
fn fenced(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("```")?.strip_suffix("```")?;
    let (language, inside) = inside.split_once('\n')?;
    let language = language.trim();
    (language.is_empty() || language.eq_ignore_ascii_case("json")).then_some(inside)
}
