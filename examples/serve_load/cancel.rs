//! `cancel`: clients that hang up leave nothing in the queue, and their texts are not computed when nobody waits.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;
use tokio::task::JoinSet;

use crate::client::{After, Connection, Failure, post};
use crate::crowd::{Until, capacity, crowd};
use crate::metrics::Metrics;
use crate::pool::{Pool, Requests};
use crate::server::Server;
use crate::setup::Setup;
use crate::texts::{Endless, Text, body};
use crate::truth::{Comparison, Numbers, compare, truth};
use crate::verdict::Verdict;

/// Where the numbers of the texts of each part begin.
const BLOCKING_TEXTS: usize = 10_000_000;
const WAITING_TEXTS: usize = 20_000_000;
const RANDOM_TEXTS: usize = 30_000_000;
/// How long the texts before those of the clients that hang up keep the server busy.
const BUSY: Duration = Duration::from_secs(6);
const BLOCKING_BATCH: usize = 500;
/// How long after them the first client comes.
const BLOCKED_FIRST: Duration = Duration::from_millis(300);
const LONGEST_STAY: Duration = Duration::from_millis(500);
/// Share of the texts whose turn has not come that must never be computed.
const LEAST_SKIPPED: f64 = 0.95;
const EMPTY_LIMIT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Clients that hang up, in each of the two parts
    #[arg(long, default_value_t = 1000)]
    clients: usize,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let endless = Endless::read(&setup.texts)?;
    let server = Server::start(setup, &["--recent-texts", "0"])?;
    let requests = endless.requests(server.address(), 0);
    let capacity = capacity(&Pool::new(server.address()), &requests, 16, Duration::from_secs(5)).await?;
    let mut verdict = Verdict::default();
    let mut random = Random::new(setup.seed);
    before_their_turn(setup, &server, (&endless, capacity), (options.clients, &mut random), &mut verdict).await?;
    check_end(setup, &server, &endless.text(1), &mut verdict).await?;
    at_random_moments(&server, (&endless, capacity), (options.clients, &mut random), &mut verdict).await?;
    check_end(setup, &server, &endless.text(2), &mut verdict).await?;
    Ok(verdict)
}

/// All clients hang up while the server is busy with texts that came before theirs.
async fn before_their_turn(
    setup: &Setup,
    server: &Server,
    (endless, capacity): (&Endless, f64),
    (clients, random): (usize, &mut Random),
    verdict: &mut Verdict,
) -> Result<()> {
    let before = server.metrics().await?;
    let blocking: Vec<Text> =
        (0..(capacity * BUSY.as_secs_f64()) as usize).map(|number| endless.text(BLOCKING_TEXTS + number)).collect();
    let batches: Vec<Vec<u8>> =
        blocking.chunks(BLOCKING_BATCH).map(|texts| post(server.address(), &body(texts), After::Keep)).collect();
    let (count, pool) = (batches.len(), Pool::new(server.address()));
    let requests: Requests = Arc::new(move |number| batches[number].clone());
    let hang_ups =
        (0..clients).map(|_| HangUp::draw(random, BLOCKED_FIRST..Duration::from_secs(1), LONGEST_STAY)).collect();
    let start = Instant::now();
    let (blockers, (written, over)) = tokio::join!(crowd(&pool, &requests, count, Until::Requests(count)), async {
        let written = hang_up(server.address(), endless, WAITING_TEXTS, hang_ups).await;
        (written, start.elapsed())
    });
    let expected = truth(setup, &blocking)?;
    let mut comparison = Comparison::default();
    for (outcome, expected) in blockers.outcomes.iter().zip(expected.chunks(BLOCKING_BATCH)) {
        let expected: Vec<&Numbers> = expected.iter().collect();
        comparison.add(
            outcome.reply.as_ref().map_or_else(
                |failure| Comparison::wrong(format!("{failure:?}")),
                |reply| compare(&reply.body, &expected),
            ),
        );
    }
    let text = format!(
        "{} texts came first and were answered after {:.1} s; all {clients} clients had hung up after {:.1} s",
        blocking.len(),
        blockers.took.as_secs_f64(),
        over.as_secs_f64()
    );
    verdict.check(over < blockers.took, &text);
    verdict.check_bits(&comparison);
    server.check_queue_is_empty(EMPTY_LIMIT, verdict).await?;
    let after = server.metrics().await?;
    let computed = delta(&after, &before, "computed") - blocking.len() as f64;
    let cancelled = delta(&after, &before, "cancelled");
    let text = format!(
        "{written} requests written: {computed} texts computed, {cancelled} taken out of the queue, the others gave up \
         before they were in it; at least {LEAST_SKIPPED} skipped"
    );
    let skipped = written as f64 - computed;
    verdict.check(skipped >= LEAST_SKIPPED * written as f64 && cancelled > 0.0 && skipped >= cancelled, &text);
    Ok(())
}

/// Clients come as fast again as they can be served and hang up whenever they like, some in mid-request.
async fn at_random_moments(
    server: &Server,
    (endless, capacity): (&Endless, f64),
    (clients, random): (usize, &mut Random),
    verdict: &mut Verdict,
) -> Result<()> {
    let before = server.metrics().await?;
    let span = Duration::from_secs_f64(clients as f64 / (2.0 * capacity));
    let hang_ups = (0..clients).map(|number| HangUp {
        part: if number % 4 == 0 { random.uniform() } else { 1.0 },
        ..HangUp::draw(random, Duration::ZERO..span, LONGEST_STAY)
    });
    let written = hang_up(server.address(), endless, RANDOM_TEXTS, hang_ups.collect()).await;
    server.check_queue_is_empty(EMPTY_LIMIT, verdict).await?;
    let after = server.metrics().await?;
    let [computed, cancelled] = ["computed", "cancelled"].map(|source| delta(&after, &before, source));
    let text = format!("{written} requests written at random: {computed} texts computed, {cancelled} cancelled");
    verdict.check(computed + cancelled <= written as f64 && computed > 0.0 && cancelled > 0.0, &text);
    Ok(())
}

fn delta(after: &Metrics, before: &Metrics, source: &str) -> f64 {
    after.texts_from(source) - before.texts_from(source)
}

/// When and how a client comes and goes.
struct HangUp {
    comes: Duration,
    stays: Duration,
    /// Share of the request that it writes.
    part: f64,
}

impl HangUp {
    fn draw(random: &mut Random, span: Range<Duration>, longest: Duration) -> Self {
        let comes = span.start + span.end.saturating_sub(span.start).mul_f64(random.uniform());
        Self { comes, stays: longest.mul_f64(random.uniform()), part: 1.0 }
    }
}

/// Lets the clients come and go; how many of them had written their request whole.
async fn hang_up(address: SocketAddr, endless: &Endless, first: usize, clients: Vec<HangUp>) -> usize {
    let requests = endless.requests(address, first);
    let mut tasks = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let request = requests(number);
            let length = (request.len() as f64 * client.part) as usize;
            tokio::time::sleep(client.comes).await;
            let mut connection = Connection::open(address).await?;
            connection.send(&request[..length]).await?;
            tokio::time::sleep(client.stays).await;
            Ok::<bool, Failure>(length == request.len())
        });
    }
    tasks.join_all().await.into_iter().filter(|written| *written == Ok(true)).count()
}

/// After all that, the server answers and answers right.
async fn check_end(setup: &Setup, server: &Server, text: &Text, verdict: &mut Verdict) -> Result<()> {
    let start = Instant::now();
    let reply = server.score(&body([text])).await?;
    let took = start.elapsed().as_secs_f64();
    verdict.check(
        reply.status == 200 && took <= 1.0,
        &format!("the next request is answered with {} after {took:.3} s", reply.status),
    );
    let expected = truth(setup, std::slice::from_ref(text))?;
    verdict.check_bits(&compare(&reply.body, &[&expected[0]]));
    Ok(())
}
