//! Wrong rows to score.

use insta::assert_snapshot;

use crate::project::Project;

const SCORE: [&str; 5] = ["score", "--threads", "1", "--registry", "registry/run"];

pub(crate) const GOOD_ROWS: &str = concat!(
    r#"{"prompt": "What is the answer?", "response": "yes a clear answer"}"#,
    "\n",
    r#"{"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "no"}]}"#,
    "\n",
);

/// The message for two good rows followed by `line`, with both rows scored before it.
fn third_line(line: impl AsRef<[u8]>) -> String {
    let input = [GOOD_ROWS.as_bytes(), line.as_ref(), b"\n", GOOD_ROWS.as_bytes()].concat();
    let outcome = Project::trained().refused_with_input(2, &SCORE, input);
    assert_eq!(outcome.output.lines().count(), 2, "the rows before the broken one are scored");
    outcome.errors
}

#[test]
fn a_line_that_is_no_json() {
    assert_snapshot!(third_line(r#"{"prompt": "What?", "response": "#));
}

#[test]
fn a_line_that_is_no_object() {
    assert_snapshot!(third_line(r#""What?""#));
}

#[test]
fn a_response_that_is_missing() {
    assert_snapshot!(third_line(r#"{"prompt": "What?", "reponse": "no"}"#));
}

#[test]
fn a_response_that_is_empty() {
    assert_snapshot!(third_line(r#"{"prompt": "What?", "response": "  "}"#));
}

#[test]
fn a_response_that_is_a_number() {
    assert_snapshot!(third_line(r#"{"prompt": "What?", "response": 4}"#));
}

#[test]
fn a_row_without_any_known_field() {
    assert_snapshot!(third_line(r#"{"text": "What?"}"#));
}

#[test]
fn messages_that_the_user_ends() {
    assert_snapshot!(third_line(r#"{"messages": [{"role": "user", "content": "What?"}]}"#));
}

#[test]
fn a_line_that_is_not_utf_8() {
    assert_snapshot!(third_line(b"{\"prompt\": \"What\xff\", \"response\": \"no\"}"));
}

#[test]
fn an_array_that_is_not_closed() {
    let input = r#"[{"prompt": "What?", "response": "no"}"#;
    assert_snapshot!(Project::trained().refused_with_input(2, &SCORE, input).errors);
}

#[test]
fn a_table_without_responses() {
    let project = Project::trained();
    project.write("rows.csv", "prompt,reponse\nWhat?,42\n");
    assert_snapshot!(project.refused(2, &[SCORE.as_slice(), &["rows.csv"]].concat()));
}

#[test]
fn an_input_file_that_is_missing() {
    let project = Project::trained();
    assert_snapshot!(project.refused(2, &[SCORE.as_slice(), &["rows.jsonl"]].concat()));
}

#[test]
fn a_folder_in_place_of_the_input() {
    let project = Project::trained();
    assert_snapshot!(project.refused(2, &[SCORE.as_slice(), &["data"]].concat()));
}

#[test]
fn rows_that_cannot_be_scored_are_counted_on_request() {
    let bad = "nonsense\n{\"prompt\": \"What?\"}\n{\"prompt\": \"What?\", \"response\": \"\"}\n";
    let project = Project::trained();
    let outcome = project.run(&[SCORE.as_slice(), &["--skip-bad"]].concat(), [GOOD_ROWS, bad, GOOD_ROWS].concat());
    assert_eq!((outcome.code, outcome.output.lines().count()), (0, 4));
    assert_snapshot!(outcome.errors);
}
