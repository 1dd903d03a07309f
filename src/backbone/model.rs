//! What every family of transformers has in common: a checked architecture, and a forward pass that gives any layer.

use candle_core::{DType, Device, Tensor};

use super::checkpoint::Weights;
use super::tokens::Encoded;
use crate::config::{self, Dtype};

/// The sizes that the rest of the backbone needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rows of the token embedding.
    pub(super) vocabulary: usize,
    /// Numbers per hidden state.
    pub(super) width: usize,
    /// Layers; layer 0 is the embedding output.
    pub(super) layers: usize,
    /// The longest input in tokens.
    pub(super) positions: usize,
    /// Whether a token sees only what stands before it.
    pub(super) causal: bool,
    /// One line for people: `BERT, 6 layers, 384 wide`.
    pub(super) line: String,
}

/// Where a transformer runs, and how precisely.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// The device that holds the weights and computes.
    pub(super) device: Device,
    /// The precision of the products.
    pub(super) dtype: Dtype,
    /// The kernel of the processor that is to run; the best one where `None`.
    pub(super) kernel: Option<String>,
}

impl Placement {
    /// The processor, in single precision.
    pub(super) const CPU: Self = Self { device: Device::Cpu, dtype: Dtype::F32, kernel: None };

    /// The type of the tensors that candle computes with.
    pub(super) fn tensor_type(&self) -> DType {
        match self.dtype {
            Dtype::Bf16 => DType::BF16,
            Dtype::F32 | Dtype::Int8 => DType::F32,
        }
    }
}

/// The precisions of families that have kernels of our own on the processor.
pub(super) fn packed_precisions(device: config::Device) -> &'static [Dtype] {
    if device == config::Device::Cpu { &[Dtype::F32, Dtype::Bf16, Dtype::Int8] } else { &[Dtype::F32, Dtype::Bf16] }
}

/// A `config.json` that was read, checked and understood.
pub(super) trait Architecture: Send + Sync {
    /// Its sizes.
    fn shape(&self) -> &Shape;

    /// The precisions that its products can have on a device. By default those of candle, whose products in bf16 are
    /// made for graphics cards.
    fn precisions(&self, device: config::Device) -> &'static [Dtype] {
        if device == config::Device::Cpu { &[Dtype::F32] } else { &[Dtype::F32, Dtype::Bf16] }
    }

    /// Every tensor the forward pass up to layer `deepest` reads, with its shape, named as in the checkpoint but
    /// without the model's prefix (`bert.`, `model.` and the like).
    fn tensors(&self, deepest: usize) -> Vec<(String, Vec<usize>)>;

    /// Takes checked weights that hold [`Architecture::tensors`] to where they are to run.
    ///
    /// # Errors
    /// When candle refuses a tensor.
    fn load(
        &self,
        weights: &Weights,
        deepest: usize,
        placement: &Placement,
    ) -> candle_core::Result<Box<dyn Transformer>>;
}

/// A loaded transformer. Texts run unpadded, so that none has a part in the states of another.
pub(super) trait Transformer: Send + Sync {
    /// The kernel it runs on, where it is one of our own.
    fn kernel(&self) -> Option<&'static str> {
        None
    }

    /// Of each text its states `(tokens, width)` in the asked-for `layers` (each at most the deepest that was loaded),
    /// in their order, as Hugging Face's `hidden_states` has them: 0 is the embedding output, the last layer includes a
    /// final norm where the family has one. Layers above the highest asked-for one are not computed.
    fn states(&self, texts: &[&Encoded], layers: &[usize]) -> candle_core::Result<Vec<Vec<Tensor>>>;
}

/// A loaded transformer that runs on candle, which knows no texts of different lengths in one pass without padding.
pub(super) trait SingleText: Send + Sync {
    /// The states of one text, as [`Transformer::states`] gives them of several.
    fn states_of(&self, text: &Encoded, layers: &[usize]) -> candle_core::Result<Vec<Tensor>>;
}

impl<T: SingleText> Transformer for T {
    fn states(&self, texts: &[&Encoded], layers: &[usize]) -> candle_core::Result<Vec<Vec<Tensor>>> {
        texts.iter().map(|text| self.states_of(text, layers)).collect()
    }
}
