//! Which `config.json` files are understood, which are refused, and in which words.

use serde_json::{Value, json};

use super::config::DecoderConfig;
use super::tests::json as fixture;

fn read(value: &Value) -> Result<DecoderConfig, String> {
    DecoderConfig::read("m/config.json".as_ref(), value).map_err(|faults| {
        assert!(!faults.is_empty());
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    })
}

/// A fixture's configuration with some fields replaced; those replaced by "-" are taken out.
fn with(case: &str, changes: &Value) -> Value {
    let mut value = fixture(case);
    let object = value.as_object_mut().expect("an object");
    for (field, change) in changes.as_object().expect("an object") {
        if change == "-" {
            object.remove(field);
        } else {
            object.insert(field.clone(), change.clone());
        }
    }
    value
}

#[test]
fn faults_name_the_field_what_was_found_and_what_is_accepted() {
    let cases: [(&str, Value, &str, &str); 26] = [
        ("llama", json!({"model_type": "-"}), "m/config.json: model_type: missing", "llama, mistral, qwen2"),
        ("llama", json!({"model_type": "phi3"}), "model_type: found \"phi3\"", "gemma3_text"),
        ("llama", json!({"vocab_size": "-"}), "vocab_size: missing", "a whole number from 1 to 10000000"),
        ("llama", json!({"hidden_size": null}), "hidden_size: missing", "a whole number"),
        ("llama", json!({"num_attention_heads": 0}), "num_attention_heads: found 0", "from 1 to 1000"),
        ("llama", json!({"num_hidden_layers": 2.5}), "num_hidden_layers: found 2.5", "a whole number"),
        ("llama", json!({"intermediate_size": "40"}), "intermediate_size: found \"40\"", "a whole number"),
        ("llama", json!({"num_key_value_heads": 3}), "3 does not divide num_attention_heads 4", "a divisor"),
        ("llama", json!({"num_attention_heads": 6, "head_dim": "-"}), "6 does not divide hidden_size 32", "a divisor"),
        ("llama", json!({"head_dim": 7}), "head_dim: a head of 7 numbers", "even"),
        ("llama", json!({"hidden_act": "swiglu2"}), "hidden_act: found \"swiglu2\"", "relu, silu"),
        ("gemma3", json!({"hidden_activation": 3}), "hidden_activation: found 3", "gelu_pytorch_tanh"),
        ("llama", json!({"rms_norm_eps": 0}), "rms_norm_eps: found 0", "above 0"),
        ("llama", json!({"attention_bias": "yes"}), "attention_bias: found \"yes\"", "true or false"),
        ("llama", json!({"rope_parameters": {"rope_type": "longrope"}}), "rope_parameters.rope_type: found", "yarn"),
        ("llama", json!({"rope_parameters": {"rope_type": "linear"}}), "rope_parameters.factor: missing", "above 0"),
        ("llama", json!({"rope_parameters": [1]}), "rope_parameters: found [1]", "an object or null"),
        ("llama", json!({"rope_parameters": {"rope_theta": -1}}), "rope_theta: found -1", "above 1"),
        ("llama", json!({"rope_scaling": {"type": "su"}}), "rope_scaling.type: found \"su\"", "llama3"),
        ("llama", json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor: found 0.5", "as a whole"),
        ("llama", json!({"quantization_config": {"bits": 4}}), "quantization_config: found {\"bits\":4}", "GGUF"),
        ("qwen2_tied", json!({"layer_types": ["full_attention"]}), "layer_types: found", "each of the 3 layers"),
        (
            "qwen2",
            json!({"layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
            "some layers",
            "far",
        ),
        ("gemma3", json!({"attn_logit_softcapping": 50.0}), "attn_logit_softcapping: found 50.0", "null or absent"),
        ("gemma3", json!({"use_bidirectional_attention": true}), "use_bidirectional_attention: found true", "false"),
        ("gemma3", json!({"model_type": "gemma3"}), "text_config: missing", "text model"),
    ];
    for (case, changes, found, accepted) in cases {
        let error = read(&with(case, &changes)).expect_err(&changes.to_string());
        assert!(error.contains(found) && error.contains(accepted), "{changes}: {error}");
        assert!(error.contains("help: fetch config.json again"), "{changes}: {error}");
        assert_eq!(error.matches("accepted:").count(), 1, "one fault for {changes}: {error}");
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let changes = json!({"vocab_size": 0, "hidden_act": "x", "rms_norm_eps": "small", "rope_scaling": 1});
    let error = read(&with("llama", &changes)).expect_err("four faults");
    for field in ["vocab_size", "hidden_act", "rms_norm_eps", "rope_scaling"] {
        assert!(error.contains(&format!("m/config.json: {field}: found")), "{field} in {error}");
    }
}

/// Whether every number that the forward pass takes from the configuration is one.
fn usable(config: &DecoderConfig) -> bool {
    let finite = |rotary: &super::rotary::Rotary| {
        let (cosines, sines) = rotary.tables(50).expect("tables");
        let values = |table: &candle_core::Tensor| table.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        [cosines, sines].iter().all(|table| values(table).expect("values").iter().all(|value| value.is_finite()))
    };
    let positive = |number: f64| (number as f32).is_normal() && number > 0.0;
    finite(&config.rotary)
        && finite(&config.sliding_rotary)
        && positive(config.scale)
        && positive(config.epsilon)
        && config.logit_cap.is_none_or(positive)
}

#[test]
fn hostile_values_are_refused_or_read_but_never_a_panic() {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(3),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-0.0),
        json!(1e-308),
        json!(""),
        json!("\u{1b}[31m"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"rope_type": {}}),
        json!({"rope_type": "linear", "factor": 1e-38}),
        json!({"rope_type": "yarn", "factor": 1e-300, "beta_fast": 1e-300}),
        json!({"rope_type": "yarn", "factor": 1e6, "rope_theta": 1.000_000_000_1, "beta_slow": 1e6}),
        json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}),
        json!({"full_attention": 3, "sliding_attention": {"rope_type": "linear", "factor": null}}),
        json!(["full_attention", 1, null]),
        json!("x".repeat(100_000)),
    ];
    let mut refused = 0;
    for case in ["llama", "mistral", "qwen2_tied", "qwen3", "gemma3"] {
        let extra = ["rope_scaling", "rope_theta", "text_config", "sliding_window", "quantization_config"];
        let fields: Vec<String> = fixture(case).as_object().expect("object").keys().cloned().collect();
        for field in fields.iter().map(String::as_str).chain(extra) {
            for value in &values {
                let mut changed = fixture(case);
                changed[field] = value.clone();
                match read(&changed) {
                    Ok(config) => assert!(usable(&config), "{field}: {config:?}"),
                    Err(error) => {
                        assert!(error.len() < 2_000 && !error.contains('\u{1b}'), "{field}: {error}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
    for value in &values {
        assert!(read(value).is_err());
    }
}

#[test]
fn older_files_say_the_same_as_those_of_transformers_5() {
    let old = |case: &str, changes: Value| read(&with(case, &changes)).expect("understood");
    let new = |case: &str| read(&fixture(case)).expect("understood");
    let plain = json!({"rope_parameters": "-", "rope_theta": 100.0, "rope_scaling": null, "torch_dtype": "float32",
        "head_dim": "-"});
    assert_eq!(old("llama", plain), new("llama"));
    let linear = json!({"rope_parameters": "-", "rope_theta": 100, "rope_scaling": {"type": "linear", "factor": 2.5}});
    assert_eq!(old("llama_linear", linear), new("llama_linear"));
    let yarn = json!({"rope_parameters": "-", "rope_theta": 100.0, "rope_scaling":
        {"rope_type": "yarn", "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}});
    assert_eq!(old("llama_yarn", yarn), new("llama_yarn"));
    let gemma = json!({"rope_parameters": "-", "rope_theta": 1000.0, "rope_local_base_freq": 50.0,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0}});
    assert_eq!(old("gemma3", gemma), new("gemma3"));
    assert_eq!(old("qwen2_tied", json!({"layer_types": "-"})), new("qwen2_tied"));
    assert_ne!(new("llama_linear"), new("llama"));
    assert_eq!(new("llama_dynamic"), new("llama"), "they differ only in texts that are too long");
}

#[test]
fn absent_fields_have_the_values_of_transformers() {
    let without = |case: &str, fields: &[&str]| {
        let changes: serde_json::Map<_, _> = fields.iter().map(|field| ((*field).to_owned(), json!("-"))).collect();
        read(&with(case, &Value::Object(changes))).expect("understood")
    };
    let llama = without("llama", &["num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps"]);
    assert_eq!((llama.heads.keys, llama.heads.size, llama.shape.positions, llama.epsilon), (4, 8, 2_048, 1e-6));
    let single = read(&with("llama", &json!({"num_key_value_heads": null}))).expect("understood");
    assert_eq!(single.heads.keys, 4);
    let window = |value: Value| read(&with("mistral", &json!({"sliding_window": value}))).expect("understood").windows;
    assert_eq!(window(json!("-")), [Some(4_096); 3]);
    assert_eq!(window(Value::Null), [None; 3]);
    assert_eq!(without("qwen3", &["head_dim"]).heads.size, 128);
    let windows = |pattern: i32| {
        let changes = json!({"layer_types": "-", "sliding_window_pattern": pattern});
        read(&with("gemma3", &changes)).expect("understood").windows
    };
    assert_eq!(windows(2), [Some(4), None, Some(4)]);
    assert_eq!(windows(6), [Some(4); 3]);
}

/// The text settings as published with the first multimodal Gemma 3 of four billion parameters.
#[test]
fn a_multimodal_gemma_is_its_text_model() {
    let text = json!({"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
        "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024});
    let config = read(&json!({"model_type": "gemma3", "text_config": text})).expect("understood");
    assert_eq!((config.heads.queries, config.heads.keys, config.heads.size), (8, 4, 256));
    assert_eq!((config.shape.vocabulary, config.shape.positions), (262_208, 131_072));
    assert_eq!(config.windows.iter().filter(|window| **window == Some(1_024)).count(), 29);
    assert_eq!(config.windows[5], None);
    assert!(config.tied && config.scale == 1.0 / 16.0);
    assert_eq!(config.shape.line, "Gemma 3, 34 layers, 2560 wide");
    let nested = json!({"model_type": "gemma3", "text_config": fixture("gemma3")});
    assert_eq!(read(&nested), read(&fixture("gemma3")));
    let faulty = json!({"model_type": "gemma3", "text_config": {"head_dim": 0}});
    assert!(read(&faulty).expect_err("refused").contains("m/config.json: text_config.head_dim: found 0"));
}
