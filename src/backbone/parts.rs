//! What several architectures are made of: linear maps, norms and activations as a checkpoint names them.

use std::collections::BTreeMap;
use std::fmt::Display;

use candle_core::Tensor;
use candle_nn::{Activation, LayerNorm, Linear, VarBuilder};

use super::checkpoint::Weights;
use super::model::Placement;

/// What [`activation`] knows.
pub(super) const ACTIVATIONS: &str = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu";

/// The activation that a configuration calls `name`.
pub(super) fn activation(name: &str) -> Option<Activation> {
    match name {
        "gelu" => Some(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Some(Activation::GeluPytorchTanh),
        "relu" => Some(Activation::Relu),
        "silu" | "swish" => Some(Activation::Silu),
        _ => None,
    }
}

/// Tensors under candle's own loader interface; those that are where they are to be are shared, not copied.
pub(super) fn builder(tensors: BTreeMap<String, Tensor>, placement: &Placement) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors.into_iter().collect(), placement.tensor_type(), &placement.device)
}

/// The linear map `name`, with a bias or without.
pub(super) fn linear(weights: &Weights, name: &str, biased: bool) -> candle_core::Result<Linear> {
    let bias = biased.then(|| weights.get(&format!("{name}.bias"))).transpose()?;
    Ok(Linear::new(weights.get(&format!("{name}.weight"))?, bias))
}

/// The layer norm `name`, with a bias or without.
pub(super) fn norm(weights: &Weights, name: &str, biased: bool, epsilon: f64) -> candle_core::Result<LayerNorm> {
    let weight = weights.get(&format!("{name}.weight"))?;
    // A bias of zero rather than none: candle has a fused kernel for a norm with a bias only.
    let bias = if biased { weights.get(&format!("{name}.bias"))? } else { weight.zeros_like()? };
    Ok(LayerNorm::new(weight, bias, epsilon))
}

/// A list of tensors with their shapes.
#[derive(Default)]
pub(super) struct Tensors(pub(super) Vec<(String, Vec<usize>)>);

impl Tensors {
    /// A table or a map without a bias.
    pub(super) fn matrix(&mut self, name: impl Display, rows: usize, columns: usize) {
        self.0.push((format!("{name}.weight"), vec![rows, columns]));
    }

    /// A linear map.
    pub(super) fn linear(&mut self, name: impl Display, rows: usize, columns: usize, biased: bool) {
        self.matrix(&name, rows, columns);
        if biased {
            self.0.push((format!("{name}.bias"), vec![rows]));
        }
    }

    /// A layer norm.
    pub(super) fn norm(&mut self, name: impl Display, width: usize, biased: bool) {
        self.0.push((format!("{name}.weight"), vec![width]));
        if biased {
            self.0.push((format!("{name}.bias"), vec![width]));
        }
    }
}
