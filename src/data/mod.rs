//! Preference data: from files in published formats to pairs of items, with splits and an audit.
//!
//! Knows texts, labels and splits; knows nothing of tokens, features or heads. Everything returned is in an order
//! that depends on content alone, so shuffled input files give the same dataset.

mod audit;
pub mod benchmarks;
mod columns;
mod domain;
mod formats;
mod hh_rlhf;
mod lines;
mod load;
mod pairs;
pub mod probes;
mod rated;
mod read;
mod row;
mod rules;
mod split;
mod votes;
mod written_messages;

pub use audit::{Audit, LengthSkew, SourceAudit};
pub use columns::plain;
pub use domain::domain;
pub use load::{load, load_lists};
pub use read::{Record, Rows};
pub use row::{kind, parse_answer, parse_item, parse_object, parse_small_object};
pub use split::{Split, Splitter};
pub use votes::Votes;

pub use crate::conversation::{Item, Message, Role, render_prompt};

use std::collections::BTreeMap;

use crate::config::LabelSource;
use crate::files::Digest;

/// One labelled comparison of two items of the same prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Index of the preferred item in [`Dataset::items`].
    pub chosen: usize,
    /// Index of the other item.
    pub rejected: usize,
    /// Share of labelers who prefer `chosen`, in 0.5..=1; 1 for a hard label.
    pub preference: f64,
    /// How many labelers that share is of; `None` where the data do not count them.
    pub votes: Option<Votes>,
    /// By how much the preferred item should score higher (log-odds), 0 or more; 0 where the data do not say.
    pub margin: f64,
    /// How much the pair counts, above 0; 1 where the data do not say.
    pub weight: f64,
    /// Who decided.
    pub labels: LabelSource,
    /// Which split the pair's prompt belongs to.
    pub split: Split,
    /// Digest of the normalised prompt: pairs that share it are not independent.
    pub prompt_key: Digest,
}

/// An answer's own score, for heads that are fitted to ratings.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRating {
    /// Index of the answer in [`Dataset::items`].
    pub item: usize,
    /// Its mean score over the labelers, in the source's unit; negated where less is better.
    pub score: f64,
    /// Which split its prompt belongs to.
    pub split: Split,
    /// Digest of the normalised prompt: ratings that share it are not independent.
    pub prompt_key: Digest,
}

/// All pairs of one objective, ordered by content.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectivePairs {
    /// The objective's name.
    pub name: String,
    /// Its pairs, ordered by the keys of chosen and rejected item.
    pub pairs: Vec<Pair>,
    /// The ratings of the sources that are labelled by a score, ordered by item, one per item. Answers that stand in
    /// no pair are among them only where the head is fitted to ratings.
    pub ratings: Vec<ItemRating>,
    /// What was read, dropped and found.
    pub audit: Audit,
}

/// Everything read for one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The distinct items of all objectives, ordered by [`Item::key`].
    pub items: Vec<Item>,
    /// One entry per objective, in the order of the config.
    pub objectives: Vec<ObjectivePairs>,
    /// The holistic pairs; empty where the config names none.
    pub holistic: ObjectivePairs,
    /// The responses of the config's reference, ascending: a response that stands there k times counts k times. They
    /// have no labels. Empty where the config names no reference.
    pub reference: Vec<usize>,
    /// The domain of each prompt that has one, by the digest of the normalised prompt.
    pub domains: BTreeMap<Digest, String>,
}
