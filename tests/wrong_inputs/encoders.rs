//! Wrong `config.json`, tensors and tokenizers of each encoder family.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::families::{CONFIG, TOKENIZER, change_tensors, encoder};
use crate::project::TRAIN;

/// The message for an encoder whose `config.json` has these fields.
fn config(family: &str, fields: Value) -> String {
    let project = encoder(family);
    let Value::Object(fields) = fields else { panic!("an object of fields") };
    project.edit_json(CONFIG, |config| fields.into_iter().for_each(|(name, value)| config[name] = value));
    project.refused(2, &TRAIN)
}

#[test]
fn a_deberta_with_a_convolution() {
    assert_snapshot!(config("deberta-v2-3", json!({ "conv_kernel_size": 3, "conv_act": "gelu" })));
}

#[test]
fn a_deberta_with_positions_of_an_unknown_kind() {
    assert_snapshot!(config("deberta-v3-1", json!({ "pos_att_type": "p2p|c2p", "position_buckets": "many" })));
}

#[test]
fn a_deberta_of_the_first_version() {
    assert_snapshot!(config("deberta-v3-1", json!({ "model_type": "deberta" })));
}

#[test]
fn a_modernbert_without_a_tensor() {
    let project = encoder("modernbert-1");
    change_tensors(&project, |tensors| assert!(tensors.remove("model.layers.1.attn.Wqkv.weight").is_some()));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_modernbert_with_rotary_embeddings_of_another_kind() {
    let rope = json!({ "full_attention": { "rope_type": "yarn", "rope_theta": 1e5 }, "sliding_attention": {} });
    assert_snapshot!(config("modernbert-1", json!({ "rope_parameters": rope, "local_attention": 0 })));
}

#[test]
fn a_roberta_whose_tokenizer_knows_no_pairs() {
    let project = encoder("roberta-1");
    project.edit_json(TOKENIZER, |tokenizer| {
        tokenizer["post_processor"] = Value::Null;
        tokenizer["added_tokens"] = json!([]);
        tokenizer["model"]["vocab"] = json!({ "a": 0, "b": 1 });
        tokenizer["model"]["unk_token"] = json!("a");
    });
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_roberta_with_the_tokenizer_of_a_larger_model() {
    let project = encoder("roberta-1");
    project.edit_json(TOKENIZER, |tokenizer| tokenizer["model"]["vocab"]["extra"] = json!(50_000));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_distilbert_whose_heads_do_not_divide_its_width() {
    assert_snapshot!(config("distilbert-1", json!({ "n_heads": 3, "activation": "selu" })));
}

#[test]
fn a_bert_with_relative_positions() {
    assert_snapshot!(config("bert-1", json!({ "position_embedding_type": "relative_key" })));
}

#[test]
fn an_encoder_that_decodes() {
    assert_snapshot!(config("bert-1", json!({ "is_decoder": true })));
}

#[test]
fn a_translator() {
    assert_snapshot!(config("bert-1", json!({ "model_type": "t5" })));
}
