//! The frozen transformer: texts in, pooled hidden states out.
//!
//! Sees texts and tokens, never labels. One text runs per forward pass, unpadded, so the features of a text do not
//! depend on what else is embedded with it.

mod checkpoint;
mod encoder;
mod locate;
mod tokens;

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

pub use tokens::{Cut, Encoded};

use crate::config::{BackboneConfig, Pooling};
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};
use encoder::Encoder;
use tokens::Tokens;

/// Fewer tokens leave no room for a prompt and a response beside the special tokens.
const LEAST_TOKENS: usize = 8;

/// Changes whenever the same weights and text would give other features.
const ENGINE: &str = "candle-bert-f32-1";

/// A frozen encoder with its tokenizer and pooling.
pub struct Backbone {
    config: BackboneConfig,
    tokens: Tokens,
    encoder: Encoder,
    layers: Vec<usize>,
    fingerprint: Digest,
    architecture: String,
}

impl Backbone {
    /// Opens a Hugging Face model folder of the BERT family and checks it against its own configuration.
    ///
    /// # Errors
    /// [`Error::Model`] when a file is missing or damaged, tensors have other shapes than the configuration says, a
    /// weight is not finite, or the asked-for layers or length do not exist; [`Error::Io`] when a file is unreadable.
    pub fn open(config: &BackboneConfig) -> Result<Self> {
        let folder = locate::locate(Path::new(&files::shown(&config.path)))?;
        let model = encoder::EncoderConfig::read(&folder.config)?;
        let layers = resolve_layers(config, &model)?;
        check_max_tokens(config, &model)?;
        let tokens = Tokens::open(&folder.tokenizer, config.max_tokens, model.vocab_size)?;
        let deepest = layers.iter().copied().max().unwrap_or(0);
        let weights = checkpoint::read(&folder.weights, &model)?;
        let fingerprint = fingerprint(config, &layers, &[&model.digest, &tokens.digest, &weights.digest]);
        let encoder = Encoder::load(&model, weights, deepest)?;
        let architecture = format!("BERT, {} layers, {} wide", model.num_hidden_layers, model.hidden_size);
        Ok(Self { config: config.clone(), tokens, encoder, layers, fingerprint, architecture })
    }

    /// Digest of everything that decides the features: weights, configuration, tokenizer, pooling, layers, limits.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// Numbers per feature vector: hidden width × pooled layers.
    pub fn width(&self) -> usize {
        self.encoder.width() * self.layers.len()
    }

    /// The model folder as configured.
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    /// One line about the architecture, for people.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Turns a rendered prompt and a response into token ids, cutting what does not fit.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer fails on the text.
    pub fn encode(&self, prompt: &str, response: &str) -> Result<Encoded> {
        self.tokens.encode(prompt, response)
    }

    /// The pooled features of one text, `(width)`.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a feature is not finite, [`Error::Model`] when the forward pass fails.
    pub fn features(&self, encoded: &Encoded) -> Result<Vec<f32>> {
        let states = self.encoder.forward(encoded).map_err(|error| forward_error(&self.config.path, &error))?;
        let mut features = Vec::with_capacity(self.width());
        for &layer in &self.layers {
            let pooled = pool(&states[layer], encoded, self.config.pooling)
                .map_err(|error| forward_error(&self.config.path, &error))?;
            features.extend(pooled);
        }
        if features.iter().all(|value| value.is_finite()) {
            return Ok(features);
        }
        Err(Error::Numeric(vec![
            Fault::new(files::shown(&self.config.path), "the backbone gave a feature that is not a finite number")
                .help("the weights may be damaged, or made for another precision: fetch the model again"),
        ]))
    }
}

fn forward_error(path: &Path, error: &candle_core::Error) -> Error {
    Error::Model(vec![Fault::new(path.display(), format!("the forward pass failed: {error}"))])
}

/// Pools `(tokens, width)` states to one vector, summing in token order in f64.
fn pool(states: &Tensor, encoded: &Encoded, pooling: Pooling) -> candle_core::Result<Vec<f32>> {
    let range = match pooling {
        Pooling::Cls => 0..1,
        Pooling::MeanAll => 0..encoded.ids.len(),
        // A response without a token (white space, unknown control characters) has no state of its own: the whole
        // text stands for it.
        Pooling::MeanResponse if encoded.response.is_empty() => 0..encoded.ids.len(),
        Pooling::MeanResponse => encoded.response.clone(),
    };
    let rows = states.narrow(0, range.start, range.len())?.to_device(&Device::Cpu)?.to_vec2::<f32>()?;
    let mut sums = vec![0f64; states.dim(1)?];
    for row in &rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    Ok(sums.iter().map(|sum| (sum / rows.len() as f64) as f32).collect())
}

/// Turns -1 for the last layer and the like into layer numbers; 0 is the embedding output.
fn resolve_layers(config: &BackboneConfig, model: &encoder::EncoderConfig) -> Result<Vec<usize>> {
    let count = model.num_hidden_layers as i64;
    let resolve = |layer: i64| if layer < 0 { count + 1 + layer } else { layer };
    let bad: Vec<i64> = config.layers.iter().copied().filter(|&layer| !(0..=count).contains(&resolve(layer))).collect();
    let place = format!("backbone.layers of {}", files::shown(&config.path));
    if !bad.is_empty() {
        return Err(Error::Model(vec![
            Fault::new(place, format!("the model has no layer {}", list(&bad)))
                .accepts(format!("0 (embeddings) to {count}, or -1 (last) to -{}", count + 1)),
        ]));
    }
    let layers: Vec<usize> = config.layers.iter().map(|&layer| resolve(layer) as usize).collect();
    let again = (1..layers.len()).find(|&index| layers[..index].contains(&layers[index]));
    match again {
        None => Ok(layers),
        Some(index) => Err(Error::Model(vec![
            Fault::new(place, format!("{} names layer {} a second time", config.layers[index], layers[index]))
                .accepts("every layer once")
                .help(format!("remove {} from the list", config.layers[index])),
        ])),
    }
}

fn list(layers: &[i64]) -> String {
    layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn check_max_tokens(config: &BackboneConfig, model: &encoder::EncoderConfig) -> Result<()> {
    let most = model.max_position_embeddings;
    if (LEAST_TOKENS..=most).contains(&config.max_tokens) {
        return Ok(());
    }
    let place = format!("backbone.max_tokens of {}", files::shown(&config.path));
    Err(Error::Model(vec![
        Fault::new(place, format!("{} tokens do not fit this model's positions", config.max_tokens))
            .accepts(format!("{LEAST_TOKENS} to {most}"))
            .help(format!("set backbone.max_tokens to {most} or less")),
    ]))
}

fn fingerprint(config: &BackboneConfig, layers: &[usize], parts: &[&Digest]) -> Digest {
    let settings = format!("{ENGINE} {:?} {layers:?} {} {}", config.pooling, config.max_tokens, tokens::CONVENTION);
    let digests = parts.iter().map(|digest| digest.0.as_slice());
    Digest::of_parts(std::iter::once(settings.as_bytes()).chain(digests))
}

/// The files of one model folder.
struct ModelFolder {
    config: PathBuf,
    tokenizer: PathBuf,
    weights: PathBuf,
}
