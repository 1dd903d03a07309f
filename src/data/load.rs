//! From the config's sources to the [`Dataset`]: every file is read once, faults are collected, the same comparison
//! is kept once, and all orders are given by content.
//!
//! What a row means is decided by the format's file; which split it falls into by [`Splitter`].

mod assemble;
mod reference;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{self, Columns};
use super::row::Row;
use super::{Dataset, Rows, audit, domain, written_messages};
use crate::config::{Config, SourceConfig};
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};
use assemble::{Purpose, assemble, too_few};
use source::{Pool, ReadSource, Reader};

/// At most this many bad rows are reported together.
pub(super) const MAX_FAULTS: usize = 20;

/// A source while its files are read.
struct Reading<'a> {
    reader: Reader<'a>,
    columns: Columns<'a>,
    /// Digests of its rows.
    digests: Vec<Digest>,
}

/// Reads all pairs of a run.
///
/// # Errors
/// As [`load_lists`], and [`Error::Data`] when an objective has too few pairs in a split.
pub fn load(config: &Config) -> Result<Dataset> {
    let objectives = config.objectives.iter().map(|objective| (objective.name.as_str(), objective.data.as_slice()));
    let (sources, mut pool) = read(&objectives.collect::<Vec<_>>(), &config.holistic)?;
    let reference = config.reference.as_ref().map_or(Ok(Vec::new()), |config| reference::read(config, &mut pool))?;
    let purposes: Vec<Purpose> = config.objectives.iter().map(Purpose::of).collect();
    let dataset = assemble(&purposes, sources, pool, &reference);
    refuse(too_few(config, &dataset))?;
    let domains: BTreeSet<&String> = dataset.domains.values().collect();
    refuse(domain::too_many_together(domains.len(), &config.file).into_iter().collect())?;
    Ok(dataset)
}

/// Reads lists of pairs for a purpose that all pairs serve, whatever their split: one list per named objective, and the
/// holistic ones. A list may be short or empty.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read; [`Error::Data`] with the first 20 bad rows together, or with what makes
/// a source unusable as a whole (no rows, mostly identical sides).
pub fn load_lists(objectives: &[(&str, &[SourceConfig])], holistic: &[SourceConfig]) -> Result<Dataset> {
    let (sources, pool) = read(objectives, holistic)?;
    let purposes: Vec<Purpose> = objectives.iter().map(|(name, _)| Purpose { name, fits_ratings: false }).collect();
    Ok(assemble(&purposes, sources, pool, &[]))
}

/// Reads every file once for all sources that name it.
fn read(objectives: &[(&str, &[SourceConfig])], holistic: &[SourceConfig]) -> Result<(Vec<ReadSource>, Pool)> {
    let mut sources: Vec<Reading> = Vec::new();
    let reading = |owner, source| Reading {
        reader: Reader::new(owner, source),
        columns: Columns::new(&source.columns),
        digests: Vec::new(),
    };
    for (owner, (_, data)) in objectives.iter().enumerate() {
        sources.extend(data.iter().map(|source| reading(owner, source)));
    }
    sources.extend(holistic.iter().map(|source| reading(objectives.len(), source)));
    let mut pool = Pool::default();
    let mut faults = Vec::new();
    let mut done: BTreeSet<&Path> = BTreeSet::new();
    let paths: Vec<&Path> = sources.iter().flat_map(|source| &source.reader.source.files).map(AsRef::as_ref).collect();
    for path in paths {
        if done.insert(path) && faults.len() < MAX_FAULTS {
            read_file(path, &mut sources, &mut pool, &mut faults)?;
        }
    }
    // A column that is missing explains what the rows then lack.
    refuse(sources.iter().flat_map(Reading::missing).collect())?;
    refuse(alike(faults))?;
    let mut read = Vec::new();
    let mut faults = Vec::new();
    for mut source in sources {
        source.reader.audit.digest = audit::digest_of_rows(source.digests);
        match source.reader.finish() {
            Ok(source) => read.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    refuse(faults)?;
    Ok((read, pool))
}

impl Reading<'_> {
    /// The columns that the config names and no row has.
    fn missing(&self) -> Vec<Fault> {
        self.columns.missing(&files::shown(&self.reader.source.path))
    }
}

/// Of several rows that are refused for one reason the first three, the last of which says how many more there are.
pub(super) fn alike(faults: Vec<Fault>) -> Vec<Fault> {
    let mut kept: Vec<(Fault, usize)> = Vec::new();
    let field = |fault: &Fault| fault.place.split_once(", field ").map(|(_, field)| field.to_owned());
    for fault in faults {
        let same = |(other, _): &&mut (Fault, usize)| {
            field(other).is_some() && (field(other), &other.found) == (field(&fault), &fault.found)
        };
        let mut same: Vec<&mut (Fault, usize)> = kept.iter_mut().filter(same).collect();
        match same.as_mut_slice() {
            [_, _, (_, more)] => *more += 1,
            _ => kept.push((fault, 0)),
        }
    }
    let counted = |(fault, more): (Fault, usize)| match (more, &fault.help) {
        (0, _) => fault,
        (_, None) => fault.help(format!("{more} or more other rows are refused for the same reason")),
        (_, Some(help)) => {
            let help = format!("{help}; {more} or more other rows are refused for the same reason");
            fault.help(help)
        }
    };
    kept.into_iter().map(counted).collect()
}

fn refuse(faults: Vec<Fault>) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Data(faults)) }
}

/// Reads one file for all sources that name it; a row that several of them refuse alike is reported once.
fn read_file(path: &Path, sources: &mut [Reading], pool: &mut Pool, faults: &mut Vec<Fault>) -> Result<()> {
    let names_it = |source: &&mut Reading| source.reader.source.files.iter().any(|file| file == path);
    let mut sources: Vec<&mut Reading> = sources.iter_mut().filter(names_it).collect();
    for record in Rows::open(path, "the preference data")? {
        let record = record?;
        let mut found: Vec<Fault> = Vec::new();
        match &record.object {
            Err(fault) => found.push(fault.clone()),
            Ok(object) => {
                let digest = columns::plain(&record).map(|row| digest(&row))?;
                for source in &mut sources {
                    source.digests.push(digest);
                    let object = source.columns.apply(object, record.untyped);
                    let row = Row { object: &object, place: &record.place };
                    let taken = written_messages::parse(&row).and_then(|object| {
                        let row = Row { object: &object, place: &record.place };
                        source.reader.take(&row, pool)
                    });
                    found.extend(taken.err());
                }
            }
        }
        for fault in found {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        faults.truncate(MAX_FAULTS);
        // A first row in no known format: the same would be said of every other.
        let unknown_format = record.object.is_ok() && sources.iter().any(|source| source.reader.format.is_none());
        if faults.len() == MAX_FAULTS || unknown_format || record.hopeless {
            return Ok(());
        }
    }
    Ok(())
}

/// The digest of what a row says, whatever its container and the order of its fields; null says nothing.
fn digest(row: &Map<String, Value>) -> Digest {
    let said: BTreeMap<&String, &Value> = row.iter().filter(|(_, value)| !value.is_null()).collect();
    Digest::of(serde_json::to_string(&said).unwrap_or_default().as_bytes())
}

#[cfg(test)]
pub(super) mod tests;
