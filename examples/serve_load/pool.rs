//! Connections that are kept open between requests and shared by all clients of a load.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Connection, Failure, Idle, Reply};
use crate::statistics::milliseconds;

/// Well below the server's timers for idle connections, so that no request meets a connection that is about to close.
const IDLE_LIMIT: Duration = Duration::from_secs(3);

/// Makes the n-th request of a load.
pub(crate) type Requests = Arc<dyn Fn(usize) -> Vec<u8> + Send + Sync>;

/// One request of a load and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Which request of the load.
    pub(crate) request: usize,
    /// Milliseconds from the moment it was due (open loop) or was sent (closed loop) to the end of its reply.
    pub(crate) latency: f64,
    pub(crate) reply: Result<Reply, Failure>,
}

impl Outcome {
    pub(crate) fn status(&self) -> Option<u16> {
        self.reply.as_ref().ok().map(|reply| reply.status)
    }
}

/// The open connections to a server.
pub(crate) struct Pool {
    address: SocketAddr,
    idle: Mutex<Vec<(Connection, Instant)>>,
    surplus: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, idle: Mutex::new(Vec::new()), surplus: AtomicUsize::new(0) })
    }

    /// Answers for which nobody had asked.
    pub(crate) fn surplus(&self) -> usize {
        while self.take().is_some() {}
        self.surplus.load(Ordering::Relaxed)
    }

    /// One request on an open connection, or on a new one; `due` is where its latency begins.
    pub(crate) async fn exchange(&self, number: usize, request: &[u8], due: Instant) -> Outcome {
        let reply = self.try_exchange(request).await;
        Outcome { request: number, latency: milliseconds(due.elapsed()), reply }
    }

    async fn try_exchange(&self, request: &[u8]) -> Result<Reply, Failure> {
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let reply = connection.exchange(request).await;
        if connection.is_reusable() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
        }
        reply
    }

    /// The connection that was used last and is still good.
    fn take(&self) -> Option<Connection> {
        loop {
            let (connection, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            match connection.idle() {
                Idle::Open if since.elapsed() < IDLE_LIMIT => return Some(connection),
                Idle::Open | Idle::Closed => {}
                Idle::Surplus => drop(self.surplus.fetch_add(1, Ordering::Relaxed)),
            }
        }
    }
}
