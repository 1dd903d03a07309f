//! Fields of a body, read with the words a client needs to mend it.

use serde_json::{Map, Value, json};

use crate::data::{kind, parse_answer, parse_small_object};
use crate::error::quote;
use crate::logistic::sigmoid;
use crate::serve::failure::Failure;
use crate::serve::request::{Asked, Content, Incoming, Scored};

pub(super) type Object = Map<String, Value>;

/// Values of all kinds that a body may hold: each takes many times the memory of its text.
const MOST_VALUES: usize = 1 << 20;

/// The body as a JSON object, no key twice.
pub(super) fn object(incoming: &Incoming<'_>) -> Result<Object, Failure> {
    let text = std::str::from_utf8(incoming.body)
        .map_err(|error| Failure::malformed(format!("byte {}: the body is not UTF-8", error.valid_up_to())))?;
    if text.trim().is_empty() {
        return Err(Failure::malformed("the body is empty").hint("send a JSON object"));
    }
    parse_small_object(text, MOST_VALUES).map_err(|fault| {
        Failure::malformed(format!("{}: {}", fault.place, fault.found)).hint("send a JSON object, every key once")
    })
}

/// A field that is there and not null.
pub(super) fn value<'a>(object: &'a Object, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

/// A field that must be there.
pub(super) fn required<'a>(object: &'a Object, field: &str, accepted: &str) -> Result<&'a Value, Failure> {
    value(object, field).ok_or_else(|| Failure::malformed(format!("missing; accepted: {accepted}")).at(field))
}

/// A value of another kind than the dialect takes.
pub(super) fn wrong(field: impl Into<String>, value: &Value, accepted: &str) -> Failure {
    Failure::malformed(format!("found {}; accepted: {accepted}", kind(value))).at(field)
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, Failure> {
    value.as_str().ok_or_else(|| wrong(field, value, "text"))
}

pub(super) fn list<'a>(value: &'a Value, field: &str, accepted: &str) -> Result<&'a [Value], Failure> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(field, value, accepted))
}

/// A list of text.
pub(super) fn texts(value: &Value, field: &str) -> Result<Vec<String>, Failure> {
    let values = list(value, field, "a list of text")?;
    let text = |(index, value): (usize, &Value)| text(value, &format!("{field}[{index}]")).map(str::to_owned);
    values.iter().enumerate().map(text).collect()
}

/// One text or a list of texts; true when it is a list. Token ids are refused, because they are another tokenizer's.
pub(super) fn one_or_many(value: &Value, field: &str) -> Result<(Vec<String>, bool), Failure> {
    let ids =
        |value: &Value| value.is_number() || value.as_array().is_some_and(|list| list.iter().any(Value::is_number));
    match value {
        Value::String(text) => Ok((vec![text.clone()], false)),
        Value::Array(values) if values.iter().any(ids) => {
            Err(Failure::malformed("token ids of another tokenizer cannot be scored").at(field).hint("send the text"))
        }
        Value::Array(_) => Ok((texts(value, field)?, true)),
        other => Err(wrong(field, other, "text or a list of text")),
    }
}

/// The first of several spellings of a flag that is there.
pub(super) fn flag(object: &Object, names: &[&str], default: bool) -> Result<bool, Failure> {
    match names.iter().find_map(|name| Some((name, value(object, name)?))) {
        None => Ok(default),
        Some((_, Value::Bool(flag))) => Ok(*flag),
        Some((name, other)) => Err(wrong(*name, other, "true or false")),
    }
}

/// A number from 0 to `most`.
pub(super) fn count(object: &Object, field: &str) -> Result<Option<usize>, Failure> {
    let Some(value) = value(object, field) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.map(Some).ok_or_else(|| wrong(field, value, "a whole number, 0 or more"))
}

/// Refuses more items than one request may have, before any is copied.
pub(super) fn check_count(incoming: &Incoming<'_>, count: usize, field: &str) -> Result<(), Failure> {
    if count <= incoming.max_items {
        return Ok(());
    }
    let message = format!("{count} items; at most {} go into one request", incoming.max_items);
    Err(Failure::too_large(message).at(field).hint("send several requests, or raise --max-items"))
}

/// Raw texts, as a policy wrote them.
pub(super) fn policy_texts(texts: Vec<String>) -> Vec<Asked> {
    texts.into_iter().map(|text| Content::PolicyText { text, prompt: None }.into()).collect()
}

/// The conversation `messages`, its response last.
pub(super) fn conversation(messages: &Value, field: &str) -> Result<Asked, Failure> {
    let mut row = Object::new();
    row.insert("messages".to_owned(), messages.clone());
    answered(&row).map_err(|failure| failure.within("messages", field))
}

/// A prompt and its response, or messages.
pub(super) fn answered(row: &Object) -> Result<Asked, Failure> {
    let item = parse_answer(row, "").map_err(|error| Failure::of(&error))?;
    Ok(Content::Item(item).into())
}

/// The one number of a dialect that has room for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// An objective's normalized score in place of the combined one.
    objective: Option<usize>,
    /// Whether σ of it is told.
    squashed: bool,
}

impl Number {
    /// The combined score, or an objective's where `model` is its name. Trainers send the name of a model of theirs:
    /// any other name means the combined score.
    pub(super) fn of_model(object: &Object, names: &[String], squashed: bool) -> Self {
        let model = object.get("model").and_then(Value::as_str);
        Self { objective: model.and_then(|model| names.iter().position(|name| name == model)), squashed }
    }

    pub(super) fn combined(squashed: bool) -> Self {
        Self { objective: None, squashed }
    }

    pub(super) fn of(self, scored: &Scored) -> f64 {
        let objective = self.objective.and_then(|index| scored.score.objectives.get(index));
        let score = objective.map_or(scored.score.combined, |objective| objective.normalized);
        if self.squashed { sigmoid(score) } else { score }
    }
}

/// The name a client called the model by, or the registry's.
pub(super) fn model_name(object: &Object, own: &str) -> Value {
    json!(object.get("model").and_then(Value::as_str).unwrap_or(own))
}

/// Refuses keys that are not of the dialect, with the nearest that is.
pub(super) fn known_keys(object: &Object, known: &[&str], place: &str) -> Result<(), Failure> {
    let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let failure = Failure::malformed(format!("unknown key {}; accepted: {}", quote(key), known.join(", "))).at(place);
    Err(match crate::error::did_you_mean(key, known) {
        Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
        None => failure,
    })
}

/// The nearest 32-bit number, never infinite.
pub(super) fn narrow(value: f64) -> f32 {
    (value as f32).clamp(f32::MIN, f32::MAX)
}
