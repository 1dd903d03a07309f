//! RewardBench: `prompt`, `chosen`, `rejected`, with `subset` and `id`.
//!
//! Its rows are pairs: without `format: reward_bench` they are read as `pairs`, and the columns not read are named.

use super::{Known, Parser, by_name_only};
use crate::config::Format;
use crate::data::pairs;

pub(super) const KNOWN: Known = Known {
    format: Format::RewardBench,
    signatures: &[&["prompt", "chosen", "rejected", "subset"]],
    fits: by_name_only,
    optional: &["id"],
    parser: Parser::Pairs(|row, _| pairs::parse(row)),
};
