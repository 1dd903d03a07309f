//! JudgeBench: `question`, `response_A`, `response_B`, `label`, `source` (README of ScalerLab/JudgeBench).

use super::{Items, keep, prompt, text};
use crate::data::row::Row;
use crate::error::{Fault, quote};

const LAYOUT: &str = "`question` (text or messages) with `response_A`, `response_B`, `label` and `source` (texts)";

/// Two answers of which one is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeBenchRow {
    /// The data set the question comes from: `mmlu-pro-law`, `livebench-math` and so on.
    pub source: String,
    /// The question's number.
    pub prompt: usize,
    /// The items of A and B.
    pub answers: [usize; 2],
    /// Whether the label is `A>B`.
    pub first_is_better: bool,
}

/// Reads one row.
pub(super) fn parse(row: &Row, items: &mut Items) -> Result<JudgeBenchRow, Fault> {
    let prompt = prompt(row, "question", LAYOUT)?;
    let sides = [text(row, "response_A", LAYOUT)?, text(row, "response_B", LAYOUT)?];
    let first_is_better = match text(row, "label", LAYOUT)? {
        "A>B" => true,
        "B>A" => false,
        other => return Err(row.fault("label", quote(other)).accepts("`A>B` or `B>A`")),
    };
    let source = text(row, "source", LAYOUT)?.to_owned();
    let (prompt, answers) = keep(items, &prompt, sides);
    Ok(JudgeBenchRow { source, prompt, answers, first_is_better })
}
