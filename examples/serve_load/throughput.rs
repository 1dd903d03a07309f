//! `throughput`: clients that send one text at a time get as many texts a second as `ensemble score` does of a file.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;

use crate::client::{After, post};
use crate::crowd::{Until, crowd};
use crate::pace::{open_loop, poisson};
use crate::pool::{Outcome, Pool, Requests};
use crate::server::Server;
use crate::setup::Setup;
use crate::statistics::{latencies, median, quantile};
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
        let offline_first = if round % 2 == 0 { Some(offline_rate(setup, &texts)?) } else { None };
        let crowd = crowd(&pool, &requests, CLIENTS, Until::Requests(texts.len())).await;
        let offline = match offline_first {
            Some(rate) => rate,
            None => offline_rate(setup, &texts)?,
        };
        let (rate, ratio) = (crowd.rate(), crowd.rate() / offline);
        figure(&format!("round {round}: offline {offline:.1} texts/s, served {rate:.1}, ratio {ratio:.3}"));
        verify(&crowd.outcomes, &expected, &mut comparison);
        rates.push(rate);
        ratios.push(ratio);
    }
    let ratio = median(&ratios);
    verdict.check(
        ratio >= LEAST_RATIO,
        &format!("median ratio {ratio:.3} of {} rounds, at least {LEAST_RATIO}", ratios.len()),
    );
    let single = crowd(&pool, &requests, 1, Until::Requests(100)).await;
    let alone = quantile(&single.outcomes.iter().map(|outcome| outcome.latency).collect::<Vec<_>>(), 0.5);
    let (rate, duration) = (LOAD * median(&rates), Duration::from_secs(options.seconds));
    let arrivals = poisson(rate, duration, &mut Random::new(setup.seed));
    let outcomes = open_loop(&pool, &arrivals, &requests).await;
    verify(&outcomes, &expected, &mut comparison);
    let measured: Vec<f64> = outcomes.iter().map(|outcome| outcome.latency).collect();
    figure(&format!("one client alone: median {alone:.1} ms"));
    figure(&format!("{rate:.1} requests/s at random for {} s: {}", options.seconds, latencies(&measured)));
    let unanswered = outcomes.iter().filter(|outcome| outcome.status() != Some(200)).count();
    verdict.check(unanswered == 0, &format!("{unanswered} of them were not answered with 200"));
    verdict.check_bits(&comparison);
    Ok(verdict)
}

/// Texts a second of `ensemble score`, without the time to open the registry.
fn offline_rate(setup: &Setup, texts: &[Text]) -> Result<f64> {
    let (_, opening) = score_offline(setup, &texts[..1])?;
    let (_, all) = score_offline(setup, texts)?;
    Ok((texts.len() - 1) as f64 / all.saturating_sub(opening).as_secs_f64())
}

fn verify(outcomes: &[Outcome], expected: &[Numbers], comparison: &mut Comparison) {
    for outcome in outcomes {
        match &outcome.reply {
            Ok(reply) => comparison.add(compare(&reply.body, &[&expected[outcome.request % expected.len()]])),
            Err(failure) => comparison.add(Comparison::wrong(format!("{failure:?}"))),
        }
    }
}
