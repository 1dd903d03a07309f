//! `edges`: every limit at one less, just it, one more and three times as much.
//!
//! What is within a limit is answered with scores, what is beyond it as documented, and whatever was asked, the next
//! ordinary request is answered within a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ensemble::error::Result;
use tokio::task::JoinSet;

use crate::client::{After, Connection, Failure, Reply, post, post_chunked};
use crate::crowd::{Until, crowd};
use crate::pool::{Pool, Requests};
use crate::server::Server;
use crate::setup::Setup;
use crate::texts::{Text, body};
use crate::truth::{Numbers, compare, truth};
use crate::verdict::Verdict;

const LIMIT: usize = 8;
const TEXTS: usize = 64;
const NEXT_LIMIT: f64 = 1.0;
/// How long a client keeps its connection after its answer, where connections are scarce.
const HELD: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
pub(crate) struct Options {}

/// Sizes around a limit, and whether they are within it.
fn sizes(limit: usize) -> [(usize, bool); 4] {
    [(limit - 1, true), (limit, true), (limit + 1, false), (3 * limit, false)]
}

/// Limits around a size, and whether the size is within them.
fn limits(size: usize) -> [(usize, bool); 4] {
    [(size + 1, true), (size, true), (size - 1, false), (size / 3, false)]
}

/// Texts with their scores.
struct Known<'a> {
    setup: &'a Setup,
    texts: Vec<Text>,
    expected: Vec<Numbers>,
}

pub(crate) async fn run(setup: &Setup, _: &Options) -> Result<Verdict> {
    let texts = setup.distinct(TEXTS)?;
    let known = Known { setup, expected: truth(setup, &texts)?, texts };
    let mut verdict = Verdict::default();
    known.items(&mut verdict, "--max-items").await?;
    known.items(&mut verdict, "--queue-items").await?;
    known.bursts(&mut verdict).await?;
    known.tokens(&mut verdict).await?;
    known.bytes(&mut verdict).await?;
    known.bodies(&mut verdict).await?;
    known.connections(&mut verdict).await?;
    known.recent_texts(&mut verdict).await?;
    Ok(verdict)
}

impl Known<'_> {
    /// Checks the answer to a request for the first `count` texts, and that the next request is answered.
    async fn check(
        &self,
        server: &Server,
        reply: &Reply,
        case: (&str, usize, bool),
        verdict: &mut Verdict,
    ) -> Result<()> {
        let (name, count, within) = case;
        let expected: Vec<&Numbers> = self.expected[..count].iter().collect();
        let right = reply.status == 200 && compare(&reply.body, &expected).wrong == 0;
        let as_documented = if within { right } else { reply.status == 413 };
        let start = Instant::now();
        let next = server.score(&body(&self.texts[..1])).await?;
        let took = start.elapsed().as_secs_f64();
        let next_right = next.status == 200 && compare(&next.body, &[&self.expected[0]]).wrong == 0;
        let wanted = if within { "scores" } else { "413" };
        let text = format!("{name}: {} for {wanted}; the next request {} after {took:.3} s", reply.status, next.status);
        verdict.check(as_documented && next_right && took <= NEXT_LIMIT, &text);
        Ok(())
    }

    /// Items of one request, against a limit on it or on the queue. Known texts would take no room in the queue.
    async fn items(&self, verdict: &mut Verdict, option: &str) -> Result<()> {
        let server = Server::start(self.setup, &[option, &LIMIT.to_string(), "--recent-texts", "0"])?;
        for (count, within) in sizes(LIMIT) {
            let reply = server.score(&body(&self.texts[..count])).await?;
            let name = format!("{option} {LIMIT}, a request of {count} items");
            self.check(&server, &reply, (&name, count, within), verdict).await?;
        }
        Ok(())
    }

    /// As many requests of one item at once; whatever finds the queue full is refused politely.
    async fn bursts(&self, verdict: &mut Verdict) -> Result<()> {
        let server = Server::start(self.setup, &["--queue-items", &LIMIT.to_string(), "--recent-texts", "0"])?;
        let bodies: Vec<Vec<u8>> =
            self.texts.iter().map(|text| post(server.address(), &body([text]), After::Keep)).collect();
        let requests: Requests = Arc::new(move |number| bodies[number].clone());
        for (count, within) in sizes(LIMIT) {
            let pool = Pool::new(server.address());
            let outcomes = crowd(&pool, &requests, count, Until::Requests(count)).await.outcomes;
            let right = |number: usize, reply: &Reply| {
                reply.status == 200 && compare(&reply.body, &[&self.expected[number]]).wrong == 0
            };
            let good = outcomes
                .iter()
                .filter(|outcome| outcome.reply.as_ref().is_ok_and(|reply| right(outcome.request, reply)));
            let refused = outcomes.iter().filter(|outcome| outcome.reply.as_ref().is_ok_and(Reply::is_polite_refusal));
            let (good, refused) = (good.count(), refused.count());
            let holds = if within { good == count } else { good + refused == count && good >= LIMIT };
            let text = format!(
                "--queue-items {LIMIT}, {count} requests at once: {good} with scores, {refused} with 503 and \
                 Retry-After"
            );
            verdict.check(holds, &text);
            let reply = server.score(&body(&self.texts[..1])).await?;
            self.check(&server, &reply, ("  after them an ordinary request", 1, true), verdict).await?;
        }
        Ok(())
    }

    /// The tokens of a request that stays the same, against limits around them.
    async fn tokens(&self, verdict: &mut Verdict) -> Result<()> {
        let tokens = |numbers: &Numbers| numbers.get("tokens").map_or(0.0, |bits| f64::from_bits(*bits));
        let sum = self.expected.iter().map(tokens).sum::<f64>() as usize;
        self.moving_limit("--queue-tokens", sum, verdict).await
    }

    /// The same with the bytes of its body.
    async fn bytes(&self, verdict: &mut Verdict) -> Result<()> {
        self.moving_limit("--queue-bytes", body(&self.texts).len(), verdict).await
    }

    async fn moving_limit(&self, option: &str, size: usize, verdict: &mut Verdict) -> Result<()> {
        for (limit, within) in limits(size) {
            let server = Server::start(self.setup, &[option, &limit.to_string()])?;
            let reply = server.score(&body(&self.texts)).await?;
            let name = format!("{option} {limit}, a request of {size}");
            self.check(&server, &reply, (&name, self.texts.len(), within), verdict).await?;
        }
        Ok(())
    }

    /// Bytes of a body, with a length said before and in chunks; blanks fill it up.
    async fn bodies(&self, verdict: &mut Verdict) -> Result<()> {
        let plain = body(&self.texts[..1]);
        self.padded_bodies(&plain, plain.len() + 100, verdict).await?;
        // More than what the system keeps for a connection: the answer comes while the body is still written.
        self.padded_bodies(&plain, 4 << 20, verdict).await
    }

    async fn padded_bodies(&self, plain: &[u8], limit: usize, verdict: &mut Verdict) -> Result<()> {
        let server = Server::start(self.setup, &["--max-body", &limit.to_string()])?;
        for (size, within) in sizes(limit) {
            let mut padded = plain.to_vec();
            padded.resize(size, b' ');
            let ways = [
                ("whole", post(server.address(), &padded, After::Close)),
                ("in chunks", post_chunked(server.address(), &padded, 1000.min(size / 8))),
            ];
            for (way, request) in ways {
                let reply = server.ask(&request).await?;
                let name = format!("--max-body {limit}, a body of {size} bytes {way}");
                self.check(&server, &reply, (&name, 1, within), verdict).await?;
            }
        }
        Ok(())
    }

    /// Connections at once: those beyond the limit wait until others have gone.
    async fn connections(&self, verdict: &mut Verdict) -> Result<()> {
        let server = Server::start(self.setup, &["--max-connections", &LIMIT.to_string()])?;
        let (address, request) = (server.address(), post(server.address(), &body(&self.texts[..1]), After::Keep));
        for (count, _) in sizes(LIMIT) {
            let (start, mut clients) = (Instant::now(), JoinSet::new());
            for _ in 0..count {
                let request = request.clone();
                clients.spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    let reply = connection.exchange(&request).await?;
                    let answered = start.elapsed();
                    tokio::time::sleep(HELD).await;
                    Ok::<_, Failure>((reply, answered))
                });
            }
            let answers: Vec<(Reply, Duration)> = clients.join_all().await.into_iter().flatten().collect();
            let good =
                answers.iter().filter(|(reply, _)| compare(&reply.body, &[&self.expected[0]]).wrong == 0).count();
            let at_once = answers.iter().filter(|(_, answered)| *answered < HELD).count();
            let text = format!(
                "--max-connections {LIMIT}, {count} at once: {good} answered, {at_once} of them before the first had \
                 gone"
            );
            verdict.check(good == count && at_once == count.min(LIMIT), &text);
            let reply = server.score(&body(&self.texts[..1])).await?;
            self.check(&server, &reply, ("  after them an ordinary request", 1, true), verdict).await?;
        }
        Ok(())
    }

    /// The same texts twice in the same order: all of the second time are known if they are within the limit, and none
    /// if there is one more, because each is forgotten just before it is asked for again.
    async fn recent_texts(&self, verdict: &mut Verdict) -> Result<()> {
        for (count, within) in sizes(LIMIT) {
            let server = Server::start(self.setup, &["--recent-texts", &LIMIT.to_string()])?;
            let mut right = 0;
            for index in (0..count).chain(0..count) {
                let reply = server.score(&body(&self.texts[index..=index])).await?;
                right += usize::from(compare(&reply.body, &[&self.expected[index]]).wrong == 0);
            }
            let recent = server.metrics().await?.texts_from("recent");
            let text =
                format!("--recent-texts {LIMIT}, {count} texts twice: {right} right, {recent} known the second time");
            verdict.check(right == 2 * count && recent == if within { count as f64 } else { 0.0 }, &text);
        }
        Ok(())
    }
}
