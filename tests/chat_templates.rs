//! Every rendering equals transformers', byte for byte, and where transformers raises, we report a fault.
//!
//! Fixtures: `fixtures/make_chat_templates.py`. `ENSEMBLE_CHAT_TEMPLATES` may name another folder made by it, for
//! example one with the templates of published models.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ensemble::backbone::{ChatTemplate, SpecialTokens};
use ensemble::conversation::{Message, Role};
use ensemble::error::Result;
use serde::Deserialize;

#[derive(Deserialize)]
struct Given {
    tokens: BTreeMap<String, String>,
    conversations: Vec<Vec<(String, String)>>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: usize,
    add_generation_prompt: bool,
    text: Option<String>,
    error: Option<String>,
}

impl Given {
    fn tokens(&self) -> SpecialTokens {
        let token = |name: &str| self.tokens.get(name).cloned();
        let (bos, eos) = (token("bos_token"), token("eos_token"));
        SpecialTokens { bos, eos, pad: token("pad_token"), unk: token("unk_token"), adds_bos: false }
    }

    fn messages(&self, conversation: usize) -> Vec<Message> {
        let role = |word: &str| match word {
            "system" => Role::System,
            "user" => Role::User,
            _ => Role::Assistant,
        };
        let message = |(word, content): &(String, String)| Message { role: role(word), content: content.clone() };
        self.conversations[conversation].iter().map(message).collect()
    }
}

/// What is unlike in the two outcomes of a case, if anything.
fn difference(rendered: &Result<String>, case: &Case) -> Option<String> {
    match (rendered, &case.text) {
        (Ok(ours), Some(theirs)) if ours == theirs => None,
        (Err(_), None) => None,
        (Ok(ours), Some(theirs)) => {
            let same = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
            let near = |text: &str| String::from_utf8_lossy(&text.as_bytes()[same.saturating_sub(20)..]).into_owned();
            let part = |text: &str| near(text).chars().take(60).collect::<String>();
            Some(format!("at byte {same} ours {:?}, theirs {:?}", part(ours), part(theirs)))
        }
        // The one known difference, named in the fixtures' README: a loop over none runs zero times.
        (Ok(_), None)
            if case.error.as_deref().is_some_and(|said| said.contains("'NoneType' object is not iterable")) =>
        {
            None
        }
        (Ok(_), None) => Some(format!("we render, transformers raises {:?}", case.error)),
        (Err(error), Some(_)) => Some(format!("transformers renders, we say {error}")),
    }
}

/// Compares every rendering of a folder: how many there are, of how many templates, and what differs.
fn compare(folder: &Path) -> (usize, usize, Vec<String>) {
    let expected = std::fs::read_to_string(folder.join("expected.jsonl")).expect("fixture");
    let mut lines = expected.lines();
    let given: Given = serde_json::from_str(lines.next().expect("a first line")).expect("fixture");
    let (mut count, mut templates, mut unlike) = (0, BTreeSet::new(), Vec::new());
    for case in lines.map(|line| serde_json::from_str::<Case>(line).expect("fixture")) {
        let text = std::fs::read_to_string(folder.join(&case.template)).expect("fixture");
        let template = ChatTemplate::new(&text, &case.template, given.tokens());
        let messages = given.messages(case.conversation);
        let rendered = template.and_then(|template| template.render(&messages, case.add_generation_prompt));
        if let Some(found) = difference(&rendered, &case) {
            unlike.push(format!("{}, conversation {}: {found}", case.template, case.conversation));
        }
        count += 1;
        templates.insert(case.template);
    }
    (count, templates.len(), unlike)
}

#[test]
fn every_rendering_equals_transformers() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat_templates");
    let (count, templates, unlike) = compare(&folder);
    assert!(count >= 80 && templates >= 8, "{count} renderings of {templates} templates");
    assert!(unlike.is_empty(), "{} of {count} differ:\n{}", unlike.len(), unlike.join("\n"));
}

#[test]
fn templates_of_published_models_equal_transformers_where_they_are_at_hand() {
    let Ok(folder) = std::env::var("ENSEMBLE_CHAT_TEMPLATES") else { return };
    let (count, _, unlike) = compare(Path::new(&folder));
    assert!(count > 0 && unlike.is_empty(), "{} of {count} differ:\n{}", unlike.len(), unlike.join("\n"));
}
