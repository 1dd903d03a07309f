//! Columns under other names: a row as the file has it becomes a row as the formats know it.
//!
//! Also where text becomes a number, true or false, a list or an object, for containers that know text only: after
//! the columns have their final names, because a prompt of `42` is text and a score of `42` is not.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::read::Record;
use super::row::parse_object;
use crate::config::FIELDS;
use crate::error::{Error, Fault, Result, did_you_mean, quote};

/// Fields whose cells are text whatever they look like; a number or a letter may follow: `response_1`, `choice2`.
const TEXTS: [&str; 20] = [
    "answer",
    "candidate",
    "choice",
    "chosen",
    "completion",
    "content",
    "context",
    "id",
    "input",
    "instruction",
    "option",
    "output",
    "prompt",
    "question",
    "rejected",
    "response",
    "system",
    "task",
    "text",
    "turn",
];
/// Of these, whose empty cell is an answer of no words and not an absent field: such rows are dropped and counted.
const ANSWERS: [&str; 3] = ["chosen", "rejected", "response"];
/// At most this many names are listed in a message.
const SHOWN: usize = 20;

/// The columns of one source, and which of them were found.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    /// Field to column.
    mapping: &'a BTreeMap<String, String>,
    found: BTreeSet<&'a str>,
    /// The columns that rows have.
    names: BTreeSet<String>,
}

impl<'a> Columns<'a> {
    /// `mapping` is from fields to columns: `prompt` to `question`, `chosen` to `answers.0.text`.
    pub(super) fn new(mapping: &'a BTreeMap<String, String>) -> Self {
        Self { mapping, found: BTreeSet::new(), names: BTreeSet::new() }
    }

    /// The row under the names the formats know. A mapped field hides a column of its own name; a column keeps its
    /// name beside the field unless that is a field's name too.
    pub(super) fn apply<'r>(&mut self, object: &'r Map<String, Value>, untyped: bool) -> Cow<'r, Map<String, Value>> {
        let mut row = Cow::Borrowed(object);
        if !self.mapping.is_empty() {
            row = Cow::Owned(self.renamed(object));
        }
        if untyped { Cow::Owned(typed(row.into_owned())) } else { row }
    }

    fn renamed(&mut self, object: &Map<String, Value>) -> Map<String, Value> {
        for name in object.keys() {
            if !self.names.contains(name) {
                self.names.insert(name.clone());
            }
        }
        let mut row = object.clone();
        for (field, column) in self.mapping {
            row.remove(field);
            if FIELDS.iter().any(|(name, _)| name == column) {
                row.remove(column);
            }
        }
        for (field, column) in self.mapping {
            if let Some(value) = at(object, column) {
                self.found.insert(column);
                row.insert(field.clone(), value.clone());
            }
        }
        row
    }

    /// One fault for each column that the config names and no row has; `place` is the source.
    pub(super) fn missing(&self, place: &str) -> Vec<Fault> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| quote(name)).collect();
        let fault = |(field, column): (&String, &String)| {
            let found = format!("no row has the column {}, to which `columns` maps {field}", quote(column));
            let fault = Fault::new(place, found).accepts(shown.join(", "));
            let first = column.split('.').next().unwrap_or_default();
            match did_you_mean(first, &names) {
                Some(near) if near != first => fault.help(format!("did you mean {}?", quote(near))),
                _ => fault.help("name a column of the file; a dot leads into an object or a list: answers.0.text"),
            }
        };
        let missing = self.mapping.iter().filter(|(_, column)| !self.found.contains(column.as_str()));
        if self.names.is_empty() { Vec::new() } else { missing.map(fault).collect() }
    }
}

/// What stands at a dotted path: keys of objects, indices of lists (negative ones from the end). A key that has the
/// dots itself comes first. Null is nothing.
fn at<'r>(object: &'r Map<String, Value>, path: &str) -> Option<&'r Value> {
    let step = |value: &'r Value, step: &str| match value {
        Value::Object(inner) => inner.get(step),
        Value::Array(list) => {
            let index: i64 = step.parse().ok()?;
            let index = if index < 0 { index + list.len() as i64 } else { index };
            list.get(usize::try_from(index).ok()?)
        }
        _ => None,
    };
    let found = object.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        rest.split('.').try_fold(object.get(first)?, step)
    });
    found.filter(|value| !value.is_null())
}

/// A row of text cells with the values they stand for.
pub(super) fn typed(row: Map<String, Value>) -> Map<String, Value> {
    let cell = |(name, value): (String, Value)| {
        let Value::String(text) = value else { return Some((name, value)) };
        let stem = stem(&name);
        if text.is_empty() && !ANSWERS.contains(&stem) {
            return None;
        }
        let value = if TEXTS.contains(&stem) { Value::String(text) } else { parsed(text) };
        Some((name, value))
    };
    row.into_iter().filter_map(cell).collect()
}

/// A name without its number or letter: `response` of `response`, `response1`, `response_1` and `response_a`.
fn stem(name: &str) -> &str {
    let plain = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let plain = plain.strip_suffix("_a").or_else(|| plain.strip_suffix("_b")).unwrap_or(plain);
    plain.strip_suffix('_').unwrap_or(plain)
}

/// What a cell stands for: a JSON number, list or object, true or false (Python's spelling too); text otherwise.
fn parsed(text: String) -> Value {
    let trimmed = text.trim();
    match trimmed {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let value = match trimmed.bytes().next() {
        Some(b'-' | b'0'..=b'9') => serde_json::from_str(trimmed).ok().filter(Value::is_number),
        // Strict as a line is: no key twice.
        Some(b'[' | b'{') => {
            parse_object(&format!("{{\"cell\":{trimmed}}}")).ok().and_then(|mut row| row.remove("cell"))
        }
        _ => None,
    };
    value.unwrap_or(Value::String(text))
}

/// The row that a record stands for where no columns are mapped.
///
/// # Errors
/// [`Error::Data`] with the reason why it is none.
pub fn plain(record: &Record) -> Result<Cow<'_, Map<String, Value>>> {
    let object = record.object.as_ref().map_err(|fault| Error::Data(vec![fault.clone()]))?;
    Ok(if record.untyped { Cow::Owned(typed(object.clone())) } else { Cow::Borrowed(object) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => panic!("{other} is no object"),
        }
    }

    fn mapping(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect()
    }

    fn renamed(pairs: &[(&str, &str)], row: Value) -> Value {
        let mapping = mapping(pairs);
        let row = object(row);
        Value::Object(Columns::new(&mapping).apply(&row, false).into_owned())
    }

    #[test]
    fn columns_get_the_names_of_fields() {
        let row = json!({ "question": "q", "good": "a", "bad": "b" });
        // `question` is a field itself and would say the prompt a second time.
        let expected = json!({ "good": "a", "bad": "b", "prompt": "q", "chosen": "a", "rejected": "b" });
        assert_eq!(renamed(&[("prompt", "question"), ("chosen", "good"), ("rejected", "bad")], row), expected);
        let swapped = renamed(&[("chosen", "rejected"), ("rejected", "chosen")], json!({ "chosen": 1, "rejected": 2 }));
        assert_eq!(swapped, json!({ "chosen": 2, "rejected": 1 }));
        let twice = renamed(&[("prompt", "text"), ("response", "text")], json!({ "text": "t" }));
        assert_eq!(twice, json!({ "prompt": "t", "response": "t" }), "a field's name that was mapped away is gone");
        let hidden = renamed(&[("prompt", "question")], json!({ "prompt": "index 7" }));
        assert_eq!(hidden, json!({}), "a mapped field hides a column of its own name");
    }

    #[test]
    fn dots_lead_into_objects_and_lists() {
        let row = json!({ "data": { "answers": [{ "text": "a" }, { "text": "b" }], "none": null }, "a.b": 1, "a": { "b": 2 } });
        let found = |path: &str| at(&object(row.clone()), path).cloned();
        assert_eq!(found("data.answers.0.text"), Some(json!("a")));
        assert_eq!(found("data.answers.-1.text"), Some(json!("b")));
        assert_eq!(found("a.b"), Some(json!(1)));
        for absent in ["data.answers.2.text", "data.answers.-3.text", "data.answers.x", "data.none", "a.b.c", "", "."] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_column_that_no_row_has_is_told_with_what_was_meant() {
        let mapping = mapping(&[("prompt", "question"), ("chosen", "good.text"), ("margin", "gap")]);
        let mut columns = Columns::new(&mapping);
        assert!(columns.missing("rows").is_empty(), "nothing is known without rows");
        columns.apply(&object(json!({ "question": "q", "god": 1 })), false);
        columns.apply(&object(json!({ "gap": 1 })), false);
        let faults: Vec<String> = columns.missing("rows").iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].contains("no row has the column \"good.text\", to which `columns` maps chosen"),
            "{faults:?}"
        );
        assert!(faults[0].contains("did you mean \"god\"?"), "{faults:?}");
    }

    #[test]
    fn cells_stand_for_values_but_not_in_fields_of_text() {
        let cells = |value| Value::Object(typed(object(value)));
        let row = json!({
            "prompt": "42", "chosen": "true", "rejected": "", "response1": "7", "response_b": "", "choice2": "8", "choices": "8", "split": "", "id": "007",
            "score": "3.50", "margin": "-2", "big": "1e999", "zeros": "007", "flag": "True", "no": "false", "nan": "NaN",
            "votes": "[3, 1]", "scores": "{\"a\": 1}", "twice": "{\"a\":1,\"a\":2}", "python": "['a']", "words": " 3 or 4",
        });
        let expected = json!({
            "prompt": "42", "chosen": "true", "rejected": "", "response1": "7", "response_b": "", "choice2": "8", "choices": 8, "id": "007",
            "score": 3.5, "margin": -2, "big": "1e999", "zeros": "007", "flag": true, "no": false, "nan": "NaN",
            "votes": [3, 1], "scores": { "a": 1 }, "twice": "{\"a\":1,\"a\":2}", "python": "['a']", "words": " 3 or 4",
        });
        assert_eq!(cells(row), expected);
    }

    #[test]
    fn a_cell_is_read_by_the_name_its_column_gets() {
        let mapping = mapping(&[("prompt", "number"), ("margin", "text")]);
        let row = object(json!({ "number": "42", "text": "1.5" }));
        let row = Columns::new(&mapping).apply(&row, true).into_owned();
        assert_eq!((&row["prompt"], &row["margin"]), (&json!("42"), &json!(1.5)));
    }
}
