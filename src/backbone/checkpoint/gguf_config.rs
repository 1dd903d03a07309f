//! What a GGUF file says of its model, in the words of the `config.json` that transformers would have.

use serde_json::{Map, Value, json};

use super::gguf::{Family, Gguf};
use crate::error::{Error, Fault, Result};

/// Llama 3.1's rotary scaling, the same in 3.2 and 3.3 but for the factor (arXiv 2407.21783 and the published
/// config.json files): low and high frequency factors, and the context length of the first training.
const LLAMA3: (f64, f64, f64) = (1.0, 4.0, 8192.0);

/// The configuration of the model in `gguf`.
///
/// # Errors
/// [`Error::Model`] with every key that is missing or says something that is not read.
pub(super) fn config(gguf: &Gguf) -> Result<Value> {
    let mut faults = Vec::new();
    let mut config = sizes(gguf, &mut faults);
    config.extend(words(gguf));
    let width = attention(gguf, &mut config, &mut faults);
    match rope(gguf, width) {
        Ok(rope) => config.extend(rope),
        Err(Error::Model(fault)) => faults.extend(fault),
        Err(error) => return Err(error),
    }
    if gguf.whole("*.expert_count").is_some_and(|experts| experts > 0) {
        let fault = gguf.fault("*.expert_count", gguf.shown("*.expert_count"));
        faults.push(fault.accepts("none").help("mixtures of experts are not read: choose a dense model"));
    }
    if faults.is_empty() { Ok(Value::Object(config)) } else { Err(Error::Model(faults)) }
}

/// The sizes that every family names.
fn sizes(gguf: &Gguf, faults: &mut Vec<Fault>) -> Map<String, Value> {
    let mut config = Map::new();
    for (key, name) in [
        ("*.embedding_length", "hidden_size"),
        ("*.block_count", "num_hidden_layers"),
        ("*.feed_forward_length", "intermediate_size"),
        ("*.attention.head_count", "num_attention_heads"),
        ("*.context_length", "max_position_embeddings"),
    ] {
        match gguf.whole(key) {
            Some(size) if size > 0 => {
                config.insert(name.to_owned(), json!(size));
            }
            _ => faults.push(unusable(gguf, key, "a whole number from 1")),
        }
    }
    match gguf.number("*.attention.layer_norm_rms_epsilon") {
        Some(epsilon) => {
            config.insert("rms_norm_eps".to_owned(), json!(epsilon));
        }
        None => faults.push(unusable(gguf, "*.attention.layer_norm_rms_epsilon", "a number")),
    }
    if let Some([rows, _]) = gguf.tensors().get("token_embd.weight").map(|tensor| tensor.shape.dims()) {
        config.insert("vocab_size".to_owned(), json!(rows));
    } else {
        let fault = Fault::new(gguf.path.display(), "tensor token_embd.weight is missing or is no matrix");
        faults.push(fault.help("fetch the model again"));
    }
    config
}

/// What follows from the family and from which tensors there are.
fn words(gguf: &Gguf) -> Map<String, Value> {
    let (kind, class, activation) = match gguf.family {
        Family::Llama => ("llama", "LlamaForCausalLM", "silu"),
        Family::Qwen2 => ("qwen2", "Qwen2ForCausalLM", "silu"),
        Family::Qwen3 => ("qwen3", "Qwen3ForCausalLM", "silu"),
        Family::Gemma3 => ("gemma3_text", "Gemma3ForCausalLM", "gelu_pytorch_tanh"),
    };
    let has = |name: &str| gguf.tensors().contains_key(name);
    let mut config = Map::new();
    config.insert("model_type".to_owned(), json!(kind));
    config.insert("architectures".to_owned(), json!([class]));
    config.insert("hidden_act".to_owned(), json!(activation));
    config.insert("tie_word_embeddings".to_owned(), json!(!has("output.weight")));
    config.insert("bos_token_id".to_owned(), json!(gguf.whole("tokenizer.ggml.bos_token_id")));
    config.insert("eos_token_id".to_owned(), json!(gguf.whole("tokenizer.ggml.eos_token_id")));
    if gguf.family == Family::Gemma3 {
        config.insert("hidden_activation".to_owned(), json!(activation));
    }
    // Qwen2's biases are part of its architecture and no setting.
    if matches!(gguf.family, Family::Llama | Family::Qwen3) {
        config.insert("attention_bias".to_owned(), json!(has("blk.0.attn_q.bias")));
    }
    if gguf.family == Family::Llama {
        config.insert("mlp_bias".to_owned(), json!(has("blk.0.ffn_gate.bias")));
    }
    config
}

/// Heads, their width and Gemma's windows; gives the width.
fn attention(gguf: &Gguf, config: &mut Map<String, Value>, faults: &mut Vec<Fault>) -> u64 {
    let heads = gguf.whole("*.attention.head_count").unwrap_or(1).max(1);
    let hidden = gguf.whole("*.embedding_length").unwrap_or(1);
    let pairs = match gguf.whole("*.attention.head_count_kv") {
        Some(pairs) => pairs,
        None if gguf.has("*.attention.head_count_kv") => {
            faults.push(unusable(gguf, "*.attention.head_count_kv", "one whole number for all layers"));
            heads
        }
        None => heads,
    };
    let width = gguf.whole("*.attention.key_length").unwrap_or(hidden / heads);
    config.insert("num_key_value_heads".to_owned(), json!(pairs));
    config.insert("head_dim".to_owned(), json!(width));
    if gguf.family == Family::Gemma3 {
        // Of the published sizes only 27B (62 layers) scales attention by another number than the heads' width.
        let largest = gguf.whole("*.block_count") == Some(62);
        config.insert("query_pre_attn_scalar".to_owned(), json!(if largest { hidden / heads } else { width }));
        match gguf.whole("*.attention.sliding_window") {
            Some(window) => {
                config.insert("sliding_window".to_owned(), json!(window));
            }
            None => faults.push(unusable(gguf, "*.attention.sliding_window", "a whole number")),
        }
        let pattern = gguf.whole("*.attention.sliding_window_pattern").unwrap_or(6);
        config.insert("sliding_window_pattern".to_owned(), json!(pattern));
    }
    width
}

/// The rotary embedding's base and scaling.
fn rope(gguf: &Gguf, width: u64) -> Result<Map<String, Value>> {
    let gemma = gguf.family == Family::Gemma3;
    let base = gguf.number("*.rope.freq_base").unwrap_or(if gemma { 1_000_000.0 } else { 10_000.0 });
    let mut config = Map::new();
    config.insert("rope_theta".to_owned(), json!(base));
    if gemma {
        config.insert("rope_local_base_freq".to_owned(), json!(10_000.0));
    }
    if gguf.whole("*.rope.dimension_count").is_some_and(|rotated| rotated != width) {
        let fault = unusable(gguf, "*.rope.dimension_count", &format!("{width}, the width of a head"));
        return Err(Error::Model(vec![fault]));
    }
    let kind = gguf.text("*.rope.scaling.type").unwrap_or("none");
    let factor = gguf.number("*.rope.scaling.factor").or_else(|| gguf.number("*.rope.scale_linear"));
    let scaling = match (kind, factor) {
        _ if gguf.tensors().contains_key("rope_freqs.weight") => llama3(gguf, base, width)?,
        ("none", None) => None,
        ("none" | "linear", Some(factor)) if factor == 1.0 || factor == 0.0 => None,
        ("none" | "linear", Some(factor)) => Some(json!({ "rope_type": "linear", "factor": factor })),
        (other, factor) => Some(json!({
            "rope_type": other,
            "factor": factor,
            "original_max_position_embeddings": gguf.whole("*.rope.scaling.original_context_length"),
        })),
    };
    if let Some(scaling) = scaling {
        config.insert("rope_scaling".to_owned(), scaling);
    }
    Ok(config)
}

/// Llama 3's scaling, which a GGUF file holds only as the numbers that come of it, by which every frequency is divided.
fn llama3(gguf: &Gguf, base: f64, width: u64) -> Result<Option<Value>> {
    let mut divisors = Ok(Vec::new());
    gguf.read(&["rope_freqs.weight".to_owned()], |_, values| divisors = values)?;
    let fault = |found: String| {
        let place = format!("{}: tensor rope_freqs.weight", gguf.path.display());
        let fault = Fault::new(place, found).accepts("the frequency factors of Llama 3.1, 3.2 or 3.3");
        Error::Model(vec![fault.help("take the model's safetensors files, or put its config.json beside the file")])
    };
    let divisors = divisors.map_err(|(found, _)| fault(found))?;
    let factor = divisors.iter().copied().fold(1.0f32, f32::max);
    let (low, high, original) = LLAMA3;
    let expected = |index: usize| {
        let wavelength = 2.0 * std::f64::consts::PI * base.powf(2.0 * index as f64 / width as f64);
        let smooth = ((original / wavelength - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / ((1.0 - smooth) / f64::from(factor) + smooth)
    };
    let near = |(index, divisor): (usize, &f32)| (f64::from(*divisor) / expected(index) - 1.0).abs() < 1e-3;
    if divisors.len() as u64 != width / 2 || !divisors.iter().enumerate().all(near) {
        return Err(fault(format!("found {} factors of another scaling", divisors.len())));
    }
    Ok((factor > 1.0).then(|| {
        json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low,
            "high_freq_factor": high,
            "original_max_position_embeddings": original as u64,
        })
    }))
}

fn unusable(gguf: &Gguf, key: &str, accepted: &str) -> Fault {
    gguf.fault(key, gguf.shown(key)).accepts(accepted).help("fetch the model again, or choose another one")
}
