//! RM-Bench: `prompt`, `chosen` and `rejected` in three styles each, `domain` (README of THU-KEG/RM-Bench).

use super::{Items, keep, prompt, text, texts};
use crate::data::row::Row;
use crate::error::Fault;

const LAYOUT: &str = "`prompt` (text or messages) with `chosen` and `rejected` (three texts each: concise, detailed, \
                      detailed with markdown) and `domain`";

/// A right and a wrong answer in three styles: concise, detailed, detailed with markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RmBenchRow {
    /// `chat`, `math`, `code`, `safety-refuse` or `safety-response`.
    pub domain: String,
    /// The prompt's number.
    pub prompt: usize,
    /// The items of the right answer.
    pub chosen: [usize; 3],
    /// The items of the wrong answer.
    pub rejected: [usize; 3],
}

/// Reads one row.
pub(super) fn parse(row: &Row, items: &mut Items) -> Result<RmBenchRow, Fault> {
    let prompt = prompt(row, "prompt", LAYOUT)?;
    let (chosen, rejected) = (styles(row, "chosen")?, styles(row, "rejected")?);
    let domain = text(row, "domain", LAYOUT)?.to_owned();
    let (number, chosen) = keep(items, &prompt, chosen);
    let (_, rejected) = keep(items, &prompt, rejected);
    Ok(RmBenchRow { domain, prompt: number, chosen, rejected })
}

fn styles<'a>(row: &Row<'a>, field: &str) -> Result<[&'a str; 3], Fault> {
    let found = texts(row, field, LAYOUT)?;
    let count = found.len();
    found.try_into().map_err(|_| {
        row.fault(field, format!("a list of {count}")).accepts("three texts: concise, detailed, detailed with markdown")
    })
}
