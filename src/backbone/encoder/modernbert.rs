//! ModernBERT: pre-norm layers with rotary positions, most of which look at a window of neighbours only.
//!
//! Source: Warner et al., "Smarter, Better, Faster, Longer" (2024). candle-transformers has the model, but its layers
//! are private and its only output is the one after the final norm, so the few lines of a layer stand here.

use candle_core::{D, Tensor};
use candle_nn::{Activation, LayerNorm, Linear, Module, ops, rotary_emb};
use serde_json::{Value, json};

use super::super::checkpoint::Weights;
use super::super::fields::{Fields, shown};
use super::super::model::{Architecture, Placement, Shape, SingleText, Transformer};
use super::super::parts::{self, Tensors};
use super::super::tokens::Encoded;
use super::{SIZES, Sizes, run};

/// What stands in `layer_types` for a layer that sees the whole text, and for one that sees a window.
const KINDS: [&str; 2] = ["full_attention", "sliding_attention"];

/// A checked configuration.
pub(super) struct ModernBert {
    shape: Shape,
    sizes: Sizes,
    activation: Activation,
    epsilon: f64,
    attention_bias: bool,
    mlp_bias: bool,
    norm_bias: bool,
    /// Of each layer: whether it sees a window only.
    local: Vec<bool>,
    /// Tokens a local layer sees on either side.
    reach: usize,
    /// Bases of the rotary frequencies: global layers, local layers.
    bases: [f64; 2],
}

/// Reads the configuration.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<ModernBert> {
    let sizes = Sizes::read(fields, &SIZES);
    if fields.faults.is_empty() && !(sizes.width / sizes.heads).is_multiple_of(2) {
        let found = format!("{} heads are {} wide", sizes.heads, sizes.width / sizes.heads);
        fields.refuse("num_attention_heads", found, "heads of an even width, for rotary positions");
    }
    let epsilon = fields.number("norm_eps", 0.0, 1.0).unwrap_or(1e-5);
    let [attention_bias, mlp_bias, norm_bias] =
        ["attention_bias", "mlp_bias", "norm_bias"].map(|field| fields.flag(field, false));
    let activation = fields.name("hidden_activation", "gelu", parts::activation, parts::ACTIVATIONS);
    let reach = fields.size("local_attention", 1_000_000, Some(128)) / 2;
    let every = fields.size("global_attn_every_n_layers", 1_000, Some(3));
    let local = read_layer_types(fields, sizes.layers, every);
    let bases = read_bases(fields);
    fields.unsupported("rope_scaling", &[], "null");
    fields.unsupported("position_embedding_type", &[json!("absolute")], "absolute");
    let shape = sizes.shape("ModernBERT", sizes.positions);
    Some(ModernBert {
        shape,
        sizes,
        activation: activation?,
        epsilon,
        attention_bias,
        mlp_bias,
        norm_bias,
        local,
        reach,
        bases,
    })
}

/// transformers 5 lists each layer's kind; before, every n-th layer from the first was global.
fn read_layer_types(fields: &mut Fields<'_>, layers: usize, every: usize) -> Vec<bool> {
    let Some(value) = fields.get("layer_types") else {
        return (0..layers).map(|layer| !layer.is_multiple_of(every)).collect();
    };
    let kind = |kind: &Value| KINDS.iter().position(|known| kind.as_str() == Some(known)).map(|kind| kind == 1);
    let kinds: Option<Vec<bool>> = value.as_array().map(|kinds| kinds.iter().map(kind).collect()).unwrap_or_default();
    kinds.filter(|kinds| kinds.len() == layers).unwrap_or_else(|| {
        let found = format!("found {}", shown(value));
        fields.refuse("layer_types", found, format!("a list of {layers} names, each {}", KINDS.join(" or ")));
        vec![false; layers]
    })
}

/// transformers 5 keeps the bases in `rope_parameters`, a part for each kind of layer; before, they stood alone.
fn read_bases(fields: &mut Fields<'_>) -> [f64; 2] {
    let most = 1e12;
    let global = fields.number("global_rope_theta", 1.0, most).unwrap_or(160_000.0);
    let without = if fields.has("local_rope_theta") { global } else { 10_000.0 };
    let mut bases = [global, fields.number("local_rope_theta", 1.0, most).unwrap_or(without)];
    let Some(parameters) = fields.get("rope_parameters") else { return bases };
    let mut outer = fields.inside("rope_parameters", parameters);
    if !parameters.is_object() || outer.has("rope_theta") {
        fields.refuse("rope_parameters", format!("found {}", shown(parameters)), "a part for each kind of layer");
        return bases;
    }
    for (kind, base) in KINDS.iter().zip(&mut bases) {
        let Some(value) = outer.get(kind) else { continue };
        let mut inner = outer.inside(kind, value);
        inner.unsupported("rope_type", &[json!("default")], "default");
        *base = inner.number("rope_theta", 1.0, most).unwrap_or(*base);
        outer.adopt(inner);
    }
    fields.adopt(outer);
    bases
}

impl Architecture for ModernBert {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn tensors(&self, deepest: usize) -> Vec<(String, Vec<usize>)> {
        let Sizes { width, inner, layers, .. } = self.sizes;
        let mut tensors = Tensors::default();
        tensors.matrix("embeddings.tok_embeddings", self.sizes.vocabulary, width);
        tensors.norm("embeddings.norm", width, self.norm_bias);
        for layer in 0..deepest {
            // The embeddings are normed already, so the first layer has no norm before its attention.
            if layer > 0 {
                tensors.norm(format!("layers.{layer}.attn_norm"), width, self.norm_bias);
            }
            tensors.linear(format!("layers.{layer}.attn.Wqkv"), 3 * width, width, self.attention_bias);
            tensors.linear(format!("layers.{layer}.attn.Wo"), width, width, self.attention_bias);
            tensors.norm(format!("layers.{layer}.mlp_norm"), width, self.norm_bias);
            tensors.linear(format!("layers.{layer}.mlp.Wi"), 2 * inner, width, self.mlp_bias);
            tensors.linear(format!("layers.{layer}.mlp.Wo"), width, inner, self.mlp_bias);
        }
        if deepest == layers {
            tensors.norm("final_norm", width, self.norm_bias);
        }
        tensors.0
    }

    fn load(
        &self,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> candle_core::Result<Box<dyn Transformer>> {
        let weights = &weights.on(placement)?;
        let linear = |name: String, biased: bool| parts::linear(weights, &name, biased);
        let norm = |name: &str| parts::norm(weights, name, self.norm_bias, self.epsilon);
        let load_layer = |layer: usize| {
            Ok(Layer {
                attention_norm: (layer > 0).then(|| norm(&format!("layers.{layer}.attn_norm"))).transpose()?,
                projections: linear(format!("layers.{layer}.attn.Wqkv"), self.attention_bias)?,
                attention_output: linear(format!("layers.{layer}.attn.Wo"), self.attention_bias)?,
                mlp_norm: norm(&format!("layers.{layer}.mlp_norm"))?,
                mlp_input: linear(format!("layers.{layer}.mlp.Wi"), self.mlp_bias)?,
                mlp_output: linear(format!("layers.{layer}.mlp.Wo"), self.mlp_bias)?,
                activation: self.activation,
                heads: self.sizes.heads,
                local: self.local.get(layer).copied().unwrap_or(false),
            })
        };
        Ok(Box::new(Loaded {
            words: weights.get("embeddings.tok_embeddings.weight")?,
            embedding_norm: norm("embeddings.norm")?,
            layers: (0..deepest).map(load_layer).collect::<candle_core::Result<_>>()?,
            final_norm: (deepest == self.sizes.layers).then(|| norm("final_norm")).transpose()?,
            reach: self.reach,
            bases: self.bases,
            head_width: self.sizes.width / self.sizes.heads,
        }))
    }
}

struct Layer {
    attention_norm: Option<LayerNorm>,
    /// Query, key and value in one map.
    projections: Linear,
    attention_output: Linear,
    mlp_norm: LayerNorm,
    /// Activated half and gate in one map.
    mlp_input: Linear,
    mlp_output: Linear,
    activation: Activation,
    heads: usize,
    local: bool,
}

/// What layers of one kind share for one text.
struct Surroundings {
    cosine: Tensor,
    sine: Tensor,
    mask: Option<Tensor>,
}

impl Layer {
    /// `(tokens, width)` to the same.
    fn forward(&self, state: &Tensor, around: &Surroundings) -> candle_core::Result<Tensor> {
        let normed = self.attention_norm.as_ref().map_or_else(|| Ok(state.clone()), |norm| norm.forward(state))?;
        let state = (state + self.attend(&normed, around)?)?;
        let halves = self.mlp_input.forward(&self.mlp_norm.forward(&state)?)?.chunk(2, D::Minus1)?;
        let gated = (self.activation.forward(&halves[0].contiguous()?)? * &halves[1])?;
        state + self.mlp_output.forward(&gated)?
    }

    fn attend(&self, state: &Tensor, around: &Surroundings) -> candle_core::Result<Tensor> {
        let (tokens, width) = state.dims2()?;
        let head_width = width / self.heads;
        let projected = self.projections.forward(state)?.reshape((tokens, 3, self.heads, head_width))?;
        // (1, heads, tokens, head width)
        let part = |index: usize| projected.get_on_dim(1, index)?.transpose(0, 1)?.contiguous()?.unsqueeze(0);
        let query = rotary_emb::rope(&part(0)?, &around.cosine, &around.sine)?;
        let key = rotary_emb::rope(&part(1)?, &around.cosine, &around.sine)?;
        let mut scores = ((query * (head_width as f64).powf(-0.5))?.matmul(&key.t()?))?;
        if let Some(mask) = &around.mask {
            scores = scores.broadcast_add(mask)?;
        }
        let mixed = ops::softmax_last_dim(&scores)?.matmul(&part(2)?)?;
        self.attention_output.forward(&mixed.squeeze(0)?.transpose(0, 1)?.reshape((tokens, width))?)
    }
}

struct Loaded {
    words: Tensor,
    embedding_norm: LayerNorm,
    layers: Vec<Layer>,
    /// Only where every layer was loaded.
    final_norm: Option<LayerNorm>,
    reach: usize,
    bases: [f64; 2],
    head_width: usize,
}

impl Loaded {
    fn surroundings(&self, tokens: usize, base: f64, mask: Option<Tensor>) -> candle_core::Result<Surroundings> {
        let angles = angles(tokens, self.head_width, base);
        let table = |of: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().map(|angle| of(*angle)).collect();
            Tensor::from_vec(values, (tokens, self.head_width / 2), self.words.device())?.to_dtype(self.words.dtype())
        };
        Ok(Surroundings { cosine: table(libm::cosf)?, sine: table(libm::sinf)?, mask })
    }

    /// 0 within reach, −∞ beyond it; none where every token is within reach.
    fn window(&self, tokens: usize) -> candle_core::Result<Option<Tensor>> {
        if tokens <= self.reach + 1 {
            return Ok(None);
        }
        let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| query.abs_diff(key)));
        let mask: Vec<f32> = pairs.map(|apart| if apart <= self.reach { 0.0 } else { f32::NEG_INFINITY }).collect();
        Tensor::from_vec(mask, (tokens, tokens), self.words.device())?.to_dtype(self.words.dtype()).map(Some)
    }
}

/// Rotary angles `(tokens, head width / 2)`: position × base^(−2i / head width), in f32 as the reference has them.
fn angles(tokens: usize, head_width: usize, base: f64) -> Vec<f32> {
    let exponent = |index: usize| (2 * index) as f32 / head_width as f32;
    let frequency = |index: usize| 1.0 / libm::pow(base, f64::from(exponent(index))) as f32;
    let frequencies: Vec<f32> = (0..head_width / 2).map(frequency).collect();
    (0..tokens).flat_map(|position| frequencies.iter().map(move |frequency| position as f32 * frequency)).collect()
}

impl SingleText for Loaded {
    fn states_of(&self, encoded: &Encoded, layers: &[usize]) -> candle_core::Result<Vec<Tensor>> {
        let tokens = encoded.ids.len();
        let global = self.surroundings(tokens, self.bases[0], None)?;
        let local = self.surroundings(tokens, self.bases[1], self.window(tokens)?)?;
        let words = self.words.index_select(&Tensor::new(encoded.ids.as_slice(), self.words.device())?, 0)?;
        let embedded = self.embedding_norm.forward(&words)?;
        let forward = |layer: &Layer, state: &Tensor| layer.forward(state, if layer.local { &local } else { &global });
        let states = run(embedded, &self.layers, layers, forward)?;
        // The last of hidden_states is the one after the final norm, the others are not normed.
        let finished = |(state, layer): (&Tensor, &usize)| match &self.final_norm {
            Some(norm) if *layer == self.layers.len() => norm.forward(state),
            _ => Ok(state.clone()),
        };
        states.iter().zip(layers).map(finished).collect()
    }
}
