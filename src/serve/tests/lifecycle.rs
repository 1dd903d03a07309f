//! Slow clients, and the end of a server.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::client::{connect, get, items, post, read_answer, request};
use super::fake::{Running, combined};
use super::limits::wait_until;
use crate::serve::Settings;

#[test]
fn slow_clients_are_cut_off_on_time() {
    let (head_timeout, body_timeout) = (Duration::from_millis(400), Duration::from_millis(600));
    let rest_timeout = Duration::from_millis(1500);
    let settings = Settings { head_timeout, rest_timeout, body_timeout, ..Settings::default() };
    let running = Running::start(settings, Duration::ZERO, 1);
    let closes = |sent: &[u8], byte_by_byte: &[u8]| {
        let mut stream = connect(running.address);
        let started = Instant::now();
        stream.write_all(sent).expect("written");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let (mut left, mut buffer, mut got) = (byte_by_byte.iter(), [0; 512], Vec::new());
        loop {
            if let Some(byte) = left.next() {
                let _ = stream.write_all(&[*byte]);
            }
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(_) => {}
            }
            assert!(started.elapsed() < Duration::from_secs(10), "never closed");
        }
        (started.elapsed(), String::from_utf8_lossy(&got).into_owned())
    };
    let within = |taken: Duration, limit: Duration| taken >= limit && taken < limit + Duration::from_millis(900);
    // Silent, and a header byte by byte: a byte now and then does not start the clock anew.
    let (taken, got) = closes(b"", b"");
    assert!(within(taken, head_timeout) && got.is_empty(), "{taken:?} {got}");
    let (taken, got) = closes(b"GET /live HTTP/1.1\r\n", &b"x-slow: yes\r\n".repeat(20));
    assert!(within(taken, head_timeout) && got.is_empty(), "{taken:?} {got}");
    // A body byte by byte.
    let head =
        b"POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
    let (taken, got) = closes(head, &[b' '; 400]);
    assert!(within(taken, body_timeout) && got.starts_with("HTTP/1.1 408"), "{taken:?} {got}");
    // A connection may rest between two requests for longer than a head may take.
    let mut stream = connect(running.address);
    stream.write_all(&request("GET", "/live", &[], &[])).expect("written");
    assert_eq!(read_answer(&mut stream).map(|answer| answer.status), Some(200));
    std::thread::sleep(2 * head_timeout);
    stream.write_all(&request("GET", "/live", &[], &[])).expect("written");
    assert_eq!(read_answer(&mut stream).map(|answer| answer.status), Some(200));
    // But not forever, whatever it was that was answered.
    let (taken, got) = closes(&request("GET", "/live", &[], &[]), b"");
    assert!(within(taken, rest_timeout) && got.starts_with("HTTP/1.1 200"), "{taken:?} {got}");
    let body = items(&["x"]).to_string();
    let json = [("content-type", "application/json")];
    let (taken, got) = closes(&request("POST", "/v1/score", &json, body.as_bytes()), b"");
    assert!(within(taken, rest_timeout) && got.starts_with("HTTP/1.1 200"), "{taken:?} {got}");
}

#[test]
fn a_stopped_server_answers_what_it_accepted() {
    for trial in 0..3 {
        let running = Running::start(Settings::default(), Duration::from_millis(3), 2);
        let address = running.address;
        let clients: Vec<_> = (0..24)
            .map(|client| {
                std::thread::spawn(move || {
                    let (mut answered, mut stream) = (0, connect(address));
                    for index in 0.. {
                        let text = format!("{trial} {client} {index}");
                        let body = items(&[text.as_str()]).to_string();
                        let whole =
                            request("POST", "/v1/score", &[("content-type", "application/json")], body.as_bytes());
                        if stream.write_all(&whole).is_err() {
                            break;
                        }
                        let answer = read_answer(&mut stream).expect("what was accepted is answered");
                        assert_eq!(answer.json()["results"][0]["combined"].as_f64(), Some(combined("Hi", &text)));
                        answered += 1;
                        if answer.header("connection") == Some("close") {
                            break;
                        }
                    }
                    answered
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(150));
        running.tell_to_stop();
        wait_until(|| get(address, "/ready").status == 503);
        let answered: u64 = clients.into_iter().map(|client| client.join().expect("no answer was lost")).sum();
        let drained = running.wait();
        assert!(drained.in_time && drained.accepted == drained.answered, "{drained:?}");
        assert!(answered > 24 && drained.answered >= answered, "{answered} {drained:?}");
        assert!(std::net::TcpStream::connect(address).is_err(), "nothing listens any more");
    }
}

#[test]
fn a_second_word_ends_a_server_at_once_and_a_deadline_ends_it_too() {
    for (drain, twice) in [(Duration::from_mins(1), true), (Duration::from_millis(200), false)] {
        let running = Running::start(Settings { drain, ..Settings::default() }, Duration::ZERO, 1);
        let address = running.address;
        let held = std::thread::spawn(move || {
            let mut stream = connect(address);
            let body = items(&["stall"]).to_string();
            stream
                .write_all(&request("POST", "/v1/score", &[("content-type", "application/json")], body.as_bytes()))
                .expect("written");
            read_answer(&mut stream).is_some()
        });
        wait_until(|| running.metric("ensemble_queue_items ") == 1.0);
        let asked = Instant::now();
        running.tell_to_stop();
        if twice {
            std::thread::sleep(Duration::from_millis(1200));
            running.tell_to_stop();
        }
        let fake = running.fake.clone();
        let drained = running.wait();
        assert!(!drained.in_time && asked.elapsed() < Duration::from_secs(5), "{drained:?}");
        assert!(!held.join().expect("the client"), "no answer was made up");
        fake.open_gate();
    }
}

#[test]
fn a_server_says_when_scores_leave_the_reference() {
    let running = Running::start(Settings::default(), Duration::ZERO, 2);
    let drift = |running: &Running| running.metric("ensemble_drift{objective=\"helpfulness\"}");
    let threshold = running.metric("ensemble_drift_threshold ");
    // The stand-in's scores are spread evenly over −1 to 1, around the reference's mean of 0.
    let texts: Vec<String> = (0..600).map(|index| format!("text {index}")).collect();
    for chunk in texts.chunks(50) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        assert_eq!(post(running.address, "/v1/score", &items(&chunk)).status, 200);
    }
    assert!(drift(&running) < threshold, "{}", drift(&running));
    assert_eq!(running.metric("ensemble_drift_alarm{objective=\"helpfulness\"}"), 0.0);
    // Of those with high scores only: the mean is 0.5, which is one deviation of the reference.
    let high: Vec<&str> = texts.iter().map(String::as_str).filter(|text| combined("Hi", text) > 0.0).collect();
    for _ in 0..2 {
        high.chunks(50).for_each(|chunk| assert_eq!(post(running.address, "/v1/score", &items(chunk)).status, 200));
    }
    assert!(drift(&running) > threshold, "{}", drift(&running));
    assert_eq!(running.metric("ensemble_drift_alarm{objective=\"helpfulness\"}"), 1.0);
}
