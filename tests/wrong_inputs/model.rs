//! Wrong model folders: missing, foreign, damaged and contradictory files, and settings the model cannot follow.

use insta::assert_snapshot;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::backbone::{Stored, Tensors, config, safetensors, tensors, tokenizer};
use crate::project::{Project, TRAIN};

const CONFIG: &str = "backbones/tiny/config.json";
const TOKENIZER: &str = "backbones/tiny/tokenizer.json";
const WEIGHTS: &str = "backbones/tiny/model.safetensors";
const QUERY: &str = "encoder.layer.0.attention.self.query.weight";

/// The message for a model folder whose file `name` holds `content`.
fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let project = Project::new();
    project.write(name, content);
    project.refused(2, &TRAIN)
}

/// The message for a `config.json` with these fields changed.
fn config_with(fields: Value) -> String {
    let mut config = config();
    let Value::Object(fields) = fields else { panic!("an object of fields") };
    fields.into_iter().for_each(|(name, value)| config[name] = value);
    file(CONFIG, config.to_string())
}

/// The message for weights changed by `change`.
fn weights_with(change: impl Fn(&mut Tensors)) -> String {
    let mut tensors = tensors();
    change(&mut tensors);
    file(WEIGHTS, safetensors(&tensors))
}

/// The message for `--set` with one setting of the backbone.
fn set(text: &str) -> String {
    Project::new().refused(2, &TRAIN.into_iter().chain(["--set", text]).collect::<Vec<&str>>())
}

#[test]
fn a_tokenizer_that_is_missing() {
    let project = Project::new();
    project.remove(TOKENIZER);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_folder_without_a_model() {
    let project = Project::new();
    [CONFIG, TOKENIZER, WEIGHTS].into_iter().for_each(|name| project.remove(name));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn weights_in_a_pickle() {
    let project = Project::new();
    project.remove(WEIGHTS);
    project.write("backbones/tiny/pytorch_model.bin", "PK");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn weights_in_several_files() {
    let project = Project::new();
    project.remove(WEIGHTS);
    project.write("backbones/tiny/model.safetensors.index.json", "{}");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_pointer_in_place_of_the_weights() {
    assert_snapshot!(file(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n"));
}

#[test]
fn a_web_page_in_place_of_the_configuration() {
    assert_snapshot!(file(CONFIG, "<!DOCTYPE html>\n<html><body>Not found</body></html>\n"));
}

#[test]
fn a_web_page_in_small_letters() {
    assert_snapshot!(file(TOKENIZER, "\n<!doctype html>\n<html><body>Not found</body></html>\n"));
}

#[test]
fn weights_that_are_empty() {
    assert_snapshot!(file(WEIGHTS, ""));
}

#[test]
fn weights_that_are_cut_short() {
    let whole = safetensors(&tensors());
    assert_snapshot!(file(WEIGHTS, &whole[..whole.len() / 2]));
}

#[test]
fn weights_that_are_no_safetensors() {
    assert_snapshot!(file(WEIGHTS, [0x80u8; 100]));
}

#[test]
fn a_tensor_that_is_missing() {
    assert_snapshot!(weights_with(|tensors| assert!(tensors.remove(QUERY).is_some())));
}

#[test]
fn a_tensor_of_another_shape() {
    assert_snapshot!(weights_with(|tensors| {
        tensors.insert(QUERY.to_owned(), Stored::new(&[16, 8], [0.1; 128]));
    }));
}

#[test]
fn a_tensor_of_another_type() {
    assert_snapshot!(weights_with(|tensors| {
        let whole = Stored { dtype: Dtype::I8, shape: vec![16, 16], bytes: vec![1; 256] };
        tensors.insert(QUERY.to_owned(), whole);
    }));
}

#[test]
fn a_weight_that_is_not_a_number() {
    assert_snapshot!(weights_with(|tensors| {
        let values = (0..256).map(|index| if index == 77 { f32::NAN } else { 0.1 });
        tensors.insert(QUERY.to_owned(), Stored::new(&[16, 16], values));
    }));
}

#[test]
fn tensors_of_another_model() {
    assert_snapshot!(weights_with(|tensors| {
        let renamed = std::mem::take(tensors).into_iter().map(|(name, tensor)| (format!("decoder.{name}"), tensor));
        tensors.extend(renamed);
    }));
}

#[test]
fn weights_without_a_tensor() {
    assert_snapshot!(weights_with(Tensors::clear));
}

#[test]
fn tensors_that_are_wrong_in_several_ways() {
    assert_snapshot!(weights_with(|tensors| {
        let bias = QUERY.replace("weight", "bias");
        tensors.insert(QUERY.to_owned(), Stored::new(&[16, 16], [f32::INFINITY; 256]));
        tensors.insert(bias, Stored { dtype: Dtype::I64, shape: vec![16], bytes: vec![0; 128] });
        tensors.insert("embeddings.LayerNorm.bias".to_owned(), Stored::new(&[8], [0.0; 8]));
        assert!(tensors.remove("encoder.layer.1.output.dense.bias").is_some());
    }));
}

#[test]
fn more_wrong_tensors_than_are_listed() {
    assert_snapshot!(weights_with(|tensors| tensors.retain(|name, _| name.starts_with("embeddings."))));
}

#[test]
fn a_kind_of_model_that_is_not_read() {
    assert_snapshot!(config_with(json!({ "model_type": "t5" })));
}

#[test]
fn heads_that_do_not_divide_the_width() {
    assert_snapshot!(config_with(json!({ "num_attention_heads": 3 })));
}

#[test]
fn sizes_that_are_zero() {
    assert_snapshot!(config_with(json!({ "hidden_size": 0, "num_attention_heads": 0 })));
}

#[test]
fn settings_that_are_not_supported() {
    assert_snapshot!(config_with(json!({ "hidden_act": "silu", "position_embedding_type": "relative_key",
        "layer_norm_eps": 0, "type_vocab_size": 0 })));
}

#[test]
fn a_size_that_is_negative() {
    assert_snapshot!(config_with(json!({ "hidden_size": -16 })));
}

#[test]
fn a_configuration_without_a_field() {
    let mut config = config();
    config.as_object_mut().expect("an object").remove("num_hidden_layers");
    assert_snapshot!(file(CONFIG, config.to_string()));
}

#[test]
fn a_configuration_with_text_for_numbers() {
    assert_snapshot!(config_with(json!({ "hidden_size": "16", "layer_norm_eps": "small" })));
}

#[test]
fn a_setting_that_is_no_text() {
    assert_snapshot!(config_with(json!({ "hidden_act": 3 })));
}

#[test]
fn a_configuration_that_is_no_object() {
    assert_snapshot!(file(CONFIG, "[]"));
}

#[test]
fn a_configuration_that_is_cut_short() {
    assert_snapshot!(file(CONFIG, &config().to_string()[..60]));
}

#[test]
fn a_tokenizer_that_is_cut_short() {
    assert_snapshot!(file(TOKENIZER, &tokenizer().to_string()[..200]));
}

#[test]
fn a_tokenizer_of_another_make() {
    assert_snapshot!(file(TOKENIZER, r#"{"vocab": {"a": 0}}"#));
}

#[test]
fn a_tokenizer_without_the_special_tokens() {
    let mut tokenizer = tokenizer();
    tokenizer["added_tokens"] = json!([]);
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("an object");
    ["[CLS]", "[SEP]"].into_iter().for_each(|token| assert!(vocabulary.remove(token).is_some()));
    assert_snapshot!(file(TOKENIZER, tokenizer.to_string()));
}

#[test]
fn a_token_without_an_embedding() {
    let mut tokenizer = tokenizer();
    tokenizer["model"]["vocab"]["extra"] = json!(5000);
    assert_snapshot!(file(TOKENIZER, tokenizer.to_string()));
}

#[test]
fn layers_that_the_model_does_not_have() {
    assert_snapshot!(set("backbone.layers=[1, 3, -4]"));
}

#[test]
fn layers_that_are_the_same_one() {
    assert_snapshot!(set("backbone.layers=[2, -1]"));
}

#[test]
fn more_tokens_than_the_model_has_positions() {
    assert_snapshot!(set("backbone.max_tokens=128"));
}
