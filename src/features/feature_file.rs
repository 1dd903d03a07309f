//! Feature vectors on disk, for data that do not fit into memory.
//!
//! The store keeps rows by key, in shards whose order says nothing. A head reads them by row number, again and again, so
//! its rows are laid out once in a flat temporary file from which any row is read at its offset.

use super::shard::copy_numbers;
use super::{FeatureRows, Places, Shard, Store};
use crate::error::{Error, Fault, Result};
use crate::files::{Digest, Scratch};

/// The rows of some keys in one temporary file beside the store's shards: row-major `(keys, width)`, f32. The file goes
/// when the value is dropped.
pub struct FeatureFile {
    file: Scratch,
    rows: usize,
    width: usize,
    damaged_shards: usize,
}

impl FeatureFile {
    /// Lays out the rows of `keys`, in their order, by one pass over the shards of `store`. Memory holds a few shards and
    /// about 50 bytes a key; the disk needs `4 · width` bytes a key.
    ///
    /// # Errors
    /// [`Error::Io`] when keys are not stored, or a shard or the file cannot be read or written.
    pub fn lay_out(store: &Store, keys: &[Digest]) -> Result<Self> {
        let file = Scratch::create(store.folder(), "the feature rows of a fit")?;
        let places = Places::new(keys.iter().copied());
        let mut stored = vec![false; keys.len()];
        let damaged_shards = store.visit(|shard| {
            let rows = wanted(&shard, &places);
            rows.iter().for_each(|&(place, _)| stored[place] = true);
            write(&file, &rows, store.width())
        })?;
        store.all_stored(&stored, damaged_shards)?;
        Ok(Self { file, rows: keys.len(), width: store.width(), damaged_shards })
    }

    /// Shards that were damaged and left aside; no row of `keys` was missing without them.
    pub fn damaged_shards(&self) -> usize {
        self.damaged_shards
    }

    /// The bytes of the rows `first..first + count`, read in one piece.
    fn read_run(&self, first: usize, count: usize) -> Result<Vec<u8>> {
        if first + count > self.rows {
            let found = format!("row {} of a feature file of {} rows", first + count - 1, self.rows);
            return Err(Error::Numeric(vec![Fault::new("features", found)]));
        }
        let mut bytes = vec![0; count * self.width * size_of::<f32>()];
        self.file.read_at(&mut bytes, offset(first, self.width))?;
        Ok(bytes)
    }
}

impl FeatureRows for FeatureFile {
    fn rows(&self) -> usize {
        self.rows
    }

    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, index: usize, into: &mut [f32]) -> Result<()> {
        copy_numbers(&self.read_run(index, 1)?, into);
        Ok(())
    }

    /// Rows that stand one after the other in the file are read in one piece, in whatever order they are asked for.
    fn copy_rows(&self, indices: &[usize], into: &mut [f32]) -> Result<()> {
        let mut places: Vec<(usize, usize)> = indices.iter().copied().zip(0..).collect();
        places.sort_unstable();
        for run in places.chunk_by(|left, right| right.0 <= left.0 + 1) {
            let (first, last) = (run[0].0, run[run.len() - 1].0);
            let bytes = self.read_run(first, last + 1 - first)?;
            for &(index, place) in run {
                let start = (index - first) * self.width * size_of::<f32>();
                copy_numbers(&bytes[start..], &mut into[place * self.width..(place + 1) * self.width]);
            }
        }
        Ok(())
    }
}

/// Where row `index` begins.
fn offset(index: usize, width: usize) -> u64 {
    index as u64 * width as u64 * size_of::<f32>() as u64
}

/// The rows of a shard that have places, by place. A shard may hold a key twice; the later row counts.
fn wanted<'a>(shard: &'a Shard, places: &Places) -> Vec<(usize, &'a [u8])> {
    let row = |(index, key)| places.of(key).map(move |place| (place, shard.vector_bytes(index)));
    let mut rows: Vec<(usize, &[u8])> = shard.keys.iter().enumerate().flat_map(row).collect();
    rows.sort_by_key(|&(place, _)| place);
    rows.reverse();
    rows.dedup_by_key(|(place, _)| *place);
    rows.reverse();
    rows
}

/// Writes rows at their places, those of neighbouring places in one piece.
fn write(file: &Scratch, rows: &[(usize, &[u8])], width: usize) -> Result<()> {
    for run in rows.chunk_by(|left, right| right.0 == left.0 + 1) {
        let bytes: Vec<&[u8]> = run.iter().map(|(_, bytes)| *bytes).collect();
        file.write_at(&bytes.concat(), offset(run[0].0, width))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Row;
    use crate::files;
    use crate::random::Random;

    const WIDTH: usize = 5;

    fn key(index: usize) -> Digest {
        Digest::of(&index.to_le_bytes())
    }

    fn row(index: usize) -> Row {
        let mut random = Random::new(index as u64);
        let vector = (0..WIDTH).map(|_| random.normal() as f32).collect();
        Row { key: key(index), tokens: 1, cut_prompt: 0, cut_response: 0, vector }
    }

    /// A store of the rows 0..`count` in shards of seven, each shard's rows in another order than their numbers.
    fn store(cache: &tempfile::TempDir, count: usize) -> Store {
        let store = Store::new(cache.path(), Digest::of(b"backbone"), WIDTH);
        let mut indices: Vec<usize> = (0..count).collect();
        Random::new(4).shuffle(&mut indices);
        for shard in indices.chunks(7) {
            store.append(&shard.iter().map(|&index| row(index)).collect::<Vec<Row>>()).expect("stored");
        }
        store
    }

    fn temporary_folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn rows_are_those_of_the_keys() -> Result<()> {
        let cache = temporary_folder();
        let store = store(&cache, 100);
        // Half of the keys, out of order, one of them twice.
        let mut keys: Vec<Digest> = (0..100).filter(|index| index % 2 == 1).map(key).collect();
        keys.push(key(31));
        Random::new(1).shuffle(&mut keys);
        let stored = |index: usize| (0..100).map(row).find(|row| row.key == keys[index]).expect("made above").vector;
        let file = FeatureFile::lay_out(&store, &keys)?;
        assert_eq!((file.rows(), file.width(), file.damaged_shards()), (51, WIDTH, 0));
        let asked = [3usize, 50, 4, 5, 3, 0, 49, 6, 20];
        let mut together = vec![0f32; asked.len() * WIDTH];
        file.copy_rows(&asked, &mut together)?;
        for (index, together) in asked.iter().zip(together.chunks_exact(WIDTH)) {
            assert_eq!(together, stored(*index), "row {index}");
        }
        let mut alone = vec![0f32; WIDTH];
        for index in 0..keys.len() {
            file.copy_row(index, &mut alone)?;
            assert_eq!(alone, stored(index), "row {index}");
        }
        assert!(file.copy_row(51, &mut alone).expect_err("no such row").to_string().contains("row 51"));
        Ok(())
    }

    #[test]
    fn of_a_key_that_was_stored_twice_the_later_row_counts() -> Result<()> {
        let cache = temporary_folder();
        let store = Store::new(cache.path(), Digest::of(b"backbone"), WIDTH);
        let other = |value: f32| Row { vector: vec![value; WIDTH], ..row(0) };
        store.append(&[other(1.0), row(1), other(2.0)])?;
        store.append(&[row(2), other(3.0)])?;
        // Shards stand in the order of their names.
        let mut last = Vec::new();
        store.visit(|shard| {
            (0..shard.keys.len())
                .filter(|&index| shard.keys[index] == key(0))
                .for_each(|index| last = shard.row(index).vector);
            Ok(())
        })?;
        assert!(last == [2.0; WIDTH] || last == [3.0; WIDTH], "{last:?}");
        let mut found = vec![0f32; WIDTH];
        FeatureFile::lay_out(&store, &[key(0)])?.copy_row(0, &mut found)?;
        assert_eq!(found, last);
        assert_eq!(store.matrix(&Places::new([key(0)]))?.row(0), last);
        Ok(())
    }

    #[test]
    fn missing_keys_are_counted_and_damaged_shards_named() -> Result<()> {
        let cache = temporary_folder();
        let store = store(&cache, 28);
        let unknown: Vec<Digest> = (20..33).map(key).collect();
        let error = FeatureFile::lay_out(&store, &unknown).err().expect("five are not stored").to_string();
        assert!(error.contains("5 of 13 feature rows are not stored"), "{error}");
        assert!(!error.contains("shard is"), "{error}");
        let path = files::list(store.folder())?.remove(0);
        let mut bytes = files::read(&path, "the test")?;
        bytes[100] ^= 1;
        files::write_atomic(&path, &bytes)?;
        let all: Vec<Digest> = (0..28).map(key).collect();
        let error = FeatureFile::lay_out(&store, &all).err().expect("a shard is damaged").to_string();
        assert!(error.contains("7 of 28 feature rows are not stored; 1 shard is damaged"), "{error}");
        // What stands in whole shards can be laid out beside a damaged one.
        let mut keys = Vec::new();
        store.visit(|shard| {
            keys.extend(shard.keys);
            Ok(())
        })?;
        let file = FeatureFile::lay_out(&store, &keys)?;
        assert_eq!((file.rows(), file.damaged_shards()), (21, 1));
        Ok(())
    }

    #[test]
    fn the_file_is_gone_with_its_value_and_after_errors() -> Result<()> {
        let cache = temporary_folder();
        let store = store(&cache, 10);
        let names =
            || std::fs::read_dir(store.folder()).expect("readable").map(|entry| entry.expect("an entry").path());
        let before: Vec<_> = names().collect();
        let keys: Vec<Digest> = (0..10).map(key).collect();
        drop(FeatureFile::lay_out(&store, &keys)?);
        assert!(FeatureFile::lay_out(&store, &[key(99)]).is_err());
        assert_eq!(names().collect::<Vec<_>>(), before);
        Ok(())
    }
}
