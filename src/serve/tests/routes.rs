//! All routes: who may use them, what they say of themselves, and what every answer carries.

use std::time::Duration;

use serde_json::Value;

use super::client::{ask, get, items, post};
use super::fake::Running;
use crate::serve::Settings;
use crate::serve::dialects::ROUTES;

const DOCUMENTS: [&str; 12] = [
    "/live",
    "/ready",
    "/health",
    "/metrics",
    "/openapi.json",
    "/info",
    "/v1/models",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/reward_model",
    "/v2/models/reward_model/config",
];

fn running() -> Running {
    Running::start(Settings::default(), Duration::ZERO, 1)
}

#[test]
fn every_route_takes_its_own_example() {
    let running = running();
    for route in &ROUTES {
        for path in route.paths {
            let example: Value = serde_json::from_str(route.example).expect("an example is JSON");
            let answer = post(running.address, path, &example);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert!(!answer.text().contains("null"), "{path}: {}", answer.text());
        }
    }
    DOCUMENTS.iter().for_each(|path| assert_eq!(get(running.address, path).status, 200, "{path}"));
}

#[test]
fn a_server_with_a_key_answers_nothing_else_without_it() {
    let settings = Settings { api_key: Some("secret".to_owned()), ..Settings::default() };
    let running = Running::start(settings, Duration::ZERO, 1);
    let json = ("content-type", "application/json");
    let paths = ROUTES.iter().flat_map(|route| route.paths.iter().map(|path| ("POST", *path)));
    let documents = DOCUMENTS.iter().map(|path| ("GET", *path));
    for (method, path) in paths.chain(documents).chain([("GET", "/no/such/route"), ("DELETE", "/v1/score")]) {
        let status = |headers: &[(&str, &str)]| ask(running.address, method, path, headers, b"{}").status;
        if path == "/live" {
            assert_eq!(status(&[json]), 200);
            continue;
        }
        assert_eq!(status(&[json]), 401, "{path}");
        assert_eq!(status(&[json, ("authorization", "Bearer wrong")]), 401, "{path}");
        assert_ne!(status(&[json, ("authorization", "Bearer secret")]), 401, "{path}");
    }
}

#[test]
fn wrong_paths_and_methods_are_told() {
    let running = running();
    let answer = post(running.address, "/v1/scor", &items(&["x"]));
    assert_eq!((answer.status, answer.json()["error"]["hint"].as_str()), (404, Some("did you mean /v1/score?")));
    for path in ["/v1/score/", "//v1/score", "/v1/../v1/score", "/%2e%2e/etc/passwd", "/v1/score%00"] {
        assert_eq!(post(running.address, path, &items(&["x"])).status, 404, "{path}");
    }
    let answer = get(running.address, "/v1/score");
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{answer:?}");
    assert_eq!(ask(running.address, "DELETE", "/live", &[], &[]).status, 405);
    assert!(get(running.address, "/predict").json()["error_type"].is_string(), "in the dialect of the path");
    assert!(get(running.address, "/v2/models/reward_model/infer").json()["error"].is_string());
}

#[test]
fn answers_name_the_request_and_the_registry_and_open_no_door_to_web_pages() {
    let running = running();
    let json = ("content-type", "application/json");
    let body = items(&["x"]).to_string();
    let ask = |headers: &[(&str, &str)]| ask(running.address, "POST", "/v1/score", headers, body.as_bytes());
    let answer = ask(&[json, ("x-request-id", "step-7")]);
    assert_eq!((answer.header("x-request-id"), answer.header("x-ensemble-digest")), (Some("step-7"), Some("d1")));
    assert_eq!(answer.json()["id"], "score-step-7");
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")));
    assert_eq!(ask(&[json, ("origin", "http://evil.com")]).status, 403);
    let strange = ask(&[json, ("x-request-id", "a: b")]);
    assert!(strange.header("x-request-id").is_some_and(|id| id != "a: b"));
    let mismatch = serde_json::json!({ "items": [{ "prompt": "a", "response": "b" }], "expect_digest": "d2" });
    assert_eq!(post(running.address, "/v1/score", &mismatch).status, 409);
}

#[test]
fn the_document_of_all_routes_names_each_of_them() {
    let document = get(running().address, "/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    for route in &ROUTES {
        for path in route.paths {
            let body = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"];
            assert!(body["schema"].is_object() && body["example"].is_object(), "{path}");
        }
    }
}

#[test]
fn metrics_count_what_happened_and_hold_no_text() {
    let running = running();
    for text in ["canary one", "canary two", "canary one"] {
        assert_eq!(post(running.address, "/v1/score", &items(&[text])).status, 200);
    }
    assert_eq!(post(running.address, "/v1/score", &items(&[])).status, 422);
    assert_eq!(get(running.address, "/canary").status, 404);
    let routed = |status: u16| format!("ensemble_requests_total{{route=\"score\",status=\"{status}\"}}");
    assert_eq!((running.metric(&routed(200)), running.metric(&routed(422))), (3.0, 1.0));
    assert_eq!(running.metric("ensemble_requests_total{route=\"other\",status=\"404\"}"), 1.0);
    assert_eq!(running.metric("ensemble_texts_total{from=\"computed\"}"), 2.0);
    assert_eq!(running.metric("ensemble_texts_total{from=\"recent\"}"), 1.0);
    assert_eq!(running.metric("ensemble_tokens_total"), 6.0);
    assert_eq!(running.metric("ensemble_score_count{objective=\"safety\"}"), 3.0);
    assert!(!get(running.address, "/metrics").text().contains("canary"));
}
