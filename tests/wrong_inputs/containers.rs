//! Wrong containers of preference data: JSON, CSV, Parquet, compressed files, folders, patterns and mapped columns.

use std::path::Path;

use insta::assert_snapshot;

use crate::project::{Project, TRAIN, pair_rows};

/// The project with a source at `path` in place of the file of pairs.
fn with_source(path: &str) -> Project {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "data/pairs.jsonl", path);
    project
}

/// The message for preference data in the file `name` that holds `content`.
fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let project = with_source(&format!("data/{name}"));
    project.write(format!("data/{name}"), content);
    project.refused(2, &TRAIN)
}

/// The message for a source at `path`, which is a folder or a pattern, with these files beside the usual ones.
fn path(path: &str, names: &[&str]) -> String {
    let project = with_source(path);
    names.iter().for_each(|name| project.write(name, "{}"));
    project.refused(2, &TRAIN)
}

/// The message for the usual pairs, whose columns are mapped so.
fn columns(mapping: &str) -> String {
    let project = with_source(&format!("data/pairs.jsonl\n    columns: {{{mapping}}}"));
    project.refused(2, &TRAIN)
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/containers");
    std::fs::read(folder.join(name)).expect("committed")
}

#[test]
fn a_zstd_file_that_is_cut_short() {
    let whole = fixture("rows.jsonl.zst");
    assert_snapshot!(file("pairs.jsonl.zst", &whole[..whole.len() - 10]));
}

#[test]
fn a_gzip_file_with_garbage_behind_it() {
    assert_snapshot!(file("pairs.csv.gz", [fixture("python.csv.gz"), b"more".to_vec()].concat()));
}

#[test]
fn a_parquet_file_that_is_cut_short() {
    let whole = fixture("snappy.parquet");
    assert_snapshot!(file("pairs.parquet", &whole[..whole.len() / 2]));
}

#[test]
fn a_parquet_file_that_is_damaged_inside() {
    let mut damaged = fixture("zstd.parquet");
    damaged[40..60].fill(0xff);
    assert_snapshot!(file("pairs.parquet", damaged));
}

#[test]
fn a_parquet_file_without_the_needed_columns() {
    assert_snapshot!(file("pairs.parquet", fixture("types.parquet")));
}

#[test]
fn a_parquet_file_that_is_none() {
    assert_snapshot!(file("pairs.parquet", "prompt,chosen,rejected\n"));
}

#[test]
fn a_table_without_a_header() {
    assert_snapshot!(file("pairs.csv", "What is the answer?,good,bad\nWhat else?,good,bad\n"));
}

#[test]
fn a_table_of_numbers_without_a_header() {
    assert_snapshot!(file("pairs.csv", "1,2\n3,4\n"));
}

#[test]
fn a_table_whose_records_have_other_lengths() {
    assert_snapshot!(file("pairs.csv", "prompt,chosen,rejected\nWhat?,good,bad\nWhat, then?,good,bad\nWhy?,good\n"));
}

#[test]
fn a_table_with_an_open_quotation_mark() {
    assert_snapshot!(file("pairs.csv", "prompt,chosen,rejected\nWhat?,good,\"bad\nWhy?,good,bad\n"));
}

#[test]
fn a_table_that_names_a_column_twice() {
    assert_snapshot!(file("pairs.csv", "prompt,chosen,chosen\nWhat?,good,bad\n"));
}

#[test]
fn a_table_that_is_not_utf_8() {
    assert_snapshot!(file("pairs.csv", b"prompt,chosen,rejected\nWhat?,good,bad\nWhat?,na\xefve,bad\n"));
}

#[test]
fn a_table_that_is_no_text() {
    assert_snapshot!(file("pairs.csv", b"\x00\x01\x02\x03,\n\x04"));
}

#[test]
fn a_table_without_records() {
    assert_snapshot!(file("pairs.tsv", "prompt\tchosen\trejected\n"));
}

#[test]
fn an_array_of_something_else() {
    assert_snapshot!(file("pairs.json", "[\"What is the answer?\", \"good\", \"bad\"]"));
}

#[test]
fn an_array_with_a_row_that_is_no_object() {
    assert_snapshot!(file("pairs.json", r#"[{"prompt": "a", "chosen": "b", "rejected": "c"}, null]"#));
}

#[test]
fn an_array_that_is_not_closed() {
    let text = serde_json::to_string_pretty(&pair_rows()).expect("JSON");
    assert_snapshot!(file("pairs.json", &text[..text.len() - 2]));
}

#[test]
fn an_array_with_a_row_that_is_no_json() {
    assert_snapshot!(file("pairs.json", "[\n  {\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": 'c'}\n]"));
}

#[test]
fn an_object_with_two_lists() {
    let rows = serde_json::to_string(&pair_rows()).expect("JSON");
    assert_snapshot!(file("pairs.json", format!("{{\"train\": {rows}, \"test\": {rows}}}")));
}

#[test]
fn an_object_of_columns() {
    let text = "{\n \"prompt\": {\"0\": \"a\"},\n \"chosen\": {\"0\": \"b\"},\n \"rejected\": {\"0\": \"c\"}\n}";
    assert_snapshot!(file("pairs.json", text));
}

#[test]
fn objects_one_after_the_other() {
    let rows: Vec<String> = pair_rows().iter().map(|row| format!("{row:#}\n")).collect();
    assert_snapshot!(file("pairs.json", rows.concat()));
}

#[test]
fn a_folder_without_data() {
    assert_snapshot!(path("data/texts", &["data/texts/README.md", "data/texts/rows.txt"]));
}

#[test]
fn a_pattern_without_a_match() {
    assert_snapshot!(path("data/*.parquet", &[]));
}

#[test]
fn a_pattern_that_is_none() {
    assert_snapshot!(path("data/[a.jsonl", &[]));
}

#[test]
fn a_file_that_is_missing() {
    assert_snapshot!(path("data/pair.jsonl", &[]));
}

#[test]
fn a_column_that_no_row_has() {
    assert_snapshot!(columns("prompt: question, chosen: chosn"));
}

#[test]
fn a_column_for_an_unknown_field() {
    assert_snapshot!(columns("choosen: chosen"));
}

#[test]
fn a_column_that_is_no_text() {
    assert_snapshot!(columns("chosen: [answers, 0], rejected: 1"));
}
