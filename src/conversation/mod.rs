//! What is said and what is scored: messages, and items (a prompt and a response).
//!
//! The one vocabulary of texts: data reads them, the backbone renders them. Labels stand elsewhere.

pub mod policy_text;
mod turns;

use crate::files::Digest;

pub(crate) use turns::{join_turns, split_turns};

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Instructions that stand before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The role's name in the usual message lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// What a head scores: a response to a prompt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The conversation before the response; a plain prompt is one user message.
    pub prompt: Vec<Message>,
    /// The response.
    pub response: String,
}

impl Item {
    /// Digest of the item's whole content: equal items have equal keys.
    pub fn key(&self) -> Digest {
        let prompt =
            self.prompt.iter().flat_map(|message| [message.role.word().as_bytes(), message.content.as_bytes()]);
        Digest::of_parts(prompt.chain([self.response.as_bytes()]))
    }

    /// Digest of the normalised prompt (lower case, white space folded), by which splits and folds are made.
    pub fn prompt_key(&self) -> Digest {
        let normalised: Vec<String> = self
            .prompt
            .iter()
            .map(|message| {
                let words: Vec<&str> = message.content.split_whitespace().collect();
                format!("{}:{}", message.role.word(), words.join(" ").to_lowercase())
            })
            .collect();
        Digest::of_parts(normalised.iter().map(String::as_bytes))
    }
}

/// The plain template: a single user message is itself; longer conversations are `Human: …` / `Assistant: …` turns with blank lines
/// between them, as in the hh-rlhf transcripts, with a system message in front as `System: …`.
pub fn render_prompt(messages: &[Message]) -> String {
    if let [Message { role: Role::User, content }] = messages {
        return content.clone();
    }
    let turns: Vec<String> = messages
        .iter()
        .map(|message| {
            let speaker = match message.role {
                Role::System => "System",
                Role::User => "Human",
                Role::Assistant => "Assistant",
            };
            format!("{speaker}: {}", message.content)
        })
        .collect();
    turns.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, content: &str) -> Message {
        Message { role, content: content.to_owned() }
    }

    #[test]
    fn one_user_message_is_itself_and_turns_are_named() {
        assert_eq!(render_prompt(&[message(Role::User, "Hi")]), "Hi");
        let conversation = [message(Role::User, "Hi"), message(Role::Assistant, "Yes?"), message(Role::User, "Bye")];
        assert_eq!(render_prompt(&conversation), "Human: Hi\n\nAssistant: Yes?\n\nHuman: Bye");
        assert_eq!(render_prompt(&[message(Role::System, "Be kind")]), "System: Be kind");
    }
}
