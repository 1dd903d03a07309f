//! The decoder on the processor's own kernels, see [`crate::backbone::packed`]. What several texts begin with alike is
//! computed once.

use candle_core::{Result, Tensor, bail};
use candle_nn::Activation as CandleActivation;

use super::config::{DecoderConfig, Heads};
use super::rotary::Rotary;
use crate::backbone::checkpoint::Weights;
use crate::backbone::model::{Placement, Transformer};
use crate::backbone::packed::{
    Activation, Attention, Batch, Format, Kernel, Lane, Linear, Matrix, Norm, Perceptron, Room, Rooms, Rows, choose,
    lanes, matrix, numbers, tensor,
};
use crate::backbone::tokens::Encoded;

/// Cosines and sines of a token's angles, each `(tokens, head / 2)`.
struct Angles {
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

struct Layer {
    before_attention: Norm,
    projection: Linear,
    /// Norm weights of each head's queries and keys.
    head_norms: Option<[Vec<f32>; 2]>,
    attention: Attention,
    output: Linear,
    after_attention: Option<Norm>,
    before_perceptron: Norm,
    perceptron: Perceptron,
    after_perceptron: Option<Norm>,
}

/// A loaded decoder.
pub(super) struct PackedDecoder {
    kernel: Box<dyn Kernel>,
    width: usize,
    heads: Heads,
    epsilon: f32,
    /// Rows in lanes.
    embedding: Vec<Lane>,
    /// Multiplies embeddings.
    embedding_scale: Option<f32>,
    layers: Vec<Layer>,
    /// Angles of layers that see the whole text, and of those that slide.
    rotary: (Rotary, Rotary),
    /// The layers of the whole model, and the norm after the last.
    count: usize,
    norm: Option<Norm>,
    /// The map to the vocabulary, its size, and the bound of the logits.
    unembedding: Option<(Linear, usize, Option<f64>)>,
    rooms: Rooms,
}

/// What the weights of a layer are read with.
struct Loader<'a> {
    config: &'a DecoderConfig,
    weights: &'a Weights,
    format: Format,
}

impl Loader<'_> {
    fn norm_weight(&self, name: &str) -> Result<Vec<f32>> {
        let mut weight = numbers(&self.weights.get(&format!("{name}.weight"))?)?;
        if self.config.gemma {
            weight.iter_mut().for_each(|weight| *weight += 1.0);
        }
        Ok(weight)
    }

    fn norm(&self, name: &str) -> Result<Norm> {
        let weight = self.norm_weight(name)?;
        let epsilon = self.config.epsilon as f32;
        Ok(Norm { width: weight.len(), weight: lanes(&weight), bias: None, epsilon })
    }

    fn linear(&self, matrix: &Matrix) -> Linear {
        Linear::new(matrix, self.format, Activation::Identity, false)
    }

    fn layer(&self, index: usize) -> Result<Layer> {
        let config = self.config;
        let name = |part: &str| format!("layers.{index}.{part}");
        let norm = |part: &str| self.norm(&name(part));
        let map = |part: &str, biased| matrix(self.weights, &name(part), biased);
        let (after_attention, before_perceptron, after_perceptron) = if config.gemma {
            let after = Some(norm("post_attention_layernorm")?);
            (after, norm("pre_feedforward_layernorm")?, Some(norm("post_feedforward_layernorm")?))
        } else {
            (None, norm("post_attention_layernorm")?, None)
        };
        let head_norm = |part: &str| self.norm_weight(&name(part));
        let head_norms = if config.head_norms {
            Some([head_norm("self_attn.q_norm")?, head_norm("self_attn.k_norm")?])
        } else {
            None
        };
        let (size, whole) = (config.heads.size, config.heads.size.next_multiple_of(16));
        let mut projection = map("self_attn.q_proj", config.biases.attention)?.pad_outputs(size, whole);
        for part in ["self_attn.k_proj", "self_attn.v_proj"] {
            projection.append(&map(part, config.biases.attention)?.pad_outputs(size, whole));
        }
        let output = map("self_attn.o_proj", config.biases.output)?.pad_inputs(size, whole);
        let biased = config.biases.perceptron;
        let inner = Matrix::interleave(&map("mlp.gate_proj", biased)?, &map("mlp.up_proj", biased)?);
        Ok(Layer {
            before_attention: norm("input_layernorm")?,
            projection: self.linear(&projection),
            head_norms,
            attention: Attention {
                queries: config.heads.queries,
                keys: config.heads.keys,
                lanes: whole / 16,
                scale: config.scale as f32,
                causal: true,
                window: config.windows.get(index).copied().flatten(),
            },
            output: self.linear(&output),
            after_attention,
            before_perceptron,
            perceptron: Perceptron {
                up: Linear::new(&inner, self.format, activation(config.activation), true),
                down: self.linear(&map("mlp.down_proj", biased)?),
            },
            after_perceptron,
        })
    }
}

/// What [`crate::backbone::parts::activation`] knows.
fn activation(activation: CandleActivation) -> Activation {
    match activation {
        CandleActivation::Gelu => Activation::Gelu,
        CandleActivation::GeluPytorchTanh | CandleActivation::NewGelu => Activation::GeluTanh,
        CandleActivation::Relu => Activation::Relu,
        _ => Activation::Silu,
    }
}

impl PackedDecoder {
    /// Lays out the weights of the first `deepest` layers for the kernel of `placement`.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub(super) fn load(
        config: &DecoderConfig,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> Result<Self> {
        let kernel = choose(placement.kernel.as_deref());
        let count = config.shape.layers;
        let loader = Loader { config, weights, format: kernel.format(placement.dtype) };
        let embedding = numbers(&weights.get("embed_tokens.weight")?)?;
        let unembedding = if deepest > count {
            let name = if config.tied { "embed_tokens" } else { "lm_head" };
            // The logits are a check of the whole pass, so their own product is exact in every precision.
            let map = Linear::new(&matrix(weights, name, false)?, Format::Floats, Activation::Identity, false);
            Some((map, config.shape.vocabulary, config.logit_cap))
        } else {
            None
        };
        Ok(Self {
            width: config.shape.width,
            heads: config.heads,
            epsilon: config.epsilon as f32,
            embedding: embedding.chunks(config.shape.width).flat_map(lanes).collect(),
            embedding_scale: config.gemma.then(|| (config.shape.width as f64).sqrt() as f32),
            layers: (0..deepest.min(count)).map(|index| loader.layer(index)).collect::<Result<_>>()?,
            rotary: (config.rotary.clone(), config.sliding_rotary.clone()),
            count,
            norm: if deepest >= count { Some(loader.norm("norm")?) } else { None },
            unembedding,
            rooms: Rooms::default(),
            kernel,
        })
    }

    fn embed(&self, texts: &[&Encoded], batch: &Batch, states: &mut Rows) -> Result<()> {
        let lanes = self.width.div_ceil(16);
        states.reshape(batch.rows, lanes, self.kernel.height());
        for (text, span) in texts.iter().zip(&batch.spans) {
            for (row, id) in span.own.clone().zip(&text.ids[span.shared.len()..]) {
                for lane in 0..lanes {
                    let Some(values) = self.embedding.get(*id as usize * lanes + lane) else {
                        bail!("token {id} is not in the embedding");
                    };
                    let scale = self.embedding_scale.unwrap_or(1.0);
                    states.lane_mut(row, lane).0 = values.0.map(|value| value * scale);
                }
            }
        }
        Ok(())
    }

    fn run(&self, texts: &[&Encoded], layers: &[usize], room: &mut Room) -> Result<Vec<Vec<Tensor>>> {
        let deepest = layers.iter().copied().max().unwrap_or(0);
        if deepest > self.layers.len() + usize::from(self.unembedding.is_some()) {
            bail!("layer {deepest} was not loaded");
        }
        let batch = Batch::sharing(&texts.iter().map(|text| &text.ids[..]).collect::<Vec<_>>());
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let angles = |rotary: &Rotary| {
            let (cosines, sines) = rotary.tables(longest)?;
            Ok::<_, candle_core::Error>(Angles { cosines: numbers(&cosines)?, sines: numbers(&sines)? })
        };
        let (full, sliding) = (angles(&self.rotary.0)?, angles(&self.rotary.1)?);
        self.embed(texts, &batch, &mut room.states)?;
        let mut found: Vec<Vec<Option<Tensor>>> = vec![vec![None; layers.len()]; texts.len()];
        for index in 0..=deepest {
            if (1..=self.count).contains(&index) {
                let layer = &self.layers[index - 1];
                let angles = if layer.attention.window.is_some() { &sliding } else { &full };
                self.layer(layer, (&batch, angles), room);
            }
            for place in (0..layers.len()).filter(|place| layers[*place] == index) {
                let width = self.show(index, room);
                for (found, span) in found.iter_mut().zip(&batch.spans) {
                    let positions = (0..span.len()).map(|position| span.row(position));
                    found[place] = Some(self.bound(index, tensor(&room.added, positions, width)?)?);
                }
            }
        }
        Ok(found.into_iter().map(|states| states.into_iter().flatten().collect()).collect())
    }

    /// Puts what is handed out for layer `index` into `room.added`, and says how many numbers a token has there.
    fn show(&self, index: usize, room: &mut Room) -> usize {
        room.added.copy(&room.states);
        if let Some(norm) = self.norm.as_ref().filter(|_| index >= self.count) {
            self.kernel.normalise(norm, room.added.tiles_mut(), &[]);
        }
        let Some((map, vocabulary, _)) = self.unembedding.as_ref().filter(|_| index > self.count) else {
            return self.width;
        };
        room.projected.like(&room.added, map.outputs());
        self.kernel.linear(map, room.added.tiles(), &mut room.operands, room.projected.tiles_mut());
        std::mem::swap(&mut room.projected, &mut room.added);
        *vocabulary
    }

    /// Bends logits to stay within their bound, where the family has one.
    fn bound(&self, index: usize, shown: Tensor) -> Result<Tensor> {
        match &self.unembedding {
            Some((_, _, Some(cap))) if index > self.count => (shown / *cap)?.tanh()? * *cap,
            _ => Ok(shown),
        }
    }

    fn layer(&self, layer: &Layer, (batch, angles): (&Batch, &Angles), room: &mut Room) {
        let kernel = &*self.kernel;
        let attention = &layer.attention;
        room.projected.like(&room.states, attention.row_lanes());
        room.context.like(&room.states, attention.queries * attention.lanes);
        room.added.copy(&room.states);
        kernel.normalise(&layer.before_attention, room.added.tiles_mut(), &[]);
        kernel.linear(&layer.projection, room.added.tiles(), &mut room.operands, room.projected.tiles_mut());
        let mut head = vec![0.0; attention.lanes * 16];
        for span in &batch.spans {
            for row in span.own.clone() {
                let position = span.shared.len() + row - span.own.start;
                self.turn(layer, (row, position), angles, (&mut room.projected, &mut head));
            }
        }
        for span in &batch.spans {
            kernel.attend(attention, (&room.projected, span), &mut room.attention, &mut room.context);
        }
        kernel.linear(&layer.output, room.context.tiles(), &mut room.operands, room.added.tiles_mut());
        self.add(layer.after_attention.as_ref(), room);
        room.context.copy(&room.states);
        kernel.normalise(&layer.before_perceptron, room.context.tiles_mut(), &[]);
        let (input, output) = (room.context.tiles(), room.added.tiles_mut());
        layer.perceptron.run(kernel, input, (&mut room.inner, &mut room.operands), output);
        self.add(layer.after_perceptron.as_ref(), room);
    }

    /// Adds `room.added` to the states, normed first where the family does so.
    fn add(&self, norm: Option<&Norm>, room: &mut Room) {
        if let Some(norm) = norm {
            self.kernel.normalise(norm, room.added.tiles_mut(), &[]);
        }
        self.kernel.add(room.states.tiles_mut(), room.added.tiles());
    }

    /// Norms, where the family does so, and turns each head of a token's queries and keys.
    fn turn(
        &self,
        layer: &Layer,
        (row, position): (usize, usize),
        angles: &Angles,
        (rows, head): (&mut Rows, &mut [f32]),
    ) {
        let (size, lanes) = (self.heads.size, layer.attention.lanes);
        let pairs = size / 2;
        let cosines = &angles.cosines[position * pairs..][..pairs];
        let sines = &angles.sines[position * pairs..][..pairs];
        for index in 0..self.heads.queries + self.heads.keys {
            for (part, numbers) in head.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                *numbers = rows.lane(row, index * lanes + part).0;
            }
            if let Some(norms) = &layer.head_norms {
                let weight = &norms[usize::from(index >= self.heads.queries)];
                let squares: f32 = head[..size].iter().map(|number| number * number).sum();
                let inverse = 1.0 / (squares / size as f32 + self.epsilon).sqrt();
                head.iter_mut().zip(weight).for_each(|(number, weight)| *number = *number * inverse * weight);
            }
            let (first, second) = head[..size].split_at_mut(pairs);
            let both = first.iter_mut().zip(second).zip(cosines.iter().zip(sines));
            for ((first, second), (cosine, sine)) in both {
                let (left, right) = (*first, *second);
                *first = left * cosine - right * sine;
                *second = left * sine + right * cosine;
            }
            for (part, numbers) in head.as_chunks::<16>().0.iter().enumerate() {
                rows.lane_mut(row, index * lanes + part).0 = *numbers;
            }
        }
    }
}

impl Transformer for PackedDecoder {
    fn kernel(&self) -> Option<&'static str> {
        Some(self.kernel.name())
    }

    fn states(&self, texts: &[&Encoded], layers: &[usize]) -> Result<Vec<Vec<Tensor>>> {
        if texts.iter().any(|text| text.ids.is_empty()) {
            bail!("a text without tokens has no states");
        }
        self.rooms.enter(|room| self.run(texts, layers, room))
    }
}
