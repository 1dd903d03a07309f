//! Transcripts as of hh-rlhf: `\n\nHuman: … \n\nAssistant: …`, with a `System: …` in front as [`render_prompt`] writes it.
//!
//! Everything is trimmed, as it is in the data that heads are trained on: no token shows where the white space between turns
//! ends and an answer's begins.
//!
//! [`render_prompt`]: super::super::render_prompt

use super::super::turns::{Mark, marks};
use super::super::{Message, Role};
use super::{Template, Turn};

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";
const SYSTEM: &str = "System:";

pub(super) const TEMPLATE: Template =
    Template { marks: turns, closing: &[], messages, answer: |answer, _, _| answer.trim() };

/// The first turn may have lost the line breaks before it, if others show that this is a transcript.
fn turns(text: &str) -> Vec<Mark> {
    let mut found = marks(text, &[(HUMAN, Role::User), (ASSISTANT, Role::Assistant)]);
    let start = text.len() - text.trim_start().len();
    let first = |marker: &str, role| {
        let begins = text[start..].starts_with(marker);
        begins.then_some(Mark { start, end: start + marker.len(), role })
    };
    let bare = match found.first() {
        // A first turn with its line breaks is found already; its own mark then begins within the white space.
        Some(mark) if mark.start < start => None,
        Some(mark) if mark.role == Role::Assistant => first(HUMAN.trim_start(), Role::User),
        Some(_) => first(SYSTEM, Role::System).or_else(|| {
            let answered = found.iter().any(|mark| mark.role == Role::Assistant);
            first(HUMAN.trim_start(), Role::User).filter(|_| answered)
        }),
        None => None,
    };
    found.splice(0..0, bare);
    found
}

/// Empty turns are skipped, as `data::hh_rlhf` does.
fn messages(turns: &[Turn]) -> Vec<Message> {
    let trimmed = turns.iter().map(|turn| Message { role: turn.role, content: turn.text.trim().to_owned() });
    trimmed.filter(|message| !message.content.is_empty()).collect()
}
