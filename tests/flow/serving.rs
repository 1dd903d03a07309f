//! `ensemble serve`: the bits of `ensemble score` under concurrency, templates, the end, and what is refused at the start.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ensemble::random::Random;
use serde_json::{Map, Value, json};

use crate::project::{Project, trained};
use crate::server::Server;

/// A result without what only the server says.
fn plain(result: &Value) -> Map<String, Value> {
    let mut result = result.as_object().expect("an object").clone();
    ["index", "format", "complete"].iter().for_each(|name| drop(result.remove(*name)));
    result
}

/// 1,000 distinct rows made of the sample data: answers with endings of their own.
fn rows() -> Vec<Value> {
    let text = std::fs::read_to_string(crate::project::repository().join("data/quickstart/rated.jsonl")).expect("data");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let row = |index: usize| {
        let of = &rows[index % rows.len()];
        let response = of["response"].as_str().or(of["responses"][0].as_str()).expect("a response");
        let ending = if index < rows.len() { String::new() } else { format!(" That is point {index}.") };
        json!({ "prompt": of["prompt"], "response": format!("{response}{ending}") })
    };
    (0..1000).map(row).collect()
}

#[test]
fn serving_gives_the_bits_of_score_to_1000_texts_in_random_batches_at_once() {
    let rows = rows();
    let input: Vec<String> = rows.iter().map(Value::to_string).collect();
    let output = trained().score(&input.join("\n"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    // As text: the shortest decimal of a double is its bits.
    let truth: Vec<String> = lines.lines().map(str::to_owned).collect();
    assert_eq!(truth.len(), 1000);
    let mut random = Random::new(5);
    let mut order: Vec<usize> = (0..1000).chain((0..200).map(|_| (random.bits() % 1000) as usize)).collect();
    random.shuffle(&mut order);
    let (mut batches, mut rest) = (Vec::new(), order.as_slice());
    while !rest.is_empty() {
        let (batch, left) = rest.split_at((1 + random.bits() as usize % 17).min(rest.len()));
        batches.push(batch.to_vec());
        rest = left;
    }
    // Without features kept from before, and with them.
    for recent in ["0", "16384"] {
        let server = Server::start(trained(), &["--recent-texts", recent]);
        let next = AtomicUsize::new(0);
        let compared = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::SeqCst)) {
                        let items: Vec<&Value> = batch.iter().map(|index| &rows[*index]).collect();
                        let answer = connection.post("/v1/score", &json!({ "items": items }));
                        assert_eq!(answer.status, 200, "{}", answer.body);
                        for (index, result) in batch.iter().zip(answer.json()["results"].as_array().expect("results")) {
                            assert_eq!(Value::Object(plain(result)).to_string(), truth[*index]);
                            compared.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(compared.into_inner(), 1200);
    }
}

#[test]
fn serving_gives_a_conversation_the_same_bits_in_every_template_and_as_messages() {
    let path = crate::project::repository().join("tests/fixtures/policy_texts.json");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("JSON");
    let server = Server::start(trained(), &[]);
    let mut connection = server.connect();
    let mut score = |item: Value| {
        let answer = connection.post("/v1/score", &json!({ "items": [item] }));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["results"][0].clone()
    };
    let mut compared: BTreeMap<String, usize> = BTreeMap::new();
    for case in &cases {
        let text = |name: &str| case[name].as_str().expect("text").to_owned();
        let trimmed = |text: &str| if case["format"] == "hh" { text.trim().to_owned() } else { text.to_owned() };
        let mut messages = case["messages"].as_array().expect("messages").clone();
        messages
            .iter_mut()
            .for_each(|message| message["content"] = json!(trimmed(message["content"].as_str().expect("text"))));
        messages.push(json!({ "role": "assistant", "content": trimmed(&text("answer")) }));
        let expected = score(json!({ "messages": messages }));
        let whole = format!("{}{}", text("prompt_text"), text("generated"));
        for item in [json!({ "text": whole }), json!({ "text": whole, "prompt": text("prompt_text") })] {
            let found = score(item);
            assert_eq!(found["format"], case["format"]);
            assert_eq!(plain(&found), plain(&expected), "{case}");
        }
        *compared.entry(text("format")).or_default() += 1;
    }
    // Plain text: the prompt is what the trainer says it is.
    let expected = score(json!({ "prompt": "How many legs has a spider?\n", "response": "Eight." }));
    let found =
        score(json!({ "text": "How many legs has a spider?\nEight.", "prompt": "How many legs has a spider?\n" }));
    assert_eq!((&found["format"], plain(&found)), (&json!("plain"), plain(&expected)));
    println!("conversations compared: {compared:?}");
    assert!(["chatml", "llama3", "gemma", "mistral", "hh"].iter().all(|format| compared[*format] >= 5), "{compared:?}");
}

#[test]
fn serving_raw_scores_the_text_as_it_stands() {
    let server = Server::start(trained(), &["--template", "raw"]);
    let text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n";
    let mut connection = server.connect();
    let answer =
        connection.post("/v1/score", &json!({ "items": [{ "text": text }, { "prompt": "Hi", "response": "Hello." }] }));
    let results = &answer.json()["results"];
    assert_eq!((&results[0]["format"], &results[1]["format"]), (&json!("raw"), &json!("messages")));
    assert!(results[0]["tokens"].as_u64() > results[1]["tokens"].as_u64(), "the markers are read: {results}");
}

#[test]
fn serving_loses_no_accepted_request_when_it_is_told_to_stop() {
    let (rows, mut all) = (rows(), 0);
    for trial in 0..10 {
        let server = Server::start(trained(), &[]);
        let next = AtomicUsize::new(0);
        let answered: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..16)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut connection, mut answered) = (server.connect(), 0);
                        loop {
                            let row = &rows[next.fetch_add(1, Ordering::SeqCst) % rows.len()];
                            // A connection that was told to be the last one is not used again; all others are answered.
                            let answer = connection.post("/v1/score", &json!({ "items": [row] }));
                            assert_eq!(answer.status, 200, "{}", answer.body);
                            answered += 1;
                            if answer.last {
                                return answered;
                            }
                        }
                    })
                })
                .collect();
            std::thread::sleep(std::time::Duration::from_millis(300 + 35 * trial));
            server.signal("TERM");
            clients.into_iter().map(|client| client.join().expect("no answer was lost")).sum()
        });
        let (code, said) = server.wait();
        let line = format!("drained: {answered} requests accepted, {answered} answered");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&line), "trial {trial}: {line:?} is not in {said:?}");
        assert!(answered >= 16, "{answered}");
        all += answered;
    }
    assert!(all > 200, "{all}: the servers were not under load");
}

#[test]
fn serving_is_refused_where_it_would_be_open_or_could_not_work() {
    let project: &Project = trained();
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = project.run(&[&["serve", "--registry", "registry/quickstart"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
    };
    refused(&["--host", "0.0.0.0"], 2, &["0.0.0.0", "no key", "ENSEMBLE_API_KEY", "--insecure"]);
    let key = project.path("empty.key");
    std::fs::write(&key, " \n").expect("written");
    refused(&["--api-key-file", key.to_str().expect("UTF-8")], 2, &["empty.key", "no usable key"]);
    refused(&["--queue-items", "0"], 2, &["--queue-items", "from 1"]);
    refused(&["--deadline", "-1"], 2, &["--deadline", "86400"]);
    refused(&["--max-connections", "100000000"], 2, &["open files", "ulimit -n"]);
    let server = Server::start(project, &[]);
    refused(&["--port", &server.port()], 3, &["choose another --port"]);
    refused(&["--weights", "saftey=1"], 2, &["did you mean \"safety\"?"]);
}

#[test]
fn serving_with_other_weights_or_another_reading_has_another_digest() {
    let digest = |arguments: &[&str]| {
        let server = Server::start(trained(), arguments);
        let answer = server.connect().post("/v1/score", &json!({ "items": [{ "prompt": "a", "response": "b" }] }));
        let info = server.connect().get("/info").json();
        let safety =
            info["ensemble"]["objectives"].as_array().expect("objectives").iter().find(|of| of["name"] == "safety");
        (answer.json()["digest"].as_str().expect("a digest").to_owned(), safety.expect("safety")["weight"].clone())
    };
    let (own, weight) = digest(&[]);
    assert_eq!(digest(&[]), (own.clone(), weight.clone()));
    let (weighted, other) = digest(&["--weights", "safety=5"]);
    assert!(weighted != own && other == json!(5.0) && other != weight, "{weighted} {other}");
    assert_ne!(digest(&["--template", "raw"]).0, own);
}

#[test]
fn serving_with_a_key_keeps_it_to_itself() {
    let key = trained().path("canary.key");
    std::fs::write(&key, "canary-7c1f\n").expect("written");
    let server = Server::start(trained(), &["--api-key-file", key.to_str().expect("UTF-8")]);
    let mut connection = server.connect();
    let answer = connection.post("/v1/score", &json!({ "items": [{ "prompt": "a", "response": "canary-text" }] }));
    assert_eq!(answer.status, 401);
    assert!(!answer.body.contains("canary"));
    assert_eq!(server.connect().get("/live").status, 200);
    assert_eq!(server.connect().get("/metrics").status, 401);
    server.signal("TERM");
    let (code, said) = server.wait();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("canary"), "{said}");
}
