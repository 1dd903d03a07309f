//! One shard of the feature store: Parquet bytes to columns and back.
//!
//! polars' own reader and writer look at a list of floats value by value: 84 ms to read and 200 ms to write a shard of
//! 2,048 vectors of 384 numbers, measured with the build profile of this package. All vectors of a store are equally
//! long, so a page of them is one run of bytes whose levels are known beforehand. The file is plain Parquet that any
//! engine reads: `key` is text, the counts are unsigned integers, `vector` is a list of floats.

use std::io::Cursor;

use polars::prelude::{ParquetReader, PolarsError, PolarsResult, SerReader};
use polars_buffer::Buffer;
use polars_parquet::parquet::CowBuffer;
use polars_parquet::parquet::compression::Compression;
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::fallible_streaming_iterator::convert;
use polars_parquet::parquet::metadata::{Descriptor, SchemaDescriptor};
use polars_parquet::parquet::page::{
    CompressedDataPage, CompressedPage, DataPageHeader, DataPageHeaderV1, FormatEncoding, split_buffer_v1,
};
use polars_parquet::parquet::write::{DynIter, DynStreamingIterator, FileWriter, Version, WriteOptions};
use polars_parquet::read::{ColumnChunkMetadata, PageReader, RowGroupMetadata, read_metadata};

use super::Row;
use crate::files::Digest;

/// Keys as text, so that any engine joins and compares them; vectors as lists without gaps.
const SCHEMA: &str = "message features {
    required binary key (STRING);
    required int32 tokens (INTEGER(32,false));
    required int32 cut_prompt (INTEGER(32,false));
    required int32 cut_response (INTEGER(32,false));
    required group vector (LIST) { repeated group list { required float element; } }
}";

/// The rows of one shard, column by column.
#[derive(Clone)]
pub struct Shard {
    /// Digests of backbone fingerprint and rendered text.
    pub keys: Vec<Digest>,
    /// Tokens the backbone read of each text.
    pub tokens: Vec<u32>,
    /// Tokens cut from each prompt.
    pub cut_prompt: Vec<u32>,
    /// Tokens cut from each response.
    pub cut_response: Vec<u32>,
    /// The vectors one after the other, as they stand in the file.
    vectors: Buffer<u8>,
    width: usize,
}

impl Shard {
    /// The feature vector of one row, its numbers as little-endian f32, `(4 · width)`.
    pub(super) fn vector_bytes(&self, index: usize) -> &[u8] {
        let bytes = self.width * size_of::<f32>();
        &self.vectors[index * bytes..(index + 1) * bytes]
    }

    /// Copies the feature vector of one row into `into`, `(width)`.
    pub fn copy_vector(&self, index: usize, into: &mut [f32]) {
        copy_numbers(self.vector_bytes(index), into);
    }

    /// One row by itself.
    pub fn row(&self, index: usize) -> Row {
        let mut vector = vec![0.0; self.width];
        self.copy_vector(index, &mut vector);
        let (tokens, cut_prompt, cut_response) = (self.tokens[index], self.cut_prompt[index], self.cut_response[index]);
        Row { key: self.keys[index], tokens, cut_prompt, cut_response, vector }
    }

    /// Reads the bytes of a shard of vectors of `width` numbers.
    pub(super) fn decode(bytes: Vec<u8>, width: usize) -> PolarsResult<Self> {
        let bytes = Buffer::from(bytes);
        // Shards of earlier versions are polars' own: the same columns in other encodings.
        decode_plain(&bytes, width).map_or_else(|| decode_any(bytes, width), Ok)
    }
}

/// Reads little-endian numbers.
pub(super) fn copy_numbers(bytes: &[u8], into: &mut [f32]) {
    let (numbers, _) = bytes.as_chunks();
    into.iter_mut().zip(numbers).for_each(|(value, number)| *value = f32::from_le_bytes(*number));
}

/// Appends numbers as little-endian bytes.
fn push_numbers(bytes: &mut Vec<u8>, values: &[f32]) {
    let start = bytes.len();
    bytes.resize(start + size_of_val(values), 0);
    let (numbers, _) = bytes[start..].as_chunks_mut();
    numbers.iter_mut().zip(values).for_each(|(number, value)| *number = value.to_le_bytes());
}

/// The bytes of a shard of `rows`, whose vectors all have `width` numbers.
pub(super) fn encode(rows: &[Row], width: usize) -> Result<Vec<u8>, ParquetError> {
    if let Some(row) = rows.iter().find(|row| row.vector.len() != width) {
        let found = format!("a vector has {} numbers, the store's have {width}", row.vector.len());
        return Err(ParquetError::InvalidParameter(found));
    }
    let schema = SchemaDescriptor::try_from_message(SCHEMA)?;
    let columns = [
        rows.iter().flat_map(|row| key_bytes(&row.key)).collect(),
        rows.iter().flat_map(|row| row.tokens.to_le_bytes()).collect(),
        rows.iter().flat_map(|row| row.cut_prompt.to_le_bytes()).collect(),
        rows.iter().flat_map(|row| row.cut_response.to_le_bytes()).collect(),
        vectors(rows, width),
    ];
    let pages = schema.columns().iter().zip(columns).zip([1, 1, 1, 1, width]);
    let pages = pages.map(|((column, bytes), each)| to_page(&column.descriptor, bytes, rows.len(), each));
    let pages = pages.collect::<Result<Vec<CompressedPage>, ParquetError>>()?;
    let columns = pages.iter().map(|page| Ok(DynStreamingIterator::new(convert(std::iter::once(Ok(page))))));
    let options = WriteOptions { write_statistics: false, version: Version::V1 };
    let mut writer = FileWriter::new(Vec::new(), schema, options, Some("ensemble".to_owned()));
    writer.write::<ParquetError>(rows.len() as u64, DynIter::new(columns))?;
    writer.end(None)?;
    Ok(writer.into_inner())
}

/// Bytes of a key in the file: the length of its text, then the text.
const KEY_BYTES: usize = 4 + 64;

fn key_bytes(key: &Digest) -> impl Iterator<Item = u8> {
    let text = key.hexadecimal();
    (text.len() as u32).to_le_bytes().into_iter().chain(text)
}

fn parse_key(bytes: &[u8; KEY_BYTES]) -> Option<Digest> {
    let text = bytes.strip_prefix(&64u32.to_le_bytes())?;
    Digest::parse(std::str::from_utf8(text).ok()?)
}

/// The page of the vectors: their levels, then their numbers.
fn vectors(rows: &[Row], width: usize) -> Vec<u8> {
    let values = rows.len() * width;
    // A list's first number repeats nothing (level 0), the others repeat it (1); every number is there.
    let others = if width > 1 { run(width - 1, 1) } else { Vec::new() };
    let repetition = [run(1, 0), others].concat().repeat(rows.len());
    let definition = run(values, 1);
    let mut bytes = Vec::with_capacity(repetition.len() + definition.len() + values * size_of::<f32>() + 8);
    for levels in [repetition, definition] {
        bytes.extend((levels.len() as u32).to_le_bytes());
        bytes.extend(levels);
    }
    rows.iter().for_each(|row| push_numbers(&mut bytes, &row.vector));
    bytes
}

/// A run of `count` equal levels of one bit, in the run-length encoding of Parquet: twice the count as a variable-length
/// integer, then the level.
fn run(count: usize, level: u8) -> Vec<u8> {
    let mut rest = count << 1;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.extend([rest as u8, level]);
    bytes
}

/// The only page of a column, of `each` values a row.
fn to_page(column: &Descriptor, bytes: Vec<u8>, rows: usize, each: usize) -> Result<CompressedPage, ParquetError> {
    let values = rows * each;
    let too_many = |_| ParquetError::InvalidParameter(format!("{values} values do not fit into one page"));
    let header = DataPageHeaderV1 {
        num_values: i32::try_from(values).map_err(too_many)?,
        encoding: FormatEncoding::PLAIN,
        definition_level_encoding: FormatEncoding::RLE,
        repetition_level_encoding: FormatEncoding::RLE,
        statistics: None,
    };
    let (header, size) = (DataPageHeader::V1(header), bytes.len());
    let (bytes, plain) = (CowBuffer::Owned(bytes), Compression::Uncompressed);
    Ok(CompressedPage::Data(CompressedDataPage::new(header, bytes, plain, size, column.clone(), rows)))
}

/// Reads a shard as [`encode`] writes it; `None` for any other.
fn decode_plain(bytes: &Buffer<u8>, width: usize) -> Option<Shard> {
    let metadata = read_metadata(&mut Cursor::new(bytes.as_slice())).ok()?;
    let [group] = metadata.row_groups.as_slice() else { return None };
    let rows = group.num_rows();
    let keys = plain_values(bytes, group, "key", (rows, KEY_BYTES))?;
    let keys = keys.as_chunks::<KEY_BYTES>().0.iter().map(parse_key).collect::<Option<Vec<Digest>>>()?;
    let numbers = |name: &str| -> Option<Vec<u32>> {
        let values = plain_values(bytes, group, name, (rows, size_of::<u32>()))?;
        Some(values.as_chunks().0.iter().map(|value| u32::from_le_bytes(*value)).collect())
    };
    let (tokens, cut_prompt, cut_response) = (numbers("tokens")?, numbers("cut_prompt")?, numbers("cut_response")?);
    let vectors = plain_values(bytes, group, "vector", (rows * width, size_of::<f32>()))?;
    Some(Shard { keys, tokens, cut_prompt, cut_response, vectors, width })
}

/// The bytes of a column of `count` values of `size` bytes; `None` when they are not as [`encode`] writes them.
fn plain_values(
    bytes: &Buffer<u8>,
    group: &RowGroupMetadata,
    name: &str,
    (count, size): (usize, usize),
) -> Option<Buffer<u8>> {
    let is_it =
        |column: &&ColumnChunkMetadata| column.descriptor().path_in_schema.first().is_some_and(|part| part == name);
    let column = group.parquet_columns().iter().find(is_it)?;
    let place = column.byte_range();
    let place = usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?;
    bytes.get(place.clone())?;
    let mut pages = PageReader::new(Cursor::new(bytes.clone().sliced(place)), column, Vec::new(), bytes.len());
    let (Some(Ok(CompressedPage::Data(mut page))), None) = (pages.next(), pages.next()) else { return None };
    let plain = page.compression() == Compression::Uncompressed && page.header().encoding() == FormatEncoding::PLAIN;
    let (Descriptor { max_rep_level, max_def_level, .. }, CowBuffer::Borrowed(page)) =
        (&column.descriptor().descriptor, page.slice_mut())
    else {
        return None;
    };
    let values = split_buffer_v1(page, *max_rep_level > 0, *max_def_level > 0).ok()?.values.len();
    let whole = plain && values == count * size && column.num_values() == count as i64;
    whole.then(|| page.clone().sliced(page.len() - values..))
}

/// Reads a shard in whatever encodings, by polars.
fn decode_any(bytes: Buffer<u8>, width: usize) -> PolarsResult<Shard> {
    let mut frame = ParquetReader::new(Cursor::new(bytes)).finish()?;
    frame.rechunk_mut();
    let numbers =
        |name: &str| -> PolarsResult<Vec<u32>> { Ok(frame.column(name)?.u32()?.into_no_null_iter().collect()) };
    let (tokens, cut_prompt, cut_response) = (numbers("tokens")?, numbers("cut_prompt")?, numbers("cut_response")?);
    let values = frame.column("vector")?.list()?.get_inner();
    let values = values.f32()?.cont_slice()?;
    if values.len() != frame.height() * width {
        return Err(PolarsError::ShapeMismatch("vectors of another width".into()));
    }
    let mut vectors = Vec::new();
    push_numbers(&mut vectors, values);
    let keys = frame.column("key")?.str()?.iter().map(|key| key.and_then(Digest::parse));
    let keys = keys.collect::<Option<Vec<Digest>>>();
    let keys = keys.ok_or_else(|| PolarsError::ComputeError("a key is no digest".into()))?;
    Ok(Shard { keys, tokens, cut_prompt, cut_response, vectors: Buffer::from(vectors), width })
}

#[cfg(test)]
mod tests;
