//! Turns a share of an objective's training labels round and measures how well an audit finds them.
//!
//! ```text
//! cargo run --release --example planted_noise -- configs/quickstart.yaml safety 0.1
//! ```
//!
//! Prints the AUC of finding the turned labels by what `ensemble audit labels` ranks by, by the margin with the pair left
//! out alone, and by the plain margin of the head that was trained with them; and the accuracy that the head reaches with
//! and without the noise.
#![expect(clippy::print_stdout, reason = "what it measures is its output")]

use std::path::Path;

use ensemble::backbone::Backbone;
use ensemble::config;
use ensemble::data::{self, Pair, Split};
use ensemble::ensemble::default_threads;
use ensemble::error::{Error, Fault, Result};
use ensemble::evaluate::average_ranks;
use ensemble::features::{Extractor, Features, embed};
use ensemble::head::{Comparison, Fit, FitSettings, LeaveOut, doubt_labels, fit, leave_one_out};
use ensemble::progress::Silent;
use ensemble::random::Random;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || Error::Usage(vec![Fault::new("arguments", "three are needed").accepts("CONFIG OBJECTIVE SHARE")]);
    let [config, objective, share] = arguments.as_slice() else { return Err(usage()) };
    let share: f64 = share.parse().map_err(|_| usage())?;
    let config = config::load(Path::new(config), &[])?;
    let dataset = data::load(&config)?;
    let Some(pairs) = dataset.objectives.iter().find(|known| known.name == *objective) else {
        return Err(Error::Usage(vec![Fault::new(objective, "the config has no such objective")]));
    };
    let backbone = Backbone::open(&config.backbone)?;
    let (matrices, _) =
        embed(&Extractor::new(&backbone, default_threads())?, &dataset.items, &config.output.cache, &Silent)?;
    let Some(features) = matrices.first() else { return Err(usage()) };
    let clean = comparisons(&pairs.pairs, Split::Train);
    let mut random = Random::new(1);
    let turned: Vec<bool> = clean.iter().map(|pair| pair.preference > 0.5 && random.uniform() < share).collect();
    let turn = |(pair, turned): (&Comparison, &bool)| {
        if *turned { Comparison { chosen: pair.rejected, rejected: pair.chosen, ..*pair } } else { *pair }
    };
    let noisy: Vec<Comparison> = clean.iter().zip(&turned).map(turn).collect();
    let settings = FitSettings::choosing(vec![1.0, 10.0, 100.0, 1e3, 1e4, 1e5], 5);
    let fitted = fit(features, &noisy, &settings)?;
    let doubted = doubt_labels(features, &noisy, &fitted, &settings)?;
    let by_pair = leave_one_out(features, &noisy, &fitted, LeaveOut::Pair)?;
    let values = |pick: &dyn Fn(usize) -> f64| (0..noisy.len()).map(pick).collect::<Vec<f64>>();
    let count = turned.iter().filter(|one| **one).count();
    println!("{objective}: {count} of {} training labels turned, l2 {}", noisy.len(), fitted.l2);
    println!("  AUC {:.4} by the audit", auc(&values(&|pair| doubted[pair].probability(1.0)), &turned));
    println!("  AUC {:.4} by leaving the pair out", auc(&values(&|pair| by_pair[pair].held_out), &turned));
    println!("  AUC {:.4} by the plain margin", auc(&values(&|pair| by_pair[pair].fitted), &turned));
    let test = comparisons(&pairs.pairs, Split::Test);
    println!(
        "  test accuracy {:.4} with the noise, {:.4} without",
        accuracy(&fitted, features, &test),
        accuracy(&fit(features, &clean, &settings)?, features, &test)
    );
    Ok(())
}

fn comparisons(pairs: &[Pair], split: Split) -> Vec<Comparison> {
    let group = |pair: &Pair| pair.prompt_key.0[8..16].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let inside = pairs.iter().filter(|pair| pair.split == split);
    inside
        .map(|pair| Comparison {
            chosen: pair.chosen,
            rejected: pair.rejected,
            preference: pair.preference,
            group: group(pair),
            margin: pair.margin,
            weight: pair.weight,
        })
        .collect()
}

/// The probability that a turned label has a lower margin than one that was not, equal margins half (Mann & Whitney).
fn auc(margins: &[f64], turned: &[bool]) -> f64 {
    let ranks = average_ranks(margins);
    let (mut sum, mut count) = (0.0, 0.0);
    for (rank, _) in ranks.iter().zip(turned).filter(|(_, turned)| **turned) {
        (sum, count) = (sum + rank, count + 1.0);
    }
    let others = margins.len() as f64 - count;
    1.0 - (sum - count * (count + 1.0) / 2.0) / (count * others)
}

fn accuracy(fitted: &Fit, features: &Features, pairs: &[Comparison]) -> f64 {
    let score = |row: usize| fitted.head.score(features.row(row));
    let credit = |pair: &Comparison| match score(pair.chosen).total_cmp(&score(pair.rejected)) {
        _ if pair.preference == 0.5 => 0.5,
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    pairs.iter().map(credit).sum::<f64>() / pairs.len() as f64
}
