//! `drain`: SIGTERM under load loses no request that the server had accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;
use tokio::task::JoinSet;

use crate::client::{After, Connection, Failure, Idle, Reply, post};
use crate::server::{Exit, Server};
use crate::setup::Setup;
use crate::texts::{Text, body};
use crate::truth::{Comparison, Numbers, compare, truth};
use crate::verdict::Verdict;

const LARGEST_BATCH: f64 = 4.0;
/// Texts of a trial in which each is computed, and of one in which most are known and answers come fast.
const TEXTS: usize = 500;
const FEW_TEXTS: usize = 20;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Servers to start and to end
    #[arg(long, default_value_t = 10)]
    trials: usize,
    /// Clients, half of them with a new connection for each request
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// `--drain` of the server in seconds
    #[arg(long, default_value_t = 30)]
    drain: u64,
}

/// What the clients of a trial saw.
#[derive(Default)]
struct Seen {
    /// Requests answered with 200.
    good: usize,
    /// Requests with any other complete answer, all 503 with Retry-After.
    refused: usize,
    /// Answers that should not be: other statuses, and 503 without Retry-After.
    odd: usize,
    /// Replies that break off.
    cut: usize,
    /// Requests written whole on a connection that then closed without a byte.
    unanswered: usize,
    /// Requests that could not be written, and connections that could not be opened.
    unsent: usize,
    comparison: Comparison,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.refused += other.refused;
        self.odd += other.odd;
        self.cut += other.cut;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.comparison.add(other.comparison);
    }
}

/// What the clients share.
struct Shared {
    address: SocketAddr,
    texts: Vec<Text>,
    expected: Vec<Numbers>,
    gone: AtomicBool,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let texts = setup.distinct(TEXTS)?;
    let expected = truth(setup, &texts)?;
    let (mut verdict, mut comparison) = (Verdict::default(), Comparison::default());
    for number in 0..options.trials {
        let seed = setup.seed + number as u64;
        // In turn: a long queue at the end, or thousands of requests a second that come and go.
        let fast = number.is_multiple_of(2);
        let (count, recent) = if fast { (FEW_TEXTS, "4096") } else { (TEXTS, "0") };
        let drain = options.drain.to_string();
        let server = Server::start(setup, &["--drain", &drain, "--recent-texts", recent])?;
        let (seen, exit) = trial(server, options, seed, (&texts[..count], &expected[..count])).await?;
        check(number, options, &seen, exit.as_ref(), &mut verdict);
        comparison.add(seen.comparison);
    }
    verdict.check_bits(&comparison);
    Ok(verdict)
}

async fn trial(
    mut server: Server,
    options: &Options,
    seed: u64,
    (texts, expected): (&[Text], &[Numbers]),
) -> Result<(Seen, Option<Exit>)> {
    let shared = Arc::new(Shared {
        address: server.address(),
        texts: texts.to_vec(),
        expected: expected.to_vec(),
        gone: AtomicBool::new(false),
    });
    let mut random = Random::new(seed);
    let mut clients = JoinSet::new();
    for client in 0..options.clients {
        let after = if client % 2 == 0 { After::Keep } else { After::Close };
        clients.spawn(ask_until_gone(Arc::clone(&shared), Random::new(random.bits()), after));
    }
    tokio::time::sleep(Duration::from_secs_f64(1.5 + random.uniform())).await;
    server.terminate()?;
    let exit = server.exit(Duration::from_secs(options.drain + 5)).await?;
    shared.gone.store(true, Ordering::Relaxed);
    drop(server);
    let mut seen = Seen::default();
    clients.join_all().await.into_iter().for_each(|client| seen.add(client));
    Ok((seen, exit))
}

/// One client: request after request until the server is gone.
async fn ask_until_gone(shared: Arc<Shared>, mut random: Random, after: After) -> Seen {
    let (mut seen, mut connection): (Seen, Option<Connection>) = (Seen::default(), None);
    while !shared.gone.load(Ordering::Relaxed) {
        let size = 1 + (random.uniform() * LARGEST_BATCH) as usize;
        let batch: Vec<usize> = (0..size).map(|_| (random.uniform() * shared.texts.len() as f64) as usize).collect();
        let request = post(shared.address, &body(batch.iter().map(|text| &shared.texts[*text])), after);
        let opened = match connection.take().filter(|connection| connection.idle() == Idle::Open) {
            Some(connection) => Ok(connection),
            None => Connection::open(shared.address).await,
        };
        let reply = match opened {
            Err(failure) => Err(failure),
            Ok(mut opened) => {
                let reply = opened.exchange(&request).await;
                connection = Some(opened).filter(Connection::is_reusable);
                reply
            }
        };
        if !matches!(&reply, Ok(reply) if reply.status == 200) {
            // A client that was refused comes again, but not at once.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        note(&mut seen, reply, &batch, &shared.expected);
    }
    seen
}

fn note(seen: &mut Seen, reply: Result<Reply, Failure>, batch: &[usize], expected: &[Numbers]) {
    match reply {
        Ok(reply) if reply.status == 200 => {
            let expected: Vec<&Numbers> = batch.iter().map(|text| &expected[*text]).collect();
            seen.comparison.add(compare(&reply.body, &expected));
            seen.good += 1;
        }
        Ok(reply) if reply.is_polite_refusal() => seen.refused += 1,
        Ok(_) => seen.odd += 1,
        Err(Failure::Cut(_) | Failure::Late) => seen.cut += 1,
        Err(Failure::Unanswered(_)) => seen.unanswered += 1,
        Err(Failure::Unsent(_) | Failure::Refused(_)) => seen.unsent += 1,
    }
}

fn check(number: usize, options: &Options, seen: &Seen, exit: Option<&Exit>, verdict: &mut Verdict) {
    let Seen { good, refused, odd, cut, unanswered, unsent, .. } = seen;
    let Some(exit) = exit else {
        verdict.check(false, &format!("trial {number}: the server is alive {} s after SIGTERM", options.drain + 5));
        return;
    };
    let counts = counts(&exit.last_line);
    let (accepted, answered) = counts.unwrap_or_default();
    // The server counts a request once its head is read, whatever it is answered with. One that was closed without an
    // answer is lost if the server counts it, and otherwise it never took it.
    let text = format!(
        "trial {number}: {good} answered with 200, {refused} with 503, {odd} otherwise, {cut} cut, \
         {unanswered} closed, {unsent} not sent; the server: {accepted} accepted, {answered} answered"
    );
    let complete = counts.is_some() && accepted == answered && answered == good + refused + odd;
    verdict.check(complete && *cut == 0 && *odd == 0 && *good > 0, &text);
    let took = exit.took.as_secs_f64();
    let text =
        format!("trial {number}: exit code {:?} after {took:.2} s, at most {} s", exit.status.code(), options.drain);
    verdict.check(exit.status.code() == Some(0) && took <= options.drain as f64, &text);
}

/// The numbers of the server's last line, `drained: N requests accepted, N answered`.
fn counts(line: &str) -> Option<(usize, usize)> {
    let rest = line.trim().strip_prefix("drained: ")?;
    let (accepted, rest) = rest.split_once(" requests accepted, ")?;
    Some((accepted.parse().ok()?, rest.strip_suffix(" answered")?.parse().ok()?))
}
