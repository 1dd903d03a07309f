//! RewardBench 2 and RM-Bench: lists of right and of wrong answers; each right one beats each wrong one.
//!
//! Field names: the data sets' cards (allenai/reward-bench-2, THU-KEG/RM-Bench).

use serde_json::Value;

use super::compare::{Decision, Placed, Verdict, ranked};
use super::fields::{question, text_answers};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`prompt` with `chosen` and `rejected`, each a list of texts";

pub(super) const REWARD_BENCH2: Known = Known {
    format: Format::RewardBench2,
    signatures: &[&["prompt", "chosen", "rejected"]],
    fits: |row| both_lists(row) && row.value("domain").is_none(),
    optional: &["subset", "id", "num_correct", "num_incorrect", "total_completions"],
    parser: Parser::Pairs(parse),
};

pub(super) const RM_BENCH: Known = Known {
    format: Format::RmBench,
    signatures: &[&["prompt", "chosen", "rejected", "domain"]],
    fits: both_lists,
    optional: &["id"],
    parser: Parser::Pairs(parse),
};

/// Whether both sides are lists of texts, not messages.
fn both_lists(row: &Row) -> bool {
    let texts = |field| match row.value(field) {
        Some(Value::Array(list)) => !list.is_empty() && list.iter().all(Value::is_string),
        _ => false,
    };
    texts("chosen") && texts("rejected")
}

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let prompt = question(row, LAYOUT)?;
    let mut answers: Vec<Placed<bool>> = Vec::new();
    for (field, right) in [("chosen", true), ("rejected", false)] {
        let found = text_answers(row, field, LAYOUT, &prompt)?;
        if found.is_empty() {
            return Err(row.fault(field, "an empty list").accepts("at least one answer"));
        }
        answers.extend(found.into_iter().map(|answer| (answer, right)));
    }
    ranked(row, "chosen", &answers, |left, right| match (left, right) {
        (true, false) => Decision::Label(Verdict::FIRST),
        (false, true) => Decision::Label(Verdict::SECOND),
        _ => Decision::Unlabelled,
    })
}
