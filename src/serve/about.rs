//! What the server says of itself and of its registry.

use serde_json::{Map, Value, json};

use super::dialects::{LABEL, ROUTES, request_schema, triton};
use super::service::Service;

/// A document about the server.
type Document = fn(&Service) -> Value;

/// Triton's documents, by path.
pub(super) const TRITON: [(&str, Document); 5] = [
    (
        "/v2",
        |_| json!({ "name": "ensemble", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] }),
    ),
    ("/v2/models/reward_model", |_| triton::metadata()),
    ("/v2/models/reward_model/versions/1", |_| triton::metadata()),
    ("/v2/models/reward_model/config", |service| triton::config(service.settings.max_items)),
    ("/v2/models/reward_model/versions/1/config", |service| triton::config(service.settings.max_items)),
];

/// `POST /v2/repository/index`: the one model there is.
pub(super) fn triton_index() -> Value {
    json!([{ "name": triton::MODEL, "version": "1", "state": "READY" }])
}

/// `GET /v1/models`.
pub(super) fn models(service: &Service) -> Value {
    let created = service.started();
    let name = &service.identity.manifest.name;
    let model = json!({ "id": name, "object": "model", "created": created, "owned_by": "ensemble" });
    json!({ "object": "list", "data": [model] })
}

/// `GET /info`: the fields of text-embeddings-inference, and what the registry knows of its heads under `ensemble`.
pub(super) fn info(service: &Service) -> Value {
    let manifest = &service.identity.manifest;
    let (labels, ids) = (json!({ "0": LABEL }), json!({ LABEL: 0 }));
    json!({
        "model_id": manifest.name,
        "model_sha": service.identity.digest,
        "model_dtype": "float32",
        "model_type": { "classifier": { "id2label": labels, "label2id": ids } },
        "max_concurrent_requests": service.settings.max_connections,
        "max_input_length": manifest.backbone.max_tokens,
        "max_batch_tokens": service.settings.batch_tokens,
        "max_batch_requests": Value::Null,
        "max_client_batch_size": service.settings.max_items,
        "auto_truncate": true,
        "tokenization_workers": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "sha": Value::Null,
        "docker_label": Value::Null,
        "ensemble": registry(service),
    })
}

fn registry(service: &Service) -> Value {
    let manifest = &service.identity.manifest;
    let objective = |entry: &crate::registry::ObjectiveEntry| {
        json!({
            "name": entry.name,
            "question": entry.question,
            "weight": entry.weight,
            "labels": entry.labels,
            "quality": entry.quality,
            "reference": entry.reference,
        })
    };
    json!({
        "name": manifest.name,
        "digest": service.identity.digest,
        "created_by": manifest.created_by,
        "backbone": manifest.backbone,
        "combine": manifest.combine,
        "objectives": manifest.objectives.iter().map(objective).collect::<Vec<Value>>(),
    })
}

/// `GET /openapi.json`.
pub(super) fn openapi() -> Value {
    let mut paths = Map::new();
    let error = json!({ "description": "Why there is no score: code, message, item, field, hint" });
    let later = json!({ "description": "No room, or stopping: come back", "headers": { "Retry-After": { "schema": { "type": "integer" } } } });
    for route in &ROUTES {
        for path in route.paths {
            let example: Value = serde_json::from_str(route.example).unwrap_or_default();
            let content = json!({ "application/json": { "schema": request_schema(route.name), "example": example } });
            let post = json!({
                "summary": route.about,
                "operationId": path.trim_start_matches('/').replace('/', "_"),
                "requestBody": { "required": true, "content": content },
                "responses": {
                    "200": { "description": "Scores", "content": { "application/json": {} } },
                    "400": error, "413": error, "422": error, "500": error, "503": later, "504": later,
                },
            });
            paths.insert((*path).to_owned(), json!({ "post": post }));
        }
    }
    let documents = [
        ("/live", "Whether the process answers; needs no key"),
        ("/ready", "Whether requests should be sent here"),
        ("/health", "The same"),
        ("/metrics", "Counters in the text format of Prometheus"),
        ("/info", "The registry: heads, held-out quality, limits"),
        ("/v1/models", "The registry's name"),
        ("/openapi.json", "This document"),
    ];
    let about = TRITON.iter().map(|(path, _)| (*path, "Triton's description of the model"));
    for (path, summary) in documents.into_iter().chain(about) {
        let response = json!({ "200": { "description": summary } });
        paths.insert(path.to_owned(), json!({ "get": { "summary": summary, "responses": response } }));
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "ensemble", "version": env!("CARGO_PKG_VERSION"), "description": "Reward scores for stage two" },
        "paths": paths,
        "components": { "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } } },
    })
}
