//! One JSON object of a data file: strict parsing, fields with worded faults, message lists, and the row to score.
//!
//! Knows the layouts of a single row; nothing of files, pairs or labels.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Item, Message, Role, written_messages};
use crate::error::{Error, Fault, Result, did_you_mean, quote};

/// The layouts of a row to score.
const ITEM_LAYOUTS: &str = "`prompt` (text or messages) with `response` (text or a list of one assistant message); \
                            or `messages` that end with the assistant's";
/// What a message must be.
const VISIBLE: &str = "text that is not only white space";
/// How the message on a repeated key begins.
const TWICE: &str = "one object has twice the key";
const ROLES: [(&str, Role); 7] = [
    ("system", Role::System),
    ("user", Role::User),
    ("assistant", Role::Assistant),
    ("human", Role::User),
    ("gpt", Role::Assistant),
    ("bot", Role::Assistant),
    ("model", Role::Assistant),
];

/// Parses one JSON object, refusing what `serde_json::Value` would let pass: duplicate keys at any depth (the last
/// would win), and anything but an object. Numbers outside the range of f64 are refused too.
///
/// # Errors
/// A fault whose place is the position in `text` (`column 5`, or `line 2, column 5` in a text of several lines).
pub fn parse_object(text: &str) -> Result<Map<String, Value>, Fault> {
    parse_small_object(text, usize::MAX)
}

/// The same, refusing an object of more than `most` values at all depths: a value takes many times the memory of its text.
///
/// # Errors
/// As [`parse_object`].
pub fn parse_small_object(text: &str, most: usize) -> Result<Map<String, Value>, Fault> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let left = Cell::new(most);
    let value = Strict(&left).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(Fault::new("column 1", format!("{}, not an object", kind(&other))).accepts("a JSON object")),
        Err(error) => Err(not_json(text, &error)),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    let one_line = !text.trim_end().contains('\n');
    let place = if one_line { format!("column {column}") } else { format!("line {line}, column {column}") };
    let fault = |found: &str| Fault::new(&place, format!("cannot be read as JSON: {found}"));
    if !text.trim_start().starts_with('{') {
        let help = "convert the file to JSON lines: one object a line, its fields named";
        return fault("it does not begin with {").accepts("a JSON object on every line").help(help);
    }
    match message {
        _ if error.is_eof() => fault("it ends before the object does")
            .accepts("one whole object on the line")
            .help("mend the line; for a file of indented objects: `jq -c . FILE > FILE.jsonl`"),
        "expected value" => {
            fault("no value begins here").accepts("what JSON has: a number, text in double quotes, null")
        }
        "trailing characters" => fault("trailing characters after the object").accepts("one object on the line"),
        "key must be a string" => fault("no key begins here").accepts("keys and text in double quotes"),
        "number out of range" => fault(message).accepts("a number that fits 64-bit floating point, up to 1.8e308"),
        _ if message.starts_with(TWICE) => fault(message).accepts("every key once"),
        _ => fault(message).accepts("one whole object on the line"),
    }
}

/// Builds a [`Value`] with every key checked, of as many values as are left.
#[derive(Clone, Copy)]
struct Strict<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| D::Error::custom("more values than are accepted"))?;
        self.0.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("{TWICE} {}", quote(&key))));
            }
            let value = access.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// Reads a row to score. Fields it does not know are allowed.
///
/// # Errors
/// [`Error::Data`] with one fault at `place` (`file:line`) that names the field, what was found and what is accepted.
pub fn parse_item(object: &Map<String, Value>, place: &str) -> Result<Item> {
    let visible = |(field, item): (&'static str, Item)| {
        if item.response.trim().is_empty() {
            let row = Row { object, place };
            return Err(Error::Data(vec![row.fault(field, "the response is empty").accepts(VISIBLE)]));
        }
        Ok(item)
    };
    parse_answered(object, place).and_then(visible)
}

/// The same where the response may be empty: a policy in training may end its turn at once, and that too has a score.
///
/// # Errors
/// As [`parse_item`], the empty response apart.
pub fn parse_answer(object: &Map<String, Value>, place: &str) -> Result<Item> {
    parse_answered(object, place).map(|(_, item)| item)
}

/// An item and the field its response stands in.
fn parse_answered(object: &Map<String, Value>, place: &str) -> Result<(&'static str, Item)> {
    let row = Row { object, place };
    written_messages::parse(&row)
        .and_then(|object| item(&Row { object: &object, place }))
        .map_err(|fault| Error::Data(vec![fault]))
}

fn item(row: &Row) -> Result<(&'static str, Item), Fault> {
    match (row.value("prompt"), row.value("response"), row.value("messages")) {
        (Some(prompt), Some(response), _) => {
            let mut messages = row.conversation("prompt", prompt)?;
            row.refuse_repeats("prompt", &messages)?;
            messages.push(row.lone_response(response)?);
            split_item(row, "response", messages)
        }
        (None, None, Some(messages)) => {
            let list = row.list("messages", messages)?;
            let messages = row.messages("messages", list)?;
            row.refuse_repeats("messages", &messages)?;
            row.ends_with_assistant("messages", &messages)?;
            split_item(row, "messages", messages)
        }
        (None, Some(_), _) => Err(row.missing("prompt", ITEM_LAYOUTS)),
        (Some(_), None, _) => Err(row.missing("response", ITEM_LAYOUTS)),
        (None, None, None) => {
            let names: Vec<String> = row.object.keys().take(20).map(|name| quote(name)).collect();
            let has = if names.is_empty() { "it is empty".to_owned() } else { format!("it has {}", names.join(", ")) };
            Err(Fault::new(row.place, format!("a row with nothing to score; {has}")).accepts(ITEM_LAYOUTS))
        }
    }
}

/// Takes the last message of a checked conversation off as the response.
fn split_item(row: &Row, field: &'static str, mut messages: Vec<Message>) -> Result<(&'static str, Item), Fault> {
    let response = messages.pop().map(|message| message.content).unwrap_or_default();
    row.has_user(field, &messages)?;
    Ok((field, Item { prompt: messages, response }))
}

/// An object of a data file and where it stands.
pub(super) struct Row<'a> {
    pub(super) object: &'a Map<String, Value>,
    /// `file:line`.
    pub(super) place: &'a str,
}

impl<'a> Row<'a> {
    /// A fault at a field of this row.
    pub(super) fn fault(&self, field: &str, found: impl fmt::Display) -> Fault {
        Fault::new(format!("{}, field {}", self.place, quote(field)), found)
    }

    /// The field's value; `null` counts as absent.
    pub(super) fn value(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// The fault for an absent field: what stands there instead, and which layouts are accepted.
    pub(super) fn missing(&self, field: &str, layouts: &str) -> Fault {
        let found = if self.object.contains_key(field) { "null" } else { "missing" };
        let fault = self.fault(field, found).accepts(layouts);
        // What the layout names has a meaning of its own: `response_1` is no misspelt `response_2`.
        let foreign = |name: &&str| *name != field && !layouts.contains(&format!("`{name}`"));
        let fields: Vec<&str> = self.object.keys().map(String::as_str).filter(foreign).collect();
        match did_you_mean(field, &fields) {
            Some(near) => fault.help(format!("the row has {}: rename it if it is meant", quote(near))),
            None => fault,
        }
    }

    /// The field as text.
    pub(super) fn text(&self, field: &str, value: &'a Value) -> Result<&'a str, Fault> {
        value.as_str().ok_or_else(|| self.fault(field, kind(value)).accepts("text"))
    }

    /// The field as a list.
    pub(super) fn list(&self, field: &str, value: &'a Value) -> Result<&'a [Value], Fault> {
        match value.as_array() {
            Some(list) if list.is_empty() => Err(self.fault(field, "an empty list").accepts("at least one entry")),
            Some(list) => Ok(list),
            None => Err(self.fault(field, kind(value)).accepts("a list")),
        }
    }

    /// The field as a number; JSON has no others than finite ones.
    pub(super) fn number(&self, field: &str, value: &Value) -> Result<f64, Fault> {
        let number = value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.fault(field, kind(value)).accepts("a finite number, without quotes"))
    }

    /// The field as the messages before a response: text is one user message. Nothing in it may be blank, and the
    /// assistant's message may not be the last.
    pub(super) fn conversation(&self, field: &str, value: &'a Value) -> Result<Vec<Message>, Fault> {
        let messages = match value {
            Value::Array(_) => self.messages(field, self.list(field, value)?)?,
            Value::String(text) => vec![Message { role: Role::User, content: text.clone() }],
            other => return Err(self.fault(field, kind(other)).accepts("text or a list of messages")),
        };
        match messages.last() {
            Some(last) if last.content.trim().is_empty() => Err(self.fault(field, "empty text").accepts(VISIBLE)),
            Some(last) if last.role == Role::Assistant => Err(self
                .fault(field, "the prompt ends with the assistant's message")
                .accepts("a prompt that ends with the user's message")),
            _ => Ok(messages),
        }
    }

    /// The messages of a list, in which only the last may be blank and only the first may be the system's.
    pub(super) fn messages(&self, field: &str, list: &'a [Value]) -> Result<Vec<Message>, Fault> {
        let mut messages: Vec<Message> = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let name = format!("{field}[{index}]");
            let message = self.message(&name, value)?;
            if message.role == Role::System && index > 0 {
                return Err(self.fault(&name, "a system message").accepts("system messages in the first place only"));
            }
            if message.content.trim().is_empty() && index + 1 < list.len() {
                return Err(self.fault(&name, "an empty message").accepts(VISIBLE));
            }
            messages.push(message);
        }
        Ok(messages)
    }

    /// A message: `role` and `content`, or `from` and `value`; its content is text, or a list of text parts.
    pub(super) fn message(&self, name: &str, value: &'a Value) -> Result<Message, Fault> {
        let accepted = "an object with `role` and `content`";
        let Some(object) = value.as_object() else {
            return Err(self.fault(name, kind(value)).accepts(accepted));
        };
        let part = |field: &str, other: &str| {
            let value = object.get(field).or_else(|| object.get(other));
            let name = format!("{name}.{field}");
            match value {
                None => Err(self.fault(&name, "missing").accepts(accepted)),
                Some(value) => Ok((name, value)),
            }
        };
        let (role, content) = (part("role", "from")?, part("content", "value")?);
        let (word, content) = (self.text(&role.0, role.1)?, self.content(&content.0, content.1)?);
        let Some((_, role)) = ROLES.iter().find(|(name, _)| *name == word) else {
            let names: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
            let fault = self.fault(&format!("{name}.role"), format!("unknown role {}", quote(word)));
            let fault = fault.accepts(names.join(", "));
            return Err(match did_you_mean(word, &names) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
        };
        Ok(Message { role: *role, content })
    }

    /// What a message says: text, or a list of parts `{type: text, text}` (some files write `value`), joined.
    fn content(&self, name: &str, value: &'a Value) -> Result<String, Fault> {
        let Some(parts) = value.as_array() else { return self.text(name, value).map(str::to_owned) };
        let text = |part: &'a Value| {
            let is_text = part.get("type").is_none_or(|kind| kind == "text");
            part.get("text").or_else(|| part.get("value")).and_then(Value::as_str).filter(|_| is_text)
        };
        let texts: Option<Vec<&str>> = parts.iter().map(text).collect();
        let fault = || self.fault(name, "a part that is not text").accepts("text, or parts {type: text, text: …}");
        texts.map(|texts| texts.concat()).ok_or_else(fault)
    }

    /// Refuses two messages of one speaker in a row: in a row to score that is a mistake more often than not.
    fn refuse_repeats(&self, field: &str, messages: &[Message]) -> Result<(), Fault> {
        match messages.windows(2).position(|two| matches!(two, [left, right] if left.role == right.role)) {
            None => Ok(()),
            Some(index) => {
                let word = messages.get(index).map_or("", |message| message.role.word());
                let found = format!("a second {word} message in a row");
                let help = "join the two with a blank line, as is done with training data";
                Err(self.fault(&format!("{field}[{}]", index + 1), found).help(help))
            }
        }
    }

    /// Refuses a list whose last message is not the assistant's.
    pub(super) fn ends_with_assistant(&self, field: &str, messages: &[Message]) -> Result<(), Fault> {
        match messages.last() {
            Some(last) if last.role == Role::Assistant => Ok(()),
            last => {
                let word = last.map_or("no", |message| message.role.word());
                let found = format!("the last message is the {word}'s");
                Err(self.fault(field, found).accepts("a list that ends with the assistant's message, the response"))
            }
        }
    }

    /// Refuses a prompt in which nobody asks.
    pub(super) fn has_user(&self, field: &str, prompt: &[Message]) -> Result<(), Fault> {
        if prompt.iter().any(|message| message.role == Role::User) {
            return Ok(());
        }
        Err(self.fault(field, "no user message before the response").accepts("at least one"))
    }

    /// A response given as text or as a list of one assistant message.
    fn lone_response(&self, value: &'a Value) -> Result<Message, Fault> {
        match value {
            Value::String(text) => Ok(Message { role: Role::Assistant, content: text.clone() }),
            Value::Array(_) => {
                let mut messages = self.messages("response", self.list("response", value)?)?;
                self.ends_with_assistant("response", &messages)?;
                match messages.pop() {
                    Some(message) if messages.is_empty() => Ok(message),
                    _ => Err(self.fault("response", "several messages").accepts("one assistant message")),
                }
            }
            other => Err(self.fault("response", kind(other)).accepts("text or a list of one assistant message")),
        }
    }
}

/// What a JSON value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
