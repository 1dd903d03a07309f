//! The forward pass on the processor's own kernels: several texts side by side, without padding.
//!
//! candle loads the weights and stays the tensor library of everything else. Here linear maps run over the tokens of all
//! texts at once, attention runs text by text, and what follows a product (bias, activation, gate) is done before its
//! tile leaves the registers. Every number of a token is summed in an order of its own, so it has the same bits
//! whatever stands beside it.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only x86 has the bf16 product"))]

mod batch;
mod encoder;
mod kernels;
mod linear;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use candle_core::{DType, Device, Result, Tensor};

pub(super) use batch::Batch;
pub(super) use encoder::{Encoder, EncoderPlan};
pub(super) use kernels::{Activation, Attention, Kernel, Lane, Norm, choose};
pub(super) use linear::{Format, Linear, Matrix};
pub(super) use rows::Rows;

use super::checkpoint::Weights;
use kernels::{AttentionRoom, Operands};

/// The names of the kernels that this processor runs, the plainest first and the best last.
pub fn kernel_names() -> Vec<&'static str> {
    kernels::available().iter().map(|kernel| kernel.name()).collect()
}

/// Tiles that run from end to end before the next: what one map writes is in the second cache when the next reads it.
const BLOCK: usize = 8;

/// What one forward pass writes into, kept for the next.
#[derive(Default)]
pub(super) struct Room {
    pub(super) states: Rows,
    pub(super) projected: Rows,
    pub(super) context: Rows,
    pub(super) added: Rows,
    pub(super) inner: Vec<Lane>,
    pub(super) operands: Operands,
    pub(super) attention: AttentionRoom,
}

/// Rooms that nobody is in: as many as passes ever ran at once.
#[derive(Default)]
pub(super) struct Rooms(Mutex<Vec<Room>>);

impl Rooms {
    /// Runs `work` in a free room.
    pub(super) fn enter<T>(&self, work: impl FnOnce(&mut Room) -> T) -> T {
        let free = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut room = free().pop().unwrap_or_default();
        let result = work(&mut room);
        free().push(room);
        result
    }
}

/// The numbers of a tensor in f32, row by row.
pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// The map `name` of a checkpoint; its bias is zero where it has none.
pub(super) fn matrix(weights: &Weights, name: &str, biased: bool) -> Result<Matrix> {
    let weight = weights.get(&format!("{name}.weight"))?;
    let (outputs, inputs) = weight.dims2()?;
    let bias = if biased { numbers(&weights.get(&format!("{name}.bias"))?)? } else { vec![0.0; outputs] };
    Ok(Matrix { inputs, weights: numbers(&weight)?, bias })
}

/// Numbers in lanes; the last is filled with zeros.
pub(super) fn lanes(numbers: &[f32]) -> Vec<Lane> {
    let lane = |numbers: &[f32]| {
        let mut lane = Lane::ZERO;
        lane.0[..numbers.len()].copy_from_slice(numbers);
        lane
    };
    numbers.chunks(16).map(lane).collect()
}

/// Two maps one after the other, as in a perceptron, `BLOCK` tiles at a time.
pub(super) struct Perceptron {
    pub(super) up: Linear,
    pub(super) down: Linear,
}

impl Perceptron {
    /// Both maps over the tiles of `input`, into `output`.
    pub(super) fn run(
        &self,
        kernel: &dyn Kernel,
        input: &[Lane],
        room: (&mut Vec<Lane>, &mut Operands),
        output: &mut [Lane],
    ) {
        let (inner, operands) = room;
        let tiles = BLOCK * kernel.height();
        let blocks = input.chunks(tiles * self.up.inputs()).zip(output.chunks_mut(tiles * self.down.outputs()));
        for (input, output) in blocks {
            inner.resize(input.len() / self.up.inputs() * self.up.outputs(), Lane::ZERO);
            kernel.linear(&self.up, input, operands, inner);
            kernel.linear(&self.down, inner, operands, output);
        }
    }
}

/// The first `width` numbers of the rows at `positions`, as a tensor `(tokens, width)`.
pub(super) fn tensor(rows: &Rows, positions: impl ExactSizeIterator<Item = usize>, width: usize) -> Result<Tensor> {
    let count = positions.len();
    let mut values = Vec::with_capacity(count * width);
    for row in positions {
        for lane in 0..rows.lanes() {
            let kept = (width - lane * 16).min(16);
            values.extend_from_slice(&rows.lane(row, lane).0[..kept]);
        }
    }
    Tensor::from_vec(values, (count, width), &Device::Cpu)
}

/// A layer norm of a checkpoint.
fn layer_norm(weights: &Weights, name: &str, epsilon: f64) -> Result<Norm> {
    let weight = numbers(&weights.get(&format!("{name}.weight"))?)?;
    let bias = numbers(&weights.get(&format!("{name}.bias"))?)?;
    Ok(Norm { width: weight.len(), weight: lanes(&weight), bias: Some(lanes(&bias)), epsilon: epsilon as f32 })
}
