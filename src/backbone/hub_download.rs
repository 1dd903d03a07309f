//! Fetches what a backbone needs from a hub into the local cache, in the layout huggingface_hub uses.
//!
//! Bytes go to `blobs/<etag>.incomplete`, which the next attempt or the next run continues; checked against the etag
//! it becomes `blobs/<etag>`, the snapshot links to it, and `refs/<revision>` is written last, so whoever sees the
//! revision sees a whole snapshot.

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::hub_cache::{Environment, Snapshot};
use super::hub_client::{ATTEMPTS, Client, Metadata};
use super::hub_digest::differs;
use super::hub_files::{INDEX, needed, shards};
use super::hub_name::{RepositoryId, is_commit};
use crate::error::{Error, Fault, Result};
use crate::files;
use crate::progress::Progress;

/// Fetches the files of a revision that the cache lacks.
///
/// # Errors
/// [`Error::Model`] when the hub does not have or does not give the model, or it has no safetensors weights;
/// [`Error::Io`] when the network fails, the disk is full or a file arrives damaged twice.
pub(super) fn download(
    cache: &Path,
    repository: &RepositoryId,
    revision: &str,
    environment: Environment<'_>,
    progress: &dyn Progress,
) -> Result<Snapshot> {
    let client = Client::new(repository, revision, environment)?;
    let published = client.published()?;
    let (small, mut weights) = needed(&published.files, &client.page())?;
    let store = Store::new(cache, repository, &published.commit, &client);
    for file in &small {
        if !store.has(file) {
            store.fetch(file, &client.metadata(&store.commit, file)?, &|_| {})?;
        }
    }
    if weights.is_empty() {
        let index = store.snapshot.join(INDEX);
        let bad =
            |found: String| Error::Model(vec![Fault::new(index.display(), found).help("choose another revision")]);
        weights = shards(&files::read_text(&index, "the list of weight files")?).map_err(bad)?;
        let absent: Vec<&str> = weights.iter().map(String::as_str).filter(|f| !published.files.contains(*f)).collect();
        if !absent.is_empty() {
            return Err(bad(format!("the model has no {}, which this lists", absent.join(", "))));
        }
    }
    store.fetch_weights(&weights, progress)?;
    let (folder, commit) = (store.snapshot, store.commit);
    let reference = store.folder.join("refs").join(revision);
    if !is_commit(revision) && !files::read(&reference, "the revision").is_ok_and(|known| known == commit.as_bytes()) {
        files::write_atomic(&reference, commit.as_bytes())?;
    }
    Ok(Snapshot { folder, commit })
}

/// The part of the cache that belongs to one commit of one model.
struct Store<'a> {
    client: &'a Client<'a>,
    commit: String,
    folder: PathBuf,
    snapshot: PathBuf,
    locks: PathBuf,
}

impl<'a> Store<'a> {
    fn new(cache: &Path, repository: &RepositoryId, commit: &str, client: &'a Client<'a>) -> Self {
        let folder = cache.join(repository.folder());
        let snapshot = folder.join("snapshots").join(commit);
        Self {
            client,
            commit: commit.to_owned(),
            snapshot,
            locks: cache.join(".locks").join(repository.folder()),
            folder,
        }
    }

    fn has(&self, file: &str) -> bool {
        self.snapshot.join(file).is_file()
    }

    /// Fetches the weights that are not there yet; the progress counts megabytes (10⁶ bytes).
    fn fetch_weights(&self, weights: &[String], progress: &dyn Progress) -> Result<()> {
        let lacking = weights.iter().filter(|file| !self.has(file));
        let lacking: Vec<(&String, Metadata)> =
            lacking.map(|file| Ok((file, self.client.metadata(&self.commit, file)?))).collect::<Result<_>>()?;
        let total: u64 = lacking.iter().filter_map(|(_, metadata)| metadata.size).sum();
        progress.start("download MB", total.div_ceil(1_000_000));
        let done = Cell::new(0u64);
        let advance = |bytes: u64| {
            let before = done.get();
            // A file that arrived damaged is fetched once more, which must not count beyond the total.
            done.set((before + bytes).min(total));
            progress.advance(done.get().div_ceil(1_000_000) - before.div_ceil(1_000_000));
        };
        for (file, metadata) in &lacking {
            self.fetch(file, metadata, &advance)?;
        }
        progress.finish(&format!("{} weight files of commit {}", lacking.len(), self.commit));
        Ok(())
    }

    /// Puts one file into the snapshot; its content may be in the cache already, from another revision.
    fn fetch(&self, file: &str, metadata: &Metadata, advance: &dyn Fn(u64)) -> Result<()> {
        let blob = self.folder.join("blobs").join(&metadata.etag);
        // Two runs that want the same content: the second waits and then finds it. huggingface_hub locks this file too.
        let _lock = files::lock(&self.locks.join(format!("{}.lock", metadata.etag)))?;
        let whole = length(&blob).is_some_and(|length| metadata.size.is_none_or(|size| size == length));
        if whole {
            advance(length(&blob).unwrap_or(0));
        } else {
            self.fill(&blob, file, metadata, advance)?;
        }
        files::link_or_copy(&blob, &self.snapshot.join(file))
    }

    /// Fetches one content, checks it and gives it its name. What arrives damaged is removed and fetched once more.
    fn fill(&self, blob: &Path, file: &str, metadata: &Metadata, advance: &dyn Fn(u64)) -> Result<()> {
        let incomplete = self.folder.join("blobs").join(format!("{}.incomplete", metadata.etag));
        files::create_folder(files::parent(&incomplete))?;
        let mut why = String::new();
        for _ in 0..2 {
            self.gather(&incomplete, file, metadata.size, advance)?;
            match differs(&incomplete, &metadata.etag, metadata.size)? {
                None => return files::rename(&incomplete, blob),
                Some(found) => why = found,
            }
            files::remove(&incomplete)?;
        }
        Err(Error::Io(vec![
            Fault::new(format!("{}: {file}", self.client.page()), format!("the file arrived damaged twice: {why}"))
                .help("try again; if it stays so, a proxy between here and the hub changes the content"),
        ]))
    }

    /// Reads on, over as many connections as it takes, until `path` holds the whole file.
    fn gather(&self, path: &Path, file: &str, size: Option<u64>, advance: &dyn Fn(u64)) -> Result<()> {
        let mut fruitless = 0u32;
        advance(length(path).unwrap_or(0));
        loop {
            let have = length(path).unwrap_or(0);
            if size.is_some_and(|size| have >= size && path.exists()) {
                return Ok(());
            }
            let bytes = self.client.bytes(&self.commit, file, have)?;
            // A server that knows no ranges begins anew, and so does one that says nothing is left.
            let start = bytes.start.filter(|start| *start == have).unwrap_or(0);
            let usable = bytes.start == Some(start);
            let mut growing = files::grow(path, start)?;
            let most = size.map_or(u64::MAX, |size| (size - start).saturating_add(1));
            let broken = if usable { pour(&mut bytes.reader.take(most), &mut growing, advance)? } else { true };
            growing.close()?;
            let now = length(path).unwrap_or(0);
            if !broken && size.is_none_or(|size| now >= size) {
                return Ok(());
            }
            fruitless = if now > have { 0 } else { fruitless + 1 };
            if fruitless == ATTEMPTS {
                let found = format!("the connection broke {ATTEMPTS} times without a new byte, after {now} bytes");
                return Err(Error::Io(vec![
                    Fault::new(format!("{}: {file}", self.client.page()), found)
                        .help("run it again: it goes on where it stopped"),
                ]));
            }
            std::thread::sleep(Duration::from_millis(250) * fruitless);
        }
    }
}

/// Copies until the end or until the connection breaks; says whether it broke.
///
/// # Errors
/// [`Error::Io`] when writing fails.
fn pour(from: &mut impl Read, to: &mut files::Growing, advance: &dyn Fn(u64)) -> Result<bool> {
    let mut buffer = vec![0u8; 1 << 18];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                to.write(&buffer[..count])?;
                advance(count as u64);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(true),
        }
    }
}

fn length(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|metadata| metadata.len())
}
