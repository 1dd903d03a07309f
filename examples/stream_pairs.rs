//! Fits a head on pairs whose features do not stand in memory, from the feature store to the weights.
//!
//! ```text
//! cargo run --release --example stream_pairs -- 1000000 384
//! cargo run --release --example stream_pairs -- 20000 384 --compare
//! ```
//!
//! Feature vectors of two texts a pair are made with normal numbers, labelled by a known direction with logistic noise and
//! stored shard by shard in a temporary folder, which needs 16 bytes a pair and column. They are laid out in one file and
//! the head is fitted from there. In memory stand the list of comparisons (56 bytes a pair, and what a fit makes of it) and
//! the keys (64 bytes a pair, and about 100 more while rows are laid out), never the features: peak memory shows it.
//! `--compare` fits the same pairs in memory as well, by Newton's method and by L-BFGS, and prints how far weights and
//! losses are apart.

use std::io::Write;
use std::time::Instant;

use ensemble::error::{Error, Fault, Result};
use ensemble::features::{FeatureFile, FeatureRows, Features, Row, Store};
use ensemble::files::{self, Digest};
use ensemble::head::{Comparison, Fit, FitSettings, Solver, fit};
use ensemble::logistic::{log_sigmoid, sigmoid};
use ensemble::random::Random;

/// Texts per shard, as `features` writes them.
const SHARD_ROWS: usize = 2048;
/// Length of the planted direction: the deviation of a text's true score.
const SCALE: f64 = 1.5;
const L2: f64 = 10.0;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = arguments.iter().filter_map(|argument| argument.parse().ok()).collect::<Vec<usize>>();
    let compare = arguments.iter().any(|argument| argument == "--compare");
    let [pairs, width] = numbers.as_slice() else {
        let usage = "PAIRS COLUMNS [--compare]";
        return Err(Error::Usage(vec![Fault::new("arguments", "two numbers are needed").accepts(usage)]));
    };
    let folder = tempfile::tempdir().map_err(|error| Error::Io(vec![Fault::new("a temporary folder", error)]))?;
    run(&Store::new(folder.path(), Digest::of(b"stream_pairs"), *width), *pairs, compare)
}

fn run(store: &Store, pairs: usize, compare: bool) -> Result<()> {
    say(&format!("{pairs} pairs, {} columns", store.width()));
    let start = Instant::now();
    let (direction, comparisons) = simulate(store, pairs)?;
    say(&format!("store    {:8.1} s", start.elapsed().as_secs_f64()));
    let start = Instant::now();
    let keys: Vec<Digest> = (0..2 * pairs).map(key).collect();
    let rows = FeatureFile::lay_out(store, &keys)?;
    drop(keys);
    say(&format!("layout   {:8.1} s", start.elapsed().as_secs_f64()));
    let settings = |solver, memory| FitSettings { solver, memory, ..FitSettings::with_l2(L2) };
    let streamed = timed("fit", &rows, &comparisons, &settings(Solver::Lbfgs, 0))?;
    if let Some(peak) = peak_memory() {
        say(&format!("peak resident memory {peak}"));
    }
    say(&format!("cosine of the weights with the planted direction {:.6}", cosine(&streamed.head.weights, &direction)));
    if compare {
        let memory = in_memory(&rows)?;
        for (name, solver) in [("Newton, in memory", Solver::Newton), ("L-BFGS, in memory", Solver::Lbfgs)] {
            let kept = timed(name, &memory, &comparisons, &settings(solver, usize::MAX))?;
            differ(name, &memory, &comparisons, [&streamed, &kept]);
        }
    }
    Ok(())
}

fn key(row: usize) -> Digest {
    Digest::of(&row.to_le_bytes())
}

/// Stores two texts a pair shard by shard; the planted direction, and which text of each pair won.
fn simulate(store: &Store, pairs: usize) -> Result<(Vec<f64>, Vec<Comparison>)> {
    let mut random = Random::new(1);
    let mut direction: Vec<f64> = (0..store.width()).map(|_| random.normal()).collect();
    let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt();
    direction.iter_mut().for_each(|value| *value *= SCALE / length);
    let mut comparisons = Vec::with_capacity(pairs);
    for first in (0..2 * pairs).step_by(SHARD_ROWS) {
        let rows: Vec<Row> = (first..(first + SHARD_ROWS).min(2 * pairs))
            .map(|index| {
                let vector = (0..store.width()).map(|_| random.normal() as f32).collect();
                Row { key: key(index), tokens: 1, cut_prompt: 0, cut_response: 0, vector }
            })
            .collect();
        for (index, two) in rows.chunks_exact(2).enumerate() {
            let (left, right) = (first + 2 * index, first + 2 * index + 1);
            let wins =
                random.uniform() < sigmoid(score(&direction, &two[0].vector) - score(&direction, &two[1].vector));
            comparisons.push(if wins { Comparison::hard(left, right) } else { Comparison::hard(right, left) });
        }
        store.append(&rows)?;
    }
    Ok((direction, comparisons))
}

fn score(direction: &[f64], features: &[f32]) -> f64 {
    direction.iter().zip(features).map(|(weight, value)| weight * f64::from(*value)).sum()
}

fn timed(name: &str, rows: &dyn FeatureRows, comparisons: &[Comparison], settings: &FitSettings) -> Result<Fit> {
    let start = Instant::now();
    let fitted = fit(rows, comparisons, settings)?;
    let (seconds, steps, gradient) = (start.elapsed().as_secs_f64(), fitted.iterations, fitted.gradient_norm);
    say(&format!("{name:<8} {seconds:8.1} s, {steps} steps, gradient norm {gradient:.1e}"));
    Ok(fitted)
}

fn in_memory(rows: &FeatureFile) -> Result<Features> {
    let (mut features, mut buffer) = (Features::new(rows.width()), vec![0f32; rows.width()]);
    for row in 0..rows.rows() {
        rows.copy_row(row, &mut buffer)?;
        features.push(&buffer);
    }
    Ok(features)
}

/// Says how far two fits are apart.
fn differ(name: &str, features: &Features, comparisons: &[Comparison], fits: [&Fit; 2]) {
    let loss = |fit: &Fit| {
        let lead = |pair: &Comparison| {
            score(&fit.head.weights, features.row(pair.chosen)) - score(&fit.head.weights, features.row(pair.rejected))
        };
        let penalty: f64 = fit.standardised_weights.iter().map(|weight| 0.5 * L2 * weight * weight).sum();
        penalty - comparisons.iter().map(|pair| log_sigmoid(lead(pair))).sum::<f64>()
    };
    let [streamed, kept] = fits.map(loss);
    let apart = fits[0].head.weights.iter().zip(&fits[1].head.weights).map(|(left, right)| (left - right).abs());
    let bits = if fits[0] == fits[1] { ", the same bits" } else { "" };
    let (loss, weights) = ((streamed - kept).abs() / kept, apart.fold(0.0, f64::max));
    say(&format!("{name}: loss {kept:.9}, relative difference {loss:.1e}; weights at most {weights:.1e} apart{bits}"));
}

fn cosine(left: &[f64], right: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

/// What Linux says of the most memory that this process ever had.
fn peak_memory() -> Option<String> {
    let status = files::read_text("/proc/self/status".as_ref(), "the process's state").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|peak| peak.trim().to_owned())
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
