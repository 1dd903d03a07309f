//! Two answers that were labelled a tie: `prompt`, `response_a`, `response_b`, and nothing that says who won.
//!
//! Never detected: that rows without a label are ties is for the user to say.

use super::compare::{Verdict, compare};
use super::fields::{answers, question};
use super::{Known, Parser, by_name_only};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`prompt`, `response_a` and `response_b`";

pub(super) const KNOWN: Known = Known {
    format: Format::Ties,
    signatures: &[&["prompt", "response_a", "response_b"]],
    fits: by_name_only,
    optional: &["system"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let prompt = question(row, LAYOUT)?;
    compare(row, answers(row, ["response_a", "response_b"], LAYOUT, &prompt)?, Verdict::TIE)
}
