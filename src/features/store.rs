//! The feature store: immutable Parquet shards keyed by content.
//!
//! A shard's file name carries the digest of its bytes, so a damaged shard is noticed, left aside and its rows are
//! computed again. Rows are never edited; several runs and machines can fill one folder. Shards are read and checked on
//! several threads and handed out in the order of their names.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use super::{Features, Places, Shard, shard};
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// More threads than this would only wait for the disk.
const MOST_READERS: usize = 8;

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

    /// Hands the shards to `take` in the order of their names, and gives how many were damaged and left aside. In memory
    /// are at most two shards for each of up to eight reading threads. A key that two runs stored comes once for each of
    /// them.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder or a shard cannot be read at all; what `take` reports.
    pub fn visit(&self, mut take: impl FnMut(Shard) -> Result<()>) -> Result<usize> {
        let paths = files::list(&self.folder)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let readers = cores.min(MOST_READERS).min(paths.len());
        let paths = paths.as_slice();
        std::thread::scope(|scope| {
            // Reader r has the shards r, r + readers, …, and waits with the next until its last is taken.
            let start = |reader: usize| -> Result<Receiver<Result<Option<Shard>>>> {
                let (send, receive) = sync_channel(0);
                let work = move || {
                    let mut own = paths.iter().skip(reader).step_by(readers);
                    while own.next().is_some_and(|path| send.send(self.read(path)).is_ok()) {}
                };
                let started = std::thread::Builder::new().spawn_scoped(scope, work);
                started.map_err(|error| Error::Io(vec![Fault::new(self.folder.display(), error)]))?;
                Ok(receive)
            };
            let readers = (0..readers).map(start).collect::<Result<Vec<_>>>()?;
            let mut damaged = 0;
            // A reader that panicked sends no more; its panic goes on when the scope ends.
            for shard in readers.iter().cycle().take(paths.len()).map_while(|reader| reader.recv().ok()) {
                match shard? {
                    Some(shard) => take(shard)?,
                    None => damaged += 1,
                }
            }
            Ok(damaged)
        })
    }

    /// One shard; `None` when it is damaged.
    fn read(&self, path: &Path) -> Result<Option<Shard>> {
        let bytes = files::read(path, "a feature shard")?;
        let whole = path.file_name().and_then(|name| name.to_str()) == Some(&shard_name(&bytes));
        Ok(whole.then(|| Shard::decode(bytes, self.width).ok()).flatten())
    }

    /// The vectors of keys, each at its place. A key that was stored twice gives the later row.
    ///
    /// # Errors
    /// [`Error::Io`] when keys are not stored, or as [`Store::visit`].
    pub fn matrix(&self, places: &Places) -> Result<Features> {
        let mut features = Features::zeros(places.len(), self.width);
        let mut stored = vec![false; places.len()];
        let damaged = self.visit(|shard| {
            for (index, key) in shard.keys.iter().enumerate() {
                for place in places.of(key) {
                    shard.copy_vector(index, features.row_mut(place));
                    stored[place] = true;
                }
            }
            Ok(())
        })?;
        self.all_stored(&stored, damaged)?;
        Ok(features)
    }

    /// Tells how many of the wanted rows are missing, if any are.
    pub(super) fn all_stored(&self, stored: &[bool], damaged: usize) -> Result<()> {
        let missing = stored.iter().filter(|stored| !**stored).count();
        if missing == 0 {
            return Ok(());
        }
        let found = format!("{missing} of {} feature rows are not stored", stored.len());
        let found = match damaged {
            0 => found,
            1 => format!("{found}; 1 shard is damaged"),
            _ => format!("{found}; {damaged} shards are damaged"),
        };
        let help = "embed their texts first: what is stored is kept, and damaged shards are computed again";
        Err(Error::Io(vec![Fault::new(self.folder.display(), found).help(help)]))
    }

    /// Writes `rows` as one new shard, durable when this returns.
    ///
    /// # Errors
    /// [`Error::Io`] when the shard cannot be written, or a vector has another width.
    pub fn append(&self, rows: &[Row]) -> Result<()> {
        let bytes = shard::encode(rows, self.width).map_err(|error| {
            Error::Io(vec![Fault::new(self.folder.display(), format!("a feature shard cannot be made: {error}"))])
        })?;
        files::write_atomic(&self.folder.join(shard_name(&bytes)), &bytes)
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

    /// The stored rows of some keys, and how many shards were damaged.
    fn found(store: &Store, keys: &[Digest]) -> Result<(Vec<Row>, usize)> {
        let mut rows = Vec::new();
        let damaged = store.visit(|shard| {
            let wanted = (0..shard.keys.len()).filter(|&index| keys.contains(&shard.keys[index]));
            rows.extend(wanted.map(|index| shard.row(index)));
            Ok(())
        })?;
        Ok((rows, damaged))
    }

    #[test]
    fn rows_come_back_as_they_were_written() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(cache.path(), Digest::of(b"backbone"), 3);
        assert_eq!(found(&store, &[row(1).key])?, (Vec::new(), 0), "no folder yet");
        store.append(&[row(1), row(2)])?;
        store.append(&[row(3)])?;
        let (mut rows, damaged) = found(&store, &[row(3).key, row(1).key, row(9).key])?;
        rows.sort_by_key(|row| row.tokens);
        assert_eq!((rows, damaged), (vec![row(1), row(3)], 0));
        assert_eq!(found(&store, &[row(2).key])?, (vec![row(2)], 0));
        Ok(())
    }

    #[test]
    fn shards_come_in_the_order_of_their_names() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(cache.path(), Digest::of(b"backbone"), 3);
        (0..40).try_for_each(|seed| store.append(&[row(seed)]))?;
        let one_by_one: Vec<Option<Digest>> = files::list(store.folder())?
            .iter()
            .map(|path| Ok(store.read(path)?.map(|shard| shard.keys[0])))
            .collect::<Result<_>>()?;
        let mut seen = Vec::new();
        store.visit(|shard| {
            seen.push(Some(shard.keys[0]));
            Ok(())
        })?;
        assert_eq!(seen, one_by_one);
        // What the visitor reports ends the visit.
        let mut visits = 0;
        let error = store.visit(|_| {
            visits += 1;
            if visits < 3 { Ok(()) } else { Err(Error::Io(vec![Fault::new("the test", "enough")])) }
        });
        assert!(error.expect_err("enough").to_string().contains("enough") && visits == 3);
        Ok(())
    }

    #[test]
    fn a_matrix_has_the_row_of_each_place() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(cache.path(), Digest::of(b"backbone"), 3);
        for shard in (0..50).map(row).collect::<Vec<Row>>().chunks(7) {
            store.append(shard)?;
        }
        // Out of order, one of them three times.
        let seeds: Vec<u8> =
            (0..100).map(|index| (index * 37 % 101) as u8).filter(|seed| *seed < 50).chain([9, 9]).collect();
        let features = store.matrix(&Places::new(seeds.iter().map(|seed| row(*seed).key)))?;
        assert_eq!((features.rows(), features.width()), (seeds.len(), 3));
        for (index, seed) in seeds.iter().enumerate() {
            assert_eq!(features.row(index), row(*seed).vector);
        }
        let error = store.matrix(&Places::new([48, 52, 51].map(|seed| row(seed).key))).expect_err("two are not stored");
        assert!(error.to_string().contains("2 of 3 feature rows are not stored"), "{error}");
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
            let (rows, damaged) = found(&store, &[row(1).key])?;
            assert!(rows.is_empty() && damaged == 1, "byte {index} went unnoticed");
        }
        Ok(())
    }

    #[test]
    fn another_backbone_sees_nothing() -> Result<()> {
        let cache = tempfile::tempdir().expect("a temporary folder");
        Store::new(cache.path(), Digest::of(b"one"), 3).append(&[row(1)])?;
        let (rows, _) = found(&Store::new(cache.path(), Digest::of(b"two"), 3), &[row(1).key])?;
        assert!(rows.is_empty());
        Ok(())
    }
}
