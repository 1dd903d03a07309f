//! One [`Kernel`] for each instruction set, and which of them this processor runs best.
#![allow(unsafe_code, reason = "functions compiled for an instruction set are unsafe to call from others")]

use super::attention::{self, Attention, AttentionRoom, Span};
use super::norm::{self, Norm};
use super::portable::Portable;
use super::product::{self, Operands};
use super::simd::Lane;
use super::{Kernel, elementwise};
use crate::backbone::packed::linear::{Format, Linear};
use crate::backbone::packed::rows::Rows;
use crate::config::Dtype;

impl Kernel for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn height(&self) -> usize {
        2
    }

    fn format(&self, dtype: Dtype) -> Format {
        widened(dtype)
    }

    fn linear(&self, linear: &Linear, input: &[Lane], operands: &mut Operands, output: &mut [Lane]) {
        product::linear::<Self, 2>(*self, linear, input, operands, output);
    }

    fn normalise(&self, norm: &Norm, states: &mut [Lane], added: &[Lane]) {
        norm::normalise::<Self, 2>(*self, norm, states, added);
    }

    fn add(&self, left: &mut [Lane], right: &[Lane]) {
        elementwise::add_into(*self, left, right);
    }

    fn attend(&self, attention: &Attention, rows: (&Rows, &Span), room: &mut AttentionRoom, context: &mut Rows) {
        attention::attend::<Self, 2>(*self, attention, rows, room, context);
    }
}

/// The format for instruction sets without a bf16 product.
fn widened(dtype: Dtype) -> Format {
    match dtype {
        Dtype::F32 => Format::Floats,
        Dtype::Bf16 => Format::Rounded,
        Dtype::Int8 => Format::Bytes,
    }
}

/// A [`Kernel`] whose functions are compiled for the instruction set that `$proof` is the proof of.
macro_rules! kernel {
    ($proof:ty, $name:literal, $height:literal, $features:literal, $linear:expr, $format:expr) => {
        impl Kernel for $proof {
            fn name(&self) -> &'static str {
                $name
            }

            fn height(&self) -> usize {
                $height
            }

            fn format(&self, dtype: Dtype) -> Format {
                $format(*self, dtype)
            }

            fn linear(&self, linear: &Linear, input: &[Lane], operands: &mut Operands, output: &mut [Lane]) {
                #[target_feature(enable = $features)]
                fn run(simd: $proof, linear: &Linear, input: &[Lane], operands: &mut Operands, output: &mut [Lane]) {
                    $linear(simd, linear, input, operands, output);
                }
                // SAFETY: `self` is the proof that the processor has these features.
                unsafe { run(*self, linear, input, operands, output) }
            }

            fn normalise(&self, norm: &Norm, states: &mut [Lane], added: &[Lane]) {
                #[target_feature(enable = $features)]
                fn run(simd: $proof, norm: &Norm, states: &mut [Lane], added: &[Lane]) {
                    norm::normalise::<$proof, $height>(simd, norm, states, added);
                }
                // SAFETY: `self` is the proof that the processor has these features.
                unsafe { run(*self, norm, states, added) }
            }

            fn add(&self, left: &mut [Lane], right: &[Lane]) {
                #[target_feature(enable = $features)]
                fn run(simd: $proof, left: &mut [Lane], right: &[Lane]) {
                    elementwise::add_into(simd, left, right);
                }
                // SAFETY: `self` is the proof that the processor has these features.
                unsafe { run(*self, left, right) }
            }

            fn attend(
                &self,
                attention: &Attention,
                rows: (&Rows, &Span),
                room: &mut AttentionRoom,
                context: &mut Rows,
            ) {
                #[target_feature(enable = $features)]
                fn run(
                    simd: $proof,
                    attention: &Attention,
                    rows: (&Rows, &Span),
                    room: &mut AttentionRoom,
                    context: &mut Rows,
                ) {
                    attention::attend::<$proof, $height>(simd, attention, rows, room, context);
                }
                // SAFETY: `self` is the proof that the processor has these features.
                unsafe { run(*self, attention, rows, room, context) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::sync::OnceLock;
    use std::time::Instant;

    use super::super::avx2::Avx2;
    use super::super::avx512::Avx512;
    use super::super::elementwise::Activation;
    use super::*;
    use crate::backbone::packed::linear::Matrix;

    /// Runs of which the fastest counts, each some microseconds.
    const TRIALS: usize = 20;

    kernel!(Avx2, "avx2", 6, "avx2,fma", product::linear::<Avx2, 6>, |_, dtype| widened(dtype));
    kernel!(
        Avx512<false>,
        "avx512",
        14,
        "avx512f,avx512bw,avx512dq,avx512vl,fma",
        product::linear::<Avx512<false>, 14>,
        |_, dtype| widened(dtype)
    );
    kernel!(
        Avx512<true>,
        "avx512-dot",
        14,
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,fma",
        product::linear_with_bf16::<Avx512<true>, 14>,
        |simd, dtype| if dtype == Dtype::Bf16 { faster_bf16(simd) } else { widened(dtype) }
    );

    /// Whether the processor's bf16 product or f32 products of rounded numbers take less time here: some processors have
    /// the instruction at half the rate of f32, others at twice. Both give the same bits,
    /// but for numbers below 1.2e-38, which the instruction takes for zero.
    fn faster_bf16(simd: Avx512<true>) -> Format {
        static FASTER: OnceLock<Format> = OnceLock::new();
        *FASTER.get_or_init(|| {
            let matrix = Matrix { inputs: 512, weights: vec![1.0; 512 * 64], bias: vec![0.0; 64] };
            let input = vec![Lane([1.0; 16]); 14 * 512 / 16];
            let mut output = vec![Lane::ZERO; 14 * 64 / 16];
            let mut fastest = |format| {
                let linear = Linear::new(&matrix, format, Activation::Identity, false);
                let mut operands = Operands::default();
                let mut run = || {
                    let started = Instant::now();
                    simd.linear(&linear, &input, &mut operands, &mut output);
                    started.elapsed()
                };
                (0..TRIALS).map(|_| run()).min()
            };
            if fastest(Format::Pairs) <= fastest(Format::Rounded) { Format::Pairs } else { Format::Rounded }
        })
    }

    pub(super) fn available(kernels: &mut Vec<Box<dyn Kernel>>) {
        kernels.extend(Avx2::new().map(|kernel| Box::new(kernel) as Box<dyn Kernel>));
        kernels.extend(Avx512::<false>::new().map(|kernel| Box::new(kernel) as Box<dyn Kernel>));
        kernels.extend(Avx512::<true>::new().map(|kernel| Box::new(kernel) as Box<dyn Kernel>));
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::neon::Neon;
    use super::*;

    kernel!(Neon, "neon", 6, "neon", product::linear::<Neon, 6>, |_, dtype| widened(dtype));

    pub(super) fn available(kernels: &mut Vec<Box<dyn Kernel>>) {
        kernels.push(Box::new(Neon));
    }
}

/// Every kernel that this processor can run, the plainest first.
pub(in crate::backbone) fn available() -> Vec<Box<dyn Kernel>> {
    let mut kernels: Vec<Box<dyn Kernel>> = vec![Box::new(Portable)];
    #[cfg(target_arch = "x86_64")]
    x86::available(&mut kernels);
    #[cfg(target_arch = "aarch64")]
    arm::available(&mut kernels);
    kernels
}

/// The kernel called `name`, or the best one of this processor.
pub(in crate::backbone) fn choose(name: Option<&str>) -> Box<dyn Kernel> {
    let mut kernels = available();
    let named = kernels.iter().position(|kernel| name == Some(kernel.name()));
    kernels.swap_remove(named.unwrap_or(kernels.len() - 1))
}
