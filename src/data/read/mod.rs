//! The rows of a data file, whatever its container: JSON lines, JSON, CSV, TSV, Parquet, plain, gzip or zstd.
//!
//! The container is told by the first bytes, and only where these leave it open by the file's name. Every container
//! but an object around a list is read as a stream, in the memory of a row (Parquet: of a part of a row group). Knows
//! containers; what a row means is decided elsewhere.

mod arrow;
mod input;
mod json;
mod parquet;
mod table;

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::lines::{Line, Lines};
use super::row::parse_object;
use crate::config::data_extension;
use crate::error::{Fault, Result, quote};
use crate::files;
pub(in crate::data) use input::{Input, MAX_ROW_BYTES, data};
use json::{Array, Survey};
use parquet::Parquet;
use table::Table;

/// One row as it stands in its container.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where: `file:line`, `file:line, row N` or `file, row N`.
    pub place: String,
    /// Its fields, or why it is none.
    pub object: Result<Map<String, Value>, Fault>,
    /// Whether every field is text because the container knows nothing else (CSV).
    pub untyped: bool,
    /// Whether this is the first row and so far from one that no other row need be tried.
    pub hopeless: bool,
}

/// The rows of one file, in its order.
///
/// An error is [`Error::Data`](crate::error::Error::Data) for what stands in the file and
/// [`Error::Io`](crate::error::Error::Io) for a read that failed. After an error the iteration goes on unless
/// [`Rows::is_finished`] says otherwise.
pub struct Rows {
    container: Container,
}

enum Container {
    Lines(Lines),
    Array(Array),
    Table(Box<Table>),
    Parquet(Box<Parquet>),
}

impl Rows {
    /// Opens a file; `purpose` completes the sentence "cannot read …".
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when it is missing, unreadable or not a regular file;
    /// [`Error::Data`](crate::error::Error::Data) when it is in no known container.
    pub fn open(path: &Path, purpose: &str) -> Result<Self> {
        let mut magic = Vec::new();
        // A read that fails here fails again below, with the words for it.
        let _ = files::open(path, purpose)?.take(4).read_to_end(&mut magic);
        if input::is_parquet(&magic) {
            return Ok(Self { container: Container::Parquet(Box::new(Parquet::open(path, purpose)?)) });
        }
        let extension = data_extension(path).unwrap_or_default();
        let mut input = Input::open(path, purpose)?;
        let container = match (input.first_visible()?, extension.as_str()) {
            (Some(b'['), _) => Container::Array(Array::new(input, None)?),
            (Some(b'{'), "jsonl" | "ndjson") | (None, _) => Container::Lines(Lines::new(input)),
            (Some(b'{'), _) if is_lines(&mut input)? => Container::Lines(Lines::new(input)),
            (Some(b'{'), _) => object(path, purpose, input)?,
            (Some(_), "csv") => Container::Table(Box::new(Table::new(input, false)?)),
            (Some(_), "tsv") => Container::Table(Box::new(Table::new(input, true)?)),
            (Some(_), "parquet") => {
                let fault = Fault::new(&input.name, "not a Parquet file: it does not begin with PAR1");
                return Err(data(fault.help("write or fetch the file again, or give it the name of what it is")));
            }
            (Some(_), _) => Container::Lines(Lines::new(input)),
        };
        Ok(Self { container })
    }

    /// The rows of a stream: JSON lines or a JSON array, plain or compressed; `name` stands for it in messages.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub fn from_reader(name: &str, purpose: &str, reader: Box<dyn Read + Send>) -> Result<Self> {
        let mut input = Input::new(name, purpose, reader)?;
        let container = match input.first_visible()? {
            Some(b'[') => Container::Array(Array::new(input, None)?),
            _ => Container::Lines(Lines::new(input)),
        };
        Ok(Self { container })
    }

    /// Whether nothing more will come.
    pub fn is_finished(&self) -> bool {
        match &self.container {
            Container::Lines(lines) => lines.is_finished(),
            Container::Array(array) => array.is_finished(),
            Container::Table(table) => table.is_finished(),
            Container::Parquet(parquet) => parquet.is_finished(),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.container {
            Container::Lines(lines) => lines.next().map(|line| line.map(|line| record(lines.name(), &line))),
            Container::Array(array) => array.next(),
            Container::Table(table) => table.next(),
            Container::Parquet(parquet) => parquet.next(),
        }
    }
}

/// The row on one line.
fn record(name: &str, line: &Line) -> Record {
    let place = format!("{name}:{}", line.number);
    let text = line.text.trim();
    let object = parse_object(&line.text).map_err(|fault| {
        let fault = Fault { place: format!("{place}, {}", fault.place), ..fault };
        let table = line.first && !text.starts_with('{') && text.contains([',', ';', '\t']);
        if table { fault.help("if this is a table, let its name end in .csv or .tsv") } else { fault }
    });
    // A table under another name, an indented object: the same would be said of every line.
    let hopeless = line.first && object.is_err() && (!text.starts_with('{') || text == "{");
    Record { place, object, untyped: false, hopeless }
}

/// Whether a text that begins with an object is one row a line: the first line is a whole row and not a wrapper.
fn is_lines(input: &mut Input) -> Result<bool> {
    let split = |head: &[u8]| {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        (text[..end].to_vec(), !text[end..].trim_ascii().is_empty())
    };
    let head = input.peek(|head| head.contains(&b'\n') && split(head).1)?;
    let (first, more) = split(&head);
    let row = std::str::from_utf8(&first).ok().and_then(|line| parse_object(line).ok());
    Ok(row.is_some_and(|row| more || !json::is_wrapper(&row)))
}

/// A file that is one object, or objects over several lines.
fn object(path: &Path, purpose: &str, input: Input) -> Result<Container> {
    let name = input.name.clone();
    let refuse = |found: String, help: &str| {
        let accepted = "one object a line, one array of objects, or one object with one list of objects";
        Err(data(Fault::new(&name, found).accepts(accepted).help(help)))
    };
    match json::survey(input)? {
        Survey::Wrapper(key) => Ok(Container::Array(Array::new(Input::open(path, purpose)?, Some(&key))?)),
        Survey::Lone => refuse(
            "one object over several lines, without a list of objects".to_owned(),
            "write one object a line: `jq -c . FILE > FILE.jsonl`; from pandas: .to_json(FILE, orient=\"records\")",
        ),
        Survey::Several(keys) => {
            let keys: Vec<String> = keys.iter().take(20).map(|key| quote(key)).collect();
            let found = format!("one object with several lists of objects: {}", keys.join(", "));
            refuse(found, "write each list to a file of its own: `jq -c '.KEY[]' FILE > KEY.jsonl`")
        }
        Survey::Sequence => refuse(
            "objects over several lines, one after the other".to_owned(),
            "write one object a line: `jq -c . FILE > FILE.jsonl`",
        ),
    }
}

#[cfg(test)]
mod tests;
