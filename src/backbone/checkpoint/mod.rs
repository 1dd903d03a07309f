//! Reads the weights of a model and compares every tensor with what the configuration promises.
//!
//! One safetensors file, a set of shards with its index, or a GGUF file; all give f32 tensors under the names that
//! transformers uses, without the model's prefix.

mod collector;
mod gguf;
mod gguf_config;
mod gguf_tensors;
mod index;
mod safetensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde_json::Value;

use super::locate::{ModelFiles, WeightFiles};
use super::model::Placement;
use super::small_files;
use crate::error::Result;
use crate::files::Digest;
use collector::Collector;
pub(super) use gguf::{Family, Gguf};
pub(super) use index::Index;

/// Weights with the digest of the files they came from; they are read in f32 to the processor's memory.
pub(super) struct Weights {
    /// Covers every byte of every weight file; of one file it is the digest of that file.
    pub(super) digest: Digest,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// The tensor `name`, named as it was asked for.
    ///
    /// # Errors
    /// When `name` was not among the tensors asked for.
    pub(super) fn get(&self, name: &str) -> candle_core::Result<Tensor> {
        self.tensors.get(name).cloned().ok_or_else(|| candle_core::Error::CannotFindTensor { path: name.into() }.bt())
    }

    /// The weights where candle is to compute with them; those that are there already are shared, not copied.
    ///
    /// # Errors
    /// When the device has no room for a tensor.
    pub(super) fn on(&self, placement: &Placement) -> candle_core::Result<Self> {
        let moved = |(name, tensor): (&String, &Tensor)| {
            Ok((name.clone(), tensor.to_dtype(placement.tensor_type())?.to_device(&placement.device)?))
        };
        Ok(Self { digest: self.digest, tensors: self.tensors.iter().map(moved).collect::<candle_core::Result<_>>()? })
    }
}

/// Reads the tensors `expected` (names without the model's prefix, shapes) and checks shapes, types and finiteness;
/// other tensors of the files are passed over.
///
/// # Errors
/// [`Error::Model`] listing every tensor that is missing, misshapen or not finite (the first 20), or saying that a file
/// is damaged; [`Error::Io`] when one cannot be read.
pub(super) fn read(files: &ModelFiles, expected: &[(String, Vec<usize>)]) -> Result<Weights> {
    let mut collector = Collector::new(expected);
    let digest = match &files.weights {
        WeightFiles::Safetensors(path) => safetensors::read(path, None, &mut collector)?,
        WeightFiles::Shards(index) => {
            let mut digests = Vec::new();
            for shard in index.shards() {
                digests.push(safetensors::read(&shard, Some(index), &mut collector)?);
            }
            Digest::of_parts(digests.iter().map(|digest| digest.0.as_slice()))
        }
        WeightFiles::Gguf(path) => gguf_tensors::read(path, &mut collector)?,
    };
    let tensors = collector.finish(files.weights.path())?;
    Ok(Weights { digest, tensors })
}

/// The model's `config.json`, parsed, or one made of what a GGUF file says of itself; with its digest.
///
/// # Errors
/// [`Error::Model`] when it is not JSON or the GGUF file lacks something, [`Error::Io`] when it cannot be read.
pub(super) fn read_config(files: &ModelFiles) -> Result<(Value, Digest)> {
    let Some(path) = &files.config else {
        let value = gguf_config::config(&Gguf::open(files.weights.path())?)?;
        let digest = Digest::of(value.to_string().as_bytes());
        return Ok((value, digest));
    };
    let text = small_files::read_text(path, "the model configuration")?;
    let value = small_files::parse_json(path, &text, "the config.json of the model", "fetch config.json again")?;
    Ok((value, Digest::of(text.as_bytes())))
}
