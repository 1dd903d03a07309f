//! What does a policy's text say? Text with the policy's chat template and special tokens, read back into messages.
//!
//! RL trainers send the policy's decoded tokens, not messages. Scoring those as they stand would show the backbone
//! markers of another template. The prompt's end is the one thing that text alone cannot show: a policy can write role
//! markers itself, and a conversation that it invented reads like one that it was given. A trainer that sends the
//! prompt too closes that hole: then nothing after the prompt is read as a turn.

mod chat_ml;
mod gemma;
mod headers;
mod llama3;
mod mistral;
mod tokens;
mod transcript;

#[cfg(test)]
mod tests;

use super::turns::{Mark, join_consecutive, join_turns, stretches};
use super::{Item, Message, Role};

/// The thought of a model that was told not to think (Qwen 3).
const EMPTY_THOUGHT: &str = "<think>\n\n</think>\n\n";
/// What templates write after the generation header to open a thought, or to close it at once.
const THOUGHT_OPENINGS: [&str; 2] = ["<think>", "<think>\n\n</think>"];

/// Which chat template a text was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `<|im_start|>role\n…<|im_end|>`.
    ChatMl,
    /// `<|start_header_id|>role<|end_header_id|>\n\n…<|eot_id|>`.
    Llama3,
    /// `<start_of_turn>role\n…<end_of_turn>`.
    Gemma,
    /// `[INST] … [/INST] …</s>`, Mistral's and Llama 2's.
    Mistral,
    /// `\n\nHuman: … \n\nAssistant: …`.
    Transcript,
    /// No template that is known here.
    Plain,
}

impl Format {
    /// Every format, in the order in which they are tried.
    pub const ALL: [Self; 6] = [Self::ChatMl, Self::Llama3, Self::Gemma, Self::Mistral, Self::Transcript, Self::Plain];

    /// The format's name in replies.
    pub fn word(self) -> &'static str {
        match self {
            Self::ChatMl => "chatml",
            Self::Llama3 => "llama3",
            Self::Gemma => "gemma",
            Self::Mistral => "mistral",
            Self::Transcript => "hh",
            Self::Plain => "plain",
        }
    }

    fn template(self) -> Template {
        match self {
            Self::ChatMl => chat_ml::TEMPLATE,
            Self::Llama3 => llama3::TEMPLATE,
            Self::Gemma => gemma::TEMPLATE,
            Self::Mistral => mistral::TEMPLATE,
            Self::Transcript => transcript::TEMPLATE,
            Self::Plain => PLAIN,
        }
    }

    /// The format whose marker begins this text; a marker in the middle of other text is text.
    fn of(text: &str) -> Self {
        let begins = |format: &Self| {
            let marks = (format.template().marks)(text);
            marks.first().is_some_and(|first| text[..first.start].trim().is_empty())
        };
        Self::ALL.into_iter().find(begins).unwrap_or(Self::Plain)
    }
}

/// What a policy's text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// The prompt's messages and the response.
    pub item: Item,
    /// The chat template that the text was written with.
    pub format: Format,
    /// Whether the token with which the template closes a turn stands after the response: the policy ended its turn
    /// itself. `None` where the format has no such token. Other end tokens do not count, as trainers pad with them.
    pub complete: Option<bool>,
    /// Turns of another role inside the answer (the policy wrote role markers of its own); they are kept as its text.
    pub turns_in_response: usize,
    /// BOS tokens at the beginning.
    pub bos: usize,
    /// Whether the text begins with the prompt that was told, if one was; otherwise its turns are a guess.
    pub prompt_found: bool,
}

/// One turn of a templated prompt, its closing token taken off.
#[derive(Clone, Copy)]
struct Turn<'a> {
    role: Role,
    text: &'a str,
}

/// What one family of chat templates writes.
struct Template {
    /// The headers in a text, in order.
    marks: fn(&str) -> Vec<Mark>,
    /// The tokens that close a turn.
    closing: &'static [&'static str],
    /// What the turns of a prompt say.
    messages: fn(&[Turn]) -> Vec<Message>,
    /// What an answer says, without the tokens at its end: the answer, whether it is closed, the prompt's turns.
    answer: for<'a> fn(&'a str, bool, &[Turn]) -> &'a str,
}

const PLAIN: Template =
    Template { marks: |_| Vec::new(), closing: &[], messages: as_said, answer: |answer, _, _| answer };

fn as_said(turns: &[Turn]) -> Vec<Message> {
    turns.iter().map(|turn| Message { role: turn.role, content: turn.text.to_owned() }).collect()
}

impl Template {
    fn turns<'a>(&self, text: &'a str, marks: &[Mark], end: usize) -> Vec<Turn<'a>> {
        let turn = |(role, text)| Turn { role, text: tokens::before_closing(text, self.closing).unwrap_or(text) };
        stretches(text, marks, end).into_iter().map(turn).collect()
    }
}

/// Where the prompt ends and the response begins, in bytes; between them stands a generation header, or nothing.
#[derive(Clone, Copy)]
struct Boundary {
    prompt: usize,
    response: usize,
}

/// The end of `prompt` in the text that it begins; special tokens and white space before it may differ, and white
/// space after it.
fn end_of_prompt(text: &str, prompt: &str) -> Option<usize> {
    let prompt = tokens::without_leading(prompt).1.trim_start();
    let said = text.trim_start();
    let before = text.len() - said.len();
    let begins = |prompt: &&str| !prompt.is_empty() && said.starts_with(*prompt);
    [prompt, prompt.trim_end()].iter().find(|prompt| begins(prompt)).map(|prompt| before + prompt.len())
}

/// The response after a prompt that ends at `end`. An answer that the prompt begins already (a prefill, an opened
/// thought) is part of the response, as it is part of the assistant's message in a list.
fn after_prompt(text: &str, marks: &[Mark], end: usize, closing: &[&str]) -> Boundary {
    let count = marks.partition_point(|mark| mark.start < end);
    let last = marks[..count].last();
    if let Some(last) = last.filter(|last| last.role == Role::Assistant) {
        let begun = text.get(last.end..end).unwrap_or_default();
        if tokens::before_closing(begun, closing).is_none() {
            return Boundary { prompt: last.start, response: last.end };
        }
    }
    // The header may stand after the prompt, as the template's part of the text.
    match marks.get(count) {
        Some(next) if next.role == Role::Assistant && tokens::says_nothing(&text[end..next.start]) => {
            Boundary { prompt: next.start, response: next.end }
        }
        _ => {
            let end = last.map_or(end, |last| end.max(last.end));
            Boundary { prompt: end, response: end }
        }
    }
}

/// The response where the prompt's end is not said: from the last header of an assistant, or the first of several in a
/// row.
///
/// It cannot be known which of the earlier turns the policy wrote itself. If the text ends with another role's turn,
/// the policy did write that one, and it stays in the response with all that follows the answer. Without any answer the
/// response is empty.
fn last_answer(text: &str, marks: &[Mark]) -> Boundary {
    let Some(last) = marks.iter().rposition(|mark| mark.role == Role::Assistant) else {
        let prompt = if marks.is_empty() { 0 } else { text.len() };
        return Boundary { prompt, response: prompt };
    };
    let before = marks[..last].iter().rposition(|mark| mark.role != Role::Assistant);
    let first = marks[before.map_or(0, |before| before + 1)];
    Boundary { prompt: first.start, response: first.end }
}

/// Reads a policy's whole text: prompt and response, `prompt` being the raw text that it begins with if the trainer
/// says so (one that the text does not begin with is passed over).
///
/// Every text says something: one without a known template is all response, or `prompt` and a response.
pub fn read(text: &str, prompt: Option<&str>) -> PolicyText {
    let (bos, text) = tokens::without_leading(text);
    let end = prompt.and_then(|prompt| end_of_prompt(text, prompt));
    let format = Format::of(&text[..end.unwrap_or(text.len())]);
    let template = format.template();
    let marks = (template.marks)(text);
    let boundary = match end {
        Some(end) => after_prompt(text, &marks, end, template.closing),
        None => last_answer(text, &marks),
    };
    let (before, after) = marks.split_at(marks.partition_point(|mark| mark.start < boundary.prompt));
    let turns = template.turns(text, before, boundary.prompt);
    let mut messages = (template.messages)(&turns);
    if let (Format::Plain, Some(end)) = (format, end) {
        messages.push(Message { role: Role::User, content: text[..end].to_owned() });
    }
    let inside = &after[after.partition_point(|mark| mark.start < boundary.response)..];
    let others = inside.iter().filter(|mark| mark.role != Role::Assistant).count();
    let said = |raw| {
        let (raw, closed) = tokens::without_trailing(raw, template.closing);
        ((template.answer)(raw, closed, &turns), closed)
    };
    let (response, closed) = if end.is_some() || others > 0 || inside.is_empty() {
        let (response, closed) = said(&text[boundary.response..]);
        (response.to_owned(), closed)
    } else {
        // Several answers in a row are one, as in message lists.
        let answers = stretches(text, after, text.len()).into_iter().map(|(_, raw)| said(raw));
        let (contents, closed): (Vec<&str>, Vec<bool>) = answers.unzip();
        let answer = |content: &str| Message { role: Role::Assistant, content: content.to_owned() };
        let (_, response, _) = join_turns(contents.into_iter().map(answer).collect());
        (response, closed.last().copied().unwrap_or_default())
    };
    PolicyText {
        item: Item { prompt: join_consecutive(messages), response },
        format,
        complete: (!template.closing.is_empty()).then_some(closed),
        turns_in_response: others,
        bos,
        prompt_found: prompt.is_none() || end.is_some(),
    }
}

/// Reads a prompt and its answer that were sent apart; nothing in the answer is read as a turn.
pub fn read_answer(prompt: &str, answer: &str) -> PolicyText {
    if Format::of(tokens::without_leading(prompt).1) != Format::Plain {
        return read(&[prompt, answer].concat(), Some(prompt));
    }
    let (bos, _) = tokens::without_leading(prompt);
    let (messages, format) = read_prompt(prompt);
    let item = Item { prompt: messages, response: without_end_tokens(answer).to_owned() };
    PolicyText { item, format, complete: None, turns_in_response: 0, bos, prompt_found: true }
}

/// An answer without the end and padding tokens of any template at its end.
pub fn without_end_tokens(answer: &str) -> &str {
    tokens::without_trailing(answer, &[]).0
}

/// Reads a prompt alone. A templated one ends with a turn or with a generation header, which says nothing; an answer
/// begun after the header is an assistant's message. Text without a known template is one user message.
pub fn read_prompt(text: &str) -> (Vec<Message>, Format) {
    let (_, text) = tokens::without_leading(text);
    let format = Format::of(text);
    if format == Format::Plain {
        return (vec![Message { role: Role::User, content: text.to_owned() }], format);
    }
    let template = format.template();
    let mut marks = (template.marks)(text);
    let mut end = text.len();
    if let Some(last) = marks.pop_if(|last| last.role == Role::Assistant && opens_answer(&text[last.end..])) {
        end = last.start;
    }
    (join_consecutive((template.messages)(&template.turns(text, &marks, end))), format)
}

/// Whether this is all a generation header is followed by at the end of a prompt.
fn opens_answer(after: &str) -> bool {
    let after = after.trim();
    after.is_empty() || THOUGHT_OPENINGS.contains(&after)
}
