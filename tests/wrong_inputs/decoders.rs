//! Wrong `config.json`, tensors and tokenizers of each decoder family.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::families::{CONFIG, change_tensors, decoder};
use crate::project::TRAIN;

/// The message for a decoder whose `config.json` has these fields; null removes one.
fn config(family: &str, fields: Value) -> String {
    let project = decoder(family);
    let Value::Object(fields) = fields else { panic!("an object of fields") };
    project.edit_json(CONFIG, |config| {
        let config = config.as_object_mut().expect("an object");
        for (name, value) in fields {
            if value.is_null() {
                assert!(config.remove(&name).is_some());
            } else {
                config.insert(name, value);
            }
        }
    });
    project.refused(2, &TRAIN)
}

#[test]
fn a_rotary_embedding_of_an_unknown_kind() {
    assert_snapshot!(config("llama", json!({ "rope_parameters": { "rope_type": "longrope", "factor": 4.0 } })));
}

#[test]
fn a_rotary_embedding_without_its_factor() {
    assert_snapshot!(config("llama", json!({ "rope_scaling": { "type": "linear" }, "rope_parameters": null })));
}

#[test]
fn a_rotary_embedding_with_factors_in_the_wrong_order() {
    let rope = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1 });
    assert_snapshot!(config("llama", json!({ "rope_parameters": rope })));
}

#[test]
fn a_rotary_embedding_that_is_no_object() {
    assert_snapshot!(config("mistral", json!({ "rope_parameters": "linear" })));
}

#[test]
fn heads_that_do_not_divide_the_width() {
    assert_snapshot!(config("qwen2", json!({ "num_attention_heads": 5 })));
}

#[test]
fn heads_of_keys_that_do_not_divide_those_of_queries() {
    assert_snapshot!(config("qwen3", json!({ "num_key_value_heads": 3 })));
}

#[test]
fn a_width_that_is_missing() {
    assert_snapshot!(config("llama", json!({ "hidden_size": null, "num_hidden_layers": 0 })));
}

#[test]
fn weights_that_are_quantised() {
    assert_snapshot!(config("llama", json!({ "quantization_config": { "quant_method": "gptq", "bits": 4 } })));
}

#[test]
fn a_window_that_is_negative() {
    assert_snapshot!(config("mistral", json!({ "sliding_window": -5 })));
}

#[test]
fn kinds_of_layers_that_are_not_known() {
    assert_snapshot!(config("qwen3", json!({ "layer_types": ["full_attention", "linear_attention"] })));
}

#[test]
fn attention_that_is_capped() {
    assert_snapshot!(config("gemma3", json!({ "attn_logit_softcapping": 50.0, "query_pre_attn_scalar": -1 })));
}

#[test]
fn a_multimodal_model_without_its_text_model() {
    assert_snapshot!(config("gemma3", json!({ "model_type": "gemma3" })));
}

#[test]
fn a_mixture_of_experts() {
    assert_snapshot!(config("llama", json!({ "model_type": "mixtral", "architectures": ["MixtralForCausalLM"] })));
}

#[test]
fn a_family_that_is_written_otherwise() {
    assert_snapshot!(config("llama", json!({ "model_type": "Llama" })));
}

#[test]
fn a_family_that_is_missing() {
    assert_snapshot!(config("llama", json!({ "model_type": null })));
}

#[test]
fn an_activation_that_is_unknown() {
    assert_snapshot!(config("qwen2", json!({ "hidden_act": "swish6" })));
}

#[test]
fn a_configuration_of_a_larger_model() {
    assert_snapshot!(config("llama", json!({ "hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 4 })));
}

#[test]
fn a_configuration_of_another_family() {
    assert_snapshot!(config("llama", json!({ "model_type": "qwen3" })));
}

#[test]
fn more_word_pieces_than_rows() {
    let project = decoder("llama");
    project.edit_json(CONFIG, |config| config["vocab_size"] = json!(40));
    change_tensors(&project, |tensors| {
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            let stored = tensors.get_mut(name).expect("the tensor");
            stored.bytes.truncate(stored.bytes.len() / stored.shape[0] * 40);
            stored.shape[0] = 40;
        }
    });
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_norm_that_is_missing() {
    let project = decoder("gemma3");
    change_tensors(&project, |tensors| {
        tensors.retain(|name, _| !name.ends_with("pre_feedforward_layernorm.weight"));
    });
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn weights_that_are_too_large_for_half_a_precision() {
    let project = decoder("llama");
    change_tensors(&project, |tensors| {
        let stored = tensors.get_mut("model.layers.1.mlp.up_proj.weight").expect("the tensor");
        stored.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    assert_snapshot!(project.refused(2, &TRAIN));
}
