//! Matrices that are filled up to whole lanes say what they said before.

use proptest::prelude::*;

use super::products::true_products;
use super::{applied, formats, near, normal, random_matrix};
use crate::backbone::packed::kernels::{Activation, Kernel, Operands, available};
use crate::backbone::packed::linear::{Format, Linear, Matrix};
use crate::random::Random;

/// Runs of `size` numbers, each filled up to `whole` with zeros.
fn spread(numbers: &[f32], size: usize, whole: usize) -> Vec<f32> {
    let filled =
        |run: &[f32]| run.iter().copied().chain(std::iter::repeat_n(0.0, whole - run.len())).collect::<Vec<_>>();
    numbers.chunks(size).flat_map(filled).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// With every kernel in every format: outputs stand where they should, and nothing in between.
    #[test]
    fn outputs_between_runs_are_zero(
        seed in any::<u64>(), inputs in 1_usize..40, outputs in 1_usize..60, size in 1_usize..20, more in 0_usize..17,
    ) {
        let mut random = Random::new(seed);
        let matrix = random_matrix(&mut random, (inputs, outputs), 1.0);
        let whole = size + more;
        let padded = matrix.pad_outputs(size, whole);
        let rows = vec![normal(&mut random, inputs, 1.0)];
        for kernel in available() {
            for format in formats(&*kernel) {
                let run = |matrix| {
                    let linear = Linear::new(matrix, format, Activation::Identity, false);
                    applied(&*kernel, &linear, &rows, &mut Operands::default()).remove(0)
                };
                let (plain, padded) = (run(&matrix), run(&padded));
                let truth = spread(&plain[..outputs], size, whole);
                prop_assert_eq!(&padded[..truth.len()], &truth[..]);
                prop_assert!(padded[truth.len()..].iter().all(|number| *number == 0.0));
            }
        }
    }

    #[test]
    fn inputs_between_runs_count_nothing(
        seed in any::<u64>(), inputs in 1_usize..60, outputs in 1_usize..40, size in 1_usize..20, more in 0_usize..17,
    ) {
        let mut random = Random::new(seed);
        let matrix = random_matrix(&mut random, (inputs, outputs), 1.0);
        let whole = size + more;
        let row = normal(&mut random, inputs, 1.0);
        let mut padded = matrix.pad_inputs(size, whole);
        prop_assert_eq!(padded.outputs(), outputs);
        let mut filled = spread(&row, size, whole);
        prop_assert_eq!(padded.inputs, inputs.div_ceil(size) * whole);
        filled.resize(padded.inputs, 0.0);
        let truth = true_products(Format::Floats, &row, &matrix);
        let run = |matrix: &Matrix, kernel: &dyn Kernel, row: &[f32]| {
            let linear = Linear::new(matrix, Format::Floats, Activation::Identity, false);
            applied(kernel, &linear, &[row.to_vec()], &mut Operands::default()).remove(0)
        };
        for kernel in available() {
            for (found, truth) in run(&padded, &*kernel, &filled).iter().zip(&truth) {
                near(*found, *truth, &(kernel.name(), "filled inputs"));
            }
        }
        // What stands in the inputs that were added is not looked at.
        let added = spread(&vec![1.0; inputs], size, whole);
        padded.bias.fill(0.0);
        let noise: Vec<f32> = (0..padded.inputs).map(|input| if added.get(input) == Some(&1.0) { 0.0 } else { 9.0 }).collect();
        for kernel in available() {
            prop_assert!(run(&padded, &*kernel, &noise).iter().all(|number| *number == 0.0));
        }
    }

    /// A map that is appended stands after the first, gates and values in turns of sixteen.
    #[test]
    fn appended_and_interleaved_outputs_keep_their_weights(
        seed in any::<u64>(), inputs in 1_usize..9, first in 1_usize..50, second in 1_usize..50,
    ) {
        let mut random = Random::new(seed);
        let (gate, other) = (random_matrix(&mut random, (inputs, first), 1.0), random_matrix(&mut random, (inputs, second), 1.0));
        let up = random_matrix(&mut random, (inputs, first), 1.0);
        let row = |matrix: &Matrix, output: usize| (matrix.weights[output * inputs..][..inputs].to_vec(), matrix.bias[output]);
        let mut both = gate.clone();
        both.append(&other);
        prop_assert_eq!(both.outputs(), first + second);
        for output in 0..second {
            prop_assert_eq!(row(&both, first + output), row(&other, output));
        }
        let turns = Matrix::interleave(&gate, &up);
        prop_assert_eq!((turns.inputs, turns.outputs()), (inputs, 2 * first.next_multiple_of(16)));
        for output in 0..turns.outputs() {
            let matrix = if output / 16 % 2 == 0 { &gate } else { &up };
            let from = output / 32 * 16 + output % 16;
            let truth = if from < first { row(matrix, from) } else { (vec![0.0; inputs], 0.0) };
            prop_assert_eq!(row(&turns, output), truth);
        }
    }
}
