//! Triton's HTTP protocol (KServe v2) as PyTriton's clients and NeMo-Aligner speak it: `sentences` in, `rewards` out.
//!
//! Tensors come as JSON (`data`), or as bytes behind the JSON, whose length the header `Inference-Header-Content-Length`
//! tells; a text among such bytes has its length in four bytes before it, little-endian. Replies have the form the
//! request asks for.

use serde_json::{Map, Value, json};

use super::fields::{self, Number, Object};
use crate::serve::failure::Failure;
use crate::serve::request::{Answers, Ask, Call, Incoming, Reply};

/// The name of the model in every path.
pub(in crate::serve) const MODEL: &str = "reward_model";
/// Where the length of the JSON before the tensors stands.
pub(in crate::serve) const JSON_LENGTH: &str = "inference-header-content-length";
const SENTENCES: &str = "sentences";
const REWARDS: &str = "rewards";

/// `POST /v2/models/reward_model/infer`.
pub(super) fn infer(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let (head, tensors) = split(incoming)?;
    let body = fields::object(&Incoming { body: head, ..*incoming })?;
    let sentences = sentences(incoming, &body, tensors)?;
    let binary = wants_binary(&body)?;
    let id = body.get("id").and_then(Value::as_str).map(str::to_owned);
    let ask = Ask::of(fields::policy_texts(sentences));
    Ok(Call { ask, reply: Box::new(move |answers| reply(answers, id.as_deref(), binary)) })
}

/// The JSON and the bytes behind it.
fn split<'a>(incoming: &Incoming<'a>) -> Result<(&'a [u8], &'a [u8]), Failure> {
    let Some(length) = incoming.headers.get(JSON_LENGTH) else { return Ok((incoming.body, &[])) };
    let length = length.to_str().ok().and_then(|length| length.trim().parse::<usize>().ok());
    length.and_then(|length| incoming.body.split_at_checked(length)).ok_or_else(|| {
        let found = format!("not a number from 0 to the {} bytes of the body", incoming.body.len());
        Failure::malformed(found).at("Inference-Header-Content-Length")
    })
}

/// The texts of the input `sentences`; other inputs' bytes are passed over.
fn sentences(incoming: &Incoming<'_>, body: &Object, mut tensors: &[u8]) -> Result<Vec<String>, Failure> {
    let inputs = fields::list(fields::required(body, "inputs", "a list of tensors")?, "inputs", "a list of tensors")?;
    let mut found = None;
    for (index, input) in inputs.iter().enumerate() {
        let field = format!("inputs[{index}]");
        let object = input.as_object().ok_or_else(|| fields::wrong(&field, input, "an object"))?;
        let size = object.get("parameters").and_then(|parameters| parameters.get("binary_data_size"));
        let bytes = match size {
            None => None,
            Some(size) => {
                let split = size.as_u64().and_then(|size| tensors.split_at_checked(usize::try_from(size).ok()?));
                let (bytes, rest) = split.ok_or_else(|| {
                    let found = format!("binary_data_size is {size}; {} bytes are left", tensors.len());
                    Failure::malformed(found).at(field.clone())
                })?;
                tensors = rest;
                Some(bytes)
            }
        };
        if object.get("name").and_then(Value::as_str) == Some(SENTENCES) {
            found = Some(texts(incoming, object, bytes, &field)?);
        }
    }
    found.ok_or_else(|| {
        let names: Vec<&str> = inputs.iter().filter_map(|input| input.get("name")?.as_str()).collect();
        let message = format!(
            "the inputs are {}; token ids of another tokenizer cannot be scored",
            crate::error::quote(&names.join(", "))
        );
        Failure::malformed(message).at("inputs").hint("send `sentences` (BYTES, UTF-8)")
    })
}

fn texts(incoming: &Incoming<'_>, input: &Object, bytes: Option<&[u8]>, field: &str) -> Result<Vec<String>, Failure> {
    if let Some(other) = input.get("datatype").filter(|kind| kind.as_str() != Some("BYTES")) {
        return Err(Failure::malformed(format!("the datatype is {other}; accepted: BYTES")).at(field));
    }
    let texts = if let Some(bytes) = bytes {
        unframe(bytes, field)?
    } else {
        let data = fields::required(input, "data", "a list of text, or bytes behind the JSON")?;
        let mut texts = Vec::new();
        flatten(data, field, &mut texts)?;
        texts
    };
    fields::check_count(incoming, texts.len(), field)?;
    let shape: Option<Vec<u64>> =
        input.get("shape").and_then(|shape| shape.as_array()?.iter().map(Value::as_u64).collect());
    let says = shape.as_ref().map(|shape| shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side)));
    match says {
        Some(Some(count)) if count == texts.len() as u64 => Ok(texts),
        _ => {
            let shape = input.get("shape").unwrap_or(&Value::Null);
            Err(Failure::malformed(format!("{} texts do not have the shape {shape}", texts.len())).at(field))
        }
    }
}

/// Texts that have their length before them.
fn unframe(mut bytes: &[u8], field: &str) -> Result<Vec<String>, Failure> {
    let cut = || Failure::malformed("the bytes end inside a text").at(field);
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
        let text = std::str::from_utf8(text).map_err(|_| Failure::malformed("a text is not UTF-8").at(field))?;
        texts.push(text.to_owned());
        bytes = rest;
    }
    Ok(texts)
}

/// Lists in lists are the rows of a tensor; JSON is nested 128 deep at most.
fn flatten(value: &Value, field: &str, texts: &mut Vec<String>) -> Result<(), Failure> {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(list) => list.iter().try_for_each(|value| flatten(value, field, texts))?,
        other => return Err(fields::wrong(field, other, "text")),
    }
    Ok(())
}

/// Whether the rewards are wanted as bytes.
fn wants_binary(body: &Object) -> Result<bool, Failure> {
    let parameter =
        |object: Option<&Value>, name: &str| object.and_then(|object| object.get("parameters")?.get(name)?.as_bool());
    let Some(outputs) = fields::value(body, "outputs") else {
        return Ok(fields::value(body, "parameters")
            .and_then(|all| all.get("binary_data_output")?.as_bool())
            .unwrap_or(false));
    };
    let outputs = fields::list(outputs, "outputs", "a list of outputs")?;
    for output in outputs {
        let name = output.get("name").and_then(Value::as_str).unwrap_or_default();
        if name != REWARDS {
            let found = format!("no output is called {}; accepted: {REWARDS}", crate::error::quote(name));
            return Err(Failure::malformed(found).at("outputs"));
        }
    }
    Ok(parameter(outputs.first(), "binary_data").unwrap_or(false))
}

fn reply(answers: &Answers<'_>, id: Option<&str>, binary: bool) -> Reply {
    let number = Number::combined(false);
    let rewards: Vec<f32> = answers.scored.iter().map(|scored| fields::narrow(number.of(scored))).collect();
    let mut output = json!({ "name": REWARDS, "datatype": "FP32", "shape": [rewards.len(), 1] });
    if binary {
        output["parameters"] = json!({ "binary_data_size": 4 * rewards.len() });
    } else {
        output["data"] = json!(rewards);
    }
    let mut head = Map::new();
    head.extend(id.map(|id| ("id".to_owned(), json!(id))));
    head.insert("model_name".to_owned(), json!(MODEL));
    head.insert("model_version".to_owned(), json!("1"));
    head.insert("outputs".to_owned(), json!([output]));
    if !binary {
        return Reply::Json(Value::Object(head));
    }
    let mut body = Value::Object(head).to_string().into_bytes();
    let json_bytes = body.len();
    rewards.iter().for_each(|reward| body.extend(reward.to_le_bytes()));
    Reply::Tensors { json_bytes, body }
}

/// `GET /v2/models/reward_model`: the tensors in and out.
pub(in crate::serve) fn metadata() -> Value {
    json!({
        "name": MODEL, "versions": ["1"], "platform": "ensemble",
        "inputs": [{ "name": SENTENCES, "datatype": "BYTES", "shape": [-1, 1] }],
        "outputs": [{ "name": REWARDS, "datatype": "FP32", "shape": [-1, 1] }],
    })
}

/// `GET /v2/models/reward_model/config`, from which PyTriton's clients build their requests.
pub(in crate::serve) fn config(max_items: usize) -> Value {
    json!({
        "name": MODEL, "platform": "", "backend": "ensemble", "max_batch_size": max_items,
        "input": [{ "name": SENTENCES, "data_type": "TYPE_STRING", "dims": [1] }],
        "output": [{ "name": REWARDS, "data_type": "TYPE_FP32", "dims": [1] }],
        "instance_group": [{ "kind": "KIND_CPU", "count": 1 }],
        "parameters": {},
    })
}
