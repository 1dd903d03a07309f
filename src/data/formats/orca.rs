//! Orca pairs: `system`, `question`, `chosen`, `rejected`.
//!
//! Field names: the data set's card (Intel/orca_dpo_pairs).

use super::compare::{Verdict, compare};
use super::fields::{answers, question};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`question`, `chosen` and `rejected`, with or without `system`";

pub(super) const KNOWN: Known = Known {
    format: Format::Orca,
    signatures: &[&["question", "chosen", "rejected"]],
    fits: |row| ["prompt", "instruction"].iter().all(|field| row.value(field).is_none()),
    optional: &["system"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    row.required("question", LAYOUT)?;
    let prompt = question(row, LAYOUT)?;
    compare(row, answers(row, ["chosen", "rejected"], LAYOUT, &prompt)?, Verdict::FIRST)
}
