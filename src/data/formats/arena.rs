//! Chatbot Arena: a prompt, two models' answers and who won, in the columns of the Kaggle files or in one word.
//!
//! Field names: lmsys-55k's Kaggle page and the cards of the Arena conversations. Several turns stand as JSON lists
//! inside text: the n-th answer follows the n-th prompt, and the last answers are compared.

use serde_json::Value;

use super::compare::{Verdict, compare};
use super::fields::text_answer;
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::audit::PROMPTS_DIFFER;
use crate::data::pairs::{Outcome, Side, side};
use crate::data::row::Row;
use crate::data::{Message, Role};
use crate::error::{Fault, Result, quote};

const LAYOUT: &str = "`prompt`, `response_a`, `response_b` (text, or lists of turns) with `winner_model_a`, \
                      `winner_model_b`, `winner_tie` (one of them 1) or `winner` (model_a, model_b, tie); or \
                      `conversation_a`, `conversation_b` (messages) with `winner`";
const COLUMNS: [(&str, Verdict); 3] =
    [("winner_model_a", Verdict::FIRST), ("winner_model_b", Verdict::SECOND), ("winner_tie", Verdict::TIE)];
const WINNERS: [(&str, Verdict); 5] = [
    ("model_a", Verdict::FIRST),
    ("model_b", Verdict::SECOND),
    ("tie", Verdict::TIE),
    ("tie (bothbad)", Verdict::TIE),
    ("both_bad", Verdict::TIE),
];

pub(super) const KNOWN: Known = Known {
    format: Format::Arena,
    signatures: &[
        &["prompt", "response_a", "response_b", "winner_model_a", "winner_model_b"],
        &["prompt", "response_a", "response_b", "winner"],
        &["conversation_a", "conversation_b", "winner"],
    ],
    fits: by_fields,
    optional: &["winner_tie"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let verdict = verdict(row)?;
    if row.value("conversation_a").is_some() || row.value("conversation_b").is_some() {
        let whole = |field: &str| side(row, field, row.required(field, LAYOUT)?, None);
        return compare(row, [whole("conversation_a")?, whole("conversation_b")?], verdict);
    }
    let prompts = turns(row, "prompt")?;
    let sides = [talk(row, &prompts, "response_a")?, talk(row, &prompts, "response_b")?];
    // From the second turn on, each model answers a conversation of its own: only equal ones can be compared.
    match &sides {
        [Some(a), Some(b)] if a.prompt != b.prompt => Ok(Outcome::dropped(PROMPTS_DIFFER)),
        _ => compare(row, sides, verdict),
    }
}

fn verdict(row: &Row) -> Result<Verdict, Fault> {
    if let Some(winner) = row.value("winner") {
        let word = row.text("winner", winner)?;
        let known = WINNERS.iter().find(|(name, _)| *name == word.trim());
        let accepted = WINNERS.map(|(name, _)| name).join(", ");
        return known.map(|(_, verdict)| *verdict).ok_or_else(|| row.fault("winner", quote(word)).accepts(accepted));
    }
    let mut said = Vec::new();
    for (field, verdict) in COLUMNS {
        let value = if field == "winner_tie" { row.value(field) } else { Some(row.required(field, LAYOUT)?) };
        if value.map_or(Ok(false), |value| row.truth(field, value))? {
            said.push(verdict);
        }
    }
    if let [verdict] = said.as_slice() {
        Ok(*verdict)
    } else {
        let found = format!("{} of winner_model_a, winner_model_b and winner_tie are 1", said.len());
        Err(row.fault("winner_model_a", found).accepts("exactly one of the three"))
    }
}

/// The turns of one party: a list, a list as JSON inside text, or one text.
fn turns(row: &Row, field: &str) -> Result<Vec<String>, Fault> {
    let value = row.required(field, LAYOUT)?;
    let list: Option<Vec<Option<String>>> = match value {
        Value::String(text) if text.trim_start().starts_with("[\"") => Some(written_list(text).map_err(|error| {
            let fault = row.fault(field, format!("text that begins like a list but is not JSON: {error}"));
            fault.accepts("a JSON list of texts, or one text")
        })?),
        Value::String(text) if text.trim_start().starts_with('[') => written_list(text).ok(),
        Value::Array(_) => Some(serde_json::from_value(value.clone()).map_err(|_| {
            row.fault(field, "a list with something else than text").accepts("text, or a list of texts")
        })?),
        _ => None,
    };
    match list {
        Some(list) if list.is_empty() => Err(row.fault(field, "an empty list").accepts("at least one turn")),
        Some(list) => Ok(list.into_iter().map(Option::unwrap_or_default).collect()),
        None => Ok(vec![row.text(field, value)?.to_owned()]),
    }
}

/// A JSON list inside text. Half of a surrogate pair, which Python writes where a text was cut, is read as U+FFFD.
fn written_list(text: &str) -> serde_json::Result<Vec<Option<String>>> {
    serde_json::from_str(text).or_else(|error| {
        let whole = without_lone_surrogates(text);
        if whole == text { Err(error) } else { serde_json::from_str(&whole) }
    })
}

/// Escapes of single surrogates replaced by that of U+FFFD; pairs and everything else stay.
fn without_lone_surrogates(text: &str) -> String {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(next) = text[at..].find('\\') {
        out.push_str(&text[at..at + next]);
        at += next;
        let length = match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                out.push_str("\\ufffd");
                at += 6;
                continue;
            }
            Some(_) => 6,
            None => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&text[at..at + length]);
        at += length;
    }
    out.push_str(&text[at..]);
    out
}

/// What one model was asked and answered; `None` when its last answer is empty.
fn talk(row: &Row, prompts: &[String], field: &str) -> Result<Option<Side>, Fault> {
    let mut answers = turns(row, field)?;
    if answers.len() != prompts.len() {
        let found = format!("{} turns for {} of the prompt", answers.len(), prompts.len());
        return Err(row.fault(field, found).accepts("as many turns as `prompt` has"));
    }
    if let Some(index) = prompts.iter().position(|prompt| prompt.trim().is_empty()) {
        return Err(row.fault("prompt", format!("turn {} is empty", index + 1)).accepts("text in every turn"));
    }
    let last = answers.pop().unwrap_or_default();
    let mut messages = Vec::with_capacity(2 * prompts.len());
    for (index, prompt) in prompts.iter().enumerate() {
        messages.push(Message { role: Role::User, content: prompt.clone() });
        if let Some(answer) = answers.get(index) {
            messages.push(Message { role: Role::Assistant, content: answer.clone() });
        }
    }
    Ok(text_answer(&last, &messages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_stay() {
        let list = |text: &str| written_list(text).map(|list| list.into_iter().flatten().collect::<Vec<String>>());
        assert_eq!(list(r#"["a \ud83d b"]"#).expect("read"), ["a \u{fffd} b"]);
        assert_eq!(list(r#"["\ud83d\ude00", "\\ud83d"]"#).expect("read"), ["\u{1f600}", "\\ud83d"]);
        assert_eq!(list(r#"["\udc00\u0041", null]"#).expect("read"), ["\u{fffd}A"]);
        assert!(list(r#"["cut"#).is_err());
    }
}
