//! A transformer that is laid out for its kernel when the first text comes: a run that finds all its texts in the cache
//! needs none.

use std::sync::{Mutex, OnceLock, PoisonError};

use candle_core::{Error, Result, Tensor};

use super::checkpoint::Weights;
use super::model::{Architecture, Placement, Transformer};
use super::tokens::Encoded;

/// Checked weights, and what becomes of them.
pub(super) struct Deferred {
    architecture: Box<dyn Architecture>,
    deepest: usize,
    placement: Placement,
    /// Let go as soon as they are laid out.
    weights: Mutex<Option<Weights>>,
    transformer: OnceLock<std::result::Result<Box<dyn Transformer>, String>>,
}

impl Deferred {
    /// A transformer of `weights` up to layer `deepest`.
    pub(super) fn new(
        architecture: Box<dyn Architecture>,
        weights: Weights,
        deepest: usize,
        placement: Placement,
    ) -> Self {
        let (weights, transformer) = (Mutex::new(Some(weights)), OnceLock::new());
        Self { architecture, deepest, placement, weights, transformer }
    }

    /// The transformer, which the first call makes.
    ///
    /// # Errors
    /// When candle refuses a tensor.
    fn transformer(&self) -> Result<&dyn Transformer> {
        let load = || {
            let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner).take();
            let weights = weights.ok_or_else(|| "the weights are gone".to_owned())?;
            self.architecture.load(&weights, self.deepest, &self.placement).map_err(|error| error.to_string())
        };
        match self.transformer.get_or_init(load) {
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
