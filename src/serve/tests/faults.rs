//! A text that fails fails alone, by name; nothing is made up.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::{connect, items, post, read_answer, request};
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
