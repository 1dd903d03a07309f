//! LLaMA-Factory's alpaca rows for ranking: `instruction` and `input`, `chosen` and `rejected`, with an optional system
//! prompt and history.
//!
//! Field names: LLaMA-Factory's data README; instruction and input are joined by a line break, as it does.

use serde_json::Value;

use super::compare::{Verdict, compare};
use super::fields::{answers, question};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::data::{Message, Role};
use crate::error::{Fault, Result};

const LAYOUT: &str = "`instruction`, `chosen` and `rejected`, with or without `input`, `system` and `history`";

pub(super) const KNOWN: Known = Known {
    format: Format::Alpaca,
    signatures: &[&["instruction", "chosen", "rejected"]],
    fits: |row| row.value("prompt").is_none(),
    optional: &["input", "system", "history"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    row.required("instruction", LAYOUT)?;
    let mut prompt = question(row, LAYOUT)?;
    if let Some(history) = row.value("history") {
        let start = prompt.len() - 1; // after the system prompt, before what is asked now
        prompt.splice(start..start, past(row, history)?);
    }
    let sides = answers(row, ["chosen", "rejected"], LAYOUT, &prompt)?;
    compare(row, sides, Verdict::FIRST)
}

/// The turns of `history`: lists of what the user and what the assistant said.
fn past(row: &Row, history: &Value) -> Result<Vec<Message>, Fault> {
    let mut turns = Vec::new();
    for (index, turn) in row.entries("history", history)?.iter().enumerate() {
        let said: Option<Vec<&str>> = turn.as_array().and_then(|said| said.iter().map(Value::as_str).collect());
        let Some([user, assistant]) = said.as_deref() else {
            let fault = row.fault(&format!("history[{index}]"), "no turn");
            return Err(fault.accepts("a list of two texts: what the user and what the assistant said"));
        };
        for (role, content) in [(Role::User, user), (Role::Assistant, assistant)] {
            turns.push(Message { role, content: (*content).to_owned() });
        }
    }
    Ok(turns)
}
