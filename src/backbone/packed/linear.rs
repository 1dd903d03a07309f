//! A linear map whose weights are laid out once, in the order and the number format in which a kernel reads them.

use super::kernels::{Activation, Lane, Units, bf16};

/// The number format of a map's weights, and with it of the rows it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backbone) enum Format {
    /// f32.
    Floats,
    /// Numbers rounded to bf16 but stored as f32, for processors without a fast bf16 product.
    Rounded,
    /// Pairs of bf16.
    Pairs,
    /// 8-bit numbers: symmetric for each column of weights, from least to greatest for each row of states. The sizes of two
    /// neighbours of a column sum up to at most 128.
    Bytes,
}

/// Weights in columns of sixteen outputs: `(outputs / 16, depth / 16, 16)` chunks of sixteen outputs each.
pub(in crate::backbone) enum Weights {
    Floats(Vec<Lane>),
    Rounded(Vec<Lane>),
    Pairs(Vec<Units>),
    Bytes {
        weights: Vec<Units>,
        /// What one step of a column's 8-bit numbers is worth.
        scales: Vec<Lane>,
        /// The sum of each column, as its 8-bit numbers have it.
        sums: Vec<Lane>,
    },
}

/// A map y = activation(W x + b) over rows in lanes of sixteen.
pub(in crate::backbone) struct Linear {
    inputs: usize,
    depth: usize,
    columns: usize,
    bias: Vec<Lane>,
    weights: Weights,
    activation: Activation,
    gated: bool,
}

/// A matrix as it stands in a checkpoint, `(outputs, inputs)` row by row, with a bias for each output.
#[derive(Clone, Default)]
pub(in crate::backbone) struct Matrix {
    pub(in crate::backbone) inputs: usize,
    pub(in crate::backbone) weights: Vec<f32>,
    pub(in crate::backbone) bias: Vec<f32>,
}

impl Matrix {
    /// Outputs.
    pub(in crate::backbone) fn outputs(&self) -> usize {
        self.bias.len()
    }

    fn row(&self, output: usize) -> &[f32] {
        &self.weights[output * self.inputs..(output + 1) * self.inputs]
    }

    /// Appends the outputs of another matrix over the same inputs.
    pub(in crate::backbone) fn append(&mut self, other: &Self) {
        self.weights.extend(&other.weights);
        self.bias.extend(&other.bias);
    }

    /// Fills every run of `size` outputs up to `whole` with outputs that are zero.
    pub(in crate::backbone) fn pad_outputs(&self, size: usize, whole: usize) -> Self {
        let mut padded = Self { inputs: self.inputs, ..Self::default() };
        for start in (0..self.outputs()).step_by(size.max(1)) {
            let end = (start + size).min(self.outputs());
            padded.weights.extend(&self.weights[start * self.inputs..end * self.inputs]);
            padded.bias.extend(&self.bias[start..end]);
            let missing = whole - (end - start);
            padded.weights.resize(padded.weights.len() + missing * self.inputs, 0.0);
            padded.bias.resize(padded.bias.len() + missing, 0.0);
        }
        padded
    }

    /// Fills every run of `size` inputs up to `whole` with inputs that count nothing.
    pub(in crate::backbone) fn pad_inputs(&self, size: usize, whole: usize) -> Self {
        let mut padded = Self { inputs: 0, weights: Vec::new(), bias: self.bias.clone() };
        for output in 0..self.outputs() {
            for run in self.row(output).chunks(size.max(1)) {
                padded.weights.extend(run);
                padded.weights.resize(padded.weights.len() + whole - run.len(), 0.0);
            }
        }
        padded.inputs = self.inputs.div_ceil(size.max(1)) * whole;
        padded
    }

    /// The outputs of `gate` and `up` in turns of sixteen.
    pub(in crate::backbone) fn interleave(gate: &Self, up: &Self) -> Self {
        let lanes = |matrix: &Self| matrix.pad_outputs(matrix.outputs(), matrix.outputs().next_multiple_of(16));
        let (gate, up) = (lanes(gate), lanes(up));
        let mut both = Self { inputs: gate.inputs, ..Self::default() };
        for start in (0..gate.outputs()).step_by(16) {
            for matrix in [&gate, &up] {
                both.weights.extend(&matrix.weights[start * matrix.inputs..(start + 16) * matrix.inputs]);
                both.bias.extend(&matrix.bias[start..start + 16]);
            }
        }
        both
    }
}

impl Linear {
    /// Lays out `matrix`; gated maps take their gate and their values in turns of sixteen outputs.
    pub(in crate::backbone) fn new(matrix: &Matrix, format: Format, activation: Activation, gated: bool) -> Self {
        let inputs = matrix.inputs.div_ceil(16);
        let columns = matrix.outputs().div_ceil(16);
        let depth = match format {
            Format::Floats | Format::Rounded => inputs,
            Format::Pairs => inputs.div_ceil(2),
            Format::Bytes => inputs.div_ceil(4),
        };
        let mut bias = vec![Lane::ZERO; columns];
        let numbers = bias.iter_mut().flat_map(|lane| &mut lane.0);
        numbers.zip(&matrix.bias).for_each(|(into, from)| *into = *from);
        let weights = match format {
            Format::Floats => Weights::Floats(floats(matrix, (columns, depth))),
            Format::Rounded => Weights::Rounded(rounded(matrix, (columns, depth))),
            Format::Pairs => Weights::Pairs(pairs(matrix, (columns, depth))),
            Format::Bytes => bytes(matrix, (columns, depth)),
        };
        Self { inputs, depth, columns, bias, weights, activation, gated }
    }

    /// Lanes of a row of states that go in.
    pub(in crate::backbone) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Lanes of a row that come out.
    pub(in crate::backbone) fn outputs(&self) -> usize {
        if self.gated { self.columns / 2 } else { self.columns }
    }

    /// Chunks of sixteen units of depth.
    pub(in crate::backbone) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of sixteen.
    pub(in crate::backbone) fn columns(&self) -> usize {
        self.columns
    }

    pub(in crate::backbone) fn bias(&self) -> &[Lane] {
        &self.bias
    }

    pub(in crate::backbone) fn weights(&self) -> &Weights {
        &self.weights
    }

    pub(in crate::backbone) fn activation(&self) -> Activation {
        self.activation
    }

    /// Whether every other column is a gate, whose activation multiplies the column after it.
    pub(in crate::backbone) fn gated(&self) -> bool {
        self.gated
    }
}

fn floats(matrix: &Matrix, (columns, depth): (usize, usize)) -> Vec<Lane> {
    let mut lanes = vec![Lane::ZERO; columns * depth * 16];
    for output in 0..matrix.outputs() {
        let column = &mut lanes[output / 16 * depth * 16..][..depth * 16];
        for (lane, weight) in column.iter_mut().zip(matrix.row(output)) {
            lane.0[output % 16] = *weight;
        }
    }
    lanes
}

/// Rounded to bf16, with the second of each two weights first, as kernels lay out the rows.
fn rounded(matrix: &Matrix, (columns, depth): (usize, usize)) -> Vec<Lane> {
    let mut lanes = floats(matrix, (columns, depth));
    for lane in &mut lanes {
        lane.0 = lane.0.map(|number| f32::from_bits(u32::from(bf16(number)) << 16));
    }
    for pair in lanes.as_chunks_mut::<2>().0 {
        pair.swap(0, 1);
    }
    lanes
}

fn pairs(matrix: &Matrix, (columns, depth): (usize, usize)) -> Vec<Units> {
    let mut units = vec![Units::ZERO; columns * depth * 16];
    for output in 0..matrix.outputs() {
        let column = &mut units[output / 16 * depth * 16..][..depth * 16];
        for (unit, weights) in column.iter_mut().zip(matrix.row(output).chunks(2)) {
            let second = weights.get(1).map_or(0, |weight| u32::from(bf16(*weight)));
            unit.0[output % 16] = u32::from(bf16(weights[0])) | (second << 16);
        }
    }
    units
}

/// Each column in steps of its largest sum of two neighbours' sizes over 127. Rounded, two make up 128 at most, and their
/// products with numbers up to 255 a number of 16 bits: what AVX2 adds them in, so that every kernel has the same sums.
/// Beside steps of the largest weight itself that costs next to nothing (docs/performance.md).
fn bytes(matrix: &Matrix, (columns, depth): (usize, usize)) -> Weights {
    let mut weights = vec![Units::ZERO; columns * depth * 16];
    let (mut scales, mut sums) = (vec![Lane::ZERO; columns], vec![Lane::ZERO; columns]);
    for output in 0..matrix.outputs() {
        let row = matrix.row(output);
        // Divided apart: the sum itself may have no f32.
        let steps = |two: &[f32]| two.iter().map(|weight| weight.abs() / 127.0).sum::<f32>();
        let step = row.chunks(2).map(steps).fold(0f32, f32::max);
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        let column = &mut weights[output / 16 * depth * 16..][..depth * 16];
        let mut sum = 0;
        for (unit, four) in column.iter_mut().zip(row.chunks(4)) {
            let mut numbers = [0u8; 4];
            for (number, weight) in numbers.iter_mut().zip(four) {
                let rounded = (weight * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
                sum += i32::from(rounded);
                *number = rounded.cast_unsigned();
            }
            unit.0[output % 16] = u32::from_le_bytes(numbers);
        }
        scales[output / 16].0[output % 16] = step;
        sums[output / 16].0[output % 16] = step * sum as f32;
    }
    Weights::Bytes { weights, scales, sums }
}
