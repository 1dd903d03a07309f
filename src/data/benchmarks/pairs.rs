//! Pairs in any format of this crate.
//!
//! The heads of a registry may have been trained on their prompts, so by default those count only that fall into the
//! test split by their digest, which no head is trained on unless its data say otherwise by a split of their own.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Benchmark, Items, Splits, confused};
use crate::config::SourceConfig;
use crate::data::{Pair, Rows, Split, load_lists};
use crate::error::{Error, Fault, Result};
use crate::files;

/// A pair of answers and what the labelers said.
#[derive(Clone, Debug, PartialEq)]
pub struct PairRow {
    /// The prompt's number.
    pub prompt: usize,
    /// The preferred answer's item.
    pub chosen: usize,
    /// The other's.
    pub rejected: usize,
    /// Share of labelers who prefer `chosen`, 0.5..=1.
    pub preference: f64,
}

/// Pairs that count, and what does not.
pub(super) struct PairRows {
    pub(super) rows: Vec<PairRow>,
    /// How many pairs are of prompts outside the test split, whether they count or not.
    pub(super) outside_test: usize,
    /// What else was left out and why.
    pub(super) left_out: BTreeMap<String, usize>,
}

/// Reads the pairs of some splits, each distinct one once.
pub(super) fn read(sources: &[SourceConfig], files: &[&Path], splits: Splits, items: &mut Items) -> Result<PairRows> {
    for path in files {
        let first = Rows::open(path, "the pairs")?.next().and_then(Result::ok);
        let row = first.and_then(|record| record.object.ok());
        let benchmark = row.as_ref().and_then(Benchmark::of_row).filter(|other| *other != Benchmark::RewardBench);
        if let Some(other) = benchmark {
            return Err(Error::Data(vec![confused(path, Benchmark::Pairs, other)]));
        }
    }
    let dataset = load_lists(&[], sources)?;
    let (pairs, audit) = (&dataset.holistic.pairs, &dataset.holistic.audit);
    let outside_test = pairs.iter().filter(|pair| pair.split != Split::Test).count();
    if splits == Splits::Test && outside_test > 0 && outside_test == pairs.len() {
        return Err(Error::Data(vec![nothing_left(files, outside_test)]));
    }
    let mut left_out = BTreeMap::new();
    for (reason, count) in audit.sources.iter().flat_map(|source| &source.dropped) {
        *left_out.entry(reason.clone()).or_insert(0) += count;
    }
    let mut row = |pair: &Pair| PairRow {
        prompt: items.prompt(pair.prompt_key),
        chosen: items.keep(dataset.items[pair.chosen].clone()),
        rejected: items.keep(dataset.items[pair.rejected].clone()),
        preference: pair.preference,
    };
    let counts = |pair: &&Pair| splits == Splits::All || pair.split == Split::Test;
    Ok(PairRows { rows: pairs.iter().filter(counts).map(&mut row).collect(), outside_test, left_out })
}

/// That no pair is of the test split.
fn nothing_left(files: &[&Path], pairs: usize) -> Fault {
    let place: Vec<String> = files.iter().map(|path| files::shown(path)).collect();
    let found = if pairs == 1 {
        "the only pair is of a prompt that falls into the training or calibration split".to_owned()
    } else {
        format!("all {pairs} pairs are of prompts that fall into the training or calibration split")
    };
    Fault::new(place.join(", "), found)
        .accepts("at least one pair of a prompt that falls into the test split (one prompt in ten)")
        .help("--all-splits counts all of them; if the heads were trained on them, the figure may be too good")
}
