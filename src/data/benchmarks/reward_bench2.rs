//! RewardBench 2: `prompt`, `chosen` and `rejected` as lists, `subset`, `num_correct`, `total_completions`, `id`
//! (`rewardbench/utils.py`, `load_bon_dataset_v2`).
//!
//! All subsets but Ties have one right answer. A row of Ties has the id `ref:N` (one right answer) or `tied:N` (several
//! right answers to a question like that of `ref:N`).

use super::{Items, item, keep, prompt, text, texts};
use crate::data::row::Row;
use crate::error::{Fault, quote};

const LAYOUT: &str = "`prompt` (text or messages) with `chosen` and `rejected` (lists of texts) and `subset`";
const IDS: &str = "`ref:N` or `tied:N` with a whole number N, as all rows of Ties have";

/// Answers of which the first ones are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewardBench2Row {
    /// The subset it belongs to.
    pub subset: String,
    /// The prompt's number.
    pub prompt: usize,
    /// The items, the right ones first.
    pub answers: Vec<usize>,
    /// How many are right, at least 1 and less than all.
    pub correct: usize,
    /// Which row of Ties it is; `None` in all other subsets.
    pub ties: Option<TiesId>,
}

/// The id of a row of Ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TiesId {
    /// `ref:N`; `tied:N` otherwise.
    pub reference: bool,
    /// Which question.
    pub number: i64,
}

/// Reads one row.
pub(super) fn parse(row: &Row, items: &mut Items) -> Result<RewardBench2Row, Fault> {
    let prompt = prompt(row, "prompt", LAYOUT)?;
    let (chosen, rejected) = (texts(row, "chosen", LAYOUT)?, texts(row, "rejected", LAYOUT)?);
    let subset = text(row, "subset", LAYOUT)?.to_owned();
    let ties = if subset.eq_ignore_ascii_case("ties") { Some(ties_id(row)?) } else { None };
    right_answers(row, chosen.len(), ties)?;
    if rejected.is_empty() {
        return Err(row.fault("rejected", "no wrong answer").accepts("at least one"));
    }
    counted(row, "num_correct", chosen.len(), "`chosen` has")?;
    counted(row, "total_completions", chosen.len() + rejected.len(), "`chosen` and `rejected` together have")?;
    let correct = chosen.len();
    let answers = [chosen, rejected].concat().into_iter().map(|response| items.keep(item(&prompt, response))).collect();
    let (prompt, []) = keep(items, &prompt, []);
    Ok(RewardBench2Row { subset, prompt, answers, correct, ties })
}

/// Refuses a number of right answers for which the benchmark has no figure.
fn right_answers(row: &Row, found: usize, ties: Option<TiesId>) -> Result<(), Fault> {
    let (allowed, accepted) = match ties {
        None => (found == 1, "one right answer, as in all subsets but Ties"),
        Some(TiesId { reference: true, .. }) => (found == 1, "one right answer, as all rows `ref:N` of Ties have"),
        Some(_) => (found > 1, "at least two right answers, as all rows `tied:N` of Ties have"),
    };
    let noun = if found == 1 { "right answer" } else { "right answers" };
    if allowed { Ok(()) } else { Err(row.fault("chosen", format!("{found} {noun}")).accepts(accepted)) }
}

/// Refuses a count that is not that of the lists.
fn counted(row: &Row, field: &str, found: usize, lists: &str) -> Result<(), Fault> {
    let Some(value) = row.value(field) else { return Ok(()) };
    let number = row.number(field, value)?;
    if number == found as f64 {
        return Ok(());
    }
    Err(row.fault(field, format!("{number}, but {lists} {found}")).accepts("the number of answers in the lists"))
}

fn ties_id(row: &Row) -> Result<TiesId, Fault> {
    let id = text(row, "id", LAYOUT)?;
    let read = |(kind, number): (&str, &str)| {
        let reference = match kind {
            "ref" => true,
            "tied" => false,
            _ => return None,
        };
        Some(TiesId { reference, number: number.trim().parse().ok()? })
    };
    id.split_once(':').and_then(read).ok_or_else(|| row.fault("id", quote(id)).accepts(IDS))
}
