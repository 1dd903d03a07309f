//! Closed loop: a fixed number of clients, each with one request at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ensemble::error::{Error, Fault, Result};
use tokio::task::JoinSet;

use crate::pool::{Outcome, Pool, Requests};
use crate::verdict::figure;

/// What a crowd got.
pub(crate) struct Crowd {
    /// In the order of the requests.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) took: Duration,
}

impl Crowd {
    /// Requests answered with 200 per second.
    pub(crate) fn rate(&self) -> f64 {
        let good = self.outcomes.iter().filter(|outcome| outcome.status() == Some(200)).count();
        good as f64 / self.took.as_secs_f64()
    }

    /// Requests that were not answered with 200.
    pub(crate) fn failures(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.status() != Some(200)).count()
    }
}

/// Requests a second that a crowd gets answered with 200.
///
/// # Errors
/// When none is: then nothing can be measured.
pub(crate) async fn capacity(pool: &Arc<Pool>, requests: &Requests, clients: usize, time: Duration) -> Result<f64> {
    let crowd = crowd(pool, requests, clients, Until::Time(time)).await;
    if crowd.rate() > 0.0 {
        figure(&format!("capacity {:.1} texts/s, {clients} clients", crowd.rate()));
        return Ok(crowd.rate());
    }
    let first = crowd.outcomes.first().map(|outcome| format!("the first: {:?}", outcome.reply)).unwrap_or_default();
    Err(Error::Io(vec![Fault::new("the capacity", "no request was answered with 200").help(first)]))
}

/// When a crowd stops.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After so many requests.
    Requests(usize),
    /// When this time is over; what is under way is waited for.
    Time(Duration),
}

/// `clients` draw one request after another until the end; no request is sent twice.
pub(crate) async fn crowd(pool: &Arc<Pool>, requests: &Requests, clients: usize, until: Until) -> Crowd {
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        let (pool, requests, next) = (Arc::clone(pool), Arc::clone(requests), Arc::clone(&next));
        tasks.spawn(async move {
            let mut outcomes = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let goes_on = match until {
                    Until::Requests(count) => number < count,
                    Until::Time(limit) => start.elapsed() < limit,
                };
                if !goes_on {
                    return outcomes;
                }
                let request = requests(number);
                outcomes.push(pool.exchange(number, &request, Instant::now()).await);
            }
        });
    }
    let mut outcomes: Vec<Outcome> = tasks.join_all().await.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| outcome.request);
    Crowd { outcomes, took: start.elapsed() }
}
