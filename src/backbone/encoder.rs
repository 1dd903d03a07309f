//! The BERT-family encoder: its configuration and a forward pass that keeps every layer's states.
//!
//! The layers are candle-transformers' own; this file only runs them one by one, because the library returns the
//! last layer alone and preference heads do better on earlier ones.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertEncoder, BertModel, Config, HiddenAct, PositionEmbeddingType};
use serde::Deserialize;
use serde_json::Value;

use super::checkpoint::Weights;
use super::tokens::Encoded;
use crate::error::{Error, Fault, Result, quote};
use crate::files::{self, Digest};

/// Sizes that `config.json` must name, and the most each may be.
const SIZES: [(&str, u64); 6] = [
    ("vocab_size", 10_000_000),
    ("hidden_size", 65_536),
    ("num_hidden_layers", 1_000),
    ("num_attention_heads", 1_000),
    ("intermediate_size", 1_000_000),
    ("max_position_embeddings", 1_000_000),
];

/// What `config.json` must say besides the model's kind; keys not named here are ignored.
#[derive(Deserialize)]
struct RawConfig {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "small")]
    layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn two() -> usize {
    2
}

fn small() -> f64 {
    1e-12
}

/// A checked encoder configuration.
pub(super) struct EncoderConfig {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) digest: Digest,
    num_attention_heads: usize,
    intermediate_size: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    hidden_act: HiddenAct,
}

impl EncoderConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`Error::Model`] with every field that is missing, out of range or not supported.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path, "the model configuration")?;
        let raw = RawConfig::read(path, &text).map_err(Error::Model)?;
        Ok(Self {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            num_hidden_layers: raw.num_hidden_layers,
            max_position_embeddings: raw.max_position_embeddings,
            digest: Digest::of(text.as_bytes()),
            num_attention_heads: raw.num_attention_heads,
            intermediate_size: raw.intermediate_size,
            type_vocab_size: raw.type_vocab_size,
            layer_norm_eps: raw.layer_norm_eps,
            hidden_act: activation(&raw.hidden_act).unwrap_or(HiddenAct::Gelu),
        })
    }

    /// Every tensor the forward pass reads, with its shape.
    pub(super) fn expected_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let mut expected = vec![
            ("embeddings.word_embeddings.weight".to_owned(), vec![self.vocab_size, width]),
            ("embeddings.position_embeddings.weight".to_owned(), vec![self.max_position_embeddings, width]),
            ("embeddings.token_type_embeddings.weight".to_owned(), vec![self.type_vocab_size, width]),
        ];
        let mut norms = vec!["embeddings.LayerNorm".to_owned()];
        for layer in 0..self.num_hidden_layers {
            let prefix = format!("encoder.layer.{layer}");
            for (name, rows, columns) in [
                ("attention.self.query", width, width),
                ("attention.self.key", width, width),
                ("attention.self.value", width, width),
                ("attention.output.dense", width, width),
                ("intermediate.dense", inner, width),
                ("output.dense", width, inner),
            ] {
                expected.push((format!("{prefix}.{name}.weight"), vec![rows, columns]));
                expected.push((format!("{prefix}.{name}.bias"), vec![rows]));
            }
            norms.extend([format!("{prefix}.attention.output.LayerNorm"), format!("{prefix}.output.LayerNorm")]);
        }
        for norm in norms {
            expected.push((format!("{norm}.weight"), vec![width]));
            expected.push((format!("{norm}.bias"), vec![width]));
        }
        expected
    }

    fn candle(&self, layers: usize) -> Config {
        Config {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            num_hidden_layers: layers,
            num_attention_heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            hidden_act: self.hidden_act,
            hidden_dropout_prob: 0.0,
            max_position_embeddings: self.max_position_embeddings,
            type_vocab_size: self.type_vocab_size,
            initializer_range: 0.02,
            layer_norm_eps: self.layer_norm_eps,
            pad_token_id: 0,
            position_embedding_type: PositionEmbeddingType::Absolute,
            use_cache: false,
            classifier_dropout: None,
            model_type: None,
        }
    }
}

impl RawConfig {
    fn read(path: &Path, text: &str) -> Result<Self, Vec<Fault>> {
        let value: Value = serde_json::from_str(text).map_err(|error| vec![not_json(path, &error)])?;
        let kind = value["model_type"].as_str();
        let classes = value["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if kind != Some("bert") && (kind.is_some() || !classes.into_iter().any(|name| name.starts_with("Bert"))) {
            let found = kind.map_or_else(|| "missing".to_owned(), |kind| format!("found {}", quote(kind)));
            let help = "choose an encoder of the BERT family, such as all-MiniLM-L6-v2 or bge-small-en-v1.5";
            return Err(vec![Fault::new(place(path, "model_type"), found).accepts("bert").help(help)]);
        }
        let mut faults = size_faults(path, &value);
        faults.extend(type_faults(path, &value));
        match serde_json::from_value::<Self>(value) {
            Ok(raw) => {
                faults.extend(raw.faults(path));
                if faults.is_empty() {
                    return Ok(raw);
                }
            }
            Err(error) if faults.is_empty() => faults.push(Fault::new(path.display(), error)),
            Err(_) => {}
        }
        if let Some(last) = faults.last_mut() {
            last.help = Some("fetch config.json again, or choose another model".to_owned());
        }
        Err(faults)
    }

    fn faults(&self, path: &Path) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, found: String, accepted: &str| {
            faults.push(Fault::new(place(path, field), found).accepts(accepted));
        };
        if self.num_attention_heads > 0 && !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let found = format!("{} does not divide hidden_size {}", self.num_attention_heads, self.hidden_size);
            fault("num_attention_heads", found, "a divisor of hidden_size");
        }
        if self.type_vocab_size < 2 {
            fault("type_vocab_size", format!("found {}", self.type_vocab_size), "2 or more: prompt and response");
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            fault("layer_norm_eps", format!("found {}", self.layer_norm_eps), "a number between 0 and 1");
        }
        if activation(&self.hidden_act).is_none() {
            fault(
                "hidden_act",
                format!("found {}", quote(&self.hidden_act)),
                "gelu, gelu_new, gelu_pytorch_tanh, relu",
            );
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            fault("position_embedding_type", format!("found {}", quote(kind)), "absolute");
        }
        faults
    }
}

fn place(path: &Path, field: &str) -> String {
    format!("{}: {field}", path.display())
}

fn not_json(path: &Path, error: &serde_json::Error) -> Fault {
    let (line, column, message) = (error.line(), error.column(), error.to_string());
    let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    let message = if error.is_eof() { "it ends too early" } else { message };
    Fault::new(format!("{}:{line}:{column}", path.display()), format!("cannot be read as JSON: {message}"))
        .accepts("the config.json of a BERT-family encoder")
        .help("fetch config.json again")
}

fn size_faults(path: &Path, value: &Value) -> Vec<Fault> {
    let fault = |(field, most): &(&str, u64)| {
        let found = match value.get(field) {
            None | Some(Value::Null) => "missing".to_owned(),
            Some(size) if size.as_u64().is_some_and(|size| (1..=*most).contains(&size)) => return None,
            Some(other) => format!("found {}", shown(other)),
        };
        Some(Fault::new(place(path, field), found).accepts(format!("a whole number from 1 to {most}")))
    };
    SIZES.iter().filter_map(fault).collect()
}

/// A value as the file has it, cut where it is long.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string().chars().take(80).collect(), quote)
}

/// The fields that may be left out, but not be of another type.
fn type_faults(path: &Path, value: &Value) -> Vec<Fault> {
    let fields = [
        ("hidden_act", "text"),
        ("type_vocab_size", "a whole number"),
        ("layer_norm_eps", "a number"),
        ("position_embedding_type", "text or null"),
    ];
    let fits = |field: &str, value: &Value| match field {
        "type_vocab_size" => value.is_u64(),
        "layer_norm_eps" => value.is_number(),
        "position_embedding_type" => value.is_string() || value.is_null(),
        _ => value.is_string(),
    };
    let fault = |(field, accepted): (&str, &str)| {
        let other = value.get(field).filter(|value| !fits(field, value))?;
        let found = format!("found {}", shown(other));
        Some(Fault::new(place(path, field), found).accepts(accepted))
    };
    fields.into_iter().filter_map(fault).collect()
}

fn activation(name: &str) -> Option<HiddenAct> {
    match name {
        "gelu" => Some(HiddenAct::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Some(HiddenAct::GeluApproximate),
        "relu" => Some(HiddenAct::Relu),
        _ => None,
    }
}

/// The embedding layer and the encoder layers up to the deepest pooled one.
pub(super) struct Encoder {
    /// A model without layers: its forward pass is the embedding output.
    embeddings: BertModel,
    /// One-layer encoders, so that the states between them can be kept.
    layers: Vec<BertEncoder>,
    width: usize,
}

impl Encoder {
    /// Takes checked weights; layers above `deepest` are dropped because nothing pools them.
    ///
    /// # Errors
    /// [`Error::Model`] when candle refuses a tensor.
    pub(super) fn load(config: &EncoderConfig, weights: Weights, deepest: usize) -> Result<Self> {
        Self::from_builder(config, &weights.builder(), deepest).map_err(|error| {
            Error::Model(vec![Fault::new("model.safetensors", format!("the weights do not load: {error}"))])
        })
    }

    fn from_builder(config: &EncoderConfig, builder: &VarBuilder<'_>, deepest: usize) -> candle_core::Result<Self> {
        let embeddings = BertModel::load(builder.clone(), &config.candle(0))?;
        let whole = BertEncoder::load(builder.pp("encoder"), &config.candle(deepest))?;
        let single = |layer: &candle_transformers::models::bert::BertLayer| {
            let mut one = whole.clone();
            one.layers = vec![layer.clone()];
            one
        };
        let layers = whole.layers.iter().map(single).collect();
        Ok(Self { embeddings, layers, width: config.hidden_size })
    }

    /// The hidden width.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// States `(tokens, width)` after the embeddings (index 0) and after each loaded layer.
    pub(super) fn forward(&self, encoded: &Encoded) -> candle_core::Result<Vec<Tensor>> {
        let device = Device::Cpu;
        let ids = Tensor::new(encoded.ids.as_slice(), &device)?.unsqueeze(0)?;
        let types = Tensor::new(encoded.type_ids.as_slice(), &device)?.unsqueeze(0)?;
        // One unpadded text: nothing is masked, so the additive mask is zero.
        let mask = Tensor::zeros((1, 1, 1, 1), DType::F32, &device)?;
        let mut state = self.embeddings.forward(&ids, &types, None)?;
        let mut states = vec![state.squeeze(0)?];
        for layer in &self.layers {
            state = layer.forward(&state, &mask)?;
            states.push(state.squeeze(0)?);
        }
        Ok(states)
    }
}
