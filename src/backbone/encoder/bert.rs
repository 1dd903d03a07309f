//! BERT and the families with the same layers under other names: DistilBERT, RoBERTa, XLM-RoBERTa, CamemBERT.
//!
//! On the processor all run on the kernels of [`super::super::packed`], elsewhere on candle-transformers' BERT layers.
//! Its own DistilBERT takes the tanh approximation for GELU, and its own RoBERTa keeps its layers private, so their
//! weights are handed to the BERT layers instead.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::{LayerNorm, Module};
use candle_transformers::models::bert::{BertEncoder, BertLayer, Config, HiddenAct, PositionEmbeddingType};
use serde_json::json;

use super::super::checkpoint::Weights;
use super::super::fields::Fields;
use super::super::model::{Architecture, Placement, Shape, SingleText, Transformer, packed_precisions};
use super::super::packed::{Activation, Encoder, EncoderPlan};
use super::super::parts::{self, Tensors};
use super::super::tokens::Encoded;
use super::{SIZES, Sizes, run};
use crate::config::{Device, Dtype};

/// What DistilBERT calls its sizes.
const DISTILBERT_SIZES: [&str; 6] =
    ["vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings"];

/// The linear maps of a layer: BERT's name, DistilBERT's name, whether the rows and the columns are the inner width.
const MAPS: [(&str, &str, bool, bool); 6] = [
    ("attention.self.query", "attention.q_lin", false, false),
    ("attention.self.key", "attention.k_lin", false, false),
    ("attention.self.value", "attention.v_lin", false, false),
    ("attention.output.dense", "attention.out_lin", false, false),
    ("intermediate.dense", "ffn.lin1", true, false),
    ("output.dense", "ffn.lin2", false, true),
];
/// The norms of a layer: BERT's name, DistilBERT's name.
const NORMS: [(&str, &str); 2] =
    [("attention.output.LayerNorm", "sa_layer_norm"), ("output.LayerNorm", "output_layer_norm")];

/// A checked configuration.
pub(super) struct Bert {
    shape: Shape,
    sizes: Sizes,
    activation: HiddenAct,
    epsilon: f64,
    /// Token types, 0 where the family has none.
    types: usize,
    /// RoBERTa counts positions from the one after the padding token's id.
    padding: Option<usize>,
    distilbert: bool,
}

/// Reads the configuration of a family of this file.
pub(super) fn read(family: &str, fields: &mut Fields<'_>) -> Option<Bert> {
    let distilbert = family == "distilbert";
    let sizes = Sizes::read(fields, if distilbert { &DISTILBERT_SIZES } else { &SIZES });
    let types = if distilbert { 0 } else { fields.size("type_vocab_size", 1_000, Some(2)) };
    let epsilon = if distilbert { None } else { fields.number("layer_norm_eps", 0.0, 1.0) };
    let known = "gelu, gelu_new, gelu_pytorch_tanh, relu";
    let activation = fields.name(if distilbert { "activation" } else { "hidden_act" }, "gelu", activation, known);
    fields.unsupported("position_embedding_type", &[json!("absolute")], "absolute");
    let title = match family {
        "distilbert" => "DistilBERT",
        "roberta" => "RoBERTa",
        "xlm-roberta" => "XLM-RoBERTa",
        "camembert" => "CamemBERT",
        _ => "BERT",
    };
    let counts_from_padding = matches!(family, "roberta" | "xlm-roberta" | "camembert");
    let padding = counts_from_padding.then(|| fields.whole("pad_token_id", 0..=sizes.vocabulary - 1, Some(1)));
    let first = padding.map_or(0, |padding| padding + 1);
    if first >= sizes.positions && fields.faults.is_empty() {
        let found = format!("{} leaves no position: the first {first} are not used", sizes.positions);
        fields.refuse("max_position_embeddings", found, format!("more than pad_token_id + 1, which is {first}"));
    }
    let shape = sizes.shape(title, sizes.positions.saturating_sub(first));
    Some(Bert { shape, sizes, activation: activation?, epsilon: epsilon.unwrap_or(1e-12), types, padding, distilbert })
}

fn activation(name: &str) -> Option<HiddenAct> {
    match name {
        "gelu" => Some(HiddenAct::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Some(HiddenAct::GeluApproximate),
        "relu" => Some(HiddenAct::Relu),
        _ => None,
    }
}

impl Bert {
    /// The name in the checkpoint of a part of `layer`.
    fn stored(&self, layer: usize, bert: &str, distilbert: &str) -> String {
        if self.distilbert {
            format!("transformer.layer.{layer}.{distilbert}")
        } else {
            format!("encoder.layer.{layer}.{bert}")
        }
    }

    /// The first `deepest` layers, each as an encoder of its own so that the states between them can be kept.
    fn load_layers(
        &self,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> candle_core::Result<Vec<BertEncoder>> {
        let mut tensors = BTreeMap::new();
        let parts = || MAPS.iter().map(|(bert, distilbert, ..)| (*bert, *distilbert)).chain(NORMS);
        for layer in 0..deepest {
            for (bert, distilbert) in parts() {
                for kind in ["weight", "bias"] {
                    let stored = format!("{}.{kind}", self.stored(layer, bert, distilbert));
                    tensors.insert(format!("layer.{layer}.{bert}.{kind}"), weights.get(&stored)?);
                }
            }
        }
        let builder = parts::builder(tensors, placement);
        let mut whole = BertEncoder::load(builder, &self.candle(deepest))?;
        let layers = std::mem::take(&mut whole.layers);
        let single = |layer: BertLayer| {
            let mut one = whole.clone();
            one.layers = vec![layer];
            one
        };
        Ok(layers.into_iter().map(single).collect())
    }

    /// What the processor's own kernels need to know of the first `deepest` layers.
    fn plan(&self, deepest: usize) -> EncoderPlan {
        let maps = MAPS.map(|(bert, distilbert, ..)| (bert, distilbert));
        let [queries, keys, values, output, up, down] = maps;
        let [after_attention, after_perceptron] = NORMS;
        let parts = [queries, keys, values, output, up, down, after_attention, after_perceptron];
        let names = |layer| parts.map(|(bert, distilbert)| self.stored(layer, bert, distilbert));
        EncoderPlan {
            width: self.sizes.width,
            heads: self.sizes.heads,
            layers: (0..deepest).map(names).collect(),
            activation: match self.activation {
                HiddenAct::Gelu => Activation::Gelu,
                HiddenAct::GeluApproximate => Activation::GeluTanh,
                HiddenAct::Relu => Activation::Relu,
            },
            epsilon: self.epsilon,
            tables: [
                Some("embeddings.word_embeddings.weight"),
                (self.types > 0).then_some("embeddings.token_type_embeddings.weight"),
                Some("embeddings.position_embeddings.weight"),
            ],
        }
    }

    fn candle(&self, layers: usize) -> Config {
        Config {
            vocab_size: self.sizes.vocabulary,
            hidden_size: self.sizes.width,
            num_hidden_layers: layers,
            num_attention_heads: self.sizes.heads,
            intermediate_size: self.sizes.inner,
            hidden_act: self.activation,
            hidden_dropout_prob: 0.0,
            max_position_embeddings: self.sizes.positions,
            type_vocab_size: self.types,
            initializer_range: 0.02,
            layer_norm_eps: self.epsilon,
            pad_token_id: 0,
            position_embedding_type: PositionEmbeddingType::Absolute,
            use_cache: false,
            classifier_dropout: None,
            model_type: None,
        }
    }
}

impl Architecture for Bert {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn precisions(&self, device: Device) -> &'static [Dtype] {
        packed_precisions(device)
    }

    fn tensors(&self, deepest: usize) -> Vec<(String, Vec<usize>)> {
        let (width, inner) = (self.sizes.width, self.sizes.inner);
        let mut tensors = Tensors::default();
        tensors.matrix("embeddings.word_embeddings", self.sizes.vocabulary, width);
        tensors.matrix("embeddings.position_embeddings", self.sizes.positions, width);
        if self.types > 0 {
            tensors.matrix("embeddings.token_type_embeddings", self.types, width);
        }
        for layer in 0..deepest {
            for (bert, distilbert, tall, wide) in MAPS {
                let (rows, columns) = (if tall { inner } else { width }, if wide { inner } else { width });
                tensors.linear(self.stored(layer, bert, distilbert), rows, columns, true);
            }
        }
        tensors.norm("embeddings.LayerNorm", width, true);
        for layer in 0..deepest {
            for (bert, distilbert) in NORMS {
                tensors.norm(self.stored(layer, bert, distilbert), width, true);
            }
        }
        tensors.0
    }

    fn load(
        &self,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> candle_core::Result<Box<dyn Transformer>> {
        if placement.device.is_cpu() {
            let encoder = Encoder::load(weights, &self.plan(deepest), placement)?;
            return Ok(Box::new(Packed { encoder, padding: self.padding, types: self.types }));
        }
        self.load_on_candle(weights, deepest, placement)
    }
}

impl Bert {
    /// The transformer in candle's own layers, for devices that have no kernels of ours.
    ///
    /// # Errors
    /// When candle refuses a tensor.
    pub(super) fn load_on_candle(
        &self,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> candle_core::Result<Box<dyn Transformer>> {
        let weights = &weights.on(placement)?;
        let get = |name: &str| weights.get(&format!("embeddings.{name}.weight"));
        let types = (self.types > 0).then(|| get("token_type_embeddings")).transpose()?;
        let norm = parts::norm(weights, "embeddings.LayerNorm", true, self.epsilon)?;
        let (words, positions) = (get("word_embeddings")?, get("position_embeddings")?);
        let embeddings = Embeddings { words, types, positions, norm, padding: self.padding };
        Ok(Box::new(Loaded { embeddings, layers: self.load_layers(weights, deepest, placement)? }))
    }
}

/// Word, type and position embeddings, summed and normed.
struct Embeddings {
    words: Tensor,
    types: Option<Tensor>,
    positions: Tensor,
    norm: LayerNorm,
    padding: Option<usize>,
}

impl Embeddings {
    /// `(1, tokens, width)`.
    fn forward(&self, encoded: &Encoded) -> candle_core::Result<Tensor> {
        let rows = |table: &Tensor, rows: Vec<u32>| table.index_select(&Tensor::new(rows, table.device())?, 0);
        let mut sum = rows(&self.words, encoded.ids.clone())?;
        if let Some(types) = &self.types {
            let last = types.dim(0)? as u32 - 1;
            sum = (sum + rows(types, encoded.type_ids.iter().map(|kind| *kind.min(&last)).collect())?)?;
        }
        let sum = (sum + rows(&self.positions, position_ids(self.padding, &encoded.ids))?)?;
        self.norm.forward(&sum.unsqueeze(0)?)
    }
}

/// RoBERTa counts the tokens that are no padding, from `padding + 1`; a padding token stands at `padding`.
fn position_ids(padding: Option<usize>, ids: &[u32]) -> Vec<u32> {
    let Some(padding) = padding else { return (0..ids.len() as u32).collect() };
    let padding = padding as u32;
    let mut last = padding;
    let position = |id: &u32| {
        if *id == padding {
            return padding;
        }
        last += 1;
        last
    };
    ids.iter().map(position).collect()
}

/// On the processor's own kernels.
struct Packed {
    encoder: Encoder,
    padding: Option<usize>,
    types: usize,
}

impl Transformer for Packed {
    fn kernel(&self) -> Option<&'static str> {
        Some(self.encoder.kernel())
    }

    fn states(&self, texts: &[&Encoded], layers: &[usize]) -> candle_core::Result<Vec<Vec<Tensor>>> {
        let last = self.types.saturating_sub(1) as u32;
        let tokens = |text: &&Encoded| {
            let words = text.ids.iter().zip(&text.type_ids).zip(position_ids(self.padding, &text.ids));
            words.map(|((word, kind), position)| [*word, *kind.min(&last), position]).collect()
        };
        self.encoder.states(&texts.iter().map(tokens).collect::<Vec<_>>(), layers)
    }
}

struct Loaded {
    embeddings: Embeddings,
    layers: Vec<BertEncoder>,
}

impl SingleText for Loaded {
    fn states_of(&self, encoded: &Encoded, layers: &[usize]) -> candle_core::Result<Vec<Tensor>> {
        let embedded = self.embeddings.forward(encoded)?;
        // One unpadded text: nothing is masked, so the additive mask is zero.
        let mask = Tensor::zeros((1, 1, 1, 1), embedded.dtype(), embedded.device())?;
        let states = run(embedded, &self.layers, layers, |layer, state| layer.forward(state, &mask))?;
        states.iter().map(|state| state.squeeze(0)).collect()
    }
}
