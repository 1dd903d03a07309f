//! DeBERTa-v2 and v3: attention that also weighs how far apart two tokens stand.
//!
//! Source: He et al., "DeBERTa: Decoding-enhanced BERT with disentangled attention" (2021). The layers are
//! candle-transformers' own, each loaded as an encoder of one layer so that the states between them can be kept.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use candle_transformers::models::debertav2::{Config, DebertaV2Embeddings, DebertaV2Encoder, HiddenAct};
use serde_json::{Value, json};

use super::super::checkpoint::Weights;
use super::super::fields::{Fields, shown};
use super::super::model::{Architecture, Placement, Shape, SingleText, Transformer};
use super::super::parts::{self, Tensors};
use super::super::tokens::Encoded;
use super::{SIZES, Sizes, run};
use crate::config::{Device, Dtype};

/// A checked configuration.
pub(super) struct DebertaV2 {
    shape: Shape,
    sizes: Sizes,
    activation: HiddenAct,
    epsilon: f64,
    types: usize,
    /// Whether the embeddings know the absolute position too.
    absolute: bool,
    relative: Option<Relative>,
    /// `c2p`, `p2c`: what relative positions are weighed with.
    kinds: Vec<String>,
}

/// How relative positions enter the attention.
#[derive(Clone, Copy)]
struct Relative {
    /// Distances beyond it count as it.
    most: usize,
    /// Distances are put into this many buckets on either side, finely near by and coarsely far away.
    buckets: Option<usize>,
    /// Whether the maps of the content serve for positions too.
    shared: bool,
    normed: bool,
}

impl Relative {
    /// Rows of the table of relative positions.
    fn rows(&self) -> usize {
        2 * self.buckets.unwrap_or(self.most)
    }
}

/// Reads the configuration.
pub(super) fn read(fields: &mut Fields<'_>) -> Option<DebertaV2> {
    let sizes = Sizes::read(fields, &SIZES);
    let epsilon = fields.number("layer_norm_eps", 0.0, 1.0).unwrap_or(1e-7);
    let types = fields.whole("type_vocab_size", 0..=1_000, Some(0));
    let absolute = fields.flag("position_biased_input", true);
    let kinds = read_kinds(fields);
    let relative = if fields.flag("relative_attention", false) { read_relative(fields, &sizes) } else { None };
    fields.unsupported("conv_kernel_size", &[json!(0)], "0, a model without a convolution");
    for (field, only) in [
        ("embedding_size", sizes.width),
        ("attention_head_size", sizes.width / sizes.heads),
        ("pooler_hidden_size", sizes.width),
    ] {
        fields.unsupported(field, &[json!(only)], &only.to_string());
    }
    let activation = fields.name("hidden_act", "gelu", activation, "gelu, gelu_new, gelu_pytorch_tanh, relu");
    let shape = sizes.shape("DeBERTa-v2", sizes.positions);
    Some(DebertaV2 { shape, sizes, activation: activation?, epsilon, types, absolute, relative, kinds })
}

fn activation(name: &str) -> Option<HiddenAct> {
    match name {
        "gelu" => Some(HiddenAct::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Some(HiddenAct::GeluApproximate),
        "relu" => Some(HiddenAct::Relu),
        _ => None,
    }
}

/// `"c2p|p2c"` or `["c2p", "p2c"]`.
fn read_kinds(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(value) = fields.get("pos_att_type") else { return Vec::new() };
    let kinds: Option<Vec<String>> = match value {
        Value::String(text) => Some(text.split('|').map(|kind| kind.trim().to_lowercase()).collect()),
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let known = |kinds: &Vec<String>| kinds.iter().all(|kind| kind == "c2p" || kind == "p2c");
    kinds.filter(known).unwrap_or_else(|| {
        fields.refuse("pos_att_type", format!("found {}", shown(value)), "c2p, p2c, or both as c2p|p2c or a list");
        Vec::new()
    })
}

fn read_relative(fields: &mut Fields<'_>, sizes: &Sizes) -> Option<Relative> {
    // -1 stands for "not set" in both.
    let set = |fields: &mut Fields<'_>, field: &str| {
        let unset = fields.get(field).is_none_or(|value| value.as_i64().is_some_and(|number| number < 1));
        (!unset).then(|| fields.size(field, 1_000_000, None))
    };
    let before = fields.faults.len();
    let most = set(fields, "max_relative_positions").unwrap_or(sizes.positions);
    let buckets = set(fields, "position_buckets");
    let readable = fields.faults.len() == before;
    if let Some(count) = buckets.filter(|count| readable && (*count < 4 || most <= count / 2 + 1)) {
        let found = format!("{count} buckets for {most} relative positions");
        fields.refuse("position_buckets", found, "4 or more, and less than twice the relative positions");
    }
    let shared = fields.flag("share_att_key", false);
    let known = |name: &str| match name.trim().to_lowercase().as_str() {
        "none" => Some(false),
        "layer_norm" => Some(true),
        _ => None,
    };
    let normed = fields.name("norm_rel_ebd", "none", known, "none, layer_norm")?;
    Some(Relative { most, buckets, shared, normed })
}

impl DebertaV2 {
    /// The maps of the relative positions in each layer.
    fn position_maps(&self) -> Vec<&'static str> {
        let own = self.relative.is_some_and(|relative| !relative.shared);
        let maps = [("c2p", "pos_key_proj"), ("p2c", "pos_query_proj")];
        let used = |(kind, _): &(&str, &str)| own && self.kinds.iter().any(|used| used == kind);
        maps.into_iter().filter(used).map(|(_, map)| map).collect()
    }

    fn embedding_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let width = self.sizes.width;
        let mut tensors = Tensors::default();
        tensors.matrix("embeddings.word_embeddings", self.sizes.vocabulary, width);
        if self.absolute {
            tensors.matrix("embeddings.position_embeddings", self.sizes.positions, width);
        }
        if self.types > 0 {
            tensors.matrix("embeddings.token_type_embeddings", self.types, width);
        }
        tensors.norm("embeddings.LayerNorm", width, true);
        tensors.0
    }

    fn layer_tensors(&self, layer: usize) -> Vec<(String, Vec<usize>)> {
        let Sizes { width, inner, .. } = self.sizes;
        let (mut tensors, prefix) = (Tensors::default(), format!("encoder.layer.{layer}"));
        for map in ["query_proj", "key_proj", "value_proj"].into_iter().chain(self.position_maps()) {
            tensors.linear(format!("{prefix}.attention.self.{map}"), width, width, true);
        }
        tensors.linear(format!("{prefix}.attention.output.dense"), width, width, true);
        tensors.norm(format!("{prefix}.attention.output.LayerNorm"), width, true);
        tensors.linear(format!("{prefix}.intermediate.dense"), inner, width, true);
        tensors.linear(format!("{prefix}.output.dense"), width, inner, true);
        tensors.norm(format!("{prefix}.output.LayerNorm"), width, true);
        tensors.0
    }

    /// The table of relative positions, which all layers share.
    fn relative_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = Tensors::default();
        if let Some(relative) = &self.relative {
            tensors.matrix("encoder.rel_embeddings", relative.rows(), self.sizes.width);
            if relative.normed {
                tensors.norm("encoder.LayerNorm", self.sizes.width, true);
            }
        }
        tensors.0
    }

    /// One layer as an encoder of its own, which calls it `layer.0`.
    fn load_layer(
        &self,
        weights: &Weights,
        layer: usize,
        placement: &Placement,
    ) -> candle_core::Result<DebertaV2Encoder> {
        let mut tensors = BTreeMap::new();
        let own = format!("encoder.layer.{layer}.");
        for (name, _) in self.layer_tensors(layer).into_iter().chain(self.relative_tensors()) {
            let inside = match name.strip_prefix(&own) {
                Some(rest) => format!("layer.0.{rest}"),
                None => name.replacen("encoder.", "", 1),
            };
            tensors.insert(inside, weights.get(&name)?);
        }
        DebertaV2Encoder::load(parts::builder(tensors, placement), &self.candle())
    }

    /// The configuration of a model of one layer.
    fn candle(&self) -> Config {
        let relative = self.relative.as_ref();
        Config {
            vocab_size: self.sizes.vocabulary,
            hidden_size: self.sizes.width,
            num_hidden_layers: 1,
            num_attention_heads: self.sizes.heads,
            intermediate_size: self.sizes.inner,
            hidden_act: self.activation,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            max_position_embeddings: self.sizes.positions,
            type_vocab_size: self.types,
            initializer_range: 0.02,
            layer_norm_eps: self.epsilon,
            relative_attention: relative.is_some(),
            max_relative_positions: relative.map_or(-1, |relative| relative.most as isize),
            pad_token_id: None,
            position_biased_input: self.absolute,
            pos_att_type: self.kinds.clone(),
            position_buckets: relative.and_then(|relative| relative.buckets).map(|count| count as isize),
            share_att_key: relative.map(|relative| relative.shared),
            attention_head_size: None,
            embedding_size: None,
            norm_rel_ebd: relative.filter(|relative| relative.normed).map(|_| "layer_norm".to_owned()),
            conv_kernel_size: None,
            conv_groups: None,
            conv_act: None,
            id2label: None,
            label2id: None,
            pooler_dropout: None,
            pooler_hidden_act: None,
            pooler_hidden_size: None,
            cls_dropout: None,
        }
    }
}

impl Architecture for DebertaV2 {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    /// candle computes its masks and distances in f32.
    fn precisions(&self, _: Device) -> &'static [Dtype] {
        &[Dtype::F32]
    }

    fn tensors(&self, deepest: usize) -> Vec<(String, Vec<usize>)> {
        let mut tensors = self.embedding_tensors();
        if deepest > 0 {
            tensors.extend(self.relative_tensors());
        }
        tensors.extend((0..deepest).flat_map(|layer| self.layer_tensors(layer)));
        tensors
    }

    fn load(
        &self,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> candle_core::Result<Box<dyn Transformer>> {
        let weights = &weights.on(placement)?;
        let embeddings = self.embedding_tensors().into_iter().map(|(name, _)| Ok((name.clone(), weights.get(&name)?)));
        let embeddings = parts::builder(embeddings.collect::<candle_core::Result<_>>()?, placement).pp("embeddings");
        let layer = |layer: usize| self.load_layer(weights, layer, placement);
        Ok(Box::new(Loaded {
            embeddings: DebertaV2Embeddings::load(embeddings, &self.candle())?,
            layers: (0..deepest).map(layer).collect::<candle_core::Result<_>>()?,
            types: self.types,
            device: placement.device.clone(),
        }))
    }
}

struct Loaded {
    embeddings: DebertaV2Embeddings,
    /// Encoders of one layer each.
    layers: Vec<DebertaV2Encoder>,
    types: usize,
    device: candle_core::Device,
}

impl SingleText for Loaded {
    fn states_of(&self, encoded: &Encoded, layers: &[usize]) -> candle_core::Result<Vec<Tensor>> {
        let ids = Tensor::new(encoded.ids.as_slice(), &self.device)?.unsqueeze(0)?;
        let last = self.types.saturating_sub(1) as u32;
        let types: Vec<u32> = encoded.type_ids.iter().map(|kind| *kind.min(&last)).collect();
        let types = Tensor::from_vec(types, ids.dims(), &self.device)?;
        // One unpadded text: every token is seen.
        let mask = Tensor::ones(ids.dims(), DType::F32, &self.device)?;
        let embedded = self.embeddings.forward(Some(&ids), Some(&types), None, None, None)?;
        let forward = |layer: &DebertaV2Encoder, state: &Tensor| layer.forward(state, &mask, None, None);
        run(embedded, &self.layers, layers, forward)?.iter().map(|state| state.squeeze(0)).collect()
    }
}
