//! The rows of a Parquet file, a part of a row group at a time, in the order of the file.
//!
//! Columns are decoded to Arrow arrays and these, in [`super::arrow`], to JSON. The decoder trusts the file more than
//! a file deserves, so that a panic in it is caught and told as damage.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

use polars_arrow::datatypes::{ArrowSchema, Field};
use polars_buffer::Buffer;
use polars_parquet::read::{
    BasicDecompressor, ColumnChunkMetadata, FileMetadata, Filter, PageReader, RowGroupMetadata, column_iter_to_arrays,
    infer_schema, read_metadata,
};
use serde_json::{Map, Value};

use super::Record;
use super::arrow;
use super::input::data;
use crate::error::{Fault, Result, quote};
use crate::files;

/// About so many bytes, expanded, are decoded at a time.
const PART_BYTES: usize = 64 << 20;
/// No page of a column may be larger, compressed or expanded.
const MAX_PAGE_BYTES: usize = 1 << 30;
const DAMAGED: &str = "write or fetch the file again; pandas.read_parquet(FILE) must be able to read it";

/// Bytes that can be read from any place.
trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// The rows of a Parquet file.
pub(super) struct Parquet {
    name: String,
    reader: Box<dyn Bytes>,
    size: u64,
    metadata: FileMetadata,
    schema: ArrowSchema,
    /// The row group that is read next, and how many of its rows are read.
    group: usize,
    start: usize,
    rows: VecDeque<Map<String, Value>>,
    /// Rows given so far.
    count: u64,
    finished: bool,
}

impl Parquet {
    /// Opens a file and reads what it says of itself.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when its footer is damaged; [`Error::Io`](crate::error::Error::Io)
    /// when it cannot be read.
    pub(super) fn open(path: &Path, purpose: &str) -> Result<Self> {
        let name = files::shown(path);
        let mut reader: Box<dyn Bytes> = Box::new(files::open(path, purpose)?);
        let found = guarded(|| {
            let size = reader.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
            let metadata = read_metadata(&mut reader).map_err(|error| error.to_string())?;
            let schema = infer_schema(&metadata).map_err(|error| error.to_string())?;
            Ok((size, metadata, schema))
        });
        let (size, metadata, schema) = found
            .map_err(|error| data(Fault::new(&name, format!("not a whole Parquet file: {error}")).help(DAMAGED)))?;
        let (group, start, count) = (0, 0, 0);
        Ok(Self { name, reader, size, metadata, schema, group, start, rows: VecDeque::new(), count, finished: false })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    fn next_record(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(object) = self.rows.pop_front() {
                self.count += 1;
                let place = format!("{}, row {}", self.name, self.count);
                return Ok(Some(Record { place, object: Ok(object), untyped: false, hopeless: false }));
            }
            let Some(group) = self.metadata.row_groups.get(self.group) else { return Ok(None) };
            let rows = group.num_rows();
            if self.start >= rows {
                (self.group, self.start) = (self.group + 1, 0);
                continue;
            }
            let parts = group.total_byte_size().div_ceil(PART_BYTES).clamp(1, rows);
            let end = (self.start + rows.div_ceil(parts)).min(rows);
            self.rows = self.read_part(end)?.into();
            self.start = end;
        }
    }

    /// The rows of the current group from `start` to `end`.
    fn read_part(&mut self, end: usize) -> Result<Vec<Map<String, Value>>> {
        let mut rows: Vec<Map<String, Value>> = vec![Map::new(); end - self.start];
        let Some(group) = self.metadata.row_groups.get(self.group) else { return Ok(rows) };
        for (column, field) in self.schema.iter() {
            let range = (self.start, end);
            let (reader, size) = (&mut self.reader, self.size);
            let values = guarded(|| read_column(reader, size, group, field, range)).map_err(|error| {
                let place = format!("{}, row group {}, column {}", self.name, self.group + 1, quote(column));
                data(Fault::new(place, format!("cannot be read: {error}")).help(DAMAGED))
            })?;
            for (row, value) in rows.iter_mut().zip(values).filter(|(_, value)| !value.is_null()) {
                row.insert(column.to_string(), value);
            }
        }
        Ok(rows)
    }
}

impl Iterator for Parquet {
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

thread_local! {
    /// Whether a panic on this thread is caught and told as damage.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives; a panic in it is an error, and nothing is printed of it.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                report(panic);
            }
        }));
    });
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    result.unwrap_or_else(|_| Err("its bytes contradict each other".to_owned()))
}

/// The values of rows `range.0..range.1` of a row group in one column.
fn read_column(
    reader: &mut impl Bytes,
    size: u64,
    group: &RowGroupMetadata,
    field: &Field,
    range: (usize, usize),
) -> Result<Vec<Value>, String> {
    let Some(chunks) = group.columns_under_root_iter(&field.name) else {
        return Ok(vec![Value::Null; range.1 - range.0]);
    };
    let (mut columns, mut types) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let pages = PageReader::new(Cursor::new(read_chunk(reader, size, chunk)?), chunk, Vec::new(), MAX_PAGE_BYTES);
        columns.push(BasicDecompressor::new(pages, Vec::new()));
        types.push(&chunk.descriptor().descriptor.primitive_type);
    }
    let filter = Filter::new_ranged(range.0, range.1);
    let (arrays, _) =
        column_iter_to_arrays(columns, types, field.clone(), Some(filter)).map_err(|error| error.to_string())?;
    let mut values = Vec::with_capacity(range.1 - range.0);
    for array in arrays {
        values.extend(arrow::values(array.as_ref())?);
    }
    if values.len() == range.1 - range.0 {
        Ok(values)
    } else {
        Err(format!("{} values for {} rows", values.len(), range.1 - range.0))
    }
}

/// The bytes of one column in one row group.
fn read_chunk(reader: &mut impl Bytes, size: u64, chunk: &ColumnChunkMetadata) -> Result<Buffer<u8>, String> {
    let range = chunk.byte_range();
    if range.start > range.end || range.end > size {
        return Err(format!("its bytes {} to {} lie outside of the file's {size}", range.start, range.end));
    }
    reader.seek(SeekFrom::Start(range.start)).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    reader.take(range.end - range.start).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(Buffer::from_vec(bytes))
}
