//! Arm's NEON: four registers hold sixteen numbers.
#![allow(unsafe_code, reason = "intrinsics that read and write memory take pointers")]

use std::arch::aarch64::*;

use super::simd::{Lane, Simd, Units};

/// Intrinsics, which are the reason for unsafe code: those that read and write memory take pointers.
macro_rules! intrinsics {
    ($($code:tt)*) => {{
        // SAFETY: every 64-bit Arm processor has NEON; loads and stores go through references to 16 bytes or more.
        #[allow(unused_unsafe, reason = "most are safe where NEON is part of the target")]
        unsafe { $($code)* }
    }};
}

/// NEON, which every 64-bit Arm processor has: nothing to prove.
#[derive(Clone, Copy)]
pub(super) struct Neon;

macro_rules! four {
    ($function:ident, $($argument:ident),+) => {
        [
            $function($($argument[0]),+),
            $function($($argument[1]),+),
            $function($($argument[2]),+),
            $function($($argument[3]),+),
        ]
    };
}

impl Simd for Neon {
    const PAIRED: bool = false;

    type Floats = [float32x4_t; 4];
    type Integers = [int32x4_t; 4];
    type Words = [int16x8_t; 4];

    #[inline(always)]
    fn load(self, from: &Lane) -> [float32x4_t; 4] {
        let quarters = from.0.as_chunks::<4>().0;
        intrinsics! {
            [
                vld1q_f32(quarters[0].as_ptr()),
                vld1q_f32(quarters[1].as_ptr()),
                vld1q_f32(quarters[2].as_ptr()),
                vld1q_f32(quarters[3].as_ptr()),
            ]
        }
    }

    #[inline(always)]
    fn store(self, values: [float32x4_t; 4], into: &mut Lane) {
        for (quarter, values) in into.0.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            intrinsics! { vst1q_f32(quarter.as_mut_ptr(), values) }
        }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [float32x4_t; 4] {
        intrinsics! { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn add(self, left: [float32x4_t; 4], right: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vaddq_f32, left, right) }
    }

    #[inline(always)]
    fn subtract(self, left: [float32x4_t; 4], right: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vsubq_f32, left, right) }
    }

    #[inline(always)]
    fn multiply(self, left: [float32x4_t; 4], right: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vmulq_f32, left, right) }
    }

    #[inline(always)]
    fn divide(self, left: [float32x4_t; 4], right: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vdivq_f32, left, right) }
    }

    #[inline(always)]
    fn maximum(self, left: [float32x4_t; 4], right: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vmaxq_f32, left, right) }
    }

    #[inline(always)]
    fn minimum(self, left: [float32x4_t; 4], right: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vminq_f32, left, right) }
    }

    #[inline(always)]
    fn multiply_add(self, left: [float32x4_t; 4], right: [float32x4_t; 4], sum: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vfmaq_f32, sum, left, right) }
    }

    #[inline(always)]
    fn round(self, value: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vrndnq_f32, value) }
    }

    #[inline(always)]
    fn scale(self, values: [float32x4_t; 4], power: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let mut scaled = values;
        for (values, power) in scaled.iter_mut().zip(power) {
            intrinsics! {
                let exponent = vaddq_s32(vcvtnq_s32_f32(power), vdupq_n_s32(127));
                *values = vmulq_f32(*values, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)));
            }
        }
        scaled
    }

    #[inline(always)]
    fn load_words(self, from: &Units) -> [int16x8_t; 4] {
        let quarters = from.0.as_chunks::<4>().0;
        intrinsics! {
            [
                vreinterpretq_s16_u32(vld1q_u32(quarters[0].as_ptr())),
                vreinterpretq_s16_u32(vld1q_u32(quarters[1].as_ptr())),
                vreinterpretq_s16_u32(vld1q_u32(quarters[2].as_ptr())),
                vreinterpretq_s16_u32(vld1q_u32(quarters[3].as_ptr())),
            ]
        }
    }

    #[inline(always)]
    fn dot_int8(self, sum: [int32x4_t; 4], unit: u32, words: [int16x8_t; 4]) -> [int32x4_t; 4] {
        let mut sums = sum;
        for (sum, words) in sums.iter_mut().zip(words) {
            intrinsics! {
                // 255 × 127 fits 16 bits, so each product is exact there before pairs are added in 32.
                let left_even = vreinterpretq_s16_u32(vdupq_n_u32(unit & 0x00ff_00ff));
                let left_odd = vreinterpretq_s16_u32(vdupq_n_u32((unit >> 8) & 0x00ff_00ff));
                let even = vshrq_n_s16::<8>(vshlq_n_s16::<8>(words));
                *sum = vpadalq_s16(*sum, vmulq_s16(left_even, even));
                *sum = vpadalq_s16(*sum, vmulq_s16(left_odd, vshrq_n_s16::<8>(words)));
            }
        }
        sums
    }

    #[inline(always)]
    fn zero_integers(self) -> [int32x4_t; 4] {
        intrinsics! { [vdupq_n_s32(0); 4] }
    }

    #[inline(always)]
    fn to_floats(self, values: [int32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vcvtq_f32_s32, values) }
    }

    #[inline(always)]
    fn swap_pairs(self, values: [float32x4_t; 4]) -> [float32x4_t; 4] {
        intrinsics! { four!(vrev64q_f32, values) }
    }

    #[inline(always)]
    fn round_bf16(self, values: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let mut rounded = values;
        for values in &mut rounded {
            intrinsics! {
                let bits = vreinterpretq_u32_f32(*values);
                let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
                let bits = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
                *values = vreinterpretq_f32_u32(vandq_u32(bits, vdupq_n_u32(0xffff_0000)));
            }
        }
        rounded
    }

    #[inline(always)]
    fn to_bytes(self, values: [float32x4_t; 4]) -> [u32; 4] {
        let mut units = [0; 4];
        for (unit, values) in units.iter_mut().zip(values) {
            intrinsics! {
                let words = vmovn_u32(vcvtq_u32_f32(values));
                let bytes = vmovn_u16(vcombine_u16(words, words));
                *unit = vget_lane_u32::<0>(vreinterpret_u32_u8(bytes));
            }
        }
        units
    }
}
