//! The binary as a server, and a client for it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::project::Project;

/// A running `ensemble serve`.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Serves a project's registry.
    pub(crate) fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ensemble"))
            .args([&["serve", "--registry", "registry/quickstart", "--port", "0"], arguments].concat())
            .current_dir(project.path("."))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("no address: {line:?}")).to_owned();
        Self { child, address }
    }

    pub(crate) fn port(&self) -> String {
        self.address.rsplit(':').next().expect("a port").to_owned()
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Connection { stream }
    }

    /// Sends a signal, as `kill -NAME` does.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// The exit code and what was said on standard error.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
        (self.child.wait().expect("it ends").code(), text)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the server closes the connection.
    pub(crate) last: bool,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Connection {
    /// Posts JSON; `None` when the connection was closed before the request was read.
    pub(crate) fn try_post(&mut self, path: &str, body: &Value) -> Option<Answer> {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        self.read()
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).expect("an answer")
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).expect("written");
        self.read().expect("an answer")
    }

    fn read(&mut self) -> Option<Answer> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ if head.is_empty() => return None,
                other => panic!("the answer was cut: {other:?}"),
            }
        }
        let head = String::from_utf8(head).expect("ASCII").to_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mut body = vec![0; field("content-length:").expect("a length").parse().expect("a number")];
        self.stream.read_exact(&mut body).expect("the answer was cut");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Some(Answer {
            status,
            body: String::from_utf8(body).expect("UTF-8"),
            last: field("connection:") == Some("close"),
        })
    }
}
