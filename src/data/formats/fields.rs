//! What many formats share: numbers and truths that may be text (CSV has nothing else), lists that may be JSON inside
//! text, and the fields in which a prompt stands.

use serde_json::Value;

use crate::conversation::join_turns;
use crate::data::pairs::{self, Side};
use crate::data::row::{Row, kind};
use crate::data::{Message, Role};
use crate::error::{Fault, Result, quote};

/// A JSON value as a message shows it, text without quotes of its own.
pub(in crate::data) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| quote(&value.to_string()), quote)
}

impl<'a> Row<'a> {
    /// A field that must be there.
    pub(super) fn required(&self, field: &str, layout: &str) -> Result<&'a Value, Fault> {
        self.value(field).ok_or_else(|| self.missing(field, layout))
    }

    /// The field as a finite number, or as the text of one.
    pub(super) fn amount(&self, field: &str, value: &Value) -> Result<f64, Fault> {
        let number = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        let found = || value.as_str().map_or_else(|| kind(value).to_owned(), quote);
        let finite = number.filter(|number: &f64| number.is_finite());
        finite.ok_or_else(|| self.fault(field, found()).accepts("a finite number"))
    }

    /// The field as yes or no: true, false, 1, 0, or one of these as text.
    pub(super) fn truth(&self, field: &str, value: &Value) -> Result<bool, Fault> {
        let word = match value {
            Value::String(text) => text.trim().to_lowercase(),
            other => other.to_string(),
        };
        match word.as_str() {
            "true" | "1" | "1.0" => Ok(true),
            "false" | "0" | "0.0" => Ok(false),
            _ => Err(self.fault(field, shown(value)).accepts("true or false")),
        }
    }

    /// The field as text; `None` when it is missing or blank.
    pub(super) fn some_text(&self, field: &str) -> Result<Option<&'a str>, Fault> {
        let Some(value) = self.value(field) else { return Ok(None) };
        let text = self.text(field, value)?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// The field as a list that may stand as JSON inside text.
    pub(super) fn entries(&self, field: &str, value: &Value) -> Result<Vec<Value>, Fault> {
        let list = match value {
            Value::Array(list) => Some(list.clone()),
            Value::String(text) => serde_json::from_str(text).ok(),
            _ => None,
        };
        let accepted = "a list, or a list as JSON inside text";
        list.ok_or_else(|| self.fault(field, kind(value)).accepts(accepted))
    }
}

/// The conversation before the answers: `prompt` (text or messages), or `instruction` with `input`, or `question`, or
/// `input` alone. A `system` text goes before it.
///
/// # Errors
/// A fault when there is none, or it is blank, or it ends with the assistant's message.
pub(super) fn question(row: &Row, layout: &str) -> Result<Vec<Message>, Fault> {
    let mut messages = match row.value("prompt") {
        Some(prompt) => row.conversation("prompt", prompt)?,
        None => vec![asked(row, layout)?],
    };
    if let Some(system) = row.some_text("system")?
        && messages.first().is_none_or(|first| first.role != Role::System)
    {
        messages.insert(0, Message { role: Role::System, content: system.to_owned() });
    }
    Ok(messages)
}

/// The user's one message.
fn asked(row: &Row, layout: &str) -> Result<Message, Fault> {
    let main = ["instruction", "question", "input"].into_iter().find(|field| row.value(field).is_some());
    let main = main.ok_or_else(|| row.missing("prompt", layout))?;
    let mut parts = vec![row.some_text(main)?];
    if main == "instruction" {
        parts.push(row.some_text("input")?);
    }
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return Err(row.fault(main, "empty text").accepts("text that is not only white space"));
    }
    Ok(Message { role: Role::User, content: parts.join("\n") })
}

/// The answer in a field, to this prompt; `None` when it is empty.
///
/// # Errors
/// A fault when it is missing, or neither text nor messages that end with the assistant's.
pub(super) fn answer(row: &Row, field: &str, layout: &str, prompt: &[Message]) -> Result<Option<Side>, Fault> {
    pairs::side(row, field, row.required(field, layout)?, Some(prompt))
}

/// Two answers to this prompt.
///
/// # Errors
/// As [`answer`].
pub(super) fn answers(
    row: &Row,
    fields: [&str; 2],
    layout: &str,
    prompt: &[Message],
) -> Result<[Option<Side>; 2], Fault> {
    let [first, second] = fields;
    Ok([answer(row, first, layout, prompt)?, answer(row, second, layout, prompt)?])
}

/// A plain text as an answer to this prompt; `None` when it is blank.
pub(super) fn text_answer(text: &str, prompt: &[Message]) -> Option<Side> {
    let side = || {
        let response = Message { role: Role::Assistant, content: text.to_owned() };
        let (prompt, response, joined) = join_turns([prompt, &[response]].concat());
        Side { prompt, response, joined }
    };
    if text.trim().is_empty() { None } else { Some(side()) }
}

/// The texts of a list as answers to this prompt; blank and missing (`null`) ones are `None`.
///
/// # Errors
/// A fault when an entry is no text.
pub(super) fn text_answers(
    row: &Row,
    field: &str,
    layout: &str,
    prompt: &[Message],
) -> Result<Vec<Option<Side>>, Fault> {
    let list = row.entries(field, row.required(field, layout)?)?;
    let read = |(index, value): (usize, &Value)| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(text_answer(text, prompt)),
        other => Err(row.fault(&format!("{field}[{index}]"), kind(other)).accepts("text")),
    };
    list.iter().enumerate().map(read).collect()
}
