//! Two answers and what several labelers said of them: `labels` (a list, or an object by labeler), `votes` (two counts)
//! or a column a labeler (`annotator1`, `labeler_2`). The share of labelers is the pair's preference.
//!
//! A tie is half a vote for each. In the columns' numbers 1 is the first answer, 2 the second and 0 a tie, as in
//! PandaLM's test set.

use serde_json::Value;

use super::compare::{Verdict, compare};
use super::fields::{answers, question};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::Votes;
use crate::data::pairs::{self, Outcome};
use crate::data::row::{Row, kind};
use crate::error::{Fault, Result, quote};

const LAYOUT: &str = "`prompt` with two answers (`chosen` and `rejected`, `response_a` and `response_b`, `response_1` \
                      and `response_2`, or `response1` and `response2`), and `labels` (a list, or an object), `votes` \
                      or a column a labeler (`annotator1`, `labeler_1`)";
const SIDES: [[&str; 2]; 4] =
    [["chosen", "rejected"], ["response_a", "response_b"], ["response_1", "response_2"], ["response1", "response2"]];
const FIRST: [&str; 9] = ["chosen", "a", "first", "1", "response 1", "response a", "response1", "model a", "answer 1"];
const SECOND: [&str; 9] =
    ["rejected", "b", "second", "2", "response 2", "response b", "response2", "model b", "answer 2"];
const TIE: [&str; 5] = ["tie", "equal", "both", "same", "0"];
/// How the name of a labeler's column begins.
const COLUMNS: [&str; 5] = ["annotator", "labeler", "labeller", "judge", "rater"];

pub(super) const KNOWN: Known = Known {
    format: Format::Labelers,
    signatures: &[
        &["chosen", "rejected"],
        &["response_a", "response_b"],
        &["response_1", "response_2"],
        &["response1", "response2"],
    ],
    fits: |row| {
        let labels = row.value("labels").is_some_and(|labels| labels.is_array() || labels.is_object());
        // `pairs` counts the votes for `chosen` itself.
        labels || columns(row).next().is_some() || (row.value("votes").is_some() && row.value("chosen").is_none())
    },
    optional: &[
        "prompt",
        "instruction",
        "input",
        "question",
        "system",
        "labels",
        "votes",
        "annotator*",
        "labeler*",
        "labeller*",
        "judge*",
        "rater*",
    ],
    parser: Parser::Pairs(parse),
};

/// The columns of single labelers: a numbered one (`annotator1`, `labeler_2`) must hold a label; one without a number
/// (`judge`) counts if it holds a word that is a label. Others (`annotator_id`, `judge_round`) are something else.
fn columns<'a>(row: &Row<'a>) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let object = row.object;
    object.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, value)| {
        let Some(rest) = COLUMNS.iter().find_map(|start| name.strip_prefix(start)) else { return false };
        let number = rest.strip_prefix(['_', '-']).unwrap_or(rest);
        let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        !value.is_null() && (numbered || rest.is_empty() && value.is_string() && read_label(value).is_some())
    })
}

/// What may be said of two answers, for messages.
pub(super) fn words() -> &'static str {
    "chosen, a, 1 or response 1 for the first answer; rejected, b, 2 or response 2 for the second; tie or 0"
}

/// The verdict that a label is.
pub(super) fn read_label(value: &Value) -> Option<Verdict> {
    let word = match value {
        Value::String(text) => text.trim().to_lowercase().replace(['_', '-'], " "),
        Value::Number(number) => number.as_f64().map(|number| number.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    let is = |words: &[&str]| words.contains(&word.as_str());
    match () {
        () if is(&FIRST) => Some(Verdict::FIRST),
        () if is(&SECOND) => Some(Verdict::SECOND),
        () if is(&TIE) => Some(Verdict::TIE),
        () => None,
    }
}

fn parse(row: &Row, source: &SourceConfig) -> Result<Outcome, Fault> {
    let fields = SIDES.into_iter().find(|fields| fields.iter().any(|field| row.value(field).is_some()));
    let fields = fields.ok_or_else(|| row.missing("response_a", LAYOUT))?;
    let prompt = question(row, LAYOUT)?;
    let sides = answers(row, fields, LAYOUT, &prompt)?;
    compare(row, sides, verdict(row, &source.score)?)
}

/// What the labelers said of the first answer, with how many they are.
fn verdict(row: &Row, score: &str) -> Result<Verdict, Fault> {
    if row.value("labels").is_none() && row.value("votes").is_some() {
        return pairs::votes(row);
    }
    let labels = labels(row, score)?;
    let mut votes = Votes::default();
    for (field, label) in &labels {
        let verdict = read_label(label).ok_or_else(|| {
            let found = label.as_str().map_or_else(|| quote(&label.to_string()), quote);
            row.fault(field, format!("unknown label {found}")).accepts(words())
        })?;
        match verdict {
            Verdict::FIRST => votes.chosen += 1,
            Verdict::SECOND => votes.rejected += 1,
            _ => votes.tied += 1,
        }
    }
    Ok(Verdict::voted(votes.share(), Some(votes)))
}

/// The labels of a row with the names of their fields, at least one. Of an object that has a label named like the
/// source's score only that one counts.
fn labels<'a>(row: &Row<'a>, score: &str) -> Result<Vec<(String, &'a Value)>, Fault> {
    let labels: Vec<(String, &Value)> = match row.value("labels") {
        Some(Value::Array(list)) => list.iter().enumerate().map(|(i, label)| (format!("labels[{i}]"), label)).collect(),
        Some(Value::Object(object)) => {
            let named = |name: &String| object.get(score).is_none() || name == score;
            let given = object.iter().filter(|(name, label)| named(name) && !label.is_null());
            given.map(|(name, label)| (format!("labels.{name}"), label)).collect()
        }
        Some(other) => return Err(row.fault("labels", kind(other)).accepts("a list, or an object by labeler")),
        None => columns(row).map(|(name, label)| (name.to_owned(), label)).collect(),
    };
    if labels.is_empty() {
        let fault =
            if row.value("labels").is_some() { row.fault("labels", "no label") } else { row.missing("labels", LAYOUT) };
        return Err(fault.accepts("at least one label"));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::load::tests::source;
    use super::*;

    #[test]
    fn labels_columns_and_counts_are_votes_and_turn_with_the_pair() {
        let read = |labels: Value| {
            let mut row = json!({ "prompt": "q", "response_a": "x", "response_b": "y" });
            let object = row.as_object_mut().expect("an object");
            object.extend(labels.as_object().cloned().expect("an object"));
            let outcome = parse(&Row { object, place: "rows:1" }, &source("quality")).expect("readable");
            let pair = outcome.pairs.first().expect("a pair").clone();
            (pair.chosen.response, pair.votes.map(|votes| [votes.chosen, votes.rejected, votes.tied]))
        };
        let (x, y) = (|votes| ("x".to_owned(), Some(votes)), |votes| ("y".to_owned(), Some(votes)));
        assert_eq!(read(json!({ "labels": ["a", "a", "tie", "b"] })), x([2, 1, 1]));
        assert_eq!(read(json!({ "labels": { "ann": "b", "bob": "b", "cat": "a" } })), y([2, 1, 0]));
        assert_eq!(read(json!({ "labels": { "quality": "b", "style": "a" } })), y([1, 0, 0]));
        assert_eq!(read(json!({ "annotator1": 2, "annotator2": 0, "annotator3": 2 })), y([2, 0, 1]));
        assert_eq!(read(json!({ "votes": [1, 3] })), y([3, 1, 0]));
        assert_eq!(read(json!({ "labels": ["a", "b"] })), x([1, 1, 0]));
    }

    #[test]
    fn only_columns_of_labelers_vote() {
        let row = json!({ "annotator1": 1, "labeler_2": "b", "rater-3": 0, "judge": "tie", "annotator": 2,
            "annotator_id": "A", "rater_group": "b", "judge_round": 2, "rater_count": 1, "annotator4": null });
        let object = row.as_object().cloned().unwrap_or_default();
        let row = Row { object: &object, place: "rows:1" };
        let mut names: Vec<&str> = columns(&row).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["annotator1", "judge", "labeler_2", "rater-3"]);
    }
}
