//! Our own route: everything that is known of every item.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::{self, Object};
use crate::config::Rule;
use crate::data::{domain, parse_answer};
use crate::ensemble::write_score;
use crate::serve::failure::Failure;
use crate::serve::request::{Answers, Ask, Asked, Call, Content, Incoming, Scored};

const KEYS: [&str; 6] = ["items", "weights", "combine", "uncertainty_penalty", "group", "expect_digest"];
const ITEMS: &str = "a list of items, each {messages}, {prompt, response} or {text}";

/// `POST /v1/score`.
pub(super) fn score(incoming: &Incoming<'_>) -> Result<Call, Failure> {
    let body = fields::object(incoming)?;
    fields::known_keys(&body, &KEYS, "body")?;
    let items = fields::list(fields::required(&body, "items", ITEMS)?, "items", ITEMS)?;
    if items.is_empty() {
        return Err(Failure::invalid("items", "an empty list; accepted: at least one item"));
    }
    fields::check_count(incoming, items.len(), "items")?;
    let items =
        items.iter().enumerate().map(|(index, value)| item(index, value).map_err(|failure| failure.of_item(index)));
    let ask = Ask {
        items: items.collect::<Result<_, _>>()?,
        weights: weights(&body)?,
        rule: rule(&body)?,
        uncertainty_penalty: penalty(&body)?,
        group: fields::flag(&body, &["group"], false)?,
        expect_digest: match fields::value(&body, "expect_digest") {
            Some(value) => Some(fields::text(value, "expect_digest")?.to_owned()),
            None => None,
        },
    };
    Ok(Call::new(ask, reply))
}

fn item(index: usize, value: &Value) -> Result<Asked, Failure> {
    let place = format!("items[{index}]");
    let Some(object) = value.as_object() else { return Err(fields::wrong(place, value, "an object")) };
    let domain = domain(object, "domain", &place).map_err(|error| Failure::of(&error))?;
    let content = if let Some(text) = fields::value(object, "text") {
        policy_text(object, text, &place)?
    } else {
        Content::Item(parse_answer(object, &place).map_err(|error| Failure::of(&error))?)
    };
    Ok(Asked { content, domain })
}

fn policy_text(object: &Object, text: &Value, place: &str) -> Result<Content, Failure> {
    let text = fields::text(text, &format!("{place}.text"))?.to_owned();
    let prompt = fields::value(object, "prompt").map(|prompt| fields::text(prompt, &format!("{place}.prompt")));
    let prompt = prompt.transpose()?.map(str::to_owned);
    if let Some(other) = ["messages", "response"].iter().find(|field| fields::value(object, field).is_some()) {
        return Err(Failure::invalid(place, format!("both text and {other}; accepted: one of them")));
    }
    Ok(Content::PolicyText { text, prompt })
}

fn weights(body: &Object) -> Result<BTreeMap<String, f64>, Failure> {
    let Some(value) = fields::value(body, "weights") else { return Ok(BTreeMap::new()) };
    let accepted = "an object of objectives and numbers, as {\"safety\": 2.0}";
    let object = value.as_object().ok_or_else(|| fields::wrong("weights", value, accepted))?;
    let weight = |(name, value): (&String, &Value)| {
        let number = value.as_f64().ok_or_else(|| fields::wrong(format!("weights.{name}"), value, "a number"))?;
        Ok((name.clone(), number))
    };
    object.iter().map(weight).collect()
}

fn rule(body: &Object) -> Result<Option<Rule>, Failure> {
    let Some(value) = fields::value(body, "combine") else { return Ok(None) };
    let rule: Rule = serde_json::from_value(value.clone()).map_err(|error| {
        let failure = Failure::malformed(error.to_string()).at("combine");
        failure.hint("a rule with its numbers, as {\"kind\": \"worst_case\"}")
    })?;
    // serde lets unknown keys pass beside a rule without numbers.
    let written = serde_json::to_value(&rule).unwrap_or_default();
    if let (Some(object), Some(written)) = (value.as_object(), written.as_object()) {
        let known: Vec<&str> = written.keys().map(String::as_str).collect();
        fields::known_keys(object, &known, "combine")?;
    }
    Ok(Some(rule))
}

fn penalty(body: &Object) -> Result<Option<f64>, Failure> {
    let Some(value) = fields::value(body, "uncertainty_penalty") else { return Ok(None) };
    let number = value.as_f64().ok_or_else(|| fields::wrong("uncertainty_penalty", value, "a number, 0 or more"))?;
    Ok(Some(number))
}

fn reply(answers: &Answers<'_>) -> Value {
    let result = |(index, scored): (usize, &Scored)| {
        let mut row = Map::new();
        row.insert("index".to_owned(), json!(index));
        write_score(&mut row, answers.names, &scored.score, scored.domain.as_deref());
        row.insert("format".to_owned(), json!(scored.reading.format));
        if let Some(complete) = scored.reading.complete {
            row.insert("complete".to_owned(), json!(complete));
        }
        let reading = &scored.reading;
        let marks = [("empty", reading.empty), ("prompt_lost", !reading.prompt_found)];
        row.extend(marks.into_iter().filter(|(_, mark)| *mark).map(|(name, mark)| (name.to_owned(), json!(mark))));
        if reading.turns_in_response > 0 {
            row.insert("turns_in_response".to_owned(), json!(reading.turns_in_response));
        }
        if reading.bos > 1 {
            row.insert("bos".to_owned(), json!(reading.bos));
        }
        Value::Object(row)
    };
    let results: Vec<Value> = answers.scored.iter().enumerate().map(result).collect();
    let mut body = json!({
        "id": format!("score-{}", answers.id),
        "model": answers.model,
        "digest": answers.digest,
        "objectives": answers.names,
        "results": results,
    });
    if let Some(group) = &answers.group {
        body["group"] = group.to_json(answers.names);
    }
    body
}
