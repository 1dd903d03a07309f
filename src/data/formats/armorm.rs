//! ArmoRM's multi-objective rows: `messages` that end with the answer, and a column for each of its ratings.
//!
//! Field names: the data preparation of RLHFlow/RLHF-Reward-Modeling (armo-rm). Empty columns are missing ratings.

use super::{Known, Parser};
use crate::config::Format;
use crate::data::pairs::side;
use crate::data::rated::{Answer, Score};
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`messages` that end with the assistant's, and columns such as `helpsteer-helpfulness`";
/// How the names of the ratings begin.
const SOURCES: [&str; 7] =
    ["helpsteer-", "ultrafeedback-", "beavertails-", "prometheus-", "argilla-", "code-", "judgelm-"];

pub(super) const KNOWN: Known = Known {
    format: Format::Armorm,
    signatures: &[&["messages"]],
    fits: |row| row.object.keys().filter(|name| is_rating(name)).count() >= 2,
    optional: &["helpsteer-*", "ultrafeedback-*", "beavertails-*", "prometheus-*", "argilla-*", "code-*", "judgelm-*"],
    parser: Parser::Rated(parse),
};

fn is_rating(name: &str) -> bool {
    SOURCES.iter().any(|start| name.starts_with(start))
}

fn parse<'a>(row: &Row<'a>) -> Result<Answer<'a>, Fault> {
    let side = side(row, "messages", row.required("messages", LAYOUT)?, None)?;
    let ratings = row.object.iter().filter(|(name, value)| is_rating(name) && !value.is_null());
    let scores = ratings.map(|(name, value)| Score { name, field: name.clone(), value }).collect();
    Ok(Answer { side, scores: Ok(scores) })
}
