//! `POST /get_reward`: OpenRLHF's remote reward model (`query`), and align-anything's on the same path (`prompts` and
//! `responses`).

use axum::http::header::USER_AGENT;
use serde_json::{Map, Value, json};

use super::fields::{self, Number, Object};
use crate::serve::failure::Failure;
use crate::serve::request::{Answers, Ask, Asked, Call, Content, Incoming};

/// Either of the two; their keys tell them apart.
pub(super) fn get_reward(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    if body.contains_key("query") { openrlhf(incoming, &body) } else { align_anything(incoming, &body) }
}

/// `{query, prompts, labels}`: the texts are a prompt and its answer as the policy's tokenizer decodes them. An empty
/// list is a shard of a batch that went elsewhere, and is answered with empty lists.
fn openrlhf(incoming: &Incoming<'_>, body: &Object) -> Result<Call, Failure> {
    let query = fields::required(body, "query", "a list of text")?;
    fields::check_count(incoming, query.as_array().map_or(0, Vec::len), "query")?;
    let query = fields::texts(query, "query")?;
    let prompts = prompts(body, query.len())?;
    let ask = |(text, prompt)| Asked::from(Content::PolicyText { text, prompt });
    let items = query.into_iter().zip(prompts).map(ask).collect();
    let logs = takes_logs(incoming)?;
    Ok(Call::new(Ask::of(items), move |answers| reply(answers, logs)))
}

/// The prompts beside the texts; none where the client has none to tell.
fn prompts(body: &Object, count: usize) -> Result<Vec<Option<String>>, Failure> {
    let Some(value) = fields::value(body, "prompts") else { return Ok(vec![None; count]) };
    let values = fields::list(value, "prompts", "a list of text")?;
    if values.len() != count {
        let found = format!("{} prompts beside {count} texts in query", values.len());
        return Err(Failure::invalid("prompts", found).hint("send one prompt for each text, or none at all"));
    }
    let prompt = |(index, value): (usize, &Value)| match value {
        Value::Null => Ok(None),
        other => fields::text(other, &format!("prompts[{index}]")).map(|text| Some(text.to_owned())),
    };
    values.iter().enumerate().map(prompt).collect()
}

/// Whether the client can take the objectives' scores beside the reward. OpenRLHF 0.8 concatenates them as if they were
/// tensors and stops; it asks through `requests`, as no later version does. `?extra_logs=true` or `false` in the
/// address decides for itself.
fn takes_logs(incoming: &Incoming<'_>) -> Result<bool, Failure> {
    for pair in incoming.query.split('&') {
        match pair.split_once('=') {
            Some(("extra_logs", "true")) => return Ok(true),
            Some(("extra_logs", "false")) => return Ok(false),
            Some(("extra_logs", other)) => {
                let found = format!("{}; accepted: true or false", crate::error::quote(other));
                return Err(Failure::malformed(found).at("extra_logs"));
            }
            _ => {}
        }
    }
    let agent = incoming.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Ok(!agent.starts_with("python-requests/"))
}

fn reply(answers: &Answers<'_>, logs: bool) -> Value {
    let rewards: Vec<f64> = answers.scored.iter().map(|scored| scored.score.combined).collect();
    let scores: Vec<f64> = answers.scored.iter().map(|scored| Number::combined(true).of(scored)).collect();
    let mut extra = Map::new();
    for (index, name) in answers.names.iter().enumerate().filter(|_| logs) {
        let normalized = |scored: &crate::serve::request::Scored| scored.score.objectives[index].normalized;
        extra.insert(name.clone(), json!(answers.scored.iter().map(normalized).collect::<Vec<f64>>()));
    }
    json!({ "rewards": rewards, "scores": scores, "extra_logs": extra })
}

/// `{prompts, responses}` to `{rewards}`.
fn align_anything(incoming: &Incoming<'_>, body: &Object) -> Result<Call, Failure> {
    const ACCEPTED: &str = "`query` (OpenRLHF), or `prompts` and `responses` (align-anything): lists of text";
    let responses = fields::required(body, "responses", ACCEPTED)?;
    fields::check_count(incoming, responses.as_array().map_or(0, Vec::len), "responses")?;
    let responses = fields::texts(responses, "responses")?;
    let prompts = fields::texts(fields::required(body, "prompts", ACCEPTED)?, "prompts")?;
    if prompts.len() != responses.len() {
        let found = format!("{} prompts beside {} responses", prompts.len(), responses.len());
        return Err(Failure::invalid("prompts", found).hint("send one prompt for each response"));
    }
    let ask = |(prompt, response)| Asked::from(Content::PolicyPrompt { prompt, response });
    let items = prompts.into_iter().zip(responses).map(ask).collect();
    Ok(Call::new(
        Ask::of(items),
        |answers| json!({ "rewards": answers.scored.iter().map(|scored| scored.score.combined).collect::<Vec<f64>>() }),
    ))
}
