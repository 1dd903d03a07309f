//! `throughput`: clients that send one text at a time get as many texts a second as `ensemble score` does of a file.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;

use crate::client::{After, post};
use crate::crowd::{Until, crowd};
use crate::pace::{open_loop, poisson};
use crate::pool::{Outcome, Pool, Requests};
use crate::process::{ended_processor_seconds, processor_seconds};
use crate::server::Server;
use crate::setup::Setup;
use crate::statistics::{latencies, median};
use crate::texts::{Text, body};
use crate::truth::{Comparison, Numbers, compare, score_offline, truth};
use crate::verdict::{Verdict, figure};

const CLIENTS: usize = 64;
/// Share of the capacity at which latency is measured.
const LOAD: f64 = 0.7;
const LEAST_RATIO: f64 = 0.9;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Distinct texts of a round
    #[arg(long, default_value_t = 500)]
    count: usize,
    /// Rounds, each with the file and the clients in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Length of the measurement of latency
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// How fast texts were scored, and what one of them cost.
struct Pace {
    texts_a_second: f64,
    processor_ms: f64,
}

impl Pace {
    fn new(texts: usize, seconds: f64, processor_seconds: f64) -> Self {
        let texts = texts as f64;
        Self { texts_a_second: texts / seconds, processor_ms: 1e3 * processor_seconds / texts }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} texts/s, {:.1} ms of processor time a text", self.texts_a_second, self.processor_ms)
    }
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let texts = setup.distinct(options.count)?;
    let expected = truth(setup, &texts)?;
    let server = Server::start(setup, &["--recent-texts", "0"])?;
    let pool = Pool::new(server.address());
    let bodies: Vec<Vec<u8>> = texts.iter().map(|text| post(server.address(), &body([text]), After::Keep)).collect();
    let requests: Requests = Arc::new(move |number| bodies[number % bodies.len()].clone());
    let (mut verdict, mut comparison) = (Verdict::default(), Comparison::default());
    figure("offline time is that of a file less that of a file of one row, which is the time to open the registry");
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        // The first place changes, so that a machine that grows slower favours neither.
        let offline_first = if round.is_multiple_of(2) { Some(offline(setup, &texts)?) } else { None };
        let before = processor_seconds(server.process())?;
        let crowd = crowd(&pool, &requests, CLIENTS, Until::Requests(texts.len())).await;
        let processor = processor_seconds(server.process())? - before;
        let served = Pace::new(texts.len() - crowd.failures(), crowd.took.as_secs_f64(), processor);
        let offline = match offline_first {
            Some(offline) => offline,
            None => offline(setup, &texts)?,
        };
        let ratio = served.texts_a_second / offline.texts_a_second;
        figure(&format!("round {round}: offline {offline}; served {served}; ratio {ratio:.3}"));
        verify(&crowd.outcomes, &expected, &mut comparison);
        rates.push(served.texts_a_second);
        ratios.push(ratio);
    }
    let text = format!("median ratio {:.3} of {} rounds, at least {LEAST_RATIO}", median(&ratios), ratios.len());
    verdict.check(median(&ratios) >= LEAST_RATIO, &text);
    let outcomes = latency(setup, options, (&pool, &requests), median(&rates), &mut verdict).await;
    verify(&outcomes, &expected, &mut comparison);
    verdict.check_bits(&comparison);
    Ok(verdict)
}

/// The pace of `ensemble score`, without the time to open the registry.
fn offline(setup: &Setup, texts: &[Text]) -> Result<Pace> {
    let start = ended_processor_seconds()?;
    let (_, opening) = score_offline(setup, &texts[..1])?;
    let opened = ended_processor_seconds()?;
    let (_, all) = score_offline(setup, texts)?;
    let processor = ended_processor_seconds()? - opened - (opened - start);
    Ok(Pace::new(texts.len() - 1, all.saturating_sub(opening).as_secs_f64(), processor))
}

/// Requests at random moments at a share of the capacity.
async fn latency(
    setup: &Setup,
    options: &Options,
    (pool, requests): (&Arc<Pool>, &Requests),
    capacity: f64,
    verdict: &mut Verdict,
) -> Vec<Outcome> {
    let milliseconds = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| outcome.latency).collect::<Vec<f64>>();
    let alone = crowd(pool, requests, 1, Until::Requests(100)).await.outcomes;
    figure(&format!("one client alone: {}", latencies(&milliseconds(&alone))));
    let (rate, duration) = (LOAD * capacity, Duration::from_secs(options.seconds));
    let arrivals = poisson(rate, duration, &mut Random::new(setup.seed));
    let outcomes = open_loop(pool, &arrivals, requests).await;
    let text = latencies(&milliseconds(&outcomes));
    figure(&format!(
        "{rate:.1} requests a second at random ({LOAD} of the capacity) for {} s: {text}",
        options.seconds
    ));
    let failures = outcomes.iter().filter(|outcome| outcome.status() != Some(200)).count();
    verdict.check(failures == 0, &format!("{failures} of them were not answered with 200"));
    outcomes
}

fn verify(outcomes: &[Outcome], expected: &[Numbers], comparison: &mut Comparison) {
    for outcome in outcomes {
        match &outcome.reply {
            Ok(reply) => comparison.add(compare(&reply.body, &[&expected[outcome.request % expected.len()]])),
            Err(failure) => comparison.add(Comparison::wrong(format!("{failure:?}"))),
        }
    }
}
