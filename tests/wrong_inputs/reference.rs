//! Wrong references, domains, controls and losses.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::{Project, TRAIN, pair_rows};
use crate::score;

/// The message for a project with more lines in its run file and these samples.
fn reference(lines: &str, samples: &[Value]) -> String {
    let project = Project::new();
    project.edit("configs/run.yaml", "objectives:\n", &format!("reference:\n{lines}objectives:\n"));
    project.write_rows("data/samples.jsonl", samples);
    project.refused(2, &TRAIN)
}

/// The message for a quality objective with these lines under its head.
fn head(lines: &str) -> String {
    let project = Project::new();
    project.edit("objectives/quality.yaml", "head:\n", &format!("head:\n{lines}"));
    project.refused(2, &TRAIN)
}

fn samples(kind: impl Fn(usize) -> Value) -> Vec<Value> {
    let row =
        |index: usize| json!({ "prompt": format!("What about {index}?"), "response": "yes", "kind": kind(index) });
    (0..100).map(row).collect()
}

#[test]
fn a_reference_file_that_is_missing() {
    assert_snapshot!(reference("  path: ../data/sample.jsonl\n", &samples(|_| json!("a"))));
}

#[test]
fn a_reference_that_is_empty() {
    assert_snapshot!(reference("  path: ../data/samples.jsonl\n", &[]));
}

#[test]
fn a_reference_of_pairs() {
    assert_snapshot!(reference("  path: ../data/pairs.jsonl\n", &[]));
}

#[test]
fn a_domain_field_that_no_row_has() {
    assert_snapshot!(reference("  path: ../data/samples.jsonl\n  domain_field: kidn\n", &samples(|_| json!("a"))));
}

#[test]
fn a_domain_field_that_is_a_name_of_the_row() {
    let samples = samples(|index| json!(format!("row {index}")));
    assert_snapshot!(reference("  path: ../data/samples.jsonl\n  domain_field: kind\n", &samples));
}

#[test]
fn a_domain_that_is_a_list() {
    assert_snapshot!(reference("  path: ../data/samples.jsonl\n  domain_field: kind\n", &samples(|_| json!(["a"]))));
}

#[test]
fn a_source_with_a_domain_field_that_names_rows() {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "    format: pairs\n", "    format: pairs\n    domain_field: id\n");
    let mut rows = [pair_rows(), pair_rows()].concat();
    for (index, row) in rows.iter_mut().enumerate() {
        row["id"] = json!(index);
    }
    project.write_rows("data/pairs.jsonl", &rows);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn scoring_by_domain_with_a_registry_that_has_none() {
    let outcome = Project::trained().refused_with_input(
        2,
        &["score", "--threads", "1", "--registry", "registry/run", "--domain-field", "kind"],
        score::GOOD_ROWS,
    );
    assert_eq!(outcome.output, "");
    assert_snapshot!(outcome.errors);
}

#[test]
fn controls_that_cannot_be_meant() {
    assert_snapshot!(head(concat!(
        "  control:\n    - probe: lenght\n    - {probe: length, strength: 2}\n    - {pattern: '(as an'}\n",
        "    - {probe: markdown, mode: penalty}\n    - {probe: refusal, pattern: sorry}\n    - {}\n",
        "    - pattern: x\n    - pattern: x\n",
    )));
}

#[test]
fn losses_that_cannot_be_meant() {
    assert_snapshot!(head("  loss: bradley_tery\n  label_smoothing: 0.5\n  center_rewards_coefficient: -1\n"));
    assert_snapshot!(head("  loss: regression\n  label_smoothing: 0.1\n"));
}

#[test]
fn regression_on_pairs() {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "head:\n", "head:\n  loss: regression\n");
    assert_snapshot!(project.refused(2, &TRAIN));
    project.edit("objectives/safety.yaml", "    format: pairs\n", "");
    assert_snapshot!(project.refused(2, &TRAIN));
}
