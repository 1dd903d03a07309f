//! The elements of one JSON array, one at a time: a file of any size needs the memory of one row.
//!
//! Finds where elements begin and end by brackets and quotes alone; what stands between is parsed as strictly as a
//! line of JSON lines. Also the survey of a file that is one object around such an array.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::super::row::{kind, parse_object};
use super::Record;
use super::input::{Input, MAX_ROW_BYTES, data};
use crate::error::{Fault, Result, quote};

/// Keys that hold parts of one row, so that a list of objects under them is no list of rows.
const ROW_KEYS: [&str; 20] = [
    "annotations",
    "answers",
    "candidates",
    "choices",
    "chosen",
    "completion",
    "completions",
    "context",
    "conversation",
    "conversations",
    "history",
    "labels",
    "messages",
    "prompt",
    "rejected",
    "response",
    "responses",
    "scores",
    "tools",
    "turns",
];

/// The rows of a JSON array of objects.
pub(super) struct Array {
    scanner: Scanner,
    /// Elements read so far.
    count: u64,
    /// The key under which the array stands, where it stands in an object.
    key: Option<String>,
    finished: bool,
}

impl Array {
    /// Reads up to the array: the text's first value, or what stands under `key` of the object that it is.
    ///
    /// # Errors
    /// [`Error::Data`](crate::error::Error::Data) when it is not there, [`Error::Io`](crate::error::Error::Io) when
    /// a read failed.
    pub(super) fn new(mut input: Input, key: Option<&str>) -> Result<Self> {
        input.skip_mark()?;
        let mut scanner = Scanner { input, line: 1, column: 1 };
        if let Some(key) = key {
            scanner.enter(key)?;
        }
        scanner.expect(b'[', "an array")?;
        Ok(Self { scanner, count: 0, key: key.map(str::to_owned), finished: false })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    fn next_record(&mut self) -> Result<Option<Record>> {
        let first = self.count == 0;
        match (self.scanner.skip_space()?, first) {
            (Some(b']'), _) => return self.end(),
            (Some(b','), false) => {
                self.scanner.take()?;
                self.scanner.skip_space()?;
            }
            (Some(_), true) => {}
            (None, _) => return Err(self.scanner.ends(&format!("after row {}", self.count))),
            (Some(other), false) => {
                let found = format!("{} after row {}", shown(other), self.count);
                return Err(data(self.scanner.fault(found).accepts("a comma and the next object, or ]")));
            }
        }
        self.count += 1;
        let (line, column) = (self.scanner.line, self.scanner.column);
        let text = self.scanner.value(&format!("in row {}", self.count))?;
        let place = self.place(line);
        let other = !text.is_empty() && !text.starts_with('{');
        let hopeless = first && other;
        let object = if other {
            let found = serde_json::from_str(&text).as_ref().map_or("no object", kind);
            Err(Fault::new(&place, format!("{found}, not an object")).accepts("an array of objects, one for each row"))
        } else {
            parse_object(&text).map_err(|fault| self.placed(fault, line, column))
        };
        Ok(Some(Record { place, object, untyped: false, hopeless }))
    }

    /// Where the row that is read now stands.
    fn place(&self, line: u64) -> String {
        let of = self.key.as_deref().map_or_else(String::new, |key| format!(" of {}", quote(key)));
        format!("{}:{line}, row {}{of}", self.scanner.input.name, self.count)
    }

    /// The end of the array: nothing may follow it, but for the rest of the object around it.
    fn end(&mut self) -> Result<Option<Record>> {
        self.scanner.take()?;
        if self.key.is_some() || self.scanner.skip_space()?.is_none() {
            return Ok(None);
        }
        let found = format!("more text after the array's {} rows", self.count);
        Err(data(self.scanner.fault(found).accepts("one array in a file").help("one object a line needs no array")))
    }

    /// A fault of a row's text, which begins at `line` and `column`, with its place in the file.
    fn placed(&self, fault: Fault, line: u64, column: u64) -> Fault {
        let number = |text: &str| text.parse::<u64>().ok();
        let inside = match fault.place.strip_prefix("line ").and_then(|rest| rest.split_once(", column ")) {
            Some((lines, columns)) => number(lines).zip(number(columns)),
            None => fault.place.strip_prefix("column ").and_then(number).map(|columns| (1, columns)),
        };
        let (line, column) = match inside {
            Some((1, columns)) => (line, column + columns.saturating_sub(1)),
            Some((lines, columns)) => (line + lines.saturating_sub(1), columns),
            None => (line, column),
        };
        Fault { place: format!("{}, column {column}", self.place(line)), ..fault }
    }
}

impl Iterator for Array {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.finished {
            return None;
        }
        let next = self.next_record().transpose();
        self.finished = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What a text that begins with an object is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Survey {
    /// One object that holds its rows in the list under this key.
    Wrapper(String),
    /// One object that holds no list of rows.
    Lone,
    /// One object with several lists of objects, under these keys.
    Several(Vec<String>),
    /// Several objects one after the other.
    Sequence,
}

/// Whether an object is no row but holds the rows.
pub(super) fn is_wrapper(object: &Map<String, Value>) -> bool {
    let lists = |value: &Value| value.as_array().and_then(|list| list.first()).is_some_and(Value::is_object);
    object.iter().any(|(key, value)| !ROW_KEYS.contains(&key.as_str()) && lists(value))
}

/// Reads a text that begins with an object to its end, in the memory of its keys.
///
/// # Errors
/// [`Error::Data`](crate::error::Error::Data) when brackets or quotes do not close,
/// [`Error::Io`](crate::error::Error::Io) when a read failed.
pub(super) fn survey(mut input: Input) -> Result<Survey> {
    input.skip_mark()?;
    let mut scanner = Scanner { input, line: 1, column: 1 };
    scanner.expect(b'{', "an object")?;
    let mut lists = Vec::new();
    while let Some(key) = scanner.key()? {
        if scanner.skip_value()? && !ROW_KEYS.contains(&key.as_str()) {
            lists.push(key);
        }
        if scanner.skip_space()? == Some(b',') {
            scanner.take()?;
        }
    }
    scanner.expect(b'}', "the end of the object")?;
    Ok(match (scanner.skip_space()?, lists.len()) {
        (Some(_), _) => Survey::Sequence,
        (None, 0) => Survey::Lone,
        (None, 1) => Survey::Wrapper(lists.swap_remove(0)),
        (None, _) => Survey::Several(lists),
    })
}

/// Where in a value a walk is.
#[derive(Default)]
struct Inside {
    depth: usize,
    /// The value's last bracket was passed.
    closed: bool,
    quoted: bool,
    escaped: bool,
}

impl Inside {
    /// Steps over one byte, unless the value has ended before it.
    fn ends_at(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.closed => return true,
            _ if self.escaped => self.escaped = false,
            b'\\' if self.quoted => self.escaped = true,
            b'"' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' | b',' if self.depth == 0 => return true,
            b'}' | b']' => {
                self.depth -= 1;
                self.closed = self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// Walks over JSON text by its brackets and quotes.
struct Scanner {
    input: Input,
    line: u64,
    column: u64,
}

impl Scanner {
    /// The bytes at hand, at least one unless the text ends.
    fn block(&mut self) -> Result<&[u8]> {
        // Asked twice because the borrow checker would hold a block that is returned from the branch of an error.
        if let Err(error) = self.input.fill_buf() {
            return Err(self.input.stream_error(&error, &format!("line {}", self.line)));
        }
        Ok(self.input.fill_buf().unwrap_or_default())
    }

    fn look(&mut self) -> Result<Option<u8>> {
        Ok(self.block()?.first().copied())
    }

    /// Takes one byte.
    fn take(&mut self) -> Result<Option<u8>> {
        let byte = self.look()?;
        if let Some(byte) = byte {
            self.input.consume(1);
            self.advance(&[byte]);
        }
        Ok(byte)
    }

    /// Columns are bytes, as the JSON reader counts them.
    #[expect(clippy::naive_bytecount, reason = "the JSON reader takes most of the time")]
    fn advance(&mut self, bytes: &[u8]) {
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => {
                self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.column = (bytes.len() - last) as u64;
            }
            None => self.column += bytes.len() as u64,
        }
    }

    /// Skips white space; the byte after it.
    fn skip_space(&mut self) -> Result<Option<u8>> {
        while let Some(byte) = self.look()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.take()?;
        }
        Ok(None)
    }

    fn fault(&self, found: impl std::fmt::Display) -> Fault {
        Fault::new(format!("{}:{}:{}", self.input.name, self.line, self.column), found)
    }

    fn ends(&self, place: &str) -> crate::error::Error {
        let fault = self.fault(format!("the file ends {place}, before what was opened is closed"));
        data(fault.accepts("a whole JSON array: [{…}, {…}]").help("write or fetch the file again"))
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<()> {
        match self.skip_space()? {
            Some(byte) if byte == wanted => self.take().map(|_| ()),
            Some(byte) => Err(data(self.fault(format!("{} in place of {what}", shown(byte))))),
            None => Err(self.ends(&format!("in place of {what}"))),
        }
    }

    /// Calls `each` with the pieces of one value: up to the comma or bracket behind it.
    fn walk(&mut self, place: &str, mut each: impl FnMut(&[u8]) -> Result<(), String>) -> Result<()> {
        let mut inside = Inside::default();
        loop {
            let block = self.block()?;
            if block.is_empty() {
                return if inside.closed { Ok(()) } else { Err(self.ends(place)) };
            }
            let end = block.iter().position(|byte| inside.ends_at(*byte));
            let piece = block[..end.unwrap_or(block.len())].to_vec();
            self.input.consume(piece.len());
            if let Err(found) = each(&piece) {
                return Err(data(self.fault(found).help("is a bracket or a quotation mark left open?")));
            }
            self.advance(&piece);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// The text of one value, without the space behind it.
    fn value(&mut self, place: &str) -> Result<String> {
        let mut bytes = Vec::new();
        self.walk(place, |piece| {
            bytes.extend_from_slice(piece);
            if bytes.len() > MAX_ROW_BYTES {
                return Err(format!("more than {MAX_ROW_BYTES} bytes without an end {place}, which begins above"));
            }
            Ok(())
        })?;
        String::from_utf8(bytes).map(|text| text.trim_end().to_owned()).map_err(|error| {
            let found =
                format!("not UTF-8 {place}: first bad byte at offset {} of it", error.utf8_error().valid_up_to());
            data(self.fault(found).help("save the file as UTF-8"))
        })
    }

    /// Skips one value; whether it is a list whose first element is an object.
    fn skip_value(&mut self) -> Result<bool> {
        self.skip_space()?;
        let mut start = Vec::new();
        self.walk("in a value", |piece| {
            let visible = piece.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
            start.extend(visible.take(2_usize.saturating_sub(start.len())));
            Ok(())
        })?;
        Ok(start == b"[{")
    }

    /// The next key and its colon; `None` at the end of the object.
    fn key(&mut self) -> Result<Option<String>> {
        if self.skip_space()? == Some(b'}') {
            return Ok(None);
        }
        self.expect(b'"', "a key")?;
        let (mut bytes, mut escaped) = (vec![b'"'], false);
        loop {
            let Some(byte) = self.take()? else { return Err(self.ends("in a key")) };
            bytes.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => break,
                _ => {}
            }
            if bytes.len() > 1 << 16 {
                return Err(data(self.fault("a key without an end").help("is a quotation mark left open?")));
            }
        }
        self.expect(b':', "a colon")?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| data(self.fault(format!("a key that cannot be read: {error}"))))
    }

    /// Reads on to the value under `key` of the object that begins here.
    fn enter(&mut self, key: &str) -> Result<()> {
        self.expect(b'{', "an object")?;
        while let Some(found) = self.key()? {
            if found == key {
                return Ok(());
            }
            self.skip_value()?;
            if self.skip_space()? == Some(b',') {
                self.take()?;
            }
        }
        Err(data(self.fault(format!("no key {}", quote(key)))))
    }
}

fn shown(byte: u8) -> String {
    quote(&char::from(byte).to_string())
}
