//! Text to token ids, for encoders that read a pair of texts and for decoders that read one.
//!
//! A text that is too long loses the **prompt's oldest** tokens first; the response stays whole until it alone is
//! over the limit, and then loses its middle. Cutting on the right instead would drop what the labelers judged.

mod control;
mod cut;
mod pair;
mod single;
mod source;

use std::ops::Range;

use tokenizers::Tokenizer;

pub use source::TokenizerSource;

use super::chat_template::{ChatTemplate, SpecialTokens};
use super::rendered::Rendered;
use crate::conversation::{Message, render_prompt};
use crate::error::{Error, Fault, Result};
use crate::files::Digest;
use control::ControlTokens;
use pair::Pair;
use single::Single;

/// How many tokens were cut from an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Oldest tokens taken from the prompt.
    pub prompt: usize,
    /// Tokens taken from the response's middle.
    pub response: usize,
}

/// One text as the backbone reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// Segment of each token, as the tokenizer numbers them for a pair; 0 throughout for a decoder.
    pub type_ids: Vec<u32>,
    /// Where the response's own tokens stand in `ids`.
    pub response: Range<usize>,
    /// What did not fit.
    pub cut: Cut,
}

/// How messages become one input.
#[derive(Debug)]
pub enum Convention {
    /// Two texts with the tokenizer's own special tokens around them: encoders.
    Pair,
    /// The chat template's text, in which the template's control tokens are tokens: decoders tuned for chat.
    Chat(Box<ChatTemplate>),
    /// BOS where the tokenizer begins texts with one, the prompt, a blank line and `Assistant: `, the response, EOS:
    /// decoders without a template.
    Plain(SpecialTokens),
}

/// What the model takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most tokens of one input.
    pub max_tokens: usize,
    /// Rows of the embedding: ids from 0 to one less.
    pub vocabulary: usize,
}

/// A tokenizer with a convention: from messages to ids.
pub struct Tokens {
    place: String,
    tokenizer: Tokenizer,
    limits: Limits,
    layout: Layout,
    digest: Digest,
}

/// A convention with what the tokenizer says about it.
enum Layout {
    Pair(Pair),
    Chat { template: Box<ChatTemplate>, control: ControlTokens, single: Single },
    Plain(Single),
}

impl Tokens {
    /// Fits a convention to a tokenizer. Truncation and padding set in its file are switched off, because cutting is
    /// done here.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer knows ids the model has no row for, has no special tokens for a pair, the
    /// limit leaves no room for text, or the chat template does not show where a response stands.
    pub fn open(source: TokenizerSource, convention: Convention, limits: Limits) -> Result<Self> {
        let TokenizerSource { mut tokenizer, place, digest } = source;
        source::switch_off_cutting(&mut tokenizer, &place)?;
        check_vocabulary(&tokenizer, &place, limits.vocabulary)?;
        // Where a text spells a special token it is text. Only a chat template's own text may hold control tokens.
        tokenizer.set_encode_special_tokens(!matches!(convention, Convention::Chat(_)));
        let (layout, name) = match convention {
            Convention::Pair => {
                let pair = Pair::of(&tokenizer, &place)?;
                let name = pair.name();
                (Layout::Pair(pair), name)
            }
            Convention::Plain(special) => {
                let single = Single::plain(&tokenizer, &special);
                let name = single.name("plain: prompt, blank line, Assistant:, response");
                (Layout::Plain(single), name)
            }
            Convention::Chat(template) => {
                let frame = Rendered::check(&template)?;
                let control = ControlTokens::of(&tokenizer, template.tokens(), &[&frame.before, &frame.after]);
                let single = Single::chat(&tokenizer, template.tokens());
                let name = single.name(&format!("chat: {}", template.digest()));
                (Layout::Chat { template, control, single }, name)
            }
        };
        let digest = Digest::of_parts([digest.0.as_slice(), name.as_bytes(), cut::RULE.as_bytes()]);
        let tokens = Self { place, tokenizer, limits, layout, digest };
        tokens.check_room()?;
        Ok(tokens)
    }

    /// Digest of everything that decides the ids but the limit: tokenizer, template, convention.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The text the backbone reads of a prompt and a response.
    ///
    /// With a chat template, a message that spells a control token gets a zero-width space into it, so that the
    /// tokenizer reads it as text; all other text is as the template writes it.
    ///
    /// # Errors
    /// What the chat template reports; without one, none.
    pub fn render(&self, prompt: &[Message], response: &str) -> Result<Rendered> {
        match &self.layout {
            Layout::Pair(_) => {
                Ok(Rendered { before: render_prompt(prompt), response: response.to_owned(), after: String::new() })
            }
            Layout::Plain(_) => {
                let before = format!("{}\n\nAssistant: ", render_prompt(prompt));
                Ok(Rendered { before, response: response.to_owned(), after: String::new() })
            }
            Layout::Chat { template, control, .. } => {
                let prompt = prompt.iter().map(|message| {
                    Ok(Message { role: message.role, content: control.neutral(&self.tokenizer, &message.content)? })
                });
                let prompt = prompt.collect::<Result<Vec<_>>>()?;
                Rendered::by_template(template, &prompt, &control.neutral(&self.tokenizer, response)?)
            }
        }
    }

    /// Token ids of a rendered text, within the limit.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer fails on the text, gives an id the model has no row for, or what stands
    /// after the response leaves no room for it.
    pub fn encode(&self, rendered: &Rendered) -> Result<Encoded> {
        let most = self.limits.max_tokens;
        let encoded = match &self.layout {
            Layout::Pair(pair) => pair.encode(&self.tokenizer, rendered, most),
            Layout::Chat { single, .. } | Layout::Plain(single) => single.encode(&self.tokenizer, rendered, most),
        };
        let encoded = encoded.map_err(|found| {
            let place = format!("text {}", crate::error::quote(&rendered.response));
            Error::Model(vec![Fault::new(place, found)])
        })?;
        match encoded.ids.iter().find(|id| **id as usize >= self.limits.vocabulary) {
            None => Ok(encoded),
            Some(id) => Err(no_row(&self.place, *id, self.limits.vocabulary)),
        }
    }

    /// Refuses a limit that leaves no room for one token of a prompt and one of a response.
    fn check_room(&self) -> Result<()> {
        let taken = match &self.layout {
            Layout::Pair(pair) => pair.special_tokens(),
            Layout::Chat { single, .. } | Layout::Plain(single) => single.special_tokens(),
        };
        if taken + 2 <= self.limits.max_tokens {
            return Ok(());
        }
        let found = format!("{} tokens leave no room beside {taken} special tokens", self.limits.max_tokens);
        Err(Error::Model(vec![Fault::new("max_tokens", found).accepts(format!("{} or more", taken + 2))]))
    }
}

fn no_row(place: &str, id: u32, vocabulary: usize) -> Error {
    let found = format!("token id {id} has no embedding: config.json says vocab_size {vocabulary}");
    Error::Model(vec![Fault::new(place, found).help(source::FOREIGN)])
}

/// Ids of the model's own pieces must have rows; an added token may lack one as long as no text uses it.
fn check_vocabulary(tokenizer: &Tokenizer, place: &str, vocabulary: usize) -> Result<()> {
    let highest = tokenizer.get_vocab(false).into_values().max().unwrap_or(0);
    if (highest as usize) < vocabulary { Ok(()) } else { Err(no_row(place, highest, vocabulary)) }
}

#[cfg(test)]
mod tests;
