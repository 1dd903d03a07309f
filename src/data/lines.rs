//! Lines of a JSONL file, one at a time and within limits.
//!
//! Knows line ends; knows nothing of JSON. Compression is [`super::read`]'s.

use std::io::{BufRead, Read};

use super::read::{Input, MAX_ROW_BYTES, data};
use crate::error::{Error, Fault, Result};

/// One line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number in the file, from 1; blank lines count.
    pub(super) number: u64,
    /// Its text without the line end.
    pub(super) text: String,
    /// Whether it is the first that is not blank.
    pub(super) first: bool,
}

/// The lines of a JSONL file.
///
/// Blank lines are skipped, a byte order mark and `\r\n` are accepted. An error is [`Error::Data`] for what stands in
/// the file and [`Error::Io`] for a read that failed. A line that is not UTF-8 is an error of its own, after
/// which the iteration goes on; any other error ends it.
pub(super) struct Lines {
    input: Input,
    number: u64,
    any_text: bool,
    /// The last error was one line's own; the lines after it can be read.
    line_fault: bool,
    finished: bool,
}

impl Lines {
    /// The lines of a file.
    pub(super) fn new(input: Input) -> Self {
        Self { input, number: 0, any_text: false, line_fault: false, finished: false }
    }

    /// The file's name in messages.
    pub(super) fn name(&self) -> &str {
        &self.input.name
    }

    /// `file:line` of the line that was read last.
    fn place(&self) -> String {
        format!("{}:{}", self.input.name, self.number)
    }

    fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let limit = MAX_ROW_BYTES as u64 + 2; // room for "\r\n"
            match self.input.by_ref().take(limit).read_until(b'\n', &mut bytes) {
                Err(error) => return Err(self.input.stream_error(&error, &format!("line {}", self.number))),
                Ok(0) => return Ok(None),
                Ok(_) => self.number += 1,
            }
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            for end in [b'\n', b'\r'] {
                bytes.pop_if(|last| *last == end);
            }
            if bytes.len() > MAX_ROW_BYTES {
                let found = format!("the line is longer than {MAX_ROW_BYTES} bytes");
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
            let first = !std::mem::replace(&mut self.any_text, true);
            return Ok(Some(Line { number: self.number, text, first }));
        }
    }

    /// Whether nothing more will come.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    fn not_utf8(&self, offset: usize) -> Error {
        let found = format!("not UTF-8: first bad byte at offset {offset} of the line");
        data(Fault::new(self.place(), found).help("save the file as UTF-8"))
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

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::super::row::{parse_item, parse_object};
    use super::*;

    fn lines_of(bytes: Vec<u8>) -> Lines {
        Lines::new(Input::new("rows", "the rows", Box::new(Cursor::new(bytes))).expect("memory can be read"))
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
        let longest = "x".repeat(MAX_ROW_BYTES);
        assert_eq!(all(format!("{longest}\r\n{{}}")).expect("both").len(), 2);
        assert!(message(format!("{{}}\n{longest}x\n")).contains("rows:2: the line is longer"));
        let endless = Input::new("rows", "the rows", Box::new(std::io::repeat(b'x'))).expect("bytes without end");
        let endless = Lines::new(endless);
        assert!(endless.last().expect("one error").is_err());
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_named() {
        assert!(message(*b"{}\n{\"a\":\"\xff\"}").contains("rows:2: not UTF-8: first bad byte at offset 6"));
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
