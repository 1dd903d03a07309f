//! `overload`: more requests than can be answered, each of them answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;

use crate::crowd::{Until, capacity, crowd};
use crate::pace::{open_loop, poisson};
use crate::pool::{Outcome, Pool, Requests};
use crate::process::resident_mib;
use crate::server::Server;
use crate::setup::Setup;
use crate::statistics::{latencies, quantile};
use crate::texts::{Endless, Text};
use crate::truth::{Comparison, compare, truth};
use crate::verdict::{Verdict, figure};

/// Where the numbers of the texts of each part begin, so that no text is asked for twice.
const FIRST_TEXTS: usize = 1_000_000;
const LOAD_TEXTS: usize = 10_000_000;
const PROBE_TEXTS: usize = 80_000_000;
const LAST_TEXTS: usize = 90_000_000;
/// Requests alone on the server, whose slowest is the latency to come back to.
const BASE_REQUESTS: usize = 100;
const REJECT_LIMIT_MS: f64 = 50.0;
const LEAST_GOODPUT: f64 = 0.9;
const MOST_GROWTH_MIB: f64 = 32.0;
const BACK_LIMIT: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Length of the load
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Offered load as a multiple of the capacity
    #[arg(long, default_value_t = 2.0)]
    factor: f64,
    /// `--queue-items` of the server
    #[arg(long, default_value_t = 64)]
    queue_items: usize,
    /// Length of the measurement of the capacity
    #[arg(long, default_value_t = 10)]
    capacity_seconds: u64,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let endless = Endless::read(&setup.texts)?;
    let server = Server::start(setup, &["--queue-items", &options.queue_items.to_string()])?;
    let (pool, address) = (Pool::new(server.address()), server.address());
    let mut verdict = Verdict::default();
    let alone = crowd(&pool, &endless.requests(address, 0), 1, Until::Requests(BASE_REQUESTS)).await;
    let base: Vec<f64> = alone.outcomes.iter().map(|outcome| outcome.latency).collect();
    figure(&format!("one client alone: {}", latencies(&base)));
    let (clients, time) = (options.queue_items.div_ceil(2), Duration::from_secs(options.capacity_seconds));
    let first = capacity(&pool, &endless.requests(address, FIRST_TEXTS), clients, time).await?;
    let (rate, duration) = (options.factor * first, Duration::from_secs(options.seconds));
    let arrivals = poisson(rate, duration, &mut Random::new(setup.seed));
    figure(&format!("{} requests, {rate:.1} a second at random for {} s", arrivals.len(), options.seconds));
    let before = server.metrics().await?;
    let (requests, probes) = (endless.requests(address, LOAD_TEXTS), endless.requests(address, PROBE_TEXTS));
    let (outcomes, memory, back) = tokio::join!(
        open_loop(&pool, &arrivals, &requests),
        watch_memory(&server, duration),
        until_back(&pool, &probes, duration, quantile(&base, 1.0)),
    );
    let tally = Tally::of(&outcomes);
    tally.check(&outcomes, pool.surplus(), &mut verdict);
    let after = server.metrics().await?;
    let counted = [200, 503].map(|status| after.answered(status) - before.answered(status));
    let own = [tally.good + back.answered, tally.refused + back.refused].map(|count| count as f64);
    let text = format!("the server counts {counted:?} answers with 200 and 503, the clients {own:?}");
    verdict.check(counted == own, &text);
    check_memory(&memory?, duration, &mut verdict);
    server.check_queue_is_empty(BACK_LIMIT, &mut verdict).await?;
    // A machine that others use as well is not the same before and after the load.
    let last = capacity(&pool, &endless.requests(address, LAST_TEXTS), clients, time).await?;
    back.check(Duration::from_secs_f64(options.queue_items as f64 / f64::min(first, last)), &mut verdict);
    check_goodput(&outcomes, &arrivals, duration, f64::midpoint(first, last), &mut verdict);
    verdict.check_bits(&verify(setup, &endless, &outcomes)?);
    Ok(verdict)
}

/// What was answered with scores while the load lasted.
fn check_goodput(
    outcomes: &[Outcome],
    arrivals: &[Duration],
    duration: Duration,
    capacity: f64,
    verdict: &mut Verdict,
) {
    let within =
        |outcome: &&Outcome| arrivals[outcome.request].as_secs_f64() + outcome.latency / 1e3 <= duration.as_secs_f64();
    let good = outcomes.iter().filter(|outcome| outcome.status() == Some(200)).filter(within).count();
    let share = good as f64 / duration.as_secs_f64() / capacity;
    let offered = arrivals.len() as f64 / good as f64;
    figure(&format!("{offered:.2} times as many requests came as were answered with scores in that time"));
    let text = format!("goodput {share:.3} of the mean of the capacities before and after, at least {LEAST_GOODPUT}");
    verdict.check(share >= LEAST_GOODPUT, &text);
}

/// Outcomes by kind.
struct Tally {
    good: usize,
    /// 503 with Retry-After.
    refused: usize,
    /// Any other answer.
    other: usize,
    /// No complete answer.
    lost: usize,
}

impl Tally {
    fn of(outcomes: &[Outcome]) -> Self {
        let mut tally = Self { good: 0, refused: 0, other: 0, lost: 0 };
        for outcome in outcomes {
            match &outcome.reply {
                Ok(reply) if reply.status == 200 => tally.good += 1,
                Ok(reply) if reply.is_polite_refusal() => tally.refused += 1,
                Ok(_) => tally.other += 1,
                Err(_) => tally.lost += 1,
            }
        }
        tally
    }

    fn check(&self, outcomes: &[Outcome], surplus: usize, verdict: &mut Verdict) {
        let Self { good, refused, other, lost } = self;
        let failure = outcomes.iter().find_map(|outcome| outcome.reply.as_ref().err());
        let failure = failure.map(|failure| format!(" (first: {failure:?})")).unwrap_or_default();
        let text = format!("{good} answered with 200 and {refused} with 503; {lost} without an answer{failure}");
        verdict.check(*lost == 0, &text);
        verdict.check(surplus == 0, &format!("{surplus} answers without a request"));
        verdict.check(*other == 0, &format!("{other} answers are neither 200 nor 503 with Retry-After"));
        let latency = |status: u16| -> Vec<f64> {
            let outcomes = outcomes.iter().filter(|outcome| outcome.status() == Some(status));
            outcomes.map(|outcome| outcome.latency).collect()
        };
        figure(&format!("latency of answers with 200: {}", latencies(&latency(200))));
        let refusals = latency(503);
        let text = format!("latency of refusals: {}; p99 below {REJECT_LIMIT_MS} ms", latencies(&refusals));
        verdict.check(quantile(&refusals, 0.99) < REJECT_LIMIT_MS, &text);
    }
}

/// Seconds since the start and resident MiB, four times a second.
async fn watch_memory(server: &Server, duration: Duration) -> Result<Vec<(f64, f64)>> {
    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < duration {
        samples.push((start.elapsed().as_secs_f64(), resident_mib(server.process())?));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(samples)
}

/// The first sixth of the load warms up; what memory grows by after it must stay small.
fn check_memory(samples: &[(f64, f64)], duration: Duration, verdict: &mut Verdict) {
    let warm = duration.as_secs_f64() / 6.0;
    let most = |from: f64, to: f64| {
        let inside = samples.iter().filter(|(time, _)| (from..to).contains(time));
        inside.map(|(_, mib)| *mib).fold(f64::NAN, f64::max)
    };
    let (before, later) = (most(0.0, warm), most(warm, f64::INFINITY));
    let text = format!(
        "resident memory {before:.1} MiB after {warm:.0} s, {later:.1} MiB at most later: {:+.1} MiB",
        later - before
    );
    verdict.check(later - before <= MOST_GROWTH_MIB, &format!("{text}, at most {MOST_GROWTH_MIB}"));
}

/// How the server came back from the load.
struct Back {
    /// From the last moment of the load to the first of three requests in a row that were as fast as before it.
    after: Option<Duration>,
    answered: usize,
    refused: usize,
}

impl Back {
    /// The load ends with a full queue, which must be worked off first.
    fn check(&self, full_queue: Duration, verdict: &mut Verdict) {
        let after =
            self.after.map_or("never".to_owned(), |after| format!("{:.2} s after the load", after.as_secs_f64()));
        let queue = full_queue.as_secs_f64();
        let text = format!(
            "latency back to base {after}; at most {} s longer than a full queue takes, {queue:.2} s",
            BACK_LIMIT.as_secs()
        );
        verdict.check(self.after.is_some_and(|after| after <= BACK_LIMIT + full_queue), &text);
    }
}

/// Probes one after another once the load is over.
async fn until_back(pool: &Arc<Pool>, probes: &Requests, load: Duration, base: f64) -> Back {
    tokio::time::sleep(load).await;
    let (start, mut fast) = (Instant::now(), Vec::new());
    let mut back = Back { after: None, answered: 0, refused: 0 };
    for number in 0.. {
        let sent = Instant::now();
        let outcome = pool.exchange(number, &probes(number), sent).await;
        let good = outcome.status() == Some(200);
        back.answered += usize::from(good);
        back.refused += usize::from(outcome.status() == Some(503));
        if good && outcome.latency <= base {
            fast.push(sent - start);
        } else {
            fast.clear();
        }
        if fast.len() == 3 {
            back.after = fast.first().copied();
        }
        if back.after.is_some() || start.elapsed() > 5 * BACK_LIMIT {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    back
}

/// Compares all answers with what `ensemble score` says of the same texts.
fn verify(setup: &Setup, endless: &Endless, outcomes: &[Outcome]) -> Result<Comparison> {
    let good = outcomes.iter().filter(|outcome| outcome.status() == Some(200));
    let good: Vec<(usize, &[u8])> =
        good.filter_map(|outcome| Some((outcome.request, outcome.reply.as_ref().ok()?.body.as_slice()))).collect();
    let texts: Vec<Text> = good.iter().map(|(number, _)| endless.text(LOAD_TEXTS + number)).collect();
    let mut comparison = Comparison::default();
    for ((_, body), expected) in good.iter().zip(&truth(setup, &texts)?) {
        comparison.add(compare(body, &[expected]));
    }
    Ok(comparison)
}
