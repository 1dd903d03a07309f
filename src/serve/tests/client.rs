//! A small HTTP client over plain sockets, which sends what it is told, also when it is wrong.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Reads one answer; `None` when the connection was closed before it began.
pub(super) fn read_answer(stream: &mut impl Read) -> Option<Answer> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ if head.is_empty() => return None,
            other => panic!("the head broke off: {other:?} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    let head = String::from_utf8(head).expect("an ASCII head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
    let mut body = vec![0; length.expect("a length").expect("a number")];
    stream.read_exact(&mut body).expect("the whole body");
    Some(Answer { status, headers, body })
}

/// A request as text.
pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if method != "GET" {
        let _ = write!(text, "content-length: {}\r\n", body.len());
    }
    let mut request = text.into_bytes();
    request.extend(b"\r\n");
    request.extend(body);
    request
}

/// Sends a request on a connection of its own.
pub(super) fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = connect(address);
    // A server that refuses before it has read everything may close while this is written.
    let _ = stream.write_all(&request(method, path, headers, body));
    read_answer(&mut stream).expect("an answer")
}

pub(super) fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[], &[])
}

pub(super) fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    post_text(address, path, &body.to_string())
}

/// Posts what is called JSON.
pub(super) fn post_text(address: SocketAddr, path: &str, body: &str) -> Answer {
    ask(address, "POST", path, &[("content-type", "application/json")], body.as_bytes())
}

/// The body of `/v1/score` for one prompt and its responses.
pub(super) fn items(responses: &[&str]) -> Value {
    let item = |response: &&str| serde_json::json!({ "prompt": "Hi", "response": response });
    serde_json::json!({ "items": responses.iter().map(item).collect::<Vec<Value>>() })
}
