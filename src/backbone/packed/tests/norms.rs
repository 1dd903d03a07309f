//! Layer norm and root-mean-square norm against their definitions in f64.

use super::{Answer, ROUNDING, UNDERFLOW, bits, laid_out, near, normal, numbers};
use crate::backbone::packed::kernels::{Norm, available};
use crate::random::Random;

/// The norm by definition. A mean is off by as many roundings as it has lanes and four for the sum of a lane; that shift
/// of every centred number, beside the roundings of squares, root and products, is all that goes wrong.
fn true_norm(states: &[f32], weight: &[f32], bias: Option<&[f32]>, epsilon: f32) -> Vec<Answer> {
    let exact: Vec<f64> = states.iter().map(|state| f64::from(*state)).collect();
    let width = exact.len() as f64;
    let terms = exact.len().div_ceil(16) as f64 + 6.0;
    let mean = if bias.is_some() { exact.iter().sum::<f64>() / width } else { 0.0 };
    let size = exact.iter().map(|state| state.abs()).sum::<f64>() / width;
    let variance = exact.iter().map(|state| (state - mean).powi(2)).sum::<f64>() / width;
    let spread = (variance + f64::from(epsilon)).sqrt();
    let shift = if bias.is_some() { terms * ROUNDING * size } else { 0.0 };
    // How much the root may be off, relative to itself.
    let uncertain = shift / spread + (terms + 8.0) * ROUNDING;
    let output = |index: usize| {
        let (weight, bias) = (f64::from(weight[index]), bias.map_or(0.0, |bias| f64::from(bias[index])));
        let normed = (exact[index] - mean) / spread;
        let off = (shift / spread + uncertain * normed.abs()) / (1.0 - uncertain).max(0.1);
        let bound = weight.abs() * off + 2.0 * ROUNDING * ((weight * normed).abs() + bias.abs()) + UNDERFLOW;
        Answer { value: weight * normed + bias, bound }
    };
    (0..exact.len()).map(output).collect()
}

/// Norms `rows` with every kernel, compares, and wants zeros beyond the width.
fn compare(random: &mut Random, rows: &[Vec<f32>], epsilon: f32) {
    let width = rows[0].len();
    let (weight, bias) = (normal(random, width, 1.0), normal(random, width, 1.0));
    for bias in [None, Some(&bias[..])] {
        let norm = Norm {
            width,
            weight: crate::backbone::packed::lanes(&weight),
            bias: bias.map(crate::backbone::packed::lanes),
            epsilon,
        };
        for kernel in available() {
            let mut states = laid_out(&*kernel, rows);
            kernel.normalise(&norm, states.tiles_mut(), &[]);
            for (row, before) in rows.iter().enumerate() {
                let after = numbers(&states, row);
                let truth = true_norm(before, &weight, bias, epsilon);
                for (found, truth) in after.iter().zip(truth) {
                    near(*found, truth, &(kernel.name(), if bias.is_some() { "layer norm" } else { "rms norm" }));
                }
                assert!(after[width..].iter().all(|number| *number == 0.0), "{} {width}", kernel.name());
            }
        }
    }
}

#[test]
fn norms_follow_their_definitions() {
    let mut random = Random::new(5);
    for width in [1, 2, 15, 16, 17, 100, 384] {
        for magnitude in [1e-10, 1.0, 100.0, 1e12] {
            for epsilon in [1e-12, 1e-5] {
                let mut rows: Vec<_> = (0..17).map(|_| normal(&mut random, width, magnitude)).collect();
                // Far from zero by less than what a mean in f32 can tell apart.
                rows[3].iter_mut().for_each(|state| *state += magnitude as f32 * 30.0);
                rows[4].fill(0.0);
                compare(&mut random, &rows, epsilon);
            }
        }
    }
}

/// One number throughout is its own mean; sums of small whole numbers are exact, so nothing is left of it at all.
#[test]
fn a_constant_row_becomes_the_bias() {
    let mut random = Random::new(6);
    for width in [1, 15, 16, 17, 100, 384] {
        let rows: Vec<_> = (-8_i8..9).map(|number| vec![f32::from(number); width]).collect();
        let bias = normal(&mut random, width, 1.0);
        let lanes = crate::backbone::packed::lanes;
        let norm = Norm { width, weight: lanes(&vec![1.0; width]), bias: Some(lanes(&bias)), epsilon: 1e-12 };
        for kernel in available() {
            let mut states = laid_out(&*kernel, &rows);
            kernel.normalise(&norm, states.tiles_mut(), &[]);
            for row in 0..rows.len() {
                assert_eq!(numbers(&states, row)[..width], bias, "{} {width}", kernel.name());
            }
        }
    }
}

#[test]
fn what_is_added_on_the_way_is_added_before() {
    let mut random = Random::new(19);
    for width in [1, 16, 17, 384] {
        let draw = |random: &mut Random| -> Vec<Vec<f32>> { (0..31).map(|_| normal(random, width, 1.0)).collect() };
        let (rows, added) = (draw(&mut random), draw(&mut random));
        let sums = rows.iter().zip(&added).map(|(row, added)| row.iter().zip(added).map(|(x, y)| x + y).collect());
        let sums: Vec<Vec<f32>> = sums.collect();
        let weight = crate::backbone::packed::lanes(&normal(&mut random, width, 1.0));
        for bias in [None, Some(weight.clone())] {
            let norm = Norm { width, weight: weight.clone(), bias, epsilon: 1e-5 };
            for kernel in available() {
                let (mut together, mut after) = (laid_out(&*kernel, &rows), laid_out(&*kernel, &sums));
                kernel.normalise(&norm, together.tiles_mut(), laid_out(&*kernel, &added).tiles());
                kernel.normalise(&norm, after.tiles_mut(), &[]);
                for row in 0..rows.len() {
                    assert_eq!(
                        bits(&numbers(&together, row)),
                        bits(&numbers(&after, row)),
                        "{} {width}",
                        kernel.name()
                    );
                }
            }
        }
    }
}
