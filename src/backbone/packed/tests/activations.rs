//! Activations against their definitions in f64, from next to nothing to beyond what any model has.

use super::{Answer, UNDERFLOW, applied, near};
use crate::backbone::packed::kernels::{Activation, Operands, available};
use crate::backbone::packed::linear::{Format, Linear, Matrix};
use crate::random::Random;

/// No activation is steeper than this anywhere: GELU's slope is 1.1290 at √2, its tanh form's 1.1291, SiLU's 1.0998.
pub(super) const STEEPEST: f64 = 1.13;

/// How far the activation of x may be off, relative to |x|.
pub(super) fn activation_error(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu => 0.0,
        // The fit of Φ is good to 6e-9; the quotient's size, five roundings of its polynomials and the last sum remain.
        Activation::Gelu => 3e-7,
        // Two roundings, and what errors of 3e-7 in a power of e and of five roundings in its argument do to σ.
        Activation::GeluTanh | Activation::Silu => 2.5e-7,
    }
}

/// The activation by definition: Φ by the complementary error function, which is exact in both tails.
pub(super) fn true_activation(activation: Activation, x: f64) -> f64 {
    let logistic = |x: f64| 1.0 / (1.0 + libm::exp(-x));
    match activation {
        Activation::Identity => x,
        Activation::Gelu => x * 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            x * logistic(2.0 * inner)
        }
        Activation::Silu => x * logistic(x),
        Activation::Relu => x.max(0.0),
    }
}

/// What a kernel makes of `values`, by way of the map that changes nothing.
fn found(activation: Activation, values: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let mut weights = vec![0.0; 256];
    weights.iter_mut().step_by(17).for_each(|weight| *weight = 1.0);
    let matrix = Matrix { inputs: 16, weights, bias: vec![0.0; 16] };
    let linear = Linear::new(&matrix, Format::Floats, activation, false);
    let rows: Vec<Vec<f32>> = values.chunks(16).map(<[f32]>::to_vec).collect();
    let run = |kernel: &dyn crate::backbone::packed::Kernel| {
        let rows = applied(kernel, &linear, &rows, &mut Operands::default());
        (kernel.name(), rows.into_iter().flatten().take(values.len()).collect())
    };
    available().iter().map(|kernel| run(&**kernel)).collect()
}

/// -40 to 40 in steps of 1/64, numbers with all their digits, powers of two down to 2^-120, and what no model has.
fn grid() -> Vec<f32> {
    let mut random = Random::new(18);
    let full = (0..40_000).map(move |index| ((random.uniform() - 0.5) * [6.0, 12.0, 180.0][index % 3]) as f32);
    let even = (-2560..=2560_i16).map(|step| f32::from(step) / 64.0);
    let small = (0..=120).flat_map(|power| [1.0, -1.0].map(|sign| sign * libm::exp2f(-power as f32)));
    let extreme = [0.0, -0.0, 1e30, -1e30, 1e4, -1e4, 87.5, -87.5, 88.5, -88.5, 200.0, -200.0, 5.4, -5.4];
    even.chain(full).chain(small).chain(extreme).collect()
}

#[test]
fn activations_follow_their_definitions() {
    let values = grid();
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
        for (kernel, found) in found(activation, &values) {
            for (x, found) in values.iter().map(|x| f64::from(*x)).zip(found) {
                let bound = activation_error(activation) * x.abs().max(UNDERFLOW);
                near(found, Answer { value: true_activation(activation, x), bound }, &(kernel, activation));
            }
        }
    }
}

/// What is left of Φ far below zero must not grow with x.
#[test]
fn gelu_has_nothing_left_far_below_zero() {
    let values: Vec<f32> = grid().into_iter().filter(|x| *x < -5.0).collect();
    for (kernel, found) in found(Activation::Gelu, &values) {
        let largest = found.iter().fold(0f32, |most, found| most.max(found.abs()));
        assert!(values.len() > 1_000 && largest < 2.5e-6, "{kernel}: {largest:e}");
    }
}

/// SiLU is a power of e, which may be off by 3e-7, and two roundings; softmax takes the same powers.
#[test]
fn silu_has_the_relative_error_of_powers_of_e() {
    let values: Vec<f32> = grid().into_iter().filter(|x| *x > -86.0).collect();
    for (kernel, found) in found(Activation::Silu, &values) {
        for (x, found) in values.iter().map(|x| f64::from(*x)).zip(found) {
            let value = true_activation(Activation::Silu, x);
            near(found, Answer { value, bound: 4.2e-7 * value.abs() }, &(kernel, "powers of e"));
        }
    }
}

#[test]
fn identity_and_relu_are_exact() {
    let values = grid();
    for activation in [Activation::Identity, Activation::Relu] {
        for (kernel, found) in found(activation, &values) {
            for (x, found) in values.iter().zip(found) {
                assert_eq!(f64::from(found), true_activation(activation, f64::from(*x)), "{kernel}");
            }
        }
    }
}
