//! A transformer that is laid out for its kernel when the first text comes: a run that finds all its texts in the cache
//! needs none.

use std::sync::LazyLock;

use candle_core::{Error, Result, Tensor};

use super::checkpoint::Weights;
use super::model::{Architecture, Placement, Transformer};
use super::tokens::Encoded;

type Loaded = std::result::Result<Box<dyn Transformer>, String>;

/// Checked weights until the first text, then the transformer made of them.
pub(super) struct Deferred(LazyLock<Loaded, Box<dyn FnOnce() -> Loaded + Send>>);

impl Deferred {
    /// A transformer of `weights` up to layer `deepest`.
    pub(super) fn new(
        architecture: Box<dyn Architecture>,
        weights: Weights,
        deepest: usize,
        placement: Placement,
    ) -> Self {
        let load = move || architecture.load(&weights, deepest, &placement).map_err(|error| error.to_string());
        Self(LazyLock::new(Box::new(load)))
    }

    /// The transformer, which the first call makes.
    ///
    /// # Errors
    /// When candle refuses a tensor.
    fn transformer(&self) -> Result<&dyn Transformer> {
        match &*self.0 {
            Ok(transformer) => Ok(&**transformer),
            Err(error) => Err(Error::Msg(format!("the weights do not load: {error}"))),
        }
    }
}

impl Transformer for Deferred {
    fn kernel(&self) -> Option<&'static str> {
        self.transformer().ok()?.kernel()
    }

    fn states(&self, texts: &[&Encoded], layers: &[usize]) -> Result<Vec<Vec<Tensor>>> {
        self.transformer()?.states(texts, layers)
    }
}
