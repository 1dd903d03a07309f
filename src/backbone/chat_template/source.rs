//! Where a template and its special tokens stand in `tokenizer_config.json`.

use serde_json::Value;

use super::ChatTemplate;

/// The special tokens a template may write, and whether the tokenizer itself begins a text with BOS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Beginning of a text.
    pub bos: Option<String>,
    /// End of a text.
    pub eos: Option<String>,
    /// Padding.
    pub pad: Option<String>,
    /// A piece the vocabulary lacks.
    pub unk: Option<String>,
    /// Whether the tokenizer puts BOS in front of a plain text, where its own post-processor does not say so.
    pub adds_bos: bool,
}

impl SpecialTokens {
    /// Reads `bos_token` and its siblings, each a text or an object with `content`, and `add_bos_token`.
    pub fn from_tokenizer_config(config: &Value) -> Self {
        let token = |name: &str| {
            let value = config.get(name)?;
            value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
        };
        let adds_bos = config.get("add_bos_token").and_then(Value::as_bool).unwrap_or(false);
        Self {
            bos: token("bos_token"),
            eos: token("eos_token"),
            pad: token("pad_token"),
            unk: token("unk_token"),
            adds_bos,
        }
    }
}

impl SpecialTokens {
    /// These tokens, and `other`'s where one is missing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            bos: self.bos.or(other.bos),
            eos: self.eos.or(other.eos),
            pad: self.pad.or(other.pad),
            unk: self.unk.or(other.unk),
            adds_bos: self.adds_bos || other.adds_bos,
        }
    }
}

impl ChatTemplate {
    /// The text of `chat_template` in a `tokenizer_config.json`: a text, or of a list of named ones the `default`.
    pub fn text_in(config: &Value) -> Option<&str> {
        match config.get("chat_template")? {
            Value::Array(named) => {
                let default = named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"));
                default?.get("template")?.as_str()
            }
            text => text.as_str(),
        }
    }
}
