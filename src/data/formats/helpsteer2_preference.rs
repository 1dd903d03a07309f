//! HelpSteer2-Preference: two answers and a strength from -3 (the first is much better) to 3 (the second is); 0 is a
//! tie. Also the form in which the winner stands under `chosen` and the strength has no sign.
//!
//! Field names and signs: the data set's card (nvidia/HelpSteer2, its preference part).

use super::compare::{Verdict, compare, whole};
use super::fields::{answers, question};
use super::{Known, Parser, by_fields};
use crate::config::{Format, SourceConfig};
use crate::data::pairs::{Outcome, side};
use crate::data::row::Row;
use crate::error::{Fault, Result};

const LAYOUT: &str = "`prompt`, `response_1`, `response_2` and `preference_strength` (-3 to 3, above 0 where the \
                      second is better); or `chosen`, `rejected` (messages) and `preference_strength` (0 to 3)";
const STRENGTH: &str = "preference_strength";

pub(super) const KNOWN: Known = Known {
    format: Format::Helpsteer2Preference,
    signatures: &[&["response_1", "response_2", STRENGTH], &["chosen", "rejected", STRENGTH]],
    fits: by_fields,
    optional: &["prompt"],
    parser: Parser::Pairs(parse),
};

fn parse(row: &Row, _: &SourceConfig) -> Result<Outcome, Fault> {
    let strength = row.required(STRENGTH, LAYOUT)?;
    if row.value("chosen").is_none() && row.value("rejected").is_none() {
        let prompt = question(row, LAYOUT)?;
        let sides = answers(row, ["response_1", "response_2"], LAYOUT, &prompt)?;
        let strength = whole(row, STRENGTH, strength, [-3, 3])?;
        return compare(row, sides, Verdict::strength(-strength as f64));
    }
    let prompt = row.value("prompt").map(|_| question(row, LAYOUT)).transpose()?;
    let (chosen, rejected) = (row.required("chosen", LAYOUT)?, row.required("rejected", LAYOUT)?);
    let sides = [side(row, "chosen", chosen, prompt.as_deref())?, side(row, "rejected", rejected, prompt.as_deref())?];
    compare(row, sides, Verdict::strength(whole(row, STRENGTH, strength, [0, 3])? as f64))
}
