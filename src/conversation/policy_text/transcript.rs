//! Transcripts as of hh-rlhf: `\n\nHuman: … \n\nAssistant: …`, with a `System: …` in front as [`render_prompt`] writes
//! it.
//!
//! Everything is trimmed, as it is in the data that heads are trained on: no token shows where the white space between
//! turns ends and an answer's begins.
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

/// The first turn may have lost the line breaks before it, if a later one shows that this is a transcript.
fn turns(text: &str) -> Vec<Mark> {
    let mut found = marks(text, &[(HUMAN, Role::User), (ASSISTANT, Role::Assistant)]);
    let start = text.len() - text.trim_start().len();
    // A mark that begins within the white space is the first turn's own.
    if found.first().is_some_and(|mark| mark.start >= start) {
        let markers = [(SYSTEM, Role::System), (HUMAN.trim_start(), Role::User)];
        let bare = markers.iter().find(|(marker, _)| text[start..].starts_with(marker));
        found.splice(0..0, bare.map(|(marker, role)| Mark { start, end: start + marker.len(), role: *role }));
    }
    found
}

/// Empty turns are skipped, as `data::hh_rlhf` does.
fn messages(turns: &[Turn]) -> Vec<Message> {
    let trimmed = turns.iter().map(|turn| Message { role: turn.role, content: turn.text.trim().to_owned() });
    trimmed.filter(|message| !message.content.is_empty()).collect()
}
