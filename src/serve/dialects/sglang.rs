//! SGLang's `/classify` of a reward model: `{text}` or `{conv}` to `[{"embedding": [score]}]`. Its `/v1/embeddings` is
//! answered in `vllm`, whose reply it shares.

use serde_json::{Value, json};

use super::fields::{self, Number, Object};
use super::vllm;
use crate::serve::failure::{Failure, Style};
use crate::serve::request::{Ask, Asked, Call, Incoming};

/// `POST /classify`: vLLM's if the body has `input` or `messages`.
pub(super) fn classify(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    if body.contains_key("text") || body.contains_key("conv") || body.contains_key("input_ids") {
        return texts(incoming, &body).map_err(|failure| failure.styled(Style::OpenAi));
    }
    vllm::classify(incoming, &body)
}

fn texts(incoming: &Incoming<'_>, body: &Object) -> Result<Call, Failure> {
    let (items, many): (Vec<Asked>, bool) = if let Some(conversations) = fields::value(body, "conv") {
        let accepted = "a list of conversations, each a list of messages";
        let list = fields::list(conversations, "conv", accepted)?;
        fields::check_count(incoming, list.len(), "conv")?;
        let ask = |(index, value)| fields::conversation(value, &format!("conv[{index}]"));
        (list.iter().enumerate().map(ask).collect::<Result<_, _>>()?, true)
    } else if let Some(text) = fields::value(body, "text") {
        fields::check_count(incoming, text.as_array().map_or(1, Vec::len), "text")?;
        let (texts, many) = fields::one_or_many(text, "text")?;
        (fields::policy_texts(texts), many)
    } else {
        let failure = Failure::malformed("token ids of another tokenizer cannot be scored").at("input_ids");
        return Err(failure.hint("send `text` or `conv`"));
    };
    let number = Number::of_model(body, incoming.names, false);
    Ok(Call::new(Ask::of(items), move |answers| {
        let entry = |(index, scored): (usize, &crate::serve::request::Scored)| {
            let about = json!({ "id": format!("{}-{index}", answers.id), "prompt_tokens": scored.score.tokens });
            json!({ "embedding": [number.of(scored)], "meta_info": about })
        };
        let mut entries: Vec<Value> = answers.scored.iter().enumerate().map(entry).collect();
        if many { json!(entries) } else { entries.pop().unwrap_or_default() }
    }))
}
