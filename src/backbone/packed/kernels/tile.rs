//! One step of the f32 product on AVX-512, written out as instructions.
#![allow(unsafe_code, reason = "assembly")]

use std::arch::asm;
use std::arch::x86_64::__m512;

use super::simd::Lane;

/// Rows whose number is read anew for each of the two columns: one instruction for each product.
#[rustfmt::skip]
macro_rules! twice {
    ($left:literal, $right:literal, $offset:literal) => {
        concat!(
            "vfmadd231ps {", $left, "}, {28}, dword ptr [{30} + ", $offset, "]{{1to16}}\n",
            "vfmadd231ps {", $right, "}, {29}, dword ptr [{30} + ", $offset, "]{{1to16}}",
        )
    };
}

/// Rows whose number is read once, into a register: three instructions for two products, but one read.
#[rustfmt::skip]
macro_rules! once {
    ($left:literal, $right:literal, $offset:literal) => {
        concat!(
            "vbroadcastss {31}, dword ptr [{30} + ", $offset, "]\n",
            "vfmadd231ps {", $left, "}, {28}, {31}\n",
            "vfmadd231ps {", $right, "}, {29}, {31}",
        )
    };
}

/// Adds to the sums of fourteen rows the products of the number `unit` of each with two columns of sixteen.
///
/// Compilers read every number into a register first: 44 instructions for 28 products. Where a core is shared, fetching
/// instructions is what takes the time. A processor reads two numbers while it multiplies two, so half of the rows can be
/// read twice, by the products themselves, and 37 instructions do: the same products in the same order (docs/performance.md).
///
/// # Safety
/// The processor must have AVX-512 F; `unit` must be below 16.
#[rustfmt::skip]
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply_add_14(
    sums: &mut [[__m512; 2]; 14],
    rows: &[Lane; 14],
    unit: usize,
    [left, right]: [__m512; 2],
) {
    // A register for a number that is read once. Left unnamed, it would be taken for a 32-bit one.
    let number: __m512;
    // SAFETY: reads the number `unit` of each of fourteen lanes of 64 bytes, and writes nothing but the registers named.
    unsafe {
        asm!(
            twice!("0", "1", "0"), once!("2", "3", "64"),
            twice!("4", "5", "128"), once!("6", "7", "192"),
            twice!("8", "9", "256"), once!("10", "11", "320"),
            twice!("12", "13", "384"), once!("14", "15", "448"),
            twice!("16", "17", "512"), once!("18", "19", "576"),
            twice!("20", "21", "640"), once!("22", "23", "704"),
            twice!("24", "25", "768"), once!("26", "27", "832"),
            inout(zmm_reg) sums[0][0], inout(zmm_reg) sums[0][1], inout(zmm_reg) sums[1][0], inout(zmm_reg) sums[1][1],
            inout(zmm_reg) sums[2][0], inout(zmm_reg) sums[2][1], inout(zmm_reg) sums[3][0], inout(zmm_reg) sums[3][1],
            inout(zmm_reg) sums[4][0], inout(zmm_reg) sums[4][1], inout(zmm_reg) sums[5][0], inout(zmm_reg) sums[5][1],
            inout(zmm_reg) sums[6][0], inout(zmm_reg) sums[6][1], inout(zmm_reg) sums[7][0], inout(zmm_reg) sums[7][1],
            inout(zmm_reg) sums[8][0], inout(zmm_reg) sums[8][1], inout(zmm_reg) sums[9][0], inout(zmm_reg) sums[9][1],
            inout(zmm_reg) sums[10][0], inout(zmm_reg) sums[10][1], inout(zmm_reg) sums[11][0], inout(zmm_reg) sums[11][1],
            inout(zmm_reg) sums[12][0], inout(zmm_reg) sums[12][1], inout(zmm_reg) sums[13][0], inout(zmm_reg) sums[13][1],
            in(zmm_reg) left, in(zmm_reg) right, in(reg) &raw const rows[0].0[unit], out(zmm_reg) number,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    let _ = number;
}
