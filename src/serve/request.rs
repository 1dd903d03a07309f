//! What a request asks for, whatever its dialect, and what is known when all of it is scored.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde_json::Value;

use super::failure::Failure;
use super::group::Group;
use crate::config::Rule;
use crate::conversation::Item;
use crate::conversation::policy_text::Format;
use crate::ensemble::Score;

/// A request's body with what a dialect may look at.
pub(super) struct Incoming<'a> {
    /// The body as it came.
    pub(super) body: &'a [u8],
    pub(super) headers: &'a HeaderMap,
    /// The part of the address after `?`.
    pub(super) query: &'a str,
    /// The objectives' names, in the order of every list of scores.
    pub(super) names: &'a [String],
    /// Most items of one request.
    pub(super) max_items: usize,
}

/// One text to score.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) content: Content,
    /// The domain of its prompt.
    pub(super) domain: Option<String>,
}

/// How a text came.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// A prompt and a response with their roles known.
    Item(Item),
    /// A policy's decoded tokens, with the prompt they begin with if the trainer tells it.
    PolicyText { text: String, prompt: Option<String> },
    /// A prompt as the policy read it, and the response.
    PolicyPrompt { prompt: String, response: String },
}

impl From<Content> for Asked {
    fn from(content: Content) -> Self {
        Self { content, domain: None }
    }
}

/// A whole request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ask {
    pub(super) items: Vec<Asked>,
    /// Other weights for this request.
    pub(super) weights: BTreeMap<String, f64>,
    /// Another rule for this request.
    pub(super) rule: Option<Rule>,
    /// Another penalty on uncertainty for this request.
    pub(super) uncertainty_penalty: Option<f64>,
    /// Whether the items are answers to one prompt, to be compared with each other.
    pub(super) group: bool,
    /// The registry the client means to talk to.
    pub(super) expect_digest: Option<String>,
}

impl Ask {
    /// Plain scores of these items.
    pub(super) fn of(items: Vec<Asked>) -> Self {
        Self { items, ..Self::default() }
    }
}

/// How a text was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// `messages`, the chat template that was found, or `raw`.
    pub(super) format: &'static str,
    /// The chat template, where one was looked for.
    pub(super) template: Option<Format>,
    /// Whether the policy ended its turn; `None` where that cannot be seen.
    pub(super) complete: Option<bool>,
    /// Turns of other roles inside the answer.
    pub(super) turns_in_response: usize,
    /// BOS tokens at the beginning; the backbone is shown one.
    pub(super) bos: usize,
    /// Whether the text begins with the prompt that was told, if one was.
    pub(super) prompt_found: bool,
    /// Whether the answer has no visible text.
    pub(super) empty: bool,
}

impl Reading {
    /// Of a text in which no template was looked for.
    pub(super) fn of(format: &'static str) -> Self {
        Self { format, template: None, complete: None, turns_in_response: 0, bos: 0, prompt_found: true, empty: false }
    }
}

/// One text with its score.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) score: Score,
    pub(super) reading: Reading,
    pub(super) domain: Option<String>,
}

/// Everything a reply is made of.
pub(super) struct Answers<'a> {
    /// Names the request in logs and replies.
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// Digest of the registry's manifest.
    pub(super) digest: &'a str,
    /// The registry's name.
    pub(super) model: &'a str,
    /// The objectives' names.
    pub(super) names: &'a [String],
    /// In the order of the request's items.
    pub(super) scored: &'a [Scored],
    pub(super) group: Option<Group>,
}

impl Answers<'_> {
    /// Tokens that were read for this request.
    pub(super) fn tokens(&self) -> u64 {
        self.scored.iter().map(|scored| u64::from(scored.score.tokens)).sum()
    }
}

/// The body of a reply.
pub(super) enum Reply {
    Json(Value),
    /// JSON of this many bytes, then tensors.
    Tensors {
        json_bytes: usize,
        body: Vec<u8>,
    },
}

/// Writes a reply.
pub(super) type WriteReply = Box<dyn FnOnce(&Answers<'_>) -> Reply + Send>;

/// A request that was read, and how its reply is written.
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) reply: WriteReply,
}

impl Call {
    pub(super) fn new(ask: Ask, reply: impl FnOnce(&Answers<'_>) -> Value + Send + 'static) -> Self {
        Self { ask, reply: Box::new(|answers| Reply::Json(reply(answers))) }
    }
}

/// Reads a body of one dialect.
pub(super) type Parse = fn(&Incoming<'_>) -> Result<Call, Failure>;
