//! Open loop: requests come when they are due, whether the earlier ones are answered or not.
//!
//! Latency counts from the moment a request was due, so that a slow server cannot slow its own measurement down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ensemble::random::Random;
use tokio::task::JoinSet;

use crate::pool::{Outcome, Pool, Requests};

/// Moments of a Poisson process of `rate` a second.
pub(crate) fn poisson(rate: f64, duration: Duration, random: &mut Random) -> Vec<Duration> {
    let (mut arrivals, mut now) = (Vec::new(), 0.0);
    loop {
        now -= libm::log(random.uniform()) / rate;
        if now >= duration.as_secs_f64() {
            return arrivals;
        }
        arrivals.push(Duration::from_secs_f64(now));
    }
}

/// Sends request n at the n-th arrival; outcomes in the order of the requests.
pub(crate) async fn open_loop(pool: &Arc<Pool>, arrivals: &[Duration], requests: &Requests) -> Vec<Outcome> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, arrival) in arrivals.iter().enumerate() {
        let due = start + *arrival;
        tokio::time::sleep_until(due.into()).await;
        let (pool, request) = (Arc::clone(pool), requests(number));
        tasks.spawn(async move { pool.exchange(number, &request, due).await });
    }
    let mut outcomes = tasks.join_all().await;
    outcomes.sort_by_key(|outcome| outcome.request);
    outcomes
}
