//! The bytes of a data file: gzip and zstd expanded within limits, the first bytes looked at before anything is read.
//!
//! Knows bytes, compression and what other programs' files begin with; knows nothing of rows.

use std::io::{BufRead, BufReader, Chain, Cursor, Error as IoError, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Fault, Result};
use crate::files;

/// The largest row that is read, in bytes of text.
pub(in crate::data) const MAX_ROW_BYTES: usize = 8 << 20;
/// How often larger than its compressed form a file may be …
const MAX_EXPANSION: u64 = 200;
/// … once this many bytes came out of it.
const FREE_EXPANSION_BYTES: u64 = 64 << 20;
/// What a container may be.
const CONTAINERS: &str =
    "JSON lines, JSON, CSV or TSV in UTF-8, each plain or compressed with gzip or zstd; or Parquet";
/// First bytes of files that are not read, what they are, and what to do about them.
const FOREIGN: [(&[u8], &str, &str); 7] = [
    (b"PK\x03\x04", "a zip archive", "unpack it: unzip FILE"),
    (b"\xfd7zXZ", "xz-compressed", "expand it: xz -d FILE"),
    (b"BZh", "bzip2-compressed", "expand it: bunzip2 FILE"),
    (b"ARROW1", "an Arrow file", "convert it: pandas.read_feather(FILE).to_parquet(NEW)"),
    (b"\xff\xfe", "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\xfe\xff", "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (
        b"SQLite format 3",
        "an SQLite database",
        "write the table as CSV: sqlite3 -csv -header FILE 'SELECT …' > NEW.csv",
    ),
];
/// What a Parquet file begins with.
const PARQUET: &[u8] = b"PAR1";

type Source = Box<dyn Read + Send>;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
}

/// The expanded bytes of one file, with the words for what can go wrong while they are read.
pub(in crate::data) struct Input {
    /// The file's name in messages.
    pub(in crate::data) name: String,
    purpose: String,
    compression: Option<Compression>,
    reader: Box<dyn BufRead + Send>,
}

impl Input {
    /// Opens a file; `purpose` completes the sentence "cannot read …".
    ///
    /// # Errors
    /// [`Error::Io`] when it is missing, unreadable or not a regular file.
    pub(in crate::data) fn open(path: &Path, purpose: &str) -> Result<Self> {
        Self::new(files::shown(path), purpose, Box::new(files::open(path, purpose)?))
    }

    /// The bytes of any reader; `name` stands for the file in messages. The first bytes are read at once.
    ///
    /// # Errors
    /// [`Error::Io`] when they cannot be read.
    pub(in crate::data) fn new(name: impl Into<String>, purpose: &str, mut source: Source) -> Result<Self> {
        let name = name.into();
        let mut head = Vec::new();
        source.by_ref().take(4).read_to_end(&mut head).map_err(|error| unreadable(&name, purpose, &error))?;
        let compression = match head.as_slice() {
            // One byte 0x1f is a gzip file cut after its first byte.
            [0x1f, 0x8b, ..] | [0x1f] => Some(Compression::Gzip),
            // The magic number; and that of a frame to skip, with which some parallel writers begin.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Compression::Zstd),
            _ => None,
        };
        let whole = Cursor::new(head).chain(source);
        let expanded: Source = match compression {
            None => Box::new(whole),
            Some(kind) => Box::new(
                Expanded::new(kind, Counted { inner: whole, bytes: 0 })
                    .map_err(|error| unreadable(&name, purpose, &error))?,
            ),
        };
        let reader = Box::new(BufReader::with_capacity(1 << 16, expanded));
        Ok(Self { name, purpose: purpose.to_owned(), compression, reader })
    }

    /// The first bytes, until `enough` says so, the input ends or a row's limit is reached; they are read again.
    ///
    /// # Errors
    /// As [`Input::stream_error`].
    pub(in crate::data) fn peek(&mut self, enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        while !enough(&head) && head.len() <= MAX_ROW_BYTES {
            let block =
                self.reader.fill_buf().map(<[u8]>::to_vec).map_err(|error| self.stream_error(&error, "line 0"))?;
            if block.is_empty() {
                break;
            }
            self.reader.consume(block.len());
            head.extend_from_slice(&block);
        }
        let rest = std::mem::replace(&mut self.reader, Box::new(std::io::empty()));
        self.reader = Box::new(Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// The first byte of text, after a byte order mark and white space; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Data`] when the file is of a kind that is not read; as [`Input::stream_error`] otherwise.
    pub(in crate::data) fn first_visible(&mut self) -> Result<Option<u8>> {
        let head = self.peek(|head| head.len() >= 4 && first_visible(head).is_some())?;
        if head.starts_with(PARQUET) {
            let fault =
                Fault::new(&self.name, "this is a Parquet file that is compressed as a whole, or given as a stream");
            return Err(data(
                fault.accepts("a Parquet file as it is; it is compressed inside").help("expand it to a file"),
            ));
        }
        if let Some((_, kind, help)) = FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic)) {
            return Err(data(Fault::new(&self.name, format!("this is {kind}")).accepts(CONTAINERS).help(help)));
        }
        Ok(first_visible(&head))
    }

    /// Takes a byte order mark away.
    ///
    /// # Errors
    /// As [`Input::stream_error`].
    pub(in crate::data) fn skip_mark(&mut self) -> Result<()> {
        if self.peek(|head| head.len() >= 3)?.starts_with(b"\xef\xbb\xbf") {
            self.reader.consume(3);
        }
        Ok(())
    }

    /// The error for a read that failed after `place`: [`Error::Data`] for damaged compression, else [`Error::Io`].
    pub(in crate::data) fn stream_error(&self, error: &IoError, place: &str) -> Error {
        let check = match self.compression {
            Some(Compression::Gzip) => "gzip -t FILE",
            Some(Compression::Zstd) => "zstd -t FILE",
            None => return unreadable(&self.name, &self.purpose, error),
        };
        let found = match error.kind() {
            ErrorKind::UnexpectedEof => format!("compressed file ends early after {place}"),
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
                format!("compressed file is damaged after {place}: {error}")
            }
            _ => return unreadable(&self.name, &self.purpose, error),
        };
        let help = format!("fetch or compress the file again; `{check}` must say nothing");
        data(Fault::new(&self.name, found).help(help))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}

/// Whether the bytes are the beginning of a Parquet file.
pub(super) fn is_parquet(head: &[u8]) -> bool {
    head.starts_with(PARQUET)
}

/// One fault in a file.
pub(in crate::data) fn data(fault: Fault) -> Error {
    Error::Data(vec![fault])
}

fn unreadable(name: &str, purpose: &str, error: &IoError) -> Error {
    Error::Io(vec![Fault::new(name, format!("cannot read {purpose}: {error}"))])
}

fn first_visible(head: &[u8]) -> Option<u8> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    text.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

/// A decoder that stops where a file expands beyond all measure.
struct Expanded {
    decoder: Decoder,
    produced: u64,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Counted>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Counted>>>),
}

impl Expanded {
    fn new(kind: Compression, source: Counted) -> std::io::Result<Self> {
        let decoder = match kind {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(source))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::stream::read::Decoder::new(source)?)),
        };
        Ok(Self { decoder, produced: 0 })
    }
}

impl Read for Expanded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (count, consumed) = match &mut self.decoder {
            Decoder::Gzip(decoder) => (decoder.read(buffer)?, decoder.get_ref().bytes),
            Decoder::Zstd(decoder) => (decoder.read(buffer)?, decoder.get_ref().get_ref().bytes),
        };
        self.produced += count as u64;
        if self.produced > FREE_EXPANSION_BYTES && self.produced > consumed.saturating_mul(MAX_EXPANSION) {
            let message = format!("it expands to more than {MAX_EXPANSION} times its size");
            return Err(IoError::new(ErrorKind::InvalidData, message));
        }
        Ok(count)
    }
}

/// Counts what is read from the compressed side.
struct Counted {
    inner: Chain<Cursor<Vec<u8>>, Source>,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
