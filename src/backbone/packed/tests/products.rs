//! Linear maps in every number format, with and without gates, against sums in f64.

use super::activations::{STEEPEST, activation_error, true_activation};
use super::{Answer, ROUNDING, UNDERFLOW, applied, between_bf16, formats, near, normal, random_matrix};
use crate::backbone::packed::kernels::{Activation, Operands, available};
use crate::backbone::packed::linear::{Format, Linear, Matrix};
use crate::random::Random;

const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Gelu, Activation::GeluTanh, Activation::Silu, Activation::Relu];

/// The bf16 number nearest to `value`; of two that are equally near the one with an even last bit.
fn nearest_bf16(value: f32) -> f64 {
    let below = value.to_bits() & 0xffff_0000;
    let above = below + 0x1_0000;
    let distance = |bits: u32| (f64::from(f32::from_bits(bits)) - f64::from(value)).abs();
    let even = if below & 0x1_0000 == 0 { below } else { above };
    let bits = match distance(below).total_cmp(&distance(above)) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => above,
        std::cmp::Ordering::Equal => even,
    };
    f64::from(f32::from_bits(bits))
}

/// Numbers in steps: `zero + step × count`. Counts that lie so near the middle of two that f32 may round them either way
/// have a doubt of one.
struct Steps {
    zero: f64,
    step: f64,
    counts: Vec<f64>,
    doubts: Vec<f64>,
}

impl Steps {
    fn new(numbers: &[f32], zero: f64, step: f64) -> Self {
        let exact = |number: &f32| if step > 0.0 { (f64::from(*number) - zero) / step } else { 0.0 };
        // Five roundings (least, range, step, its inverse, their product) of at most 255 steps make 8e-5 steps.
        let doubt = |exact: f64| f64::from(((exact - exact.floor()) - 0.5).abs() < 1e-4);
        let counts = numbers.iter().map(|number| exact(number).round_ties_even()).collect();
        let doubts = numbers.iter().map(|number| doubt(exact(number))).collect();
        Self { zero, step, counts, doubts }
    }

    /// A row of states, in 255 steps from its least to its greatest number. Zeros fill its last lane.
    fn of_states(states: &[f32]) -> Self {
        let mut filled = states.to_vec();
        filled.resize(states.len().next_multiple_of(16), 0.0);
        let least = filled.iter().copied().map(f64::from).fold(f64::INFINITY, f64::min);
        let greatest = filled.iter().copied().map(f64::from).fold(f64::NEG_INFINITY, f64::max);
        Self::new(states, least, (greatest - least) / 255.0)
    }

    /// The weights of an output, the largest sum of two neighbours' sizes in 127 steps.
    fn of_weights(weights: &[f32]) -> Self {
        let size = |two: &[f32]| two.iter().map(|weight| f64::from(weight.abs())).sum();
        Self::new(weights, 0.0, weights.chunks(2).map(size).fold(0.0, f64::max) / 127.0)
    }

    /// The product with `weights`, plus `bias`: whole numbers are summed without error, so what is left are seven
    /// roundings of the three parts.
    fn dot(&self, weights: &Self, bias: f64) -> Answer {
        let sum: f64 = weights.counts.iter().sum();
        let product: f64 = self.counts.iter().zip(&weights.counts).map(|(left, right)| left * right).sum();
        let parts = [self.zero * weights.step * sum, self.step * weights.step * product, bias];
        let mut bound = 7.0 * ROUNDING * parts.iter().map(|part| part.abs()).sum::<f64>() + 4.0 * UNDERFLOW;
        for index in 0..self.counts.len() {
            let state = (self.zero + self.step * self.counts[index]).abs() + self.step;
            bound += self.doubts[index] * self.step * weights.step * weights.counts[index].abs();
            bound += weights.doubts[index] * weights.step * state;
        }
        Answer { value: parts.iter().sum(), bound }
    }
}

/// w x + b over numbers that are summed as they are.
fn dot(states: &[f64], weights: &[f64], bias: f64) -> Answer {
    let (mut value, mut size) = (bias, bias.abs());
    for (state, weight) in states.iter().zip(weights) {
        value += state * weight;
        size += (state * weight).abs();
    }
    let roundings = states.len() as f64 + 2.0;
    Answer { value, bound: roundings * (ROUNDING * size + UNDERFLOW) }
}

/// What a map in `format` makes of a row, before its activation.
pub(super) fn true_products(format: Format, states: &[f32], matrix: &Matrix) -> Vec<Answer> {
    let exact = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).collect::<Vec<_>>();
    let rounded = |numbers: &[f32]| numbers.iter().map(|number| nearest_bf16(*number)).collect::<Vec<_>>();
    let output = |(weights, bias): (&[f32], &f32)| {
        let bias = f64::from(*bias);
        match format {
            Format::Floats => dot(&exact(states), &exact(weights), bias),
            Format::Rounded | Format::Pairs => dot(&rounded(states), &rounded(weights), bias),
            Format::Bytes => Steps::of_states(states).dot(&Steps::of_weights(weights), bias),
        }
    };
    matrix.weights.chunks(matrix.inputs).zip(&matrix.bias).map(output).collect()
}

/// The activation of a number that is known within its bound.
fn activated(activation: Activation, before: Answer) -> Answer {
    let value = true_activation(activation, before.value);
    let own = activation_error(activation) * (before.value.abs() + before.bound);
    Answer { value, bound: STEEPEST * before.bound + own + UNDERFLOW }
}

fn gated(gate: Answer, value: Answer) -> Answer {
    let product = gate.value * value.value;
    let crossed = gate.bound * (value.value.abs() + value.bound) + gate.value.abs() * value.bound;
    Answer { value: product, bound: crossed + ROUNDING * (product.abs() + crossed) + UNDERFLOW }
}

/// Rows of all kinds: normal numbers, ties between two of bf16, zeros, one number throughout, one that stands out.
fn random_rows(random: &mut Random, (rows, inputs): (usize, usize), magnitude: f64) -> Vec<Vec<f32>> {
    let row = |index: usize| match index % 6 {
        2 => {
            let mut row = normal(random, inputs, magnitude);
            between_bf16(&mut row);
            row
        }
        3 => vec![0.0; inputs],
        4 => vec![(random.normal() * magnitude) as f32; inputs],
        5 => {
            let mut row = normal(random, inputs, magnitude / 100.0);
            row[index % inputs] = magnitude as f32;
            row
        }
        _ => normal(random, inputs, magnitude),
    };
    (0..rows).map(row).collect()
}

/// Compares every kernel in `format` with the twin; `both` are the gate, if there is one, and the values.
fn compare(
    format: Format,
    activation: Activation,
    both: &[Matrix],
    rows: &[Vec<f32>],
    counts: impl Fn(usize) -> Vec<usize>,
) {
    let truth: Vec<Vec<Answer>> = rows
        .iter()
        .map(|row| {
            let products: Vec<_> = both.iter().map(|matrix| true_products(format, row, matrix)).collect();
            let first = products[0].iter().map(|product| activated(activation, *product));
            match products.get(1) {
                Some(values) => first.zip(values).map(|(gate, value)| gated(gate, *value)).collect(),
                None => first.collect(),
            }
        })
        .collect();
    let matrix = both.get(1).map_or_else(|| both[0].clone(), |values| Matrix::interleave(&both[0], values));
    let linear = Linear::new(&matrix, format, activation, both.len() == 2);
    let mut operands = Operands::default();
    for kernel in available() {
        if !formats(&*kernel).contains(&format) {
            continue;
        }
        for count in counts(kernel.height()) {
            let found = applied(&*kernel, &linear, &rows[..count], &mut operands);
            for (row, (found, truth)) in found.iter().zip(&truth).enumerate() {
                let shape = (both[0].inputs, both[0].outputs(), count, row);
                for (found, truth) in found.iter().zip(truth) {
                    near(*found, *truth, &(kernel.name(), format, activation, both.len(), shape));
                }
            }
        }
    }
}

const FORMATS: [Format; 4] = [Format::Floats, Format::Rounded, Format::Pairs, Format::Bytes];

/// A pair of matrices, a gate and values.
fn pair(random: &mut Random, sizes: (usize, usize), magnitude: f64) -> Vec<Matrix> {
    (0..2).map(|_| random_matrix(random, sizes, magnitude)).collect()
}

#[test]
fn products_are_right_at_every_edge() {
    let mut random = Random::new(1);
    let sizes = [1, 15, 16, 17, 31, 33, 64, 100];
    let magnitudes = [(1.0, 1.0), (1e8, 1e8), (1e-15, 1e-15), (1e-9, 1e9)];
    let mut turn = 0;
    for inputs in sizes {
        for outputs in sizes {
            let (activation, (states, weights)) = (ACTIVATIONS[turn % 5], magnitudes[turn % 4]);
            turn += 1;
            let matrices = pair(&mut random, (inputs, outputs), weights);
            let rows = random_rows(&mut random, (3 * 14 + 5, inputs), states);
            let counts = |height: usize| vec![1, height - 1, height, height + 1, 3 * height + 5];
            for format in FORMATS {
                compare(format, activation, &matrices[..1], &rows, counts);
                compare(format, activation, &matrices, &rows, |height| vec![height + 1]);
            }
        }
    }
}

#[test]
fn products_are_right_beyond_a_block() {
    let mut random = Random::new(2);
    let shapes = [(384, 100), (100, 384), (385, 33)];
    for (shape, activation) in shapes.into_iter().zip([Activation::Identity, Activation::Gelu, Activation::Silu]) {
        let matrices = pair(&mut random, shape, 0.05);
        let rows = random_rows(&mut random, (9 * 14 + 3, shape.0), 1.0);
        for format in FORMATS {
            compare(format, activation, &matrices[..1], &rows, |height| vec![8 * height + 1, 9 * height + 3]);
            compare(format, activation, &matrices, &rows, |height| vec![8 * height + 1]);
        }
    }
}

#[test]
fn bytes_are_within_half_a_step_of_the_numbers_they_stand_for() {
    let mut random = Random::new(3);
    for inputs in [1, 17, 100, 384] {
        let matrix = random_matrix(&mut random, (inputs, 40), 1.0);
        for row in random_rows(&mut random, (12, inputs), 1.0) {
            let exact = true_products(Format::Floats, &row, &matrix);
            let bytes = true_products(Format::Bytes, &row, &matrix);
            let step = Steps::of_states(&row).step;
            for (output, weights) in matrix.weights.chunks(inputs).enumerate() {
                let column = Steps::of_weights(weights).step;
                // Half a step of either side times the other, and the product of both halves.
                let off = |(state, weight): (&f32, &f32)| {
                    let (state, weight) = (f64::from(state.abs()), f64::from(weight.abs()));
                    0.5 * step * weight + 0.5 * column * state + 0.25 * step * column
                };
                let off: f64 = row.iter().zip(weights).map(off).sum();
                assert!((exact[output].value - bytes[output].value).abs() <= off * (1.0 + 1e-9) + 1e-12);
            }
        }
    }
}

#[test]
fn bytes_multiply_whole_numbers_without_error() {
    let mut random = Random::new(4);
    for inputs in [2, 16, 63, 64, 65, 500] {
        // Every row has 0 and 255, and two neighbours of every output make up 127, so that steps are one. The first row is the
        // largest there is; so are the outputs of 63.5, which is rounded to 64.
        let whole = |random: &mut Random, most: f32| (random.uniform() * f64::from(most + 1.0)).floor() as f32;
        let mut rows = vec![vec![255.0; inputs]; 30];
        for row in &mut rows {
            row[inputs - 1] = 0.0;
        }
        for row in &mut rows[1..] {
            row[1..inputs - 1].fill_with(|| whole(&mut random, 255.0));
        }
        let mut weights = vec![63.5; inputs * 33];
        for two in weights[inputs..].chunks_mut(inputs).flat_map(|column| column.chunks_mut(2)) {
            let mut left = 127.0;
            for weight in two {
                let size = whole(&mut random, left);
                (*weight, left) = (if random.uniform() < 0.5 { size } else { -size }, left - size);
            }
        }
        weights[inputs..].chunks_mut(inputs).for_each(|column| column[..2].copy_from_slice(&[-127.0, 0.0]));
        weights[inputs..].chunks_mut(inputs).step_by(5).for_each(|column| column.fill(-63.5));
        let matrix = Matrix { inputs, weights, bias: (0..33).map(|output| output as f32).collect() };
        let linear = Linear::new(&matrix, Format::Bytes, Activation::Identity, false);
        for kernel in available() {
            let found = applied(&*kernel, &linear, &rows, &mut Operands::default());
            for (row, found) in rows.iter().zip(&found) {
                for (output, weights) in matrix.weights.chunks(inputs).enumerate() {
                    let products =
                        row.iter().zip(weights).map(|(state, weight)| *state as i64 * weight.round_ties_even() as i64);
                    assert_eq!(
                        found[output] as i64,
                        products.sum::<i64>() + output as i64,
                        "{} {inputs}",
                        kernel.name()
                    );
                }
            }
        }
    }
}

/// From the least to the greatest number of f32 there is no number in f32, but there are steps.
#[test]
fn bytes_stand_for_rows_of_any_range() {
    let matrix = Matrix { inputs: 2, weights: vec![1e-3, 0.0, 0.0, 1e-3], bias: vec![0.0; 2] };
    let linear = Linear::new(&matrix, Format::Bytes, Activation::Identity, false);
    for kernel in available() {
        let found = applied(&*kernel, &linear, &[vec![3e38, -3e38]], &mut Operands::default());
        for (found, truth) in found[0].iter().zip([3e35, -3e35]) {
            assert!((found - truth).abs() < 1e30, "{}: {found:e}", kernel.name());
        }
    }
}
