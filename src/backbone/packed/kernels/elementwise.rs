//! What is done to every number by itself: e to a power, and the activations.

use super::simd::{Lane, Simd};

/// What follows a linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backbone) enum Activation {
    /// Nothing.
    Identity,
    /// x Φ(x), with the normal distribution function itself.
    Gelu,
    /// x Φ(x) by the usual hyperbolic tangent.
    GeluTanh,
    /// x σ(x).
    Silu,
    /// max(0, x).
    Relu,
}

/// e to the power of each, for powers of at most 88; below -87, where it is next to nothing, e^-87.
///
/// Cephes' reduction by a two-part ln 2, and the Taylor polynomial of degree 6 on ±ln 2 / 2: relative error below 3e-7.
#[inline(always)]
pub(super) fn exponential<S: Simd>(simd: S, values: S::Floats) -> S::Floats {
    let values = simd.maximum(values, simd.splat(-87.0));
    let power = simd.round(simd.multiply(values, simd.splat(std::f32::consts::LOG2_E)));
    let rest = simd.multiply_add(power, simd.splat(-0.693_359_4), values);
    let rest = simd.multiply_add(power, simd.splat(2.121_944_4e-4), rest);
    let taylor = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    simd.scale(polynomial(simd, &taylor, rest), power)
}

/// 2 to the power of each, for powers of at most 0; below -125, where it is next to nothing, 2^-125.
///
/// The polynomial of degree 5 with the least relative error on ±½ among those that make 2^0 exactly 1, fitted for this
/// file: relative error below 1.7e-7.
#[expect(clippy::approx_constant, reason = "the least error asks for a little less than ln 2")]
#[inline(always)]
pub(super) fn power_of_two<S: Simd>(simd: S, values: S::Floats) -> S::Floats {
    let values = simd.maximum(values, simd.splat(-125.0));
    let power = simd.round(values);
    let rest = simd.subtract(values, power);
    let fitted = [1.326_472_7e-3, 9.671_513e-3, 5.550_733_6e-2, 2.402_224_2e-1, 6.931_47e-1, 1.0];
    simd.scale(polynomial(simd, &fitted, rest), power)
}

/// Beyond it Φ is 0 or 1 to within 4e-8.
const GELU_BOUND: f32 = 5.4;
/// P and Q, highest power first: a weighted least-squares fit made for this file, refitted until its largest error on
/// ±5.4 was even; Φ is off by at most 6e-9, x Φ(x) in f32 by at most 2.6e-7 |x|.
const GELU_ABOVE: [f32; 6] =
    [2.338_682e-8, 6.360_020_6e-6, 1.643_210_7e-4, 4.650_847_5e-3, 3.337_216_2e-2, 3.989_422_5e-1];
const GELU_BELOW: [f32; 6] = [1.216_593_5e-6, 7.240_001e-5, 1.858_978e-3, 2.837_865e-2, 2.503_177e-1, 1.0];

/// x Φ(x) by Φ(x) = ½ + x P(x²) / Q(x²), beyond which Φ is 0 or 1.
#[inline(always)]
fn gelu<S: Simd>(simd: S, values: S::Floats) -> S::Floats {
    // What lies below is as good as zero; bounded itself, it cannot multiply what is left of Φ there.
    let values = simd.maximum(values, simd.splat(-GELU_BOUND));
    let bounded = simd.minimum(values, simd.splat(GELU_BOUND));
    let square = simd.multiply(bounded, bounded);
    let half = simd
        .quotient(simd.multiply(polynomial(simd, &GELU_ABOVE, square), bounded), polynomial(simd, &GELU_BELOW, square));
    simd.multiply_add(values, half, simd.multiply(values, simd.splat(0.5)))
}

/// Horner's rule; the coefficient of the highest power comes first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, coefficients: &[f32; N], at: S::Floats) -> S::Floats {
    let mut sum = simd.splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.multiply_add(sum, at, simd.splat(*coefficient));
    }
    sum
}

/// x / (1 + e^(-steepness))
#[inline(always)]
fn gated<S: Simd>(simd: S, values: S::Floats, steepness: S::Floats) -> S::Floats {
    let falling = simd.minimum(simd.subtract(simd.splat(0.0), steepness), simd.splat(87.0));
    simd.divide(values, simd.add(simd.splat(1.0), exponential(simd, falling)))
}

/// The activation of each.
#[inline(always)]
pub(super) fn activate<S: Simd>(simd: S, activation: Activation, values: S::Floats) -> S::Floats {
    match activation {
        Activation::Identity => values,
        Activation::Gelu => gelu(simd, values),
        Activation::GeluTanh => {
            // ½ (1 + tanh u) is σ(2u), with u = √(2/π) (x + 0.044715 x³).
            let square = simd.multiply(values, values);
            let inner = simd.multiply_add(square, simd.splat(0.071_354_814), simd.splat(1.595_769));
            gated(simd, values, simd.multiply(values, inner))
        }
        Activation::Silu => gated(simd, values, values),
        Activation::Relu => simd.maximum(values, simd.splat(0.0)),
    }
}

/// left + right, lane by lane, into `left`.
#[inline(always)]
pub(super) fn add_into<S: Simd>(simd: S, left: &mut [Lane], right: &[Lane]) {
    for (left, right) in left.iter_mut().zip(right) {
        let sum = simd.add(simd.load(left), simd.load(right));
        simd.store(sum, left);
    }
}
