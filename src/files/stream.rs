//! A large file read once, in pieces, digested on the way.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{io_error, open};
use crate::error::Result;
use crate::files::Digest;

/// Reads a large file once, from its first byte to its last, in pieces, and digests every byte on the way.
///
/// The digest equals [`Digest::of`] the whole file.
pub struct Stream {
    path: PathBuf,
    purpose: &'static str,
    file: fs::File,
    hasher: blake3::Hasher,
    left: u64,
}

impl Stream {
    /// Opens a regular file. `purpose` completes the sentence "cannot read …".
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(path: &Path, purpose: &'static str) -> Result<Self> {
        let file = open(path, purpose)?;
        let left = file.metadata().map_err(|error| io_error(path, "read", purpose, &error))?.len();
        Ok(Self { path: path.to_owned(), purpose, file, hasher: blake3::Hasher::new(), left })
    }

    /// Bytes that are not read yet, by the length the file had when it was opened.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when the file ends before them; memory is taken only for what the file has.
    pub fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count.min(self.left)).unwrap_or(0)];
        let read = if count > self.left {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        } else {
            self.file.read_exact(&mut bytes)
        };
        read.map_err(|error| io_error(&self.path, "read", self.purpose, &error))?;
        self.hasher.update(&bytes);
        self.left -= count;
        Ok(bytes)
    }

    /// Passes over `count` bytes, which still count for the digest.
    ///
    /// # Errors
    /// As [`Stream::take`].
    pub fn skip(&mut self, count: u64) -> Result<()> {
        const PIECE: u64 = 1 << 22;
        let mut rest = count;
        while rest > 0 {
            self.take(rest.min(PIECE))?;
            rest -= rest.min(PIECE);
        }
        Ok(())
    }

    /// Reads what is left and gives the digest of the whole file.
    ///
    /// # Errors
    /// As [`Stream::take`].
    pub fn finish(mut self) -> Result<Digest> {
        self.skip(self.left)?;
        Ok(Digest(*self.hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_atomic;
    use super::*;

    #[test]
    fn a_stream_gives_the_bytes_and_the_digest_of_the_whole() -> Result<()> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, bytes) = (folder.path().join("file"), (0..10_000_000u32).map(|i| i as u8).collect::<Vec<u8>>());
        write_atomic(&path, &bytes)?;
        let mut stream = Stream::open(&path, "the test")?;
        assert_eq!(stream.take(10)?, &bytes[..10]);
        stream.skip(5_000_000)?;
        assert_eq!(stream.take(3)?, &bytes[5_000_010..5_000_013]);
        assert_eq!(stream.left(), 10_000_000 - 5_000_013);
        assert_eq!(stream.finish()?, Digest::of(&bytes));
        let mut stream = Stream::open(&path, "the test")?;
        assert!(stream.take(u64::MAX).is_err());
        assert!(stream.skip(10_000_001).is_err());
        Ok(())
    }
}
