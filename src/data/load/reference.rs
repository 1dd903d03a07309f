//! The reference responses of a run: rows as they are scored, without labels, on which normalizers are fitted.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{Pool, unknown_field};
use super::{MAX_FAULTS, alike, refuse};
use crate::config::ReferenceConfig;
use crate::data::columns::Columns;
use crate::data::domain::{self, Names};
use crate::data::row::Row;
use crate::data::{Rows, parse_item};
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// Reads the reference into the pool; the key of each row's item, one a row.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read; [`Error::Data`] with the first bad rows together, or with what makes the
/// reference unusable as a whole.
pub(super) fn read(reference: &ReferenceConfig, pool: &mut Pool) -> Result<Vec<Digest>> {
    let mut reading = Reading {
        reference,
        columns: Columns::new(&reference.columns),
        names: Names::default(),
        fields: BTreeSet::new(),
        keys: Vec::new(),
    };
    let mut faults = Vec::new();
    for path in &reference.files {
        if faults.len() < MAX_FAULTS {
            reading.read_file(path, pool, &mut faults)?;
        }
    }
    refuse(reading.columns.missing(&files::shown(&reference.path)))?;
    refuse(alike(faults))?;
    refuse(reading.unusable().into_iter().collect())?;
    Ok(reading.keys)
}

/// The reference while its files are read.
struct Reading<'a> {
    reference: &'a ReferenceConfig,
    columns: Columns<'a>,
    names: Names,
    fields: BTreeSet<String>,
    keys: Vec<Digest>,
}

impl Reading<'_> {
    fn read_file(&mut self, path: &Path, pool: &mut Pool, faults: &mut Vec<Fault>) -> Result<()> {
        for record in Rows::open(path, "the reference responses")? {
            let record = record?;
            let taken = match &record.object {
                Err(fault) => Err(Error::Data(vec![fault.clone()])),
                Ok(object) => {
                    let object = self.columns.apply(object, record.untyped).into_owned();
                    self.take(&Row { object: &object, place: &record.place }, pool)
                }
            };
            match taken {
                Ok(()) => {}
                Err(Error::Data(found)) => faults.extend(found),
                Err(other) => return Err(other),
            }
            if record.hopeless || faults.len() >= MAX_FAULTS {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, row: &Row, pool: &mut Pool) -> Result<()> {
        for field in row.object.keys().filter(|field| row.value(field).is_some()) {
            if !self.fields.contains(field) {
                self.fields.insert(field.clone());
            }
        }
        let item = parse_item(row.object, row.place)?;
        if let Some(field) = &self.reference.domain_field {
            let domain = domain::domain(row.object, field, row.place)?;
            self.names.add(domain.as_ref());
            pool.place(item.prompt_key(), domain);
        }
        self.keys.push(pool.keep(item));
        Ok(())
    }

    /// What makes the reference of no use as a whole.
    fn unusable(&self) -> Option<Fault> {
        let ReferenceConfig { path, domain_field, .. } = self.reference;
        let field = domain_field.as_deref();
        if self.keys.is_empty() {
            return Some(Fault::new(files::shown(path), "0 rows").accepts("at least one row"));
        }
        match field.filter(|field| !self.fields.contains(*field)) {
            Some(field) => Some(unknown_field(path, &self.fields, field)),
            None => self.names.too_many(field, path),
        }
    }
}
