//! Reads the weights of an encoder and compares every tensor with what the configuration promises.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use safetensors::SafeTensors;

use super::encoder::EncoderConfig;
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// Weights in f32 with the digest of the file they came from.
pub(super) struct Weights {
    pub(super) digest: Digest,
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// The tensors under candle's own loader interface.
    pub(super) fn builder(self) -> VarBuilder<'static> {
        VarBuilder::from_tensors(self.tensors.into_iter().collect(), DType::F32, &Device::Cpu)
    }
}

/// Reads `path`, drops a leading `bert.` from names, and checks names, shapes, types and finiteness.
///
/// # Errors
/// [`Error::Model`] listing every tensor that is missing, misshapen or not finite (the first 20).
pub(super) fn read(path: &Path, config: &EncoderConfig) -> Result<Weights> {
    let bytes = files::read(path, "the model weights")?;
    let digest = Digest::of(&bytes);
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        Error::Model(vec![
            Fault::new(path.display(), format!("not a safetensors file: {error}")).help("fetch the model again"),
        ])
    })?;
    let stored: BTreeMap<String, &str> = file
        .names()
        .into_iter()
        .map(|name| (name.strip_prefix("bert.").unwrap_or(name).to_owned(), name))
        .collect();
    let mut faults = Vec::new();
    let mut tensors = BTreeMap::new();
    for (name, shape) in config.expected_tensors() {
        match stored.get(&name).map(|stored| load_one(&file, stored, &shape)) {
            None => faults.push(format!("tensor {name} is missing")),
            Some(Err(found)) => faults.push(format!("tensor {name}: {found}")),
            Some(Ok(tensor)) => {
                tensors.insert(name, tensor);
            }
        }
    }
    if faults.is_empty() {
        return Ok(Weights { digest, tensors });
    }
    let more = faults.len().saturating_sub(20);
    let mut listed: Vec<Fault> = faults.into_iter().take(20).map(|found| Fault::new(path.display(), found)).collect();
    if let Some(last) = listed.last_mut() {
        let rest = if more > 0 { format!("{more} more tensors are wrong; ") } else { String::new() };
        last.help = Some(format!("{rest}config.json and model.safetensors must be of the same BERT-family model"));
    }
    Err(Error::Model(listed))
}

fn load_one(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Tensor, String> {
    let view = file.tensor(name).map_err(|error| error.to_string())?;
    if view.shape() != shape {
        return Err(format!("has shape {:?}, config.json says {shape:?}", view.shape()));
    }
    let dtype = match view.dtype() {
        safetensors::Dtype::F32 => DType::F32,
        safetensors::Dtype::F16 => DType::F16,
        safetensors::Dtype::BF16 => DType::BF16,
        other => return Err(format!("has type {other:?}; F32, F16 and BF16 are read")),
    };
    let tensor = Tensor::from_raw_buffer(view.data(), dtype, shape, &Device::Cpu)
        .and_then(|tensor| tensor.to_dtype(DType::F32))
        .map_err(|error| error.to_string())?;
    let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(|error| error.to_string())?;
    if values.iter().all(|value| value.is_finite()) { Ok(tensor) } else { Err("holds NaN or infinity".to_owned()) }
}
