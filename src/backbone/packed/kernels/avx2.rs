//! AVX2 with FMA: two registers hold sixteen numbers.
#![allow(unsafe_code, reason = "intrinsics are unsafe to call where the compiler does not know the processor")]

use std::arch::x86_64::*;

use super::simd::{Lane, Simd, Units};

/// Intrinsics, which are the reason for unsafe code: the compiler may use these instructions only where it is told that the
/// processor has them, and plain Rust takes 3 to 7 times as long (docs/performance.md).
macro_rules! intrinsics {
    ($($code:tt)*) => {{
        // SAFETY: every caller has a value of `Avx2`, which `Avx2::new` alone makes, after asking the processor. Loads and
        // stores go through references to 64 aligned bytes, and what is transmuted has the same size and no invalid bits.
        unsafe { $($code)* }
    }};
}

/// The proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

macro_rules! both {
    ($function:ident, $($argument:ident),+) => {
        intrinsics! { [$function($($argument[0]),+), $function($($argument[1]),+)] }
    };
}

impl Simd for Avx2 {
    const PAIRED: bool = false;

    type Floats = [__m256; 2];
    type Integers = [__m256i; 2];
    type Words = [__m256i; 2];

    #[inline(always)]
    fn load(self, from: &Lane) -> [__m256; 2] {
        intrinsics! { [_mm256_load_ps(from.0.as_ptr()), _mm256_load_ps(from.0[8..].as_ptr())] }
    }

    #[inline(always)]
    fn store(self, values: [__m256; 2], into: &mut Lane) {
        intrinsics! {
            _mm256_store_ps(into.0.as_mut_ptr(), values[0]);
            _mm256_store_ps(into.0[8..].as_mut_ptr(), values[1]);
        }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [__m256; 2] {
        intrinsics! { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn add(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_add_ps, left, right)
    }

    #[inline(always)]
    fn subtract(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_sub_ps, left, right)
    }

    #[inline(always)]
    fn multiply(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_mul_ps, left, right)
    }

    #[inline(always)]
    fn divide(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_div_ps, left, right)
    }

    #[inline(always)]
    fn maximum(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_max_ps, left, right)
    }

    #[inline(always)]
    fn minimum(self, left: [__m256; 2], right: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_min_ps, left, right)
    }

    #[inline(always)]
    fn multiply_add(self, left: [__m256; 2], right: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        both!(_mm256_fmadd_ps, left, right, sum)
    }

    #[inline(always)]
    fn round(self, value: [__m256; 2]) -> [__m256; 2] {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        intrinsics! { [_mm256_round_ps::<NEAREST>(value[0]), _mm256_round_ps::<NEAREST>(value[1])] }
    }

    #[inline(always)]
    fn scale(self, values: [__m256; 2], power: [__m256; 2]) -> [__m256; 2] {
        intrinsics! {
            let mut scaled = values;
            for (values, power) in scaled.iter_mut().zip(power) {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(power), _mm256_set1_epi32(127));
                *values = _mm256_mul_ps(*values, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)));
            }
            scaled
        }
    }

    #[inline(always)]
    fn load_words(self, from: &Units) -> [__m256i; 2] {
        intrinsics! { [_mm256_load_si256(from.0.as_ptr().cast()), _mm256_load_si256(from.0[8..].as_ptr().cast())] }
    }

    #[inline(always)]
    fn dot_int8(self, sum: [__m256i; 2], unit: u32, words: [__m256i; 2]) -> [__m256i; 2] {
        intrinsics! {
            let unit = _mm256_set1_epi32(unit.cast_signed());
            let mut sums = sum;
            for (sum, words) in sums.iter_mut().zip(words) {
                let twos = _mm256_maddubs_epi16(unit, words);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(twos, _mm256_set1_epi16(1)));
            }
            sums
        }
    }

    #[inline(always)]
    fn zero_integers(self) -> [__m256i; 2] {
        intrinsics! { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    fn to_floats(self, values: [__m256i; 2]) -> [__m256; 2] {
        both!(_mm256_cvtepi32_ps, values)
    }

    #[inline(always)]
    fn swap_pairs(self, values: [__m256; 2]) -> [__m256; 2] {
        intrinsics! { [_mm256_permute_ps::<0b10_11_00_01>(values[0]), _mm256_permute_ps::<0b10_11_00_01>(values[1])] }
    }

    #[inline(always)]
    fn round_bf16(self, values: [__m256; 2]) -> [__m256; 2] {
        intrinsics! {
            let mut rounded = values;
            for half in &mut rounded {
                let bits = _mm256_castps_si256(*half);
                let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
                let bits = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
                let high = _mm256_set1_epi32(0xffff_0000_u32.cast_signed());
                *half = _mm256_castsi256_ps(_mm256_and_si256(bits, high));
            }
            rounded
        }
    }

    #[inline(always)]
    fn to_bytes(self, values: [__m256; 2]) -> [u32; 4] {
        intrinsics! {
            let words = _mm256_packus_epi32(_mm256_cvtps_epi32(values[0]), _mm256_cvtps_epi32(values[1]));
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            std::mem::transmute(bytes)
        }
    }

    #[inline(always)]
    fn sum(self, values: [__m256; 2]) -> f32 {
        intrinsics! {
            let halves = _mm256_add_ps(values[0], values[1]);
            let quarters = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
            let pairs = _mm_add_ps(quarters, _mm_movehl_ps(quarters, quarters));
            _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps::<1>(pairs, pairs)))
        }
    }
}
