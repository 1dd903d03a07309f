//! Several answers to an instruction: the index of the preferred one, which beats all others; or a rank for each; or
//! the answers in order, best first.
//!
//! Field names: the `answers` and `preference` of llm_optimization's reward data. Plain order is never guessed: without
//! `preference` and `ranks` a source must say `format: rankings`.

use super::compare::{Decision, Placed, Verdict, ranked, whole};
use super::fields::{question, text_answers};
use super::nemo_rl::lower_wins;
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`instruction` (or `prompt`) with `answers` (a list of texts), and `preference` (the index of \
                      the preferred one, from 0), or `ranks` (a number for each, low is better), or neither if the \
                      best stands first";

pub(super) const KNOWN: Known = Known {
    format: Format::Rankings,
    signatures: &[&["answers", "preference"], &["answers", "ranks"]],
    fits: by_fields,
    optional: &["prompt", "instruction", "input", "question", "system"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let prompt = question(row, LAYOUT)?;
    let answers = text_answers(row, "answers", LAYOUT, &prompt)?;
    let places: Vec<f64> = if let Some(ranks) = row.value("ranks") {
        let ranks = row.entries("ranks", ranks)?;
        if ranks.len() != answers.len() {
            let found = format!("{} ranks for {} answers", ranks.len(), answers.len());
            return Err(row.fault("ranks", found).accepts("one for each answer"));
        }
        ranks.iter().map(|rank| row.amount("ranks", rank)).collect::<Result<_, Fault>>()?
    } else if let Some(best) = row.value("preference") {
        let best = whole(row, "preference", best, [0, answers.len() as i64 - 1])?;
        let placed: Vec<Placed<bool>> = answers.into_iter().enumerate().map(|(i, a)| (a, i as i64 == best)).collect();
        return ranked(row, "answers", &placed, |left, right| match (left, right) {
            (true, _) => Decision::Label(Verdict::FIRST),
            (_, true) => Decision::Label(Verdict::SECOND),
            _ => Decision::Unlabelled,
        });
    } else {
        (0..answers.len()).map(|place| place as f64).collect()
    };
    let placed: Vec<Placed<f64>> = answers.into_iter().zip(places).collect();
    ranked(row, "answers", &placed, |left, right| Decision::Label(lower_wins(*left, *right)))
}
