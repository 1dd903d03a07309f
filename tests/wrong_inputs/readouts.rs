//! Wrong poolings and layers, and commands that open a backbone without training.

use insta::assert_snapshot;
use serde_json::json;

use crate::families::{CONFIG, WEIGHTS, decoder, encoder};
use crate::project::{Project, TRAIN};

const LAYERS: &str = "layers: [-1]";

/// The message for a project whose readout is set by these keys.
fn keys(project: &Project, keys: &str) -> String {
    project.edit("configs/run.yaml", LAYERS, keys);
    project.refused(2, &TRAIN)
}

#[test]
fn the_first_token_of_a_decoder() {
    assert_snapshot!(keys(&decoder("llama"), "pooling: cls"));
}

#[test]
fn layers_that_a_decoder_does_not_have() {
    assert_snapshot!(keys(&decoder("llama"), "layers: [4, -5]"));
}

#[test]
fn more_tokens_than_a_decoder_has_positions() {
    let project = decoder("llama");
    project.edit("configs/run.yaml", "max_tokens: 32", "max_tokens: 4096");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_pooling_that_is_misspelt() {
    assert_snapshot!(keys(&Project::new(), "pooling: last"));
}

#[test]
fn several_poolings() {
    assert_snapshot!(keys(&Project::new(), "pooling: [mean_all, cls]"));
}

#[test]
fn a_device_and_a_precision_that_are_misspelt() {
    assert_snapshot!(keys(&Project::new(), "device: gpu\n  dtype: float32"));
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_this_build_does_not_have() {
    assert_snapshot!(keys(&Project::new(), "device: cuda:1"));
}

#[test]
fn a_deberta_in_less_than_single_precision() {
    assert_snapshot!(keys(&encoder("deberta-v3-1"), "layers: [-1]\n  dtype: bf16"));
}

#[test]
fn a_modernbert_in_integers() {
    assert_snapshot!(keys(&encoder("modernbert-1"), "layers: [-1]\n  dtype: int8"));
}

#[test]
#[cfg(not(feature = "cuda"))]
fn integers_on_a_card_that_this_build_does_not_have() {
    assert_snapshot!(keys(&encoder("bert-1"), "layers: [-1]\n  dtype: int8\n  device: cuda"));
}

#[test]
fn layers_that_are_no_numbers() {
    assert_snapshot!(keys(&Project::new(), "layers: [last, 0.5]"));
}

#[test]
fn one_layer_without_a_list() {
    assert_snapshot!(keys(&Project::new(), "layers: -1"));
}

#[test]
fn no_layers() {
    assert_snapshot!(keys(&Project::new(), "layers: []"));
}

#[test]
fn a_search_among_layers_that_are_not_there() {
    assert_snapshot!(keys(&Project::new(), "pooling: auto\n  layers: [7]"));
}

#[test]
fn features_of_a_damaged_model() {
    let project = decoder("llama");
    let whole = project.read(WEIGHTS);
    project.write(WEIGHTS, &whole[..1000]);
    assert_snapshot!(project.refused(2, &["features", "--quiet", "--threads", "1", "configs/run.yaml"]));
}

#[test]
fn a_check_of_an_unknown_family() {
    let project = decoder("llama");
    project.edit_json(CONFIG, |config| config["model_type"] = json!("rwkv"));
    assert_snapshot!(project.refused(2, &["validate", "--quiet", "configs/run.yaml"]));
}
