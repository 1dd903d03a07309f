//! Decoders read one text. It is tokenised whole, as transformers does it, and the response found by byte offsets.

use std::ops::Range;

use tokenizers::{Encoding, Tokenizer};

use super::Encoded;
use super::cut::{cut, push_prompt, push_response};
use crate::backbone::chat_template::SpecialTokens;
use crate::backbone::rendered::Rendered;

/// What is put around a whole text, and how its beginning is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Single {
    /// The id of BOS, if there is such a token.
    bos: Option<u32>,
    /// Whether a text that does not begin with BOS gets one.
    adds_bos: bool,
    /// Put behind the text.
    after: Vec<u32>,
}

impl Single {
    /// For texts of a chat template, which writes its own end of turn.
    pub(super) fn chat(tokenizer: &Tokenizer, special: &SpecialTokens) -> Self {
        let (leading, _) = around(tokenizer);
        let bos = special.bos.as_deref().and_then(|token| tokenizer.token_to_id(token)).or(leading.first().copied());
        let adds_bos = special.adds_bos || bos.is_some_and(|bos| leading.contains(&bos));
        Self { bos, adds_bos, after: Vec::new() }
    }

    /// For plain texts: ended by what the tokenizer ends texts with, else by EOS.
    pub(super) fn plain(tokenizer: &Tokenizer, special: &SpecialTokens) -> Self {
        let (_, trailing) = around(tokenizer);
        let eos = special.eos.as_deref().and_then(|token| tokenizer.token_to_id(token));
        let after = if trailing.is_empty() { eos.into_iter().collect() } else { trailing };
        Self { after, ..Self::chat(tokenizer, special) }
    }

    /// How many tokens stand around a text at most.
    pub(super) fn special_tokens(&self) -> usize {
        usize::from(self.bos.is_some()) + self.after.len()
    }

    /// Names the layout in digests.
    pub(super) fn name(&self, convention: &str) -> String {
        format!("{convention}; bos {:?} {} after {:?}", self.bos, self.adds_bos, self.after)
    }

    /// Ids of a text, at most `most` tokens, with exactly one BOS where there is one.
    pub(super) fn encode(&self, tokenizer: &Tokenizer, rendered: &Rendered, most: usize) -> Result<Encoded, String> {
        let encoding = tokenizer.encode(rendered.text(), false);
        let encoding = encoding.map_err(|error| format!("the tokenizer failed: {error}"))?;
        let ids = encoding.get_ids();
        let start = rendered.before.len();
        let place = tokens_of(tokenizer, &encoding, start..start + rendered.response.len());
        let leading = ids[..place.start].iter().take_while(|id| Some(**id) == self.bos).count();
        let bos = self.bos.filter(|_| leading > 0 || self.adds_bos);
        let (prompt, response) = (&ids[leading..place.start], &ids[place.clone()]);
        let after: Vec<u32> = ids[place.end..].iter().chain(&self.after).copied().collect();

        let fixed = usize::from(bos.is_some()) + after.len();
        let Some(budget) = most.checked_sub(fixed).filter(|budget| *budget > 0) else {
            return Err(format!("{fixed} tokens around the response leave no room for it within {most}"));
        };
        let cut = cut(prompt.len(), response.len(), budget);
        let mut kept: Vec<u32> = bos.into_iter().collect();
        push_prompt(&mut kept, prompt, cut);
        let first = kept.len();
        push_response(&mut kept, response, cut);
        let response = first..kept.len();
        kept.extend(after);
        Ok(Encoded { type_ids: vec![0; kept.len()], ids: kept, response, cut })
    }
}

/// The special tokens that the tokenizer's post-processor puts before and after a text.
fn around(tokenizer: &Tokenizer) -> (Vec<u32>, Vec<u32>) {
    let Ok(encoding) = tokenizer.encode("a", true) else { return (Vec::new(), Vec::new()) };
    let (ids, special) = (encoding.get_ids(), encoding.get_special_tokens_mask());
    let leading = special.iter().take_while(|mask| **mask == 1).count();
    let trailing = special[leading..].iter().rev().take_while(|mask| **mask == 1).count();
    (ids[..leading].to_vec(), ids[ids.len() - trailing..].to_vec())
}

/// The tokens that hold any byte of `span`. One that begins before it belongs to it too: `": "` and `"Yes"` may be the
/// tokens `":"` and `" Yes"`. A special token beside the span may have taken white space from it and stays outside.
fn tokens_of(tokenizer: &Tokenizer, encoding: &Encoding, span: Range<usize>) -> Range<usize> {
    let offsets = encoding.get_offsets();
    // Byte-level tokenizers leave the white space out of a token's offsets; one of white space alone is then empty
    // and stands at the end of its bytes.
    let holds = |&index: &usize| match offsets[index] {
        (start, end) if start == end => span.start < start && start <= span.end,
        (start, end) => start < span.end && span.start < end,
    };
    let special = |&index: &usize| {
        tokenizer
            .id_to_token(encoding.get_ids()[index])
            .is_some_and(|token| tokenizer.get_added_vocabulary().is_special_token(&token))
    };
    let Some(mut first) = (0..offsets.len()).find(holds) else {
        let next = offsets.iter().position(|(start, _)| *start >= span.end).unwrap_or(offsets.len());
        return next..next;
    };
    let mut end = (0..offsets.len()).rfind(holds).map_or(first, |last| last + 1);
    while first < end && special(&first) {
        first += 1;
    }
    while first < end && special(&(end - 1)) {
        end -= 1;
    }
    first..end
}
