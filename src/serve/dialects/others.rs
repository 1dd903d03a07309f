//! Small dialects: LLaMA-Factory's PPO and slime.

use serde_json::{Map, Value, json};

use super::fields::{self, Number, Object};
use crate::conversation::policy_text::without_end_tokens;
use crate::serve::failure::Failure;
use crate::serve::request::{Answers, Ask, Asked, Call, Content, Incoming};

/// LLaMA-Factory, `POST /v1/score/evaluation`: `{model, messages: [text]}` to `{scores}`; the texts carry the policy's template.
pub(super) fn llama_factory(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    let messages = fields::required(&body, "messages", "a list of text")?;
    fields::check_count(incoming, messages.as_array().map_or(0, Vec::len), "messages")?;
    let messages = fields::texts(messages, "messages")?;
    if messages.is_empty() {
        return Err(Failure::empty("messages", "at least one text"));
    }
    let number = Number::of_model(&body, incoming.names, false);
    Ok(Call::new(Ask::of(fields::policy_texts(messages)), move |answers| {
        let scores: Vec<f64> = answers.scored.iter().map(|scored| number.of(scored)).collect();
        let model = fields::model_name(&body, answers.model);
        json!({ "id": format!("scoreval-{}", answers.id), "object": "score.evaluation", "model": model, "scores": scores })
    }))
}

/// slime, `POST /slime`: one sample `{prompt, response, label}`; the whole reply is the reward.
pub(super) fn slime(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let sample = sample(&fields::object(incoming)?)?;
    Ok(Call::new(Ask::of(vec![sample]), |answers| json!(combined(answers))))
}

/// The same with a number for each objective beside `score`, for `--reward-key`.
pub(super) fn slime_scores(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let sample = sample(&fields::object(incoming)?)?;
    Ok(Call::new(Ask::of(vec![sample]), |answers| {
        let mut reply = Map::new();
        for scored in answers.scored {
            let normalized = scored.score.objectives.iter().map(|objective| json!(objective.normalized));
            reply.extend(answers.names.iter().cloned().zip(normalized));
        }
        reply.insert("score".to_owned(), json!(combined(answers)));
        Value::Object(reply)
    }))
}

fn combined(answers: &Answers<'_>) -> f64 {
    answers.scored.first().map_or(0.0, |scored| scored.score.combined)
}

/// The prompt is text in the policy's template, or messages.
fn sample(body: &Object) -> Result<Asked, Failure> {
    let prompt = fields::required(body, "prompt", "text or messages")?;
    let response = fields::text(fields::required(body, "response", "text")?, "response")?;
    match prompt {
        Value::String(prompt) => {
            Ok(Content::PolicyPrompt { prompt: prompt.clone(), response: response.to_owned() }.into())
        }
        Value::Array(_) => {
            let mut row = body.clone();
            row.insert("response".to_owned(), json!(without_end_tokens(response)));
            fields::answered(&row)
        }
        other => Err(fields::wrong("prompt", other, "text or messages")),
    }
}
