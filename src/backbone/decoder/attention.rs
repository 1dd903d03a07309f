//! Causal attention of one layer: every token looks at itself and those before it, in some layers only at the nearest.

use candle_core::{Device, IndexOp, Module, Result, Tensor};
use candle_nn::Linear;
use candle_nn::ops::{rms_norm, softmax_last_dim};
use candle_nn::rotary_emb::rope_thd;

use super::config::Heads;

/// Cosines and sines of the tokens' angles, each `(tokens, head / 2)`.
pub(super) struct Angles {
    pub(super) cosines: Tensor,
    pub(super) sines: Tensor,
}

/// The weights of one layer's attention.
pub(super) struct Attention {
    pub(super) queries: Linear,
    pub(super) keys: Linear,
    pub(super) values: Linear,
    pub(super) output: Linear,
    /// Norm weights of each head's queries and keys.
    pub(super) head_norms: Option<(Tensor, Tensor)>,
    pub(super) heads: Heads,
    pub(super) epsilon: f32,
    /// Multiplies the scores.
    pub(super) scale: f64,
    /// How many tokens up to its own a token sees; all where `None`.
    pub(super) window: Option<usize>,
    /// Queries that are scored at once: it bounds the memory for scores at heads × block × tokens.
    pub(super) block: usize,
}

impl Attention {
    /// From states `(tokens, width)` to what attention adds to them, `(tokens, width)`.
    pub(super) fn forward(&self, states: &Tensor, angles: &Angles) -> Result<Tensor> {
        let tokens = states.dim(0)?;
        let Heads { queries, keys, size } = self.heads;
        let (query_norm, key_norm) = match &self.head_norms {
            Some((query, key)) => (Some(query), Some(key)),
            None => (None, None),
        };
        let query =
            self.rotated(&self.queries.forward(states)?.reshape((tokens, queries, size))?, query_norm, angles)?;
        let key = self.rotated(&self.keys.forward(states)?.reshape((tokens, keys, size))?, key_norm, angles)?;
        let value = self.values.forward(states)?.reshape((tokens, keys, size))?;
        // Query heads that share one head of keys stand together: (tokens, keys, sharing, size).
        let query = (query * self.scale)?.reshape((tokens, keys, queries / keys, size))?;
        let starts = (0..tokens).step_by(self.block.max(1));
        let blocks = starts.map(|start| self.block(&query, &key, &value, start)).collect::<Result<Vec<Tensor>>>()?;
        self.output.forward(&Tensor::cat(&blocks, 0)?)
    }

    /// Norm, where the family has one, and rotation of `(tokens, heads, size)`.
    fn rotated(&self, states: &Tensor, norm: Option<&Tensor>, angles: &Angles) -> Result<Tensor> {
        let normed = match norm {
            Some(weight) => &rms_norm(states, weight, self.epsilon)?,
            None => states,
        };
        rope_thd(&normed.unsqueeze(0)?, &angles.cosines, &angles.sines)?.i(0)
    }

    /// The attended values `(block, queries × size)` of the queries from `start` on.
    fn block(&self, query: &Tensor, key: &Tensor, value: &Tensor, start: usize) -> Result<Tensor> {
        let (tokens, keys, sharing, size) = query.dims4()?;
        let count = self.block.max(1).min(tokens - start);
        let first = self.window.map_or(0, |window| (start + 1).saturating_sub(window));
        let seen = start + count - first;
        let query = query.narrow(0, start, count)?.permute((1, 2, 0, 3))?.reshape((keys, sharing * count, size))?;
        // Laid out anew: candle's products on cards take whole matrices only, turned or not.
        let by_head = |states: &Tensor| states.narrow(0, first, seen)?.transpose(0, 1)?.contiguous();
        let (key, value) = (by_head(key)?.t()?, by_head(value)?);
        let scores = query.matmul(&key)?.reshape((keys * sharing, count, seen))?;
        let mask = mask(start, count, first, self.window)?.to_dtype(scores.dtype())?.to_device(scores.device())?;
        let weights = softmax_last_dim(&scores.broadcast_add(&mask)?)?;
        let attended = weights.reshape((keys, sharing * count, seen))?.matmul(&value)?;
        attended.reshape((keys, sharing, count, size))?.permute((2, 0, 1, 3))?.reshape((count, keys * sharing * size))
    }
}

/// Zero where the query at `start + row` may see the key at `first + column`, minus infinity elsewhere. It is made anew
/// for each layer: that costs less than one of the heads' softmaxes, and nothing has to be kept.
fn mask(start: usize, count: usize, first: usize, window: Option<usize>) -> Result<Tensor> {
    let seen = start + count - first;
    let mut values = vec![f32::NEG_INFINITY; count * seen];
    for (row, values) in values.chunks_exact_mut(seen).enumerate() {
        let own = start + row;
        let oldest = window.map_or(0, |window| (own + 1).saturating_sub(window));
        values[oldest.max(first) - first..=own - first].fill(0.0);
    }
    Tensor::from_vec(values, (count, seen), &Device::Cpu)
}
