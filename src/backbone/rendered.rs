//! A conversation and its response as one text, with the place of the response known.
//!
//! A chat template may trim a response, or drop the reasoning in it. So the conversation is rendered twice: as it is,
//! and with a made-up word as the response. What stands before and after that word frames the response as shown.

use super::chat_template::ChatTemplate;
use crate::conversation::{Message, Role};
use crate::error::{Error, Fault, Result};

/// What the backbone reads of one item, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt with everything that stands before the response.
    pub before: String,
    /// The response as the model is shown it.
    pub response: String,
    /// What closes the response.
    pub after: String,
}

impl Rendered {
    /// The whole text.
    pub fn text(&self) -> String {
        [self.before.as_str(), &self.response, &self.after].concat()
    }

    /// Renders `prompt` and `response` with `template` and finds the response in the text.
    ///
    /// # Errors
    /// What [`ChatTemplate::render`] reports, and [`Error::Model`] when the text around the response depends on the
    /// response in a way that hides where it stands.
    pub(super) fn by_template(template: &ChatTemplate, prompt: &[Message], response: &str) -> Result<Self> {
        let whole = template.render(&conversation(prompt, response), false)?;
        let word = unused_word(prompt, &whole);
        let framed = template.render(&conversation(prompt, &word), false)?;
        let Some((before, after)) = framed.split_once(&word).filter(|(_, after)| !after.contains(&word)) else {
            let found = "the chat template does not show a response exactly once, as it is";
            return Err(lost(template, found));
        };
        if let Some(rendered) = between(&whole, before, after) {
            return Ok(rendered);
        }
        // Where the response brings its own reasoning, the template leaves out the empty one it writes otherwise
        // (Qwen3): everything after the turn's header is the response then.
        let header = template.render(prompt, true).ok().filter(|header| before.starts_with(header));
        let rendered = header.and_then(|header| between(&whole, &header, after));
        rendered
            .ok_or_else(|| lost(template, "what the chat template writes around a response depends on the response"))
    }

    /// Whether `template` can be used at all: a small conversation, rendered twice, is the same and holds the
    /// response.
    ///
    /// # Errors
    /// What [`Rendered::by_template`] reports, and [`Error::Model`] when the two differ or the response is not shown.
    pub(super) fn check(template: &ChatTemplate) -> Result<Self> {
        let prompt = [Message { role: Role::User, content: "How many legs has a spider?".to_owned() }];
        let response = "A spider has eight legs.";
        let first = Self::by_template(template, &prompt, response).map_err(refuses_all)?;
        if first != Self::by_template(template, &prompt, response)? {
            return Err(lost(template, "the chat template writes one conversation in two ways"));
        }
        if first.response != response || !first.before.contains(&prompt[0].content) {
            return Err(lost(template, "the chat template does not show a plain question and answer as they are"));
        }
        Ok(first)
    }
}

/// A refusal of a plain question and answer is no matter of the data.
fn refuses_all(error: Error) -> Error {
    let Error::Data(faults) = error else { return error };
    let help = "use the template the model was published with, or a model that was trained to chat";
    let reworded = |fault: Fault| fault.accepts("a template for a question and an answer").help(help);
    Error::Model(faults.into_iter().map(reworded).collect())
}

fn lost(template: &ChatTemplate, found: &str) -> Error {
    Error::Model(vec![
        Fault::new(template.place(), found)
            .accepts("a template that shows the last assistant message once, at a place of its own")
            .help("use the template the model was published with, or a model without one (plain text)"),
    ])
}

fn conversation(prompt: &[Message], response: &str) -> Vec<Message> {
    let mut messages = prompt.to_vec();
    messages.push(Message { role: Role::Assistant, content: response.to_owned() });
    messages
}

/// A word that stands in neither the conversation nor the template's own text.
fn unused_word(prompt: &[Message], whole: &str) -> String {
    let used = |word: &str| whole.contains(word) || prompt.iter().any(|message| message.content.contains(word));
    let mut words = (0usize..).map(|number| format!("Answer{number}placeholder"));
    words.find(|word| !used(word)).unwrap_or_default()
}

fn between(whole: &str, before: &str, after: &str) -> Option<Rendered> {
    let response = whole.strip_prefix(before)?.strip_suffix(after)?;
    Some(Rendered { before: before.to_owned(), response: response.to_owned(), after: after.to_owned() })
}
