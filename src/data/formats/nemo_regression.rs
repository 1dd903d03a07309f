//! NeMo-Aligner's regression rows: `text` with nine ratings in a fixed order; -100 is missing.
//!
//! Field names and order: NeMo-Aligner's SteerLM guide. The text is a conversation between special tokens, written with
//! the words `User` and `Assistant`.

use super::{Known, Parser};
use crate::config::Format;
use crate::conversation::split_turns;
use crate::data::audit::EMPTY;
use crate::data::hh_rlhf::last_answer;
use crate::data::rated::{Answer, Score};
use crate::data::row::Row;
use crate::data::{Message, Role};
use crate::error::{Fault, Result};

const LAYOUT: &str = "`text` (turns that begin with \"<extra_id_1>User\" and \"<extra_id_1>Assistant\") and `label` \
                      (nine numbers, -100 where one is missing)";
const ATTRIBUTES: [&str; 9] = [
    "quality",
    "toxicity",
    "humor",
    "creativity",
    "helpfulness",
    "correctness",
    "coherence",
    "complexity",
    "verbosity",
];
const MISSING: f64 = -100.0;
const SYSTEM: &str = "<extra_id_0>System";
const USER: &str = "<extra_id_1>User";
const ASSISTANT: &str = "<extra_id_1>Assistant";
/// What follows the last answer, before its attributes.
const END: &str = "<extra_id_2>";

pub(super) const KNOWN: Known = Known {
    format: Format::NemoRegression,
    signatures: &[&["text", "label"]],
    fits: |row| row.value("label").and_then(|label| label.as_array()).is_some_and(|label| label.len() == 9),
    optional: &[],
    parser: Parser::Rated(parse),
};

fn parse<'a>(row: &Row<'a>) -> Result<Answer<'a>, Fault> {
    let text = row.text("text", row.required("text", LAYOUT)?)?;
    let label = row.list("label", row.required("label", LAYOUT)?)?;
    if label.len() != ATTRIBUTES.len() {
        return Err(row.fault("label", format!("{} numbers", label.len())).accepts(LAYOUT));
    }
    let (text, _) = text.split_once(END).unwrap_or((text, ""));
    let (before, talk) = text.split_at(text.find(USER).unwrap_or(text.len()));
    let turns = split_turns(talk, USER, ASSISTANT);
    let mut turns = turns.ok_or_else(|| row.fault("text", "text without turns").accepts(LAYOUT))?;
    let system = before.trim().strip_prefix(SYSTEM).unwrap_or_default().trim();
    if !system.is_empty() {
        turns.insert(0, Message { role: Role::System, content: system.to_owned() });
    }
    let side = match last_answer(turns) {
        Ok(side) => Some(side),
        Err(EMPTY) => None,
        Err(reason) => return Err(row.fault("text", reason).accepts(LAYOUT)),
    };
    let mut scores = Vec::new();
    for (name, value) in ATTRIBUTES.into_iter().zip(label) {
        let field = format!("label ({name})");
        if (row.number(&field, value)? - MISSING).abs() > f64::EPSILON {
            scores.push(Score { name, field, value });
        }
    }
    Ok(Answer { side, scores: Ok(scores) })
}
