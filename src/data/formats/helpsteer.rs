//! HelpSteer and HelpSteer2: one answer a row, its attributes in columns from 0 to 4.
//!
//! Field names: the data sets' cards (nvidia/HelpSteer, nvidia/HelpSteer2).

use super::fields::{answer, question};
use super::{Known, Parser};
use crate::config::Format;
use crate::data::rated::{Answer, Score};
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`prompt`, `response` and the columns `helpfulness`, `correctness`, `coherence`, `complexity`, \
                      `verbosity`";
const ATTRIBUTES: [&str; 5] = ["helpfulness", "correctness", "coherence", "complexity", "verbosity"];

pub(super) const KNOWN: Known = Known {
    format: Format::Helpsteer,
    signatures: &[&["prompt", "response"]],
    fits: |row| ATTRIBUTES.iter().filter(|name| row.value(name).is_some()).count() >= 2,
    optional: &ATTRIBUTES,
    parser: Parser::Rated(parse),
};

fn parse<'a>(row: &Row<'a>) -> Result<Answer<'a>, Fault> {
    let prompt = question(row, LAYOUT)?;
    let score = |name: &'static str| row.value(name).map(|value| Score { name, field: name.to_owned(), value });
    let scores = ATTRIBUTES.into_iter().filter_map(score).collect();
    Ok(Answer { side: answer(row, "response", LAYOUT, &prompt)?, scores: Ok(scores) })
}
