//! Reads the weights of an encoder and compares every tensor with what the configuration promises.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use safetensors::SafeTensors;

use super::encoder::EncoderConfig;
use crate::error::{Error, Fault, Result, quote};
use crate::files::{self, Digest};

/// At most this many wrong tensors are listed.
const MAX_FAULTS: usize = 20;
const SAME_MODEL: &str = "config.json and model.safetensors must be of the same BERT-family model";
const OTHER_TYPE: &str = "save the model unquantized: model.float().save_pretrained(…)";
const DAMAGED: &str = "the file is damaged: fetch the model again";

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
            Fault::new(path.display(), format!("not a whole safetensors file: {error}")).help("fetch the model again"),
        ])
    })?;
    let stored: BTreeMap<String, &str> =
        file.names().into_iter().map(|name| (name.strip_prefix("bert.").unwrap_or(name).to_owned(), name)).collect();
    let mut faults: Vec<(String, &str)> = Vec::new();
    let mut tensors = BTreeMap::new();
    for (name, shape) in config.expected_tensors() {
        match stored.get(&name).map(|stored| load_one(&file, stored, &shape)) {
            None => faults.push((format!("tensor {name} is missing"), SAME_MODEL)),
            Some(Err((found, help))) => faults.push((format!("tensor {name}: {found}"), help)),
            Some(Ok(tensor)) => {
                tensors.insert(name, tensor);
            }
        }
    }
    if faults.is_empty() {
        return Ok(Weights { digest, tensors });
    }
    let foreign = config.expected_tensors().iter().all(|(name, _)| !stored.contains_key(name));
    Err(Error::Model(if foreign { vec![no_tensor(path, &stored)] } else { listed(path, &faults) }))
}

/// The fault for a file that has no expected tensor at all.
fn no_tensor(path: &Path, stored: &BTreeMap<String, &str>) -> Fault {
    let names: Vec<String> = stored.values().take(3).map(|name| quote(name)).collect();
    let has =
        if names.is_empty() { "it has none at all".to_owned() } else { format!("it has {}, …", names.join(", ")) };
    Fault::new(path.display(), format!("no tensor of a BERT encoder is in it; {has}"))
        .accepts("names such as \"embeddings.word_embeddings.weight\", with or without \"bert.\" before them")
        .help(SAME_MODEL)
}

/// The first faults; what to do stands once below those that it is good for.
fn listed(path: &Path, faults: &[(String, &str)]) -> Vec<Fault> {
    let shown = &faults[..faults.len().min(MAX_FAULTS)];
    let fault = |(index, (found, help)): (usize, &(String, &str))| {
        let fault = Fault::new(path.display(), found);
        match shown.get(index + 1) {
            Some((_, next)) if next == help => fault,
            None if faults.len() > shown.len() => {
                fault.help(format!("{} more tensors are wrong; {help}", faults.len() - shown.len()))
            }
            _ => fault.help(help),
        }
    };
    shown.iter().enumerate().map(fault).collect()
}

fn load_one(file: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<Tensor, (String, &'static str)> {
    let damaged = |error: &dyn std::fmt::Display| (error.to_string(), DAMAGED);
    let view = file.tensor(name).map_err(|error| damaged(&error))?;
    if view.shape() != shape {
        return Err((format!("has shape {:?}, config.json says {shape:?}", view.shape()), SAME_MODEL));
    }
    let dtype = match view.dtype() {
        safetensors::Dtype::F32 => DType::F32,
        safetensors::Dtype::F16 => DType::F16,
        safetensors::Dtype::BF16 => DType::BF16,
        other => return Err((format!("has type {other:?}; F32, F16 and BF16 are read"), OTHER_TYPE)),
    };
    let tensor = Tensor::from_raw_buffer(view.data(), dtype, shape, &Device::Cpu)
        .and_then(|tensor| tensor.to_dtype(DType::F32))
        .map_err(|error| damaged(&error))?;
    let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(|error| damaged(&error))?;
    if values.iter().all(|value| value.is_finite()) { Ok(tensor) } else { Err(damaged(&"holds NaN or infinity")) }
}
