//! `ensemble serve`: scores over HTTP, in the dialects that trainers speak already.
//!
//! ```text
//! connection ─▶ guard ─▶ body ─▶ dialect ─▶ prepare ─▶ queue ─▶ workers ─▶ score ─▶ dialect ─▶ answer
//!   timed       key,     within   body to    render,    bounded   embed      heads,   scores to
//!               host     limits   request    tokenize                        rule     reply
//! ```
//!
//! A score depends on its text alone, to the bit, whatever else is asked for at the same time. No answer holds a number
//! that is none, and none is made up: what has no score is refused by name.

mod about;
mod batcher;
mod body;
mod connections;
mod dialects;
mod drift;
mod engine;
mod failure;
mod group;
mod guard;
mod http;
mod metrics;
mod queue;
mod reading;
mod request;
mod service;
mod settings;
mod timed;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use connections::{Drained, Server};
pub use engine::Engine;
pub use service::Identity;
pub use settings::Settings;

use crate::error::Result;
use service::Service;

/// Binds a server for an engine with `workers` threads that read texts; [`Server::run`] serves.
///
/// # Errors
/// [`crate::error::Error::Io`] when the address is taken or the system refuses a thread.
pub async fn bind(
    engine: Arc<dyn Engine>,
    identity: Identity,
    settings: Settings,
    workers: usize,
    address: (&str, u16),
) -> Result<Server> {
    let service = Arc::new(Service::new(engine, identity, settings, workers)?);
    Server::bind(service, address.0, address.1).await
}
