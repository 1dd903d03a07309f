//! Where the frozen transformer computes, and how precisely.

use std::fmt::{self, Display};
use std::str::FromStr;

/// What a device's name looks like.
pub(super) const DEVICE_PATTERN: &str = "^(cpu|cuda(:[0-9]{1,2})?|metal)$";
/// The same for people.
pub(super) const DEVICES: &str = "cpu, cuda (the first card), cuda:1 (the second), …, metal";

/// The precision of the products of the forward pass. Sums and everything else are f32 or wider.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// Single precision: the features that the other two approximate.
    #[default]
    F32,
    /// Factors rounded to bfloat16, sums in f32.
    Bf16,
    /// Factors rounded to 8-bit integers, sums in i32.
    Int8,
}

impl Dtype {
    /// Its name in configs and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Whether it is the default, which manifests and fingerprints leave out.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

/// The device that holds the transformer's weights and runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card by its number; needs a build with the feature `cuda`.
    Cuda(usize),
    /// The graphics processor of an Apple computer; needs a build with the feature `metal`.
    Metal,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let card = |number: &str| number.parse().ok().filter(|_| number.len() <= 2 && !number.starts_with('+'));
        let device = match name {
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            "metal" => Some(Self::Metal),
            other => other.strip_prefix("cuda:").and_then(card).map(Self::Cuda),
        };
        device.ok_or_else(|| format!("accepted: {DEVICES}"))
    }
}

impl Display for Device {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => out.write_str("cpu"),
            Self::Cuda(0) => out.write_str("cuda"),
            Self::Cuda(card) => write!(out, "cuda:{card}"),
            Self::Metal => out.write_str("metal"),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn devices_are_what_the_pattern_of_the_schema_says() {
        let pattern = Regex::new(DEVICE_PATTERN).expect("a pattern");
        for name in ["cpu", "cuda", "cuda:1", "cuda:07", "metal", "", "gpu", "CPU", "cuda:", "cuda:+1", "cuda:123"] {
            assert_eq!(name.parse::<Device>().is_ok(), pattern.is_match(name), "{name:?}");
        }
        for (name, shown) in [("cpu", "cpu"), ("cuda:0", "cuda"), ("cuda:12", "cuda:12"), ("metal", "metal")] {
            assert_eq!(name.parse::<Device>().expect("a device").to_string(), shown);
        }
    }

    #[test]
    fn every_precision_has_its_yaml_word() {
        for dtype in [Dtype::F32, Dtype::Bf16, Dtype::Int8] {
            assert_eq!(serde_json::to_value(dtype).expect("a word"), dtype.word());
        }
    }
}
