//! Text to token ids: `[CLS] prompt [SEP] response [SEP]`, two segments, cut to the limit.
//!
//! A text that is too long loses the **prompt's oldest** tokens first; the response stays whole until it alone is
//! over the limit, and then loses its middle. Cutting on the right instead would drop what the labelers judged.

use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// Names the input convention in the fingerprint; change it when the convention changes.
pub(super) const CONVENTION: &str = "cls-prompt-sep-response-sep/prompt-left/response-middle";

/// What to do about a tokenizer file that cannot be read …
const DAMAGED: &str = "fetch tokenizer.json again, or make it: AutoTokenizer.from_pretrained(…).save_pretrained(…)";
/// … and about one that belongs to something else.
const FOREIGN: &str = "tokenizer.json and config.json must be of the same BERT-family model: fetch both again";
/// `[CLS]`, `[SEP]`, `[SEP]`.
const SPECIAL_TOKENS: usize = 3;

/// How many tokens were cut from an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Oldest tokens taken from the prompt.
    pub prompt: usize,
    /// Tokens taken from the response's middle.
    pub response: usize,
}

/// One text as the encoder reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// Segment of each token: 0 up to the first `[SEP]`, 1 after it.
    pub type_ids: Vec<u32>,
    /// Where the response's own tokens stand in `ids`.
    pub response: Range<usize>,
    /// What did not fit.
    pub cut: Cut,
}

/// A tokenizer with the ids this module needs.
pub(super) struct Tokens {
    pub(super) digest: Digest,
    tokenizer: Tokenizer,
    cls: u32,
    sep: u32,
    limit: usize,
}

impl Tokens {
    /// Reads `tokenizer.json`; truncation and padding set in the file are switched off, because cutting is done here.
    ///
    /// # Errors
    /// [`Error::Model`] when the file is no tokenizer, lacks `[CLS]` or `[SEP]`, or knows ids the model has no row for.
    pub(super) fn open(path: &Path, max_tokens: usize, vocabulary: usize) -> Result<Self> {
        let bytes = files::read(path, "the tokenizer")?;
        let fault = |found: String, help: &str| Error::Model(vec![Fault::new(path.display(), found).help(help)]);
        let bad = |found: String| fault(found, DAMAGED);
        // The crate reports most damage as an error, but has panicked on crafted files before (tokenizers issue 2094).
        let parsed = std::panic::catch_unwind(|| Tokenizer::from_bytes(&bytes));
        let mut tokenizer = match parsed {
            Ok(Ok(tokenizer)) => tokenizer,
            Ok(Err(error)) => return Err(bad(format!("not a tokenizer.json this build reads: {error}"))),
            Err(_) => return Err(bad("the tokenizer library gave up on this file".to_owned())),
        };
        tokenizer.with_padding(None);
        // A text that spells "[SEP]" is text, never a control token.
        tokenizer.set_encode_special_tokens(true);
        tokenizer.with_truncation(None).map_err(|error| bad(format!("truncation cannot be switched off: {error}")))?;
        let id = |token: &str| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| fault(format!("the special token {token} is not in the vocabulary"), FOREIGN))
        };
        let (cls, sep) = (id("[CLS]")?, id("[SEP]")?);
        let highest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if highest >= vocabulary {
            let found = format!("token id {highest} has no embedding: config.json says vocab_size {vocabulary}");
            return Err(fault(found, FOREIGN));
        }
        Ok(Self { digest: content_digest(&bytes), tokenizer, cls, sep, limit: max_tokens })
    }

    /// Token ids of a prompt and a response, within the limit.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer fails on the text.
    pub(super) fn encode(&self, prompt: &str, response: &str) -> Result<Encoded> {
        let (prompt, response) = (self.plain(prompt)?, self.plain(response)?);
        let budget = self.limit - SPECIAL_TOKENS;
        let kept_response = response.len().min(budget);
        let kept_prompt = prompt.len().min(budget - kept_response);
        let cut = Cut { prompt: prompt.len() - kept_prompt, response: response.len() - kept_response };

        let mut ids = vec![self.cls];
        ids.extend(&prompt[cut.prompt..]);
        ids.push(self.sep);
        let start = ids.len();
        let head = if cut.response == 0 { response.len() } else { kept_response.div_ceil(2) };
        ids.extend(&response[..head]);
        ids.extend(&response[head + cut.response..]);
        let end = ids.len();
        ids.push(self.sep);

        let type_ids = (0..ids.len()).map(|index| u32::from(index >= start)).collect();
        Ok(Encoded { ids, type_ids, response: start..end, cut })
    }

    fn plain(&self, text: &str) -> Result<Vec<u32>> {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => {
                let place = format!("text {}", crate::error::quote(text));
                Err(Error::Model(vec![Fault::new(place, format!("the tokenizer failed: {error}"))]))
            }
        }
    }
}

/// Digest of the tokenizer without its truncation and padding settings, which are not used.
fn content_digest(bytes: &[u8]) -> Digest {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(mut fields)) => {
            fields.remove("truncation");
            fields.remove("padding");
            Digest::of(Value::Object(fields).to_string().as_bytes())
        }
        _ => Digest::of(bytes),
    }
}
