//! Turns: where markers in a text open them, and how consecutive ones of one speaker become one.

use super::{Message, Role};

/// A marker in a text that opens a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The byte where the marker begins.
    pub(super) start: usize,
    /// The byte after it, where what is said begins.
    pub(super) end: usize,
    pub(super) role: Role,
}

/// Every place where one of these markers stands, in order; no marker may overlap another.
pub(super) fn marks(text: &str, markers: &[(&str, Role)]) -> Vec<Mark> {
    let places = markers.iter().flat_map(|(marker, role)| {
        text.match_indices(marker).map(|(start, found)| Mark { start, end: start + found.len(), role: *role })
    });
    let mut marks: Vec<Mark> = places.collect();
    marks.sort_by_key(|mark| mark.start);
    marks
}

/// What stands between each mark and the next, the last one's up to `end`.
pub(super) fn stretches<'a>(text: &'a str, marks: &[Mark], end: usize) -> Vec<(Role, &'a str)> {
    let ends = marks.iter().skip(1).map(|next| next.start).chain([end]);
    marks.iter().zip(ends).map(|(mark, end)| (mark.role, text.get(mark.end..end).unwrap_or_default())).collect()
}

/// The turns of a transcript, trimmed; `None` when it does not begin with one.
pub(crate) fn split_turns(text: &str, human: &str, assistant: &str) -> Option<Vec<Message>> {
    let marks = marks(text, &[(human, Role::User), (assistant, Role::Assistant)]);
    if !text[..marks.first()?.start].trim().is_empty() {
        return None;
    }
    let turns = stretches(text, &marks, text.len()).into_iter();
    Some(turns.map(|(role, content)| Message { role, content: content.trim().to_owned() }).collect())
}

/// Joins consecutive messages of one speaker by a blank line (published dialogues have some, and an encoder or a
/// chat template wants turns to alternate).
pub(crate) fn join_consecutive(messages: Vec<Message>) -> Vec<Message> {
    let mut turns: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        match turns.last_mut() {
            Some(last) if last.role == message.role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => turns.push(message),
        }
    }
    turns
}

/// [`join_consecutive`], and the last turn taken off: prompt, response, whether any were joined.
pub(crate) fn join_turns(messages: Vec<Message>) -> (Vec<Message>, String, bool) {
    let count = messages.len();
    let mut turns = join_consecutive(messages);
    let joined = turns.len() < count;
    let response = turns.pop().map(|turn| turn.content).unwrap_or_default();
    (turns, response, joined)
}
