//! Softmax of the scores of a tile of queries, all rows side by side: one row alone waits for its own numbers.

use std::ops::Range;

use super::elementwise::power_of_two;
use super::simd::{Lane, Simd};

/// Ones for the first so many numbers, then zeros.
const FIRST: [Lane; 17] = {
    let mut first = [Lane::ZERO; 17];
    let mut count = 0;
    while count <= 16 {
        let mut number = 0;
        while number < count {
            first[count].0[number] = 1.0;
            number += 1;
        }
        count += 1;
    }
    first
};

/// Softmax of each row over the positions it sees, but for the division by the sum, which is returned in sixteen parts.
/// `scores` are those of sixteen positions each, the first at `start`.
#[inline(always)]
pub(super) fn softmax<S: Simd, const M: usize>(
    simd: S,
    scale: f32,
    seen: &[Range<usize>; M],
    start: usize,
    scores: &mut [[Lane; M]],
) -> [S::Floats; M] {
    // Positions later in a tile see no less at the end and no more at the start.
    let all = seen[M - 1].start..seen[0].end;
    let whole = |position: usize| all.start <= position && position + 16 <= all.end;
    let one = simd.splat(1.0);
    let mut most = [simd.splat(f32::MIN); M];
    for (scores, position) in scores.iter_mut().zip((start..).step_by(16)) {
        if !whole(position) {
            for (score, seen) in scores.iter_mut().zip(seen) {
                let mask = mask(simd, seen, position);
                let least = simd.multiply(simd.subtract(one, mask), simd.splat(f32::MIN));
                simd.store(simd.multiply_add(simd.load(score), mask, least), score);
            }
        }
        for (most, score) in most.iter_mut().zip(scores.iter()) {
            *most = simd.maximum(*most, simd.load(score));
        }
    }
    for most in &mut most {
        *most = simd.splat(simd.largest(*most));
    }
    let scale = simd.splat(scale * std::f32::consts::LOG2_E);
    let mut totals = [simd.splat(0.0); M];
    for (scores, position) in scores.iter_mut().zip((start..).step_by(16)) {
        let whole = whole(position);
        for (row, score) in scores.iter_mut().enumerate() {
            // The largest is taken off before scaling, so that it becomes zero exactly, however large it is.
            let below = simd.subtract(simd.load(score), most[row]);
            let mut weights = power_of_two(simd, simd.multiply(below, scale));
            if !whole {
                weights = simd.multiply(weights, mask(simd, &seen[row], position));
            }
            simd.store(weights, score);
            totals[row] = simd.add(totals[row], weights);
        }
    }
    totals
}

/// Ones where the sixteen positions from `position` are among those `seen`, else zeros.
#[inline(always)]
fn mask<S: Simd>(simd: S, seen: &Range<usize>, position: usize) -> S::Floats {
    let before = |end: usize| simd.load(&FIRST[end.saturating_sub(position).min(16)]);
    simd.subtract(before(seen.end), before(seen.start))
}
