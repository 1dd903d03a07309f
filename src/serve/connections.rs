//! Accepts connections until told to stop, then lets what was accepted finish.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::http;
use super::service::Service;
use super::settings::Settings;
use super::timed::{Clocks, Phase, Timed};
use crate::error::{Error, Fault, Result};

/// How long connections are still accepted after the server was told to stop: `/ready` says 503 from the first moment, and
/// every answer closes its connection, so that clients and balancers find another server.
const GRACE: Duration = Duration::from_secs(1);

/// How long connections that were accepted last have to send the request they were opened for, before resting connections
/// are closed.
const SETTLE: Duration = Duration::from_millis(250);

/// After a failure to accept (no descriptors left), before the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that the system keeps until they are accepted: a trainer opens one for every sample, all at once, and those
/// that find no room wait seconds before they try again. The system may allow fewer.
const BACKLOG: u32 = 4096;

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests whose head was read.
    pub accepted: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Whether all connections had ended before the time for it was over.
    pub in_time: bool,
}

/// Listens at the first address of `host` that can be had.
async fn listen(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut failure = std::io::Error::new(std::io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // On Unix this lets a restarted server have the address of one that has just ended.
        if cfg!(unix) {
            socket.set_reuseaddr(true)?;
        }
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A bound server.
pub struct Server {
    listener: TcpListener,
    service: Arc<Service>,
    room: Arc<Semaphore>,
}

impl Server {
    /// Binds an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Io`] when it is taken or not this machine's.
    pub(super) async fn bind(service: Arc<Service>, host: &str, port: u16) -> Result<Self> {
        let listener = listen(host, port).await.map_err(|error| {
            let fault = Fault::new(format!("{host}:{port}"), error);
            Error::Io(vec![fault.help("choose another --port or --host, or stop what listens there")])
        })?;
        let room = Arc::new(Semaphore::new(service.settings.max_connections));
        Ok(Self { listener, service, room })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`Error::Io`] when the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| Error::Io(vec![Fault::new("the server's address", error)]))
    }

    /// Serves until `stop` says something; what it says next ends the server at once.
    pub async fn run(self, mut stop: mpsc::Receiver<()>) -> Drained {
        let Self { listener, service, room } = self;
        let accept =
            Accept { service: &service, room, graceful: GracefulShutdown::new(), router: http::router(&service) };
        let told = async {
            stop.recv().await;
        };
        accept.until(&listener, told).await;
        service.draining.store(true, Ordering::SeqCst);
        let ended = async {
            accept.until(&listener, tokio::time::sleep(GRACE)).await;
            accept.until(&listener, async {}).await;
            drop(listener);
            tokio::time::sleep(SETTLE).await;
            let left = service.settings.drain.saturating_sub(GRACE + SETTLE);
            tokio::time::timeout(left, accept.graceful.shutdown()).await.is_ok()
        };
        let in_time = tokio::select! {
            in_time = ended => in_time,
            _ = stop.recv() => false,
        };
        service.batcher.close();
        let (accepted, answered) = (&service.accepted, &service.answered);
        Drained { accepted: accepted.load(Ordering::SeqCst), answered: answered.load(Ordering::SeqCst), in_time }
    }
}

/// What is done with connections.
struct Accept<'a> {
    service: &'a Arc<Service>,
    room: Arc<Semaphore>,
    graceful: GracefulShutdown,
    router: Router,
}

impl Accept<'_> {
    /// Accepts connections until `end` is there, and at the end all that have come by then.
    async fn until(&self, listener: &TcpListener, end: impl Future<Output = ()>) {
        tokio::pin!(end);
        loop {
            let next = async {
                // No connection is accepted that could not be served: it waits in the system's queue.
                let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
                Some((listener.accept().await, permit))
            };
            tokio::select! {
                biased;
                accepted = next => match accepted {
                    Some((Ok((stream, _)), permit)) => self.serve(stream, permit),
                    Some((Err(_), _)) => tokio::time::sleep(ACCEPT_PAUSE).await,
                    None => return,
                },
                () = &mut end => return,
            }
        }
    }

    fn serve(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let settings = &self.service.settings;
        // Answers are small and complete: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let phase = Phase::default();
        let Settings { head_timeout: head, rest_timeout: rest, deadline: write, .. } = *settings;
        let timed = Timed::new(stream, phase.clone(), Clocks { head, rest, write });
        let router = TowerToHyperService::new(self.router.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            phase.busy();
            let (answer, phase) = (router.call(request), phase.clone());
            async move {
                let answer = answer.await;
                phase.between();
                answer
            }
        });
        let connection = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(timed), answer);
        let watched = self.graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that ends badly has no one left to tell.
            let _ = watched.await;
            drop(permit);
        });
    }
}
