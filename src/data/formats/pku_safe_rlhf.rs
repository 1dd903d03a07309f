//! PKU-SafeRLHF: two answers with two labels, the more helpful and the safer one; the source's `score` says which.
//!
//! Field names: the data set's card (PKU-Alignment/PKU-SafeRLHF).

use super::compare::{Verdict, compare, whole};
use super::fields::{answers, question};
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result, quote};
use crate::files;

const LAYOUT: &str = "`prompt`, `response_0`, `response_1`, `better_response_id` and `safer_response_id` (0 or 1)";
/// What `score` may say, and the field that it means.
const LABELS: [(&str, &str); 2] = [("helpfulness", "better_response_id"), ("safety", "safer_response_id")];

pub(super) const KNOWN: Known = Known {
    format: Format::PkuSafeRlhf,
    signatures: &[
        &["prompt", "response_0", "response_1", "better_response_id"],
        &["prompt", "response_0", "response_1", "safer_response_id"],
    ],
    fits: by_fields,
    optional: &[],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, source: &SourceConfig) -> Result<Outcome, Fault> {
    let label = LABELS.into_iter().find(|(name, field)| [*name, *field].contains(&source.score.as_str()));
    let Some((_, field)) = label else {
        let found = format!("the rows have no label {}", quote(&source.score));
        let fault = Fault::new(files::shown(&source.path), found);
        return Err(fault
            .accepts("helpfulness (the field \"better_response_id\"), safety (the field \"safer_response_id\")")
            .help("name the label that this objective learns: score: helpfulness or score: safety"));
    };
    let prompt = question(row, LAYOUT)?;
    let sides = answers(row, ["response_0", "response_1"], LAYOUT, &prompt)?;
    let winner = whole(row, field, row.required(field, LAYOUT)?, [0, 1])?;
    compare(row, sides, if winner == 0 { Verdict::FIRST } else { Verdict::SECOND })
}
