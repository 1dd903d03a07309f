//! A connection that is closed when its client is too slow: with a request's head, between requests, or in taking an
//! answer. Bodies have a clock of their own where they are read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// For a request's head.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) rest: Duration,
    /// For taking some of an answer.
    pub(super) write: Duration,
}

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const BETWEEN: u8 = 2;

/// What a connection is doing; the one who answers requests tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// A head was read, and its request is being answered.
    pub(super) fn busy(&self) {
        self.0.store(BUSY, Ordering::SeqCst);
    }

    /// The answer is there.
    pub(super) fn between(&self) {
        self.0.store(BETWEEN, Ordering::SeqCst);
    }
}

/// A stream with its clocks.
pub(super) struct Timed {
    stream: TcpStream,
    phase: Phase,
    clocks: Clocks,
    /// The phase that the clock was started for.
    reading: Option<(u8, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    pub(super) fn new(stream: TcpStream, phase: Phase, clocks: Clocks) -> Self {
        Self { stream, phase, clocks, reading: None, writing: None }
    }

    /// Whether the client has been silent for too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let phase = self.phase.0.load(Ordering::SeqCst);
        if phase == BUSY {
            self.reading = None;
            return false;
        }
        if self.reading.as_ref().is_none_or(|(of, _)| *of != phase) {
            let limit = if phase == HEAD { self.clocks.head } else { self.clocks.rest };
            self.reading = Some((phase, Box::pin(sleep(limit))));
        }
        self.reading.as_mut().is_some_and(|(_, clock)| clock.as_mut().poll(context).is_ready())
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let arrived = buffer.filled().len() > before;
        if arrived {
            // The first byte after an answer begins a head; while one is read, the clock goes on.
            let _ = self.phase.0.compare_exchange(BETWEEN, HEAD, Ordering::SeqCst, Ordering::SeqCst);
        }
        if self.is_late(context) {
            return Poll::Ready(Err(late()));
        }
        read
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let limit = self.clocks.write;
        let clock = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        if clock.as_mut().poll(context).is_ready() { Poll::Ready(Err(late())) } else { Poll::Pending }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper has looked for the next request while this one was answered and does not look again by itself: here the
        // clock of the rest after it begins, and wakes it.
        if self.is_late(context) {
            return Poll::Ready(Err(late()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
