//! Where kernels, formats and neighbours must not change a bit.

use super::{applied, between_bf16, bits, formats, laid_out, normal, numbers, random_matrix};
use crate::backbone::packed::kernels::{Activation, Norm, Operands, available};
use crate::backbone::packed::linear::{Format, Linear, Matrix};
use crate::backbone::packed::rows::Rows;
use crate::backbone::packed::{Perceptron, lanes};
use crate::random::Random;

#[test]
fn a_row_has_the_same_bits_whatever_stands_beside_it() {
    let mut random = Random::new(12);
    for (shape, gated) in [((33, 47), false), ((100, 17), false), ((64, 40), true)] {
        let matrix = random_matrix(&mut random, shape, 0.3);
        let values = random_matrix(&mut random, shape, 0.3);
        let matrix = if gated { Matrix::interleave(&matrix, &values) } else { matrix };
        for kernel in available() {
            let rows: Vec<_> = (0..9 * kernel.height()).map(|_| normal(&mut random, shape.0, 1.0)).collect();
            for format in formats(&*kernel) {
                let linear = Linear::new(&matrix, format, Activation::Gelu, gated);
                let mut operands = Operands::default();
                let alone: Vec<_> = rows
                    .iter()
                    .map(|row| applied(&*kernel, &linear, std::slice::from_ref(row), &mut operands).remove(0))
                    .collect();
                let mut order: Vec<usize> = (0..rows.len()).collect();
                for count in [2, kernel.height(), kernel.height() + 1, 8 * kernel.height() + 1, rows.len()] {
                    random.shuffle(&mut order);
                    let chosen: Vec<_> = order[..count].iter().map(|index| rows[*index].clone()).collect();
                    let together = applied(&*kernel, &linear, &chosen, &mut operands);
                    for (index, together) in order.iter().zip(&together) {
                        assert_eq!(bits(&alone[*index]), bits(together), "{} {format:?} {count}", kernel.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_norm_of_a_row_has_the_same_bits_whatever_stands_beside_it() {
    let mut random = Random::new(13);
    for width in [17, 100] {
        let (weight, bias) = (lanes(&normal(&mut random, width, 1.0)), lanes(&normal(&mut random, width, 1.0)));
        let norm = Norm { width, weight, bias: Some(bias), epsilon: 1e-6 };
        for kernel in available() {
            let normed = |rows: &[Vec<f32>]| {
                let mut states = laid_out(&*kernel, rows);
                kernel.normalise(&norm, states.tiles_mut(), &[]);
                (0..rows.len()).map(|row| bits(&numbers(&states, row))).collect::<Vec<_>>()
            };
            let rows: Vec<_> = (0..=3 * kernel.height()).map(|_| normal(&mut random, width, 1.0)).collect();
            let alone: Vec<_> = rows.iter().map(|row| normed(std::slice::from_ref(row)).remove(0)).collect();
            for start in 0..rows.len() {
                assert_eq!(normed(&rows[start..]), alone[start..], "{} {width}", kernel.name());
            }
        }
    }
}

/// A product of two bf16 numbers has no more digits than f32, so that a processor without a fused product, one with it
/// and the bf16 instruction round the same sums in the same order.
#[test]
fn bf16_products_have_the_same_bits_on_every_kernel_and_in_both_formats() {
    let mut random = Random::new(14);
    for (inputs, outputs) in [(1, 1), (2, 16), (15, 17), (16, 40), (17, 33), (33, 64), (100, 47), (384, 48)] {
        for magnitude in [1.0, 1e6, 1e-6] {
            let matrix = random_matrix(&mut random, (inputs, outputs), magnitude);
            let mut rows: Vec<_> = (0..31).map(|_| normal(&mut random, inputs, 1.0)).collect();
            rows[7].fill(0.0);
            between_bf16(&mut rows[8]);
            let mut first: Option<Vec<Vec<u32>>> = None;
            for kernel in available() {
                for format in
                    formats(&*kernel).into_iter().filter(|format| matches!(format, Format::Rounded | Format::Pairs))
                {
                    let linear = Linear::new(&matrix, format, Activation::Identity, false);
                    let found = applied(&*kernel, &linear, &rows, &mut Operands::default());
                    let found: Vec<_> = found.iter().map(|row| bits(row)).collect();
                    let first = first.get_or_insert_with(|| found.clone());
                    assert_eq!(*first, found, "{} {format:?} {inputs} {outputs}", kernel.name());
                }
            }
        }
    }
}

/// Whole numbers are summed without error, so kernels differ only by whether the last sums are rounded once or twice.
#[test]
fn bytes_agree_between_kernels() {
    let mut random = Random::new(15);
    for (inputs, outputs) in [(1, 1), (15, 17), (64, 33), (100, 47), (384, 48)] {
        let matrix = random_matrix(&mut random, (inputs, outputs), 1.0);
        let rows: Vec<_> = (0..31).map(|_| normal(&mut random, inputs, 1.0)).collect();
        let linear = Linear::new(&matrix, Format::Bytes, Activation::Identity, false);
        let found: Vec<_> =
            available().iter().map(|kernel| applied(&**kernel, &linear, &rows, &mut Operands::default())).collect();
        for (row, states) in rows.iter().enumerate() {
            let most = states.iter().fold(0f32, |most, state| most.max(state.abs()));
            for output in 0..outputs {
                let weights = &matrix.weights[output * inputs..(output + 1) * inputs];
                let size = most * weights.iter().map(|weight| weight.abs()).sum::<f32>() + matrix.bias[output].abs();
                for kernel in &found {
                    let apart = (kernel[row][output] - found[0][row][output]).abs();
                    assert!(apart <= 1e-6 * size, "{inputs} {outputs}: {apart:e} of {size:e}");
                }
            }
        }
    }
}

#[test]
fn a_perceptron_is_its_two_maps_one_after_the_other() {
    let mut random = Random::new(16);
    let (up, down) = (random_matrix(&mut random, (33, 100), 0.3), random_matrix(&mut random, (100, 33), 0.3));
    for kernel in available() {
        for format in formats(&*kernel) {
            let perceptron = Perceptron {
                up: Linear::new(&up, format, Activation::Gelu, false),
                down: Linear::new(&down, format, Activation::Identity, false),
            };
            let mut operands = Operands::default();
            for count in [1, 8 * kernel.height(), 17 * kernel.height() + 1] {
                let rows: Vec<_> = (0..count).map(|_| normal(&mut random, 33, 1.0)).collect();
                let inner = applied(&*kernel, &perceptron.up, &rows, &mut operands);
                let truth = applied(&*kernel, &perceptron.down, &inner, &mut operands);
                let input = laid_out(&*kernel, &rows);
                let mut output = Rows::default();
                output.like(&input, perceptron.down.outputs());
                perceptron.run(&*kernel, input.tiles(), (&mut Vec::new(), &mut operands), output.tiles_mut());
                for (row, truth) in truth.iter().enumerate() {
                    assert_eq!(bits(&numbers(&output, row)), bits(truth), "{} {format:?} {count}", kernel.name());
                }
            }
        }
    }
}
