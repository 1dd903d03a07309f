//! NeMo-RL's preference rows: a context and ranked completions; the lowest rank is the best, equal ranks are a tie.
//!
//! Field names: NeMo-RL's guides for reward models and DPO. The published form has two completions; more are ranked
//! the same way.

use super::compare::{Decision, Placed, Verdict, ranked};
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::{Outcome, side};
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`context` (messages or text) and `completions`, each with `rank` and `completion` (messages)";

pub(super) const KNOWN: Known = Known {
    format: Format::NemoRl,
    signatures: &[&["context", "completions"]],
    fits: by_fields,
    optional: &["task_name"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let prompt = row.conversation("context", row.required("context", LAYOUT)?)?;
    let list = row.list("completions", row.required("completions", LAYOUT)?)?;
    let mut answers: Vec<Placed<f64>> = Vec::with_capacity(list.len());
    for (index, entry) in list.iter().enumerate() {
        let part = |field: &str| {
            let name = format!("completions[{index}].{field}");
            let value = entry.get(field).filter(|value| !value.is_null());
            value.map(|value| (name.clone(), value)).ok_or_else(|| row.fault(&name, "missing").accepts(LAYOUT))
        };
        let (rank, completion) = (part("rank")?, part("completion")?);
        answers.push((side(row, &completion.0, completion.1, Some(&prompt))?, row.amount(&rank.0, rank.1)?));
    }
    ranked(row, "completions", &answers, |left, right| Decision::Label(lower_wins(*left, *right)))
}

/// The verdict of two ranks: low is better, equal is a tie.
pub(super) fn lower_wins(left: f64, right: f64) -> Verdict {
    match left.total_cmp(&right) {
        std::cmp::Ordering::Less => Verdict::FIRST,
        std::cmp::Ordering::Equal => Verdict::TIE,
        std::cmp::Ordering::Greater => Verdict::SECOND,
    }
}
