//! Wrong files for `ensemble eval`: of another benchmark, with rows that have no meaning in it, or none at all.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::project::Project;

/// The message of `eval OPTION rows.jsonl` on the trained project, which must be refused as unusable data.
fn refused(option: &str, rows: &[Value]) -> String {
    let project = Project::trained();
    project.write_rows("rows.jsonl", rows);
    project.refused(2, &["eval", "--quiet", "--threads", "1", "--registry", "registry/run", option, "rows.jsonl"])
}

fn reward_bench() -> Value {
    json!({ "prompt": "What?", "chosen": "yes", "rejected": "no", "subset": "hep-js", "id": 1 })
}

fn reward_bench2() -> Value {
    json!({ "id": "m1", "prompt": "What?", "chosen": ["yes"], "rejected": ["no", "a", "b"], "subset": "Math",
        "num_correct": 1, "total_completions": 4 })
}

fn rm_bench() -> Value {
    json!({ "id": 1, "prompt": "What?", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"], "domain": "chat" })
}

fn judge_bench() -> Value {
    json!({ "pair_id": "x", "original_id": 1, "source": "mmlu-pro-law", "question": "What?", "response_A": "yes",
        "response_B": "no", "label": "A>B" })
}

/// A row with some of its fields replaced; null takes a field away.
fn with(mut row: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        if value.is_null() {
            row.as_object_mut().expect("a row").remove(name);
        } else {
            row[name] = value.clone();
        }
    }
    row
}

#[test]
fn the_rows_are_scored_as_they_are() {
    for (option, row) in [
        ("--rewardbench", reward_bench()),
        ("--rewardbench2", reward_bench2()),
        ("--rm-bench", rm_bench()),
        ("--judgebench", judge_bench()),
        ("--all-splits --pairs", reward_bench()),
    ] {
        let project = Project::trained();
        project.write_rows("rows.jsonl", &[row]);
        let command = format!("eval --threads 1 -r registry/run {option} rows.jsonl");
        let outcome = project.run(&command.split(' ').collect::<Vec<&str>>(), "");
        assert_eq!(outcome.code, 0, "{}", outcome.errors);
        assert!(outcome.output.contains("rows.jsonl, 1 row\n"), "{}", outcome.output);
    }
}

#[test]
fn a_subset_that_is_missing() {
    assert_snapshot!(refused(
        "--rewardbench",
        &[reward_bench(), with(reward_bench(), &json!({ "subset": null, "subst": "x" }))]
    ));
}

#[test]
fn an_answer_that_is_a_number() {
    assert_snapshot!(refused(
        "--rewardbench",
        &[with(reward_bench(), &json!({ "rejected": 4 })), with(reward_bench(), &json!({ "prompt": " " }))]
    ));
}

#[test]
fn two_right_answers_in_a_best_of_four() {
    assert_snapshot!(refused(
        "--rewardbench2",
        &[reward_bench2(), with(reward_bench2(), &json!({ "chosen": ["yes", "a"] }))]
    ));
}

#[test]
fn fewer_answers_than_the_row_says() {
    assert_snapshot!(refused("--rewardbench2", &[with(reward_bench2(), &json!({ "rejected": ["no"] }))]));
}

#[test]
fn a_tied_row_with_one_right_answer_and_an_id_of_no_kind() {
    let tied = |id: &str| with(reward_bench2(), &json!({ "subset": "Ties", "id": id }));
    assert_snapshot!(refused("--rewardbench2", &[tied("tied:3"), tied("3")]));
}

#[test]
fn two_styles_instead_of_three() {
    assert_snapshot!(refused("--rm-bench", &[with(rm_bench(), &json!({ "rejected": ["d", "e"] }))]));
}

#[test]
fn a_label_that_is_unknown() {
    let row = |label: &str| with(judge_bench(), &json!({ "label": label }));
    assert_snapshot!(refused(
        "--judgebench",
        &[judge_bench(), row("A=B"), row("tie"), row("A=B"), row("A=B"), row("A=B")]
    ));
}

#[test]
fn an_empty_file_and_one_of_another_benchmark() {
    let project = Project::trained();
    project.write("empty.jsonl", "");
    project.write_rows("best.jsonl", &[reward_bench2(), reward_bench2()]);
    let arguments = ["--rewardbench", "empty.jsonl", "--rm-bench", "best.jsonl", "--pairs", "best.jsonl"];
    let command = ["eval", "--quiet", "--threads", "1", "--registry", "registry/run"];
    assert_snapshot!(project.refused(2, &[&command[..], &arguments].concat()));
}

#[test]
fn files_that_are_missing() {
    let project = Project::trained();
    project.write_rows("data/rewardbench.jsonl", &[reward_bench()]);
    let arguments = ["--rewardbench", "data/reward-bench.jsonl", "--judgebench", "none-*.jsonl"];
    let command = ["eval", "--quiet", "--threads", "1", "--registry", "registry/run"];
    assert_snapshot!(project.refused(2, &[&command[..], &arguments].concat()));
}

#[test]
fn no_benchmark() {
    assert_snapshot!(
        Project::trained().refused(2, &["eval", "--quiet", "--threads", "1", "--registry", "registry/run"])
    );
}

#[test]
fn weights_of_an_objective_that_does_not_exist() {
    let project = Project::trained();
    project.write_rows("rows.jsonl", &[reward_bench()]);
    let command = ["eval", "--quiet", "--threads", "1", "--registry", "registry/run", "--rewardbench", "rows.jsonl"];
    assert_snapshot!(project.refused(2, &[&command[..], &["--weights", "safty=2"]].concat()));
}

#[test]
fn pairs_of_prompts_that_are_trained_on() {
    let rows = ["What?", "When?", "Where?"].map(|prompt| with(reward_bench(), &json!({ "prompt": prompt })));
    assert_snapshot!(refused("--pairs", &rows));
}

#[test]
fn all_splits_without_pairs() {
    let project = Project::trained();
    project.write_rows("rows.jsonl", &[reward_bench()]);
    let command = ["eval", "--quiet", "--threads", "1", "--registry", "registry/run", "--rewardbench", "rows.jsonl"];
    assert_snapshot!(project.refused(2, &[&command[..], &["--all-splits"]].concat()));
}

#[test]
fn other_weights_for_a_report() {
    let project = Project::trained();
    project.write_rows("rows.jsonl", &[reward_bench()]);
    let command = ["eval", "--quiet", "--threads", "1", "--registry", "registry/run", "--rewardbench", "rows.jsonl"];
    let others = ["--weights", "safety=2", "--report", "reports/run"];
    assert_snapshot!(project.refused(2, &[&command[..], &others].concat()));
}

#[test]
fn names_that_steer_a_terminal() {
    let project = Project::trained();
    let name = "ro\u{202e}\u{1b}[31mws\u{2028}.jsonl";
    let subset = "new\u{2066}\u{7}\u{200f}";
    project.write_rows(name, &[reward_bench(), with(reward_bench(), &json!({ "subset": subset }))]);
    let outcome = project.run(&["eval", "--threads", "1", "-r", "registry/run", "--rewardbench", name], "");
    assert_eq!(outcome.code, 0, "{}", outcome.errors);
    let steers = |one: char| one.is_control() && one != '\n' || "\u{202e}\u{2066}\u{200f}\u{2028}".contains(one);
    assert!(!outcome.output.contains(steers), "{:?}", outcome.output);
    let shown =
        ["ro\u{fffd}\u{fffd}[31mws\u{fffd}.jsonl, 2 rows", "new\u{fffd}\u{fffd}\u{fffd}", "Subsets of no section"];
    assert!(shown.iter().all(|text| outcome.output.contains(text)), "{:?}", outcome.output);
}
