//! Speaks with a model hub over HTTP: which files a revision has, what a file's digest is, its bytes.
//!
//! The token goes to the hub itself and never to the file servers it redirects to. What may pass (too many requests,
//! a server's own failure, a broken connection) is tried again a few times; everything else is a fault at once.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use super::hub_cache::{Environment, expand, home_folder, is_true, variable};
use super::hub_name::{RepositoryId, is_commit};
use crate::error::{Error, Fault, Result, quote};
use crate::files;

/// Redirects that one request may take.
const MOST_REDIRECTS: usize = 5;
/// Times one request is sent at most.
pub(super) const ATTEMPTS: u32 = 5;
/// A server that asks for a longer pause is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A connection to one hub, for one revision of one model.
pub(super) struct Client<'a> {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    repository: &'a RepositoryId,
    revision: &'a str,
}

/// What a revision stands for.
pub(super) struct Published {
    /// The commit, 40 hexadecimal digits.
    pub(super) commit: String,
    pub(super) files: BTreeSet<String>,
}

/// What the hub says of a file before it is fetched.
pub(super) struct Metadata {
    /// The name of the file's content: safe as a file name.
    pub(super) etag: String,
    /// Bytes, where the hub says so.
    pub(super) size: Option<u64>,
}

/// A file's bytes from `start` on; `None` when the hub has none from there on.
pub(super) struct Bytes {
    pub(super) start: Option<u64>,
    pub(super) reader: Box<dyn Read>,
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    Head,
    Get,
}

impl<'a> Client<'a> {
    /// A client by the variables `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH` and `HF_HOME`.
    ///
    /// # Errors
    /// [`Error::Model`] when the endpoint or the token cannot be used.
    pub(super) fn new(repository: &'a RepositoryId, revision: &'a str, environment: Environment<'_>) -> Result<Self> {
        let endpoint = variable(environment, "HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if origin(&endpoint).is_none() || endpoint.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@') {
            return Err(Error::Model(vec![
                Fault::new("HF_ENDPOINT", format!("{} is not an address", quote(&endpoint)))
                    .accepts("an address such as https://huggingface.co"),
            ]));
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("ensemble/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)));
        if ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|local| endpoint.starts_with(local)) {
            config = config.proxy(None);
        }
        let agent = config.build().new_agent();
        Ok(Self { agent, endpoint, token: token(environment)?, repository, revision })
    }

    /// Where people see this model.
    pub(super) fn page(&self) -> String {
        format!("{}/{}", self.endpoint, self.repository)
    }

    /// The commit and the files of the revision.
    ///
    /// # Errors
    /// [`Error::Model`] when the hub does not have or does not give it, [`Error::Io`] when the network fails.
    pub(super) fn published(&self) -> Result<Published> {
        let url = format!("{}/api/models/{}/revision/{}", self.endpoint, self.repository, escape(self.revision));
        let odd = |found: String| {
            Error::Io(vec![
                Fault::new(&url, format!("the answer is not a hub's: {found}")).help("check HF_ENDPOINT and the proxy"),
            ])
        };
        let mut reply = self.follow(Method::Get, &url, 0, |_, _| true)?;
        let text = reply.body_mut().with_config().limit(64 << 20).read_to_string();
        let text = text.map_err(|error| broken(&url, &error))?;
        let answer: serde_json::Value = serde_json::from_str(&text).map_err(|error| odd(error.to_string()))?;
        let commit = answer["sha"].as_str().filter(|sha| is_commit(sha)).ok_or_else(|| odd("no commit".to_owned()))?;
        if is_commit(self.revision) && !self.revision.eq_ignore_ascii_case(commit) {
            return Err(odd(format!("asked for commit {}, got {commit}", self.revision)));
        }
        let names = answer["siblings"].as_array().into_iter().flatten().filter_map(|file| file["rfilename"].as_str());
        Ok(Published { commit: commit.to_ascii_lowercase(), files: names.map(str::to_owned).collect() })
    }

    /// Etag and size of a file of `commit`.
    ///
    /// # Errors
    /// As [`Self::published`].
    pub(super) fn metadata(&self, commit: &str, file: &str) -> Result<Metadata> {
        let url = self.file_url(commit, file);
        let (mut etag, mut linked, mut size, mut of) = (None, None, None, None);
        self.follow(Method::Head, &url, 0, |headers, redirect| {
            of = of.take().or_else(|| text(headers, "x-repo-commit"));
            linked = linked.take().or_else(|| text(headers, "x-linked-etag"));
            etag = text(headers, "etag").or_else(|| etag.take());
            size = size.or_else(|| number(headers, "x-linked-size"));
            if !redirect {
                size = size.or_else(|| number(headers, "content-length"));
            }
            // The hub's own redirects (a model that got a new name) are followed; a file server's are of no interest.
            linked.is_none()
        })?;
        let wrong = |found: String| Error::Io(vec![Fault::new(&url, found).help("check HF_ENDPOINT and the proxy")]);
        if let Some(other) = of.filter(|other| !other.eq_ignore_ascii_case(commit)) {
            return Err(wrong(format!("the hub answered for commit {}, asked was {commit}", quote(&other))));
        }
        let etag = linked.or(etag).ok_or_else(|| wrong("the hub gave no etag".to_owned()))?;
        let bare = etag.trim_start_matches("W/").trim_matches('"');
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if bare.is_empty() || bare.len() > 128 || !bare.chars().all(safe) {
            return Err(wrong(format!("the etag {} cannot name a file", quote(&etag))));
        }
        Ok(Metadata { etag: bare.to_owned(), size })
    }

    /// A file's bytes from `from` on, or from its start where the server knows no ranges.
    ///
    /// # Errors
    /// As [`Self::published`].
    pub(super) fn bytes(&self, commit: &str, file: &str, from: u64) -> Result<Bytes> {
        let reply = self.follow(Method::Get, &self.file_url(commit, file), from, |_, _| true)?;
        let start = match reply.status().as_u16() {
            206 => text(reply.headers(), "content-range")
                .and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()),
            416 => None,
            _ => Some(0),
        };
        Ok(Bytes { start, reader: Box::new(reply.into_body().into_reader()) })
    }

    fn file_url(&self, commit: &str, file: &str) -> String {
        format!("{}/{}/resolve/{commit}/{}", self.endpoint, self.repository, escape(file))
    }

    /// Sends a request and follows redirects as long as `go_on` says so of an answer's headers and whether it is one.
    fn follow(
        &self,
        method: Method,
        url: &str,
        from: u64,
        mut go_on: impl FnMut(&HeaderMap, bool) -> bool,
    ) -> Result<Response<Body>> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let reply = self.send(method, &url, from)?;
            let redirect = matches!(reply.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !go_on(reply.headers(), redirect) || !redirect {
                return Ok(reply);
            }
            let location = text(reply.headers(), "location").unwrap_or_default();
            url = join(&url, &location).ok_or_else(|| {
                let found = format!("it redirects to {}", quote(location.split('?').next().unwrap_or_default()));
                Error::Io(vec![Fault::new(shown(&url), found).accepts("an address that is as safe as this one")])
            })?;
        }
        Err(Error::Io(vec![Fault::new(shown(&url), format!("more than {MOST_REDIRECTS} redirects"))]))
    }

    /// Sends one request, again where that may help.
    fn send(&self, method: Method, url: &str, from: u64) -> Result<Response<Body>> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let asked = if method == Method::Head { self.agent.head(url) } else { self.agent.get(url) };
            let mut asked = asked.header("accept-encoding", "identity");
            if let Some(token) = self.token.as_ref().filter(|_| self.is_own(url)) {
                asked = asked.header("authorization", format!("Bearer {token}"));
            }
            if from > 0 {
                asked = asked.header("range", format!("bytes={from}-"));
            }
            let pause = Duration::from_millis(250 << attempt);
            match asked.call() {
                Ok(reply) if reply.status().as_u16() < 400 || reply.status() == 416 => return Ok(reply),
                Ok(reply) if matches!(reply.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504) => {
                    let pause = number(reply.headers(), "retry-after").map_or(pause, Duration::from_secs);
                    if attempt == ATTEMPTS || pause > LONGEST_PAUSE {
                        return Err(busy(url, reply.status().as_u16(), pause));
                    }
                    std::thread::sleep(pause);
                }
                Ok(reply) => return Err(self.refused(url, &reply)),
                // Without a network every attempt fails alike, so it is given up sooner.
                Err(error) if attempt < 3 && passing(&error) => std::thread::sleep(pause),
                Err(error) => return Err(broken(url, &error)),
            }
        }
    }

    fn is_own(&self, url: &str) -> bool {
        origin(url) == origin(&self.endpoint)
    }

    /// The fault for an answer that says no.
    fn refused(&self, url: &str, reply: &Response<Body>) -> Error {
        let (repository, page) = (self.repository, self.page());
        let status = reply.status().as_u16();
        let said = text(reply.headers(), "x-error-message").map_or(String::new(), |said| format!(": {}", quote(&said)));
        let code = text(reply.headers(), "x-error-code").unwrap_or_default();
        if !self.is_own(url) {
            let found = format!("the file server answered {status}");
            return Error::Io(vec![
                Fault::new(shown(url), found).help("try again: its addresses are valid for a while"),
            ]);
        }
        let set = "set HF_TOKEN to a token that may read it (or log in once with `hf auth login`)";
        let fault = match (status, code.as_str()) {
            (401 | 403, "GatedRepo") => Fault::new("backbone.hub", format!("{repository} is gated{said}"))
                .help(format!("accept its terms at {page}, then {set}")),
            (404, "RevisionNotFound") => {
                Fault::new("backbone.revision", format!("{repository} has no revision {}{said}", quote(self.revision)))
                    .help(format!("see its branches and tags at {page}/tree/main"))
            }
            (404, "EntryNotFound") => Fault::new(shown(url), format!("the hub does not have this file{said}")),
            (401, _) if self.token.is_some() => {
                Fault::new("backbone.hub", format!("the hub does not give {repository} with this token{said}"))
                    .help(format!("check the name at {page}; if it is right, {set}"))
            }
            (401 | 404, _) => {
                Fault::new("backbone.hub", format!("the hub has no model {repository}, or a private one{said}"))
                    .help(format!("check the name at {page}; if it is private, {set}"))
            }
            (403, _) => {
                Fault::new("backbone.hub", format!("the hub forbids {repository} to this token{said}")).help(set)
            }
            _ => Fault::new(shown(url), format!("the hub answered {status}{said}")).help("check HF_ENDPOINT"),
        };
        Error::Model(vec![fault])
    }
}

/// The token, by `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` (old), the file `HF_TOKEN_PATH`, the file `HF_HOME/token`.
fn token(environment: Environment<'_>) -> Result<Option<String>> {
    let named = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
    let given = named.iter().find_map(|name| variable(environment, name).map(|token| ((*name).to_owned(), token)));
    let (place, token) = match given {
        Some(given) => given,
        None if is_true(environment, "HF_HUB_DISABLE_IMPLICIT_TOKEN") => return Ok(None),
        None => {
            let path = match variable(environment, "HF_TOKEN_PATH") {
                Some(path) => expand(&path, environment),
                None => home_folder(environment)?.join("token"),
            };
            if !path.is_file() {
                return Ok(None);
            }
            (path.display().to_string(), files::read_text(Path::new(&path), "the token")?)
        }
    };
    let token = token.trim();
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(token.to_owned()).filter(|token| !token.is_empty()));
    }
    // The token itself is a secret, so it is not quoted.
    let fault = Fault::new(place, "this token holds characters that no token has").accepts("one word: hf_…");
    Err(Error::Model(vec![fault]))
}

/// Scheme, host and port of an address; `None` when it is none.
fn origin(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())?;
    Some(format!("{}{host}", &url[..url.len() - rest.len()]).to_ascii_lowercase())
}

/// Where `location` leads from `url`; `None` when that is no address, or one without TLS from one with it.
fn join(url: &str, location: &str) -> Option<String> {
    let target = match origin(location) {
        Some(_) => location.to_owned(),
        None if location.starts_with("//") => format!("{}:{location}", url.split(':').next()?),
        None if location.starts_with('/') => format!("{}{location}", origin(url)?),
        None => return None,
    };
    let safe = target.starts_with("https://") || url.starts_with("http://");
    origin(&target).filter(|_| safe).map(|_| target)
}

/// An address without its query, which may hold a signature.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// Escapes what may not stand in one segment of an address (RFC 3986, section 2.3).
fn escape(segment: &str) -> String {
    let escaped = segment.bytes().map(|byte| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// Whether the same request may succeed a moment later.
fn passing(error: &ureq::Error) -> bool {
    use ureq::Error as Failure;
    matches!(error, Failure::Io(_) | Failure::Timeout(_) | Failure::ConnectionFailed | Failure::HostNotFound)
}

fn broken(url: &str, error: &ureq::Error) -> Error {
    Error::Io(vec![
        Fault::new(shown(url), format!("the hub cannot be reached: {error}"))
            .help("check the network, HTTPS_PROXY and HF_ENDPOINT; what was fetched so far is kept"),
    ])
}

fn busy(url: &str, status: u16, pause: Duration) -> Error {
    let found = if status == 429 { "too many requests".to_owned() } else { format!("the server failed with {status}") };
    let seconds = pause.as_secs().max(1);
    let help = format!("try again in {seconds} s or later; what was fetched so far is kept; a token raises the limits");
    Error::Io(vec![Fault::new(shown(url), found).help(help)])
}
