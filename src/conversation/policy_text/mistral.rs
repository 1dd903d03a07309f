//! Mistral and Llama 2: `<s>[INST] … [/INST] …</s>`, version 7's `[SYSTEM_PROMPT]…[/SYSTEM_PROMPT]`, Llama 2's
//! `<<SYS>>`.
//!
//! Versions differ in the spaces they write, but each writes a space at every turn or at none, so one turn without it
//! shows that the others' are part of what is said. Where all have one, one is taken off; a message that has a space of
//! its own at such a place in all turns loses it. Before version 7 Mistral has no system turn: the system message is
//! part of a user turn, where text does not tell it from the user's.

use super::super::turns::{Mark, marks};
use super::super::{Message, Role};
use super::{Template, Turn, as_said, tokens};

const SYSTEM_END: &str = "[/SYSTEM_PROMPT]";
const LLAMA2_SYSTEM: &str = "<<SYS>>\n";
const LLAMA2_SYSTEM_END: &str = "\n<</SYS>>\n\n";

pub(super) const TEMPLATE: Template = Template { marks: instructions, closing: &["</s>"], messages, answer };

/// `[/INST]` opens an answer only where an instruction is open: elsewhere it is text.
fn instructions(text: &str) -> Vec<Mark> {
    let markers = [("[SYSTEM_PROMPT]", Role::System), ("[INST]", Role::User), ("[/INST]", Role::Assistant)];
    let mut open = false;
    let mut found = marks(text, &markers);
    found.retain(|mark| {
        let kept = mark.role != Role::Assistant || open;
        open = if kept { mark.role == Role::User } else { open };
        kept
    });
    found
}

/// The turns without the answers that two instructions in a row leave between them.
fn answered<'a>(turns: &[Turn<'a>]) -> Vec<Turn<'a>> {
    let said = |turn: &&Turn| turn.role != Role::Assistant || !tokens::says_nothing(turn.text);
    turns.iter().filter(said).copied().collect()
}

/// Whether a space begins, and ends, every turn of a role; true where it has none.
fn all_spaced(turns: &[Turn], role: Role) -> (bool, bool) {
    let texts = turns.iter().filter(|turn| turn.role == role).map(|turn| turn.text);
    texts.fold((true, true), |(first, last), text| (first && text.starts_with(' '), last && text.ends_with(' ')))
}

/// The spaces that the template writes around instructions, and around answers; no template has them around answers
/// only.
fn spaces(turns: &[Turn]) -> ((bool, bool), (bool, bool)) {
    let (instructions, answers) = (all_spaced(turns, Role::User), all_spaced(turns, Role::Assistant));
    (instructions, (instructions.0 && answers.0, instructions.1 && answers.1))
}

fn without_spaces(text: &str, (first, last): (bool, bool)) -> &str {
    let text = if first { text.strip_prefix(' ').unwrap_or(text) } else { text };
    if last { text.strip_suffix(' ').unwrap_or(text) } else { text }
}

fn messages(turns: &[Turn]) -> Vec<Message> {
    let turns = answered(turns);
    let (instructions, answers) = spaces(&turns);
    let said = turns.iter().map(|turn| {
        let text = match turn.role {
            Role::System => {
                let text = turn.text.trim_end().strip_suffix(SYSTEM_END).unwrap_or(turn.text);
                without_spaces(text, (instructions.0, false))
            }
            Role::User => without_spaces(turn.text, instructions),
            Role::Assistant => without_spaces(turn.text, answers),
        };
        Turn { text, ..*turn }
    });
    let mut messages = as_said(&said.collect::<Vec<Turn>>());
    if let Some(first) = messages.first_mut().filter(|first| first.role == Role::User) {
        let system = first.content.strip_prefix(LLAMA2_SYSTEM).and_then(|rest| rest.split_once(LLAMA2_SYSTEM_END));
        if let Some((system, user)) = system.map(|(system, user)| (system.to_owned(), user.to_owned())) {
            first.content = user;
            messages.insert(0, Message { role: Role::System, content: system });
        }
    }
    messages
}

/// Llama 2 and Mistral's first version write a space before `[/INST]`, and Llama 2 one before `</s>`.
fn answer<'a>(answer: &'a str, closed: bool, prompt: &[Turn]) -> &'a str {
    let (_, (first, last)) = spaces(&answered(prompt));
    without_spaces(answer, (first, last && closed))
}
