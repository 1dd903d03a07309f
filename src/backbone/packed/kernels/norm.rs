//! Norms of whole states, with the sum of the residual stream before them; all rows of a tile side by side, because one
//! row alone waits for its own numbers.

use super::simd::{Lane, Simd};

/// A norm's weights, in lanes; beyond its width they are zero.
pub(in crate::backbone) struct Norm {
    /// Numbers of a state.
    pub(in crate::backbone) width: usize,
    pub(in crate::backbone) weight: Vec<Lane>,
    /// What is added, with which the mean is taken off first; without it this is a root-mean-square norm.
    pub(in crate::backbone) bias: Option<Vec<Lane>>,
    pub(in crate::backbone) epsilon: f32,
}

/// Ones for the numbers of the last lane that belong to a state of `width`.
#[inline(always)]
fn kept(width: usize) -> Lane {
    let mut kept = Lane::ZERO;
    let count = if width.is_multiple_of(16) { 16 } else { width % 16 };
    kept.0[..count].fill(1.0);
    kept
}

/// Adds `added`, unless it is empty, to the states of some tiles `(tiles, lanes, M)` and norms each, in place.
#[inline(always)]
pub(super) fn normalise<S: Simd, const M: usize>(simd: S, norm: &Norm, states: &mut [Lane], added: &[Lane]) {
    let lanes = norm.weight.len();
    let kept = simd.load(&kept(norm.width));
    for (index, tile) in states.chunks_exact_mut(lanes * M).enumerate() {
        let tile = tile.as_chunks_mut::<M>().0;
        let added = added.get(index * lanes * M..).unwrap_or(&[]).as_chunks::<M>().0;
        for (lane, added) in tile.iter_mut().zip(added) {
            for row in 0..M {
                let sum = simd.add(simd.load(&lane[row]), simd.load(&added[row]));
                simd.store(sum, &mut lane[row]);
            }
        }
        let mut sums = [simd.splat(0.0); M];
        if norm.bias.is_some() {
            for lane in tile.iter() {
                for row in 0..M {
                    sums[row] = simd.add(sums[row], simd.load(&lane[row]));
                }
            }
            for sum in &mut sums {
                *sum = simd.splat(simd.sum(*sum) / norm.width as f32);
            }
        }
        let (means, mut squares) = (sums, [simd.splat(0.0); M]);
        for (index, lane) in tile.iter_mut().enumerate() {
            for row in 0..M {
                let mut centred = simd.subtract(simd.load(&lane[row]), means[row]);
                if index + 1 == lanes {
                    centred = simd.multiply(centred, kept);
                }
                simd.store(centred, &mut lane[row]);
                squares[row] = simd.multiply_add(centred, centred, squares[row]);
            }
        }
        let mut inverses = squares;
        for inverse in &mut inverses {
            *inverse = simd.splat(1.0 / (simd.sum(*inverse) / norm.width as f32 + norm.epsilon).sqrt());
        }
        for (index, lane) in tile.iter_mut().enumerate() {
            let weight = simd.load(&norm.weight[index]);
            let bias = norm.bias.as_ref().map(|bias| simd.load(&bias[index]));
            for row in 0..M {
                let scaled = simd.multiply(simd.load(&lane[row]), inverses[row]);
                let normed = match bias {
                    Some(bias) => simd.multiply_add(scaled, weight, bias),
                    None => simd.multiply(scaled, weight),
                };
                simd.store(normed, &mut lane[row]);
            }
        }
    }
}
