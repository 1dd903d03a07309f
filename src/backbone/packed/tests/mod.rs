//! Every kernel that this processor runs against twins in f64 that know nothing of tiles, lanes and registers.
//!
//! Error bounds are those of the textbook (Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3): a
//! sum of n products in any order is off by at most n u Σ|a b|, with u half the distance from 1 to the next f32.

mod activations;
mod attention;
mod batch;
mod bits;
mod matrices;
mod norms;
mod products;
mod rows;

use std::fmt::Debug;

use super::kernels::{Kernel, Lane, Operands};
use super::linear::{Format, Linear, Matrix};
use super::rows::Rows;
use crate::random::Random;

/// The largest relative error of one rounding to f32.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// The largest absolute error of one rounding that ends below the normal numbers, where bf16 products round to zero.
const UNDERFLOW: f64 = f32::MIN_POSITIVE as f64;

/// A true number, and how far off a kernel may be.
#[derive(Clone, Copy, Debug)]
struct Answer {
    value: f64,
    bound: f64,
}

/// Fails unless `found` is as near to the truth as it must be.
fn near(found: f32, Answer { value, bound }: Answer, place: &dyn Debug) {
    let error = (f64::from(found) - value).abs();
    assert!(error <= bound, "{place:?}: {found:e} instead of {value:e}, off by {error:e} where {bound:e} may be");
}

/// The formats in which a kernel multiplies.
fn formats(kernel: &dyn Kernel) -> Vec<Format> {
    let mut formats = vec![Format::Floats, Format::Rounded, Format::Bytes];
    if kernel.name() == "avx512-dot" {
        formats.push(Format::Pairs);
    }
    formats
}

/// Normal numbers times `magnitude`.
fn normal(random: &mut Random, count: usize, magnitude: f64) -> Vec<f32> {
    (0..count).map(|_| (random.normal() * magnitude) as f32).collect()
}

/// Moves numbers to the middle between two that bf16 has.
fn between_bf16(numbers: &mut [f32]) {
    for number in numbers {
        *number = f32::from_bits(number.to_bits() & 0xffff_0000 | 0x8000);
    }
}

/// A matrix of normal weights, an output of weights that bf16 has not, another that is zero, and normal biases.
fn random_matrix(random: &mut Random, (inputs, outputs): (usize, usize), magnitude: f64) -> Matrix {
    let mut weights = normal(random, inputs * outputs, magnitude);
    between_bf16(&mut weights[..inputs]);
    weights[outputs / 2 * inputs..][..inputs].fill(0.0);
    Matrix { inputs, weights, bias: normal(random, outputs, magnitude) }
}

/// Rows of a kernel; lanes are filled with zeros, and the rows of the last tile that nobody asked for with noise.
fn laid_out(kernel: &dyn Kernel, rows: &[Vec<f32>]) -> Rows {
    let mut laid = Rows::default();
    laid.reshape(rows.len(), rows[0].len().div_ceil(16), kernel.height());
    for (index, lane) in laid.tiles_mut().iter_mut().enumerate() {
        *lane = Lane([1e4 + index as f32; 16]);
    }
    for (index, row) in rows.iter().enumerate() {
        for (lane, numbers) in super::lanes(row).into_iter().enumerate() {
            *laid.lane_mut(index, lane) = numbers;
        }
    }
    laid
}

/// All numbers of a row.
fn numbers(rows: &Rows, row: usize) -> Vec<f32> {
    (0..rows.lanes()).flat_map(|lane| rows.lane(row, lane).0).collect()
}

/// The rows that `linear` makes of `rows`.
fn applied(kernel: &dyn Kernel, linear: &Linear, rows: &[Vec<f32>], operands: &mut Operands) -> Vec<Vec<f32>> {
    let input = laid_out(kernel, rows);
    let mut output = Rows::default();
    output.like(&input, linear.outputs());
    output.tiles_mut().fill(Lane([f32::NAN; 16]));
    kernel.linear(linear, input.tiles(), operands, output.tiles_mut());
    (0..rows.len()).map(|row| numbers(&output, row)).collect()
}

/// The bits of numbers, which tell 0 from -0.
fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}
