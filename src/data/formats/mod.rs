//! The published formats: by which fields each is known, and how its rows become pairs or rated answers.
//!
//! One file per format, each with an entry of the table [`KNOWN`]; `detect` tells a file's format by its first row.

mod alpaca;
mod arena;
mod armorm;
mod axolotl;
pub(super) mod compare;
mod detect;
pub(super) mod fields;
mod helpsteer;
mod helpsteer2_preference;
mod helpsteer3;
mod labelers;
mod lists;
mod nemo_regression;
mod nemo_rl;
mod objectives;
mod orca;
mod pku_safe_rlhf;
mod rankings;
mod reward_bench;
mod sharegpt;
mod text_score_list;
mod ties;
mod ultrafeedback;
pub(super) mod unpaired;

use super::pairs::Outcome;
use super::row::Row;
use super::{hh_rlhf, pairs, rated};
use crate::config::{Format, SourceConfig};
use crate::error::{Fault, Result};

pub(super) use detect::{detect, ignored};

/// How the rows of a format are read.
#[derive(Clone, Copy)]
pub(super) enum Parser {
    /// The answers that a row holds are compared with each other.
    Pairs(fn(&Row, &SourceConfig) -> Result<Outcome, Fault>),
    /// A row is one rated answer; those to the same prompt are compared.
    Rated(rated::Parse),
    /// A row is one answer that is wanted or not; those to the same prompt are compared.
    Unpaired(unpaired::Parse),
}

/// What is known of a format.
struct Known {
    format: Format,
    /// The sets of fields by which a row is known; one of them suffices.
    signatures: &'static [&'static [&'static str]],
    /// What must hold of the fields besides.
    fits: fn(&Row) -> bool,
    /// Other fields that are read; a name that ends with `*` stands for all that begin so.
    optional: &'static [&'static str],
    parser: Parser,
}

/// A format that is known by its fields alone.
fn by_fields(_: &Row) -> bool {
    true
}

/// A format that is never detected, because its rows say nothing that others do not.
fn by_name_only(_: &Row) -> bool {
    false
}

const PAIRS: Known = Known {
    format: Format::Pairs,
    signatures: &[&["chosen"], &["rejected"]],
    fits: by_fields,
    optional: &["prompt", "votes"],
    parser: Parser::Pairs(|row, _| pairs::parse(row)),
};

const HH_RLHF: Known = Known {
    format: Format::HhRlhf,
    signatures: &[&["chosen", "rejected"]],
    fits: hh_rlhf::is_row,
    optional: &["prompt", "votes"],
    parser: Parser::Pairs(|row, _| hh_rlhf::parse(row)),
};

const RATED: Known = Known {
    format: Format::Rated,
    signatures: &[&["prompt", "response"]],
    fits: by_fields,
    optional: &["scores", "labels"],
    parser: Parser::Rated(rated::parse),
};

/// Formats whose rows are known by fields of their own.
const KNOWN: [Known; 23] = [
    HH_RLHF,
    pku_safe_rlhf::KNOWN,
    helpsteer::KNOWN,
    helpsteer2_preference::KNOWN,
    helpsteer3::KNOWN,
    ultrafeedback::KNOWN,
    alpaca::KNOWN,
    sharegpt::KNOWN,
    axolotl::KNOWN,
    orca::KNOWN,
    nemo_rl::KNOWN,
    rankings::KNOWN,
    arena::KNOWN,
    reward_bench::KNOWN,
    lists::REWARD_BENCH2,
    lists::RM_BENCH,
    unpaired::KNOWN,
    text_score_list::KNOWN,
    labelers::KNOWN,
    objectives::KNOWN,
    ties::KNOWN,
    nemo_regression::KNOWN,
    armorm::KNOWN,
];
/// The general ones, whose fields others have too: a row is of these only if it is of none of the others.
const GENERAL: [Known; 2] = [PAIRS, RATED];

fn all() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().chain(&GENERAL)
}

/// How the rows of a format are read. A detected `hh_rlhf` is no promise: a file may mix transcripts with TRL rows,
/// which the reader of `pairs` tells apart.
pub(super) fn parser(format: Format, detected: bool) -> Parser {
    match format {
        Format::HhRlhf if detected => PAIRS.parser,
        _ => all().find(|known| known.format == format).map_or(PAIRS.parser, |known| known.parser),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_in_the_table_once() {
        let mut found: Vec<Format> = all().map(|known| known.format).collect();
        found.sort();
        assert_eq!(found, Format::all().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    }
}
