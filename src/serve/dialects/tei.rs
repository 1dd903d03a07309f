//! text-embeddings-inference: `/predict` and `/rerank` of a classifier with one label.
//!
//! A flat list of two texts is a pair, not a batch; a batch is a list of lists. `raw_scores: false`, the default, asks for σ
//! of the score.

use serde_json::{Value, json};

use super::fields::{self, Number, Object};
use super::vllm::{self, LABEL, ranked};
use crate::serve::failure::{Failure, Style};
use crate::serve::request::{Ask, Asked, Call, Content, Incoming, Scored};

const INPUTS: &str = "one text, a pair [a, b], or a batch [[a], [b, c], …]";

/// `POST /predict`, `/` and `/invocations`.
pub(super) fn predict(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    let inputs = fields::required(&body, "inputs", INPUTS)?;
    let (items, batch) = match inputs {
        Value::Array(list) if list.iter().any(Value::is_array) => {
            fields::check_count(incoming, list.len(), "inputs")?;
            let ask = |(index, value)| entry(value, &format!("inputs[{index}]"));
            (list.iter().enumerate().map(ask).collect::<Result<Vec<_>, _>>()?, true)
        }
        Value::Array(list) if list.is_empty() => {
            return Err(Failure::empty("inputs", INPUTS));
        }
        Value::Array(list) if list.len() != 2 => {
            let found =
                format!("a flat list of {}, which is neither a pair nor a batch; accepted: {INPUTS}", list.len());
            return Err(Failure::invalid("inputs", found));
        }
        other => (vec![entry(other, "inputs")?], false),
    };
    let number = Number::combined(!raw(&body)?);
    Ok(Call::new(Ask::of(items), move |answers| {
        let labels = |scored: &Scored| json!([{ "score": number.of(scored), "label": LABEL }]);
        let mut entries: Vec<Value> = answers.scored.iter().map(labels).collect();
        if batch { json!(entries) } else { entries.pop().unwrap_or_default() }
    }))
}

/// One text, or a prompt and its response.
fn entry(value: &Value, field: &str) -> Result<Asked, Failure> {
    let texts = match value {
        Value::String(text) => vec![text.clone()],
        other => fields::texts(other, field)?,
    };
    let mut texts = texts.into_iter();
    match (texts.next(), texts.next(), texts.next()) {
        (Some(text), None, _) => Ok(Content::PolicyText { text, prompt: None }.into()),
        (Some(prompt), Some(response), None) => Ok(Content::PolicyPrompt { prompt, response }.into()),
        _ => Err(Failure::invalid(field, "accepted: one text, or a prompt and its response")),
    }
}

/// Whether the score itself is asked for. Hugging Face's clients say it as `parameters.function_to_apply: "none"`.
fn raw(body: &Object) -> Result<bool, Failure> {
    let apply = fields::value(body, "parameters").and_then(|parameters| parameters.get("function_to_apply"));
    match apply.and_then(Value::as_str) {
        Some("none") => Ok(true),
        _ => fields::flag(body, &["raw_scores"], false),
    }
}

/// `POST /rerank`: vLLM's if the body has `documents`.
pub(super) fn rerank(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    if body.contains_key("documents") {
        return vllm::rerank(incoming, &body).map_err(|failure| failure.styled(Style::OpenAi));
    }
    let prompt = fields::text(fields::required(&body, "query", "text")?, "query")?;
    let texts = fields::required(&body, "texts", "a list of text (`documents` for vLLM's rerank)")?;
    fields::check_count(incoming, texts.as_array().map_or(0, Vec::len), "texts")?;
    let texts = fields::texts(texts, "texts")?;
    if texts.is_empty() {
        return Err(Failure::empty("texts", "at least one text"));
    }
    let ask =
        |response: &String| Content::PolicyPrompt { prompt: prompt.to_owned(), response: response.clone() }.into();
    let items = texts.iter().map(ask).collect();
    let number = Number::combined(!raw(&body)?);
    let with_text = fields::flag(&body, &["return_text"], false)?;
    Ok(Call::new(Ask::of(items), move |answers| {
        let entry = |(index, value): (usize, f64)| {
            let mut entry = json!({ "index": index, "score": value });
            if with_text {
                entry["text"] = json!(texts[index]);
            }
            entry
        };
        json!(ranked(answers, number).into_iter().map(entry).collect::<Vec<Value>>())
    }))
}
