//! Text inside a message that spells a control token stays text.
//!
//! A template's text is tokenised with control tokens on, so `<|im_end|>` in a message would end the turn: a user or a
//! response could then speak in another role. Before rendering, a zero-width space (U+200B) is put after the first
//! character of every such spelling. A reader sees no difference, the tokenizer finds no match, and messages without
//! one are not touched, so their ids are exactly those of transformers.
//!
//! Control tokens are the special tokens, and those the template frames a turn with though the file does not call
//! them special (DeepSeek's `<｜User｜>`). `<think>` and `</think>` are content: templates read them in responses.

use std::collections::BTreeSet;

use regex::{Captures, NoExpand, Regex};
use tokenizers::Tokenizer;

use crate::backbone::chat_template::SpecialTokens;
use crate::error::{Error, Fault, Result, quote};

/// Put into a spelling after its first character.
const ZERO_WIDTH_SPACE: char = '\u{200b}';
/// Marks of content, not of turns.
const CONTENT: [&str; 2] = ["<think>", "</think>"];
/// A spelling may hide another; after this many rounds a text is refused.
const ROUNDS: usize = 8;

/// The control tokens of a tokenizer and how to find them in a text.
pub(super) struct ControlTokens {
    ids: BTreeSet<u32>,
    pattern: Option<Regex>,
    /// Whether some are looked for in normalised text, where another spelling may become theirs.
    normalized: bool,
}

impl ControlTokens {
    /// The control tokens of `tokenizer`; `frame` is what the template writes around a conversation.
    pub(super) fn of(tokenizer: &Tokenizer, special: &SpecialTokens, frame: &[&str]) -> Self {
        let named = [&special.bos, &special.eos, &special.pad, &special.unk].map(Option::as_deref);
        let (mut ids, mut spellings, mut normalized) = (BTreeSet::new(), BTreeSet::new(), false);
        let added: std::collections::BTreeMap<_, _> = tokenizer.get_added_tokens_decoder().into_iter().collect();
        for (id, token) in added {
            let framing = is_mark(&token.content) && frame.iter().any(|text| text.contains(&token.content));
            let control = token.special || framing || named.contains(&Some(token.content.as_str()));
            if control && !token.content.trim().is_empty() && !CONTENT.contains(&token.content.as_str()) {
                ids.insert(id);
                normalized |= token.normalized;
                spellings.insert(std::cmp::Reverse((token.content.len(), token.content)));
            }
        }
        let alternatives: Vec<String> = spellings.iter().map(|spelling| regex::escape(&spelling.0.1)).collect();
        let pattern = if alternatives.is_empty() { None } else { Regex::new(&alternatives.join("|")).ok() };
        Self { ids, pattern, normalized: normalized && tokenizer.get_normalizer().is_some() }
    }

    /// `content` with every spelling of a control token broken.
    ///
    /// # Errors
    /// [`Error::Data`] when a spelling cannot be broken.
    pub(super) fn neutral(&self, tokenizer: &Tokenizer, content: &str) -> Result<String> {
        let Some(pattern) = &self.pattern else { return Ok(content.to_owned()) };
        let mut content = content.to_owned();
        for _ in 0..ROUNDS {
            if pattern.is_match(&content) {
                content = pattern.replace_all(&content, |found: &Captures<'_>| broken(&found[0])).into_owned();
                continue;
            }
            match self.left(tokenizer, &content)? {
                None => return Ok(content),
                // A normalizer may drop the zero-width space or make another spelling into this one.
                Some(found) => content = pattern_free(&content, &found),
            }
        }
        let found = format!("{} cannot be told from the model's control tokens", quote(&content));
        Err(Error::Data(vec![Fault::new("message", found).help("remove the control token from the text")]))
    }

    /// A spelling that the tokenizer still reads as a control token.
    fn left(&self, tokenizer: &Tokenizer, content: &str) -> Result<Option<String>> {
        if !self.normalized {
            return Ok(None);
        }
        let failed = |error| Error::Model(vec![Fault::new("message", format!("the tokenizer failed: {error}"))]);
        let encoding = tokenizer.encode(content, false).map_err(failed)?;
        let found = encoding.get_ids().iter().position(|id| self.ids.contains(id));
        let span = found.and_then(|index| encoding.get_offsets().get(index).copied());
        Ok(span.and_then(|(start, end)| content.get(start..end)).map(str::to_owned))
    }
}

/// Whether a token looks like a mark, not like a word or white space.
fn is_mark(token: &str) -> bool {
    let edge = |character: Option<char>| character.is_some_and(|c| !c.is_alphanumeric() && !c.is_whitespace());
    token.chars().count() > 2 && edge(token.chars().next()) && edge(token.chars().next_back())
}

fn broken(spelling: &str) -> String {
    let mut characters = spelling.chars();
    let first: String = characters.next().into_iter().collect();
    let rest = characters.as_str();
    if rest.is_empty() { char::REPLACEMENT_CHARACTER.to_string() } else { format!("{first}{ZERO_WIDTH_SPACE}{rest}") }
}

/// `content` with the characters of every `found` apart.
fn pattern_free(content: &str, found: &str) -> String {
    let apart: Vec<String> = found.chars().filter(|c| *c != ZERO_WIDTH_SPACE).map(String::from).collect();
    let apart = if apart.len() < 2 { char::REPLACEMENT_CHARACTER.to_string() } else { apart.join(" ") };
    let Ok(pattern) = Regex::new(&regex::escape(found)) else { return content.to_owned() };
    pattern.replace_all(content, NoExpand(&apart)).into_owned()
}
