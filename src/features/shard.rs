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
use polars_parquet::parquet::compression::{Compression, DecompressionContext};
use polars_parquet::parquet::error::ParquetError;
use polars_parquet::parquet::fallible_streaming_iterator::convert;
use polars_parquet::parquet::metadata::{Descriptor, SchemaDescriptor};
use polars_parquet::parquet::page::{
    CompressedDataPage, CompressedPage, DataPageHeader, DataPageHeaderV1, FormatEncoding, Page, split_buffer,
};
use polars_parquet::parquet::write::{DynIter, DynStreamingIterator, FileWriter, Version, WriteOptions};
use polars_parquet::read::{PageReader, RowGroupMetadata, decompress, read_metadata};

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

/// The columns beside the vectors.
const TEXT_COLUMNS: [&str; 4] = ["key", "tokens", "cut_prompt", "cut_response"];

/// About so many bytes of vectors stand in one page, as other writers have it.
const PAGE_BYTES: usize = 1 << 20;

/// Which columns of a shard are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    Whole,
    /// All but the vectors.
    Texts,
}

/// The rows of one shard, column by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Digests of backbone fingerprint and rendered text.
    pub keys: Vec<Digest>,
    /// Tokens the backbone read of each text.
    pub tokens: Vec<u32>,
    /// Tokens cut from each prompt.
    pub cut_prompt: Vec<u32>,
    /// Tokens cut from each response.
    pub cut_response: Vec<u32>,
    /// The feature vectors, row-major `(rows, width)`.
    pub vectors: Vec<f32>,
    width: usize,
}

impl Shard {
    /// The feature vector of one row, `(width)`.
    pub fn vector(&self, index: usize) -> &[f32] {
        &self.vectors[index * self.width..(index + 1) * self.width]
    }

    /// One row by itself.
    pub fn row(&self, index: usize) -> Row {
        Row {
            key: self.keys[index],
            tokens: self.tokens[index],
            cut_prompt: self.cut_prompt[index],
            cut_response: self.cut_response[index],
            vector: self.vector(index).to_vec(),
        }
    }

    /// Reads the bytes of a shard of vectors of `width` numbers. Without its vectors if only the texts are asked for,
    /// which must be as many as the rows nevertheless.
    pub(super) fn decode(bytes: Vec<u8>, width: usize, part: Part) -> PolarsResult<Self> {
        let bytes = Buffer::from(bytes);
        // Shards of earlier versions are polars' own: the same columns in other encodings.
        decode_plain(&bytes, width, part).map_or_else(|| decode_any(bytes, width, part), Ok)
    }
}

/// The bytes of a shard of `rows`, whose vectors all have `width` numbers.
pub(super) fn encode(rows: &[Row], width: usize) -> Result<Vec<u8>, ParquetError> {
    if let Some(row) = rows.iter().find(|row| row.vector.len() != width) {
        let found = format!("a vector has {} numbers, the store's have {width}", row.vector.len());
        return Err(ParquetError::InvalidParameter(found));
    }
    let schema = SchemaDescriptor::try_from_message(SCHEMA)?;
    let text = |values: Vec<u8>| vec![(values, rows.len(), rows.len())];
    let columns = [
        text(rows.iter().flat_map(|row| key_bytes(&row.key)).collect()),
        text(rows.iter().flat_map(|row| row.tokens.to_le_bytes()).collect()),
        text(rows.iter().flat_map(|row| row.cut_prompt.to_le_bytes()).collect()),
        text(rows.iter().flat_map(|row| row.cut_response.to_le_bytes()).collect()),
        vector_pages(rows, width),
    ];
    let mut pages = Vec::with_capacity(columns.len());
    for (column, values) in schema.columns().iter().zip(columns) {
        let page = |page| to_page(&column.descriptor, page);
        pages.push(values.into_iter().map(page).collect::<Result<Vec<CompressedPage>, ParquetError>>()?);
    }
    let columns = pages.iter().map(|pages| Ok(DynStreamingIterator::new(convert(pages.iter().map(Ok)))));
    let options = WriteOptions { write_statistics: false, version: Version::V1 };
    let mut writer = FileWriter::new(Vec::new(), schema, options, Some("ensemble".to_owned()));
    writer.write::<ParquetError>(rows.len() as u64, DynIter::new(columns))?;
    writer.end(None)?;
    Ok(writer.into_inner())
}

/// A text of 64 bytes as Parquet writes it: its length, then its bytes.
fn key_bytes(key: &Digest) -> impl Iterator<Item = u8> {
    let text = key.hexadecimal();
    (text.len() as u32).to_le_bytes().into_iter().chain(text)
}

/// Bytes, values and rows of the pages of the vector column.
fn vector_pages(rows: &[Row], width: usize) -> Vec<(Vec<u8>, usize, usize)> {
    let page = |rows: &[Row]| {
        let values = rows.len() * width;
        // A list's first number repeats nothing (level 0), the others repeat it (1); every number is there.
        let first = run(1, 0);
        let others = if width > 1 { run(width - 1, 1) } else { Vec::new() };
        let repetition = [first, others].concat().repeat(rows.len());
        let definition = run(values, 1);
        let mut bytes = Vec::with_capacity(repetition.len() + definition.len() + values * size_of::<f32>() + 8);
        for levels in [repetition, definition] {
            bytes.extend((levels.len() as u32).to_le_bytes());
            bytes.extend(levels);
        }
        rows.iter().flat_map(|row| &row.vector).for_each(|value| bytes.extend(value.to_le_bytes()));
        (bytes, values, rows.len())
    };
    rows.chunks((PAGE_BYTES / size_of::<f32>() / width.max(1)).max(1)).map(page).collect()
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

fn to_page(column: &Descriptor, page: (Vec<u8>, usize, usize)) -> Result<CompressedPage, ParquetError> {
    let (bytes, values, rows) = page;
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
fn decode_plain(bytes: &Buffer<u8>, width: usize, part: Part) -> Option<Shard> {
    let metadata = read_metadata(&mut Cursor::new(bytes.as_slice())).ok()?;
    let [group] = metadata.row_groups.as_slice() else { return None };
    let rows = group.num_rows();
    let mut keys = Vec::with_capacity(rows);
    plain_pages(bytes, group, "key", rows, |values| {
        let (texts, rest) = values.as_chunks::<68>();
        keys.extend(texts.iter().map_while(|text| {
            let [length, text] = [&text[..4], &text[4..]];
            (length == 64u32.to_le_bytes()).then(|| Digest::parse(std::str::from_utf8(text).ok()?))?
        }));
        rest.is_empty()
    })?;
    let numbers = |name: &str| {
        let mut numbers: Vec<u32> = Vec::with_capacity(rows);
        plain_pages(bytes, group, name, rows, |values| {
            let (values, rest) = values.as_chunks();
            numbers.extend(values.iter().map(|value| u32::from_le_bytes(*value)));
            rest.is_empty()
        })?;
        (numbers.len() == rows).then_some(numbers)
    };
    let (tokens, cut_prompt, cut_response) = (numbers("tokens")?, numbers("cut_prompt")?, numbers("cut_response")?);
    let mut vectors: Vec<f32> = Vec::new();
    if part == Part::Whole {
        vectors.reserve_exact(rows * width);
        plain_pages(bytes, group, "vector", rows * width, |values| {
            let (values, rest) = values.as_chunks();
            vectors.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
            rest.is_empty()
        })?;
    } else if column(group, "vector")?.num_values() != (rows * width) as i64 {
        return None;
    }
    let whole = keys.len() == rows && vectors.len() == if part == Part::Whole { rows * width } else { 0 };
    whole.then_some(Shard { keys, tokens, cut_prompt, cut_response, vectors, width })
}

fn column<'a>(group: &'a RowGroupMetadata, name: &str) -> Option<&'a polars_parquet::read::ColumnChunkMetadata> {
    let is_it = |path: &str| path == name;
    group
        .parquet_columns()
        .iter()
        .find(|column| column.descriptor().path_in_schema.first().is_some_and(|path| is_it(path)))
}

/// Hands the values of a column of `count` values to `take`, page by page; `None` when they are not as [`encode`] writes
/// them or `take` says so.
fn plain_pages(
    bytes: &Buffer<u8>,
    group: &RowGroupMetadata,
    name: &str,
    count: usize,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Option<()> {
    let column = column(group, name)?;
    if column.compression() != Compression::Uncompressed || column.num_values() != count as i64 {
        return None;
    }
    let place = column.byte_range();
    let place = usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?;
    let reader = Cursor::new(bytes.get(place.clone()).map(|_| bytes.clone().sliced(place))?);
    for page in PageReader::new(reader, column, Vec::new(), bytes.len()) {
        let page = decompress(page.ok()?, &mut Vec::new(), &mut DecompressionContext::Unset).ok()?;
        let Page::Data(page) = page else { return None };
        let plain = page.header().encoding() == FormatEncoding::PLAIN && take(split_buffer(&page).ok()?.values);
        plain.then_some(())?;
    }
    Some(())
}

/// Reads a shard in whatever encodings, by polars.
fn decode_any(bytes: Buffer<u8>, width: usize, part: Part) -> PolarsResult<Shard> {
    let vector = (part == Part::Whole).then_some("vector");
    let columns = TEXT_COLUMNS.into_iter().chain(vector).map(str::to_owned).collect();
    let mut frame = ParquetReader::new(Cursor::new(bytes)).with_columns(Some(columns)).finish()?;
    frame.rechunk_mut();
    let numbers =
        |name: &str| -> PolarsResult<Vec<u32>> { Ok(frame.column(name)?.u32()?.into_no_null_iter().collect()) };
    let (tokens, cut_prompt, cut_response) = (numbers("tokens")?, numbers("cut_prompt")?, numbers("cut_response")?);
    let mut vectors = Vec::new();
    if part == Part::Whole {
        vectors.extend_from_slice(frame.column("vector")?.list()?.get_inner().f32()?.cont_slice()?);
        if vectors.len() != frame.height() * width {
            return Err(PolarsError::ShapeMismatch("vectors of another width".into()));
        }
    }
    let keys = frame.column("key")?.str()?.iter().map(|key| key.and_then(Digest::parse));
    let keys = keys.collect::<Option<Vec<Digest>>>();
    let keys = keys.ok_or_else(|| PolarsError::ComputeError("a key is no digest".into()))?;
    Ok(Shard { keys, tokens, cut_prompt, cut_response, vectors, width })
}
