//! The transcripts of Anthropic's hh-rlhf: `\n\nHuman: … \n\nAssistant: …`, the prompt implicit.
//!
//! What the published files hold besides clean dialogues is handled here: several turns of one speaker in a row are
//! joined, empty turns skipped; answers that are empty or follow different conversations are dropped with a reason.

use serde_json::Value;

use super::audit::{EMPTY, NO_ASSISTANT};
use super::pairs::{Outcome, Side, outcome};
use super::row::Row;
use super::{Message, Role};
use crate::conversation::{join_turns, split_turns};
use crate::error::Fault;

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";
const LAYOUT: &str = "`chosen` and `rejected`, each a transcript that begins with \"\\n\\nHuman:\" and ends with an \
                      \"\\n\\nAssistant:\" turn";

/// Whether both sides of a row are transcripts; where a prompt is given too, it is the start of both (the relabelled
/// files of hh-rlhf repeat it).
pub(super) fn is_row(row: &Row) -> bool {
    let text = |field| row.value(field).and_then(Value::as_str);
    let (Some(chosen), Some(rejected)) = (text("chosen"), text("rejected")) else { return false };
    let begins = |side: &str, prompt: &str| side.trim_start().starts_with(prompt.trim());
    let prompt_fits = match row.value("prompt") {
        None => true,
        Some(Value::String(prompt)) => is_transcript(prompt) && begins(chosen, prompt) && begins(rejected, prompt),
        Some(_) => false,
    };
    prompt_fits && is_transcript(chosen) && is_transcript(rejected)
}

fn is_transcript(text: &str) -> bool {
    text.contains(HUMAN) || text.trim_start().starts_with(HUMAN.trim_start())
}

/// Reads one row.
///
/// # Errors
/// A fault when a side is missing or no transcript.
pub(super) fn parse(row: &Row) -> Result<Outcome, Fault> {
    let (chosen, rejected) = (side(row, "chosen")?, side(row, "rejected")?);
    match (chosen, rejected) {
        (Ok(chosen), Ok(rejected)) => outcome(row, Some(chosen), Some(rejected)),
        (Err(reason), _) | (_, Err(reason)) => Ok(Outcome::dropped(reason)),
    }
}

/// One side, or the reason for which the row is dropped.
fn side(row: &Row, field: &str) -> Result<Result<Side, &'static str>, Fault> {
    let value = row.value(field).ok_or_else(|| row.missing(field, LAYOUT))?;
    let text = row.text(field, value)?;
    let turns = turns(text).ok_or_else(|| {
        let fault = row.fault(field, "text that is not a transcript").accepts(LAYOUT);
        fault.help("for rows with a field `prompt`, say format: pairs")
    })?;
    Ok(last_answer(turns))
}

/// The last turn as the answer to those before; the reason when there is none.
pub(super) fn last_answer(turns: Vec<Message>) -> Result<Side, &'static str> {
    match turns.last() {
        Some(last) if last.role != Role::Assistant => return Err(NO_ASSISTANT),
        Some(last) if last.content.is_empty() => return Err(EMPTY),
        _ => {}
    }
    let spoken = turns.into_iter().filter(|turn| !turn.content.is_empty()).collect();
    let (prompt, response, joined) = join_turns(spoken);
    Ok(Side { prompt, response, joined })
}

fn turns(text: &str) -> Option<Vec<Message>> {
    // Some copies lost the line breaks at the start.
    split_turns(&format!("\n\n{}", text.trim_start()), HUMAN, ASSISTANT)
}

#[cfg(test)]
mod tests {
    use super::super::audit::PROMPTS_DIFFER;
    use super::super::row::parse_object;
    use super::*;

    fn read(chosen: &str, rejected: &str) -> Outcome {
        let text = serde_json::json!({ "chosen": chosen, "rejected": rejected }).to_string();
        let object = parse_object(&text).expect("an object");
        parse(&Row { object: &object, place: "rows:1" }).expect("readable")
    }

    fn pair(chosen: &str, rejected: &str) -> super::super::pairs::Labelled {
        let mut outcome = read(chosen, rejected);
        assert_eq!(outcome.pairs.len(), 1, "{outcome:?}");
        outcome.pairs.remove(0)
    }

    #[test]
    fn a_dialogue_becomes_messages_and_two_responses() {
        let start = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant:";
        let pair = pair(&format!("{start} Fine.\n\nReally."), &format!("{start} No"));
        let expected = [(Role::User, "Hi"), (Role::Assistant, "Hello."), (Role::User, "How?")];
        let found: Vec<(Role, &str)> = pair.chosen.prompt.iter().map(|m| (m.role, m.content.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!((pair.chosen.response.as_str(), pair.rejected.response.as_str()), ("Fine.\n\nReally.", "No"));
        assert_eq!(pair.chosen.prompt, pair.rejected.prompt);
        assert!(!pair.joined);
    }

    #[test]
    fn turns_of_one_speaker_are_joined_and_empty_ones_skipped() {
        let start = "Human: a\n\nHuman: b\n\nAssistant:\n\nHuman: c\n\nAssistant: d";
        let pair = pair(&format!("{start}\n\nAssistant: e"), &format!("{start}\n\nAssistant: f"));
        assert_eq!(pair.chosen.prompt, [Message { role: Role::User, content: "a\n\nb\n\nc".to_owned() }]);
        assert_eq!((pair.chosen.response.as_str(), pair.rejected.response.as_str()), ("d\n\ne", "d\n\nf"));
        assert!(pair.joined);
    }

    #[test]
    fn what_cannot_be_compared_is_dropped_with_its_reason() {
        let reason = |chosen, rejected| read(chosen, rejected).dropped.first().copied().unwrap_or("kept");
        assert_eq!(reason("\n\nHuman: a\n\nAssistant: ", "\n\nHuman: a\n\nAssistant: b"), EMPTY);
        assert_eq!(reason("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a"), NO_ASSISTANT);
        assert_eq!(reason("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: z\n\nAssistant: c"), PROMPTS_DIFFER);
    }

    #[test]
    fn text_without_turns_is_a_fault() {
        assert!(turns("What is this?").is_none());
        assert!(turns("Preface\n\nHuman: a\n\nAssistant: b").is_none());
        assert!(!is_transcript("The Human: a study") && is_transcript("Human: a"));
    }
}
