//! Opens a GGUF file: its metadata, and where its tensors are, checked against the file's length.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. candle parses it; this file asks first what
//! candle would answer with a panic, and turns its errors into faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};

use super::collector::{DAMAGED, Wrong};
use crate::error::{Error, Fault, Result, quote};
use crate::files;

const PURPOSE: &str = "the model weights";
const KINDS: &str = "tensors of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K or Q6_K";
const OTHER_KIND: &str = "take another quantisation of the model, such as Q8_0 or Q4_K_M";

/// The families whose tensors and metadata are understood; Mistral's models call themselves llama.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backbone) enum Family {
    /// Llama, Mistral, SmolLM and others of this shape.
    Llama,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3.
    Qwen3,
    /// Gemma 3, text only.
    Gemma3,
}

/// A parsed file header.
pub(in crate::backbone) struct Gguf {
    /// Where the file stands.
    pub(in crate::backbone) path: PathBuf,
    /// What `general.architecture` says.
    pub(in crate::backbone) family: Family,
    architecture: String,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
    data: u64,
}

impl Gguf {
    /// Reads the header of a GGUF file.
    ///
    /// # Errors
    /// [`Error::Model`] when it is no GGUF file, is damaged or cut short, or of a family or tensor type that is not
    /// read; [`Error::Io`] when the file cannot be read.
    pub(in crate::backbone) fn open(path: &Path) -> Result<Self> {
        let file = files::open(path, PURPOSE)?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let mut reader = BufReader::new(file);
        begins_as_gguf(path, &mut reader)?;
        let damaged = |found: &dyn std::fmt::Display| {
            let fault = Fault::new(path.display(), format!("not a GGUF file that can be read: {found}"));
            Error::Model(vec![fault.accepts(format!("GGUF version 1 to 3, {KINDS}")).help("fetch the model again")])
        };
        // candle divides by the alignment that the file names, and an alignment may be zero.
        let content = match catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader))) {
            Ok(Ok(content)) => content,
            Ok(Err(error)) => return Err(damaged(&first_line(&error))),
            Err(_) => return Err(damaged(&"its header contradicts itself")),
        };
        let tensors: BTreeMap<String, TensorInfo> = content.tensor_infos.into_iter().collect();
        for (name, tensor) in &tensors {
            let end =
                size(tensor).and_then(|size| content.tensor_data_offset.checked_add(tensor.offset)?.checked_add(size));
            if end.is_none_or(|end| end > length) {
                let found = format!("the file is cut short: the tensor {} goes beyond its end", quote(name));
                return Err(Error::Model(vec![Fault::new(path.display(), found).help("fetch the model again")]));
            }
        }
        let metadata: BTreeMap<String, Value> = content.metadata.into_iter().collect();
        let architecture = match metadata.get("general.architecture") {
            Some(Value::String(name)) => name.clone(),
            _ => return Err(damaged(&"it does not say general.architecture")),
        };
        let family = match architecture.as_str() {
            "llama" | "mistral" => Family::Llama,
            "qwen2" => Family::Qwen2,
            "qwen3" => Family::Qwen3,
            "gemma3" => Family::Gemma3,
            other => return Err(Error::Model(vec![unknown(path, other)])),
        };
        Ok(Self { path: path.to_owned(), family, architecture, metadata, tensors, data: content.tensor_data_offset })
    }

    /// The tensors by name: shape and place.
    pub(super) fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The values of some tensors in f32, in the order of their places, each given to `take` by name.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened; a tensor that cannot be read is given to `take` as such.
    pub(super) fn read(&self, names: &[String], mut take: impl FnMut(&str, Result<Vec<f32>, Wrong>)) -> Result<()> {
        let mut reader = BufReader::new(files::open(&self.path, PURPOSE)?);
        let mut wanted: Vec<(&String, &TensorInfo)> =
            names.iter().filter_map(|name| self.tensors.get_key_value(name)).collect();
        wanted.sort_by_key(|(_, tensor)| tensor.offset);
        for (name, tensor) in wanted {
            let read = || tensor.read(&mut reader, self.data, &Device::Cpu)?.dequantize(&Device::Cpu);
            let values = match catch_unwind(AssertUnwindSafe(read)) {
                Ok(Ok(tensor)) => {
                    tensor.flatten_all().and_then(|flat| flat.to_vec1()).map_err(|error| (first_line(&error), DAMAGED))
                }
                Ok(Err(error)) => Err((first_line(&error), OTHER_KIND)),
                Err(_) => Err(("cannot be dequantised".to_owned(), DAMAGED)),
            };
            take(name, values);
        }
        Ok(())
    }

    /// The value of `key`; a leading `*.` stands for the architecture's own name.
    fn value(&self, key: &str) -> Option<&Value> {
        match key.strip_prefix("*.") {
            Some(rest) => self.metadata.get(&format!("{}.{rest}", self.architecture)),
            None => self.metadata.get(key),
        }
    }

    /// Whether `key` is there at all.
    pub(in crate::backbone) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// A text.
    pub(in crate::backbone) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(text)
    }

    /// Yes or no.
    pub(in crate::backbone) fn flag(&self, key: &str) -> Option<bool> {
        if let Some(Value::Bool(flag)) = self.value(key) { Some(*flag) } else { None }
    }

    /// A whole number that is not negative.
    pub(in crate::backbone) fn whole(&self, key: &str) -> Option<u64> {
        self.value(key).and_then(whole)
    }

    /// A finite number; one stored in single precision becomes the shortest decimal that means it, as config.json
    /// would have it.
    pub(in crate::backbone) fn number(&self, key: &str) -> Option<f64> {
        self.value(key).and_then(number).filter(|number| number.is_finite())
    }

    /// A list of texts.
    pub(in crate::backbone) fn texts(&self, key: &str) -> Option<Vec<&str>> {
        self.list(key)?.iter().map(text).collect()
    }

    /// A list of numbers.
    pub(in crate::backbone) fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        self.list(key)?.iter().map(number).collect()
    }

    /// A value of any kind as the file has it, for a message.
    pub(in crate::backbone) fn shown(&self, key: &str) -> String {
        match self.value(key) {
            None => "missing".to_owned(),
            Some(Value::String(text)) => format!("found {}", quote(text)),
            Some(Value::Array(values)) => format!("found a list of {}", values.len()),
            Some(value) => format!("found {value:?}"),
        }
    }

    /// A fault at `key`.
    pub(in crate::backbone) fn fault(&self, key: &str, found: impl std::fmt::Display) -> Fault {
        let key = key.replace('*', &self.architecture);
        Fault::new(format!("{}: {key}", self.path.display()), found)
    }

    fn list(&self, key: &str) -> Option<&Vec<Value>> {
        if let Some(Value::Array(values)) = self.value(key) { Some(values) } else { None }
    }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Bool(_) => None,
        Value::I8(number) => u64::try_from(*number).ok(),
        Value::I16(number) => u64::try_from(*number).ok(),
        Value::I32(number) => u64::try_from(*number).ok(),
        Value::I64(number) => u64::try_from(*number).ok(),
        other => other.to_u64().ok(),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::F32(number) => number.to_string().parse().ok(),
        Value::F64(number) => Some(*number),
        other => whole(other).map(|number| number as f64),
    }
}

/// Refuses what does not begin as a GGUF file does, before candle names it by numbers.
fn begins_as_gguf(path: &Path, reader: &mut impl BufRead) -> Result<()> {
    let start = reader.fill_buf().unwrap_or_default();
    let found = match (start.get(..4), start.get(4..8).and_then(|bytes| bytes.try_into().ok())) {
        (Some(b"GGUF"), Some(version)) => match u32::from_le_bytes(version) {
            1..=3 => return Ok(()),
            version => format!("a GGUF file of version {version}"),
        },
        _ => "this is not a GGUF file: it does not begin with GGUF".to_owned(),
    };
    let fault = Fault::new(path.display(), found).accepts("GGUF version 1 to 3, little-endian");
    Err(Error::Model(vec![fault.help("fetch the model again, or convert it anew with llama.cpp")]))
}

/// Bytes that a tensor takes, unless its dimensions are absurd.
fn size(tensor: &TensorInfo) -> Option<u64> {
    let elements = tensor.shape.dims().iter().try_fold(1u64, |product, &dim| product.checked_mul(dim as u64))?;
    let (block, bytes): (u64, u64) = (tensor.ggml_dtype.block_size() as u64, tensor.ggml_dtype.type_size() as u64);
    if elements.is_multiple_of(block) { (elements / block).checked_mul(bytes) } else { None }
}

/// candle's errors may go on with a backtrace.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn unknown(path: &Path, architecture: &str) -> Fault {
    let place = format!("{}: general.architecture", path.display());
    Fault::new(place, format!("found {}", quote(architecture)))
        .accepts("llama (also Mistral), qwen2, qwen3, gemma3")
        .help("choose another model, or its safetensors files")
}
