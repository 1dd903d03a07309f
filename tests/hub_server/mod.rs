//! A stand-in for a model hub and its file server, in plain HTTP on two ports of this machine.
//!
//! It speaks what huggingface_hub's client reads: the list of a revision's files, `resolve` with etags and redirects,
//! ranges, error codes. Faults are put in a queue and happen to the next request they fit.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

/// A request as it arrived; `server` is `hub` or `files`.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) server: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

/// What happens to a request instead of its answer, or to its answer.
#[derive(Clone, Debug)]
pub(crate) enum Mishap {
    /// Another status with these headers.
    Status(u16, &'static str),
    /// The connection closes after so many bytes of the body.
    Cut(usize),
    /// The first byte of the body is another.
    Damage,
    /// `Range` is not looked at.
    NoRange,
}

#[derive(Default)]
pub(crate) struct State {
    /// Branch or tag → commit.
    pub(crate) revisions: BTreeMap<String, String>,
    /// (commit, file) → content, and the etag of a small file; a large one's is its sha256.
    pub(crate) files: BTreeMap<(String, String), (Vec<u8>, Option<String>)>,
    /// The token without which nothing is given.
    pub(crate) token: Option<String>,
    /// Mishaps in order, each with a piece of `METHOD path` it waits for.
    pub(crate) mishaps: Vec<(&'static str, Mishap)>,
    pub(crate) seen: Vec<Seen>,
    file_server: String,
}

#[derive(Clone)]
pub(crate) struct Hub {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub(crate) fn start(state: State) -> Self {
        let bind = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let (hub, files) = (bind(), bind());
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
        let state = State { file_server: address(&files), ..state };
        let started = Self { address: address(&hub), state: Arc::new(Mutex::new(state)) };
        for (server, listener) in [("hub", hub), ("files", files)] {
            let hub = started.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let hub = hub.clone();
                    std::thread::spawn(move || hub.serve(server, stream));
                }
            });
        }
        started
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no server thread panicked")
    }

    /// Forgets the requests so far and gives them.
    pub(crate) fn taken(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state().seen)
    }

    fn serve(&self, server: &'static str, mut stream: TcpStream) {
        let Some(seen) = read_request(server, &mut stream) else { return };
        let answer = {
            let mut state = self.state();
            state.seen.push(seen.clone());
            let line = format!("{} {}", seen.method, seen.path);
            let fits = |(piece, mishap): &(&str, Mishap)| {
                line.contains(piece) && (seen.method == "GET" || matches!(mishap, Mishap::Status(..)))
            };
            let mishap = state.mishaps.iter().position(fits);
            let mishap = mishap.map(|index| state.mishaps.remove(index).1);
            respond(&state, &seen, mishap)
        };
        // A client that has left is no fault of the server.
        let _ = stream.write_all(&answer);
    }
}

fn read_request(server: &'static str, stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    let mut byte = [0u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.into()));
    Some(Seen { server, method, path, headers: headers.collect() })
}

fn respond(state: &State, seen: &Seen, mishap: Option<Mishap>) -> Vec<u8> {
    if let Some(Mishap::Status(status, headers)) = mishap {
        return answer(seen, status, headers, b"", None);
    }
    let authorised = seen.headers.get("authorization").map(|value| value.trim_start_matches("Bearer "));
    if seen.server == "hub" && state.token.is_some() && authorised != state.token.as_deref() {
        let message = "X-Error-Code: GatedRepo\r\nX-Error-Message: Access to this model is restricted.\r\n";
        return answer(seen, 401, message, b"", None);
    }
    if let Some(rest) = seen.path.strip_prefix("/api/models/") {
        return list(state, seen, rest);
    }
    let path = seen.path.split('?').next().unwrap_or_default();
    let Some((_, rest)) = path.split_once("/resolve/") else { return answer(seen, 404, "", b"", None) };
    let (commit, file) = rest.split_once('/').unwrap_or_default();
    let Some((content, etag)) = state.files.get(&(commit.to_owned(), file.to_owned())) else {
        return answer(seen, 404, "X-Error-Code: EntryNotFound\r\n", b"", None);
    };
    let commit = format!("X-Repo-Commit: {commit}\r\n");
    match etag {
        None if seen.server == "hub" => {
            let linked = format!("X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n", sha256(content), content.len());
            let location = format!("Location: {}{}?signature=secret\r\n", state.file_server, seen.path);
            answer(seen, 302, &format!("{commit}{linked}{location}ETag: \"of-the-redirect\"\r\n"), b"", None)
        }
        // A small file moves once inside the hub, as the real one has it.
        Some(_) if !seen.path.contains("cached") => {
            answer(seen, 307, &format!("{commit}Location: {}?cached\r\n", seen.path), b"", None)
        }
        etag => {
            let etag = etag.as_ref().map_or(String::new(), |etag| format!("ETag: W/\"{etag}\"\r\n"));
            body(seen, &format!("{commit}{etag}"), content, mishap)
        }
    }
}

fn list(state: &State, seen: &Seen, rest: &str) -> Vec<u8> {
    let Some((name, revision)) = rest.split_once("/revision/") else { return answer(seen, 404, "", b"", None) };
    if name != "org/small" {
        return answer(seen, 404, "X-Error-Code: RepoNotFound\r\n", b"", None);
    }
    let revision = revision.replace("%2F", "/");
    let own = state.files.keys().any(|(commit, _)| *commit == revision).then_some(&revision);
    let Some(commit) = own.or_else(|| state.revisions.get(&revision)) else {
        return answer(seen, 404, "X-Error-Code: RevisionNotFound\r\n", b"", None);
    };
    let files = state.files.keys().filter(|(of, _)| of == commit);
    let siblings: Vec<_> = files.map(|(_, file)| serde_json::json!({ "rfilename": file })).collect();
    let answered = serde_json::json!({ "id": name, "sha": commit, "siblings": siblings }).to_string();
    answer(seen, 200, "Content-Type: application/json\r\n", answered.as_bytes(), None)
}

fn body(seen: &Seen, headers: &str, content: &[u8], mishap: Option<Mishap>) -> Vec<u8> {
    let mut content = content.to_vec();
    if matches!(mishap, Some(Mishap::Damage)) {
        content[0] ^= 1;
    }
    let cut = if let Some(Mishap::Cut(after)) = mishap { Some(after) } else { None };
    let range = seen.headers.get("range").filter(|_| !matches!(mishap, Some(Mishap::NoRange)));
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        Some(from) if from >= content.len() => answer(seen, 416, "", b"", None),
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", content.len() - 1, content.len());
            answer(seen, 206, &format!("{headers}{range}"), &content[from..], cut)
        }
        None => answer(seen, 200, headers, &content, cut),
    }
}

fn answer(seen: &Seen, status: u16, headers: &str, body: &[u8], cut: Option<usize>) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Status\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let sent = if seen.method == "HEAD" { &[] } else { &body[..cut.unwrap_or(length)] };
    [head.as_bytes(), sent].concat()
}

pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
