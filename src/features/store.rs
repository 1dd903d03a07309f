//! The feature store: immutable Parquet shards keyed by content.
//!
//! A shard's file name carries the digest of its bytes, so a damaged shard is noticed, left aside and its rows are
//! computed again. Rows are never edited; several runs and machines can fill one folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};

use polars::prelude::{
    Column, DataFrame, DataType, Float32Type, IntoColumn, ListBuilderTrait, ListPrimitiveChunkedBuilder, NamedFrom,
    ParquetCompression, ParquetReader, ParquetWriter, PolarsResult, SerReader, Series,
};

use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// One cached text.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Digest of backbone fingerprint and rendered text.
    pub key: Digest,
    /// Tokens the backbone read.
    pub tokens: u32,
    /// Tokens cut from the prompt.
    pub cut_prompt: u32,
    /// Tokens cut from the response.
    pub cut_response: u32,
    /// The feature vector.
    pub vector: Vec<f32>,
}

/// A folder of shards of one backbone fingerprint.
pub struct Store {
    folder: PathBuf,
    width: usize,
}

impl Store {
    /// The store of `fingerprint` under `cache`; vectors have `width` numbers.
    pub fn new(cache: &Path, fingerprint: Digest, width: usize) -> Self {
        Self { folder: cache.join(fingerprint.short()), width }
    }

    /// The folder the shards stand in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Numbers in each vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Hands the rows of each shard to `take`, shard by shard in the order of their names, and gives how many shards were
    /// damaged and left aside. At most one shard is in memory. A key that two runs stored comes once for each of them.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder or a shard cannot be read at all; what `take` reports.
    pub fn visit(&self, mut take: impl FnMut(Vec<Row>) -> Result<()>) -> Result<usize> {
        let mut damaged = 0;
        for path in files::list(&self.folder)? {
            let bytes = files::read(&path, "a feature shard")?;
            let whole = path.file_name().and_then(|name| name.to_str()) == Some(&shard_name(&bytes));
            match whole.then(|| self.parse(bytes)) {
                Some(Ok(rows)) => take(rows)?,
                Some(Err(_)) | None => damaged += 1,
            }
        }
        Ok(damaged)
    }

    /// Which of `wanted` are stored, with their rows, and how many shards were damaged and left aside.
    ///
    /// # Errors
    /// As [`Store::visit`].
    pub fn fetch(&self, wanted: &[Digest]) -> Result<(BTreeMap<Digest, Row>, usize)> {
        let wanted: BTreeSet<&Digest> = wanted.iter().collect();
        let mut found = BTreeMap::new();
        let damaged = self.visit(|rows| {
            found.extend(rows.into_iter().filter(|row| wanted.contains(&row.key)).map(|row| (row.key, row)));
            Ok(())
        })?;
        Ok((found, damaged))
    }

    /// Writes `rows` as one new shard, durable when this returns.
    ///
    /// # Errors
    /// [`Error::Io`] when the shard cannot be written.
    pub fn append(&self, rows: &[Row]) -> Result<()> {
        let bytes = self.encode(rows).map_err(|error| {
            Error::Io(vec![Fault::new(self.folder.display(), format!("a feature shard cannot be made: {error}"))])
        })?;
        files::write_atomic(&self.folder.join(shard_name(&bytes)), &bytes)
    }

    fn encode(&self, rows: &[Row]) -> PolarsResult<Vec<u8>> {
        let count = rows.len();
        let mut vectors = ListPrimitiveChunkedBuilder::<Float32Type>::new(
            "vector".into(),
            count,
            count * self.width,
            DataType::Float32,
        );
        for row in rows {
            vectors.append_slice(&row.vector);
        }
        let numbers = |name: &str, pick: fn(&Row) -> u32| -> Column {
            Series::new(name.into(), rows.iter().map(pick).collect::<Vec<u32>>()).into_column()
        };
        let keys: Vec<String> = rows.iter().map(|row| row.key.to_string()).collect();
        let columns = vec![
            Series::new("key".into(), keys).into_column(),
            numbers("tokens", |row| row.tokens),
            numbers("cut_prompt", |row| row.cut_prompt),
            numbers("cut_response", |row| row.cut_response),
            vectors.finish().into_column(),
        ];
        let mut frame = DataFrame::new(count, columns)?;
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Uncompressed).finish(&mut frame)?;
        Ok(bytes)
    }

    fn parse(&self, bytes: Vec<u8>) -> PolarsResult<Vec<Row>> {
        let mut frame = ParquetReader::new(Cursor::new(bytes)).finish()?;
        frame.rechunk_mut();
        let numbers =
            |name: &str| -> PolarsResult<Vec<u32>> { Ok(frame.column(name)?.u32()?.into_no_null_iter().collect()) };
        let (tokens, cut_prompt, cut_response) = (numbers("tokens")?, numbers("cut_prompt")?, numbers("cut_response")?);
        let inner = frame.column("vector")?.list()?.get_inner();
        let values = inner.f32()?.cont_slice()?;
        if values.len() != frame.height() * self.width {
            return Err(polars::prelude::PolarsError::ShapeMismatch("vectors of another width".into()));
        }
        let mut rows = Vec::with_capacity(frame.height());
        for (index, key) in frame.column("key")?.str()?.iter().enumerate() {
            let Some(key) = key.and_then(Digest::parse) else { continue };
            let vector = values[index * self.width..(index + 1) * self.width].to_vec();
            let (tokens, cut_prompt, cut_response) = (tokens[index], cut_prompt[index], cut_response[index]);
            rows.push(Row { key, tokens, cut_prompt, cut_response, vector });
        }
        Ok(rows)
    }
}

fn shard_name(bytes: &[u8]) -> String {
    format!("{}.parquet", Digest::of(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seed: u8) -> Row {
        Row {
            key: Digest::of(&[seed]),
            tokens: u32::from(seed),
            cut_prompt: 1,
            cut_response: 2,
            vector: vec![f32::from(seed), -0.5, 3.25],
        }
    }

    #[test]
    fn rows_come_back_as_they_were_written() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(cache.path(), Digest::of(b"backbone"), 3);
        store.append(&[row(1), row(2)])?;
        store.append(&[row(3)])?;
        let (found, damaged) = store.fetch(&[row(3).key, row(1).key, row(9).key])?;
        assert_eq!(damaged, 0);
        assert_eq!(found.into_values().collect::<Vec<_>>().len(), 2);
        let (found, _) = store.fetch(&[row(2).key])?;
        assert_eq!(found[&row(2).key], row(2));
        Ok(())
    }

    #[test]
    fn every_flipped_byte_is_noticed() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(cache.path(), Digest::of(b"backbone"), 3);
        store.append(&[row(1)])?;
        let path = files::list(store.folder())?.remove(0);
        let whole = files::read(&path, "test")?;
        for index in (0..whole.len()).step_by(37) {
            let mut bytes = whole.clone();
            bytes[index] ^= 0x40;
            files::write_atomic(&path, &bytes)?;
            let (found, damaged) = store.fetch(&[row(1).key])?;
            assert!(found.is_empty() && damaged == 1, "byte {index} went unnoticed");
        }
        Ok(())
    }

    #[test]
    fn another_backbone_sees_nothing() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        Store::new(cache.path(), Digest::of(b"one"), 3).append(&[row(1)])?;
        let (found, _) = Store::new(cache.path(), Digest::of(b"two"), 3).fetch(&[row(1).key])?;
        assert!(found.is_empty());
        Ok(())
    }
}
