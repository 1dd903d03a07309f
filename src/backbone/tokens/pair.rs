//! Encoders read a pair of texts: `[CLS] prompt [SEP] response [SEP]`, `<s> prompt </s></s> response </s>`.
//!
//! Which special tokens stand where, and which segment a token belongs to, the tokenizer itself says: a short pair is
//! encoded and its mask of special tokens read. Each text is tokenised alone, so it can be cut alone.

use tokenizers::{Encoding, Tokenizer};

use super::cut::{cut, push_prompt, push_response};
use super::{Encoded, source};
use crate::backbone::rendered::Rendered;
use crate::error::{Error, Fault, Result};

/// Special tokens with their segments.
type Piece = Vec<(u32, u32)>;

/// What stands around and between the two texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    before: Piece,
    between: Piece,
    after: Piece,
    /// Segments of the two texts.
    segments: [u32; 2],
}

impl Pair {
    /// Reads the pair's layout from the tokenizer.
    ///
    /// # Errors
    /// [`Error::Model`] when neither its post-processor nor the names of its tokens say how a pair is written.
    pub(super) fn of(tokenizer: &Tokenizer, place: &str) -> Result<Self> {
        // Both words exist in any vocabulary at least as letters or as the unknown piece.
        let probe = tokenizer.encode(("a", "b"), true).ok();
        if let Some(pair) = probe.and_then(|encoding| Self::read(&encoding)) {
            return Ok(pair);
        }
        let known = |names: [&str; 2]| Some((tokenizer.token_to_id(names[0])?, tokenizer.token_to_id(names[1])?));
        if let Some((cls, sep)) = known(["[CLS]", "[SEP]"]) {
            let (before, between, after) = (vec![(cls, 0)], vec![(sep, 0)], vec![(sep, 1)]);
            return Ok(Self { before, between, after, segments: [0, 1] });
        }
        if let Some((start, end)) = known(["<s>", "</s>"]) {
            let (before, between, after) = (vec![(start, 0)], vec![(end, 0), (end, 0)], vec![(end, 0)]);
            return Ok(Self { before, between, after, segments: [0, 0] });
        }
        let found = "the tokenizer does not say how a pair of texts is written, and has neither [CLS] and [SEP] nor \
                     <s> and </s>";
        Err(Error::Model(vec![Fault::new(place, found).help(source::FOREIGN)]))
    }

    /// The layout of an encoded pair, if its texts are apart.
    fn read(encoding: &Encoding) -> Option<Self> {
        let special: Vec<bool> = encoding.get_special_tokens_mask().iter().map(|mask| *mask == 1).collect();
        let (ids, types) = (encoding.get_ids(), encoding.get_type_ids());
        let of = |text: usize| {
            let here = |index: &usize| !special[*index] && encoding.token_to_sequence(*index) == Some(text);
            let (first, last) = ((0..ids.len()).find(here)?, (0..ids.len()).rfind(here)?);
            Some(first..last + 1)
        };
        let (first, second) = (of(0)?, of(1)?);
        if first.end >= second.start || !(first.end..second.start).all(|index| special[index]) {
            return None;
        }
        let piece = |range: std::ops::Range<usize>| range.map(|index| (ids[index], types[index])).collect();
        Some(Self {
            before: piece(0..first.start),
            between: piece(first.end..second.start),
            after: piece(second.end..ids.len()),
            segments: [types[first.start], types[second.start]],
        })
    }

    /// How many special tokens a pair has.
    pub(super) fn special_tokens(&self) -> usize {
        self.before.len() + self.between.len() + self.after.len()
    }

    /// Names the layout in digests.
    pub(super) fn name(&self) -> String {
        format!("pair: {:?} {:?} {:?} {:?}", self.before, self.between, self.after, self.segments)
    }

    /// Ids and segments of a prompt and a response, at most `most` tokens.
    pub(super) fn encode(&self, tokenizer: &Tokenizer, rendered: &Rendered, most: usize) -> Result<Encoded, String> {
        let plain = |text: &str| match tokenizer.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(format!("the tokenizer failed: {error}")),
        };
        let (prompt, response) = (plain(&rendered.before)?, plain(&rendered.response)?);
        let cut = cut(prompt.len(), response.len(), most.saturating_sub(self.special_tokens()));
        let (mut ids, mut type_ids) = (Vec::new(), Vec::new());
        push_piece(&mut ids, &mut type_ids, &self.before);
        push_prompt(&mut ids, &prompt, cut);
        type_ids.resize(ids.len(), self.segments[0]);
        push_piece(&mut ids, &mut type_ids, &self.between);
        let start = ids.len();
        push_response(&mut ids, &response, cut);
        type_ids.resize(ids.len(), self.segments[1]);
        let response = start..ids.len();
        push_piece(&mut ids, &mut type_ids, &self.after);
        Ok(Encoded { ids, type_ids, response, cut })
    }
}

fn push_piece(ids: &mut Vec<u32>, type_ids: &mut Vec<u32>, piece: &Piece) {
    ids.extend(piece.iter().map(|(id, _)| id));
    type_ids.extend(piece.iter().map(|(_, segment)| segment));
}
