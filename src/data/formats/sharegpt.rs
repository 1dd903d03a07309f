//! LLaMA-Factory's ShareGPT rows for ranking: a conversation that ends with the user's turn, and two answers as one
//! message each; and its newer form, two whole conversations.
//!
//! Field names: LLaMA-Factory's data README, and its demo files for the newer form.

use super::compare::{Verdict, compare};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::{Outcome, Side, complete, side};
use crate::data::row::Row;
use crate::data::{Message, Role};
use crate::error::{Fault, Result};

const LAYOUT: &str = "`conversations` (messages that end with the user's) with `chosen` and `rejected` (one message \
                      each); or `chosen_messages` and `rejected_messages`";

pub(super) const KNOWN: Known = Known {
    format: Format::Sharegpt,
    signatures: &[
        &["conversations", "chosen", "rejected"],
        &["messages", "chosen", "rejected"],
        &["chosen_messages", "rejected_messages"],
    ],
    // With a prompt beside them, `messages` repeat the chosen conversation (UltraFeedback binarized): those are pairs.
    fits: |row| row.value("prompt").is_none() || row.value("chosen_messages").is_some(),
    optional: &["system"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    if row.value("chosen_messages").is_some() || row.value("rejected_messages").is_some() {
        let whole = |field: &str| side(row, field, row.required(field, LAYOUT)?, None);
        return compare(row, [whole("chosen_messages")?, whole("rejected_messages")?], Verdict::FIRST);
    }
    let field = if row.value("messages").is_some() { "messages" } else { "conversations" };
    let mut prompt = row.conversation(field, row.required(field, LAYOUT)?)?;
    if let Some(system) = row.some_text("system")? {
        match prompt.first() {
            Some(first) if first.role == Role::System && first.content.trim() == system.trim() => {}
            Some(first) if first.role == Role::System => {
                let fault = row.fault("system", "another system prompt than the conversation begins with");
                return Err(fault.help("take one of the two out of the row"));
            }
            _ => prompt.insert(0, Message { role: Role::System, content: system.to_owned() }),
        }
    }
    compare(row, [one(row, "chosen", &prompt)?, one(row, "rejected", &prompt)?], Verdict::FIRST)
}

/// An answer that is one message, or text, or a list of messages.
fn one(row: &Row, field: &str, prompt: &[Message]) -> Result<Option<Side>, Fault> {
    let value = row.required(field, LAYOUT)?;
    if value.is_object() {
        return complete(row, field, vec![row.message(field, value)?], Some(prompt));
    }
    side(row, field, value, Some(prompt))
}
