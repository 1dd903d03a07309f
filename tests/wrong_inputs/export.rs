//! Exports that cannot be made: readouts, families, heads and normalizers that no classifier holds, and taken folders.

use insta::assert_snapshot;

use crate::families::{decoder, encoder};
use crate::project::{Project, TRAIN};

const EXPORT: [&str; 6] = ["export", "--quiet", "--threads", "1", "--registry", "registry/run"];

/// The message for an export of the project into a folder.
fn export(project: &Project, arguments: &[&str]) -> String {
    project.refused(2, &EXPORT.into_iter().chain(arguments.iter().copied()).collect::<Vec<&str>>())
}

/// The project trained with these keys in place of its layers.
fn trained(project: Project, keys: &str) -> Project {
    project.edit("configs/run.yaml", "layers: [-1]", keys);
    let trained = project.run(&TRAIN, "");
    assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
    project
}

#[test]
fn heads_that_read_a_mean() {
    assert_snapshot!(export(&Project::trained(), &["exported"]));
}

#[test]
fn heads_of_a_decoder_that_read_a_mean() {
    assert_snapshot!(export(&trained(decoder("llama"), "layers: [-1]"), &["exported"]));
}

#[test]
fn heads_that_read_two_layers() {
    assert_snapshot!(export(&trained(Project::new(), "pooling: cls\n  layers: [-1, -2]"), &["exported"]));
}

#[test]
fn heads_of_a_decoder_that_read_an_inner_layer() {
    assert_snapshot!(export(&trained(decoder("qwen2"), "pooling: last_token\n  layers: [-2]"), &["exported"]));
}

#[test]
fn a_folder_that_is_not_empty() {
    assert_snapshot!(export(&Project::trained(), &["data"]));
}

#[test]
fn a_file_in_place_of_the_folder() {
    assert_snapshot!(export(&Project::trained(), &["data/pairs.jsonl"]));
}

#[test]
fn a_family_that_normalizes_what_it_reads() {
    assert_snapshot!(export(&trained(encoder("modernbert-1"), "pooling: cls"), &["exported"]));
}

#[test]
fn a_checkpoint_s_own_head() {
    let project = encoder("bert-1");
    project.edit("objectives/safety.yaml", "head:\n  l2: 1.0\n", "head: pretrained\n");
    assert_snapshot!(export(&trained(project, "layers: [-1]"), &["exported"]));
}

#[test]
fn one_label_of_scores_that_are_bent() {
    let project = Project::new();
    project.edit("objectives/safety.yaml", "name: safety", "name: safety\nnormalizer: win_rate");
    let project = trained(project, "pooling: cls");
    assert_snapshot!(export(&project, &["exported", "--labels", "combined"]));
}

#[test]
fn one_label_of_a_rule_that_is_not_linear() {
    let project = Project::new();
    project.edit("configs/run.yaml", "name: run", "name: run\ncombine: { rule: worst_case }");
    let project = trained(project, "pooling: cls");
    assert_snapshot!(export(&project, &["exported", "--labels", "combined"]));
}

#[test]
fn labels_of_an_unknown_kind() {
    assert_snapshot!(export(&Project::trained(), &["exported", "--labels", "combine"]));
}
