//! HelpSteer3: a context, two answers and an overall preference from -3 (the first is much better) to 3; 0 is a tie.
//!
//! Field names and signs: the data set's card (nvidia/HelpSteer3). The size of the preference is the pair's margin.

use super::compare::{Verdict, compare, whole};
use super::fields::answers;
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::Outcome;
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`context` (text or messages), `response1`, `response2` and `overall_preference` (-3 to 3, below \
                      0 where the first is better)";
const PREFERENCE: &str = "overall_preference";

pub(super) const KNOWN: Known = Known {
    format: Format::Helpsteer3,
    signatures: &[&["context", "response1", "response2", PREFERENCE]],
    fits: by_fields,
    optional: &[],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let prompt = row.conversation("context", row.required("context", LAYOUT)?)?;
    let sides = answers(row, ["response1", "response2"], LAYOUT, &prompt)?;
    let preference = whole(row, PREFERENCE, row.required(PREFERENCE, LAYOUT)?, [-3, 3])?;
    compare(row, sides, Verdict::strength(-preference as f64))
}
