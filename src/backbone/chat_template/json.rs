//! The `tojson` filter as transformers defines it: Python's `json.dumps` without escaping non-ASCII or HTML.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Deepest nesting written; Python stops near 1000 too.
const DEEPEST: usize = 500;
/// Widest indentation, in spaces.
const WIDEST: usize = 64;

/// How `json.dumps` was asked to write.
struct Style {
    ensure_ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sort_keys: bool,
}

/// `json.dumps(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
#[expect(clippy::needless_pass_by_value, reason = "filters take their arguments by value")]
pub(super) fn tojson(
    state: &State,
    value: &Value,
    ensure_ascii: Option<Value>,
    indent: Option<Value>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let ensure_ascii = match ensure_ascii {
        Some(value) => Some(value),
        None => kwargs.get("ensure_ascii")?,
    };
    let indent = match indent {
        Some(value) => Some(value),
        None => kwargs.get("indent")?,
    };
    let indent = match indent.filter(|value: &Value| !value.is_none()) {
        None => None,
        Some(value) => Some(indentation(&value)?),
    };
    let separators: Option<Value> = kwargs.get("separators")?;
    let sort_keys: Option<bool> = kwargs.get("sort_keys")?;
    kwargs.assert_all_used()?;
    let (item, key) = match separators.filter(|value| !value.is_none()) {
        Some(pair) => (pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string()),
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let ensure_ascii = ensure_ascii.is_some_and(|value| value.is_true());
    let style = Style { ensure_ascii, indent, item, key, sort_keys: sort_keys.unwrap_or(false) };
    style.text(state, value, 0)
}

fn indentation(value: &Value) -> Result<String, Error> {
    let bad = || Error::new(ErrorKind::InvalidOperation, format!("tojson cannot indent by {value}"));
    let indentation = match value.as_str() {
        Some(text) => text.to_owned(),
        None => " ".repeat(value.as_usize().filter(|width| *width <= WIDEST).ok_or_else(bad)?),
    };
    if indentation.len() > WIDEST { Err(bad()) } else { Ok(indentation) }
}

impl Style {
    fn text(&self, state: &State, value: &Value, depth: usize) -> Result<String, Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: nested too deeply"));
        }
        let text = match value.kind() {
            ValueKind::None => "null".to_owned(),
            ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
            ValueKind::Number => number(value),
            ValueKind::String => self.quoted(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.map(|item| self.text(state, &item, depth + 1));
                self.list(('[', ']'), &items.collect::<Result<Vec<_>, _>>()?, depth)
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort_by_key(ToString::to_string);
                }
                let entries = keys.iter().map(|key| {
                    let content = self.text(state, &value.get_item(key)?, depth + 1)?;
                    Ok(format!("{}{}{content}", self.quoted(&key.to_string()), self.key))
                });
                self.list(('{', '}'), &entries.collect::<Result<Vec<_>, Error>>()?, depth)
            }
            kind => return Err(Error::new(ErrorKind::InvalidOperation, format!("{kind} cannot be written as JSON"))),
        };
        // The engine counts only what a filter gives back; nested text is copied once a level.
        state.consume_fuel(1 + text.len() as u64 / 16)?;
        Ok(text)
    }

    fn list(&self, (open, close): (char, char), items: &[String], depth: usize) -> String {
        match &self.indent {
            Some(indent) if !items.is_empty() => {
                let line = |depth: usize| format!("\n{}", indent.repeat(depth));
                let separator = format!("{}{}", self.item, line(depth + 1));
                format!("{open}{}{}{}{close}", line(depth + 1), items.join(&separator), line(depth))
            }
            _ => format!("{open}{}{close}", items.join(&self.item)),
        }
    }

    fn quoted(&self, content: &str) -> String {
        let mut text = String::from("\"");
        for character in content.chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                control if control < ' ' => write!(text, "\\u{:04x}", u32::from(control)).unwrap_or_default(),
                other if self.ensure_ascii && !other.is_ascii() => {
                    let mut units = [0; 2];
                    other
                        .encode_utf16(&mut units)
                        .iter()
                        .for_each(|unit| write!(text, "\\u{unit:04x}").unwrap_or_default());
                }
                other => text.push(other),
            }
        }
        text.push('"');
        text
    }
}

/// A number as Python's `repr` writes it.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |bare| ('-', bare));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}
