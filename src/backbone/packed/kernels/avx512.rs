//! AVX-512: one register holds sixteen numbers. With `DOT` also its bf16 and 8-bit dot products.
#![allow(unsafe_code, reason = "intrinsics are unsafe to call where the compiler does not know the processor")]

use std::arch::x86_64::*;

use super::simd::{Bf16Dot, Lane, Simd, Units};
use super::tile::multiply_add_14;

/// Intrinsics, which are the reason for unsafe code: the compiler may use these instructions only where it is told that the
/// processor has them, and plain Rust takes 5 to 20 times as long (docs/performance.md).
macro_rules! intrinsics {
    ($($code:tt)*) => {{
        // SAFETY: every caller has a value of `Avx512`, which `Avx512::new` alone makes, after asking the processor. Loads
        // and stores go through references to 64 aligned bytes, and what is transmuted has the same size and no invalid
        // bits.
        unsafe { $($code)* }
    }};
}

/// The proof that the processor has AVX-512 F, BW, DQ and VL with FMA, and with `DOT` also BF16 and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const DOT: bool>(());

impl<const DOT: bool> Avx512<DOT> {
    pub(super) fn new() -> Option<Self> {
        let base = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma");
        let dot = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni");
        (base && (dot || !DOT)).then_some(Self(()))
    }
}

impl<const DOT: bool> Simd for Avx512<DOT> {
    const PAIRED: bool = true;

    type Floats = __m512;
    type Integers = __m512i;
    type Words = __m512i;

    #[inline(always)]
    fn expect<T>(self, coming: &T) {
        intrinsics! { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(coming).cast()) }
    }

    #[inline(always)]
    fn expect_next<T>(self, here: &T, ahead: usize) {
        intrinsics! { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(here).wrapping_add(ahead).cast()) }
    }

    #[inline(always)]
    fn multiply_add_rows<const M: usize, const C: usize>(
        self,
        sums: &mut [[__m512; C]; M],
        rows: &[Lane; M],
        unit: usize,
        columns: [__m512; C],
    ) -> bool {
        let (14, [left, right], 0..16) = (M, &columns[..], unit) else { return false };
        // Arrays of the lengths just found.
        intrinsics! {
            let sums = &mut *std::ptr::from_mut(sums).cast();
            multiply_add_14(sums, &*std::ptr::from_ref(rows).cast(), unit, [*left, *right]);
        }
        true
    }

    #[inline(always)]
    fn load(self, from: &Lane) -> __m512 {
        intrinsics! { _mm512_load_ps(from.0.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, values: __m512, into: &mut Lane) {
        intrinsics! { _mm512_store_ps(into.0.as_mut_ptr(), values) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        intrinsics! { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! { _mm512_add_ps(left, right) }
    }

    #[inline(always)]
    fn subtract(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! { _mm512_sub_ps(left, right) }
    }

    #[inline(always)]
    fn multiply(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! { _mm512_mul_ps(left, right) }
    }

    #[inline(always)]
    fn divide(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! { _mm512_div_ps(left, right) }
    }

    #[inline(always)]
    fn maximum(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! { _mm512_max_ps(left, right) }
    }

    #[inline(always)]
    fn minimum(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! { _mm512_min_ps(left, right) }
    }

    #[inline(always)]
    fn multiply_add(self, left: __m512, right: __m512, sum: __m512) -> __m512 {
        intrinsics! { _mm512_fmadd_ps(left, right, sum) }
    }

    #[inline(always)]
    fn round(self, value: __m512) -> __m512 {
        intrinsics! { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value) }
    }

    #[inline(always)]
    fn scale(self, values: __m512, power: __m512) -> __m512 {
        intrinsics! { _mm512_scalef_ps(values, power) }
    }

    #[inline(always)]
    fn quotient(self, left: __m512, right: __m512) -> __m512 {
        intrinsics! {
            // 14 bits from the processor, doubled by Newton's step, and the quotient mended by its own remainder.
            let rough = _mm512_rcp14_ps(right);
            let inverse = _mm512_fmadd_ps(rough, _mm512_fnmadd_ps(right, rough, _mm512_set1_ps(1.0)), rough);
            let quotient = _mm512_mul_ps(left, inverse);
            _mm512_fmadd_ps(_mm512_fnmadd_ps(quotient, right, left), inverse, quotient)
        }
    }

    #[inline(always)]
    fn transpose(self, rows: &[Lane; 16], columns: &mut [Lane; 16]) {
        intrinsics! {
            let mut from = [_mm512_setzero_ps(); 16];
            for (into, row) in from.iter_mut().zip(rows) {
                *into = self.load(row);
            }
            // Twos, then fours of rows within each 128 bits …
            let mut fours = [_mm512_setzero_ps(); 16];
            for four in 0..4 {
                let low = _mm512_unpacklo_ps(from[4 * four], from[4 * four + 1]);
                let high = _mm512_unpackhi_ps(from[4 * four], from[4 * four + 1]);
                let next_low = _mm512_unpacklo_ps(from[4 * four + 2], from[4 * four + 3]);
                let next_high = _mm512_unpackhi_ps(from[4 * four + 2], from[4 * four + 3]);
                fours[4 * four] = _mm512_shuffle_ps::<0b01_00_01_00>(low, next_low);
                fours[4 * four + 1] = _mm512_shuffle_ps::<0b11_10_11_10>(low, next_low);
                fours[4 * four + 2] = _mm512_shuffle_ps::<0b01_00_01_00>(high, next_high);
                fours[4 * four + 3] = _mm512_shuffle_ps::<0b11_10_11_10>(high, next_high);
            }
            // … then the 128-bit quarters of four rows are put side by side.
            for column in 0..4 {
                let [first, second] = [fours[column], fours[4 + column]];
                let [third, fourth] = [fours[8 + column], fours[12 + column]];
                let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(first, second);
                let odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(first, second);
                let next_even = _mm512_shuffle_f32x4::<0b10_00_10_00>(third, fourth);
                let next_odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(third, fourth);
                self.store(_mm512_shuffle_f32x4::<0b10_00_10_00>(even, next_even), &mut columns[column]);
                self.store(_mm512_shuffle_f32x4::<0b10_00_10_00>(odd, next_odd), &mut columns[4 + column]);
                self.store(_mm512_shuffle_f32x4::<0b11_01_11_01>(even, next_even), &mut columns[8 + column]);
                self.store(_mm512_shuffle_f32x4::<0b11_01_11_01>(odd, next_odd), &mut columns[12 + column]);
            }
        }
    }

    #[inline(always)]
    fn load_words(self, from: &Units) -> __m512i {
        intrinsics! { _mm512_load_si512(from.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn dot_int8(self, sum: __m512i, unit: u32, words: __m512i) -> __m512i {
        intrinsics! {
            let unit = _mm512_set1_epi32(unit.cast_signed());
            if DOT {
                return _mm512_dpbusd_epi32(sum, unit, words);
            }
            let twos = _mm512_maddubs_epi16(unit, words);
            _mm512_add_epi32(sum, _mm512_madd_epi16(twos, _mm512_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn zero_integers(self) -> __m512i {
        intrinsics! { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn to_floats(self, values: __m512i) -> __m512 {
        intrinsics! { _mm512_cvtepi32_ps(values) }
    }

    #[inline(always)]
    fn swap_pairs(self, values: __m512) -> __m512 {
        intrinsics! { _mm512_permute_ps::<0b10_11_00_01>(values) }
    }

    #[inline(always)]
    fn round_bf16(self, values: __m512) -> __m512 {
        intrinsics! {
            let bits = _mm512_castps_si512(values);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let bits = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
            _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(0xffff_0000_u32.cast_signed())))
        }
    }

    #[inline(always)]
    fn to_bytes(self, values: __m512) -> [u32; 4] {
        intrinsics! { std::mem::transmute(_mm512_cvtepi32_epi8(_mm512_cvtps_epi32(values))) }
    }

    #[inline(always)]
    fn sum(self, values: __m512) -> f32 {
        intrinsics! {
            let halves = _mm256_add_ps(_mm512_castps512_ps256(values), _mm512_extractf32x8_ps::<1>(values));
            let quarters = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
            let pairs = _mm_add_ps(quarters, _mm_movehl_ps(quarters, quarters));
            _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps::<1>(pairs, pairs)))
        }
    }

    #[inline(always)]
    fn largest(self, values: __m512) -> f32 {
        intrinsics! { _mm512_reduce_max_ps(values) }
    }
}

impl Bf16Dot for Avx512<true> {
    #[inline(always)]
    fn to_bf16(self, low: __m512, high: __m512) -> Units {
        intrinsics! { std::mem::transmute::<__m512bh, Units>(_mm512_cvtne2ps_pbh(high, low)) }
    }

    #[inline(always)]
    fn dot_bf16(self, sum: __m512, unit: u32, words: __m512i) -> __m512 {
        intrinsics! {
            let unit = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(unit.cast_signed()));
            _mm512_dpbf16_ps(sum, unit, std::mem::transmute::<__m512i, __m512bh>(words))
        }
    }
}
