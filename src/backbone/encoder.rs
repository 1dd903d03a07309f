//! The BERT-family encoder: its configuration and a forward pass that keeps every layer's states.
//!
//! The layers are candle-transformers' own; this file only runs them one by one, because the library returns the
//! last layer alone and preference heads do better on earlier ones.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertEncoder, BertModel, Config, HiddenAct, PositionEmbeddingType};
use serde::Deserialize;

use super::checkpoint::Weights;
use super::tokens::Encoded;
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// What `config.json` must say; keys not named here are ignored.
#[derive(Deserialize)]
struct RawConfig {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
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
        let raw: RawConfig = serde_json::from_str(&text).map_err(|error| {
            let fault = Fault::new(path.display(), format!("not a usable encoder configuration: {error}"));
            Error::Model(vec![fault.accepts("the config.json of a BERT-family encoder")])
        })?;
        let faults = raw.faults(path);
        if !faults.is_empty() {
            return Err(Error::Model(faults));
        }
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
    fn faults(&self, path: &Path) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, found: String, accepted: &str| {
            let place = format!("{}: {field}", path.display());
            faults.push(Fault::new(place, found).accepts(accepted));
        };
        match self.model_type.as_deref() {
            Some("bert") => {}
            None if self.architectures.iter().any(|name| name.starts_with("Bert")) => {}
            other => fault("model_type", format!("found {:?}", other.unwrap_or("nothing")), "bert"),
        }
        let sizes = [
            ("vocab_size", self.vocab_size, 10_000_000),
            ("hidden_size", self.hidden_size, 65_536),
            ("num_hidden_layers", self.num_hidden_layers, 1_000),
            ("num_attention_heads", self.num_attention_heads, 1_000),
            ("intermediate_size", self.intermediate_size, 1_000_000),
            ("max_position_embeddings", self.max_position_embeddings, 1_000_000),
        ];
        for (field, value, most) in sizes {
            if value == 0 || value > most {
                fault(field, format!("found {value}"), &format!("1 to {most}"));
            }
        }
        if self.num_attention_heads > 0 && self.hidden_size % self.num_attention_heads != 0 {
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
            fault("hidden_act", format!("found {:?}", self.hidden_act), "gelu, gelu_new, gelu_pytorch_tanh, relu");
        }
        if self.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            fault("position_embedding_type", format!("found {:?}", self.position_embedding_type), "absolute");
        }
        faults
    }
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
