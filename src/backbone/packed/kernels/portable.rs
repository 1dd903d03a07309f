//! The kernels in plain Rust, which the compiler vectorises for whatever the processor has at least. The reference for
//! all others.

use super::simd::{Lane, Simd, Units, bf16};

/// Plain Rust: nothing to prove.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn each(function: impl Fn(usize) -> f32) -> [f32; 16] {
    let mut values = [0.0; 16];
    for (index, value) in values.iter_mut().enumerate() {
        *value = function(index);
    }
    values
}

impl Simd for Portable {
    const PAIRED: bool = false;

    type Floats = [f32; 16];
    type Integers = [i32; 16];
    type Words = [u32; 16];

    #[inline(always)]
    fn load(self, from: &Lane) -> [f32; 16] {
        from.0
    }

    #[inline(always)]
    fn store(self, values: [f32; 16], into: &mut Lane) {
        into.0 = values;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 16] {
        [value; 16]
    }

    #[inline(always)]
    fn add(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        each(|index| left[index] + right[index])
    }

    #[inline(always)]
    fn subtract(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        each(|index| left[index] - right[index])
    }

    #[inline(always)]
    fn multiply(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        each(|index| left[index] * right[index])
    }

    #[inline(always)]
    fn divide(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        each(|index| left[index] / right[index])
    }

    #[inline(always)]
    fn maximum(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        each(|index| if left[index] > right[index] { left[index] } else { right[index] })
    }

    #[inline(always)]
    fn minimum(self, left: [f32; 16], right: [f32; 16]) -> [f32; 16] {
        each(|index| if left[index] < right[index] { left[index] } else { right[index] })
    }

    #[inline(always)]
    fn multiply_add(self, left: [f32; 16], right: [f32; 16], sum: [f32; 16]) -> [f32; 16] {
        // Not `mul_add`: without the instruction for it that is a call into the mathematics library.
        each(|index| left[index] * right[index] + sum[index])
    }

    #[inline(always)]
    fn round(self, value: [f32; 16]) -> [f32; 16] {
        // Adding 1.5 × 2^23 leaves no room for a fraction, and the sum is rounded to nearest even.
        const SHIFT: f32 = 12_582_912.0;
        each(|index| (value[index] + SHIFT) - SHIFT)
    }

    #[inline(always)]
    fn scale(self, values: [f32; 16], power: [f32; 16]) -> [f32; 16] {
        each(|index| values[index] * f32::from_bits(((power[index] as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn load_words(self, from: &Units) -> [u32; 16] {
        from.0
    }

    #[inline(always)]
    fn dot_int8(self, sum: [i32; 16], unit: u32, words: [u32; 16]) -> [i32; 16] {
        let left = unit.to_le_bytes().map(i32::from);
        let mut sums = sum;
        for (sum, word) in sums.iter_mut().zip(words) {
            for (left, right) in left.iter().zip(word.to_le_bytes()) {
                *sum += left * i32::from(right.cast_signed());
            }
        }
        sums
    }

    #[inline(always)]
    fn zero_integers(self) -> [i32; 16] {
        [0; 16]
    }

    #[inline(always)]
    fn to_floats(self, values: [i32; 16]) -> [f32; 16] {
        each(|index| values[index] as f32)
    }

    #[inline(always)]
    fn swap_pairs(self, values: [f32; 16]) -> [f32; 16] {
        each(|index| values[index ^ 1])
    }

    #[inline(always)]
    fn round_bf16(self, values: [f32; 16]) -> [f32; 16] {
        each(|index| f32::from_bits(u32::from(bf16(values[index])) << 16))
    }

    #[inline(always)]
    fn to_bytes(self, values: [f32; 16]) -> [u32; 4] {
        let mut units = [0; 4];
        for (index, unit) in units.iter_mut().enumerate() {
            let byte = |offset: usize| values[4 * index + offset] as u8;
            *unit = u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]);
        }
        units
    }
}
