//! vLLM's `/classify`, `/pooling`, `/score` and `/rerank` for a model with one label, which is what verl asks.
//!
//! By default vLLM tells σ of a score; `use_activation: false` asks for the score itself. That flag was called
//! `activation`, `softmax` and `normalize` before; all four are read. Options about the tokenizer (`truncate_prompt_tokens`,
//! `padding`, …) are let pass: what a text loses is decided by the registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fields::{self, Number, Object};
use crate::serve::failure::Failure;
use crate::serve::request::{Answers, Ask, Asked, Call, Content, Incoming};

const ACTIVATION: [&str; 4] = ["use_activation", "activation", "softmax", "normalize"];

/// The name of the one label.
pub(in crate::serve) const LABEL: &str = "reward";

/// `POST /classify`: `{input}` or `{messages}` to `data[].probs`.
pub(super) fn classify(incoming: &Incoming<'_>, body: &Object) -> Result<Call, Failure> {
    let items = inputs(incoming, body)?;
    let number = number(body, incoming)?;
    let head = Head::of(body, "classify");
    Ok(Call::new(Ask::of(items), move |answers| {
        let entry = |(index, value): (usize, f64)| json!({ "index": index, "label": LABEL, "probs": [value], "num_classes": 1 });
        let data: Vec<Value> = numbers(answers, number).enumerate().map(entry).collect();
        head.around(answers, "data", data)
    }))
}

/// `POST /pooling`: the same texts to `data[].data`, a list of one number.
pub(super) fn pooling(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    vectors(incoming, true, "pool", "pooling", "data")
}

/// `POST /v1/embeddings`, as verl reads it of SGLang: the number itself as an embedding of one column.
pub(super) fn embeddings(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    vectors(incoming, false, "embd", "embedding", "embedding")
}

/// Each text's number as a vector under `field`; `squashed` says which number is told by default.
fn vectors(
    incoming: &Incoming<'_>,
    squashed: bool,
    prefix: &'static str,
    object: &'static str,
    field: &'static str,
) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    let items = inputs(incoming, &body)?;
    let number = Number::of_model(&body, incoming.names, fields::flag(&body, &ACTIVATION, squashed)?);
    let encoding = Encoding::of(&body)?;
    let head = Head::of(&body, prefix);
    Ok(Call::new(Ask::of(items), move |answers| {
        let entry =
            |(index, value): (usize, f64)| json!({ "index": index, "object": object, field: encoding.write(value) });
        let data: Vec<Value> = numbers(answers, number).enumerate().map(entry).collect();
        head.around(answers, "data", data)
    }))
}

/// `POST /score`: prompts and responses by any of their four names; one prompt goes with every response.
pub(super) fn score(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    const NAMES: [(&str, &str); 4] =
        [("text_1", "text_2"), ("data_1", "data_2"), ("queries", "documents"), ("queries", "items")];
    const ACCEPTED: &str = "text_1 and text_2, data_1 and data_2, queries and documents, or queries and items";
    let body = fields::object(incoming)?;
    let there =
        |(left, right): &&(&str, &str)| fields::value(&body, left).is_some() && fields::value(&body, right).is_some();
    let Some((left, right)) = NAMES.iter().find(there) else {
        return Err(Failure::malformed(format!("no pair of texts; accepted: {ACCEPTED}")).at("text_1"));
    };
    let (prompts, _) = fields::one_or_many(&body[*left], left)?;
    let (responses, _) = fields::one_or_many(&body[*right], right)?;
    fields::check_count(incoming, responses.len(), right)?;
    if prompts.len() != 1 && prompts.len() != responses.len() {
        let found = format!("{} texts beside {} in {right}; accepted: one, or as many", prompts.len(), responses.len());
        return Err(Failure::malformed(found).at(*left));
    }
    let ask = |(prompt, response)| Asked::from(Content::PolicyPrompt { prompt, response });
    let items: Vec<Asked> = prompts.into_iter().cycle().zip(responses).map(ask).collect();
    let number = number(&body, incoming)?;
    let head = Head::of(&body, "score");
    Ok(Call::new(Ask::of(some(items, right)?), move |answers| {
        let entry = |(index, value): (usize, f64)| json!({ "index": index, "object": "score", "score": value });
        let data: Vec<Value> = numbers(answers, number).enumerate().map(entry).collect();
        head.around(answers, "data", data)
    }))
}

/// `POST /rerank` with `documents`: answers to one prompt, the best first.
pub(super) fn rerank(incoming: &Incoming<'_>, body: &Object) -> Result<Call, Failure> {
    let prompt = fields::text(fields::required(body, "query", "text")?, "query")?;
    let documents = fields::required(body, "documents", "a list of text")?;
    fields::check_count(incoming, documents.as_array().map_or(0, Vec::len), "documents")?;
    let documents = some(fields::texts(documents, "documents")?, "documents")?;
    let ask =
        |response: &String| Content::PolicyPrompt { prompt: prompt.to_owned(), response: response.clone() }.into();
    let items: Vec<Asked> = documents.iter().map(ask).collect();
    let number = number(body, incoming)?;
    let most = fields::count(body, "top_n")?.filter(|most| *most > 0).unwrap_or(usize::MAX);
    let head = Head::of(body, "rerank");
    Ok(Call::new(Ask::of(items), move |answers| {
        let entry = |(index, value): (usize, f64)| json!({ "index": index, "document": { "text": documents[index] }, "relevance_score": value });
        let results: Vec<Value> = ranked(answers, number).into_iter().take(most).map(entry).collect();
        head.around(answers, "results", results)
    }))
}

/// The numbers with their indices, highest first; equal ones in the order of the request.
pub(super) fn ranked(answers: &Answers<'_>, number: Number) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = numbers(answers, number).enumerate().collect();
    ranked.sort_by(|left, right| right.1.total_cmp(&left.1));
    ranked
}

/// The number of every text, in the order of the request.
pub(super) fn numbers<'a>(answers: &'a Answers<'_>, number: Number) -> impl Iterator<Item = f64> + 'a {
    answers.scored.iter().map(move |scored| number.of(scored))
}

fn number(body: &Object, incoming: &Incoming<'_>) -> Result<Number, Failure> {
    Ok(Number::of_model(body, incoming.names, fields::flag(body, &ACTIVATION, true)?))
}

/// `input` or `messages`.
fn inputs(incoming: &Incoming<'_>, body: &Object) -> Result<Vec<Asked>, Failure> {
    if let Some(messages) = fields::value(body, "messages") {
        return Ok(vec![fields::conversation(messages, "messages")?]);
    }
    let input = fields::required(body, "input", "text, a list of text, or `messages` in its place")?;
    fields::check_count(incoming, input.as_array().map_or(1, Vec::len), "input")?;
    some(fields::policy_texts(fields::one_or_many(input, "input")?.0), "input")
}

/// Refuses an empty list.
fn some<T>(list: Vec<T>, field: &str) -> Result<Vec<T>, Failure> {
    if list.is_empty() {
        return Err(Failure::empty(field, "at least one text"));
    }
    Ok(list)
}

/// What stands around the data of a reply.
struct Head {
    prefix: &'static str,
    request: Option<String>,
    body_model: Option<String>,
}

impl Head {
    fn of(body: &Object, prefix: &'static str) -> Self {
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        Self { prefix, request: text("request_id"), body_model: text("model") }
    }

    /// A reply whose entries stand under `name`.
    fn around(&self, answers: &Answers<'_>, name: &str, entries: Vec<Value>) -> Value {
        let request = self.request.as_deref().unwrap_or(answers.id);
        let mut reply = json!({
            "id": format!("{}-{request}", self.prefix),
            "object": "list",
            "created": answers.created,
            "model": self.body_model.as_deref().unwrap_or(answers.model),
            "usage": { "prompt_tokens": answers.tokens(), "total_tokens": answers.tokens(), "completion_tokens": 0 },
        });
        reply[name] = Value::Array(entries);
        reply
    }
}

/// How a vector of one number is written.
#[derive(Clone, Copy)]
enum Encoding {
    List,
    /// Base64 of the bytes of one 32-bit float.
    Bytes {
        little_endian: bool,
    },
}

impl Encoding {
    fn of(body: &Object) -> Result<Self, Failure> {
        let word = |field: &str| fields::value(body, field).map(|value| fields::text(value, field)).transpose();
        if let Some(other) = word("embed_dtype")?.filter(|word| *word != "float32") {
            let found = format!("{}; accepted: float32", crate::error::quote(other));
            return Err(Failure::malformed(found).at("embed_dtype"));
        }
        let little_endian = match word("endianness")? {
            None | Some("little") => true,
            Some("native") => cfg!(target_endian = "little"),
            Some("big") => false,
            Some(other) => {
                let found = format!("{}; accepted: native, little, big", crate::error::quote(other));
                return Err(Failure::malformed(found).at("endianness"));
            }
        };
        match word("encoding_format")? {
            None | Some("float") => Ok(Self::List),
            Some("base64") => Ok(Self::Bytes { little_endian }),
            Some(other) => {
                let found = format!("{}; accepted: float, base64", crate::error::quote(other));
                Err(Failure::malformed(found).at("encoding_format"))
            }
        }
    }

    fn write(self, value: f64) -> Value {
        match self {
            Self::List => json!([value]),
            Self::Bytes { little_endian: true } => json!(STANDARD.encode(fields::narrow(value).to_le_bytes())),
            Self::Bytes { little_endian: false } => json!(STANDARD.encode(fields::narrow(value).to_be_bytes())),
        }
    }
}
