//! Reads one safetensors file front to back, a tensor at a time, so that a large file is never held whole.

use std::path::Path;

use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use candle_core::{DType, Device, Tensor};

use super::collector::{Collector, DAMAGED, Wrong};
use super::index::Index;
use crate::error::{Error, Fault, Result};
use crate::files::{Digest, Stream};

/// The most that a header may take: the limit of the safetensors library.
const MAX_HEADER: u64 = 100_000_000;
const OTHER_TYPE: &str = "save the model unquantized: model.float().save_pretrained(…)";

/// Gives the tensors of `path` to `collector`; of a shard only those that `index` says are in it.
///
/// # Errors
/// [`Error::Model`] when the file is not a whole safetensors file or lacks a tensor that the index says it has.
pub(super) fn read(path: &Path, index: Option<&Index>, collector: &mut Collector<'_>) -> Result<Digest> {
    let mut stream = Stream::open(path, "the model weights")?;
    let header = header(path, &mut stream)?;
    if let Some(index) = index {
        index.check(path, |name| header.info(name).is_some())?;
    }
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let size = (info.data_offsets.1 - info.data_offsets.0) as u64;
        let here = index.is_none_or(|index| index.places(&name, path));
        let wanted = if here { collector.wants(path, &name, &info.shape) } else { None };
        match wanted {
            None => stream.skip(size)?,
            Some(name) => match values(info, &stream.take(size)?) {
                Ok(values) => collector.keep(path, name, values),
                Err(wrong) => collector.reject(path, name, wrong),
            },
        }
    }
    stream.finish()
}

/// The names, types, shapes and places of the tensors; checked against each other and the file's length.
fn header(path: &Path, stream: &mut Stream) -> Result<Metadata> {
    let damaged = |found: &dyn std::fmt::Display| {
        let fault = Fault::new(path.display(), format!("not a whole safetensors file: {found}"));
        Error::Model(vec![fault.help("fetch the model again")])
    };
    if stream.left() < 8 {
        return Err(damaged(&"it is shorter than its header"));
    }
    let length = stream.take(8)?.iter().rev().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
    if length > MAX_HEADER {
        return Err(damaged(&"its first bytes are not the length of a header"));
    }
    if length > stream.left() {
        return Err(damaged(&"it ends within its header"));
    }
    let header: Metadata = serde_json::from_slice(&stream.take(length)?).map_err(|error| damaged(&error))?;
    let (promised, left) = (header.data_len() as u64, stream.left());
    if promised == left {
        return Ok(header);
    }
    Err(damaged(&format!("its header promises {promised} bytes of tensors, {left} follow")))
}

/// The values of one tensor in f32.
fn values(info: &TensorInfo, bytes: &[u8]) -> Result<Vec<f32>, Wrong> {
    let dtype = match info.dtype {
        Dtype::F32 => {
            let value = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
            return Ok(bytes.as_chunks().0.iter().map(value).collect());
        }
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => return Err((format!("has type {other:?}; F32, F16 and BF16 are read"), OTHER_TYPE)),
    };
    Tensor::from_raw_buffer(bytes, dtype, &info.shape, &Device::Cpu)
        .and_then(|tensor| tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1())
        .map_err(|error| (error.to_string(), DAMAGED))
}
