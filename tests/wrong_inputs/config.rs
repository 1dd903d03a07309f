//! Wrong configurations: the run's YAML file, the objectives' files and `--set`.

use insta::assert_snapshot;

use crate::project::{Project, TRAIN};

const RUN: &str = "configs/run.yaml";
const QUALITY: &str = "objectives/quality.yaml";

/// The message for a project whose file `name` has `new` in place of `old`.
fn edited(name: &str, old: &str, new: &str) -> String {
    let project = Project::new();
    project.edit(name, old, new);
    project.refused(2, &TRAIN)
}

/// The message for a project whose run file holds `content`.
fn replaced(content: impl AsRef<[u8]>) -> String {
    let project = Project::new();
    project.write(RUN, content);
    project.refused(2, &TRAIN)
}

/// The message for `--set` with `overrides`.
fn set(overrides: &[&str]) -> String {
    let flags = overrides.iter().flat_map(|text| ["--set", *text]);
    Project::new().refused(2, &TRAIN.into_iter().chain(flags).collect::<Vec<&str>>())
}

#[test]
fn an_unknown_key_gets_a_suggestion() {
    assert_snapshot!(edited(RUN, "max_tokens", "max_token"));
}

#[test]
fn an_unknown_key_of_an_objective_gets_a_suggestion() {
    assert_snapshot!(edited(QUALITY, "labels", "lables"));
}

#[test]
fn several_faults_are_reported_at_once() {
    let project = Project::new();
    project.edit(RUN, "max_tokens: 32", "max_tokens: many\n  poolin: cls");
    project.edit(RUN, "weight: 0.5", "weight: -0.5");
    project.edit(QUALITY, "labels: human", "labels: humans");
    project.edit(QUALITY, "rated.jsonl", "ratd.jsonl");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn an_objective_that_stands_twice() {
    assert_snapshot!(edited(RUN, "safety.yaml", "quality.yaml"));
}

#[test]
fn values_of_other_types() {
    let project = Project::new();
    project.edit(RUN, "layers: [-1]", "layers: -1");
    project.edit(RUN, "weight: 1.0", "weight: heavy");
    project.edit(RUN, "name: run", "name: [run]");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_list_where_a_mapping_belongs() {
    assert_snapshot!(replaced("- name: run\n- backbone: x\n"));
}

#[test]
fn a_weight_that_is_not_a_number() {
    assert_snapshot!(edited(RUN, "weight: 1.0", "weight: .nan"));
}

#[test]
fn a_weight_beyond_all_numbers() {
    assert_snapshot!(edited(RUN, "weight: 1.0", "weight: 1e999"));
}

#[test]
fn weights_that_are_all_zero() {
    let project = Project::new();
    project.edit(RUN, "weight: 1.0", "weight: 0");
    project.edit(RUN, "weight: 0.5", "weight: 0");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_negative_weight() {
    assert_snapshot!(edited(RUN, "weight: 1.0", "weight: -1"));
}

#[test]
fn a_run_file_that_is_missing() {
    assert_snapshot!(Project::new().refused(2, &["train-all", "configs/rnu.yaml"]));
}

#[test]
fn a_folder_in_place_of_the_run_file() {
    assert_snapshot!(Project::new().refused(2, &["train-all", "configs"]));
}

#[test]
fn an_objective_file_that_is_missing() {
    assert_snapshot!(edited(RUN, "quality.yaml", "qualty.yaml"));
}

#[test]
fn a_backbone_folder_that_is_missing() {
    assert_snapshot!(edited(RUN, "backbones/tiny", "backbones/tniy"));
}

#[test]
fn a_tab_in_the_indentation() {
    assert_snapshot!(edited(RUN, "  max_tokens", "\tmax_tokens"));
}

#[test]
fn a_bracket_that_is_not_closed() {
    assert_snapshot!(edited(RUN, "[-1]", "[-1"));
}

#[test]
fn a_key_that_stands_twice() {
    assert_snapshot!(edited(RUN, "name: run", "name: run\nname: again"));
}

#[test]
fn an_empty_run_file() {
    assert_snapshot!(replaced(""));
}

#[test]
fn a_run_file_of_comments_alone() {
    assert_snapshot!(replaced("# nothing yet\n"));
}

#[test]
fn a_run_file_in_another_encoding() {
    let text: Vec<u8> = "name: run\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_snapshot!(replaced([b"\xff\xfe".to_vec(), text].concat()));
}

#[test]
fn a_run_file_of_a_newer_format() {
    assert_snapshot!(edited(RUN, "name: run", "version: 2\nname: run"));
}

#[test]
fn a_word_that_is_not_among_the_choices() {
    assert_snapshot!(edited(RUN, "max_tokens: 32", "pooling: mean_respnse"));
}

#[test]
fn a_variable_that_is_not_set() {
    assert_snapshot!(edited(RUN, "../backbones", "${ENSEMBLE_TEST_NEVER_SET}/backbones"));
}

#[test]
fn a_name_that_is_no_name() {
    assert_snapshot!(edited(RUN, "name: run", "name: My Run"));
}

#[test]
fn a_run_without_objectives() {
    let project = Project::new();
    project.write(RUN, "name: run\nbackbone: { path: ../backbones/tiny }\nobjectives: []\n");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn required_keys_that_are_missing() {
    let project = Project::new();
    project.write(QUALITY, "name: quality\ndata:\n  - format: rated\n");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_grid_that_does_not_ascend() {
    assert_snapshot!(edited(QUALITY, "l2: 1.0", "l2_grid: [1, 10, 10, 100]"));
}

#[test]
fn a_key_that_the_format_has_no_use_for() {
    assert_snapshot!(edited("objectives/safety.yaml", "format: pairs", "format: pairs\n    min_gap: 2"));
}

/// The message for a run that combines by `combine`.
fn combined(combine: &str) -> String {
    edited(RUN, "name: run", &format!("name: run\ncombine: {combine}"))
}

#[test]
fn a_key_of_combine_that_is_unknown() {
    assert_snapshot!(combined("{ rule: soft_min, taw: 0.5, tau: 0.5 }"));
}

#[test]
fn keys_of_combine_that_the_rule_has_no_use_for() {
    assert_snapshot!(combined("{ rule: soft_min, tau: 0.5, lambda: 2, floors: { safety: 0 } }"));
}

#[test]
fn keys_of_combine_that_the_rule_needs() {
    assert_snapshot!(combined("{ rule: gate }"));
}

#[test]
fn a_floor_of_an_unknown_objective() {
    assert_snapshot!(combined("{ rule: constrained, floors: { saftey: 0.0 }, lambda: 2 }"));
}

#[test]
fn a_geometric_mean_of_z_scores() {
    let project = Project::new();
    project.edit(RUN, "name: run", "name: run\ncombine: { rule: geometric }");
    project.edit(QUALITY, "name: quality", "name: quality\nnormalizer: zscore");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_negative_weight_in_a_worst_case() {
    let project = Project::new();
    project.edit(RUN, "name: run", "name: run\ncombine: { rule: worst_case }");
    project.edit(RUN, "weight: 0.5", "weight: -0.5\n    allow_negative: true");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_file_in_place_of_the_registry() {
    let project = Project::new();
    project.write("taken", "a file");
    project.edit(RUN, "name: run", "name: run\noutput: { registry: ../taken }");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn set_with_unknown_keys() {
    assert_snapshot!(set(&["backbone.max_token=64", "objectives.qualty.weight=2", "objectives.quality.wieght=2"]));
}

#[test]
fn set_with_unusable_values() {
    assert_snapshot!(set(&["backbone.max_tokens=many", "backbone.pooling=max", "objectives.quality.weight=-1"]));
}

#[test]
fn set_without_an_equals_sign() {
    assert_snapshot!(set(&["backbone.max_tokens", "=2", "name.first=x"]));
}
