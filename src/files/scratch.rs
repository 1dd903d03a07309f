//! A file of numbers for one computation: written and read at offsets by several threads, gone with its value.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{create_folder, io_error};
use crate::error::Result;

/// A temporary file that any number of threads may write and read at offsets.
///
/// Its name begins with `.tmp-`, so that no reader of the folder looks at it, and it is removed when the value is
/// dropped. On Unix the name is taken away as soon as the file is open: the disk space then comes back even after a
/// kill.
pub struct Scratch {
    file: Option<Shared>,
    path: PathBuf,
    purpose: &'static str,
}

impl Scratch {
    /// An empty file in `folder`, which is made where needed. `purpose` completes the sentences "cannot write …" and
    /// "cannot read …".
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when it cannot be made.
    pub fn create(folder: &Path, purpose: &'static str) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        create_folder(folder)?;
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".tmp-{}-{number}", std::process::id()));
            let file = match fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                // Left by a killed process of the same number; its file is not ours to take.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                opened => opened.map_err(|error| io_error(&path, "create", purpose, &error))?,
            };
            if cfg!(unix) {
                fs::remove_file(&path).map_err(|error| io_error(&path, "create", purpose, &error))?;
            }
            return Ok(Self { file: Some(Shared::new(file)), path, purpose });
        }
    }

    /// Writes all of `bytes` at byte `offset`; a gap before it reads as zeros.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when it cannot, as on a full disk.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = self.file.as_ref().map_or(Ok(()), |file| file.write_all_at(bytes, offset));
        written.map_err(|error| io_error(&self.path, "write", self.purpose, &error))
    }

    /// Fills `bytes` from byte `offset` on.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when it cannot, or the file ends before.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let read = self.file.as_ref().map_or(Ok(()), |file| file.read_exact_at(bytes, offset));
        read.map_err(|error| io_error(&self.path, "read", self.purpose, &error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Closed first: other systems do not remove what is open.
        self.file = None;
        if cfg!(not(unix)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
type Shared = Positioned;
#[cfg(not(unix))]
type Shared = Locked;

/// A file of a system that reads and writes at offsets, without a place of its own that threads would fight over.
#[cfg(unix)]
struct Positioned(fs::File);

#[cfg(unix)]
impl Positioned {
    fn new(file: fs::File) -> Self {
        Self(file)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, bytes, offset)
    }
}

/// The same for any other system: one thread at a time.
#[cfg(any(not(unix), test))]
struct Locked(std::sync::Mutex<fs::File>);

#[cfg(any(not(unix), test))]
impl Locked {
    fn new(file: fs::File) -> Self {
        Self(std::sync::Mutex::new(file))
    }

    fn at(&self, offset: u64) -> std::io::Result<std::sync::MutexGuard<'_, fs::File>> {
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::io::Seek::seek(&mut *file, std::io::SeekFrom::Start(offset))?;
        Ok(file)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        std::io::Write::write_all(&mut *self.at(offset)?, bytes)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
        std::io::Read::read_exact(&mut *self.at(offset)?, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Write<'a> = &'a (dyn Fn(&[u8], u64) -> std::io::Result<()> + Sync);
    type Read<'a> = &'a (dyn Fn(&mut [u8], u64) -> std::io::Result<()> + Sync);

    /// Eight threads write every eighth piece, then read the pieces of others.
    fn threads_see_the_bytes_of_their_offsets(write: Write<'_>, read: Read<'_>) {
        const PIECE: usize = 1000;
        let piece = |index: usize| vec![(index % 251) as u8; PIECE];
        let parallel = |work: &(dyn Fn(usize) + Sync)| {
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    scope.spawn(move || (0..50).for_each(|turn| work(turn * 8 + thread)));
                }
            });
        };
        parallel(&|index| write(&piece(index), (index * PIECE) as u64).expect("room"));
        parallel(&|index| {
            let mut bytes = vec![0u8; PIECE];
            let other = (index * 7 + 3) % 400;
            read(&mut bytes, (other * PIECE) as u64).expect("written");
            assert_eq!(bytes, piece(other));
        });
        assert!(read(&mut [0; 2], 400 * PIECE as u64 - 1).is_err(), "one byte is left");
    }

    #[test]
    fn several_threads_share_a_file_on_every_system() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::create(folder.path(), "the test")?;
        let Some(file) = &scratch.file else { panic!("open until dropped") };
        threads_see_the_bytes_of_their_offsets(&|bytes, at| file.write_all_at(bytes, at), &|bytes, at| {
            file.read_exact_at(bytes, at)
        });
        let locked = Locked::new(tempfile::tempfile().expect("a temporary file"));
        threads_see_the_bytes_of_their_offsets(&|bytes, at| locked.write_all_at(bytes, at), &|bytes, at| {
            locked.read_exact_at(bytes, at)
        });
        Ok(())
    }

    #[test]
    fn nothing_is_left_and_nothing_is_overwritten() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let deep = folder.path().join("deep");
        let (left, right) = (Scratch::create(&deep, "the test")?, Scratch::create(&deep, "the test")?);
        left.write_at(b"left", 0)?;
        right.write_at(b"right", 2)?;
        let (mut four, mut seven) = ([0; 4], [1; 7]);
        left.read_at(&mut four, 0)?;
        right.read_at(&mut seven, 0)?;
        assert_eq!((&four, &seven), (b"left", b"\0\0right"));
        assert!(super::super::list(&deep)?.is_empty(), "no reader of the folder sees it");
        let path = left.path.clone();
        drop((left, right));
        assert_eq!(fs::read_dir(&deep).expect("readable").count(), 0);
        // A file that a killed process left under a name of ours stays as it is.
        let number = path.to_string_lossy().rsplit('-').next().and_then(|number| number.parse::<u64>().ok());
        let next = deep.join(format!(".tmp-{}-{}", std::process::id(), number.expect("a number") + 2));
        fs::write(&next, b"theirs").expect("written");
        Scratch::create(&deep, "the test")?.write_at(b"ours", 0)?;
        assert_eq!(fs::read(&next).expect("still there"), b"theirs");
        Ok(())
    }

    #[test]
    fn a_folder_that_cannot_be_is_named_with_the_purpose() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::create(folder.path(), "the rows of the test")?;
        let short = scratch.read_at(&mut [0; 1], 9).expect_err("empty").to_string();
        assert!(short.contains(".tmp-") && short.contains("cannot read the rows of the test"), "{short}");
        let file = folder.path().join("file");
        fs::write(&file, b"").expect("written");
        assert!(Scratch::create(&file, "the rows of the test").is_err());
        Ok(())
    }
}
