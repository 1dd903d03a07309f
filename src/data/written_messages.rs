//! Messages that stand as JSON inside text, as in a CSV file: they become messages before a format sees the row.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::row::{Row, parse_object};
use crate::error::{Fault, Result};

/// Fields that hold messages in some layout.
const FIELDS: [&str; 12] = [
    "prompt",
    "chosen",
    "rejected",
    "context",
    "messages",
    "conversations",
    "conversation_a",
    "conversation_b",
    "chosen_messages",
    "rejected_messages",
    "completion",
    "completions",
];
/// How such a text begins, quotes aside.
const BEGINNINGS: [&str; 4] = ["role", "content", "from", "value"];

/// The row with such texts parsed.
///
/// # Errors
/// A fault for a text that begins like messages but cannot be read as JSON (Python's own notation, a cut cell).
pub(super) fn parse<'a>(row: &Row<'a>) -> Result<Cow<'a, Map<String, Value>>, Fault> {
    let mut object = Cow::Borrowed(row.object);
    for field in FIELDS {
        let Some(Value::String(text)) = row.object.get(field) else { continue };
        if !begins_like_messages(text) {
            continue;
        }
        // As strict as the row itself: no key twice, no number out of range.
        match parse_object(&format!("{{\"cell\":{text}}}")) {
            Ok(mut cell) => {
                object.to_mut().insert(field.to_owned(), cell.remove("cell").unwrap_or_default());
            }
            Err(error) => {
                let found = format!("text that begins like messages but is not JSON: {}", error.found);
                let fault = row.fault(field, found);
                let fault = fault.accepts("[{\"role\": \"user\", \"content\": \"…\"}, …], or plain text");
                return Err(fault.help("write the cell with json.dumps(messages), not str(messages)"));
            }
        }
    }
    Ok(object)
}

/// Whether a text opens a list of objects whose first key is one of a message's.
fn begins_like_messages(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('[').and_then(|rest| rest.trim_start().strip_prefix('{'));
    let key = inside.and_then(|rest| rest.trim_start().strip_prefix(['"', '\'']));
    key.is_some_and(|key| {
        let begins = |name: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with(['"', '\'']));
        BEGINNINGS.iter().any(|name| begins(name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(row: &Value) -> Result<Value, Fault> {
        let object = row.as_object().cloned().unwrap_or_default();
        parse(&Row { object: &object, place: "rows:2" }).map(|object| Value::Object(object.into_owned()))
    }

    #[test]
    fn messages_in_text_become_messages_and_other_text_stays() {
        let prompt = json!([{ "role": "user", "content": "a \"quoted\" word" }]);
        let chosen = json!([{ "from": "gpt", "value": "b" }]);
        let row = json!({ "prompt": prompt.to_string(), "chosen": format!(" {chosen}"), "rejected": "[1] a list" });
        let expected = json!({ "prompt": prompt, "chosen": chosen, "rejected": "[1] a list" });
        assert_eq!(parsed(&row), Ok(expected));
        for text in ["[{\"name\": \"x\"}]", "[", "{\"role\": 1}", "", "[{roles}]"] {
            let row =
                json!({ "prompt": text, "response": "[{\"role\": \"user\", \"content\": \"an answer in JSON\"}]" });
            assert_eq!(parsed(&row), Ok(row));
        }
    }

    #[test]
    fn text_that_only_looks_like_messages_is_refused() {
        for text in ["[{'role': 'user', 'content': 'x'}]", "[{\"role\": \"user\", \"content\": \"cut"] {
            let fault = parsed(&json!({ "context": text })).expect_err("refused").to_string();
            assert!(fault.contains("field \"context\"") && fault.contains("json.dumps"), "{fault}");
        }
    }
}
