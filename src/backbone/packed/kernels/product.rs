//! The matrix products: a tile of a few rows and one or two columns of sixteen stays in registers while the depth runs.
//!
//! Every output is summed over the whole depth in one order, whatever rows stand beside it: that is why a text's
//! features do not depend on its batch.

use super::elementwise::activate;
use super::simd::{Bf16Dot, Lane, Simd, Units};
use crate::backbone::packed::linear::{Linear, Weights};

/// Tiles of rows that run over the same weights before the next weights are taken: few enough to stay in the second
/// cache, many enough that reading the weights costs little.
const BLOCK: usize = 8;

/// Weights are asked for so many units before they are multiplied.
const AHEAD: usize = 8;

/// Where the rows of a block are kept in the number format of the weights.
#[derive(Default)]
pub(in crate::backbone) struct Operands {
    lanes: Vec<Lane>,
    units: Vec<Units>,
    /// What one step of a row's 8-bit numbers is worth, and what its zero stands for.
    scales: Vec<[f32; 2]>,
}

/// A number format of both sides of a product.
pub(super) trait Format<S: Simd>: Copy {
    /// Sixteen units of depth of one row, or sixteen columns of one unit of depth.
    type Chunk: Copy;
    type Loaded: Copy;
    type Sums: Copy;

    fn zero(simd: S) -> Self::Sums;
    fn load(simd: S, chunk: &Self::Chunk) -> Self::Loaded;
    fn dot(simd: S, sums: Self::Sums, row: &Self::Chunk, unit: usize, columns: Self::Loaded) -> Self::Sums;

    /// [`Format::dot`] of `M` rows with `C` columns.
    #[inline(always)]
    fn dots<const M: usize, const C: usize>(
        simd: S,
        sums: &mut [[Self::Sums; C]; M],
        rows: &[Self::Chunk; M],
        unit: usize,
        columns: [Self::Loaded; C],
    ) {
        each_dot::<S, Self, M, C>(simd, sums, rows, unit, columns);
    }
}

/// One [`Format::dot`] after the other.
#[inline(always)]
fn each_dot<S: Simd, F: Format<S>, const M: usize, const C: usize>(
    simd: S,
    sums: &mut [[F::Sums; C]; M],
    rows: &[F::Chunk; M],
    unit: usize,
    columns: [F::Loaded; C],
) {
    for row in 0..M {
        for column in 0..C {
            sums[row][column] = F::dot(simd, sums[row][column], &rows[row], unit, columns[column]);
        }
    }
}

/// f32.
#[derive(Clone, Copy)]
pub(super) struct Floats;

impl<S: Simd> Format<S> for Floats {
    type Chunk = Lane;
    type Loaded = S::Floats;
    type Sums = S::Floats;

    #[inline(always)]
    fn zero(simd: S) -> S::Floats {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn load(simd: S, chunk: &Lane) -> S::Floats {
        simd.load(chunk)
    }

    #[inline(always)]
    fn dot(simd: S, sums: S::Floats, row: &Lane, unit: usize, columns: S::Floats) -> S::Floats {
        simd.multiply_add(simd.splat(row.0[unit]), columns, sums)
    }

    #[inline(always)]
    fn dots<const M: usize, const C: usize>(
        simd: S,
        sums: &mut [[S::Floats; C]; M],
        rows: &[Lane; M],
        unit: usize,
        columns: [S::Floats; C],
    ) {
        if !simd.multiply_add_rows(sums, rows, unit, columns) {
            each_dot::<S, Self, M, C>(simd, sums, rows, unit, columns);
        }
    }
}

/// Pairs of bf16.
#[derive(Clone, Copy)]
struct Pairs;

impl<S: Bf16Dot> Format<S> for Pairs {
    type Chunk = Units;
    type Loaded = S::Words;
    type Sums = S::Floats;

    #[inline(always)]
    fn zero(simd: S) -> S::Floats {
        simd.splat(0.0)
    }

    #[inline(always)]
    fn load(simd: S, chunk: &Units) -> S::Words {
        simd.load_words(chunk)
    }

    #[inline(always)]
    fn dot(simd: S, sums: S::Floats, row: &Units, unit: usize, columns: S::Words) -> S::Floats {
        simd.dot_bf16(sums, row.0[unit], columns)
    }
}

/// Fours of 8-bit numbers.
#[derive(Clone, Copy)]
struct Fours;

impl<S: Simd> Format<S> for Fours {
    type Chunk = Units;
    type Loaded = S::Words;
    type Sums = S::Integers;

    #[inline(always)]
    fn zero(simd: S) -> S::Integers {
        simd.zero_integers()
    }

    #[inline(always)]
    fn load(simd: S, chunk: &Units) -> S::Words {
        simd.load_words(chunk)
    }

    #[inline(always)]
    fn dot(simd: S, sums: S::Integers, row: &Units, unit: usize, columns: S::Words) -> S::Integers {
        simd.dot_int8(sums, row.0[unit], columns)
    }
}

/// The sums of `M` rows with `C` columns of sixteen: rows `(depth / 16, M)`, each column `(depth / 16, 16)`. Where there is
/// room for pairs of columns, asks for what is `coming` meanwhile.
#[inline(always)]
pub(super) fn tile<S: Simd, F: Format<S>, const M: usize, const C: usize>(
    simd: S,
    rows: &[[F::Chunk; M]],
    columns: [&[[F::Chunk; 16]]; C],
    coming: &[F::Chunk],
) -> [[F::Sums; C]; M] {
    let share = coming.len().div_ceil(rows.len().max(1)).max(1);
    let mut coming = coming.chunks(share);
    let mut sums = [[F::zero(simd); C]; M];
    let columns = columns.map(|column| &column[..rows.len()]);
    for (depth, rows) in rows.iter().enumerate() {
        let mut panel = [&columns[0][depth]; C];
        for (column, panel) in columns.iter().zip(&mut panel) {
            *panel = &column[depth];
        }
        // Written out, because compilers take the loop for too long to unroll.
        macro_rules! steps {
            ($($unit:expr),+) => {
                $(step::<S, F, M, C>(simd, &mut sums, rows, panel, $unit);)+
            };
        }
        if S::PAIRED {
            for chunk in coming.next().unwrap_or(&[]) {
                simd.expect(chunk);
            }
            for four in 0..4 {
                steps!(4 * four, 4 * four + 1, 4 * four + 2, 4 * four + 3);
            }
        } else {
            // Fewer products stand in a tile, and less may stand between them.
            steps!(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        }
    }
    sums
}

/// One unit of the depth of a [`tile`].
#[inline(always)]
fn step<S: Simd, F: Format<S>, const M: usize, const C: usize>(
    simd: S,
    sums: &mut [[F::Sums; C]; M],
    rows: &[F::Chunk; M],
    panel: [&[F::Chunk; 16]; C],
    unit: usize,
) {
    for column in panel {
        simd.expect_next(&column[unit], AHEAD);
    }
    if unit < M {
        simd.expect_next(&rows[unit], M);
    }
    F::dots(simd, sums, rows, unit, panel.map(|column| F::load(simd, &column[unit])));
}

/// Turns the sums of a tile into outputs.
trait Finish<S: Simd, F: Format<S>>: Copy {
    /// The number for one row's sums of one column of sixteen, bias included.
    fn finish(self, simd: S, sums: F::Sums, row: usize, column: usize) -> S::Floats;
}

#[derive(Clone, Copy)]
struct AddBias<'a>(&'a [Lane]);

impl<S: Simd, F: Format<S, Sums = S::Floats>> Finish<S, F> for AddBias<'_> {
    #[inline(always)]
    fn finish(self, simd: S, sums: S::Floats, _: usize, column: usize) -> S::Floats {
        simd.add(sums, simd.load(&self.0[column]))
    }
}

/// Undoes the 8-bit scales: a row is `zero + step × u8`, a column `scale × i8`, and `sums` are the columns' own sums.
#[derive(Clone, Copy)]
struct Rescale<'a> {
    bias: &'a [Lane],
    scales: &'a [Lane],
    sums: &'a [Lane],
    rows: &'a [[f32; 2]],
}

impl<S: Simd> Finish<S, Fours> for Rescale<'_> {
    #[inline(always)]
    fn finish(self, simd: S, sums: S::Integers, row: usize, column: usize) -> S::Floats {
        let [step, zero] = self.rows[row];
        let offset = simd.multiply_add(simd.splat(zero), simd.load(&self.sums[column]), simd.load(&self.bias[column]));
        let scale = simd.multiply(simd.splat(step), simd.load(&self.scales[column]));
        simd.multiply_add(simd.to_floats(sums), scale, offset)
    }
}

/// All outputs of a few tiles of rows, `(tiles, depth, M)`, which stand in the format of `weights`.
#[inline(always)]
fn block<S: Simd, F: Format<S>, E: Finish<S, F>, const M: usize>(
    simd: S,
    linear: &Linear,
    (rows, weights): (&[F::Chunk], &[F::Chunk]),
    finish: E,
    output: &mut [Lane],
) {
    let (rows, weights) = (rows.as_chunks::<M>().0, weights.as_chunks::<16>().0);
    let depth = linear.depth();
    let mut column = 0;
    while column < linear.columns() {
        let first = &weights[column * depth..][..depth];
        if linear.gated() || (S::PAIRED && column + 1 < linear.columns()) {
            let second = &weights[(column + 1) * depth..][..depth];
            let coming = weights.get((column + 2) * depth..).unwrap_or(&[]);
            let coming = coming[..coming.len().min(2 * depth)].as_flattened();
            let share = coming.len().div_ceil(rows.len() / depth).max(1);
            let mut coming = coming.chunks(share);
            for (index, rows) in rows.chunks_exact(depth).enumerate() {
                let sums = pair::<S, F, M>(simd, rows, [first, second], coming.next().unwrap_or(&[]));
                let into = &mut output[index * linear.outputs() * M..][..linear.outputs() * M];
                let into = into.as_chunks_mut::<M>().0;
                for (row, sums) in sums.iter().enumerate() {
                    let left = finish.finish(simd, sums[0], index * M + row, column);
                    let right = finish.finish(simd, sums[1], index * M + row, column + 1);
                    let left = activate(simd, linear.activation(), left);
                    if linear.gated() {
                        simd.store(simd.multiply(left, right), &mut into[column / 2][row]);
                    } else {
                        simd.store(left, &mut into[column][row]);
                        simd.store(activate(simd, linear.activation(), right), &mut into[column + 1][row]);
                    }
                }
            }
            column += 2;
        } else {
            for (index, rows) in rows.chunks_exact(depth).enumerate() {
                let sums = tile::<S, F, M, 1>(simd, rows, [first], &[]);
                let into = &mut output[index * linear.outputs() * M..][..linear.outputs() * M];
                let into = into.as_chunks_mut::<M>().0;
                for (row, sums) in sums.iter().enumerate() {
                    let sums = finish.finish(simd, sums[0], index * M + row, column);
                    simd.store(activate(simd, linear.activation(), sums), &mut into[column][row]);
                }
            }
            column += 1;
        }
    }
}

/// Two columns at once where the registers have room, else one after the other.
#[inline(always)]
fn pair<S: Simd, F: Format<S>, const M: usize>(
    simd: S,
    rows: &[[F::Chunk; M]],
    columns: [&[[F::Chunk; 16]]; 2],
    coming: &[F::Chunk],
) -> [[F::Sums; 2]; M] {
    if S::PAIRED {
        return tile::<S, F, M, 2>(simd, rows, columns, coming);
    }
    let first = tile::<S, F, M, 1>(simd, rows, [columns[0]], &[]);
    let second = tile::<S, F, M, 1>(simd, rows, [columns[1]], &[]);
    let mut sums = [[F::zero(simd); 2]; M];
    for (sums, (first, second)) in sums.iter_mut().zip(first.into_iter().zip(second)) {
        *sums = [first[0], second[0]];
    }
    sums
}

/// Runs `linear` over tiles of rows: `input` is `(tiles, inputs, M)` lanes, `output` `(tiles, outputs, M)`.
#[inline(always)]
pub(super) fn linear<S: Simd, const M: usize>(
    simd: S,
    linear: &Linear,
    input: &[Lane],
    operands: &mut Operands,
    output: &mut [Lane],
) {
    let blocks = input.chunks(BLOCK * linear.inputs() * M).zip(output.chunks_mut(BLOCK * linear.outputs() * M));
    for (input, output) in blocks {
        let finish = AddBias(linear.bias());
        match linear.weights() {
            Weights::Floats(weights) => {
                block::<S, Floats, _, M>(simd, linear, (input, weights), finish, output);
            }
            Weights::Rounded(weights) => {
                // The second of each two numbers comes first, as in the processors' bf16 products, whose bits these are.
                operands.lanes.resize(input.len(), Lane::ZERO);
                for (rounded, lane) in operands.lanes.iter_mut().zip(input) {
                    simd.store(simd.swap_pairs(simd.round_bf16(simd.load(lane))), rounded);
                }
                block::<S, Floats, _, M>(simd, linear, (&operands.lanes, weights), finish, output);
            }
            Weights::Bytes { weights, scales, sums } => {
                quantize::<S, M>(simd, linear, input, operands);
                let finish = Rescale { bias: linear.bias(), scales, sums, rows: &operands.scales };
                block::<S, Fours, _, M>(simd, linear, (&operands.units, weights), finish, output);
            }
            // Only kernels that have the product lay weights out so; from others no number may pass for a result.
            Weights::Pairs(_) => output.fill(Lane([f32::NAN; 16])),
        }
    }
}

/// As [`linear`], and for weights in [`Weights::Pairs`] as well.
#[inline(always)]
pub(super) fn linear_with_bf16<S: Bf16Dot, const M: usize>(
    simd: S,
    linear: &Linear,
    input: &[Lane],
    operands: &mut Operands,
    output: &mut [Lane],
) {
    let Weights::Pairs(weights) = linear.weights() else {
        return self::linear::<S, M>(simd, linear, input, operands, output);
    };
    let blocks = input.chunks(BLOCK * linear.inputs() * M).zip(output.chunks_mut(BLOCK * linear.outputs() * M));
    for (input, output) in blocks {
        operands.units.clear();
        for tile in input.chunks_exact(linear.inputs() * M) {
            for lanes in tile.chunks(2 * M) {
                for row in 0..M {
                    let high = lanes.get(M + row).map_or(simd.splat(0.0), |lane| simd.load(lane));
                    operands.units.push(simd.to_bf16(simd.load(&lanes[row]), high));
                }
            }
        }
        block::<S, Pairs, _, M>(simd, linear, (&operands.units, weights), AddBias(linear.bias()), output);
    }
}

/// Writes every row as bytes from its least to its greatest number.
#[inline(always)]
fn quantize<S: Simd, const M: usize>(simd: S, linear: &Linear, input: &[Lane], operands: &mut Operands) {
    operands.units.clear();
    operands.scales.clear();
    let (half, most) = (simd.splat(0.0), simd.splat(255.0));
    for tile in input.chunks_exact(linear.inputs() * M) {
        let lanes = tile.as_chunks::<M>().0;
        let mut steps = [[half; 2]; M];
        for row in 0..M {
            let (mut least, mut greatest) = (simd.load(&lanes[0][row]), simd.load(&lanes[0][row]));
            for lane in lanes {
                let values = simd.load(&lane[row]);
                least = simd.minimum(least, values);
                greatest = simd.maximum(greatest, values);
            }
            let least = -simd.largest(simd.subtract(half, least));
            // Divided apart: the range itself may have no f32.
            let step = simd.largest(greatest) / 255.0 - least / 255.0;
            operands.scales.push([step, least]);
            let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
            steps[row] = [simd.splat(inverse), simd.splat(least)];
        }
        for lanes in lanes.chunks(4) {
            for row in 0..M {
                let mut units = Units::ZERO;
                for (lane, units) in lanes.iter().zip(units.0.as_chunks_mut::<4>().0) {
                    let shifted = simd.subtract(simd.load(&lane[row]), steps[row][1]);
                    let bytes = simd.round(simd.multiply(shifted, steps[row][0]));
                    *units = simd.to_bytes(simd.minimum(simd.maximum(bytes, half), most));
                }
                operands.units.push(units);
            }
        }
    }
}
