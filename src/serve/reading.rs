//! What a text of a request says: its roles, and how they were found.

use super::failure::Failure;
use super::request::{Asked, Content, Reading};
use crate::conversation::policy_text::{self, Format, PolicyText};
use crate::conversation::{Item, Message};

/// What the backbone is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Material {
    /// A prompt and its response, rendered in the backbone's own template.
    Item(Item),
    /// A text as it stands.
    Verbatim(String),
}

/// Reads one text; a policy's chat template is read back into messages if `templates` says so.
///
/// # Errors
/// A text or a prompt that says nothing. An empty answer is no error: a policy in training may end its turn at once.
pub(super) fn read(asked: &Asked, templates: bool) -> Result<(Material, Reading), Failure> {
    let nothing = || Failure::invalid("prompt", "the prompt is empty; accepted: a prompt that says something");
    match &asked.content {
        Content::Item(item) => {
            Ok((Material::Item(item.clone()), Reading { empty: is_blank(&item.response), ..Reading::of("messages") }))
        }
        Content::PolicyText { text, .. } if !templates => Ok((Material::Verbatim(text.clone()), Reading::of("raw"))),
        Content::PolicyPrompt { prompt, response } if !templates => {
            Ok((Material::Verbatim([prompt.as_str(), response].concat()), Reading::of("raw")))
        }
        Content::PolicyText { text, prompt } => {
            let read = policy_text::read(text, prompt.as_deref());
            let (plain, response) = (read.format == Format::Plain, &read.item.response);
            // A plain text whose prompt is not known is all response; a templated one has a prompt.
            if is_silent(&read.item.prompt) && (!plain || is_blank(response)) {
                let message = "a text with neither a prompt nor a response";
                return Err(if plain { Failure::invalid("text", message) } else { nothing() });
            }
            Ok(of_policy(read))
        }
        Content::PolicyPrompt { prompt, response } => {
            let read = policy_text::read_answer(prompt, response);
            if is_silent(&read.item.prompt) { Err(nothing()) } else { Ok(of_policy(read)) }
        }
    }
}

fn of_policy(read: PolicyText) -> (Material, Reading) {
    let reading = Reading {
        format: read.format.word(),
        template: Some(read.format),
        complete: read.complete,
        turns_in_response: read.turns_in_response,
        bos: read.bos,
        prompt_found: read.prompt_found,
        empty: is_blank(&read.item.response),
    };
    (Material::Item(read.item), reading)
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn is_silent(prompt: &[Message]) -> bool {
    prompt.iter().all(|message| is_blank(&message.content))
}
