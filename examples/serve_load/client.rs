//! A small HTTP/1.1 client that can tell how a request without a reply failed.
//!
//! Keep-alive, replies by length, in chunks or until the end of the connection. No pool and no second tries: the load
//! decides what is sent where, and a failure must reach its counts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any deadline of the server: what takes longer has no answer.
const LIMIT: Duration = Duration::from_secs(200);

/// Why a request has no complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection.
    Refused(String),
    /// The connection broke while the request was written.
    Unsent(String),
    /// The request was written whole, and the connection ended before the first byte of a reply.
    Unanswered(String),
    /// The connection ended within a reply, or what came is no HTTP.
    Cut(String),
    /// Nothing came within [`LIMIT`].
    Late,
}

/// A complete reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header, its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// 503 that says in whole seconds when to come again: the one polite refusal.
    pub(crate) fn is_polite_refusal(&self) -> bool {
        self.status == 503 && self.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok())
    }
}

/// What is done with the connection after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
}

/// The state of a connection on which nothing was asked since its last reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    Open,
    Closed,
    /// The server sent more than the reply: an answer to nothing.
    Surplus,
}

/// A request for scores with a JSON body, as bytes.
pub(crate) fn post(address: SocketAddr, body: &[u8], after: After) -> Vec<u8> {
    let close = if after == After::Close { "Connection: close\r\n" } else { "" };
    let head = format!("{}{close}Content-Length: {}\r\n\r\n", post_head(address), body.len());
    [head.as_bytes(), body].concat()
}

/// The head of a request for scores, up to the line that says how the body is framed.
pub(crate) fn post_head(address: SocketAddr) -> String {
    format!("POST /v1/score HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n")
}

/// The same with the body in chunks of at most `size` bytes and no length said before.
pub(crate) fn post_chunked(address: SocketAddr, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = format!("{}Transfer-Encoding: chunked\r\n\r\n", post_head(address)).into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// A GET, as bytes.
pub(crate) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

/// One connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    reusable: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let refused = |error: io::Error| Failure::Refused(error.to_string());
        let stream = TcpStream::connect(address).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        Ok(Self { stream: BufReader::new(stream), reusable: true })
    }

    /// Sends a request and waits for its reply. A server may answer (413) before it has read all: what it said counts,
    /// even where the request could not be written to its end.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply, Failure> {
        let both = async {
            match self.send(request).await {
                Ok(()) => self.receive().await,
                Err(unsent) => self.receive().await.map_err(|_| unsent),
            }
        };
        let reply = timeout(LIMIT, both).await.unwrap_or(Err(Failure::Late));
        self.reusable &= reply.is_ok();
        reply
    }

    /// Writes bytes of a request.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.get_mut().write_all(bytes).await.map_err(|error| Failure::Unsent(error.to_string()))
    }

    /// Reads one reply.
    pub(crate) async fn receive(&mut self) -> Result<Reply, Failure> {
        match self.stream.fill_buf().await {
            Ok([]) => return Err(Failure::Unanswered("the connection was closed".to_owned())),
            Ok(_) => {}
            Err(error) => return Err(Failure::Unanswered(error.to_string())),
        }
        let reply = self.read_reply().await.map_err(|error| Failure::Cut(error.to_string()))?;
        self.reusable &= !reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(reply)
    }

    /// Whether another request may be sent.
    pub(crate) fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// What the server has done with the connection since the last reply.
    pub(crate) fn idle(&self) -> Idle {
        if !self.stream.buffer().is_empty() {
            return Idle::Surplus;
        }
        match self.stream.get_ref().try_read(&mut [0]) {
            Ok(0) => Idle::Closed,
            Ok(_) => Idle::Surplus,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Idle::Open,
            Err(_) => Idle::Closed,
        }
    }

    /// Waits until the server has closed the connection; what it sends before is dropped.
    pub(crate) async fn until_closed(&mut self) {
        let mut rest = [0; 4096];
        while self.stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    }

    async fn read_reply(&mut self) -> io::Result<Reply> {
        let (status, headers) = loop {
            let (status, headers) = self.read_head().await?;
            if status >= 200 {
                break (status, headers);
            }
        };
        let mut reply = Reply { status, headers, body: Vec::new() };
        reply.body = self.read_body(&reply).await?;
        Ok(reply)
    }

    async fn read_head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let first = self.read_line().await?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| odd(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| odd(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    async fn read_body(&mut self, head: &Reply) -> io::Result<Vec<u8>> {
        if head.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks().await;
        }
        let mut body = Vec::new();
        if let Some(length) = head.header("content-length") {
            body.resize(length.parse().map_err(|_| odd(length))?, 0);
            self.stream.read_exact(&mut body).await?;
        } else if head.status != 204 && head.status != 304 {
            self.stream.read_to_end(&mut body).await?;
            self.reusable = false;
        }
        Ok(body)
    }

    async fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| odd(&line))?;
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..]).await?;
            // The end of a chunk, or of the trailers after the last one.
            while !self.read_line().await?.is_empty() {}
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// A line without its end.
    async fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        String::from_utf8(line.to_vec()).map_err(|_| odd("bytes that are no text"))
    }
}

fn odd(found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP: {found:?}"))
}
