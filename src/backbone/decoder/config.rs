//! `config.json` of a causal decoder: what the families share and where they differ, with the values that transformers
//! takes for fields that are left out.

use std::path::Path;

use candle_nn::Activation;
use serde_json::Value;

use super::rotary::{Rotary, Use};
use crate::backbone::fields::{Fields, shown};
use crate::backbone::model::Shape;
use crate::backbone::parts::{self, ACTIVATIONS};
use crate::error::Fault;

const MODEL_TYPES: &str = "llama, mistral, qwen2, qwen3, gemma3, gemma3_text";
const MOST_WINDOW: usize = 100_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Gemma3,
}

impl Family {
    fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "llama" => Some(Self::Llama),
            "mistral" => Some(Self::Mistral),
            "qwen2" => Some(Self::Qwen2),
            "qwen3" => Some(Self::Qwen3),
            "gemma3" | "gemma3_text" => Some(Self::Gemma3),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Llama => "Llama",
            Self::Mistral => "Mistral",
            Self::Qwen2 => "Qwen2",
            Self::Qwen3 => "Qwen3",
            Self::Gemma3 => "Gemma 3",
        }
    }

    /// Positions where `max_position_embeddings` is left out.
    fn positions(self) -> usize {
        match self {
            Self::Llama => 2_048,
            Self::Qwen2 | Self::Qwen3 => 32_768,
            Self::Mistral | Self::Gemma3 => 131_072,
        }
    }
}

/// Attention heads; several query heads may share one of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    pub(super) queries: usize,
    pub(super) keys: usize,
    /// Numbers per head.
    pub(super) size: usize,
}

/// Which products have a bias added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Biases {
    /// Queries, keys and values.
    pub(super) attention: bool,
    /// What attention gives back.
    pub(super) output: bool,
    /// All three products of the perceptron.
    pub(super) perceptron: bool,
}

/// A checked decoder configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DecoderConfig {
    pub(super) shape: Shape,
    pub(super) heads: Heads,
    /// Width inside the gated perceptron.
    pub(super) inner: usize,
    pub(super) epsilon: f64,
    pub(super) activation: Activation,
    pub(super) biases: Biases,
    /// Whether each head's queries and keys are normalised.
    pub(super) head_norms: bool,
    /// Gemma: norms multiply by 1 + weight, stand on both sides of a block, and embeddings are multiplied by the root
    /// of the width.
    pub(super) gemma: bool,
    /// Multiplies attention scores.
    pub(super) scale: f64,
    pub(super) rotary: Rotary,
    /// Gemma's angles in sliding layers; elsewhere the same.
    pub(super) sliding_rotary: Rotary,
    /// For each layer, how many tokens up to its own a token sees; all where `None`.
    pub(super) windows: Vec<Option<usize>>,
    /// Whether the token embedding also gives the logits.
    pub(super) tied: bool,
    /// Gemma: logits are bent to stay within ± this.
    pub(super) logit_cap: Option<f64>,
}

impl DecoderConfig {
    /// Reads and checks the JSON of `path`.
    ///
    /// # Errors
    /// Every field that is missing, out of range or not supported.
    pub(super) fn read(path: &Path, json: &Value) -> Result<Self, Vec<Fault>> {
        let mut outer = Fields::new(path, "", json);
        let family = outer.name("model_type", "", Family::of, MODEL_TYPES);
        let Some(family) = family else {
            if outer.faults.is_empty() {
                outer.refuse("model_type", "missing", MODEL_TYPES);
            }
            return Err(helped(outer.faults));
        };
        outer.unsupported("quantization_config", &[], "weights in F32, F16 or BF16, or a GGUF file");
        // A multimodal Gemma keeps its text model's settings apart.
        let nested = json["model_type"] == "gemma3";
        let text = if nested { outer.get("text_config").filter(|value| value.is_object()) } else { Some(json) };
        let Some(text) = text else {
            let found = json.get("text_config").map_or_else(|| "missing".to_owned(), shown);
            outer.refuse("text_config", found, "the settings of the text model");
            return Err(helped(outer.faults));
        };
        let tied = nested.then(|| outer.flag("tie_word_embeddings", true));
        let mut fields = if nested { outer.inside("text_config", text) } else { Fields::new(path, "", text) };
        let config = Self::checked(&mut fields, family, tied);
        outer.adopt(fields);
        if outer.faults.is_empty() { Ok(config) } else { Err(helped(outer.faults)) }
    }

    /// Whatever is refused has a stand-in here, so that all faults are found at once.
    fn checked(fields: &mut Fields<'_>, family: Family, tied: Option<bool>) -> Self {
        let gemma = family == Family::Gemma3;
        // Old multimodal Gemma files leave out what equals the defaults.
        let usual = |size: usize| gemma.then_some(size);
        let width = fields.size("hidden_size", 65_536, usual(2_304));
        let layers = fields.size("num_hidden_layers", 1_000, usual(26));
        let vocabulary = fields.size("vocab_size", 10_000_000, usual(262_208));
        let positions = fields.size("max_position_embeddings", 100_000_000, Some(family.positions()));
        let heads = heads(fields, family, width);
        let rotary = |layers, base_field, base| Use { layers, base_field, base, head: heads.size, positions };
        let base = if gemma { 1e6 } else { 1e4 };
        let full = Rotary::read(fields, &rotary("full_attention", "rope_theta", base));
        let sliding_rotary = if gemma {
            Rotary::read(fields, &rotary("sliding_attention", "rope_local_base_freq", 1e4))
        } else {
            full.clone()
        };
        let scalar = if gemma { fields.number("query_pre_attn_scalar", 0.001, 1e9).unwrap_or(256.0) } else { 0.0 };
        let line = format!("{}, {layers} layers, {width} wide", family.name());
        let config = Self {
            shape: Shape { vocabulary, width, layers, positions, causal: true, line },
            heads,
            inner: fields.size("intermediate_size", 1_000_000, usual(9_216)),
            epsilon: fields.number("rms_norm_eps", 0.0, 1.0).unwrap_or(1e-6),
            activation: activation(fields, gemma),
            biases: biases(fields, family),
            head_norms: matches!(family, Family::Qwen3 | Family::Gemma3),
            gemma,
            scale: if gemma { scalar } else { heads.size as f64 }.powf(-0.5),
            rotary: full,
            sliding_rotary,
            windows: windows(fields, family, layers),
            tied: tied.unwrap_or_else(|| fields.flag("tie_word_embeddings", gemma)),
            logit_cap: if gemma { fields.number("final_logit_softcapping", 0.001, 1e9) } else { None },
        };
        if gemma {
            fields.unsupported("attn_logit_softcapping", &[], "null or absent");
            fields.unsupported("use_bidirectional_attention", &[false.into()], "false or absent");
        }
        config
    }
}

/// Faults with what to do below the last.
fn helped(mut faults: Vec<Fault>) -> Vec<Fault> {
    if let Some(last) = faults.last_mut() {
        last.help = Some("fetch config.json again, or choose another model".to_owned());
    }
    faults
}

fn heads(fields: &mut Fields<'_>, family: Family, width: usize) -> Heads {
    let before = fields.faults.len();
    let gemma = family == Family::Gemma3;
    let queries = fields.size("num_attention_heads", 1_000, gemma.then_some(8));
    let shared = match family {
        Family::Gemma3 => 4,
        // A file that names none at all is read as transformers reads it.
        Family::Mistral if !fields.has("num_key_value_heads") => 8,
        _ => queries,
    };
    let keys = fields.size("num_key_value_heads", 1_000, Some(shared));
    let derived = width / queries;
    let usual = match family {
        Family::Gemma3 => 256,
        Family::Qwen3 => 128,
        _ => derived.max(1),
    };
    let size = fields.size("head_dim", 65_536, Some(usual));
    if fields.faults.len() == before {
        let dividing = fields.get("head_dim").is_some() || matches!(family, Family::Gemma3 | Family::Qwen3);
        if !dividing && derived * queries != width {
            let found = format!("{queries} does not divide hidden_size {width}, and head_dim is missing");
            fields.refuse("num_attention_heads", found, "a divisor of hidden_size");
        } else if !size.is_multiple_of(2) {
            fields.refuse("head_dim", format!("a head of {size} numbers"), "an even number: pairs are rotated");
        }
        if !queries.is_multiple_of(keys) {
            let found = format!("{keys} does not divide num_attention_heads {queries}");
            fields.refuse("num_key_value_heads", found, "a divisor of num_attention_heads");
        }
    }
    Heads { queries, keys, size }
}

fn biases(fields: &mut Fields<'_>, family: Family) -> Biases {
    // Qwen2 always has biases there and Mistral never, whatever the file says.
    let asked = family != Family::Mistral && fields.flag("attention_bias", false);
    Biases {
        attention: asked || family == Family::Qwen2,
        output: asked && family != Family::Qwen2,
        perceptron: family == Family::Llama && fields.flag("mlp_bias", false),
    }
}

fn activation(fields: &mut Fields<'_>, gemma: bool) -> Activation {
    let (field, usual) = if gemma { ("hidden_activation", "gelu_pytorch_tanh") } else { ("hidden_act", "silu") };
    fields.name(field, usual, parts::activation, ACTIVATIONS).unwrap_or_default()
}

/// The window of each layer.
fn windows(fields: &mut Fields<'_>, family: Family, layers: usize) -> Vec<Option<usize>> {
    let window = |fields: &mut Fields<'_>| {
        let null = fields.has("sliding_window") && fields.get("sliding_window").is_none();
        (!null).then(|| fields.size("sliding_window", MOST_WINDOW, Some(4_096)))
    };
    let (window, sliding): (_, Box<dyn Fn(usize) -> bool>) = match family {
        Family::Llama => return vec![None; layers],
        Family::Mistral => return vec![window(fields); layers],
        Family::Qwen2 | Family::Qwen3 => {
            let used = fields.flag("use_sliding_window", false);
            let window = if used { window(fields) } else { None };
            let first = fields.whole("max_window_layers", 0..=MOST_WINDOW, Some(28));
            (window, Box::new(move |layer| window.is_some() && layer >= first))
        }
        Family::Gemma3 => {
            let pattern = fields.size("sliding_window_pattern", MOST_WINDOW, Some(6));
            (window(fields), Box::new(move |layer| !(layer + 1).is_multiple_of(pattern)))
        }
    };
    let sliding = layer_types(fields, layers).unwrap_or_else(|| (0..layers).map(sliding).collect());
    if window.is_none() && sliding.contains(&true) {
        fields.refuse("sliding_window", "missing, but some layers slide", "a whole number, how far they see");
    }
    sliding.into_iter().map(|sliding| window.filter(|_| sliding)).collect()
}

/// Which layers slide, where `layer_types` says it.
fn layer_types(fields: &mut Fields<'_>, layers: usize) -> Option<Vec<bool>> {
    let value = fields.get("layer_types")?;
    let slides = |name: &Value| match name.as_str() {
        Some("full_attention") => Some(false),
        Some("sliding_attention") => Some(true),
        _ => None,
    };
    let types = value.as_array().and_then(|names| names.iter().map(slides).collect::<Option<Vec<bool>>>());
    let types = types.filter(|types| types.len() == layers);
    if types.is_none() {
        let accepted = format!("full_attention or sliding_attention for each of the {layers} layers");
        fields.refuse("layer_types", format!("found {}", shown(value)), accepted);
    }
    types
}
