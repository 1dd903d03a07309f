//! Tests of every container against the same rows written by pandas, pyarrow and Python.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::super::plain;
use super::*;
use crate::error::Error;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/containers").join(name)
}

/// A file of `bytes` under `name` in a folder that lives as long as what is returned.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    files::write_atomic(&path, bytes).expect("written");
    (folder, path)
}

fn rows_of(path: &Path) -> Result<Vec<Value>> {
    let row = |record: Result<Record>| Ok(Value::Object(plain(&record?)?.into_owned()));
    Rows::open(path, "the rows")?.map(row).collect()
}

/// The rows without fields that are null, which not every container can tell from absent ones.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let said = object.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn fixture_rows(name: &str) -> Vec<Value> {
    rows_of(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}")).into_iter().map(without_nulls).collect()
}

/// The message for a file of these bytes, with the file's name alone as its place.
fn refusal(name: &str, bytes: &[u8]) -> String {
    let (folder, path) = file(name, bytes);
    let error = rows_of(&path).expect_err("refused");
    assert!(matches!(error, Error::Data(_)), "{error}");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn the_same_rows_come_out_of_every_container() {
    // The truth is serde_json's own reading of the plainest container.
    let text = files::read_text(&fixture("rows.jsonl"), "rows").expect("there");
    let expected: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(expected.len(), 30);
    for name in [
        "rows.jsonl",
        "rows.jsonl.gz",
        "rows.jsonl.zst",
        "rows.json",
        "one_line.json",
        "rows.json.gz",
        "wrapped.json",
        "snappy.parquet",
        "zstd.parquet",
    ] {
        assert_eq!(fixture_rows(name), expected, "{name}");
    }
}

#[test]
fn the_same_rows_come_out_of_every_table() {
    let expected = fixture_rows("flat.jsonl");
    for name in ["pandas.csv", "python.csv.gz", "semicolons.csv", "tabs.tsv.zst"] {
        assert_eq!(fixture_rows(name), expected, "{name}");
    }
}

#[test]
fn every_type_of_a_parquet_column_becomes_the_json_it_says() {
    let expected: Value =
        serde_json::from_str(&files::read_text(&fixture("types.json"), "rows").expect("there")).expect("JSON");
    let found = rows_of(&fixture("types.parquet")).expect("reads");
    for (found, expected) in found.iter().zip(expected.as_array().expect("a list")) {
        let (found, expected) = (found.as_object().expect("a row"), expected.as_object().expect("a row"));
        for name in found.keys().chain(expected.keys()) {
            assert_eq!(found.get(name), expected.get(name), "{name}");
        }
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn places_lead_to_the_row() {
    let places = |name: &str| -> Vec<String> {
        let rows = Rows::open(&fixture(name), "the rows").expect("opens");
        let place = |record: Result<Record>| record.expect("a row").place;
        rows.map(|row| place(row).rsplit('/').next().unwrap_or_default().to_owned()).take(2).collect()
    };
    assert_eq!(places("rows.jsonl.zst"), ["rows.jsonl.zst:1", "rows.jsonl.zst:2"]);
    assert_eq!(places("one_line.json"), ["one_line.json:1, row 1", "one_line.json:1, row 2"]);
    assert_eq!(places("zstd.parquet"), ["zstd.parquet, row 1", "zstd.parquet, row 2"]);
    // Line 1 is the header; the first row's prompt spans two lines.
    assert_eq!(places("pandas.csv"), ["pandas.csv:2", "pandas.csv:4"]);
    let text = files::read_text(&fixture("wrapped.json"), "rows").expect("there");
    let line = 1 + text.lines().position(|line| line.contains("\"data\": [")).expect("there") + 1;
    assert_eq!(places("wrapped.json")[0], format!("wrapped.json:{line}, row 1 of \"data\""));
}

#[test]
fn the_container_is_told_by_content_before_the_name() {
    let one = vec![json!({ "a": [{ "b": "]\"" }] })];
    let text = one[0].to_string();
    for (name, bytes) in [
        ("rows.json", format!("{text}\n{text}\n")),
        ("rows", format!("\u{feff}\n {text}\r\n{text}")),
        ("rows.csv", format!(" [{text},\n{text}\n]\n")),
        ("rows.jsonl", format!("[{text},{text}]")),
        ("rows.json", format!("{{\"rows\":[{text},{text}]}}")),
        ("rows.json", format!("{{\n\"messages\":[{{}}],\"x\":{{\"y\":[1]}},\n\"train\" : [ {text} ,{text} ]\n}}\n")),
    ] {
        let (_folder, path) = file(name, bytes.as_bytes());
        assert_eq!(rows_of(&path).expect(&bytes), [one.clone(), one.clone()].concat(), "{bytes}");
    }
    for (name, bytes) in [("rows.json", "[]"), ("rows.jsonl", ""), ("rows.csv", "a,b\n"), ("rows.csv", "\u{feff} \n")] {
        let (_folder, path) = file(name, bytes.as_bytes());
        assert_eq!(rows_of(&path), Ok(vec![]), "{bytes}");
    }
    let (_folder, path) = file("one.json", br#"{"messages":[{"role":"user"}]}"#);
    assert_eq!(rows_of(&path), Ok(vec![json!({ "messages": [{ "role": "user" }] })]), "a row is no wrapper");
}

#[test]
fn a_stream_is_lines_or_an_array_plain_or_compressed() {
    for name in ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.json", "rows.json.gz"] {
        let bytes = files::read(&fixture(name), "rows").expect("there");
        let rows = Rows::from_reader("standard input", "the rows", Box::new(Cursor::new(bytes))).expect("opens");
        assert_eq!(rows.map(|row| row.expect("a row")).filter(|row| row.object.is_ok()).count(), 30, "{name}");
    }
}

#[test]
fn a_large_array_is_read_in_the_memory_of_a_row() {
    // An array without end: were it gathered before it is read, this test would not end.
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            const ROW: &[u8] = b"{\"a\":\"[{\\\"\"},\n";
            let byte = if self.0 == 0 { b'[' } else { ROW[(self.0 - 1) % ROW.len()] };
            self.0 += 1;
            buffer[0] = byte;
            Ok(1)
        }
    }
    let mut rows = Rows::from_reader("endless", "the rows", Box::new(Endless(0))).expect("opens");
    let last = rows.nth(999).expect("a row").expect("a row");
    assert_eq!((last.place.as_str(), last.object.is_ok()), ("endless:1000, row 1000", true));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

#[test]
fn json_that_is_wrong_is_told_with_its_place() {
    for (text, expected) in [
        ("[{\"a\":1}, 7, \"x\"]", "rows.json:1, row 2: a number, not an object"),
        ("[\"a\", \"b\"]", "row 1: text, not an object\n  accepted: an array of objects"),
        (
            "[{\"a\":1},\n{\"a\":1,\"a\":2}]",
            "rows.json:2, row 2, column 10: cannot be read as JSON: one object has twice",
        ),
        ("[{\"a\":1},\n {\n\"a\":1e999}]", "rows.json:3, row 2, column 9: cannot be read as JSON: number out of range"),
        ("[{\"a\":1},\n {\"a\" 1}]", "rows.json:2, row 2, column 7: cannot be read as JSON"),
        ("[{\"a\":1},{\"b\":[1,2", "the file ends in row 2, before what was opened is closed"),
        ("[{\"a\":1}", "the file ends after row 1"),
        ("[{\"a\":1} {\"a\":1}]", "rows.json:1:10: \"{\" after row 1\n  accepted: a comma and the next object, or ]"),
        ("[{\"a\":1},]", "row 2"),
        ("[{\"a\":1}]\n[{\"a\":1}]", "rows.json:2:1: more text after the array's 1 rows"),
        ("{\"train\":[{\"a\":1}],\"test\":[{\"a\":1}]}", "several lists of objects: \"train\", \"test\""),
        ("{\n\"a\":1}\n{\n\"a\":1}", "objects over several lines, one after the other"),
        ("{\n\"a\":[1,2],\"b\":{\"c\":[{}]}}", "one object over several lines, without a list of objects"),
        ("{\n\"data\":[{\"a\":1}", "the file ends in a value"),
        ("{\n\"data\" [{\"a\":1}]}", "rows.json:2:8: \"[\" in place of a colon"),
    ] {
        let message = refusal("rows.json", text.as_bytes());
        assert!(message.contains(expected), "{text} gave {message}");
    }
    let long = format!("[{{\"a\":\"{}", "x".repeat(MAX_ROW_BYTES));
    assert!(refusal("rows.json", long.as_bytes()).contains("bytes without an end in row 1"));
    assert!(refusal("rows.json", b"[{\"a\":\"\xff\"}]").contains("not UTF-8 in row 1: first bad byte at offset 6"));
}

#[test]
fn tables_that_are_wrong_are_told_with_their_place() {
    let cases: [(&str, &[u8], &str); 11] = [
        ("t.csv", b"a,b\n1,2\n3\n", "t.csv:3: 1 cell, where the header names 2 columns"),
        ("t.csv", b"a,b\n\"1\n1\",2\n1,2,3\n", "t.csv:4: 3 cells, where the header names 2 columns"),
        ("t.csv", b"a,b\n1,\"2\n3,4\n", "t.csv:2: a quotation mark is left open"),
        ("t.csv", b"a,b,a\n1,2,3\n", "t.csv:1: the header names the column \"a\" twice"),
        ("t.csv", b"1,2\n3,4\n", "t.csv:1: the header names no column"),
        ("t.csv", b"a,b\n1,\xff\n", "t.csv:2, column \"b\": not UTF-8: first bad byte at offset 0 of the cell"),
        ("t.csv", b"a,\xff\n1,2\n", "t.csv:1: the header is not UTF-8"),
        ("t.csv", b"a,b\0c\n1,2\n", "the header holds a zero byte: this is no text"),
        ("t.csv", b"a,\"b\nc\"\n1,2\n", "which is no name of a column"),
        ("t.csv", b"PK\x03\x04rest", "this is a zip archive"),
        ("t.tsv", b"a,b\n1\t2\n", "t.tsv:2: 2 cells, where the header names 1 column"),
    ];
    for (name, bytes, expected) in cases {
        let message = refusal(name, bytes);
        assert!(message.contains(expected), "{bytes:?} gave {message}");
    }
    let open = format!("a,b\n1,\"{}", "x\n".repeat(MAX_ROW_BYTES));
    assert!(refusal("t.csv", open.as_bytes()).contains("a record of more than"));
}

#[test]
fn compressed_files_cut_anywhere_are_refused() {
    for name in ["rows.jsonl.gz", "rows.jsonl.zst", "rows.json.gz", "python.csv.gz", "tabs.tsv.zst"] {
        let whole = files::read(&fixture(name), "rows").expect("there");
        for cut in (4..whole.len()).step_by(97).chain([whole.len() - 1]) {
            let (_folder, path) = file(name, &whole[..cut]);
            // Between two frames a file cannot be told from a whole one; then it has fewer rows.
            match rows_of(&path) {
                Err(error) => assert!(error.to_string().contains("ends early after"), "{name} {cut}: {error}"),
                Ok(rows) => assert!(rows.len() < 30 && name.ends_with("jsonl.zst"), "{name} cut at {cut}"),
            }
        }
        let trailing = [whole, b"garbage".to_vec()].concat();
        assert!(refusal(name, &trailing).contains("compressed file"), "{name}");
    }
    let (_folder, path) = file("rows.jsonl.zst", &zstd::bulk::compress(&b" \n".repeat(50 << 20), 3).expect("packs"));
    assert!(rows_of(&path).is_err_and(|error| error.to_string().contains("more than 200 times")));
}

#[test]
fn parquet_that_is_wrong_is_refused_and_never_panics() {
    let whole = files::read(&fixture("snappy.parquet"), "rows").expect("there");
    for cut in [4, 11, 12, 100, whole.len() / 2, whole.len() - 1] {
        assert!(refusal("t.parquet", &whole[..cut]).contains("not a whole Parquet file"), "cut at {cut}");
    }
    assert!(refusal("t.parquet", b"a,b\n1,2\n").contains("not a Parquet file: it does not begin with PAR1"));
    assert!(refusal("t.parquet.gz", &gzip(&whole)).contains("compressed as a whole"));
    assert!(refusal("t.csv", b"PAR1").contains("not a whole Parquet file"));
}

#[test]
fn damaged_parquet_gives_rows_or_an_error() {
    // One changed byte at a time: the decoder's panics must not come through.
    let whole = files::read(&fixture("zstd.parquet"), "rows").expect("there");
    let expected = fixture_rows("zstd.parquet").len();
    let (_folder, path) = file("t.parquet", &whole);
    for place in (4..whole.len()).step_by(151) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x55;
        files::write_atomic(&path, &damaged).expect("written");
        if let Ok(rows) = rows_of(&path) {
            assert!(rows.len() <= expected, "byte {place} makes {} rows", rows.len());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_rows_or_an_error_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\",:a1\\\\ \n;\t]{0,60}",
        name in prop::sample::select(vec!["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet", "a"]),
    ) {
        for bytes in [bytes, text.into_bytes()] {
            let (_folder, path) = file(name, &bytes);
            let _ = rows_of(&path);
        }
    }

    #[test]
    fn an_array_is_its_elements(elements in prop::collection::vec("[a-z\"\\\\\\]\\[{},:]{0,12}", 0..6), pretty in any::<bool>()) {
        let list: Vec<Value> = elements.iter().map(|text| json!({ text.as_str(): [text, { "x": text }] })).collect();
        let list = Value::Array(list);
        let text = if pretty { format!("{list:#}") } else { list.to_string() };
        let (_folder, path) = file("a.json", text.as_bytes());
        prop_assert_eq!(Value::Array(rows_of(&path).expect("reads")), list);
    }
}
