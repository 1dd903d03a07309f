//! Texts to score: read from files, made unique, shifted, written as requests.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ensemble::error::{Error, Fault, Result};
use ensemble::files;
use serde_json::{Value, json};

use crate::client::{After, post};
use crate::pool::Requests;

/// A prompt, as text or messages, and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    prompt: Value,
    response: String,
}

/// The layouts in which a request may hold a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `prompt` and `response`.
    Parts,
    /// `messages`, the last one the answer.
    Messages,
}

impl Text {
    /// The same text with a number in its prompt: a text that nobody has asked about.
    pub(crate) fn numbered(&self, number: usize) -> Self {
        let mut text = self.clone();
        let content = match &mut text.prompt {
            Value::Array(messages) => messages.last_mut().map(|message| &mut message["content"]),
            prompt => Some(prompt),
        };
        if let Some(Value::String(content)) = content {
            let _ = write!(content, " ({number})");
        }
        text
    }

    /// The same prompt with another answer.
    pub(crate) fn answered(&self, answer: impl FnOnce(&str) -> String) -> Self {
        Self { prompt: self.prompt.clone(), response: answer(&self.response) }
    }

    /// As an item of a request, or as a row of a file.
    pub(crate) fn item(&self, layout: Layout) -> Value {
        if layout == Layout::Parts {
            return json!({ "prompt": self.prompt, "response": self.response });
        }
        let mut messages = match &self.prompt {
            Value::Array(messages) => messages.clone(),
            prompt => vec![json!({ "role": "user", "content": prompt })],
        };
        messages.push(json!({ "role": "assistant", "content": self.response }));
        json!({ "messages": messages })
    }

    /// The answers that a row holds: one, or the two of a pair.
    fn of_row(row: &Value) -> Vec<Self> {
        if let Some((last, prompt)) = row["messages"].as_array().and_then(|messages| messages.split_last()) {
            let response = last["content"].as_str().map(str::to_owned);
            return response.map(|response| Self { prompt: json!(prompt), response }).into_iter().collect();
        }
        let answers = ["response", "chosen", "rejected"].iter().filter_map(|field| row[field].as_str());
        let prompt = row["prompt"].clone();
        answers.map(|answer| Self { prompt: prompt.clone(), response: answer.to_owned() }).collect()
    }
}

/// The distinct texts of a file, in their order.
pub(crate) fn read(path: &Path) -> Result<Vec<Text>> {
    let (mut texts, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, line) in files::read_text(path, "the texts")?.lines().enumerate() {
        let row: Value = serde_json::from_str(line)
            .map_err(|error| Error::Data(vec![Fault::new(format!("{}:{}", path.display(), index + 1), error)]))?;
        texts.extend(Text::of_row(&row).into_iter().filter(|text| seen.insert(text.item(Layout::Parts).to_string())));
    }
    if texts.is_empty() {
        let fault = Fault::new(path.display(), "no answers in it")
            .accepts("rows of prompt and response, of messages, or of prompt, chosen and rejected");
        return Err(Error::Data(vec![fault]));
    }
    Ok(texts)
}

/// Texts without end, no two alike.
#[derive(Clone)]
pub(crate) struct Endless(Arc<Vec<Text>>);

impl Endless {
    /// Numbered copies of the texts of a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(Self(Arc::new(read(path)?)))
    }

    pub(crate) fn text(&self, number: usize) -> Text {
        self.0[number % self.0.len()].numbered(number)
    }

    /// Requests for one text each, the first of them for text `first`.
    pub(crate) fn requests(&self, address: SocketAddr, first: usize) -> Requests {
        let texts = self.clone();
        Arc::new(move |number| post(address, &body([&texts.text(first + number)]), After::Keep))
    }
}

/// The body of a request for the scores of texts.
pub(crate) fn body<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Vec<u8> {
    body_of(&texts.into_iter().map(|text| text.item(Layout::Parts)).collect::<Vec<_>>())
}

/// The body of a request for the scores of items.
pub(crate) fn body_of(items: &[Value]) -> Vec<u8> {
    json!({ "items": items }).to_string().into_bytes()
}
