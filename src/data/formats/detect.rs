//! Which format a file has, told by its first row's fields: exactly one must fit, or the user is asked to name it.

use super::{GENERAL, KNOWN, Known, all};
use crate::config::{Format, RuleConfig, SourceConfig};
use crate::data::row::Row;
use crate::error::{Fault, Result, quote};

/// Fields that say little of a format, because most have them.
const COMMON: [&str; 6] = ["prompt", "messages", "text", "input", "instruction", "question"];
/// So many of the nearest formats are shown.
const SHOWN: usize = 4;

impl Known {
    fn is_of(&self, row: &Row) -> bool {
        let has_all = |fields: &&[&str]| fields.iter().all(|field| row.value(field).is_some());
        self.signatures.iter().any(has_all) && (self.fits)(row)
    }

    fn reads(&self, field: &str) -> bool {
        let fits = |name: &&str| name.strip_suffix('*').map_or(*name == field, |start| field.starts_with(start));
        self.signatures.iter().copied().flatten().chain(self.optional).any(fits)
    }
}

/// The format of a row, by its fields.
///
/// # Errors
/// A fault that shows the row's fields and the formats that fit, or come near, when it is not exactly one.
pub(in crate::data) fn detect(row: &Row) -> Result<Format, Fault> {
    let mut found: Vec<Format> = KNOWN.iter().filter(|known| known.is_of(row)).map(|known| known.format).collect();
    // A row of pairs with several labels means different pairs to the two formats.
    if found.is_empty() || found == [Format::Labelers] && row.value("chosen").is_some() {
        found.extend(GENERAL.iter().filter(|known| known.is_of(row)).map(|known| known.format));
    }
    match found.as_slice() {
        [format] => Ok(*format),
        [] => Err(unknown(row)),
        _ => {
            let words: Vec<&str> = found.iter().map(|format| format.word()).collect();
            let found = format!("a row that fits {} formats; it has the fields {}", words.len(), fields(row));
            let fault = Fault::new(row.place, found).accepts(words.join(" or "));
            Err(fault.help(format!("say in the source which one is meant: format: {}", words.join(" or format: "))))
        }
    }
}

fn fields(row: &Row) -> String {
    let names: Vec<String> = row.object.keys().take(20).map(|name| quote(name)).collect();
    names.join(", ")
}

fn unknown(row: &Row) -> Fault {
    let found = format!("a row in no known format; it has the fields {}", fields(row));
    let near = nearest(row);
    let accepted = if near.is_empty() {
        let words: Vec<&str> = all().map(|known| known.format.word()).collect();
        format!("the fields of one of the formats {}", words.join(", "))
    } else {
        near.join("; ")
    };
    let help = "plain pairs are `prompt`, `chosen`, `rejected`: map the fields with `columns`, or say format: …";
    Fault::new(row.place, found).accepts(accepted).help(help)
}

/// The formats of which a row lacks least, with the fields that it lacks.
fn nearest(row: &Row) -> Vec<String> {
    let mut near: Vec<(usize, Format, String)> = Vec::new();
    for known in all() {
        let lacks = |fields: &&'static [&'static str]| -> Vec<&'static str> {
            fields.iter().copied().filter(|field| row.value(field).is_none()).collect()
        };
        let telling = |fields: &&&'static [&'static str]| {
            fields.iter().any(|field| row.value(field).is_some() && !COMMON.contains(field))
        };
        let best = known.signatures.iter().filter(telling).map(lacks).min_by_key(Vec::len);
        if let Some(lacking) = best {
            let lacking: Vec<String> = lacking.into_iter().map(quote).collect();
            let said = match lacking.as_slice() {
                [] => known.format.word().to_owned(),
                _ => format!("{} (lacks {})", known.format.word(), lacking.join(", ")),
            };
            near.push((lacking.len(), known.format, said));
        }
    }
    near.sort();
    near.into_iter().take(SHOWN).map(|(_, _, said)| said).collect()
}

/// The fields of a row that its format does not read, in order.
pub(in crate::data) fn ignored(row: &Row, format: Format, source: &SourceConfig) -> Vec<String> {
    let Some(known) = all().find(|known| known.format == format) else { return Vec::new() };
    let rule = source.rule.as_ref();
    let named = [
        source.label_source_field.as_deref(),
        source.split_field.as_deref(),
        source.domain_field.as_deref(),
        rule.and_then(RuleConfig::reference),
        rule.and_then(|rule| rule.equal_on.as_deref()),
        Some(source.score.as_str()),
        source.score.strip_prefix('-'),
        Some("margin"),
        Some("weight"),
    ];
    let is_read = |field: &str| known.reads(field) || named.contains(&Some(field));
    let mut ignored: Vec<String> = row.object.keys().filter(|field| !is_read(field)).cloned().collect();
    ignored.sort();
    ignored
}
