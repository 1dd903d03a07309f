//! A tokenizer's own chat template: Jinja text and messages in, the text the model was trained on out.
//!
//! Renders as `apply_chat_template` of transformers does: blocks trimmed, Python's string methods and `json.dumps`,
//! `tools` and `documents` none. A template is somebody else's program: it runs on a thread of its own with a budget,
//! and the date it may ask for never changes.

mod date;
mod json;
mod python;
mod source;

use std::fmt;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object};
use minijinja::{AutoEscape, Environment, ErrorKind, Value};
use regex::Regex;

pub use source::SpecialTokens;

use crate::conversation::{Message, Role};
use crate::error::{Error, Fault, Result, quote};
use crate::files::Digest;

/// Steps one rendering may take; one step is an instruction or 64 bytes of text. A template of a published model
/// needs some thirty steps a message.
const STEPS: u64 = 500_000;
/// Longest template text, in bytes; published ones stay below 30 kB.
const LONGEST_TEMPLATE: usize = 1 << 20;
/// Bytes one rendering may give beside those of the messages.
const LONGEST_FRAME: usize = 1 << 20;
/// A template can nest values deeply enough to need this much stack when they are freed.
const STACK: usize = 128 << 20;
const NAME: &str = "chat_template";

/// A compiled chat template with the special tokens it may write.
pub struct ChatTemplate {
    environment: Environment<'static>,
    place: String,
    tokens: SpecialTokens,
    digest: Digest,
    uses_date: bool,
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("place", &self.place).field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl ChatTemplate {
    /// Compiles `text`; `place` says in faults where it was read.
    ///
    /// # Errors
    /// [`Error::Model`] when the template is longer than 1 MiB or has a syntax error.
    pub fn new(text: &str, place: &str, tokens: SpecialTokens) -> Result<Self> {
        if text.len() > LONGEST_TEMPLATE {
            let fault = Fault::new(place, format!("the chat template has {} bytes", text.len()));
            return Err(Error::Model(vec![fault.accepts(format!("at most {LONGEST_TEMPLATE} bytes"))]));
        }
        let mut environment = environment();
        let compiled = prepared(text);
        on_own_stack(place, || {
            environment.add_template_owned(NAME, compiled).map_err(|error| compile_error(place, &error))
        })?;
        let parts =
            [Some(text), tokens.bos.as_deref(), tokens.eos.as_deref(), tokens.pad.as_deref(), tokens.unk.as_deref()];
        let digest = Digest::of_parts(parts.iter().flat_map(|part| {
            [if part.is_some() { b"+".as_slice() } else { b"-" }, part.unwrap_or_default().as_bytes()]
        }));
        let uses_date = text.contains("strftime_now");
        Ok(Self { environment, place: place.to_owned(), tokens, digest, uses_date })
    }

    /// Digest of the template and the special tokens it may write.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Where the template was read.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The special tokens the template was given.
    pub fn tokens(&self) -> &SpecialTokens {
        &self.tokens
    }

    /// Whether the template asks for today's date, for a report: it is always told 26 July 2024 (the date that
    /// Llama 3.2's template falls back on), because a feature must not depend on the day it was computed.
    pub fn uses_date(&self) -> bool {
        self.uses_date
    }

    /// The text of `messages`, with the header of the model's next turn where `add_generation_prompt` says so.
    ///
    /// # Errors
    /// [`Error::Data`] when the template refuses the conversation (roles that do not alternate, a system message it
    /// has no place for), [`Error::Model`] when the template fails, or takes more steps or text than it may.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let spoken: usize = messages.iter().map(|message| message.content.len()).sum();
        let text = on_own_stack(&self.place, || {
            let failed = |error: minijinja::Error| self.failure(&error, messages);
            let template = self.environment.get_template(NAME).map_err(failed)?;
            template.render(self.variables(messages, add_generation_prompt)).map_err(failed)
        })?;
        // A template may show a message more than once, but not without end.
        let most = LONGEST_FRAME + 16 * spoken;
        if text.len() > most {
            let fault = Fault::new(&self.place, format!("the chat template wrote {} bytes", text.len()));
            return Err(Error::Model(vec![fault.accepts(format!("at most {most} bytes for this conversation"))]));
        }
        Ok(text)
    }

    /// The variables transformers passes; a special token the tokenizer lacks is undefined.
    fn variables(&self, messages: &[Message], add_generation_prompt: bool) -> Value {
        let spoken: Vec<Value> = messages.iter().map(|message| Value::from_object(Spoken::from(message))).collect();
        let named = [
            ("bos_token", &self.tokens.bos),
            ("eos_token", &self.tokens.eos),
            ("pad_token", &self.tokens.pad),
            ("unk_token", &self.tokens.unk),
        ];
        let tokens = named.into_iter().filter_map(|(name, token)| Some((name, Value::from(token.as_deref()?))));
        let given = [
            ("messages", Value::from(spoken)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
        ];
        Value::from_pairs(given.into_iter().chain(tokens))
    }

    /// What to say of a conversation that was not rendered; it is named by its beginning, for its place is not known.
    fn failure(&self, error: &minijinja::Error, messages: &[Message]) -> Error {
        let which = messages.first().map_or_else(String::new, |first| {
            format!(" (the one that begins with {}: {})", first.role.word(), quote(&first.content))
        });
        let refusal = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Refusal>());
        if let Some(Refusal(message)) = refusal {
            let found = format!("the chat template refuses a conversation{which}: {}", quote(message));
            return Error::Data(vec![Fault::new(&self.place, found).help(advice(message))]);
        }
        let place = error.line().map_or_else(|| self.place.clone(), |line| format!("{}:{line}", self.place));
        let fault = if error.kind() == ErrorKind::OutOfFuel {
            Fault::new(place, "the chat template did not end within its budget")
                .accepts(format!("{STEPS} steps a conversation"))
                .help("a loop in it does not end, or it is not meant for conversations this long")
        } else {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            Fault::new(place, format!("the chat template fails on a conversation{which}: {}", quote(&detail)))
                .help("see whether transformers renders the conversation with this template; if it does, report this")
        };
        Error::Model(vec![fault])
    }
}

/// What a person can do about a refusal, from what the template said.
fn advice(message: &str) -> &'static str {
    let message = message.to_lowercase();
    if message.contains("system") {
        "put the instructions of the system message in front of the first user message"
    } else if message.contains("alternat") {
        "let user and assistant take turns, beginning with user; join messages of one role into one"
    } else {
        "change the conversation to what the model was trained on, or drop the row"
    }
}

/// A message as templates see it: a mapping of `role` and `content`, in that order.
#[derive(Debug)]
struct Spoken {
    role: Role,
    content: Value,
}

impl From<&Message> for Spoken {
    fn from(message: &Message) -> Self {
        Self { role: message.role, content: Value::from(message.content.as_str()) }
    }
}

impl Object for Spoken {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "role" => Some(Value::from(self.role.word())),
            "content" => Some(self.content.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["role", "content"])
    }
}

/// What a template said by `raise_exception`.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

fn refuse(message: &Value) -> Result<Value, minijinja::Error> {
    let refusal = Refusal(message.to_string());
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(refusal))
}

/// The Jinja environment of transformers' `apply_chat_template`.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(python::method);
    environment.set_fuel(Some(STEPS));
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("trim", python::trim);
    environment.add_function("raise_exception", |message: Value| refuse(&message));
    environment.add_function("strftime_now", |format: &str| date::strftime(format));
    environment
}

/// The template with line ends as Jinja reads them, and transformers' `{% generation %}` blocks, which mark the
/// assistant's text for training and print nothing, turned into plain scopes.
fn prepared(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let Ok(tag) = Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}") else { return text };
    tag.replace_all(&text, "{%$1 ${2}with $3%}").into_owned()
}

fn compile_error(place: &str, error: &minijinja::Error) -> Error {
    let place = error.line().map_or_else(|| place.to_owned(), |line| format!("{place}:{line}"));
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::Model(vec![
        Fault::new(place, format!("the chat template has a syntax error: {}", quote(&detail)))
            .accepts("a Jinja template as transformers reads it")
            .help("fetch the tokenizer's files again; if transformers reads this template, report it"),
    ])
}

/// Runs a template's code where deep nesting cannot reach the end of the stack and a panic stays a fault.
fn on_own_stack<T: Send>(place: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread =
            thread.map_err(|error| Error::Io(vec![Fault::new(place, format!("no thread to render on: {error}"))]))?;
        thread.join().unwrap_or_else(|_| {
            Err(Error::Model(vec![Fault::new(place, "the template engine gave up on this chat template")]))
        })
    })
}

#[cfg(test)]
mod tests;
