//! Sixteen f32 side by side, whatever the processor's registers hold: the vocabulary that all kernels are written in.

/// Sixteen numbers on a cache line of their own: the unit in which activations and f32 weights are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(in crate::backbone) struct Lane(pub(in crate::backbone) [f32; 16]);

/// Sixteen 32-bit units of a narrower format: two bf16 or four 8-bit numbers each, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(in crate::backbone) struct Units(pub(in crate::backbone) [u32; 16]);

impl Lane {
    pub(in crate::backbone) const ZERO: Self = Self([0.0; 16]);
}

impl Units {
    pub(in crate::backbone) const ZERO: Self = Self([0; 16]);
}

/// One instruction set. A value of the type is the proof that the processor has it.
pub(super) trait Simd: Copy {
    /// Sixteen f32.
    type Floats: Copy;
    /// Whether a tile of two columns of sixteen fits its registers.
    const PAIRED: bool;

    /// Sixteen i32.
    type Integers: Copy;
    /// Sixteen units of [`Units`], ready for a dot product.
    type Words: Copy;

    /// Asks the second cache for the line of something that will be read later.
    #[inline(always)]
    fn expect<T>(self, _: &T) {}

    /// Asks the first cache for the line that lies `ahead` items after `here`, if there is one, to be read next.
    #[inline(always)]
    fn expect_next<T>(self, _here: &T, _ahead: usize) {}

    fn load(self, from: &Lane) -> Self::Floats;
    fn store(self, values: Self::Floats, into: &mut Lane);
    fn splat(self, value: f32) -> Self::Floats;
    fn add(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    fn subtract(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    fn multiply(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    fn divide(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    fn maximum(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    fn minimum(self, left: Self::Floats, right: Self::Floats) -> Self::Floats;
    /// left × right + sum, rounded once where the processor can.
    fn multiply_add(self, left: Self::Floats, right: Self::Floats, sum: Self::Floats) -> Self::Floats;
    /// Adds to the sums of `M` rows the products of the number `unit` of each with `C` columns, if there is a faster way than
    /// [`Simd::multiply_add`] for so many, and says whether there is.
    #[inline(always)]
    fn multiply_add_rows<const M: usize, const C: usize>(
        self,
        _sums: &mut [[Self::Floats; C]; M],
        _rows: &[Lane; M],
        _unit: usize,
        _columns: [Self::Floats; C],
    ) -> bool {
        false
    }
    /// To the nearest whole number, ties to even. Only for |value| < 2^22.
    fn round(self, value: Self::Floats) -> Self::Floats;
    /// values × 2^power for whole powers from -126 to 127.
    fn scale(self, values: Self::Floats, power: Self::Floats) -> Self::Floats;
    /// left / right to within two units in the last place, for right of usual size.
    #[inline(always)]
    fn quotient(self, left: Self::Floats, right: Self::Floats) -> Self::Floats {
        self.divide(left, right)
    }
    /// Exchanges rows and columns.
    #[inline(always)]
    fn transpose(self, rows: &[Lane; 16], columns: &mut [Lane; 16]) {
        for (row, values) in rows.iter().enumerate() {
            for (column, value) in columns.iter_mut().zip(values.0) {
                column.0[row] = value;
            }
        }
    }

    fn load_words(self, from: &Units) -> Self::Words;
    /// Adds to each sum the products of the four u8 numbers in `unit` with the four i8 of its word. Exact, if of each two
    /// neighbours of a word the sizes sum up to at most 128: where there is no wider sum, products are added in twos of 16 bits.
    fn dot_int8(self, sum: Self::Integers, unit: u32, words: Self::Words) -> Self::Integers;
    fn zero_integers(self) -> Self::Integers;
    fn to_floats(self, values: Self::Integers) -> Self::Floats;
    /// Exchanges the first and the second of each two.
    fn swap_pairs(self, values: Self::Floats) -> Self::Floats;
    /// Rounds to the nearest numbers that bf16 has, ties to even. No value may be NaN.
    fn round_bf16(self, values: Self::Floats) -> Self::Floats;
    /// Writes sixteen whole numbers from 0 to 255 as bytes, four to a unit.
    fn to_bytes(self, values: Self::Floats) -> [u32; 4];

    /// The sum of all sixteen, in an order that is the same for every instruction set.
    #[inline(always)]
    fn sum(self, values: Self::Floats) -> f32 {
        let mut lane = Lane::ZERO;
        self.store(values, &mut lane);
        let Lane(mut parts) = lane;
        for half in [8, 4, 2, 1] {
            for index in 0..half {
                parts[index] += parts[index + half];
            }
        }
        parts[0]
    }

    /// The largest of all sixteen.
    #[inline(always)]
    fn largest(self, values: Self::Floats) -> f32 {
        let mut lane = Lane::ZERO;
        self.store(values, &mut lane);
        let Lane(mut parts) = lane;
        for half in [8, 4, 2, 1] {
            for index in 0..half {
                parts[index] = parts[index].max(parts[index + half]);
            }
        }
        parts[0]
    }
}

/// An instruction set with a dot product of bf16 numbers.
pub(super) trait Bf16Dot: Simd {
    /// Rounds 32 numbers to bf16, nearest, ties to even.
    fn to_bf16(self, low: Self::Floats, high: Self::Floats) -> Units;
    /// Adds to each sum the product of the second bf16 number in `unit` with the second of its word, then that of the
    /// first ones.
    fn dot_bf16(self, sum: Self::Floats, unit: u32, words: Self::Words) -> Self::Floats;
}

/// Rounds to bf16, nearest, ties to even; no value may be NaN.
#[inline(always)]
pub(in crate::backbone) fn bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}
