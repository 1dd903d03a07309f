//! UltraFeedback: an instruction and several completions, each with ratings; pairs are made within the row.
//!
//! Field names: the repository's README and data (OpenBMB/UltraFeedback). `score` names `overall_score`,
//! `fine-grained_score` or one of the annotations; a rating "N/A" is missing.

use serde_json::Value;

use super::compare::{Decision, Placed, Verdict, among};
use super::fields::{question, text_answer};
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::rated::apart;
use crate::data::row::{Row, kind};
use crate::error::{Fault, Result, quote};
use crate::files;

const LAYOUT: &str = "`instruction` and `completions`, each with `response`, `overall_score`, `fine-grained_score` \
                      and `annotations`";
const OVERALL: [&str; 2] = ["overall_score", "fine-grained_score"];
const ANNOTATIONS: [&str; 4] = ["instruction_following", "honesty", "truthfulness", "helpfulness"];

pub(super) const KNOWN: Known = Known {
    format: Format::Ultrafeedback,
    signatures: &[&["instruction", "completions"]],
    fits: by_fields,
    optional: &[],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, source: &SourceConfig) -> Result<Outcome, Fault> {
    let score = source.score.as_str();
    if !OVERALL.contains(&score) && !ANNOTATIONS.contains(&score) {
        let fault = Fault::new(files::shown(&source.path), format!("completions have no rating {}", quote(score)));
        let choices = [OVERALL.as_slice(), &ANNOTATIONS].concat().join(", ");
        return Err(fault.accepts(choices).help("name the rating that this objective learns with `score`"));
    }
    let prompt = question(row, LAYOUT)?;
    let list = row.list("completions", row.required("completions", LAYOUT)?)?;
    let mut answers: Vec<Placed<Option<f64>>> = Vec::with_capacity(list.len());
    for (index, completion) in list.iter().enumerate() {
        let name = format!("completions[{index}]");
        let response = match completion.get("response") {
            Some(Value::String(text)) => text_answer(text, &prompt),
            other => {
                let found = other.map_or("missing", kind);
                return Err(row.fault(&format!("{name}.response"), found).accepts("text"));
            }
        };
        answers.push((response, rating(row, &name, completion, score)?));
    }
    among(row, "completions", &answers, |left, right| match (left, right) {
        (Some(left), Some(right)) => match apart(left - right, source.min_gap) {
            Ok(()) => Decision::Label(if left > right { Verdict::FIRST } else { Verdict::SECOND }),
            Err(reason) => Decision::Drop(reason),
        },
        _ => Decision::Drop("a completion without the rating"),
    })
}

/// The completion's rating of this name; `None` when it has none.
fn rating(row: &Row, name: &str, completion: &Value, score: &str) -> Result<Option<f64>, Fault> {
    let (field, value) = if OVERALL.contains(&score) {
        (format!("{name}.{score}"), completion.get(score))
    } else {
        let annotation = completion.get("annotations").and_then(|annotations| annotations.get(score));
        (format!("{name}.annotations.{score}.Rating"), annotation.and_then(|annotation| annotation.get("Rating")))
    };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().eq_ignore_ascii_case("n/a") => Ok(None),
        Some(value) => row.amount(&field, value).map(Some),
    }
}
