//! Wrong inputs of `ensemble weights`: objectives, files and options that do not exist, and pairs that say nothing.

use insta::assert_snapshot;
use serde_json::json;

use crate::project::Project;

/// The message of `weights ACTION` on the trained project, which must be refused with `code`.
fn refused(project: &Project, code: i32, action: &str, arguments: &[&str]) -> String {
    let command = ["weights", action, "--quiet", "--threads", "1", "--registry", "registry/run"];
    project.refused(code, &[command.as_slice(), arguments].concat())
}

/// A project with `data/holistic.jsonl`: `count` pairs on which `votes` were cast.
fn with_holistic(count: usize, votes: [u32; 2]) -> Project {
    let project = Project::trained();
    let row = |index: usize| json!({ "prompt": format!("What is {index}?"), "chosen": "yes a clear answer", "rejected": "no", "votes": votes });
    project.write_rows("data/holistic.jsonl", &(0..count).map(row).collect::<Vec<_>>());
    project
}

#[test]
fn an_objective_that_the_registry_does_not_have() {
    let arguments = ["--pairs", "safty=data/pairs.jsonl", "--pairs", "data/pairs.jsonl"];
    assert_snapshot!(refused(&Project::trained(), 2, "sweep", &arguments));
}

#[test]
fn files_that_are_missing() {
    let arguments = ["--pairs", "safety=data/pair.jsonl", "--holistic", "data/none-*.jsonl"];
    assert_snapshot!(refused(&Project::trained(), 2, "sweep", &arguments));
}

#[test]
fn a_holistic_file_that_is_missing() {
    assert_snapshot!(refused(&Project::trained(), 2, "fit", &["--holistic", "data/holistc.jsonl"]));
}

#[test]
fn a_file_of_pairs_that_is_missing() {
    assert_snapshot!(refused(&Project::trained(), 2, "flip", &["data/pair.jsonl"]));
}

#[test]
fn a_holistic_file_of_ties() {
    assert_snapshot!(refused(&with_holistic(40, [2, 2]), 2, "fit", &["--holistic", "data/holistic.jsonl"]));
}

#[test]
fn a_holistic_file_of_five_pairs() {
    assert_snapshot!(refused(&with_holistic(5, [3, 1]), 3, "fit", &["--holistic", "data/holistic.jsonl"]));
}

#[test]
fn a_score_where_rows_have_none() {
    let arguments = ["--holistic", "data/pairs.jsonl", "--score", "overall"];
    assert_snapshot!(refused(&Project::trained(), 2, "fit", &arguments));
}

#[test]
fn a_score_for_a_format_without_scores() {
    let arguments = ["--holistic", "data/pairs.jsonl", "--format", "pairs", "--score", "overall"];
    assert_snapshot!(refused(&Project::trained(), 2, "fit", &arguments));
}

#[test]
fn a_format_that_is_unknown() {
    let arguments = ["--holistic", "data/pairs.jsonl", "--format", "pair"];
    assert_snapshot!(refused(&Project::trained(), 2, "fit", &arguments));
}

#[test]
fn a_sweep_without_pairs_into_another_kind_of_file() {
    assert_snapshot!(refused(&Project::trained(), 2, "sweep", &["--output", "sweep.csv"]));
}

#[test]
fn a_step_that_does_not_divide_one() {
    let arguments = ["--holistic", "data/pairs.jsonl", "--step", "0.3"];
    assert_snapshot!(refused(&Project::trained(), 2, "sweep", &arguments));
}

#[test]
fn a_registry_that_is_missing() {
    let command = ["weights", "fit", "--quiet", "--threads", "1", "--registry", "registry/none", "--holistic"];
    assert_snapshot!(Project::trained().refused(3, &[command.as_slice(), &["data/pairs.jsonl"]].concat()));
}
