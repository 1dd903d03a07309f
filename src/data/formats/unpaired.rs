//! Unpaired answers, each wanted or not: TRL's `prompt`, `completion`, `label`, and LLaMA-Factory's `messages`, `label`.
//!
//! Each wanted answer to a prompt beats each unwanted one; where a prompt has only one kind, its answers are dropped.

use crate::config::{Format, LabelSource};
use crate::data::Item;
use crate::data::audit::{DUPLICATE_RATING, IDENTICAL, SourceAudit};
use crate::data::pairs::{Candidate, Side, side};
use crate::data::row::Row;
use crate::error::{Fault, Result};
use crate::files::Digest;

use super::fields::{answer, question};
use super::{Known, Parser};

const LAYOUT: &str = "`prompt`, `completion` and `label` (true or false); or `messages` that end with the \
                      assistant's, and `label`";
/// All answers to the prompt are wanted, or none is.
pub(in crate::data) const ONE_KIND: &str = "no answer with the other label";

pub(super) const KNOWN: Known = Known {
    format: Format::Unpaired,
    signatures: &[&["prompt", "completion", "label"], &["messages", "label"]],
    fits: |row| row.value("label").is_some_and(|label| row.truth("label", label).is_ok()),
    optional: &["system"],
    parser: Parser::Unpaired(parse),
};

/// Reads a row as an answer, `None` when it is empty, and whether it is wanted.
pub(in crate::data) type Parse = fn(&Row) -> Result<(Option<Side>, bool), Fault>;

fn parse(row: &Row) -> Result<(Option<Side>, bool), Fault> {
    let wanted = row.truth("label", row.required("label", LAYOUT)?)?;
    let side = match row.value("messages") {
        Some(messages) if row.value("completion").is_none() => side(row, "messages", messages, None)?,
        _ => answer(row, "completion", LAYOUT, &question(row, LAYOUT)?)?,
    };
    Ok((side, wanted))
}

/// One answer, in the order in which those of a prompt stand together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    prompt: Digest,
    wanted: bool,
    response: Digest,
    key: Digest,
    labels: LabelSource,
}

/// The unpaired answers of one source.
#[derive(Clone, Debug, Default)]
pub(in crate::data) struct Unpaired {
    answers: Vec<Answer>,
}

impl Unpaired {
    /// Takes one answer.
    pub(in crate::data) fn add(&mut self, item: &Item, wanted: bool, labels: LabelSource) {
        let response = Digest::of(item.response.trim().as_bytes());
        self.answers.push(Answer { prompt: item.prompt_key(), wanted, response, key: item.key(), labels });
    }

    /// The pairs of all answers to the same prompt, in an order given by content; what makes no pair is counted.
    ///
    /// # Errors
    /// A fault when one prompt has so many answers that their pairs would fill the memory.
    pub(in crate::data) fn pairs(mut self, path: &str, audit: &mut SourceAudit) -> Result<Vec<Candidate>, Fault> {
        self.answers.sort();
        let count = self.answers.len();
        let same = |answer: &Answer| (answer.prompt, answer.wanted, answer.response);
        self.answers.dedup_by(|right, left| same(right) == same(left));
        audit.drop(DUPLICATE_RATING, count - self.answers.len());
        let mut candidates = Vec::new();
        for group in self.answers.chunk_by(|left, right| left.prompt == right.prompt) {
            refuse_many(path, group.len())?;
            let (unwanted, wanted) = group.split_at(group.partition_point(|answer| !answer.wanted));
            if unwanted.is_empty() || wanted.is_empty() {
                audit.drop(ONE_KIND, group.len());
            }
            for (winner, loser) in wanted.iter().flat_map(|winner| unwanted.iter().map(move |loser| (winner, loser))) {
                if winner.response == loser.response {
                    audit.drop(IDENTICAL, 1);
                    continue;
                }
                candidates.push(Candidate {
                    chosen: winner.key,
                    rejected: loser.key,
                    prompt: winner.prompt,
                    preference: 1.0,
                    votes: None,
                    margin: 0.0,
                    weight: 1.0,
                    labels: winner.labels.max(loser.labels),
                });
            }
        }
        Ok(candidates)
    }
}

/// Answers to one prompt whose pairs still fit into memory.
const MOST_ANSWERS: usize = 4_096;

/// Refuses a prompt with too many answers.
pub(in crate::data) fn refuse_many(path: &str, answers: usize) -> Result<(), Fault> {
    if answers <= MOST_ANSWERS {
        return Ok(());
    }
    let fault = Fault::new(path, format!("one prompt has {answers} answers, and each two would be compared"));
    Err(fault.accepts(format!("at most {MOST_ANSWERS} answers a prompt")).help("keep a sample of the rows"))
}

/// Refuses what belongs to a comparison in a row that is one answer, unless it is the `score` that is asked for: there
/// is no telling which pair it is meant for.
///
/// # Errors
/// A fault that names the field.
pub(in crate::data) fn refuse_pair_fields(row: &Row, score: &str) -> Result<(), Fault> {
    match ["weight", "margin"].into_iter().find(|field| *field != score && row.value(field).is_some()) {
        None => Ok(()),
        Some(field) => {
            let fault = row.fault(field, "a row that is one answer cannot say it of a comparison");
            Err(fault.help("take the field out, or write the rows as pairs"))
        }
    }
}
