//! `slow`: a thousand clients that send slowly or not at all, and those who do not notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Connection, Failure, get, post_head};
use crate::crowd::capacity;
use crate::pace::{open_loop, poisson};
use crate::pool::{Pool, Requests};
use crate::server::Server;
use crate::setup::Setup;
use crate::statistics::{latencies, median, quantile};
use crate::texts::Endless;
use crate::verdict::{Verdict, figure};

const MOST_RATIO: f64 = 1.5;
/// What a connection may live beyond its timer.
const GRACE: Duration = Duration::from_secs(1);
/// A slow client sends a byte so often.
const DRIP: Duration = Duration::from_secs(1);
/// Share of the capacity at which ordinary requests come.
const LOAD: f64 = 0.3;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Slow clients at the same time
    #[arg(long, default_value_t = 1000)]
    clients: usize,
    /// Length of a measurement
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Measurements without and with slow clients in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The server's timer for the head of a request, in seconds
    #[arg(long, default_value_t = 10)]
    header_timer: u64,
    /// The server's timer for the body
    #[arg(long, default_value_t = 30)]
    body_timer: u64,
    /// The server's timer for a connection on which nothing is asked any more
    #[arg(long, default_value_t = 60)]
    idle_timer: u64,
}

/// The ways to be slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The head of a request, byte by byte.
    Head,
    /// A head, and then the body byte by byte.
    Body,
    /// A connection on which nothing is ever said.
    Silent,
    /// A request that is answered, and nothing after it.
    Idle,
}

/// A third of the clients each; the last third is shared by the silent and the idle.
const KINDS: [Kind; 6] = [Kind::Head, Kind::Body, Kind::Silent, Kind::Head, Kind::Body, Kind::Idle];

/// How long connections of a kind lived, in seconds.
type Lives = Vec<(Kind, f64)>;

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let endless = Endless::read(&setup.texts)?;
    let server = Server::start(setup, &["--recent-texts", "0"])?;
    let (pool, address) = (Pool::new(server.address()), server.address());
    let rate = LOAD * capacity(&pool, &endless.requests(address, 0), 16, Duration::from_secs(5)).await?;
    let (mut verdict, mut random) = (Verdict::default(), Random::new(setup.seed));
    figure(&format!("ordinary requests {rate:.1} a second at random, {LOAD} of the capacity"));
    let (mut ratios, mut lives, mut first) = (Vec::new(), Lives::new(), 1_000_000);
    for round in 0..options.rounds {
        let mut measured = Vec::new();
        for slow in [0, options.clients] {
            let until = Instant::now() + Duration::from_secs(options.seconds);
            let mut clients = slow_clients(address, slow, until, options);
            let requests = endless.requests(address, first);
            let arrivals = poisson(rate, Duration::from_secs(options.seconds), &mut random);
            first += arrivals.len();
            measured.push(ordinary(&pool, &requests, &arrivals, &mut verdict).await);
            while let Some(ended) = clients.join_next().await {
                lives.extend(ended.unwrap_or_default());
            }
        }
        let [without, with] = [0, 1].map(|index| quantile(&measured[index], 0.99));
        ratios.push(with / without);
        figure(&format!("round {round} without slow clients: {}", latencies(&measured[0])));
        figure(&format!("round {round} with {} of them:   {}", options.clients, latencies(&measured[1])));
    }
    let ratio = median(&ratios);
    let text = format!(
        "p99 with slow clients is {ratio:.2} times that without (median of {ratios:.2?}), at most {MOST_RATIO}"
    );
    verdict.check(ratio <= MOST_RATIO, &text);
    check_lives(&lives, options, &mut verdict);
    Ok(verdict)
}

/// The latencies of ordinary requests, all of which must be answered.
async fn ordinary(pool: &Arc<Pool>, requests: &Requests, arrivals: &[Duration], verdict: &mut Verdict) -> Vec<f64> {
    let outcomes = open_loop(pool, arrivals, requests).await;
    let failures = outcomes.iter().filter(|outcome| outcome.status() != Some(200)).count();
    verdict
        .check(failures == 0, &format!("{failures} of {} ordinary requests without an answer of 200", outcomes.len()));
    outcomes.iter().map(|outcome| outcome.latency).collect()
}

/// Starts slow clients, each of which comes again when it is thrown out, until the time is over.
fn slow_clients(address: SocketAddr, count: usize, until: Instant, options: &Options) -> JoinSet<Lives> {
    let mut clients = JoinSet::new();
    for kind in KINDS.iter().cycle().take(count).copied() {
        let limit = timer(kind, options) + Duration::from_secs(10);
        clients.spawn(async move {
            let mut lives = Lives::new();
            while Instant::now() < until {
                let life = timeout(limit, live(address, kind)).await;
                match life {
                    Ok(Ok(life)) => lives.push((kind, life.as_secs_f64())),
                    Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
                    Err(_) => lives.push((kind, f64::INFINITY)),
                }
            }
            lives
        });
    }
    clients
}

fn timer(kind: Kind, options: &Options) -> Duration {
    Duration::from_secs(match kind {
        Kind::Head | Kind::Silent => options.header_timer,
        Kind::Body => options.body_timer,
        Kind::Idle => options.idle_timer,
    })
}

/// One slow connection: how long it lived from the moment at which its timer starts.
async fn live(address: SocketAddr, kind: Kind) -> Result<Duration, Failure> {
    let mut connection = Connection::open(address).await?;
    let mut start = Instant::now();
    let head = format!("{}Content-Length: 100000\r\n\r\n", post_head(address));
    let mut rest = match kind {
        Kind::Head => head.into_bytes(),
        Kind::Body => {
            connection.send(head.as_bytes()).await?;
            vec![b' '; 100_000]
        }
        Kind::Silent => Vec::new(),
        Kind::Idle => {
            connection.exchange(&get(address, "/live")).await?;
            start = Instant::now();
            Vec::new()
        }
    }
    .into_iter();
    while timeout(DRIP, connection.until_closed()).await.is_err() {
        let Some(byte) = rest.next() else { continue };
        if connection.send(&[byte]).await.is_err() {
            break;
        }
    }
    Ok(start.elapsed())
}

/// Every slow connection must have been closed when its timer was over.
fn check_lives(lives: &Lives, options: &Options, verdict: &mut Verdict) {
    for kind in [Kind::Head, Kind::Body, Kind::Silent, Kind::Idle] {
        let mine: Vec<f64> = lives.iter().filter(|(other, _)| *other == kind).map(|(_, life)| *life).collect();
        let [shortest, longest] = [0.0, 1.0].map(|share| quantile(&mine, share));
        let limit = (timer(kind, options) + GRACE).as_secs_f64();
        let text = format!(
            "{kind:?}: {} connections closed after {shortest:.1} to {longest:.1} s, at most {limit} s",
            mine.len()
        );
        verdict.check(longest <= limit, &text);
    }
}
