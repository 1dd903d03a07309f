//! What is refused in a `config.json`, and in which words.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::score_head::ScoreHead;
use crate::error::Fault;
use crate::files;

/// The fixture's configuration with these fields changed; null takes one away.
fn config(name: &str, changes: &Value) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encoders");
    let text = files::read_text(&folder.join(name).join("config.json"), "the configuration").expect("fixture");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    for (field, value) in changes.as_object().expect("an object") {
        config[field] = value.clone();
    }
    config
}

fn worded(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

/// The message for a configuration that is refused.
fn refused(name: &str, changes: &Value) -> String {
    match super::read(Path::new("config.json"), &config(name, changes)) {
        Ok(_) => panic!("{name} with {changes} is accepted"),
        Err(faults) => worded(&faults),
    }
}

fn accepted(name: &str, changes: &Value) {
    if let Err(faults) = super::read(Path::new("config.json"), &config(name, changes)) {
        panic!("{name} with {changes}: {}", worded(&faults));
    }
}

#[track_caller]
fn assert_fault(name: &str, changes: &Value, words: &[&str]) {
    let message = refused(name, changes);
    for word in words {
        assert!(message.contains(word), "{name} with {changes} says\n{message}without {word:?}");
    }
}

#[test]
fn sizes_are_checked_in_every_family() {
    for name in ["bert-1", "roberta-1", "modernbert-1", "deberta-v3-1"] {
        let words = ["config.json: hidden_size: found 0", "a whole number from 1 to 65536"];
        assert_fault(name, &json!({ "hidden_size": 0 }), &words);
        assert_fault(
            name,
            &json!({ "num_attention_heads": 3 }),
            &["num_attention_heads: 3 does not divide hidden_size 16"],
        );
        assert_fault(name, &json!({ "vocab_size": null }), &["vocab_size: missing"]);
        assert_fault(
            name,
            &json!({ "num_hidden_layers": 1_000_000_000_000u64 }),
            &["num_hidden_layers: found 1000000000000"],
        );
        assert_fault(name, &json!({ "max_position_embeddings": "48" }), &["max_position_embeddings: found \"48\""]);
        assert_fault(name, &json!({ "is_decoder": true }), &["is_decoder: found true, which is not supported"]);
    }
    assert_fault("distilbert-1", &json!({ "dim": -16 }), &["dim: found -16"]);
    assert_fault("distilbert-1", &json!({ "n_heads": 5 }), &["n_heads: 5 does not divide dim 16"]);
}

#[test]
fn every_fault_is_reported_at_once_with_what_to_do() {
    let message = refused(
        "bert-1",
        &json!({ "hidden_size": 0, "hidden_act": "mish", "type_vocab_size": 0,
        "layer_norm_eps": 2, "position_embedding_type": 3, "is_decoder": 1 }),
    );
    assert_eq!(message.matches("config.json: ").count(), 6, "{message}");
    assert!(message.ends_with("help: fetch config.json again, or choose another model\n"), "{message}");
}

#[test]
fn a_family_is_found_by_its_classes_where_model_type_is_left_out() {
    for name in ["bert-1", "distilbert-1", "roberta-1", "xlm-roberta-3", "modernbert-1", "deberta-v2-3"] {
        accepted(name, &json!({ "model_type": null }));
    }
    let nothing = json!({ "model_type": null, "architectures": null });
    assert_fault("bert-1", &nothing, &["model_type: missing", "deberta-v2", "xlm-roberta"]);
    assert_fault("bert-1", &json!({ "model_type": "deberta" }), &["model_type: found \"deberta\""]);
    assert_fault("bert-1", &json!({ "model_type": ["bert"] }), &["model_type: found [\"bert\"]"]);
    for other in [json!([]), json!(null), json!("bert"), json!(3)] {
        assert!(super::read(Path::new("config.json"), &other).is_err(), "{other}");
    }
}

#[test]
fn bert_settings() {
    assert_fault("bert-1", &json!({ "hidden_act": "mish" }), &["hidden_act: found \"mish\"", "gelu, gelu_new"]);
    assert_fault("bert-1", &json!({ "layer_norm_eps": 0 }), &["layer_norm_eps: found 0"]);
    let relative = json!({ "position_embedding_type": "relative_key" });
    assert_fault("bert-1", &relative, &["position_embedding_type: found \"relative_key\"", "absolute"]);
    assert_fault("bert-1", &json!({ "type_vocab_size": 0 }), &["type_vocab_size: found 0"]);
    accepted("bert-1", &json!({ "type_vocab_size": 1 }));
    assert_fault("distilbert-1", &json!({ "activation": "silu" }), &["activation: found \"silu\""]);
}

#[test]
fn roberta_positions_begin_after_the_padding() {
    let architecture = super::read(Path::new("config.json"), &config("roberta-1", &json!({}))).expect("accepted");
    assert_eq!(architecture.shape().positions, 48 - 1 - 1);
    let words = ["max_position_embeddings: 2 leaves no position", "more than pad_token_id + 1, which is 2"];
    assert_fault("roberta-1", &json!({ "max_position_embeddings": 2 }), &words);
    assert_fault("roberta-1", &json!({ "pad_token_id": 64 }), &["pad_token_id: found 64", "from 0 to 63"]);
}

#[test]
fn modernbert_settings() {
    assert_fault("modernbert-1", &json!({ "hidden_activation": "mish" }), &["hidden_activation: found \"mish\""]);
    assert_fault("modernbert-1", &json!({ "layer_types": ["full_attention"] }), &["a list of 4 names"]);
    assert_fault("modernbert-1", &json!({ "layer_types": ["a", "b", "c", "d"] }), &["layer_types: found [\"a\""]);
    assert_fault("modernbert-1", &json!({ "num_attention_heads": 16 }), &["16 heads are 1 wide"]);
    assert_fault("modernbert-1", &json!({ "local_attention": 0 }), &["local_attention: found 0"]);
    assert_fault("modernbert-3", &json!({ "global_attn_every_n_layers": 0 }), &["global_attn_every_n_layers: found 0"]);
    assert_fault("modernbert-3", &json!({ "global_rope_theta": -1 }), &["global_rope_theta: found -1"]);
    assert_fault("modernbert-3", &json!({ "rope_scaling": { "factor": 2 } }), &["rope_scaling: found {\"factor\":2}"]);
    let scaled = json!({ "rope_parameters": { "full_attention": { "rope_type": "yarn", "rope_theta": 1e4 } } });
    assert_fault("modernbert-1", &scaled, &["rope_parameters.full_attention.rope_type: found \"yarn\""]);
    assert_fault("modernbert-1", &json!({ "rope_parameters": { "rope_theta": 1e4 } }), &["rope_parameters: found"]);
}

#[test]
fn deberta_settings() {
    assert_fault(
        "deberta-v3-1",
        &json!({ "conv_kernel_size": 3 }),
        &["conv_kernel_size: found 3", "without a convolution"],
    );
    assert_fault("deberta-v3-1", &json!({ "pos_att_type": "p2p|c2p" }), &["pos_att_type: found \"p2p|c2p\""]);
    assert_fault(
        "deberta-v3-1",
        &json!({ "norm_rel_ebd": "batch" }),
        &["norm_rel_ebd: found \"batch\"", "none, layer_norm"],
    );
    assert_fault("deberta-v3-1", &json!({ "embedding_size": 8 }), &["embedding_size: found 8", "16"]);
    assert_fault("deberta-v3-1", &json!({ "position_buckets": 2 }), &["2 buckets for 48 relative positions"]);
    assert_fault("deberta-v3-1", &json!({ "position_buckets": 2.5 }), &["position_buckets: found 2.5"]);
    assert_fault(
        "deberta-v3-1",
        &json!({ "share_att_key": "yes" }),
        &["share_att_key: found \"yes\"", "true or false"],
    );
    accepted("deberta-v3-1", &json!({ "conv_kernel_size": 0, "position_buckets": -1 }));
    accepted("deberta-v3-1", &json!({ "pos_att_type": ["p2c"], "relative_attention": false }));
}

/// The message of a score head that is refused.
fn headless(name: &str, changes: &Value) -> String {
    let described = ScoreHead::describe(Path::new("config.json"), &config(name, changes));
    worded(&described.err().unwrap_or_else(|| panic!("{name} with {changes} is accepted")))
}

#[test]
fn a_checkpoint_without_a_score_head_says_so() {
    let message = headless("bert-1", &json!({ "architectures": ["BertModel"] }));
    assert!(message.contains("architectures: found [\"BertModel\"], which has no score head"), "{message}");
    assert!(message.contains("ForSequenceClassification"), "{message}");
    assert!(headless("bert-1", &json!({ "architectures": null })).contains("architectures: missing"));
    assert!(headless("bert-1", &json!({ "id2label": { "1": "good" } })).contains("id2label: found"));
    assert!(headless("bert-1", &json!({ "id2label": {} })).contains("id2label: found {}"));
    let unnamed = json!({ "id2label": null, "num_labels": 0 });
    assert!(headless("bert-1", &unnamed).contains("num_labels: found 0"));
    assert!(headless("modernbert-1", &json!({ "classifier_pooling": "max" })).contains("cls, mean"));
    assert!(headless("deberta-v3-1", &json!({ "pooler_hidden_act": "mish" })).contains("pooler_hidden_act"));
}
