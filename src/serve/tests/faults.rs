//! A text that fails fails alone, by name; nothing is made up.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::{connect, items, post, post_text, read_answer, request};
use super::fake::{Running, combined};
use super::limits::wait_until;
use crate::random::Random;
use crate::serve::Settings;

#[test]
fn a_score_that_is_no_number_fails_its_request_alone_and_is_named() {
    let running = Running::start(Settings::default(), Duration::from_millis(1), 2);
    let address = running.address;
    let neighbours: Vec<_> = (0..40)
        .map(|index| {
            std::thread::spawn(move || {
                let text = format!("neighbour {index}");
                (post(address, "/v1/score", &items(&[text.as_str()])), combined("Hi", &text))
            })
        })
        .collect();
    for (bad, code) in [("a nan here", "nonfinite_score"), ("a panic here", "internal"), ("an error here", "internal")]
    {
        let answer = post(address, "/v1/score", &items(&["fine", "fine too", bad, "and fine"]));
        assert_eq!(answer.status, 500, "{}", answer.text());
        let error = &answer.json()["error"];
        assert_eq!((error["item"].as_u64(), error["code"].as_str()), (Some(2), Some(code)), "{error}");
        // The same in other dialects.
        let answer =
            post(address, "/get_reward", &serde_json::json!({ "prompts": ["a", "b"], "responses": ["x", bad] }));
        assert_eq!((answer.status, answer.json()["error"]["item"].as_u64()), (500, Some(1)));
    }
    for neighbour in neighbours {
        let (answer, expected) = neighbour.join().expect("an answer");
        assert_eq!(answer.json()["results"][0]["combined"].as_f64(), Some(expected));
    }
    let answer = post(address, "/v1/score", &items(&["fine", "fine too", "and fine"]));
    let found: Vec<f64> = (0..3).filter_map(|index| answer.json()["results"][index]["combined"].as_f64()).collect();
    assert_eq!(found, ["fine", "fine too", "and fine"].map(|text| combined("Hi", text)));
    assert_eq!(super::client::get(address, "/ready").status, 200);
}

#[test]
fn an_answer_sent_apart_from_its_prompt_is_read_as_if_sent_with_it() {
    let running = Running::start(Settings::default(), Duration::ZERO, 1);
    let reward = |path: &str, body: serde_json::Value| {
        let answer = post(running.address, path, &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer.json()
    };
    let templated = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    let messages = serde_json::json!([{ "role": "user", "content": "Hi" }]);
    let expected = combined("Hi", "Hello.");
    for response in ["Hello.", "Hello.<|im_end|>", "Hello.<|im_end|>\n<|endoftext|>"] {
        for prompt in [serde_json::json!(templated), messages.clone(), serde_json::json!("Hi")] {
            let found = reward("/slime", serde_json::json!({ "prompt": prompt, "response": response, "label": null }));
            assert_eq!(found.as_f64(), Some(expected), "{prompt} {response}");
        }
        let apart = reward("/get_reward", serde_json::json!({ "prompts": [templated], "responses": [response] }));
        assert_eq!(apart["rewards"][0].as_f64(), Some(expected));
        let query = serde_json::json!({ "query": [format!("{templated}{response}")], "prompts": [templated] });
        assert_eq!(reward("/get_reward", query)["rewards"][0].as_f64(), Some(expected));
    }
    // A prompt that begins the answer, or opens a thought.
    for begun in ["Sure,", "<think>\n"] {
        let prompt = format!("{templated}{begun}");
        let whole = serde_json::json!({ "query": [format!("{prompt} yes<|im_end|>")], "prompts": [prompt] });
        let apart = serde_json::json!({ "prompt": prompt, "response": " yes<|im_end|>" });
        assert_eq!(reward("/slime", apart), reward("/get_reward", whole)["rewards"][0], "{begun}");
    }
    for path in ["/slime", "/slime/scores"] {
        let blank = serde_json::json!({ "prompt": " ", "response": "b" });
        assert_eq!(post(running.address, path, &blank).status, 422);
    }
}

#[test]
fn what_is_odd_about_a_text_is_said_and_counted() {
    let running = Running::start(Settings::default(), Duration::ZERO, 1);
    let turn = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    let items = serde_json::json!({ "items": [
        { "text": format!("<|begin_of_text|><|begin_of_text|>{turn}Yes."), "prompt": "another prompt" },
        { "text": format!("{turn}Yes.<|im_end|>\n<|im_start|>user\nNo.<|im_end|>\n"), "prompt": turn },
        { "prompt": "Hi", "response": " " },
    ] });
    let results = post(running.address, "/v1/score", &items).json()["results"].clone();
    assert_eq!((&results[0]["bos"], &results[0]["prompt_lost"]), (&serde_json::json!(2), &serde_json::json!(true)));
    assert_eq!(
        (&results[0]["complete"], &results[1]["complete"]),
        (&serde_json::json!(false), &serde_json::json!(true))
    );
    assert_eq!(
        (&results[1]["turns_in_response"], &results[2]["empty"]),
        (&serde_json::json!(1), &serde_json::json!(true))
    );
    for (name, count) in [("lost_prompts", 1.0), ("incomplete_texts", 1.0), ("empty_answers", 1.0)] {
        assert_eq!(running.metric(&format!("ensemble_{name}_total")), count, "{name}");
    }
    assert_eq!(running.metric("ensemble_formats_total{format=\"chatml\"}"), 2.0);
    let group = serde_json::json!({ "group": true, "items": [{ "prompt": "a", "response": "x" }, { "prompt": "b", "response": "y" }] });
    let answer = post(running.address, "/v1/score", &group);
    assert_eq!((answer.status, answer.json()["error"]["item"].as_u64()), (422, Some(1)));
    let rule = serde_json::json!({ "items": [{ "prompt": "a", "response": "x" }], "combine": { "kind": "worst_case", "tua": 1 } });
    assert_eq!(post(running.address, "/v1/score", &rule).status, 400);
}

#[test]
fn a_large_request_leaves_others_their_turn_and_ends_when_its_client_does() {
    let settings = Settings { deadline: Duration::from_secs(2), recent_texts: 0, ..Settings::default() };
    let running = Running::start(settings, Duration::ZERO, 1);
    // Every text takes a millisecond to tokenize, as a long one does.
    let large: Vec<String> = (0..8000).map(|index| format!("slow to read {index}")).collect();
    let large = items(&large.iter().map(String::as_str).collect::<Vec<_>>()).to_string();
    let whole = request("POST", "/v1/score", &[("content-type", "application/json")], large.as_bytes());
    let streams: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = connect(running.address);
            stream.write_all(&whole).expect("written");
            stream
        })
        .collect();
    wait_until(|| running.metric("ensemble_queue_bytes ") as usize == 3 * large.len());
    let asked = Instant::now();
    assert_eq!(post(running.address, "/v1/score", &items(&["small"])).status, 200);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    drop(streams);
    let left = Instant::now();
    wait_until(|| running.metric("ensemble_queue_bytes ") == 0.0);
    assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
    let asked = Instant::now();
    let answer = post_text(running.address, "/v1/score", &large);
    assert_eq!(answer.status, 504);
    assert!(asked.elapsed() < Duration::from_millis(2900), "{:?}", asked.elapsed());
}

#[test]
fn bodies_that_would_take_much_more_than_their_length_are_refused_soon() {
    let running = Running::start(Settings::default(), Duration::ZERO, 1);
    let key = format!("{{\"{}\": 1}}", "k".repeat(2_000_000));
    let values = format!("{{\"items\": [{}1]}}", "0,".repeat(1 << 20));
    for body in [key, values] {
        let asked = Instant::now();
        let answer = post_text(running.address, "/v1/score", &body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
}

#[test]
fn the_deadline_is_kept_while_a_worker_is_held() {
    let settings = Settings { deadline: Duration::from_millis(300), ..Settings::default() };
    let running = Running::start(settings, Duration::ZERO, 1);
    let asked = Instant::now();
    let answer = post(running.address, "/v1/score", &items(&["stall"]));
    let taken = asked.elapsed();
    assert_eq!((answer.status, answer.header("retry-after")), (504, Some("1")), "{}", answer.text());
    assert!(taken >= Duration::from_millis(300) && taken < Duration::from_millis(800), "{taken:?}");
    let waiting = post(running.address, "/v1/score", &items(&["behind it"]));
    assert_eq!(waiting.status, 504);
    running.fake.open_gate();
    wait_until(|| running.metric("ensemble_queue_items ") == 0.0);
    assert_eq!(post(running.address, "/v1/score", &items(&["behind it"])).status, 200);
    assert_eq!(running.fake.embedded.load(Ordering::SeqCst), 2, "what nobody waits for is not computed");
}

#[test]
fn who_hangs_up_costs_nothing() {
    let running = Running::start(Settings::default(), Duration::from_millis(2), 1);
    let mut random = Random::new(3);
    let json = [("content-type", "application/json")];
    // A long text holds the worker, so that all others wait.
    let held = {
        let address = running.address;
        std::thread::spawn(move || post(address, "/v1/score", &items(&["stall"])))
    };
    wait_until(|| running.metric("ensemble_queue_items ") == 1.0);
    let mut open = Vec::new();
    for index in 0..200 {
        let text = format!("text {index}");
        let body = items(&[text.as_str()]).to_string();
        let whole = request("POST", "/v1/score", &json, body.as_bytes());
        let mut stream = connect(running.address);
        // Some leave in the middle of the head or the body.
        let sent = if index % 4 == 0 { (random.uniform() * whole.len() as f64) as usize } else { whole.len() };
        stream.write_all(&whole[..sent]).expect("written");
        open.push(stream);
    }
    wait_until(|| running.metric("ensemble_queue_items ") >= 151.0);
    random.shuffle(&mut open);
    drop(open);
    wait_until(|| running.metric("ensemble_queue_items ") == 1.0);
    assert_eq!(running.fake.embedded.load(Ordering::SeqCst), 0);
    assert!(running.metric("ensemble_texts_total{from=\"cancelled\"}") >= 150.0);
    running.fake.open_gate();
    assert_eq!(held.join().expect("an answer").status, 200);
    assert_eq!(post(running.address, "/v1/score", &items(&["after that"])).status, 200);
    assert_eq!(running.fake.embedded.load(Ordering::SeqCst), 2);
    wait_until(|| running.metric("ensemble_queue_bytes ") == 0.0);
}

#[test]
fn the_same_text_in_flight_is_computed_once() {
    let running = Running::start(Settings { recent_texts: 0, ..Settings::default() }, Duration::ZERO, 2);
    let address = running.address;
    let clients: Vec<_> =
        (0..20).map(|_| std::thread::spawn(move || post(address, "/v1/score", &items(&["stall", "stall"])))).collect();
    wait_until(|| running.metric("ensemble_texts_total{from=\"shared\"}") == 39.0);
    running.fake.open_gate();
    let expected = combined("Hi", "stall");
    for client in clients {
        let answer = client.join().expect("an answer").json();
        assert!((0..2).all(|index| answer["results"][index]["combined"].as_f64() == Some(expected)));
    }
    assert_eq!(running.fake.embedded.load(Ordering::SeqCst), 1);
}

#[test]
fn broken_requests_are_refused_and_the_next_is_served() {
    let running = Running::start(Settings { max_body: 1 << 20, ..Settings::default() }, Duration::ZERO, 1);
    let json = [("content-type", "application/json")];
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [(&str, Vec<u8>); 14] = [
        ("empty", Vec::new()),
        ("no JSON", b"x".to_vec()),
        ("cut", b"{\"items\": [".to_vec()),
        ("trailing", b"{\"items\": []} x".to_vec()),
        ("byte order mark", "\u{feff}{}".into()),
        ("a list", b"[]".to_vec()),
        ("twice the key", b"{\"items\": [], \"items\": []}".to_vec()),
        ("NaN", b"{\"items\": [NaN]}".to_vec()),
        ("infinite", b"{\"uncertainty_penalty\": 1e999, \"items\": []}".to_vec()),
        ("deep", deep.clone().into()),
        ("deep inside", format!("{{\"items\": {deep}}}").into()),
        ("no UTF-8", b"{\"items\": [{\"prompt\": \"\xff\", \"response\": \"b\"}]}".to_vec()),
        ("half a surrogate", b"{\"items\": [{\"prompt\": \"\\ud800\", \"response\": \"b\"}]}".to_vec()),
        ("a long key", format!("{{\"{}\": 1}}", "k".repeat(500_000)).into()),
    ];
    for (name, body) in bodies {
        let answer = super::client::ask(running.address, "POST", "/v1/score", &json, &body);
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert!(answer.body.len() < 2000, "{name}: {}", answer.body.len());
    }
    let nul = b"{\"items\": [{\"prompt\": \"\\u0000\", \"response\": \"b\"}]}";
    assert_eq!(super::client::ask(running.address, "POST", "/v1/score", &json, nul).status, 200);
    let raw: [&[u8]; 8] = [
        b"GET /live\r\n\r\n",
        b"GET /live HTTP/3.0\r\nhost: localhost\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"GET /live HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ];
    for bytes in raw {
        let mut stream = connect(running.address);
        stream.write_all(bytes).expect("written");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let answer = read_answer(&mut stream);
        assert!(
            answer.is_none_or(|answer| (400..500).contains(&answer.status)),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(post(running.address, "/v1/score", &items(&["next"])).status, 200);
}
