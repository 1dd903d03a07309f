//! The bodies as JSON schemas, for `/openapi.json`.

use serde_json::{Value, json};

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn one_or_many() -> Value {
    json!({ "oneOf": [{ "type": "string" }, texts()] })
}

fn message() -> Value {
    json!({
        "type": "object",
        "required": ["role", "content"],
        "properties": { "role": { "enum": ["system", "user", "assistant"] }, "content": { "type": "string" } },
    })
}

fn messages() -> Value {
    json!({ "type": "array", "items": message(), "description": "a conversation, the answer to score last" })
}

fn prompt() -> Value {
    json!({ "oneOf": [{ "type": "string" }, messages()] })
}

/// An object of these fields.
fn fields(required: &[&str], properties: &Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn native() -> Value {
    let domain = json!({ "type": "string", "description": "the domain of the prompt, for normalizers by domain" });
    let text = "a policy's decoded tokens with its chat template";
    let items = json!({ "type": "array", "minItems": 1, "items": { "oneOf": [
        fields(&["messages"], &json!({ "messages": messages(), "domain": domain })),
        fields(&["prompt", "response"], &json!({ "prompt": prompt(), "response": { "type": "string" }, "domain": domain })),
        fields(&["text"], &json!({
            "text": { "type": "string", "description": text },
            "prompt": { "type": "string", "description": "what the text begins with" },
            "domain": domain,
        })),
    ] } });
    fields(
        &["items"],
        &json!({
            "items": items,
            "weights": { "type": "object", "additionalProperties": { "type": "number" } },
            "combine": { "type": "object", "required": ["kind"], "description": "a rule with its numbers" },
            "uncertainty_penalty": { "type": "number", "minimum": 0 },
            "group": { "type": "boolean", "description": "the items are answers to one prompt: compare them" },
            "expect_digest": { "type": "string", "description": "409 if the registry has another digest" },
        }),
    )
}

/// The schema of the bodies that the route of this name takes.
pub(in crate::serve) fn request_schema(name: &str) -> Value {
    let flag = json!({ "type": "boolean" });
    let text = json!({ "type": "string" });
    let vllm = json!({
        "model": text, "input": one_or_many(), "messages": messages(), "use_activation": flag,
        "encoding_format": { "enum": ["float", "base64"] }, "request_id": text,
    });
    let pairs = json!({ "model": text, "text_1": one_or_many(), "text_2": one_or_many(), "use_activation": flag });
    let documents =
        json!({ "query": text, "documents": texts(), "top_n": { "type": "integer" }, "use_activation": flag });
    let reranked = json!({ "query": text, "texts": texts(), "raw_scores": flag, "return_text": flag });
    let sample = fields(&["prompt", "response"], &json!({ "prompt": prompt(), "response": text, "label": {} }));
    match name {
        "score" => json!({ "oneOf": [native(), fields(&["text_1", "text_2"], &pairs)] }),
        "get_reward" => json!({ "oneOf": [
            fields(&["query"], &json!({ "query": texts(), "prompts": texts(), "labels": { "type": "array" } })),
            fields(&["prompts", "responses"], &json!({ "prompts": texts(), "responses": texts() })),
        ] }),
        "classify" => json!({ "oneOf": [
            fields(&[], &vllm),
            fields(&[], &json!({ "model": text, "text": one_or_many(), "conv": { "type": "array", "items": messages() } })),
        ] }),
        "pooling" | "embeddings" => fields(&[], &vllm),
        "vllm_score" => fields(&["text_1", "text_2"], &pairs),
        "rerank" => {
            json!({ "oneOf": [fields(&["query", "texts"], &reranked), fields(&["query", "documents"], &documents)] })
        }
        "vllm_rerank" => fields(&["query", "documents"], &documents),
        "predict" => fields(
            &["inputs"],
            &json!({
                "inputs": { "description": "a text, a pair, or a batch of lists of one or two" }, "raw_scores": flag,
            }),
        ),
        "score_evaluation" => fields(&["messages"], &json!({ "model": text, "messages": texts() })),
        "triton" => fields(&["inputs"], &json!({ "inputs": { "type": "array" }, "outputs": { "type": "array" } })),
        _ => sample,
    }
}
