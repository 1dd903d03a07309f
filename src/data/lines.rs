//! Lines of a JSONL file, plain or gzip, one at a time and within limits.
//!
//! Knows bytes, compression and line ends; knows nothing of JSON beyond a file that starts like an array.

use std::io::{BufRead, BufReader, Chain, Cursor, Error as IoError, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Fault, Result};
use crate::files;

/// The longest line that is read, in bytes without the line end.
const MAX_LINE_BYTES: usize = 8 << 20;
/// How often larger than its compressed form a file may be …
const MAX_EXPANSION: u64 = 200;
/// … once this many bytes came out of it.
const FREE_EXPANSION_BYTES: u64 = 64 << 20;
/// First bytes of files that are not JSONL, what they are, and what makes JSONL of them.
const FOREIGN: [(&[u8], &str, &str); 8] = [
    (b"PAR1", "a Parquet file", "convert it: pandas.read_parquet(FILE).to_json(NEW, orient=\"records\", lines=True)"),
    (b"PK\x03\x04", "a zip archive", "unpack it: unzip FILE"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "expand it: zstd -d FILE"),
    (b"\xfd7zXZ", "xz-compressed", "expand it: xz -d FILE"),
    (b"BZh", "bzip2-compressed", "expand it: bunzip2 FILE"),
    (b"ARROW1", "an Arrow file", "convert it: pandas.read_feather(FILE).to_json(NEW, orient=\"records\", lines=True)"),
    (b"\xff\xfe", "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\xfe\xff", "UTF-16 text", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
];

type Source = Box<dyn Read + Send>;

/// One line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1; blank lines count.
    pub number: u64,
    /// Its text without the line end.
    pub text: String,
}

impl Line {
    /// `file:line`, for messages; `name` is [`Lines::name`].
    pub fn place(&self, name: &str) -> String {
        format!("{name}:{}", self.number)
    }
}

/// The lines of a JSONL file, plain or gzip (told by its first bytes, not by its name).
///
/// Blank lines are skipped, a byte order mark and `\r\n` are accepted. An error is [`Error::Data`] for what stands in
/// the file and [`Error::Io`] for a read that failed. A line that is not UTF-8 is an error of its own, after
/// which the iteration goes on; any other error ends it.
pub struct Lines {
    name: String,
    purpose: String,
    reader: BufReader<Inflate>,
    number: u64,
    any_text: bool,
    /// The last error was one line's own; the lines after it can be read.
    line_fault: bool,
    finished: bool,
}

impl Lines {
    /// Opens a file; `purpose` completes the sentence "cannot read …".
    ///
    /// # Errors
    /// [`Error::Io`] when it is missing, unreadable or not a regular file.
    pub fn open(path: &Path, purpose: &str) -> Result<Self> {
        let file = files::open(path, purpose)?;
        let mut lines = Self::from_reader(files::shown(path), Box::new(file));
        purpose.clone_into(&mut lines.purpose);
        Ok(lines)
    }

    /// The lines of any reader; `name` stands for the file in messages. Nothing is read yet.
    pub fn from_reader(name: impl Into<String>, reader: Box<dyn Read + Send>) -> Self {
        Self {
            name: name.into(),
            purpose: "the lines".to_owned(),
            reader: BufReader::with_capacity(1 << 16, Inflate::Unread(reader)),
            number: 0,
            any_text: false,
            line_fault: false,
            finished: false,
        }
    }

    /// The file's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `file:line` of the line that was read last.
    pub fn place(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }

    fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let limit = MAX_LINE_BYTES as u64 + 2; // room for "\r\n"
            match self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes) {
                Err(error) => return Err(self.stream_error(&error)),
                Ok(0) => return Ok(None),
                Ok(_) => self.number += 1,
            }
            if self.number == 1 {
                self.check_start(&mut bytes)?;
            }
            for end in [b'\n', b'\r'] {
                bytes.pop_if(|last| *last == end);
            }
            if bytes.len() > MAX_LINE_BYTES {
                let found = format!("the line is longer than {MAX_LINE_BYTES} bytes");
                return Err(data(Fault::new(self.place(), found).help("is there a line end after each object?")));
            }
            let text = match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => {
                    self.line_fault = true;
                    return Err(self.not_utf8(error.utf8_error().valid_up_to()));
                }
            };
            if text.trim().is_empty() {
                continue;
            }
            if !self.any_text && text.trim_start().starts_with('[') {
                return Err(self.array());
            }
            self.any_text = true;
            return Ok(Some(Line { number: self.number, text }));
        }
    }

    /// Whether nothing more will come.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Takes a byte order mark off the first line and refuses what is not text.
    fn check_start(&self, bytes: &mut Vec<u8>) -> Result<()> {
        if let Some((_, kind, help)) = FOREIGN.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
            let fault = Fault::new(&self.name, format!("this is {kind}"));
            return Err(data(fault.accepts("JSON lines in UTF-8, plain or gzip").help(help)));
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        Ok(())
    }

    fn not_utf8(&self, offset: usize) -> Error {
        let found = format!("not UTF-8: first bad byte at offset {offset} of the line");
        data(Fault::new(self.place(), found).help("save the file as UTF-8"))
    }

    fn array(&self) -> Error {
        data(
            Fault::new(self.place(), "looks like a JSON array")
                .accepts("one object per line")
                .help("convert with `jq -c '.[]' FILE > FILE.jsonl`"),
        )
    }

    fn stream_error(&self, error: &IoError) -> Error {
        let compressed = matches!(self.reader.get_ref(), Inflate::Gzip { .. });
        match error.kind() {
            ErrorKind::UnexpectedEof if compressed => data(
                Fault::new(&self.name, format!("compressed file ends early after line {}", self.number))
                    .help("fetch or compress the file again; `gzip -t FILE` must say nothing"),
            ),
            ErrorKind::InvalidData | ErrorKind::InvalidInput if compressed => data(
                Fault::new(&self.name, format!("compressed file is damaged after line {}: {error}", self.number))
                    .help("fetch or compress the file again; `gzip -t FILE` must say nothing"),
            ),
            _ => Error::Io(vec![Fault::new(&self.name, format!("cannot read {}: {error}", self.purpose))]),
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_line().transpose();
        self.finished = !matches!(next, Some(Ok(_))) && !std::mem::take(&mut self.line_fault);
        next
    }
}

fn data(fault: Fault) -> Error {
    Error::Data(vec![fault])
}

/// A reader that expands gzip if the first bytes say so.
enum Inflate {
    Unread(Source),
    Plain(Chain<Cursor<Vec<u8>>, Source>),
    Gzip { decoder: Box<MultiGzDecoder<Counted>>, produced: u64 },
}

impl Inflate {
    fn start(mut source: Source) -> std::io::Result<Self> {
        let mut head = Vec::new();
        source.by_ref().take(2).read_to_end(&mut head)?;
        // One byte 0x1f is a gzip file cut after its first byte.
        let compressed = head.first() == Some(&0x1f) && matches!(head.get(1), Some(0x8b) | None);
        let whole = Cursor::new(head).chain(source);
        if !compressed {
            return Ok(Self::Plain(whole));
        }
        let decoder = Box::new(MultiGzDecoder::new(Counted { inner: whole, bytes: 0 }));
        Ok(Self::Gzip { decoder, produced: 0 })
    }
}

impl Read for Inflate {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Self::Unread(source) = self {
            let source = std::mem::replace(source, Box::new(std::io::empty()));
            *self = Self::start(source)?;
        }
        match self {
            Self::Unread(_) => Ok(0), // start() never returns it
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip { decoder, produced } => {
                let count = decoder.read(buffer)?;
                *produced += count as u64;
                let allowed = decoder.get_ref().bytes.saturating_mul(MAX_EXPANSION);
                if *produced > FREE_EXPANSION_BYTES && *produced > allowed {
                    let message = format!("it expands to more than {MAX_EXPANSION} times its size");
                    return Err(IoError::new(ErrorKind::InvalidData, message));
                }
                Ok(count)
            }
        }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::super::row::{parse_item, parse_object};
    use super::*;

    fn lines_of(bytes: Vec<u8>) -> Lines {
        Lines::from_reader("rows", Box::new(Cursor::new(bytes)))
    }

    fn all(bytes: impl Into<Vec<u8>>) -> Result<Vec<(u64, String)>> {
        lines_of(bytes.into()).map(|line| line.map(|line| (line.number, line.text))).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    fn message(bytes: impl Into<Vec<u8>>) -> String {
        let error = all(bytes).expect_err("refused");
        assert!(matches!(error, Error::Data(_)), "{error}");
        error.to_string()
    }

    #[test]
    fn blank_lines_are_counted_and_marks_and_line_ends_accepted() {
        let expected = vec![(1, "{}".to_owned()), (4, "{\"a\":1}".to_owned())];
        assert_eq!(all("\u{feff}{}\r\n\r\n  \n{\"a\":1}"), Ok(expected));
        assert_eq!(all(""), Ok(vec![]));
        assert_eq!(all("\u{feff}"), Ok(vec![]));
    }

    #[test]
    fn every_gzip_member_is_read() {
        let both = [gzip(b"{}\n"), gzip(b"{\"b\":2}\n")].concat();
        assert_eq!(all(both), Ok(vec![(1, "{}".to_owned()), (2, "{\"b\":2}".to_owned())]));
    }

    #[test]
    fn a_gzip_file_cut_anywhere_is_refused() {
        let rows: Vec<String> = (0..200).map(|row| format!("{{\"row\":{}}}", row * 7919)).collect();
        let text = rows.join("\n");
        let whole = gzip(text.as_bytes());
        assert_eq!(all(whole.clone()).expect("whole").len(), 200);
        for cut in 1..whole.len() {
            assert!(message(&whole[..cut]).contains("compressed file ends early after line"), "cut at {cut}");
        }
    }

    #[test]
    fn damage_and_garbage_behind_the_end_are_refused() {
        let whole = gzip(b"{}\n{}\n");
        let mut damaged = whole.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(message(damaged).contains("damaged after line"));
        assert!(message([whole, b"garbage, more of it".to_vec()].concat()).contains("damaged after line 2"));
    }

    #[test]
    fn a_bomb_is_stopped() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let block = [vec![b' '; (1 << 20) - 1], vec![b'\n']].concat();
        (0..80).for_each(|_| encoder.write_all(&block).expect("writes to memory"));
        assert!(message(encoder.finish().expect("writes to memory")).contains("more than 200 times"));
    }

    #[test]
    fn a_line_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
        let longest = "x".repeat(MAX_LINE_BYTES);
        assert_eq!(all(format!("{longest}\r\n{{}}")).expect("both").len(), 2);
        assert!(message(format!("{{}}\n{longest}x\n")).contains("rows:2: the line is longer"));
        let endless = Lines::from_reader("rows", Box::new(std::io::repeat(b'x')));
        assert!(endless.last().expect("one error").is_err());
    }

    #[test]
    fn other_encodings_and_shapes_are_named() {
        assert!(message(*b"{}\n{\"a\":\"\xff\"}").contains("rows:2: not UTF-8: first bad byte at offset 6"));
        assert!(message(*b"\xff\xfe{\0}\0").contains("UTF-16"));
        assert!(message("\n [{\"a\":1}]").contains("rows:2: looks like a JSON array"));
        assert!(message("PAR1....").contains("Parquet"));
    }

    #[test]
    fn iteration_goes_on_after_bad_text_and_ends_with_any_other_error() {
        let mut lines = lines_of(b"{}\n\xff\n{}\n".to_vec());
        assert!(lines.next().is_some_and(|line| line.is_ok()));
        assert_eq!(lines.place(), "rows:1");
        assert!(lines.next().is_some_and(|line| line.is_err()) && !lines.is_finished());
        assert!(lines.next().is_some_and(|line| line.is_ok_and(|line| line.number == 3)));
        assert!(lines.next().is_none());
        let mut cut = lines_of(gzip(b"{}\n{}\n")[..20].to_vec());
        assert!(cut.by_ref().any(|line| line.is_err()) && cut.is_finished());
        assert!(cut.next().is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_give_lines_or_one_error_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            flip in 0..60usize,
            to in any::<u8>(),
        ) {
            let mut damaged = gzip(br#"{"prompt":"a","response":"b"}"#);
            let place = flip % damaged.len();
            damaged[place] = to;
            for bytes in [bytes, damaged] {
                for line in lines_of(bytes).map_while(Result::ok) {
                    if let Ok(object) = parse_object(&line.text) {
                        let _ = parse_item(&object, "rows:1");
                    }
                }
            }
        }
    }
}
