//! The kernels: the few operations that a forward pass spends its time in, for whatever the processor offers.
//!
//! All are written once over [`simd::Simd`] and compiled for each instruction set; which one runs is chosen when a model
//! is loaded. Within one of them the same rows give the same bits, whatever stands beside them.

#![allow(
    clippy::inline_always,
    clippy::missing_transmute_annotations,
    clippy::needless_range_loop,
    clippy::wildcard_imports,
    reason = "a kernel must be one function for its instruction set to reach into it, and its loops count registers"
)]

mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod choice;
mod elementwise;
#[cfg(target_arch = "aarch64")]
mod neon;
mod norm;
mod portable;
mod product;
mod simd;
mod softmax;
#[cfg(target_arch = "x86_64")]
mod tile;

pub(in crate::backbone) use attention::{Attention, AttentionRoom, Span};
pub(in crate::backbone) use choice::{available, choose};
pub(in crate::backbone) use elementwise::Activation;
pub(in crate::backbone) use norm::Norm;
pub(in crate::backbone) use product::Operands;
pub(in crate::backbone) use simd::{Lane, Units, bf16};

use super::linear::{Format, Linear};
use super::rows::Rows;
use crate::config::Dtype;

/// The operations of one instruction set.
pub(in crate::backbone) trait Kernel: Send + Sync {
    /// What people call it.
    fn name(&self) -> &'static str;

    /// Rows of a tile.
    fn height(&self) -> usize;

    /// The format in which it multiplies numbers of `dtype` fastest.
    fn format(&self, dtype: Dtype) -> Format;

    /// Applies `linear` to tiles of rows: `input` `(tiles, inputs, height)`, `output` `(tiles, outputs, height)`.
    fn linear(&self, linear: &Linear, input: &[Lane], operands: &mut Operands, output: &mut [Lane]);

    /// Adds `added`, unless it is empty, to tiles of rows and norms them in place.
    fn normalise(&self, norm: &Norm, states: &mut [Lane], added: &[Lane]);

    /// Adds `right` to `left`, number by number.
    fn add(&self, left: &mut [Lane], right: &[Lane]);

    /// Attention within one text, see [`Attention`].
    fn attend(&self, attention: &Attention, rows: (&Rows, &Span), room: &mut AttentionRoom, context: &mut Rows);
}
