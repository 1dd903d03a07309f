//! A request's body: read within its limits, holding no more memory than the server has room for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::Failure;
use super::settings::Settings;

/// How long a body that is too long is read on before its client is told.
const DISCARD: Duration = Duration::from_secs(2);

/// A body and the room it takes; the room is free again when this is dropped.
pub(super) struct HeldBody {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Room,
}

/// Bytes of the server's room.
pub(super) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Takes `bytes` more.
    fn grow(&mut self, all: &Arc<Semaphore>, bytes: usize) -> Result<(), Failure> {
        let full = || Failure::busy("the server holds as many bytes of requests as it has room for");
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        let permit = Arc::clone(all).try_acquire_many_owned(bytes).map_err(|_| full())?;
        match &mut self.0 {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

/// Reads on without keeping anything, for a while: a client that is still writing when the connection is closed never
/// sees why.
async fn discard(mut body: Body) {
    let rest = async { while body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
    // A client that sends for longer than that is not waited for.
    let _ = tokio::time::timeout(DISCARD, rest).await;
}

/// Reads a body to its end.
///
/// # Errors
/// 413 for more than [`Settings::max_body`] bytes; 408 for a body that takes longer than [`Settings::body_timeout`]; 503 when
/// there is no room; 400 for one that breaks off.
pub(super) async fn read(
    settings: &Settings,
    room: &Arc<Semaphore>,
    body: Body,
    told: Option<usize>,
) -> Result<HeldBody, Failure> {
    let most = settings.max_body.min(settings.queue_bytes);
    let too_long = || {
        let message = format!("the body is longer than {most} bytes");
        Failure::too_large(message).hint("send fewer items at once, or raise --max-body and --queue-bytes")
    };
    let whole = async {
        let mut held = HeldBody { bytes: Vec::new(), room: Room(None) };
        let mut body = body;
        if told.is_some_and(|told| told > most) {
            discard(body).await;
            return Err(too_long());
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::malformed(format!("the body broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if held.bytes.len() + data.len() > most {
                discard(body).await;
                return Err(too_long());
            }
            held.room.grow(room, data.len())?;
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    };
    let seconds = settings.body_timeout.as_secs_f64();
    let late =
        || Failure::new(StatusCode::REQUEST_TIMEOUT, "slow_body", format!("the body took longer than {seconds} s"));
    tokio::time::timeout(settings.body_timeout, whole).await.unwrap_or_else(|_| Err(late()))
}
