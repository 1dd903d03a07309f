//! Lists of whole texts and of their scores: `text` holds `## Human:` / `## Assistant:` transcripts, `score` a number
//! for each. Equal scores are a tie.
//!
//! The layout of the preference files of LMFlow and of the domain-specific preference sets.

use super::compare::{Decision, Placed, Verdict, among};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::conversation::split_turns;
use crate::data::hh_rlhf::last_answer;
use crate::data::pairs::Outcome;
use crate::data::rated::apart;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`text` (a list of \"## Human:\" / \"## Assistant:\" transcripts) and `score` (a number for each)";

pub(super) const KNOWN: Known = Known {
    format: Format::TextScoreList,
    signatures: &[&["text", "score"]],
    fits: |row| row.value("text").is_some_and(serde_json::Value::is_array),
    optional: &[],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, source: &SourceConfig) -> Result<Outcome, Fault> {
    let texts = row.list("text", row.required("text", LAYOUT)?)?;
    let scores = row.list("score", row.required("score", LAYOUT)?)?;
    if texts.len() != scores.len() {
        let found = format!("{} scores for {} texts", scores.len(), texts.len());
        return Err(row.fault("score", found).accepts("one for each text"));
    }
    let mut answers: Vec<Placed<f64>> = Vec::with_capacity(texts.len());
    for (index, (text, score)) in texts.iter().zip(scores).enumerate() {
        let field = format!("text[{index}]");
        let turns = split_turns(row.text(&field, text)?, "## Human:", "## Assistant:");
        let turns = turns.ok_or_else(|| row.fault(&field, "text that is not a transcript").accepts(LAYOUT))?;
        match last_answer(turns) {
            Ok(side) => answers.push((Some(side), row.amount(&format!("score[{index}]"), score)?)),
            Err(reason) => return Ok(Outcome::dropped(reason)),
        }
    }
    among(row, "text", &answers, |left, right| match apart(left - right, source.min_gap) {
        Ok(()) => Decision::Label(if left > right { Verdict::FIRST } else { Verdict::SECOND }),
        Err("equal scores") => Decision::Label(Verdict::TIE),
        Err(reason) => Decision::Drop(reason),
    })
}
