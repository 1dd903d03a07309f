//! The frozen transformer: messages in, pooled hidden states out.
//!
//! Sees texts and tokens, never labels. Texts run unpadded, so the features of a text do not depend on what else is
//! embedded with it.

mod chat_template;
mod checkpoint;
mod decoder;
mod deferred;
mod encoder;
mod export;
mod fields;
mod gguf_tokenizer;
pub mod hub_cache;
#[cfg(feature = "hub")]
mod hub_client;
#[cfg(feature = "hub")]
mod hub_digest;
#[cfg(feature = "hub")]
mod hub_download;
mod hub_files;
mod hub_name;
mod locate;
mod model;
mod packed;
mod parts;
mod perplexity;
mod placement;
mod readout;
mod rendered;
mod score_head;
mod small_files;
mod text_format;
mod tokens;

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde_json::Value;

pub use chat_template::{ChatTemplate, SpecialTokens};
pub use export::{Classifier, ExportedModel, sequence_classifier, tokenizer_files};
pub use packed::kernel_names;
pub use perplexity::token_losses;
pub use placement::devices;
pub use readout::Readout;
pub use rendered::Rendered;
pub use tokens::{Convention, Cut, Encoded, Limits, TokenizerSource, Tokens};

use crate::config::{BackboneConfig, Device, Dtype, ModelPlace, Pooling};
use crate::conversation::Message;
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};
use crate::progress::{Progress, Silent};
use deferred::Deferred;
use hub_cache::RepositoryId;
use model::{Architecture, Shape, Transformer};
use score_head::ScoreHead;
use text_format::TextFiles;

/// Fewer tokens leave no room for a prompt and a response beside the special tokens.
const LEAST_TOKENS: usize = 8;

/// Changes whenever the same weights and text would give other features.
const ENGINE: &str = "packed-3";

/// The values of `model_type` in `config.json` that the decoder runs; all others are an encoder's to accept or refuse.
const DECODERS: [&str; 6] = ["llama", "mistral", "qwen2", "qwen3", "gemma3", "gemma3_text"];

/// A frozen transformer with its tokenizer and the ways its states are read out.
pub struct Backbone {
    place: ModelPlace,
    folder: PathBuf,
    max_tokens: usize,
    dtype: Dtype,
    device: Device,
    tokens: Tokens,
    template: &'static str,
    transformer: Box<dyn Transformer>,
    score_head: Option<ScoreHead>,
    shape: Shape,
    /// The layers that the readouts and the score head need, ascending.
    computed: Vec<usize>,
    readouts: Vec<Readout>,
}

impl Backbone {
    /// Opens a model and checks it against its own configuration.
    ///
    /// Without a pooling in `config` every candidate of the search is read out; [`Backbone::keep`] picks one.
    ///
    /// # Errors
    /// [`Error::Model`] when a file is missing or damaged, tensors have other shapes than the configuration says, a
    /// weight is not finite, or the asked-for layers, length, labels, device or precision do not exist; [`Error::Io`]
    /// when a file is unreadable.
    pub fn open(config: &BackboneConfig) -> Result<Self> {
        Self::open_showing(config, &Silent)
    }

    /// As [`Backbone::open`]; `progress` hears of a download.
    ///
    /// # Errors
    /// As [`Backbone::open`].
    pub fn open_showing(config: &BackboneConfig, progress: &dyn Progress) -> Result<Self> {
        Self::open_anywhere(config, None, progress)
    }

    /// As [`Backbone::open`], on one of the [`kernel_names`] of this processor instead of the best one: for tests and benches.
    ///
    /// # Errors
    /// As [`Backbone::open`], and when this processor does not run such a kernel.
    pub fn open_on_kernel(config: &BackboneConfig, kernel: &str) -> Result<Self> {
        Self::open_anywhere(config, Some(kernel), &Silent)
    }

    fn open_anywhere(config: &BackboneConfig, kernel: Option<&str>, progress: &dyn Progress) -> Result<Self> {
        let (place, path) = resolve_place(&config.place, progress)?;
        let files = locate::locate(&path)?;
        let (json, config_digest) = checkpoint::read_config(&files)?;
        let architecture = read_architecture(files.config_place(), &json)?;
        let shape = architecture.shape().clone();
        check_max_tokens(config.max_tokens, &shape)?;
        let placement = placement::place(config, architecture.as_ref(), kernel)?;
        let head = config.score_head.then(|| ScoreHead::describe(files.config_place(), &json)).transpose();
        let head = head.map_err(Error::Model)?;
        let unknown = |_: Pooling, _: &[usize]| Digest::of(b"");
        let mut readouts = readout::readouts(config, &shape, &unknown)?;
        let computed = computed_layers(&readouts, head.is_some().then_some(shape.layers));
        let deepest = computed.last().copied().unwrap_or(0);
        let mut expected = architecture.tensors(deepest);
        expected.extend(head.iter().flat_map(score_head::ScoreHeadShape::tensors));
        // Both take a while, and neither needs the other.
        let ((tokens, template), weights) = std::thread::scope(|scope| {
            let weights = scope.spawn(|| checkpoint::read(&files, &expected));
            let text = TextFiles::read(&files).and_then(|text| text.fit(config.max_tokens, &shape));
            let weights = weights.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok::<_, Error>((text?, weights?))
        })?;
        let digests = [&config_digest, &tokens.digest(), &weights.digest];
        for readout in &mut readouts {
            readout.fingerprint = fingerprint(config, readout, &digests);
        }
        let refused = |error: candle_core::Error| {
            Error::Model(vec![Fault::new(path.display(), format!("the weights do not load: {error}"))])
        };
        let score_head = head.map(|head| head.load(&weights)).transpose().map_err(refused)?;
        // A card that has no room for the weights is to say so now, not hours later.
        let transformer: Box<dyn Transformer> = if placement.device.is_cpu() {
            Box::new(Deferred::new(architecture, weights, deepest, placement))
        } else {
            architecture.load(&weights, deepest, &placement).map_err(refused)?
        };
        Ok(Self {
            place,
            folder: path,
            max_tokens: config.max_tokens,
            dtype: config.dtype,
            device: config.device,
            tokens,
            template,
            transformer,
            score_head,
            shape,
            computed,
            readouts,
        })
    }

    /// The kernel that computes, one of [`kernel_names`]; `None` where candle does.
    pub fn kernel(&self) -> Option<&'static str> {
        self.transformer.kernel()
    }

    /// Whether texts that are read together and begin alike are computed alike only once.
    pub fn shares_prompts(&self) -> bool {
        self.shape.causal && self.kernel().is_some()
    }

    /// The ways the states are read out, each with a fingerprint of its own; one unless a search is on.
    pub fn readouts(&self) -> &[Readout] {
        &self.readouts
    }

    /// Keeps one readout of a search.
    #[must_use]
    pub fn keep(mut self, index: usize) -> Self {
        if index < self.readouts.len() {
            self.readouts = vec![self.readouts.swap_remove(index)];
            self.computed = computed_layers(&self.readouts, self.score_head.is_some().then_some(self.shape.layers));
        }
        self
    }

    /// The first readout, the only one unless a search is on.
    pub fn readout(&self) -> &Readout {
        &self.readouts[0]
    }

    /// Digest of everything that decides the features of the first readout.
    pub fn fingerprint(&self) -> Digest {
        self.readout().fingerprint
    }

    /// Numbers per feature vector of a readout: the pooled states, then the score head's labels if it is read.
    pub fn width(&self, readout: &Readout) -> usize {
        self.shape.width * readout.layers.len() + self.labels().len()
    }

    /// The labels of the checkpoint's own score head, whose scores are the last columns of every feature vector;
    /// empty when no objective asks for them.
    pub fn labels(&self) -> &[String] {
        self.score_head.as_ref().map_or(&[], ScoreHead::labels)
    }

    /// Where the model is: as configured, but a hub revision is the commit it stands for.
    pub fn place(&self) -> &ModelPlace {
        &self.place
    }

    /// The folder or file on disk.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// One line about the architecture, for people.
    pub fn architecture(&self) -> &str {
        &self.shape.line
    }

    /// The longest input in tokens.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The precision of the products.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Where the transformer runs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// How a conversation becomes token ids: a name for people, and the digest of tokenizer and template.
    pub fn template(&self) -> (&str, Digest) {
        (self.template, self.tokens.digest())
    }

    /// The text the model reads of a prompt and a response.
    ///
    /// # Errors
    /// [`Error::Model`] when the chat template refuses the conversation.
    pub fn render(&self, prompt: &[Message], response: &str) -> Result<Rendered> {
        self.tokens.render(prompt, response)
    }

    /// Turns a rendered text into token ids, cutting what does not fit.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer fails on the text.
    pub fn encode(&self, rendered: &Rendered) -> Result<Encoded> {
        self.tokens.encode(rendered)
    }

    /// The features of `texts`, in their order, each one vector per readout. A text's features have the same bits
    /// whatever stands beside it.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a feature is not finite, [`Error::Model`] when the forward pass fails.
    pub fn features(&self, texts: &[&Encoded]) -> Result<Vec<Vec<Vec<f32>>>> {
        let vectors = self.forward(texts).map_err(|error| {
            Error::Model(vec![Fault::new(files::shown(&self.folder), format!("the forward pass failed: {error}"))])
        })?;
        if vectors.iter().flatten().flatten().all(|value| value.is_finite()) {
            return Ok(vectors);
        }
        Err(Error::Numeric(vec![
            Fault::new(files::shown(&self.folder), "the backbone gave a feature that is not a finite number")
                .help("the weights may be damaged, or made for another precision: fetch the model again"),
        ]))
    }

    fn forward(&self, texts: &[&Encoded]) -> candle_core::Result<Vec<Vec<Vec<f32>>>> {
        let states = self.transformer.states(texts, &self.computed)?;
        texts.iter().zip(&states).map(|(text, states)| self.read(text, states)).collect()
    }

    /// The vectors of one text, one per readout, from its states in the computed layers.
    fn read(&self, encoded: &Encoded, states: &[Tensor]) -> candle_core::Result<Vec<Vec<f32>>> {
        let scores = match (&self.score_head, states.last()) {
            (Some(head), Some(last)) => head.scores(last, &encoded.ids)?,
            _ => Vec::new(),
        };
        let vector = |readout: &Readout| {
            let mut features = readout.pool(states, &self.computed, encoded)?;
            features.extend(&scores);
            Ok(features)
        };
        self.readouts.iter().map(vector).collect()
    }
}

/// The folder or file of a model, and its place with the revision pinned.
fn resolve_place(place: &ModelPlace, progress: &dyn Progress) -> Result<(ModelPlace, PathBuf)> {
    match place {
        ModelPlace::Disk(path) => Ok((place.clone(), PathBuf::from(files::shown(path)))),
        ModelPlace::Hub { repository, revision } => {
            let snapshot = hub_cache::resolve(&RepositoryId::parse(repository)?, revision, progress)?;
            let place = ModelPlace::Hub { repository: repository.clone(), revision: snapshot.commit };
            Ok((place, snapshot.folder))
        }
    }
}

/// The family that `config.json` names.
fn read_architecture(place: &Path, config: &Value) -> Result<Box<dyn Architecture>> {
    let kind = config["model_type"].as_str().unwrap_or_default();
    let read = if DECODERS.contains(&kind) { decoder::read } else { encoder::read };
    read(place, config).map_err(Error::Model)
}

/// The layers that are pooled, and the one the score head reads, ascending.
fn computed_layers(readouts: &[Readout], scored: Option<usize>) -> Vec<usize> {
    let mut layers: Vec<usize> = readouts.iter().flat_map(|readout| readout.layers.clone()).chain(scored).collect();
    layers.sort_unstable();
    layers.dedup();
    layers
}

fn check_max_tokens(max_tokens: usize, shape: &Shape) -> Result<()> {
    let most = shape.positions;
    if (LEAST_TOKENS..=most).contains(&max_tokens) {
        return Ok(());
    }
    Err(Error::Model(vec![
        Fault::new("backbone.max_tokens", format!("{max_tokens} tokens do not fit this model's positions"))
            .accepts(format!("{LEAST_TOKENS} to {most}"))
            .help(format!("set backbone.max_tokens to {most} or less")),
    ]))
}

/// The device is no part of it: another one rounds otherwise, but means the same features.
fn fingerprint(config: &BackboneConfig, readout: &Readout, parts: &[&Digest]) -> Digest {
    let mut settings =
        format!("{ENGINE} {:?} {:?} {} {}", readout.pooling, readout.layers, config.max_tokens, config.score_head);
    settings.push_str(match config.dtype {
        Dtype::F32 => "",
        Dtype::Bf16 => " bf16",
        // Rounded in other steps since features were first made in 8 bits.
        Dtype::Int8 => " int8-2",
    });
    let digests = parts.iter().map(|digest| digest.0.as_slice());
    Digest::of_parts(std::iter::once(settings.as_bytes()).chain(digests))
}
