//! The rows of a CSV or TSV file: a header, then one record a row; every cell is text.
//!
//! What of the text is a number, true or false, a list or an object is decided once the columns have their final
//! names, in [`super::super::columns`].

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Map, Value};

use super::Record;
use super::input::{Input, MAX_ROW_BYTES, data};
use crate::error::{Error, Fault, Result, quote};

/// No name of a column is longer.
const MAX_NAME_BYTES: usize = 256;
/// What the header must be.
const HEADER: &str = "a first line with the names of the columns, each once";
/// How a record that does not fit is mended.
const RAGGED: &str = "is a quotation mark left open, or text with the separator in it not quoted? \
                      pandas.DataFrame.to_csv(FILE, index=False) quotes as it must";

/// The rows of a table.
pub(super) struct Table {
    name: String,
    reader: csv::Reader<Metered>,
    meter: Arc<Meter>,
    header: Vec<String>,
    finished: bool,
}

impl Table {
    /// Reads the header; `tabs` says that the separator is a tab whatever the header looks like.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no usable header, [`Error::Io`] when a read failed.
    pub(super) fn new(mut input: Input, tabs: bool) -> Result<Self> {
        input.skip_mark()?;
        let head = input.peek(|head| head.contains(&b'\n') || head.contains(&b'\r'))?;
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = if tabs { b'\t' } else { separator(line) };
        let name = input.name.clone();
        let meter = Arc::new(Meter::default());
        let metered = Metered { input, meter: Arc::clone(&meter) };
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter);
        let mut table = Self { name, reader: builder.from_reader(metered), meter, header: Vec::new(), finished: false };
        table.header = table.read_header()?;
        Ok(table)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    fn read_header(&mut self) -> Result<Vec<String>> {
        let mut record = csv::ByteRecord::new();
        if !self.read(&mut record)? {
            return Ok(Vec::new());
        }
        let place = format!("{}:1", self.name);
        let refuse = |found: String| Err(data(Fault::new(&place, found).accepts(HEADER)));
        let mut names: Vec<String> = Vec::new();
        for cell in &record {
            let Ok(name) = std::str::from_utf8(cell) else {
                return refuse("the header is not UTF-8".to_owned());
            };
            let name = name.trim();
            if name.contains('\0') {
                return refuse("the header holds a zero byte: this is no text".to_owned());
            }
            if name.len() > MAX_NAME_BYTES || name.contains('\n') {
                return refuse(format!("the header holds {}, which is no name of a column", quote(name)));
            }
            if !name.is_empty() && names.iter().any(|known| known == name) {
                return refuse(format!("the header names the column {} twice", quote(name)));
            }
            names.push(name.to_owned());
        }
        if names.iter().all(|name| name.is_empty() || name.parse::<f64>().is_ok()) {
            return refuse("the header names no column".to_owned());
        }
        Ok(names)
    }

    /// Reads one record; false at the end.
    fn read(&mut self, record: &mut csv::ByteRecord) -> Result<bool> {
        let place = format!("line {}", self.reader.position().line());
        match self.reader.read_byte_record(record) {
            Ok(any) => {
                self.meter.bytes.store(0, Ordering::Relaxed);
                Ok(any)
            }
            Err(error) => Err(self.refused(error, &place)),
        }
    }

    fn refused(&self, error: csv::Error, place: &str) -> Error {
        match error.into_kind() {
            csv::ErrorKind::Io(_) if self.meter.bytes.load(Ordering::Relaxed) > limit() => {
                let found = format!("a record of more than {MAX_ROW_BYTES} bytes after {place}");
                data(Fault::new(&self.name, found).help("is a quotation mark left open?"))
            }
            csv::ErrorKind::Io(error) => self.reader.get_ref().input.stream_error(&error, place),
            other => data(Fault::new(&self.name, format!("cannot be read after {place}: {other:?}"))),
        }
    }

    fn next_record(&mut self) -> Result<Option<Record>> {
        let mut record = csv::ByteRecord::new();
        if !self.read(&mut record)? {
            return Ok(None);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let place = format!("{}:{line}", self.name);
        let object = self.object(&record, &place);
        Ok(Some(Record { place, object, untyped: true, hopeless: false }))
    }

    fn object(&self, record: &csv::ByteRecord, place: &str) -> Result<Map<String, Value>, Fault> {
        if record.len() != self.header.len() {
            let cells = |count: usize| if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") };
            let found = format!("{}, where the header names {} columns", cells(record.len()), self.header.len());
            return Err(Fault::new(place, found).accepts("one cell for each column").help(RAGGED));
        }
        // The reader closes what stays open at the end of the file; a cell of several lines shows that it was open.
        if self.meter.is_open_at_end() && record.as_slice().contains(&b'\n') {
            let fault = Fault::new(place, "a quotation mark is left open to the end of the file");
            return Err(fault.accepts("quotation marks in pairs").help(RAGGED));
        }
        let mut object = Map::new();
        for (name, cell) in self.header.iter().zip(record).filter(|(name, _)| !name.is_empty()) {
            let text = std::str::from_utf8(cell).map_err(|error| {
                let found = format!("not UTF-8: first bad byte at offset {} of the cell", error.valid_up_to());
                Fault::new(format!("{place}, column {}", quote(name)), found).help("save the file as UTF-8")
            })?;
            object.insert(name.clone(), Value::from(text));
        }
        Ok(object)
    }
}

impl Iterator for Table {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_record().transpose();
        self.finished = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What separates the header's cells: the one of comma, semicolon and tab that stands in it most often.
fn separator(line: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in line {
        quoted ^= *byte == b'"';
        counts.iter_mut().filter(|(separator, _)| !quoted && separator == byte).for_each(|(_, count)| *count += 1);
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    counts.iter().find(|(_, count)| *count == most).map_or(b',', |(separator, _)| *separator)
}

/// How many bytes may be read before a record ends: a row and what the reader holds beforehand.
fn limit() -> usize {
    MAX_ROW_BYTES + (1 << 16)
}

/// What was read of a table.
#[derive(Default)]
struct Meter {
    /// Bytes since the last record.
    bytes: AtomicUsize,
    /// Quotation marks in all.
    quotes: AtomicUsize,
    ended: AtomicBool,
}

impl Meter {
    fn is_open_at_end(&self) -> bool {
        self.ended.load(Ordering::Relaxed) && !self.quotes.load(Ordering::Relaxed).is_multiple_of(2)
    }
}

/// Counts what is read, and stops where a quotation mark that is left open would make a record of the whole file.
struct Metered {
    input: Input,
    meter: Arc<Meter>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        let quotes = buffer.iter().take(count).filter(|byte| **byte == b'"').count();
        self.meter.quotes.fetch_add(quotes, Ordering::Relaxed);
        self.meter.ended.fetch_or(count == 0, Ordering::Relaxed);
        if self.meter.bytes.fetch_add(count, Ordering::Relaxed) + count > limit() {
            return Err(std::io::Error::other("a record without an end"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_the_header_uses() {
        for (line, expected) in
            [("a,b;c,d", b','), ("a;b;c,d", b';'), ("a\tb", b'\t'), ("a", b','), ("\"a;b;c\",d", b','), ("", b',')]
        {
            assert_eq!(separator(line.as_bytes()), expected, "{line}");
        }
    }
}
