//! How answers that stand in one row become labelled pairs: who won, by what margin, with what weight.

use serde_json::Value;

use super::fields::shown;
use crate::data::audit::{EMPTY, IDENTICAL, PROMPTS_DIFFER};
use crate::data::pairs::{Labelled, Outcome, Side};
use crate::data::row::{Row, kind};
use crate::data::{Item, Votes};
use crate::error::{Fault, Result};

/// A row may have at most this many answers: their pairs grow with the square.
const MAX_ANSWERS: usize = 256;
/// Margins and weights beyond this (and weights below its inverse) drown all other pairs or the penalty: a mistake.
const MOST: f64 = 1e9;

/// How the comparison of two answers ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Verdict {
    /// Share of labelers for the first answer, in 0..=1.
    share: f64,
    /// How many labelers that share is of, the first answer taken as the chosen one; `None` where nobody counted.
    votes: Option<Votes>,
    /// By how much the label says that the winner is better; a row's `margin` takes its place.
    margin: f64,
}

impl Verdict {
    pub(in crate::data) const FIRST: Self = Self { share: 1.0, votes: None, margin: 0.0 };
    pub(in crate::data) const SECOND: Self = Self { share: 0.0, votes: None, margin: 0.0 };
    pub(in crate::data) const TIE: Self = Self { share: 0.5, votes: None, margin: 0.0 };

    /// A share of labelers, with how many they are if that is known, prefers the first answer.
    pub(in crate::data) fn voted(share: f64, votes: Option<Votes>) -> Self {
        Self { share, votes, margin: 0.0 }
    }

    /// The sign says who won (above 0 the first answer), the size by how much; 0 is a tie.
    pub(in crate::data) fn strength(strength: f64) -> Self {
        match strength {
            0.0 => Self::TIE,
            _ => Self { share: f64::from(u8::from(strength > 0.0)), margin: strength.abs(), ..Self::TIE },
        }
    }
}

/// What two answers of one row come to.
pub(super) enum Decision {
    Label(Verdict),
    /// Nothing was said of the two.
    Unlabelled,
    /// Something was said, and cannot be used for this reason.
    Drop(&'static str),
}

/// What a row says of its pairs beside the winner.
#[derive(Clone, Copy)]
struct Terms {
    margin: Option<f64>,
    weight: f64,
}

impl Terms {
    fn of(row: &Row) -> Result<Self, Fault> {
        let margin = optional(row, "margin", "a number from 0 to 1e9", |margin| (0.0..=MOST).contains(&margin))?;
        let fits = |weight: f64| (1.0 / MOST..=MOST).contains(&weight);
        let weight = optional(row, "weight", "a number above 0, from 1e-9 to 1e9", fits)?;
        Ok(Self { margin, weight: weight.unwrap_or(1.0) })
    }

    /// The pair of two answers, or the reason why there is none.
    fn label(self, [first, second]: [&Option<Side>; 2], verdict: Verdict) -> Result<Labelled, &'static str> {
        let (Some(first), Some(second)) = (first, second) else { return Err(EMPTY) };
        if first.prompt != second.prompt {
            return Err(PROMPTS_DIFFER);
        }
        if first.response.trim() == second.response.trim() {
            return Err(IDENTICAL);
        }
        let item = |side: &Side| Item { prompt: side.prompt.clone(), response: side.response.clone() };
        let decided = (verdict.share - 0.5).abs() > f64::EPSILON;
        let turn = verdict.share < 0.5;
        let (chosen, rejected) = if turn { (second, first) } else { (first, second) };
        Ok(Labelled {
            chosen: item(chosen),
            rejected: item(rejected),
            preference: if decided { verdict.share.max(1.0 - verdict.share) } else { 0.5 },
            votes: if turn { verdict.votes.map(Votes::turned) } else { verdict.votes },
            margin: if decided { self.margin.unwrap_or(verdict.margin) } else { 0.0 },
            weight: self.weight,
            joined: first.joined || second.joined,
        })
    }
}

/// A number of a row that may be left out, as a number or as its text.
fn optional(row: &Row, field: &str, accepted: &str, fits: fn(f64) -> bool) -> Result<Option<f64>, Fault> {
    let Some(value) = row.value(field).filter(|value| value.as_str().is_none_or(|text| !text.trim().is_empty())) else {
        return Ok(None);
    };
    let fault = |found: String| row.fault(field, found).accepts(accepted);
    let number = row.amount(field, value).map_err(|_| fault(kind(value).to_owned()))?;
    if fits(number) { Ok(Some(number)) } else { Err(fault(shown(value))) }
}

/// The pair of a row that compares two answers; a side that is `None` is an empty response.
///
/// # Errors
/// A fault when the row's `margin` or `weight` cannot be used.
#[expect(clippy::needless_pass_by_value, reason = "callers make the sides for this call")]
pub(in crate::data) fn compare(row: &Row, sides: [Option<Side>; 2], verdict: Verdict) -> Result<Outcome, Fault> {
    let [first, second] = &sides;
    Ok(match Terms::of(row)?.label([first, second], verdict) {
        Ok(pair) => Outcome { pairs: vec![pair], dropped: Vec::new() },
        Err(reason) => Outcome::dropped(reason),
    })
}

/// An answer of a row and what the row says of it.
pub(super) type Placed<L> = (Option<Side>, L);

/// All pairs of a row with several answers; `field` is where they stand.
///
/// # Errors
/// A fault when there is only one answer, or far too many, or `margin` or `weight` cannot be used.
pub(super) fn among<L>(
    row: &Row,
    field: &str,
    answers: &[Placed<L>],
    decide: impl Fn(&L, &L) -> Decision,
) -> Result<Outcome, Fault> {
    if answers.len() < 2 || answers.len() > MAX_ANSWERS {
        let found = format!("{} answer{}", answers.len(), if answers.len() == 1 { "" } else { "s" });
        return Err(row.fault(field, found).accepts(format!("2 to {MAX_ANSWERS} answers")));
    }
    let terms = Terms::of(row)?;
    let mut outcome = Outcome::default();
    for (index, (first, left)) in answers.iter().enumerate() {
        for (second, right) in answers.iter().skip(index + 1) {
            match decide(left, right) {
                Decision::Unlabelled => {}
                Decision::Drop(reason) => outcome.dropped.push(reason),
                Decision::Label(verdict) => match terms.label([first, second], verdict) {
                    Ok(pair) => outcome.pairs.push(pair),
                    Err(reason) => outcome.dropped.push(reason),
                },
            }
        }
    }
    Ok(outcome)
}

/// As [`among`], for answers that were ranked: each pair of N answers has the weight 1/(N − 1), so that every answer
/// counts once however many it was ranked with.
///
/// # Errors
/// As [`among`].
pub(super) fn ranked<L>(
    row: &Row,
    field: &str,
    answers: &[Placed<L>],
    decide: impl Fn(&L, &L) -> Decision,
) -> Result<Outcome, Fault> {
    let mut outcome = among(row, field, answers, decide)?;
    for pair in &mut outcome.pairs {
        pair.weight /= (answers.len() - 1) as f64;
    }
    Ok(outcome)
}

/// A value that should be a whole number in a range, for labels.
pub(super) fn whole(row: &Row, field: &str, value: &Value, range: [i64; 2]) -> Result<i64, Fault> {
    let number = row.amount(field, value)?;
    let [least, most] = range;
    let fits = number.fract().abs() < f64::EPSILON && number >= least as f64 && number <= most as f64;
    let accepted = || row.fault(field, shown(value)).accepts(format!("a whole number, {least} to {most}"));
    if fits { Ok(number as i64) } else { Err(accepted()) }
}
