//! The real server as a child process: started on a free port, watched from outside, ended by SIGTERM.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use ensemble::error::{Error, Fault, Result};

use crate::client::{After, Connection, Reply, get, post};
use crate::metrics::Metrics;
use crate::setup::Setup;
use crate::verdict::Verdict;

const START_LIMIT: Duration = Duration::from_mins(1);
/// Lines of standard error that are kept.
const KEPT_LINES: usize = 1000;

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    errors: Arc<Mutex<Vec<String>>>,
}

/// How a server ended.
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    /// Its last line on standard error.
    pub(crate) last_line: String,
}

impl Server {
    /// Starts the server with further options and waits for the line that says where it listens.
    pub(crate) fn start(setup: &Setup, options: &[&str]) -> Result<Self> {
        let mut command = setup.command("serve");
        command.args(["--port", "0"]).args(options);
        command.env_remove("ENSEMBLE_API_KEY").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(setup, &error.to_string()))?;
        let errors = keep_lines(child.stderr.take());
        let address = first_line(child.stdout.take());
        let address: Option<SocketAddr> =
            address.and_then(|line| line.trim().strip_prefix("http://")?.trim_end_matches('/').parse().ok());
        if let Some(address) = address {
            return Ok(Self { child, address, errors });
        }
        let _ = child.kill();
        let _ = child.wait();
        let lines = errors.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
        Err(failed(setup, &format!("no base URL on its first line; it said:\n{lines}")))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number among the processes of the system.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// One request on a connection of its own that must be answered.
    pub(crate) async fn ask(&self, request: &[u8]) -> Result<Reply> {
        let reply = async { Connection::open(self.address).await?.exchange(request).await }.await;
        reply.map_err(|failure| Error::Io(vec![Fault::new("an ordinary request", format!("{failure:?}"))]))
    }

    /// Scores a body on a connection of its own.
    pub(crate) async fn score(&self, body: &[u8]) -> Result<Reply> {
        self.ask(&post(self.address, body, After::Close)).await
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.ask(&get(self.address, "/metrics")).await?.body))
    }

    /// The condition that all gauges of the queue are back at 0 within `limit`.
    pub(crate) async fn check_queue_is_empty(&self, limit: Duration, verdict: &mut Verdict) -> Result<()> {
        let start = Instant::now();
        loop {
            let queue = self.metrics().await?.queue();
            let (empty, took) = (queue == [0.0; 3], start.elapsed());
            if empty || took > limit {
                let text = format!("items, tokens and bytes in the queue {queue:?} after {:.2} s", took.as_secs_f64());
                verdict.check(empty, &text);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks the server to end; returns at once.
    pub(crate) fn terminate(&self) -> Result<()> {
        let kill = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        match kill {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::Io(vec![Fault::new("kill -TERM", status)])),
            Err(error) => Err(Error::Io(vec![Fault::new("kill -TERM", error)])),
        }
    }

    /// Waits for the end of the process; nothing if it lives longer than `limit`.
    pub(crate) async fn exit(&mut self, limit: Duration) -> Result<Option<Exit>> {
        let start = Instant::now();
        loop {
            let status = self.child.try_wait().map_err(|error| Error::Io(vec![Fault::new("the server", error)]))?;
            if let Some(status) = status {
                let took = start.elapsed();
                // The thread that reads standard error needs a moment for the last line.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let last_line = self.errors.lock().unwrap_or_else(PoisonError::into_inner).last().cloned();
                return Ok(Some(Exit { status, took, last_line: last_line.unwrap_or_default() }));
            }
            if start.elapsed() > limit {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failed(setup: &Setup, found: &str) -> Error {
    Error::Io(vec![Fault::new(setup.binary.display(), format!("the server did not start: {found}"))])
}

/// Keeps the last lines of a stream, read by a thread so that the server never waits for us.
fn keep_lines(stream: Option<impl Read + Send + 'static>) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in
            stream.into_iter().flat_map(|stream| BufReader::new(stream).lines()).map_while(std::result::Result::ok)
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(line);
            if kept.len() > KEPT_LINES {
                kept.remove(0);
            }
        }
    });
    lines
}

/// The first line of a stream, which is read to its end by a thread.
fn first_line(stream: Option<impl Read + Send + 'static>) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in
            stream.into_iter().flat_map(|stream| BufReader::new(stream).lines()).map_while(std::result::Result::ok)
        {
            let _ = sender.send(line);
        }
    });
    receiver.recv_timeout(START_LIMIT).ok()
}
