//! TRL's preference rows: `chosen` and `rejected` with an explicit or implicit prompt, as text or as messages.
//!
//! Also the vocabulary that all formats share: a row is a labelled pair, or is dropped for a stated reason.

use std::cmp::Reverse;

use serde_json::Value;

use super::formats::compare::{Verdict, compare};
use super::formats::fields::shown;
use super::row::{Row, kind};
use super::{Item, Message, Role, Votes, hh_rlhf};
use crate::config::LabelSource;
use crate::conversation::join_turns;
use crate::error::{Fault, Result};
use crate::files::Digest;

/// The layouts of a preference row.
pub(super) const LAYOUTS: &str = "`prompt` with `chosen` and `rejected`, each text or messages; `chosen` and `rejected` as whole \
                       conversations in messages; or both as \"\\n\\nHuman:\" / \"\\n\\nAssistant:\" transcripts";

/// What an answer to a given prompt may be.
const ANSWER: &str = "text, or messages that end with the assistant's";

/// What an answer with its prompt may be, where a format keeps both in one field.
const CONVERSATION: &str = "a list of messages {role, content} that ends with the assistant's";

/// What a row comes to: pairs to learn from, and why others were left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) pairs: Vec<Labelled>,
    /// One reason for each pair, or for the row as a whole.
    pub(super) dropped: Vec<&'static str>,
}

impl Outcome {
    /// A row that gives nothing to learn from.
    pub(super) fn dropped(reason: &'static str) -> Self {
        Self { pairs: Vec::new(), dropped: vec![reason] }
    }
}

/// Two items of one prompt, the preferred one first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Labelled {
    pub(super) chosen: Item,
    pub(super) rejected: Item,
    /// Share of labelers who prefer `chosen`, 0.5..=1.
    pub(super) preference: f64,
    /// How many labelers that share is of, where the row counts them.
    pub(super) votes: Option<Votes>,
    /// By how much `chosen` should score higher, as the row says; 0 where it does not, and for ties.
    pub(super) margin: f64,
    /// How much the pair counts, above 0; 1 where the row does not say.
    pub(super) weight: f64,
    /// Whether consecutive turns of one speaker were joined.
    pub(super) joined: bool,
}

/// A labelled pair whose items are named by their keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) chosen: Digest,
    pub(super) rejected: Digest,
    /// The prompt's key.
    pub(super) prompt: Digest,
    /// Share of labelers who prefer `chosen`, 0.5..=1.
    pub(super) preference: f64,
    /// As in [`Labelled`].
    pub(super) votes: Option<Votes>,
    /// As in [`Labelled`].
    pub(super) margin: f64,
    /// As in [`Labelled`].
    pub(super) weight: f64,
    pub(super) labels: LabelSource,
}

impl Candidate {
    /// The same comparison in the form that does not depend on which side an undecided label names first.
    pub(super) fn canonical(mut self) -> Self {
        if self.preference <= 0.5 && self.rejected < self.chosen {
            std::mem::swap(&mut self.chosen, &mut self.rejected);
            self.votes = self.votes.map(Votes::turned);
        }
        self
    }

    /// Which of several copies of a comparison stays: the lowest, the one with the most direct label first, and then
    /// by what it says, so that the order of rows and sources decides nothing.
    pub(super) fn rank(&self) -> (LabelSource, [Reverse<u64>; 3], Reverse<Option<Votes>>) {
        let numbers = [self.preference, self.margin, self.weight].map(|number| Reverse(number.to_bits()));
        (self.labels, numbers, Reverse(self.votes))
    }
}

/// One side of a row.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) prompt: Vec<Message>,
    pub(super) response: String,
    pub(super) joined: bool,
}

/// Reads one row.
///
/// # Errors
/// A fault that names the field and the accepted layouts.
pub(super) fn parse(row: &Row) -> Result<Outcome, Fault> {
    let side_value = |field| row.value(field).ok_or_else(|| row.missing(field, LAYOUTS));
    let (chosen, rejected) = (side_value("chosen")?, side_value("rejected")?);
    if hh_rlhf::is_row(row) {
        return hh_rlhf::parse(row);
    }
    if row.value("prompt").is_none() {
        return match chosen {
            Value::String(_) => Err(row.missing("prompt", LAYOUTS)),
            _ => both(row, None, (chosen, rejected)),
        };
    }
    let prompt = explicit_prompt(row, LAYOUTS)?;
    both(row, Some(&prompt), (chosen, rejected))
}

/// The field `prompt` as the messages before a response.
///
/// # Errors
/// A fault when it is missing, blank or ends with the assistant's message.
pub(super) fn explicit_prompt(row: &Row, layouts: &str) -> Result<Vec<Message>, Fault> {
    let value = row.value("prompt").ok_or_else(|| row.missing("prompt", layouts))?;
    row.conversation("prompt", value)
}

fn both(row: &Row, prompt: Option<&[Message]>, sides: (&Value, &Value)) -> Result<Outcome, Fault> {
    let chosen = side(row, "chosen", sides.0, prompt)?;
    let rejected = side(row, "rejected", sides.1, prompt)?;
    outcome(row, chosen, rejected)
}

/// One side; `None` when its response is empty.
///
/// # Errors
/// A fault when the field is neither text nor messages that end with the assistant's.
pub(super) fn side(row: &Row, field: &str, value: &Value, prompt: Option<&[Message]>) -> Result<Option<Side>, Fault> {
    let completion = match value {
        Value::String(text) if prompt.is_some() => vec![Message { role: Role::Assistant, content: text.clone() }],
        Value::Array(list) if list.is_empty() => return Ok(None),
        Value::Array(list) => row.messages(field, list)?,
        other if prompt.is_some() => return Err(row.fault(field, kind(other)).accepts(ANSWER)),
        other if ["chosen", "rejected"].contains(&field) => return Err(row.fault(field, kind(other)).accepts(LAYOUTS)),
        other => return Err(row.fault(field, kind(other)).accepts(CONVERSATION)),
    };
    complete(row, field, completion, prompt)
}

/// The side that the messages of a completion are, after the prompt's; `None` when its response is empty.
///
/// # Errors
/// A fault when the last message is not the assistant's, or the system speaks in the middle.
pub(super) fn complete(
    row: &Row,
    field: &str,
    completion: Vec<Message>,
    prompt: Option<&[Message]>,
) -> Result<Option<Side>, Fault> {
    row.ends_with_assistant(field, &completion)?;
    if completion.last().is_some_and(|last| last.content.trim().is_empty()) {
        return Ok(None);
    }
    let conversation = match prompt {
        Some(prompt) if !repeats_prompt(&completion, prompt) => [prompt, &completion].concat(),
        _ => completion,
    };
    if conversation.iter().skip(1).any(|message| message.role == Role::System) {
        let fault = row.fault(field, "a system message that is not the conversation's first");
        return Err(fault.accepts("system messages in the first place only"));
    }
    let (prompt, response, joined) = join_turns(conversation);
    row.has_user(field, &prompt)?;
    Ok(Some(Side { prompt, response, joined }))
}

/// Whether a list of messages is the whole conversation although the prompt is given too (UltraFeedback binarized:
/// `prompt` is text, `chosen` is the user's and the assistant's message).
fn repeats_prompt(completion: &[Message], prompt: &[Message]) -> bool {
    let before = completion.split_last().map_or(completion, |(_, before)| before);
    before.starts_with(prompt) || before.ends_with(prompt)
}

/// What two readable sides come to, `votes` taken into account.
///
/// # Errors
/// A fault when `votes`, `margin` or `weight` cannot be used.
pub(super) fn outcome(row: &Row, chosen: Option<Side>, rejected: Option<Side>) -> Result<Outcome, Fault> {
    compare(row, [chosen, rejected], votes(row)?)
}

/// What labelers said as the row has it: `votes: [for chosen, for rejected]`; `chosen` wins without votes.
pub(super) fn votes(row: &Row) -> Result<Verdict, Fault> {
    let Some(value) = row.value("votes") else { return Ok(Verdict::FIRST) };
    let accepted = "two counts [for chosen, for rejected], not both zero";
    let counts: Option<Vec<u64>> = value.as_array().and_then(|list| list.iter().map(Value::as_u64).collect());
    match counts.as_deref() {
        Some([chosen, rejected]) if chosen.saturating_add(*rejected) > 0 => {
            let share = *chosen as f64 / (*chosen as f64 + *rejected as f64);
            let counts = u32::try_from(*chosen).ok().zip(u32::try_from(*rejected).ok());
            Ok(Verdict::voted(share, counts.map(|(chosen, rejected)| Votes { chosen, rejected, tied: 0 })))
        }
        _ => Err(row.fault("votes", shown(value)).accepts(accepted)),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the expected fractions are exact in binary")]
mod tests {
    use serde_json::json;

    use super::super::audit::{EMPTY, IDENTICAL, PROMPTS_DIFFER};
    use super::super::row::parse_object;
    use super::*;

    fn read(row: &Value) -> Result<Outcome, Fault> {
        let object = parse_object(&row.to_string()).expect("an object");
        parse(&Row { object: &object, place: "rows:3" })
    }

    fn pair(row: &Value) -> Labelled {
        match read(row) {
            Ok(Outcome { mut pairs, .. }) if pairs.len() == 1 => pairs.remove(0),
            other => panic!("{row} gave {other:?}"),
        }
    }

    fn user(text: &str) -> Value {
        json!({ "role": "user", "content": text })
    }

    fn assistant(text: &str) -> Value {
        json!({ "role": "assistant", "content": text })
    }

    #[test]
    fn all_layouts_of_one_comparison_agree() {
        let plain = pair(&json!({ "prompt": "q", "chosen": "a", "rejected": "b" }));
        assert_eq!(plain.preference, 1.0);
        for row in [
            json!({ "prompt": [user("q")], "chosen": "a", "rejected": "b", "margin": 0, "weight": 1 }),
            json!({ "prompt": [user("q")], "chosen": [assistant("a")], "rejected": [assistant("b")] }),
            json!({ "chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("b")] }),
            json!({ "prompt": "q", "chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("b")] }),
            json!({ "chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b" }),
            json!({
                "prompt": "Human: q", "chosen": "Human: q\n\nAssistant: a", "rejected": "Human: q\n\nAssistant: b"
            }),
        ] {
            assert_eq!(pair(&row), plain);
        }
    }

    #[test]
    fn messages_before_the_response_extend_the_prompt() {
        let side = |last: &str| json!([assistant("which?"), user("that"), assistant(last)]);
        let found = pair(&json!({ "prompt": "q", "chosen": side("a"), "rejected": side("b") }));
        assert_eq!(found.chosen.prompt.len(), 3);
        assert_eq!(found.chosen.response, "a");
        let repeated = pair(&json!({ "prompt": [user("q"), user("r")], "chosen": "a", "rejected": "b" }));
        assert_eq!(repeated.chosen.prompt, [Message { role: Role::User, content: "q\n\nr".to_owned() }]);
        assert!(repeated.joined);
    }

    #[test]
    fn votes_become_a_share_and_may_turn_the_pair() {
        let with = |votes: Value| json!({ "prompt": "q", "chosen": "a", "rejected": "b", "votes": votes });
        assert_eq!(pair(&with(json!([3, 1]))).preference, 0.75);
        assert_eq!(pair(&with(json!([3, 1]))).votes, Some(Votes { chosen: 3, rejected: 1, tied: 0 }));
        assert_eq!(pair(&json!({ "prompt": "q", "chosen": "a", "rejected": "b" })).votes, None);
        assert_eq!(pair(&with(json!([2, 2]))).preference, 0.5);
        let turned = pair(&with(json!([1, 4])));
        assert_eq!((turned.chosen.response.as_str(), turned.preference), ("b", 0.8));
        assert_eq!(turned.votes, Some(Votes { chosen: 4, rejected: 1, tied: 0 }));
        let countless = pair(&with(json!([30_000_000_000_u64, 10_000_000_000_u64])));
        assert_eq!((countless.preference, countless.votes), (0.75, None));
        for bad in [json!([0, 0]), json!([1]), json!([-1, 2]), json!([1.5, 2]), json!("3:1")] {
            assert!(read(&with(bad)).is_err());
        }
    }

    #[test]
    fn the_canonical_form_turns_the_votes_too_and_copies_are_ranked_by_them() {
        let [low, high] = ["a", "b"].map(|text| Digest::of(text.as_bytes())).map(Some);
        let [low, high] = [low.min(high), low.max(high)].map(|key| key.expect("a digest"));
        let votes = Some(Votes { chosen: 1, rejected: 2, tied: 1 });
        let (preference, margin, weight, labels) = (0.5, 0.0, 1.0, LabelSource::Human);
        let given = Candidate { chosen: high, rejected: low, prompt: low, preference, votes, margin, weight, labels };
        let canonical = given.canonical();
        assert_eq!((canonical.chosen, canonical.rejected), (low, high));
        assert_eq!(canonical.votes, Some(Votes { chosen: 2, rejected: 1, tied: 1 }));
        assert_eq!(canonical.canonical(), canonical);
        let decided = Candidate { preference: 0.75, ..given };
        assert_eq!(decided.canonical(), decided);
        assert!(given.rank() < Candidate { votes: None, ..given }.rank());
        assert!(Candidate { votes: votes.map(Votes::turned), ..given }.rank() < given.rank());
    }

    #[test]
    fn rows_without_a_comparison_are_dropped_with_a_reason() {
        for (row, reason) in [
            (json!({ "prompt": "q", "chosen": "a", "rejected": " a\n" }), IDENTICAL),
            (json!({ "prompt": "q", "chosen": " ", "rejected": "b" }), EMPTY),
            (json!({ "prompt": "q", "chosen": [assistant("")], "rejected": "b" }), EMPTY),
            (json!({ "chosen": [user("q"), assistant("a")], "rejected": [user("z"), assistant("b")] }), PROMPTS_DIFFER),
        ] {
            assert_eq!(read(&row), Ok(Outcome::dropped(reason)), "{row}");
        }
    }

    #[test]
    fn unreadable_rows_name_the_field_and_the_layouts() {
        for (row, expected) in [
            (json!({ "chosen": "a", "rejected": "b" }), "field \"prompt\": missing"),
            (json!({ "prompt": "q", "chosen": "a" }), "field \"rejected\": missing"),
            (json!({ "prompt": "q", "chosen": 1, "rejected": "b" }), "field \"chosen\": a number"),
            (json!({ "chosen": [assistant("a")], "rejected": [assistant("b")] }), "no user message"),
            (json!({ "prompt": "q", "chosen": [user("a")], "rejected": "b" }), "the last message is the user's"),
            (json!({ "prompt": [user("q"), assistant("a")], "chosen": "b", "rejected": "c" }), "ends with the assist"),
        ] {
            let fault = read(&row).expect_err("refused").to_string();
            assert!(fault.contains(expected), "{row} gave {fault}");
        }
    }
}
