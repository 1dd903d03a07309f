//! Every recorded request of every peer: the status and the shape of the reply.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, ask};
use super::fake::{NAMES, Running};
use crate::serve::Settings;

const FILES: [&str; 9] =
    ["native", "openrlhf", "align_anything", "vllm", "sglang", "tei", "llama_factory", "slime", "triton"];

/// Whether a value has a shape of `tests/trainers/bodies/README.md`.
fn fits(value: &Value, shape: &Value) -> bool {
    match shape {
        Value::String(words) => words.split('|').any(|word| match word {
            "number" => value.is_number() && value.as_f64().is_some_and(f64::is_finite),
            "share" => value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)),
            "integer" => value.is_u64() || value.is_i64(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "object" => value.is_object(),
            "any" => true,
            other => panic!("no such shape: {other}"),
        }),
        Value::Array(shapes) => match (value.as_array(), shapes.first()) {
            (Some(values), None) => values.is_empty(),
            (Some(values), Some(shape)) => !values.is_empty() && values.iter().all(|value| fits(value, shape)),
            (None, _) => false,
        },
        Value::Object(fields) if fields.is_empty() => value.as_object().is_some_and(serde_json::Map::is_empty),
        Value::Object(fields) => {
            fields.iter().all(|(name, shape)| value.get(name).is_some_and(|value| fits(value, shape)))
        }
        other => panic!("no shape: {other}"),
    }
}

/// Repeats the one element of a list in the body.
fn repeat(body: &mut Value, how: &Value) {
    let key = how["key"].as_str().expect("a key");
    let mut place = body;
    for step in key.split('.') {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    let list = place.as_array_mut().expect("a list");
    let one = list.first().cloned().expect("one element");
    *list = vec![one; how["times"].as_u64().expect("a number") as usize];
}

fn send(running: &Running, case: &Value) -> Answer {
    let text = |field: &str| case[field].as_str().unwrap_or_default();
    let body = match case.get("body") {
        None => text("body_text").to_owned(),
        Some(body) => {
            let mut body = body.clone();
            if let Some(how) = case.get("repeat") {
                repeat(&mut body, how);
            }
            body.to_string()
        }
    };
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    for (name, value) in case.get("headers").and_then(Value::as_object).into_iter().flatten() {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.extend(value.as_str().map(|value| (name.to_lowercase(), value.to_owned())));
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    ask(running.address, text("method"), text("path"), &headers, body.as_bytes())
}

#[test]
fn every_recorded_request_is_answered_with_its_status_and_shape() {
    let settings = Settings { max_items: 1024, ..Settings::default() };
    let running = Running::start(settings, Duration::ZERO, 2);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trainers/bodies");
    let mut cases = 0;
    let mut wrong = Vec::new();
    for file in FILES {
        let text = crate::files::read_text(&folder.join(format!("{file}.json")), "recorded bodies").expect("there");
        let list: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        for case in &list {
            let answer = send(&running, case);
            let status = u64::from(answer.status);
            let right = match &case["status"] {
                Value::Array(list) => list.iter().any(|one| one.as_u64() == Some(status)),
                one => one.as_u64() == Some(status),
            };
            let shape = &case["reply_shape"];
            let json = answer.header("content-type") == Some("application/json");
            if !right || (*shape != "any" && !shape.is_null() && !(json && fits(&answer.json(), shape))) {
                wrong.push(format!("{file}, {}: {status} {}", case["name"], answer.text()));
            }
            cases += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases > 150, "{cases}");
    assert!(NAMES.iter().all(|name| running.metric(&format!("ensemble_drift{{objective=\"{name}\"}}")) >= 0.0));
}

#[test]
fn a_shape_that_does_not_fit_is_seen() {
    let shape = serde_json::json!({ "rewards": ["number"], "logs": {} });
    assert!(fits(&serde_json::json!({ "rewards": [1.0], "logs": {}, "more": 1 }), &shape));
    for wrong in
        [r#"{"rewards":[],"logs":{}}"#, r#"{"rewards":[null],"logs":{}}"#, r#"{"rewards":[1.0],"logs":{"a":1}}"#, "[]"]
    {
        assert!(!fits(&serde_json::from_str(wrong).expect("JSON"), &shape), "{wrong}");
    }
}
