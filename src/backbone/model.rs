//! What every family of transformers has in common: a checked architecture, and a forward pass that gives any layer.

use candle_core::Tensor;

use super::checkpoint::Weights;
use super::tokens::Encoded;

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

/// A `config.json` that was read, checked and understood.
pub(super) trait Architecture: Send + Sync {
    /// Its sizes.
    fn shape(&self) -> &Shape;

    /// Every tensor the forward pass up to layer `deepest` reads, with its shape, named as in the checkpoint but
    /// without the model's prefix (`bert.`, `model.` and the like).
    fn tensors(&self, deepest: usize) -> Vec<(String, Vec<usize>)>;

    /// Takes checked weights that hold [`Architecture::tensors`].
    ///
    /// # Errors
    /// When candle refuses a tensor.
    fn load(&self, weights: &Weights, deepest: usize) -> candle_core::Result<Box<dyn Transformer>>;
}

/// A loaded transformer. One text runs per call, unpadded.
pub(super) trait Transformer: Send + Sync {
    /// States `(tokens, width)` of the asked-for `layers` (each at most the deepest that was loaded), in their order,
    /// as Hugging Face's `hidden_states` has them: 0 is the embedding output, the last layer includes a final norm
    /// where the family has one. Layers above the highest asked-for one are not computed.
    fn states(&self, encoded: &Encoded, layers: &[usize]) -> candle_core::Result<Vec<Tensor>>;
}
