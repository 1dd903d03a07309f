//! Bodies in and replies out, for what recorded requests do not show: the numbers in a reply, and tensors as bytes.

use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use super::{ROUTES, triton};
use crate::ensemble::{ObjectiveScore, Score};
use crate::logistic::sigmoid;
use crate::serve::failure::Failure;
use crate::serve::request::{Answers, Ask, Call, Content, Incoming, Reading, Reply, Scored};

const NAMES: [&str; 2] = ["helpfulness", "safety"];

fn parse(route: &str, body: &[u8], headers: &HeaderMap, query: &str) -> Result<Call, Failure> {
    let names = NAMES.map(str::to_owned);
    let route = ROUTES.iter().find(|known| known.name == route).expect("a route");
    (route.parse)(&Incoming { body, headers, query, names: &names, max_items: 8 })
}

fn call(route: &str, body: &Value) -> Call {
    let call = parse(route, body.to_string().as_bytes(), &HeaderMap::new(), "");
    call.unwrap_or_else(|failure| panic!("{route} {body}: {failure:?}"))
}

/// The reply to texts whose combined scores are these; their objectives score 10 and 20 more.
fn reply_with(call: Call, combined: &[f64]) -> Reply {
    assert_eq!(call.ask.items.len(), combined.len());
    let names = NAMES.map(str::to_owned);
    let scored = |combined: &f64| {
        let objective = |more: f64| ObjectiveScore {
            raw: 0.5,
            raw_error: None,
            normalized: combined + more,
            error: None,
            in_domain: false,
        };
        let objectives = vec![objective(10.0), objective(20.0)];
        let score = Score { objectives, combined: *combined, novelty: None, tokens: 4, cut: 0 };
        Scored { score, reading: Reading::of("messages"), domain: None }
    };
    let scored: Vec<Scored> = combined.iter().map(scored).collect();
    let answers =
        Answers { id: "r1", created: 7, digest: "d", model: "own", names: &names, scored: &scored, group: None };
    (call.reply)(&answers)
}

fn reply(route: &str, body: &Value, combined: &[f64]) -> Value {
    match reply_with(call(route, body), combined) {
        Reply::Json(value) => value,
        Reply::Tensors { .. } => panic!("bytes"),
    }
}

#[test]
fn each_dialect_tells_the_combined_score_where_its_client_looks() {
    let raw = [("use_activation", false), ("activation", false), ("softmax", false), ("normalize", false)];
    for (name, flag) in raw {
        let body = json!({ "model": "/disk/reward", "input": ["a", "b"], name: flag });
        let found = reply("classify", &body, &[1.5, -2.0]);
        assert_eq!((&found["data"][0]["probs"], &found["data"][1]["probs"]), (&json!([1.5]), &json!([-2.0])), "{name}");
        assert_eq!((&found["model"], &found["usage"]["prompt_tokens"]), (&json!("/disk/reward"), &json!(8)));
        assert_eq!(reply("pooling", &body, &[1.5, -2.0])["data"][1]["data"], json!([-2.0]));
    }
    let squashed = reply("classify", &json!({ "input": "a" }), &[1.5]);
    assert_eq!(squashed["data"][0]["probs"], json!([sigmoid(1.5)]));
    assert_eq!(
        reply("embeddings", &json!({ "model": "m", "input": "a" }), &[1.5])["data"][0]["embedding"],
        json!([1.5])
    );
    assert_eq!(reply("classify", &json!({ "text": ["a"] }), &[1.5])[0]["embedding"], json!([1.5]));
    assert_eq!(reply("classify", &json!({ "text": "a" }), &[1.5])["embedding"], json!([1.5]));
    assert_eq!(reply("slime", &json!({ "prompt": "a", "response": "b" }), &[1.5]), json!(1.5));
    let scores = reply("slime_scores", &json!({ "prompt": "a", "response": "b" }), &[1.5]);
    assert_eq!(scores, json!({ "score": 1.5, "helpfulness": 11.5, "safety": 21.5 }));
    assert_eq!(reply("score_evaluation", &json!({ "messages": ["a", "b"] }), &[1.5, 2.0])["scores"], json!([1.5, 2.0]));
    assert_eq!(
        reply("predict", &json!({ "inputs": "a" }), &[1.5]),
        json!([{ "score": sigmoid(1.5), "label": "reward" }])
    );
    let batch = reply("predict", &json!({ "inputs": [["a"], ["b", "c"]], "raw_scores": true }), &[1.5, 2.0]);
    assert_eq!(batch[1], json!([{ "score": 2.0, "label": "reward" }]));
}

#[test]
fn a_model_called_like_an_objective_is_that_objective() {
    let ask = |model: &str| json!({ "model": model, "input": "a", "use_activation": false });
    let number = |model: &str| reply("classify", &ask(model), &[1.0])["data"][0]["probs"][0].as_f64();
    assert_eq!((number("safety"), number("helpfulness"), number("Safety")), (Some(21.0), Some(11.0), Some(1.0)));
}

#[test]
fn openrlhf_gets_rewards_shares_and_logs_and_its_version_0_8_no_logs() {
    let body = json!({ "query": ["a", "b"], "prompts": ["", null], "labels": [null, 3] }).to_string();
    let ask = |agent: &'static str, query: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        let call = parse("get_reward", body.as_bytes(), &headers, query).expect("taken");
        match reply_with(call, &[1.0, -1.0]) {
            Reply::Json(value) => value,
            Reply::Tensors { .. } => panic!("bytes"),
        }
    };
    let logs = json!({ "helpfulness": [11.0, 9.0], "safety": [21.0, 19.0] });
    let aiohttp = ask("Python/3.12 aiohttp/3.13", "");
    assert_eq!(aiohttp, json!({ "rewards": [1.0, -1.0], "scores": [sigmoid(1.0), sigmoid(-1.0)], "extra_logs": logs }));
    assert_eq!(ask("python-requests/2.32", "")["extra_logs"], json!({}));
    assert_eq!(ask("python-requests/2.32", "extra_logs=true")["extra_logs"], logs);
    assert_eq!(ask("Python/3.12 aiohttp/3.13", "a=b&extra_logs=false")["extra_logs"], json!({}));
}

#[test]
fn rankings_are_ordered_by_score_and_ties_by_place() {
    let body = json!({ "query": "q", "texts": ["a", "b", "c", "d"], "raw_scores": true, "return_text": true });
    let found = reply("rerank", &body, &[0.0, 2.0, 2.0, -1.0]);
    let order: Vec<&Value> = found.as_array().expect("a list").iter().map(|entry| &entry["text"]).collect();
    assert_eq!(order, ["b", "c", "a", "d"]);
    let body = json!({ "query": "q", "documents": ["a", "b", "c"], "top_n": 2, "use_activation": false });
    let found = reply("vllm_rerank", &body, &[0.0, -2.0, 2.0]);
    let results = found["results"].as_array().expect("a list");
    assert_eq!(
        (results.len(), &results[0]),
        (2, &json!({ "index": 2, "document": { "text": "c" }, "relevance_score": 2.0 }))
    );
    // One prompt goes with all responses, or each with its own.
    let Ask { items, .. } = call("vllm_score", &json!({ "text_1": "q", "text_2": ["a", "b"] })).ask;
    let of = |prompt: &str, response: &str| Content::PolicyPrompt {
        prompt: prompt.to_owned(),
        response: response.to_owned(),
    };
    assert_eq!(items, [of("q", "a").into(), of("q", "b").into()]);
    let Ask { items, .. } = call("score", &json!({ "queries": ["q", "r"], "documents": ["a", "b"] })).ask;
    assert_eq!(items, [of("q", "a").into(), of("r", "b").into()]);
}

#[test]
fn base64_is_of_the_bytes_of_one_float() {
    let ask = |more: &str| {
        let mut body = json!({ "input": "a", "encoding_format": "base64" });
        if !more.is_empty() {
            body["endianness"] = json!(more);
        }
        reply("embeddings", &body, &[1.5])["data"][0]["embedding"].clone()
    };
    // 1.5 is 3F C0 00 00.
    assert_eq!((ask(""), ask("little"), ask("big")), (json!("AADAPw=="), json!("AADAPw=="), json!("P8AAAA==")));
}

/// A request with its texts as bytes.
fn framed(texts: &[&str], output: &Value) -> (Vec<u8>, HeaderMap) {
    let bytes: Vec<u8> =
        texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()).collect();
    let input = json!({
        "name": "sentences", "shape": [texts.len(), 1], "datatype": "BYTES",
        "parameters": { "binary_data_size": bytes.len() },
    });
    let other = json!({ "name": "other", "shape": [2], "datatype": "UINT8", "parameters": { "binary_data_size": 2 } });
    let head = json!({ "id": "9", "inputs": [other, input], "outputs": [output] }).to_string();
    let mut headers = HeaderMap::new();
    headers.insert(triton::JSON_LENGTH, HeaderValue::from(head.len()));
    ([head.as_bytes(), &[1, 2], &bytes].concat(), headers)
}

#[test]
fn triton_tensors_go_in_and_out_as_bytes() {
    let texts = ["Hello.", "", "zwölf 🙂"];
    let (body, headers) = framed(&texts, &json!({ "name": "rewards", "parameters": { "binary_data": true } }));
    let call = parse("triton", &body, &headers, "").expect("taken");
    let found: Vec<&str> = call
        .ask
        .items
        .iter()
        .map(|asked| match &asked.content {
            Content::PolicyText { text, .. } => text.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, texts);
    let Reply::Tensors { json_bytes, body } = reply_with(call, &[1.5, -2.0, 1e300]) else { panic!("JSON") };
    let (head, tensors) = body.split_at(json_bytes);
    let head: Value = serde_json::from_slice(head).expect("JSON");
    assert_eq!((&head["id"], &head["outputs"][0]["shape"]), (&json!("9"), &json!([3, 1])));
    assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], json!(12));
    let rewards: Vec<f32> =
        tensors.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four"))).collect();
    assert_eq!(rewards, [1.5, -2.0, f32::MAX], "beyond 32 bits is the largest, not infinite");
    // The same, asked for as JSON.
    let (body, headers) = framed(&texts, &json!({ "name": "rewards" }));
    let Reply::Json(value) = reply_with(parse("triton", &body, &headers, "").expect("taken"), &[1.5, 0.0, 0.0]) else {
        panic!("bytes")
    };
    assert_eq!(value["outputs"][0]["data"], json!([1.5, 0.0, 0.0]));
}

#[test]
fn triton_tensors_that_do_not_add_up_are_refused() {
    let (body, headers) = framed(&["Hello."], &json!({ "name": "rewards" }));
    let refused = |body: &[u8], headers: &HeaderMap, word: &str| match parse("triton", body, headers, "") {
        Ok(_) => panic!("{word}: taken"),
        Err(failure) => assert!(failure.message.contains(word), "{word}: {failure:?}"),
    };
    refused(&body[..body.len() - 1], &headers, "bytes are left");
    let mut longer = body.clone();
    let place = body.len() - "Hello.".len() - 4;
    longer[place] += 1;
    refused(&longer, &headers, "end inside a text");
    let mut broken = body.clone();
    *broken.last_mut().expect("bytes") = 0xff;
    refused(&broken, &headers, "not UTF-8");
    for wrong in ["99999", "-1", "x", "18446744073709551616"] {
        let mut headers = HeaderMap::new();
        headers.insert(triton::JSON_LENGTH, HeaderValue::from_static(wrong));
        refused(&body, &headers, "not a number from 0");
    }
    let ids = json!({ "inputs": [{ "name": "tokens", "datatype": "INT64", "shape": [1, 2], "data": [1, 2] }] });
    refused(ids.to_string().as_bytes(), &HeaderMap::new(), "token ids");
}
