//! Wrong preference data: bytes, lines, rows, and files of no use as a whole.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, TRAIN, pair_rows, rated_rows};

const PAIRS: &str = "data/pairs.jsonl";
const RATED: &str = "data/rated.jsonl";

/// The message for a file of pairs whose fourth line is `line`.
fn fourth_line(line: &str) -> String {
    let project = Project::new();
    project.edit_line(PAIRS, 4, line);
    project.refused(2, &TRAIN)
}

/// The message for a file of rated answers whose fourth line is `line`.
fn fourth_rating(line: &str) -> String {
    let project = Project::new();
    project.edit_line(RATED, 4, line);
    project.refused(2, &TRAIN)
}

/// The message for a file of pairs that holds `content`.
fn pairs_file(content: impl AsRef<[u8]>) -> String {
    let project = Project::new();
    project.write(PAIRS, content);
    project.refused(2, &TRAIN)
}

/// The rows of pairs as JSON lines, changed by `change`.
fn changed_pairs(change: impl Fn(usize, &mut Value)) -> String {
    let mut rows = pair_rows();
    rows.iter_mut().enumerate().for_each(|(index, row)| change(index, row));
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[test]
fn a_line_that_is_cut_short() {
    assert_snapshot!(fourth_line(r#"{"prompt": "What is", "chosen": "a""#));
}

#[test]
fn a_field_that_is_missing() {
    assert_snapshot!(fourth_line(r#"{"prompt": "What is the answer?", "choosen": "good", "rejected": "bad"}"#));
}

#[test]
fn rows_of_several_faults_are_reported_at_once() {
    let project = Project::new();
    project.edit_line(PAIRS, 2, r#"{"prompt": "a", "chosen": 1, "rejected": "b"}"#);
    project.edit_line(PAIRS, 3, r#"{"prompt": "  ", "chosen": "a", "rejected": "b"}"#);
    project.edit_line(PAIRS, 5, r#"{"prompt": null, "chosen": "a", "rejected": "b"}"#);
    project.edit_line(RATED, 7, r#"{"prompt": "a", "response": "b", "scores": 3}"#);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn objects_over_several_lines() {
    let rows: Vec<String> = pair_rows().iter().map(|row| format!("{row:#}\n")).collect();
    assert_snapshot!(pairs_file(rows.concat()));
}

#[test]
fn an_empty_file() {
    assert_snapshot!(pairs_file(""));
}

#[test]
fn a_gzip_file_that_is_cut_short() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(changed_pairs(|_, _| {}).as_bytes()).expect("writes to memory");
    let whole = encoder.finish().expect("writes to memory");
    // The place of the cut decides only how many lines come out; near the end all of them do.
    assert_snapshot!(pairs_file(&whole[..whole.len() - 4]));
}

#[test]
fn bytes_that_are_not_utf_8() {
    let mut bytes = changed_pairs(|_, _| {}).into_bytes();
    bytes[3] = 0xff;
    assert_snapshot!(pairs_file(bytes));
}

#[test]
fn a_file_in_utf_16() {
    let text: Vec<u8> = changed_pairs(|_, _| {}).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_snapshot!(pairs_file([b"\xff\xfe".to_vec(), text].concat()));
}

#[test]
fn a_parquet_file() {
    assert_snapshot!(pairs_file("PAR1 and more"));
}

#[test]
fn a_table_with_commas() {
    assert_snapshot!(pairs_file("prompt,chosen,rejected\nWhat is the answer?,good,bad\n"));
}

#[test]
fn a_key_that_stands_twice_in_a_row() {
    assert_snapshot!(fourth_line(r#"{"prompt": "a", "chosen": "b", "chosen": "c", "rejected": "d"}"#));
}

#[test]
fn sides_that_are_mostly_identical() {
    assert_snapshot!(pairs_file(changed_pairs(|index, row| {
        if index % 3 > 0 {
            row["rejected"] = row["chosen"].clone();
        }
    })));
}

#[test]
fn a_role_that_is_unknown() {
    let prompt = json!([{ "role": "usr", "content": "What is the answer?" }]);
    assert_snapshot!(fourth_line(&json!({ "prompt": prompt, "chosen": "good", "rejected": "bad" }).to_string()));
}

#[test]
fn a_prompt_that_the_assistant_ends() {
    let prompt = json!([{ "role": "user", "content": "What?" }, { "role": "assistant", "content": "That" }]);
    assert_snapshot!(fourth_line(&json!({ "prompt": prompt, "chosen": "good", "rejected": "bad" }).to_string()));
}

#[test]
fn votes_that_are_no_counts() {
    let project = Project::new();
    for (number, votes) in [(1, json!([1.5, 2])), (2, json!([0, 0])), (3, json!({ "chosen": 3 }))] {
        let mut row = pair_rows()[number].clone();
        row["votes"] = votes;
        project.edit_line(PAIRS, number, &row.to_string());
    }
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_score_that_no_row_has() {
    let project = Project::new();
    project.edit("objectives/quality.yaml", "format: rated", "format: rated\n    score: qualty");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_score_of_another_name_than_the_objective() {
    let project = Project::new();
    project.edit("objectives/quality.yaml", "name: quality", "name: helpfulness");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_score_that_is_not_a_number() {
    assert_snapshot!(fourth_rating(r#"{"prompt": "a", "response": "b", "scores": {"quality": NaN}}"#));
}

#[test]
fn a_score_beyond_all_numbers() {
    assert_snapshot!(fourth_rating(r#"{"prompt": "a", "response": "b", "scores": {"quality": 1e999}}"#));
}

#[test]
fn a_row_with_single_quotes() {
    assert_snapshot!(fourth_line("{'prompt': 'a', 'chosen': 'b', 'rejected': 'c'}"));
}

#[test]
fn two_rows_on_a_line() {
    let row = r#"{"prompt": "a", "chosen": "b", "rejected": "c"}"#;
    assert_snapshot!(fourth_line(&format!("{row} {row}")));
}

#[test]
fn a_score_in_quotes() {
    assert_snapshot!(fourth_rating(r#"{"prompt": "a", "response": "b", "scores": {"quality": "4"}}"#));
}

#[test]
fn too_few_pairs() {
    let project = Project::new();
    project.write_rows(PAIRS, &pair_rows()[..10]);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn ratings_that_are_all_equal() {
    let mut rows = rated_rows();
    rows.iter_mut().for_each(|row| row["scores"]["quality"] = json!(3));
    let project = Project::new();
    project.write_rows(RATED, &rows);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_split_that_is_unknown() {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "format: pairs", "format: pairs\n    split_field: split");
    project.write(PAIRS, changed_pairs(|index, row| row["split"] = json!(if index == 5 { "tset" } else { "train" })));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn fields_of_the_config_that_no_row_has() {
    let project = Project::new();
    project.edit(
        "objectives/safety.yaml",
        "format: pairs",
        "format: pairs\n    split_field: chose\n    label_source_field: annotator",
    );
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn rows_in_no_known_format() {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "\n    format: pairs", "");
    project.write(PAIRS, "{\"question\": \"What?\", \"answer_a\": \"good\", \"answer_b\": \"bad\"}\n".repeat(40));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn text_that_is_no_transcript() {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "format: pairs", "format: hh_rlhf");
    project.write_rows(PAIRS, &pair_rows()[..1]);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn text_that_would_steer_a_terminal() {
    assert_snapshot!(fourth_line(
        "{\"prompt\": [{\"role\": \"\\u001b[31mred\", \"content\": \"a\"}], \
        \"chosen\": \"b\", \"rejected\": \"c\"}"
    ));
}
