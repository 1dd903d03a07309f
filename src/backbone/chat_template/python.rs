//! Python's methods on strings and mappings, where a template may tell them from Rust's.
//!
//! White space is Python's: four separators (U+001C to U+001F) more than Unicode's property. What is not here comes
//! from minijinja's own Python compatibility.

use minijinja::value::from_args;
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

/// Calls a method that the engine itself does not know.
///
/// # Errors
/// A method Python does not have either, or arguments it does not take.
pub(super) fn method(state: &mut State, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return unknown_method_callback(state, value, name, arguments) };
    match name {
        "strip" | "lstrip" | "rstrip" => {
            let (characters,): (Option<&str>,) = from_args(arguments)?;
            let (left, right) = (name != "rstrip", name != "lstrip");
            Ok(Value::from(stripped(text, characters, left, right)))
        }
        "split" | "rsplit" => split(text, arguments, name == "rsplit"),
        "splitlines" => {
            let (keepends,): (Option<bool>,) = from_args(arguments)?;
            Ok(lines(text, keepends.unwrap_or(false)).into_iter().collect())
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            not_empty(separator)?;
            let last = name == "rpartition";
            let found = if last { text.rsplit_once(separator) } else { text.split_once(separator) };
            let three = match found {
                Some((before, after)) => [before, separator, after],
                None if last => ["", "", text],
                None => [text, "", ""],
            };
            Ok(three.into_iter().collect())
        }
        _ => unknown_method_callback(state, value, name, arguments),
    }
}

/// The `trim` filter: `str.strip`.
///
/// # Errors
/// A value that is neither text nor printable as text.
pub(super) fn trim(value: &Value, characters: Option<&str>) -> Result<String, Error> {
    if value.as_bytes().is_some() && value.as_str().is_none() {
        return Err(Error::new(ErrorKind::InvalidOperation, "bytes cannot be trimmed"));
    }
    Ok(stripped(&value.to_string(), characters, true, true).to_owned())
}

/// Whether Python's `str.isspace` holds for the character.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn stripped<'a>(text: &'a str, characters: Option<&str>, left: bool, right: bool) -> &'a str {
    let drops = |character: char| characters.map_or_else(|| is_space(character), |these| these.contains(character));
    let text = if left { text.trim_start_matches(drops) } else { text };
    if right { text.trim_end_matches(drops) } else { text }
}

fn not_empty(separator: &str) -> Result<(), Error> {
    if separator.is_empty() { Err(Error::new(ErrorKind::InvalidOperation, "empty separator")) } else { Ok(()) }
}

/// `str.split` and `str.rsplit`: pieces in the order of the text, at most `maxsplit` cuts from the one end.
fn split(text: &str, arguments: &[Value], from_the_right: bool) -> Result<Value, Error> {
    let (separator, maxsplit, kwargs): (Option<Value>, Option<i64>, minijinja::value::Kwargs) = from_args(arguments)?;
    let separator = match separator {
        Some(value) => Some(value),
        None => kwargs.get::<Option<Value>>("sep")?,
    };
    let maxsplit = match maxsplit {
        Some(count) => Some(count),
        None => kwargs.get::<Option<i64>>("maxsplit")?,
    };
    kwargs.assert_all_used()?;
    let cuts = maxsplit.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX - 1);
    let Some(separator) = separator.filter(|value| !value.is_none()) else {
        return Ok(words(text, cuts, from_the_right).into_iter().collect());
    };
    let separator =
        separator.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "sep must be a string"))?;
    not_empty(separator)?;
    let mut pieces: Vec<&str> = if from_the_right {
        text.rsplitn(cuts + 1, separator).collect()
    } else {
        text.splitn(cuts + 1, separator).collect()
    };
    if from_the_right {
        pieces.reverse();
    }
    Ok(pieces.into_iter().collect())
}

/// Words between white space, with at most `cuts` cuts; what is left then keeps the white space at its far end.
fn words(text: &str, cuts: usize, from_the_right: bool) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), stripped(text, None, !from_the_right, from_the_right));
    while !rest.is_empty() && words.len() < cuts {
        let found = if from_the_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(space) = found else { break };
        let (before, after) = rest.split_at(space);
        if from_the_right {
            words.push(stripped(after, None, true, false));
            rest = stripped(before, None, false, true);
        } else {
            words.push(before);
            rest = stripped(after, None, true, false);
        }
    }
    if !rest.is_empty() {
        words.push(rest);
    }
    if from_the_right {
        words.reverse();
    }
    words
}

/// `str.splitlines`: Python ends a line at ten characters, and at a carriage return with its line feed once.
fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let (mut lines, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let line = rest.find(ends).unwrap_or(rest.len());
        let end =
            if rest[line..].starts_with("\r\n") { 2 } else { rest[line..].chars().next().map_or(0, char::len_utf8) };
        lines.push(&rest[..if keep_ends { line + end } else { line }]);
        rest = &rest[line + end..];
    }
    lines
}
