//! axolotl's preference rows of one turn: `system`, `input`, `chosen`, `rejected`.
//!
//! Field names: axolotl's documentation of RLHF formats.

use super::compare::{Verdict, compare};
use super::fields::{answers, question};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`input`, `chosen` and `rejected`, with or without `system`";

pub(super) const KNOWN: Known = Known {
    format: Format::Axolotl,
    signatures: &[&["input", "chosen", "rejected"]],
    fits: |row| ["prompt", "instruction", "question"].iter().all(|field| row.value(field).is_none()),
    optional: &["system"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    row.required("input", LAYOUT)?;
    let prompt = question(row, LAYOUT)?;
    compare(row, answers(row, ["chosen", "rejected"], LAYOUT, &prompt)?, Verdict::FIRST)
}
