//! RewardBench: `prompt`, `chosen`, `rejected`, `subset` (`rewardbench/utils.py`, `load_eval_dataset`).

use super::{Items, keep, prompt, text};
use crate::data::row::Row;
use crate::error::Fault;

const LAYOUT: &str = "`prompt` (text or messages) with `chosen`, `rejected` and `subset` (texts)";

/// A pair of answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardBenchRow {
    /// The subset it belongs to.
    pub subset: String,
    /// The prompt's number.
    pub prompt: usize,
    /// The better answer's item.
    pub chosen: usize,
    /// The other's.
    pub rejected: usize,
}

/// Reads one row.
pub(super) fn parse(row: &Row, items: &mut Items) -> Result<RewardBenchRow, Fault> {
    let prompt = prompt(row, "prompt", LAYOUT)?;
    let sides = [text(row, "chosen", LAYOUT)?, text(row, "rejected", LAYOUT)?];
    let subset = text(row, "subset", LAYOUT)?.to_owned();
    let (prompt, [chosen, rejected]) = keep(items, &prompt, sides);
    Ok(RewardBenchRow { subset, prompt, chosen, rejected })
}
