//! Two answers and who is preferred for each of several objectives: `preferred: {safety: a, helpfulness: b}`; the
//! source's `score` says which objective is meant.

use super::compare::compare;
use super::fields::{answers, question, shown};
use super::labelers::{read_label, words};
use super::{Known, Parser};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::{Row, kind};
use crate::error::{Fault, Result, did_you_mean, quote};
use crate::files;

const LAYOUT: &str = "`prompt`, `response_a`, `response_b` and `preferred` (an object: a, b or tie for each objective)";

pub(super) const KNOWN: Known = Known {
    format: Format::Objectives,
    signatures: &[&["prompt", "response_a", "response_b", "preferred"]],
    fits: |row| row.value("preferred").is_some_and(serde_json::Value::is_object),
    optional: &["system"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, source: &SourceConfig) -> Result<Outcome, Fault> {
    let value = row.required("preferred", LAYOUT)?;
    let preferred = value.as_object().ok_or_else(|| row.fault("preferred", kind(value)).accepts(LAYOUT))?;
    let score = source.score.as_str();
    let Some(label) = preferred.get(score) else {
        let names: Vec<&str> = preferred.keys().map(String::as_str).collect();
        let fault = Fault::new(files::shown(&source.path), format!("the rows have no label {}", quote(score)));
        let fault = fault.accepts(names.iter().take(20).map(|name| quote(name)).collect::<Vec<_>>().join(", "));
        return Err(match did_you_mean(score, &names) {
            Some(near) => fault.help(format!("did you mean score: {near}?")),
            None => fault.help("name the label that this objective learns with `score`"),
        });
    };
    if label.is_null() {
        return Ok(Outcome::dropped("no label for this objective"));
    }
    let field = format!("preferred.{score}");
    let verdict = read_label(label).ok_or_else(|| row.fault(&field, shown(label)).accepts(words()))?;
    let prompt = question(row, LAYOUT)?;
    compare(row, answers(row, ["response_a", "response_b"], LAYOUT, &prompt)?, verdict)
}
