//! A tokenizer and its digest, from `tokenizer.json` or ready-made.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// What to do about a tokenizer file that cannot be read …
const DAMAGED: &str = "fetch tokenizer.json again, or make it: AutoTokenizer.from_pretrained(…).save_pretrained(…)";
/// … and about one that belongs to something else.
pub(super) const FOREIGN: &str = "tokenizer.json and config.json must be of the same model: fetch both again";

/// A tokenizer that was read but not yet fitted to a model.
pub struct TokenizerSource {
    pub(super) tokenizer: Tokenizer,
    pub(super) place: String,
    pub(super) digest: Digest,
}

impl TokenizerSource {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is unreadable, [`Error::Model`] when it is no tokenizer.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_bytes(&files::read(path, "the tokenizer")?, &path.display().to_string())
    }

    /// Reads the content of a `tokenizer.json`; `place` names it in faults.
    ///
    /// # Errors
    /// [`Error::Model`] when it is no tokenizer.
    pub fn from_bytes(bytes: &[u8], place: &str) -> Result<Self> {
        // The crate reports most damage as an error, but has panicked on crafted files before (tokenizers issue 2094).
        let tokenizer = match std::panic::catch_unwind(|| Tokenizer::from_bytes(bytes)) {
            Ok(Ok(tokenizer)) => tokenizer,
            Ok(Err(error)) => return Err(damaged(place, format!("not a tokenizer.json this build reads: {error}"))),
            Err(_) => return Err(damaged(place, "the tokenizer library gave up on this file".to_owned())),
        };
        let digest = serde_json::from_slice(bytes).map_or_else(|_| Digest::of(bytes), content_digest);
        Ok(Self { tokenizer, place: place.to_owned(), digest })
    }

    /// The id of a token, if it has it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// The content of its `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Model`] when it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        self.tokenizer.to_string(false).map_err(|error| damaged(&self.place, error.to_string()))
    }

    /// A tokenizer built elsewhere, for example from a GGUF file.
    ///
    /// # Errors
    /// [`Error::Model`] when it cannot be written as JSON, from which its digest is made.
    pub fn ready(tokenizer: Tokenizer, place: &str) -> Result<Self> {
        let content = serde_json::to_value(&tokenizer);
        let content = content.map_err(|error| damaged(place, format!("a tokenizer without a digest: {error}")))?;
        Ok(Self { tokenizer, place: place.to_owned(), digest: content_digest(content) })
    }
}

fn damaged(place: &str, found: String) -> Error {
    Error::Model(vec![Fault::new(place, found).help(DAMAGED)])
}

/// Switches truncation and padding off.
pub(super) fn switch_off_cutting(tokenizer: &mut Tokenizer, place: &str) -> Result<()> {
    tokenizer.with_padding(None);
    let off = tokenizer.with_truncation(None).map(|_| ());
    off.map_err(|error| damaged(place, format!("truncation cannot be switched off: {error}")))
}

/// Digest of the tokenizer without its truncation and padding settings, which are not used.
fn content_digest(mut content: Value) -> Digest {
    if let Value::Object(fields) = &mut content {
        fields.remove("truncation");
        fields.remove("padding");
    }
    Digest::of(content.to_string().as_bytes())
}
