//! Wrong ways to say how rows are read: formats that cannot be told apart, scores, columns and rules.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, TRAIN, pair_rows, rated_rows};

/// The message for these rows under the keys in place of `format: pairs`.
fn source(rows: &[Value], keys: &str) -> String {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "\n    format: pairs", &format!("\n    {keys}"));
    project.write_rows("data/pairs.jsonl", rows);
    project.refused(2, &TRAIN)
}

/// As many rows as the project has, made of one.
fn many(row: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..60).map(row).collect()
}

fn pku(number: usize) -> Value {
    json!({ "prompt": format!("What about {number}?"), "response_0": "no", "response_1": "yes",
        "is_response_0_safe": true, "is_response_1_safe": false, "better_response_id": 1, "safer_response_id": 0 })
}

fn rated() -> Vec<Value> {
    rated_rows()
}

#[test]
fn rows_that_fit_two_formats() {
    let row = |number| json!({ "prompt": format!("What about {number}?"), "chosen": "no", "rejected": "yes", "labels": ["a", "b"] });
    assert_snapshot!(source(&many(row), "labels: ai"));
}

#[test]
fn a_format_that_is_unknown() {
    assert_snapshot!(source(&pair_rows(), "format: ultra_feedback"));
}

#[test]
fn a_format_of_other_rows() {
    assert_snapshot!(source(&pair_rows(), "format: arena"));
}

#[test]
fn a_score_that_pku_rows_do_not_have() {
    assert_snapshot!(source(&many(pku), "score: honesty"));
}

#[test]
fn a_score_for_rows_without_scores() {
    assert_snapshot!(source(&pair_rows(), "format: pairs\n    score: quality"));
}

#[test]
fn a_score_for_detected_rows_without_scores() {
    assert_snapshot!(source(&pair_rows(), "score: quality"));
}

#[test]
fn a_gap_that_is_not_above_zero() {
    assert_snapshot!(source(&rated(), "format: rated\n    score: quality\n    min_gap: 0"));
}

#[test]
fn a_gap_that_no_scores_have() {
    assert_snapshot!(source(&rated(), "format: rated\n    score: quality\n    min_gap: 100"));
}

#[test]
fn a_rule_for_pairs() {
    assert_snapshot!(source(&pair_rows(), "format: pairs\n    rule: {kind: fewer_words}"));
}

#[test]
fn a_rule_for_detected_pairs() {
    assert_snapshot!(source(&pair_rows(), "rule: {kind: fewer_words}"));
}

#[test]
fn a_rule_without_its_pattern() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: matches}"));
}

#[test]
fn a_rule_with_a_pattern_that_is_none() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: avoids, pattern: '(sorry'}"));
}

#[test]
fn a_rule_with_a_pattern_that_looks_ahead() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: matches, pattern: '^(?!sorry)'}"));
}

#[test]
fn a_rule_whose_pattern_is_endless() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: matches, pattern: '((a{1000}){1000}){1000}'}"));
}

#[test]
fn a_rule_of_an_unknown_kind() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: shorter}"));
}

#[test]
fn a_rule_with_the_keys_of_another() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: valid_json, pattern: a, min_gap: 3}"));
}

#[test]
fn a_rule_by_a_reference_that_no_row_has() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: bleu, reference: gold}"));
}

#[test]
fn a_rule_that_decides_nothing() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: matches, pattern: 'zebra'}"));
}

#[test]
fn a_rule_at_equal_scores_of_an_unknown_name() {
    assert_snapshot!(source(&rated(), "format: rated\n    rule: {kind: fewer_words, equal_on: qualty}"));
}

#[test]
fn a_column_that_no_row_has() {
    assert_snapshot!(source(&pair_rows(), "format: pairs\n    columns: {prompt: question}"));
}

#[test]
fn a_column_that_a_format_does_not_read() {
    assert_snapshot!(source(&many(pku), "columns: {chosen: response_0}"));
}

#[test]
fn margins_and_weights_that_are_no_amounts() {
    let mut rows = pair_rows();
    for (row, (field, value)) in rows.iter_mut().zip([
        ("margin", json!(-1)),
        ("weight", json!(0)),
        ("margin", json!("wide")),
        ("weight", json!([1])),
        ("weight", json!(-2.5)),
        ("weight", json!(1e300)),
        ("margin", json!("1e12")),
    ]) {
        row[field] = value;
    }
    assert_snapshot!(source(&rows, "format: pairs"));
}

#[test]
fn labels_that_are_all_true() {
    let row = |number| json!({ "prompt": format!("What about {number}?"), "completion": "yes", "label": true });
    assert_snapshot!(source(&many(row), "format: unpaired"));
}

#[test]
fn ties_alone() {
    let row = |number| json!({ "prompt": format!("What about {number}?"), "response_a": "yes", "response_b": "no" });
    assert_snapshot!(source(&many(row), "format: ties"));
}

#[test]
fn a_limit_of_no_pairs() {
    assert_snapshot!(source(&pair_rows(), "format: pairs\n    max_pairs_per_prompt: 0"));
}
