//! Wrong uses of a checkpoint's own score head.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::families::{CONFIG, change_tensors, decoder, encoder};
use crate::project::{Project, TRAIN};

/// Lets the objective `safety` take the checkpoint's own score head.
fn with_head(project: &Project, head: &str) {
    project.edit("objectives/safety.yaml", "head:\n  l2: 1.0\n", &format!("head: {head}\n"));
}

fn head(project: &Project, head: &str) -> String {
    with_head(project, head);
    project.refused(2, &TRAIN)
}

#[test]
fn a_pretrained_head_trains() {
    for (project, head) in [(encoder("bert-1"), "pretrained"), (encoder("bert-3"), "{pretrained: harmless}")] {
        with_head(&project, head);
        let trained = project.run(&TRAIN, "");
        assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
    }
}

#[test]
fn a_checkpoint_without_a_score_head() {
    assert_snapshot!(head(&decoder("llama"), "pretrained"));
}

#[test]
fn a_configuration_that_names_no_class() {
    assert_snapshot!(head(&Project::new(), "pretrained"));
}

#[test]
fn several_labels_of_which_none_is_named() {
    assert_snapshot!(head(&encoder("bert-3"), "pretrained"));
}

#[test]
fn a_label_that_is_misspelt() {
    assert_snapshot!(head(&encoder("bert-3"), "{pretrained: harmles}"));
}

#[test]
fn a_label_by_a_number_that_is_too_high() {
    assert_snapshot!(head(&encoder("bert-3"), "{pretrained: '3'}"));
}

#[test]
fn a_label_that_is_no_text() {
    assert_snapshot!(head(&encoder("bert-3"), "{pretrained: true}"));
}

#[test]
fn a_penalty_beside_a_pretrained_head() {
    assert_snapshot!(head(&encoder("bert-1"), "{pretrained: LABEL_0, l2: 1.0, folds: 3}"));
}

#[test]
fn a_head_that_is_misspelt() {
    assert_snapshot!(head(&encoder("bert-1"), "pretained"));
}

#[test]
fn labels_that_have_no_names() {
    let project = encoder("bert-3");
    project.edit_json(CONFIG, |config| config["id2label"] = json!({ "1": "harmless", "7": Value::Null }));
    assert_snapshot!(head(&project, "pretrained"));
}

#[test]
fn a_score_head_that_is_not_in_the_weights() {
    let project = encoder("bert-1");
    change_tensors(&project, |tensors| tensors.retain(|name, _| !name.starts_with("classifier.")));
    assert_snapshot!(head(&project, "pretrained"));
}

#[test]
fn a_score_head_of_another_width() {
    let project = encoder("bert-3");
    project.edit_json(CONFIG, |config| config["id2label"] = json!({ "0": "helpful", "1": "harmless" }));
    assert_snapshot!(head(&project, "{pretrained: harmless}"));
}
