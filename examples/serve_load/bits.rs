//! `bits`: whatever a text stands beside, its numbers are those of `ensemble score`.

use std::sync::Arc;

use clap::Args;
use ensemble::error::Result;
use ensemble::random::Random;

use crate::client::{After, post};
use crate::crowd::{Until, crowd};
use crate::pool::{Pool, Requests};
use crate::server::Server;
use crate::setup::Setup;
use crate::texts::{Layout, Text, body_of};
use crate::truth::{Comparison, Numbers, compare, truth};
use crate::verdict::{Verdict, figure};

const CLIENTS: usize = 16;
const LARGEST_BATCH: usize = 17;
/// One text in so many is asked for again, somewhere else and beside itself.
const REPEATED: usize = 10;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Distinct texts
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// Times that all are asked for, each time in other batches
    #[arg(long, default_value_t = 2)]
    rounds: usize,
}

pub(crate) async fn run(setup: &Setup, options: &Options) -> Result<Verdict> {
    let texts = setup.distinct(options.count)?;
    let expected = truth(setup, &texts)?;
    let mut verdict = Verdict::default();
    // Features of recent texts are kept in the second server only: both ways lead to the same bits.
    for recent in ["0", "4096"] {
        let server = Server::start(setup, &["--recent-texts", recent])?;
        let mut random = Random::new(setup.seed);
        let (mut comparison, mut requests, mut failures) = (Comparison::default(), 0, 0);
        for _ in 0..options.rounds {
            let batches = batches(texts.len(), &mut random);
            requests += batches.len();
            failures += round(&server, &batches, (&texts, &expected), &mut comparison).await;
        }
        let what = format!("{requests} requests from {CLIENTS} connections with --recent-texts {recent}");
        verdict.check(failures == 0, &format!("{what}: {failures} were not answered with 200"));
        verdict.check_bits(&comparison);
        let metrics = server.metrics().await?;
        let from = |source| format!("{} {source}", metrics.texts_from(source));
        figure(&format!("texts: {}, {}, {}", from("computed"), from("shared"), from("recent")));
    }
    Ok(verdict)
}

/// All texts in random order, some of them twice, in batches of random sizes; a repeated text is its own neighbour or
/// stands in another batch.
fn batches(count: usize, random: &mut Random) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..count).chain((0..count).step_by(REPEATED)).collect();
    random.shuffle(&mut order);
    let mut order: Vec<usize> =
        order.into_iter().flat_map(|text| std::iter::repeat_n(text, 1 + usize::from(text % REPEATED == 1))).collect();
    let mut batches = Vec::new();
    while !order.is_empty() {
        let size = 1 + (random.uniform() * LARGEST_BATCH as f64) as usize;
        batches.push(order.split_off(order.len().saturating_sub(size)));
    }
    batches
}

/// Sends the batches and compares what comes; the number of requests without a 200.
async fn round(
    server: &Server,
    batches: &[Vec<usize>],
    (texts, expected): (&[Text], &[Numbers]),
    comparison: &mut Comparison,
) -> usize {
    // Both layouts of an item in turn.
    let layout = |place: usize| if place.is_multiple_of(2) { Layout::Parts } else { Layout::Messages };
    let item = |(place, text): (usize, &usize)| texts[*text].item(layout(place));
    let request = |batch: &Vec<usize>| {
        post(server.address(), &body_of(&batch.iter().enumerate().map(item).collect::<Vec<_>>()), After::Keep)
    };
    let bodies: Vec<Vec<u8>> = batches.iter().map(request).collect();
    let requests: Requests = Arc::new(move |number| bodies[number].clone());
    let crowd = crowd(&Pool::new(server.address()), &requests, CLIENTS, Until::Requests(batches.len())).await;
    for outcome in &crowd.outcomes {
        if let Some(reply) = outcome.reply.as_ref().ok().filter(|reply| reply.status == 200) {
            let expected: Vec<&Numbers> = batches[outcome.request].iter().map(|text| &expected[*text]).collect();
            comparison.add(compare(&reply.body, &expected));
        }
    }
    crowd.failures()
}
