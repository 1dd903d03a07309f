//! The plain template: how a conversation before a response becomes one text.

use super::{Message, Role};

/// A single user message is itself; longer conversations are `Human: …` / `Assistant: …` turns with blank lines
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
