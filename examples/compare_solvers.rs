//! Fits one objective's head by Newton, by L-BFGS and by L-BFGS with differences made anew on every pass, and prints how
//! far they are apart.
//!
//! ```text
//! cargo run --release --example compare_solvers -- configs/quickstart.yaml safety
//! ```
#![expect(clippy::print_stdout, reason = "what it measures is its output")]

use std::path::Path;
use std::time::Instant;

use ensemble::backbone::Backbone;
use ensemble::config;
use ensemble::data::{self, Split};
use ensemble::ensemble::default_threads;
use ensemble::error::{Error, Fault, Result};
use ensemble::features::{Extractor, Features, embed};
use ensemble::head::{Comparison, DIFFERENCE_MEMORY, Fit, FitSettings, Solver, fit};
use ensemble::logistic::log_sigmoid;
use ensemble::progress::Silent;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || Error::Usage(vec![Fault::new("arguments", "two are needed").accepts("CONFIG OBJECTIVE")]);
    let [config, objective] = arguments.as_slice() else { return Err(usage()) };
    let config = config::load(Path::new(config), &[])?;
    let dataset = data::load(&config)?;
    let pairs = dataset.objectives.iter().find(|known| known.name == *objective).ok_or_else(usage)?;
    let backbone = Backbone::open(&config.backbone)?;
    let extractor = Extractor::new(&backbone, default_threads())?;
    let (matrices, _) = embed(&extractor, &dataset.items, &config.output.cache, &Silent)?;
    let features = matrices.first().ok_or_else(usage)?;
    let training: Vec<Comparison> = pairs
        .pairs
        .iter()
        .filter(|pair| pair.split == Split::Train)
        .map(|pair| Comparison { preference: pair.preference, ..Comparison::hard(pair.chosen, pair.rejected) })
        .collect();
    let solve = |solver, memory| -> Result<(Fit, f64)> {
        let started = Instant::now();
        let fitted = fit(features, &training, &FitSettings { solver, memory, ..FitSettings::with_l2(100.0) })?;
        Ok((fitted, started.elapsed().as_secs_f64()))
    };
    let (newton, seconds) = solve(Solver::Newton, DIFFERENCE_MEMORY)?;
    let best = loss(features, &training, &newton);
    println!(
        "{} pairs, {} columns: Newton {best:.9} in {} steps, {seconds:.2} s",
        training.len(),
        features.width(),
        newton.iterations
    );
    for (name, memory) in [("L-BFGS", DIFFERENCE_MEMORY), ("L-BFGS, streamed", 0)] {
        let (other, seconds) = solve(Solver::Lbfgs, memory)?;
        let apart = newton.standardised_weights.iter().zip(&other.standardised_weights);
        let farthest = apart.map(|(left, right)| (left - right).abs()).fold(0.0, f64::max);
        let relative = (loss(features, &training, &other) / best - 1.0).abs();
        println!(
            "{name}: loss {relative:.1e} apart, weights {farthest:.1e} at most, {} steps, {seconds:.2} s",
            other.iterations
        );
    }
    Ok(())
}

/// The penalised loss of a fit, written down once more.
fn loss(features: &Features, training: &[Comparison], fitted: &Fit) -> f64 {
    let score = |row: usize| fitted.head.score(features.row(row));
    let pair = |pair: &Comparison| {
        let z = score(pair.chosen) - score(pair.rejected);
        -(pair.preference * log_sigmoid(z) + (1.0 - pair.preference) * log_sigmoid(-z))
    };
    let penalty: f64 = fitted.standardised_weights.iter().map(|weight| weight * weight).sum();
    training.iter().map(pair).sum::<f64>() + 0.5 * fitted.l2 * penalty
}
