//! Every limit at one below, at, one above and three times: what fits is answered, what does not gets its status, and the
//! next request is served.

use std::io::Write;
use std::time::{Duration, Instant};

use super::client::{Answer, connect, get, items, post, read_answer, request};
use super::fake::Running;
use crate::serve::Settings;

/// The edges of a limit.
fn edges(limit: usize) -> [usize; 4] {
    [limit - 1, limit, limit + 1, 3 * limit]
}

/// `count` different responses of `words` words that wait until the gate opens.
fn stalling(count: usize, words: usize) -> Vec<String> {
    (0..count).map(|index| format!("stall{}", format!(" {index}").repeat(words - 1))).collect()
}

fn body(responses: &[String]) -> serde_json::Value {
    items(&responses.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Sends single texts until `count` of them wait, then one more, and gives that one's answer; all of the others are
/// answered once the gate opens.
fn one_more_than(settings: Settings, waiting: usize) -> Answer {
    let running = Running::start(settings, Duration::ZERO, 1);
    let texts = stalling(waiting, 2);
    let address = running.address;
    let clients: Vec<_> = texts
        .into_iter()
        .map(|text| std::thread::spawn(move || post(address, "/v1/score", &items(&[text.as_str()]))))
        .collect();
    wait_until(|| running.metric("ensemble_queue_items ") as usize == waiting);
    let more = std::thread::spawn(move || post(address, "/v1/score", &items(&["stall one more"])));
    let arrived =
        || running.metric("ensemble_queue_items ") as usize > waiting || running.counted("rejected_total") > 0.0;
    wait_until(arrived);
    running.fake.open_gate();
    for client in clients {
        assert_eq!(client.join().expect("an answer").status, 200);
    }
    let asked = Instant::now();
    assert_eq!(post(address, "/v1/score", &items(&["after that"])).status, 200);
    assert!(asked.elapsed() < Duration::from_secs(1));
    more.join().expect("an answer")
}

pub(super) fn wait_until(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "waited too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn check_busy(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.json()["error"]["code"], "overloaded");
}

#[test]
fn the_queue_holds_as_many_texts_as_it_says() {
    let settings = || Settings { queue_items: 5, recent_texts: 0, ..Settings::default() };
    for waiting in 1..5 {
        assert_eq!(one_more_than(settings(), waiting).status, 200, "{waiting} waiting");
    }
    check_busy(&one_more_than(settings(), 5));
    // In one request.
    let running = Running::start(settings(), Duration::ZERO, 1);
    running.fake.open_gate();
    let status = edges(5).map(|count| post(running.address, "/v1/score", &body(&stalling(count, 2))).status);
    assert_eq!(status, [200, 200, 413, 413]);
    assert_eq!(post(running.address, "/v1/score", &items(&["next"])).status, 200);
}

#[test]
fn the_queue_holds_as_many_tokens_as_it_says() {
    // A stand-in's text has one token more than its response has words.
    let settings = || Settings { queue_tokens: 12, ..Settings::default() };
    for waiting in 1..=2 {
        assert_eq!(one_more_than(settings(), waiting).status, 200, "{waiting} waiting: 3 tokens each, then 4");
    }
    check_busy(&one_more_than(settings(), 3));
    let running = Running::start(settings(), Duration::ZERO, 1);
    running.fake.open_gate();
    let status = edges(12).map(|tokens| post(running.address, "/v1/score", &body(&stalling(1, tokens - 1))).status);
    assert_eq!(status, [200, 200, 413, 413]);
    assert_eq!(post(running.address, "/v1/score", &items(&["next"])).status, 200);
}

#[test]
fn a_request_has_as_many_items_as_it_may() {
    let running = Running::start(Settings { max_items: 7, ..Settings::default() }, Duration::ZERO, 2);
    running.fake.open_gate();
    let ask = |count: usize| post(running.address, "/v1/score", &body(&stalling(count, 2)));
    assert_eq!(edges(7).map(|count| ask(count).status), [200, 200, 413, 413]);
    assert_eq!(ask(8).json()["error"]["field"], "items");
    assert_eq!(ask(7).json()["results"].as_array().map(Vec::len), Some(7));
}

#[test]
fn a_body_is_as_long_as_it_may_be_told_or_not() {
    let limit = 2000;
    let running = Running::start(Settings { max_body: limit, ..Settings::default() }, Duration::ZERO, 1);
    let padded = |length: usize| {
        let text = items(&["x"]).to_string();
        format!("{text}{}", " ".repeat(length - text.len())).into_bytes()
    };
    let json = ("content-type", "application/json");
    let told =
        |length: usize| super::client::ask(running.address, "POST", "/v1/score", &[json], &padded(length)).status;
    assert_eq!(edges(limit).map(told), [200, 200, 413, 413]);
    let chunked = |length: usize| {
        let mut stream = connect(running.address);
        let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("written");
        for chunk in padded(length).chunks(7) {
            let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
            framed.extend(chunk);
            framed.extend(b"\r\n");
            if stream.write_all(&framed).is_err() {
                break;
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        read_answer(&mut stream).expect("an answer").status
    };
    assert_eq!(edges(limit).map(chunked), [200, 200, 413, 413]);
    assert_eq!(post(running.address, "/v1/score", &items(&["next"])).status, 200);
    assert_eq!(running.metric("ensemble_queue_bytes "), 0.0);
}

#[test]
fn bodies_take_no_more_room_than_there_is() {
    let one = items(&["stall"]).to_string().len();
    let running = Running::start(Settings { queue_bytes: 2 * one, ..Settings::default() }, Duration::ZERO, 1);
    let address = running.address;
    let ask = move |text: &'static str| std::thread::spawn(move || post(address, "/v1/score", &items(&[text])));
    let first = ask("stall");
    wait_until(|| running.metric("ensemble_queue_bytes ") as usize == one);
    let second = ask("stalk");
    // One worker is held by the first; the second waits with its body.
    wait_until(|| running.metric("ensemble_queue_bytes ") as usize == 2 * one);
    check_busy(&post(address, "/v1/score", &items(&["x"])));
    running.fake.open_gate();
    assert_eq!([first, second].map(|client| client.join().expect("an answer").status), [200, 200]);
    let asked = Instant::now();
    assert_eq!(post(address, "/v1/score", &items(&["x"])).status, 200);
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert_eq!(
        post(address, "/v1/score", &items(&["longer than all the room there is, by far, and then some"])).status,
        413
    );
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let limit = 4;
    for open in edges(limit) {
        let running = Running::start(Settings { max_connections: limit, ..Settings::default() }, Duration::ZERO, 1);
        let mut idle: Vec<_> = (0..open).map(|_| connect(running.address)).collect();
        let mut answered = 0;
        for stream in &mut idle {
            stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
            stream.write_all(&request("GET", "/live", &[], &[])).expect("written");
            answered += usize::from(read_answer(stream).is_some());
        }
        assert_eq!(answered, open.min(limit), "{open} open");
        // Whoever waits is served when others leave, and so is the next one.
        let waiting = idle.split_off(answered);
        drop(idle);
        for mut stream in waiting {
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
            assert_eq!(read_answer(&mut stream).map(|answer| answer.status), Some(200));
        }
        let asked = Instant::now();
        assert_eq!(get(running.address, "/live").status, 200);
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn as_many_texts_are_remembered_as_it_says() {
    for recent in [0, 2, 3, 4, 9] {
        let running = Running::start(Settings { recent_texts: recent, ..Settings::default() }, Duration::ZERO, 1);
        let ask = |text: &str| assert_eq!(post(running.address, "/v1/score", &items(&[text])).status, 200);
        ["a", "b", "c", "d"].iter().for_each(|text| ask(text));
        // Of four texts the last three, asked for newest first, are there again if they were kept.
        ["d", "c", "b"].iter().for_each(|text| ask(text));
        assert_eq!(running.metric("ensemble_texts_total{from=\"recent\"}") as usize, recent.min(3), "{recent} kept");
    }
}
