//! One causal decoder for the families that share Llama's plan: Llama (SmolLM2 too), Mistral, Qwen2, Qwen3 and Gemma 3's
//! text model. It gives the states of any layer and the next-token logits, in f32, one unpadded text at a time.
//!
//! candle-transformers' own models give the last layer only and keep a cache that needs `&mut self`.

mod attention;
mod config;
#[cfg(test)]
mod config_tests;
mod packed;
mod rotary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Module, Result, Tensor, bail};
use candle_nn::{Activation, Linear};
use serde_json::Value;

use super::checkpoint::Weights;
use super::model::{Architecture, Placement, Shape, SingleText, Transformer, packed_precisions};
use super::tokens::Encoded;
use crate::config::{Device, Dtype};
use crate::error::Fault;
use attention::{Angles, Attention};
use config::DecoderConfig;
use packed::PackedDecoder;
use rotary::Rotary;

/// Queries that attention scores at once: few enough that half of a long text's scores, which are masked anyway, are
/// never computed. It decides memory and speed, and the last bits of the states.
const BLOCK: usize = 64;

/// Gives the tensor of a name.
type Get<'a> = &'a dyn Fn(&str) -> Result<Tensor>;

/// Reads the `config.json` of `path`, whose `model_type` is llama, mistral, qwen2, qwen3, gemma3 or gemma3_text.
///
/// One layer past the last may be asked of the architecture: it stands for the next-token logits, `(tokens,
/// vocabulary)`, and needs `lm_head.weight` where the embedding is not tied to it.
///
/// # Errors
/// Every field that is missing, out of range or not supported.
pub(super) fn read(path: &Path, config: &Value) -> std::result::Result<Box<dyn Architecture>, Vec<Fault>> {
    Ok(Box::new(DecoderConfig::read(path, config)?))
}

impl Architecture for DecoderConfig {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn precisions(&self, device: Device) -> &'static [Dtype] {
        packed_precisions(device)
    }

    fn tensors(&self, deepest: usize) -> Vec<(String, Vec<usize>)> {
        let width = self.shape.width;
        let mut tensors = vec![("embed_tokens.weight".to_owned(), vec![self.shape.vocabulary, width])];
        for layer in 0..deepest.min(self.shape.layers) {
            self.layer_tensors(&format!("layers.{layer}"), &mut tensors);
        }
        if deepest >= self.shape.layers {
            tensors.push(("norm.weight".to_owned(), vec![width]));
        }
        if deepest > self.shape.layers && !self.tied {
            tensors.push(("lm_head.weight".to_owned(), vec![self.shape.vocabulary, width]));
        }
        tensors
    }

    fn load(&self, weights: &Weights, deepest: usize, placement: &Placement) -> Result<Box<dyn Transformer>> {
        if placement.device.is_cpu() {
            return Ok(Box::new(PackedDecoder::load(self, weights, deepest, placement)?));
        }
        let weights = weights.on(placement)?;
        Ok(Box::new(Decoder::load(self, deepest, &|name| weights.get(name))?))
    }
}

impl DecoderConfig {
    /// The tensors of the layer at `prefix`.
    fn layer_tensors(&self, prefix: &str, tensors: &mut Vec<(String, Vec<usize>)>) {
        let (width, inner, heads) = (self.shape.width, self.inner, self.heads);
        let (queries, keys) = (heads.queries * heads.size, heads.keys * heads.size);
        for (name, rows, columns, bias) in [
            ("self_attn.q_proj", queries, width, self.biases.attention),
            ("self_attn.k_proj", keys, width, self.biases.attention),
            ("self_attn.v_proj", keys, width, self.biases.attention),
            ("self_attn.o_proj", width, queries, self.biases.output),
            ("mlp.gate_proj", inner, width, self.biases.perceptron),
            ("mlp.up_proj", inner, width, self.biases.perceptron),
            ("mlp.down_proj", width, inner, self.biases.perceptron),
        ] {
            tensors.push((format!("{prefix}.{name}.weight"), vec![rows, columns]));
            if bias {
                tensors.push((format!("{prefix}.{name}.bias"), vec![rows]));
            }
        }
        let mut norm = |name: &str, width: usize| tensors.push((format!("{prefix}.{name}.weight"), vec![width]));
        norm("input_layernorm", width);
        norm("post_attention_layernorm", width);
        if self.gemma {
            norm("pre_feedforward_layernorm", width);
            norm("post_feedforward_layernorm", width);
        }
        if self.head_norms {
            norm("self_attn.q_norm", heads.size);
            norm("self_attn.k_norm", heads.size);
        }
    }
}

/// Scales each state to a root mean square of one, times the weight.
struct Norm {
    weight: Tensor,
    epsilon: f32,
}

impl Norm {
    fn load(config: &DecoderConfig, name: &str, get: Get<'_>) -> Result<Self> {
        Ok(Self { weight: norm_weight(config, name, get)?, epsilon: config.epsilon as f32 })
    }

    fn forward(&self, states: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(states, &self.weight, self.epsilon)
    }
}

fn norm_weight(config: &DecoderConfig, name: &str, get: Get<'_>) -> Result<Tensor> {
    let weight = get(&format!("{name}.weight"))?;
    if config.gemma { weight + 1.0 } else { Ok(weight) }
}

fn linear(name: &str, bias: bool, get: Get<'_>) -> Result<Linear> {
    let bias = if bias { Some(get(&format!("{name}.bias"))?) } else { None };
    Ok(Linear::new(get(&format!("{name}.weight"))?, bias))
}

/// The gated perceptron: down(activation(gate(x)) · up(x)).
struct Perceptron {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Perceptron {
    fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let gate = self.activation.forward(&self.gate.forward(states)?)?;
        self.down.forward(&(gate * self.up.forward(states)?)?)
    }
}

struct Layer {
    before_attention: Norm,
    attention: Attention,
    after_attention: Option<Norm>,
    before_perceptron: Norm,
    perceptron: Perceptron,
    after_perceptron: Option<Norm>,
}

impl Layer {
    fn load(config: &DecoderConfig, index: usize, get: Get<'_>) -> Result<Self> {
        let norm = |name: &str| Norm::load(config, &format!("layers.{index}.{name}"), get);
        let linear = |name: &str, bias: bool| linear(&format!("layers.{index}.{name}"), bias, get);
        // Llama's "post attention" norm is the one before the perceptron; Gemma has both.
        let (after_attention, before_perceptron, after_perceptron) = if config.gemma {
            let after = Some(norm("post_attention_layernorm")?);
            (after, norm("pre_feedforward_layernorm")?, Some(norm("post_feedforward_layernorm")?))
        } else {
            (None, norm("post_attention_layernorm")?, None)
        };
        Ok(Self {
            before_attention: norm("input_layernorm")?,
            attention: Self::attention(config, index, get)?,
            after_attention,
            before_perceptron,
            perceptron: Perceptron {
                gate: linear("mlp.gate_proj", config.biases.perceptron)?,
                up: linear("mlp.up_proj", config.biases.perceptron)?,
                down: linear("mlp.down_proj", config.biases.perceptron)?,
                activation: config.activation,
            },
            after_perceptron,
        })
    }

    fn attention(config: &DecoderConfig, index: usize, get: Get<'_>) -> Result<Attention> {
        let name = |name: &str| format!("layers.{index}.self_attn.{name}");
        let linear = |part: &str, bias: bool| linear(&name(part), bias, get);
        let head_norm = |part: &str| norm_weight(config, &name(part), get);
        let head_norms = if config.head_norms { Some((head_norm("q_norm")?, head_norm("k_norm")?)) } else { None };
        Ok(Attention {
            queries: linear("q_proj", config.biases.attention)?,
            keys: linear("k_proj", config.biases.attention)?,
            values: linear("v_proj", config.biases.attention)?,
            output: linear("o_proj", config.biases.output)?,
            head_norms,
            heads: config.heads,
            epsilon: config.epsilon as f32,
            scale: config.scale,
            window: config.windows.get(index).copied().flatten(),
            block: BLOCK,
        })
    }

    fn forward(&self, states: &Tensor, angles: &Angles) -> Result<Tensor> {
        let optional = |norm: &Option<Norm>, states: Tensor| match norm {
            Some(norm) => norm.forward(&states),
            None => Ok(states),
        };
        let attended = self.attention.forward(&self.before_attention.forward(states)?, angles)?;
        let states = (states + optional(&self.after_attention, attended)?)?;
        let added = self.perceptron.forward(&self.before_perceptron.forward(&states)?)?;
        states + optional(&self.after_perceptron, added)?
    }
}

/// A loaded decoder.
struct Decoder {
    embedding: Tensor,
    /// Multiplies embeddings.
    embedding_scale: Option<f64>,
    layers: Vec<Layer>,
    /// Angles of layers that see the whole text, and of those that slide.
    rotary: (Rotary, Rotary),
    /// The layers of the whole model, and the norm after the last.
    count: usize,
    norm: Option<Norm>,
    /// `(vocabulary, width)`, and the bound of the logits.
    unembedding: Option<(Tensor, Option<f64>)>,
}

impl Decoder {
    fn load(config: &DecoderConfig, deepest: usize, get: Get<'_>) -> Result<Self> {
        let count = config.shape.layers;
        let embedding = get("embed_tokens.weight")?;
        let unembedding = match (deepest > count, config.tied) {
            (false, _) => None,
            (true, true) => Some((embedding.clone(), config.logit_cap)),
            (true, false) => Some((get("lm_head.weight")?, config.logit_cap)),
        };
        Ok(Self {
            embedding,
            embedding_scale: config.gemma.then(|| (config.shape.width as f64).sqrt()),
            layers: (0..deepest.min(count)).map(|layer| Layer::load(config, layer, get)).collect::<Result<_>>()?,
            rotary: (config.rotary.clone(), config.sliding_rotary.clone()),
            count,
            norm: if deepest >= count { Some(Norm::load(config, "norm", get)?) } else { None },
            unembedding,
        })
    }

    /// The states of layer 0, `(tokens, width)`.
    fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        if ids.is_empty() {
            bail!("a text without tokens has no states");
        }
        let states = self.embedding.index_select(&Tensor::new(ids, self.embedding.device())?, 0)?;
        self.embedding_scale.map_or(Ok(states.clone()), |scale| states * scale)
    }

    /// What is handed out for layer `index` when `states` come out of it.
    fn shown(&self, index: usize, states: &Tensor) -> Result<Tensor> {
        match &self.norm {
            Some(norm) if index == self.count => norm.forward(states),
            _ => Ok(states.clone()),
        }
    }

    fn logits(&self, last: &Tensor) -> Result<Tensor> {
        let Some((weight, cap)) = &self.unembedding else { bail!("the logits were not loaded") };
        let logits = last.matmul(&weight.t()?)?;
        cap.map_or(Ok(logits.clone()), |cap| (logits / cap)?.tanh()? * cap)
    }
}

impl SingleText for Decoder {
    fn states_of(&self, encoded: &Encoded, layers: &[usize]) -> Result<Vec<Tensor>> {
        let deepest = layers.iter().copied().max().unwrap_or(0);
        if deepest > self.layers.len() + usize::from(self.unembedding.is_some()) {
            bail!("layer {deepest} was not loaded");
        }
        let angles = |rotary: &Rotary| {
            let (cosines, sines) = rotary.tables(encoded.ids.len())?;
            let like = |table: Tensor| table.to_dtype(self.embedding.dtype())?.to_device(self.embedding.device());
            Ok::<_, candle_core::Error>(Angles { cosines: like(cosines)?, sines: like(sines)? })
        };
        let mut state = self.embed(&encoded.ids)?;
        let (full, sliding) = (angles(&self.rotary.0)?, angles(&self.rotary.1)?);
        let mut kept = BTreeMap::from([(0, state.clone())]);
        for (layer, index) in self.layers.iter().zip(1..=deepest) {
            let angles = if layer.attention.window.is_some() { &sliding } else { &full };
            state = layer.forward(&state, angles)?;
            if layers.contains(&index) || index == self.count {
                kept.insert(index, self.shown(index, &state)?);
            }
        }
        if deepest > self.count {
            let logits = self.logits(kept.get(&self.count).unwrap_or(&state))?;
            kept.insert(deepest, logits);
        }
        let pick = |layer| kept.get(layer).cloned().ok_or_else(|| candle_core::Error::msg("a layer is missing"));
        layers.iter().map(pick).collect()
    }
}
