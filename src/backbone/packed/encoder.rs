//! BERT's encoder: attention and perceptron, each followed by a sum and a norm.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};

use super::batch::Batch;
use super::kernels::{Attention, Kernel, Lane, Norm, choose};
use super::linear::{Format, Linear};
use super::rows::Rows;
use super::{Activation, BLOCK, Perceptron, Room, Rooms, lanes, layer_norm, matrix, numbers, tensor};
use crate::backbone::checkpoint::Weights;
use crate::backbone::model::Placement;

/// The rows of the tables that are summed for a token: its word, its type, its position.
pub(in crate::backbone) type Token = [u32; 3];

/// The sizes of an encoder, and the names of its parts in a checkpoint.
pub(in crate::backbone) struct EncoderPlan {
    pub(in crate::backbone) width: usize,
    pub(in crate::backbone) heads: usize,
    pub(in crate::backbone) activation: Activation,
    pub(in crate::backbone) epsilon: f64,
    /// The names of the tables of words, token types and positions.
    pub(in crate::backbone) tables: [Option<&'static str>; 3],
    /// For each layer the names of its parts: the maps to queries, keys and values, out of attention, into and out of
    /// the perceptron; then the norms after attention and perceptron.
    pub(in crate::backbone) layers: Vec<[String; 8]>,
}

struct Layer {
    projection: Linear,
    output: Linear,
    after_attention: Norm,
    perceptron: Perceptron,
    after_perceptron: Norm,
}

/// A loaded encoder.
pub(in crate::backbone) struct Encoder {
    kernel: Box<dyn Kernel>,
    width: usize,
    /// Rows in lanes; a table that the family has not is one row of zeros.
    tables: [Vec<Lane>; 3],
    norm: Norm,
    attention: Attention,
    layers: Vec<Layer>,
    rooms: Rooms,
}

impl Layer {
    fn load(weights: &Weights, plan: &EncoderPlan, format: Format, parts: &[String; 8]) -> Result<Self> {
        let [queries, keys, values, output, up, down, after_attention, after_perceptron] = parts;
        let map = |name: &str| matrix(weights, name, true);
        let norm = |name: &str| layer_norm(weights, name, plan.epsilon);
        let size = plan.width / plan.heads;
        let whole = size.next_multiple_of(16);
        let mut projection = map(queries)?.pad_outputs(size, whole);
        projection.append(&map(keys)?.pad_outputs(size, whole));
        projection.append(&map(values)?.pad_outputs(size, whole));
        let linear = |matrix: &_, activation| Linear::new(matrix, format, activation, false);
        Ok(Self {
            projection: linear(&projection, Activation::Identity),
            output: linear(&map(output)?.pad_inputs(size, whole), Activation::Identity),
            after_attention: norm(after_attention)?,
            perceptron: Perceptron {
                up: linear(&map(up)?, plan.activation),
                down: linear(&map(down)?, Activation::Identity),
            },
            after_perceptron: norm(after_perceptron)?,
        })
    }
}

impl Encoder {
    /// Lays out the weights for the kernel of `placement`.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub(in crate::backbone) fn load(weights: &Weights, plan: &EncoderPlan, placement: &Placement) -> Result<Self> {
        let kernel = choose(placement.kernel.as_deref());
        let format = kernel.format(placement.dtype);
        let table = |name: Option<&str>| {
            let rows = name.map_or(Ok(vec![0.0; plan.width]), |name| numbers(&weights.get(name)?))?;
            Ok::<_, candle_core::Error>(rows.chunks(plan.width).flat_map(lanes).collect())
        };
        let [words, types, positions] = plan.tables;
        let size = plan.width / plan.heads;
        Ok(Self {
            kernel,
            width: plan.width,
            tables: [table(words)?, table(types)?, table(positions)?],
            norm: layer_norm(weights, "embeddings.LayerNorm", plan.epsilon)?,
            attention: Attention {
                queries: plan.heads,
                keys: plan.heads,
                lanes: size.div_ceil(16),
                scale: 1.0 / (size as f32).sqrt(),
                causal: false,
                window: None,
            },
            layers: plan.layers.iter().map(|parts| Layer::load(weights, plan, format, parts)).collect::<Result<_>>()?,
            rooms: Rooms::default(),
        })
    }

    /// The states of `layers` of each text.
    ///
    /// # Errors
    /// When a layer was not loaded or a token is in none of the tables.
    pub(in crate::backbone) fn states(&self, texts: &[Vec<Token>], layers: &[usize]) -> Result<Vec<Vec<Tensor>>> {
        self.rooms.enter(|room| self.run(texts, layers, room))
    }

    /// The kernel it runs on.
    pub(in crate::backbone) fn kernel(&self) -> &'static str {
        self.kernel.name()
    }

    fn run(&self, texts: &[Vec<Token>], layers: &[usize], room: &mut Room) -> Result<Vec<Vec<Tensor>>> {
        let deepest = layers.iter().copied().max().unwrap_or(0);
        if deepest > self.layers.len() {
            bail!("layer {deepest} was not loaded");
        }
        let batch = Batch::apart(texts.iter().map(Vec::len));
        self.embed(texts, batch.rows, &mut room.states)?;
        let mut found: Vec<Vec<Option<Tensor>>> = vec![vec![None; layers.len()]; texts.len()];
        for index in 0..=deepest {
            if index > 0 {
                self.layer(&self.layers[index - 1], &batch, room);
            }
            for place in (0..layers.len()).filter(|place| layers[*place] == index) {
                for (found, span) in found.iter_mut().zip(&batch.spans) {
                    found[place] = Some(tensor(&room.states, span.own.clone(), self.width)?);
                }
            }
        }
        Ok(found.into_iter().map(|states| states.into_iter().flatten().collect()).collect())
    }

    fn embed(&self, texts: &[Vec<Token>], rows: usize, states: &mut Rows) -> Result<()> {
        let lanes = self.width.div_ceil(16);
        states.reshape(rows, lanes, self.kernel.height());
        for (row, token) in texts.iter().flatten().enumerate() {
            for lane in 0..lanes {
                let mut sum = Lane::ZERO;
                for (table, entry) in self.tables.iter().zip(token) {
                    let Some(values) = table.get(*entry as usize * lanes + lane) else {
                        bail!("token {entry} is in no table of the embedding");
                    };
                    sum.0.iter_mut().zip(values.0).for_each(|(sum, value)| *sum += value);
                }
                *states.lane_mut(row, lane) = sum;
            }
        }
        self.kernel.normalise(&self.norm, states.tiles_mut(), &[]);
        Ok(())
    }

    /// Some tiles at a time: what attention needs to be projected, and then all that follows on what is attended.
    fn layer(&self, layer: &Layer, batch: &Batch, room: &mut Room) {
        let kernel = &*self.kernel;
        let height = kernel.height();
        let tiles = batch.rows.div_ceil(height);
        room.projected.reshape(batch.rows, self.attention.row_lanes(), height);
        room.context.reshape(batch.rows, self.attention.queries * self.attention.lanes, height);
        room.added.reshape(batch.rows, room.states.lanes(), height);
        let (mut projected, mut complete) = (0, 0);
        for span in &batch.spans {
            let part = projected..span.own.end.div_ceil(height).next_multiple_of(BLOCK).min(tiles);
            let states = room.states.some_tiles(&part);
            kernel.linear(&layer.projection, states, &mut room.operands, room.projected.some_tiles_mut(&part));
            projected = part.end;
            kernel.attend(&self.attention, (&room.projected, span), &mut room.attention, &mut room.context);
            let whole = span.own.end / height / BLOCK * BLOCK;
            let part = complete..if span.own.end == batch.rows { tiles } else { whole };
            self.finish(layer, &part, room);
            complete = part.end;
        }
    }

    /// What a layer makes of the tiles `part` after their attention.
    fn finish(&self, layer: &Layer, part: &Range<usize>, room: &mut Room) {
        let kernel = &*self.kernel;
        let (states, added) = (room.states.some_tiles_mut(part), room.added.some_tiles_mut(part));
        kernel.linear(&layer.output, room.context.some_tiles(part), &mut room.operands, added);
        kernel.normalise(&layer.after_attention, states, added);
        layer.perceptron.run(kernel, states, (&mut room.inner, &mut room.operands), added);
        kernel.normalise(&layer.after_perceptron, states, added);
    }
}
