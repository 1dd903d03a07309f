//! Wrong command lines.

use insta::assert_snapshot;

use crate::project::Project;

/// The message for these arguments.
fn refused(arguments: &[&str]) -> String {
    Project::new().refused(2, arguments)
}

#[test]
fn a_flag_that_is_unknown() {
    assert_snapshot!(refused(&["train-all", "configs/run.yaml", "--dry-rum"]));
}

#[test]
fn a_command_that_is_unknown() {
    assert_snapshot!(refused(&["train", "configs/run.yaml"]));
}

#[test]
fn an_argument_that_is_missing() {
    assert_snapshot!(refused(&["train-all"]));
}

#[test]
fn a_registry_that_is_not_named() {
    assert_snapshot!(refused(&["score"]));
}

#[test]
fn no_threads() {
    assert_snapshot!(refused(&["train-all", "configs/run.yaml", "--threads", "0"]));
}

#[test]
fn threads_that_are_no_number() {
    assert_snapshot!(refused(&["train-all", "configs/run.yaml", "--threads", "two"]));
}

#[test]
fn a_device_that_is_unknown() {
    assert_snapshot!(refused(&["train-all", "configs/run.yaml", "--device", "gpu"]));
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_registry_on_a_device_that_this_build_does_not_have() {
    let project = Project::trained();
    assert_snapshot!(project.refused(2, &["score", "--registry", "registry/run", "--device", "cuda"]));
}

#[test]
fn the_device_of_the_command_line_stands_for_the_config_s() {
    let project = Project::new();
    project.edit("configs/run.yaml", "max_tokens: 32", "max_tokens: 32\n  device: cuda:99");
    let checked = project.run(&["validate", "configs/run.yaml", "--json", "--device", "cpu"], "");
    assert_eq!((checked.code, checked.errors.as_str()), (0, ""));
    let shown: serde_json::Value = serde_json::from_str(&checked.output).expect("JSON");
    assert_eq!((&shown["device"], &shown["dtype"]), (&"cpu".into(), &"f32".into()));
}

#[test]
fn an_empty_batch() {
    let project = Project::trained();
    assert_snapshot!(project.refused(2, &["score", "--registry", "registry/run", "--batch-size", "0"]));
}

#[test]
fn weights_that_cannot_be_used() {
    let project = Project::trained();
    let bad = ["qualty=2", "safety", "safety=heavy", "safety=NaN", "quality=1e9", "="];
    let flags = bad.into_iter().flat_map(|text| ["--weights", text]);
    let arguments: Vec<&str> =
        ["score", "--threads", "1", "--registry", "registry/run"].into_iter().chain(flags).collect();
    assert_snapshot!(project.refused(2, &arguments));
}

#[test]
fn weights_that_are_all_zero() {
    let project = Project::trained();
    let weights = ["--weights", "quality=0", "--weights", "safety=0"];
    let arguments = [["score", "--threads", "1", "--registry", "registry/run"].as_slice(), &weights].concat();
    assert_snapshot!(project.refused(2, &arguments));
}

#[test]
fn weights_in_one_list() {
    let project = Project::trained();
    let weights = ["--weights", "quality=0.5,safty=0.4,,safety=1"];
    let arguments = [["score", "--threads", "1", "--registry", "registry/run"].as_slice(), &weights].concat();
    assert_snapshot!(project.refused(2, &arguments));
}

#[test]
fn an_example_where_one_stands_already() {
    let project = Project::new();
    project.write("demo/configs/demo.yaml", "mine");
    project.write("demo/objectives/safety.yaml", "mine");
    assert_snapshot!(project.refused(2, &["init", "demo"]));
}

#[test]
fn a_schema_of_something_else() {
    assert_snapshot!(refused(&["schema", "runs"]));
}
