//! The fields a source may map columns to, and their part of the schema.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json, json};

use super::raw::TEXT_PATTERN;

/// The fields that the formats know, and what each holds.
pub const FIELDS: [(&str, &str); 51] = [
    ("prompt", "The question, as text or as messages; `prompt_key` of OpenRLHF."),
    ("system", "The system prompt."),
    ("instruction", "The question; `input` is put behind it."),
    ("input", "What the instruction is about."),
    ("context", "The conversation before the answers."),
    ("messages", "A whole conversation."),
    ("conversations", "A whole conversation, as `from` and `value`."),
    ("chosen", "The better answer; `chosen_key` of OpenRLHF."),
    ("rejected", "The worse answer; `rejected_key` of OpenRLHF."),
    ("response", "One answer."),
    ("response_0", "The first of two answers counted from 0."),
    ("response_1", "The first of two answers, or the second counted from 0."),
    ("response_2", "The second of two answers."),
    ("response_a", "The first of two answers."),
    ("response_b", "The second of two answers."),
    ("completion", "One answer."),
    ("completions", "Several answers."),
    ("answers", "Several answers."),
    ("responses", "Several answers."),
    ("output", "One answer, or several."),
    ("text", "Prompt and answer in one text."),
    ("preference", "Which answer is preferred."),
    ("winner", "Which answer is preferred."),
    ("label", "Whether the answer is good, or its ratings."),
    ("labels", "Labels of several answers or steps."),
    ("rank", "The answers' ranks."),
    ("score", "The answer's rating."),
    ("scores", "The answer's ratings by name, or several answers' ratings."),
    ("margin", "By how much the better answer is better."),
    ("weight", "How much the row counts."),
    ("votes", "How many labelers preferred each answer."),
    ("split", "Which split the row belongs to."),
    ("task", "What kind of question it is."),
    ("id", "The row's name."),
    ("question", "The question."),
    ("history", "Earlier turns, as pairs of question and answer."),
    ("response1", "The first of two answers."),
    ("response2", "The second of two answers."),
    ("chosen_messages", "The whole conversation with the better answer."),
    ("rejected_messages", "The whole conversation with the other answer."),
    ("conversation_a", "The whole conversation of the first model."),
    ("conversation_b", "The whole conversation of the second model."),
    ("better_response_id", "Which answer is more helpful, 0 or 1."),
    ("safer_response_id", "Which answer is safer, 0 or 1."),
    ("winner_model_a", "1 where the first answer won."),
    ("winner_model_b", "1 where the second answer won."),
    ("winner_tie", "1 where nobody won."),
    ("preferred", "The winner for each objective."),
    ("ranks", "The answers' ranks."),
    ("preference_strength", "How much better one of two answers is."),
    ("overall_preference", "How much better one of two answers is."),
];

/// The schema of `columns`: the fields are its keys, so that an editor offers them and a misspelt one is refused.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    let column = |(name, about): &(&str, &str)| {
        ((*name).to_owned(), json!({ "type": "string", "pattern": TEXT_PATTERN, "description": about }))
    };
    let properties: Map<String, Json> = FIELDS.iter().map(column).collect();
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}
