//! Which text does this model read? Its tokenizer, special tokens and chat template, from the files that have them.

use std::path::Path;

use serde_json::Value;

use super::checkpoint::Gguf;
use super::fields::shown;
use super::locate::{ModelFiles, WeightFiles};
use super::model::Shape;
use super::{ChatTemplate, Convention, Limits, SpecialTokens, TokenizerSource, Tokens, gguf_tokenizer, small_files};
use crate::error::{Error, Fault, Result};

/// Names of the conventions, for people.
const PAIR: &str = "prompt and response as two segments";
const CHAT: &str = "the model's own chat template";
const DATED: &str = "the model's own chat template, which is told that today is 26 July 2024";
const PLAIN: &str = "plain turns";
const AGAIN: &str = "fetch the file again";

/// A JSON file about the tokenizer: an object.
fn json(path: &Path) -> Result<Value> {
    const ACCEPTED: &str = "an object, as the model's repository has it";
    let text = small_files::read_text(path, "the tokenizer's configuration")?;
    let value = small_files::parse_json(path, &text, ACCEPTED, AGAIN)?;
    if value.is_object() {
        return Ok(value);
    }
    let fault = Fault::new(path.display(), format!("found {}", shown(&value)));
    Err(Error::Model(vec![fault.accepts(ACCEPTED).help(AGAIN)]))
}

/// Refuses a chat template that would be passed over in silence; `elsewhere` says that it has a file of its own.
fn check_template(path: &Path, config: &Value, elsewhere: bool) -> Result<()> {
    match config.get("chat_template").filter(|template| !template.is_null() && !elsewhere) {
        Some(template) if ChatTemplate::text_in(config).is_none() => {
            let fault = Fault::new(format!("{}: chat_template", path.display()), format!("found {}", shown(template)));
            let fault = fault.accepts("a text, or a list of named templates of which one is \"default\"");
            let help = "fetch the file again, or remove chat_template to have plain turns";
            Err(Error::Model(vec![fault.help(help)]))
        }
        _ => Ok(()),
    }
}

/// A model's tokenizer with what is known about its texts.
pub(super) struct TextFiles {
    source: TokenizerSource,
    special: SpecialTokens,
    /// The chat template and where it was read.
    template: Option<(String, String)>,
}

impl TextFiles {
    /// Reads `tokenizer.json` with `tokenizer_config.json` and `chat_template.jinja` beside it, or what a GGUF file says
    /// of itself.
    ///
    /// # Errors
    /// [`Error::Model`] when a file is damaged, [`Error::Io`] when one is unreadable.
    pub(super) fn read(files: &ModelFiles) -> Result<Self> {
        let place = files.weights.path().display().to_string();
        let gguf = match &files.weights {
            WeightFiles::Gguf(path) if files.tokenizer.is_none() || files.tokenizer_config.is_none() => {
                Some(Gguf::open(path)?)
            }
            _ => None,
        };
        let (mut special, mut template) = (SpecialTokens::default(), None);
        if let Some(gguf) = &gguf {
            let said = gguf_tokenizer::frame(gguf)?;
            special = SpecialTokens { bos: said.bos, eos: said.eos, adds_bos: said.adds_bos, ..special };
            template = said.chat_template.map(|text| (text, place.clone()));
        }
        if let Some(path) = &files.special_tokens_map {
            special = special.or(SpecialTokens::from_tokenizer_config(&json(path)?));
        }
        if let Some(path) = &files.tokenizer_config {
            let config = json(path)?;
            check_template(path, &config, files.chat_template.is_some())?;
            special = SpecialTokens::from_tokenizer_config(&config).or(special);
            let text = ChatTemplate::text_in(&config).map(|text| (text.to_owned(), path.display().to_string()));
            template = text.or(template);
        }
        if let Some(path) = &files.chat_template {
            template = Some((small_files::read_text(path, "the chat template")?, path.display().to_string()));
        }
        let source = match (&files.tokenizer, &gguf) {
            (Some(path), _) => TokenizerSource::read(path)?,
            (None, Some(gguf)) => TokenizerSource::ready(gguf_tokenizer::read(gguf)?, &place)?,
            (None, None) => return Err(Error::Model(vec![Fault::new(place, "the model has no tokenizer")])),
        };
        Ok(Self { source, special, template })
    }

    /// The tokenizer fitted to a model, and the name of its convention.
    ///
    /// # Errors
    /// [`Error::Model`] when tokenizer, template, limit and model do not go together.
    pub(super) fn fit(self, max_tokens: usize, shape: &Shape) -> Result<(Tokens, &'static str)> {
        let limits = Limits { max_tokens, vocabulary: shape.vocabulary };
        let (convention, name) = match self.template {
            _ if !shape.causal => (Convention::Pair, PAIR),
            Some((text, place)) => {
                let template = ChatTemplate::new(&text, &place, self.special)?;
                let name = if template.uses_date() { DATED } else { CHAT };
                (Convention::Chat(Box::new(template)), name)
            }
            None => (Convention::Plain(self.special), PLAIN),
        };
        Ok((Tokens::open(self.source, convention, limits)?, name))
    }

    /// The ids of the padding and the unknown token, which can fill up a batch, where there are such tokens.
    pub(super) fn fillers(&self) -> Vec<u32> {
        let tokens = [&self.special.pad, &self.special.unk];
        tokens.into_iter().flatten().filter_map(|token| self.source.id(token)).collect()
    }

    /// `tokenizer.json` and `tokenizer_config.json` as transformers reads them.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer cannot be written as JSON.
    pub(super) fn written(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut config = serde_json::Map::new();
        config.insert("tokenizer_class".to_owned(), "PreTrainedTokenizerFast".into());
        let tokens = [("bos_token", &self.special.bos), ("eos_token", &self.special.eos)];
        let more = [("pad_token", &self.special.pad), ("unk_token", &self.special.unk)];
        for (name, token) in tokens.into_iter().chain(more) {
            if let Some(token) = token {
                config.insert(name.to_owned(), token.as_str().into());
            }
        }
        if let Some((template, _)) = &self.template {
            config.insert("chat_template".to_owned(), template.as_str().into());
        }
        Ok(vec![
            ("tokenizer.json".to_owned(), self.source.to_json()?.into_bytes()),
            ("tokenizer_config.json".to_owned(), format!("{:#}\n", Value::Object(config)).into_bytes()),
        ])
    }
}
