//! How precisely the frozen transformer computes.

/// The precision of the products of the forward pass. Weights are read in f32 whatever it is.
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
    /// Factors rounded to 8-bit integers with a scale per row, sums in i32.
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
}
