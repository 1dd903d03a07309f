//! What `manifest.json` says, and the checks it must pass before anything it names is opened.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::combine::{Combination, Combiner};
use crate::config::{Dtype, Pooling, Rule};
use crate::error::{Error, Fault, Result};
use crate::normalize::{Normalizer, SHARES};

/// The manifest format this build writes and reads.
pub const FORMAT: u32 = 3;

/// The whole manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of this file.
    pub format: u32,
    /// The program that wrote it.
    pub created_by: String,
    /// The run's name.
    pub name: String,
    /// The frozen backbone the heads belong to.
    pub backbone: BackboneEntry,
    /// How normalized scores become one number.
    pub combine: Combination,
    /// The heads.
    pub objectives: Vec<ObjectiveEntry>,
    /// How the training texts are distributed; absent when no head was trained.
    pub training: Option<TrainingEntry>,
    /// Texts with their token ids and scores, recomputed whenever the registry is opened.
    pub golden: Vec<Golden>,
}

/// Which backbone, and how its states become features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneEntry {
    /// Where the model is.
    pub place: PlaceEntry,
    /// Digest of weights, configuration, tokenizer, pooling and limits.
    pub fingerprint: String,
    /// One line about the architecture.
    pub architecture: String,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Pooled layers; 0 is the embedding output.
    pub layers: Vec<usize>,
    /// The longest input in tokens.
    pub max_tokens: usize,
    /// The precision of the products; manifests that do not say so are of f32.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
    /// Numbers per feature vector.
    pub width: usize,
    /// The labels of the checkpoint's own score head, whose scores are the last columns; empty when it is not used.
    pub labels: Vec<String>,
    /// How a conversation becomes one text.
    pub template: String,
    /// Digest of the template.
    pub template_digest: String,
}

/// Where a model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceEntry {
    /// A model folder or GGUF file, relative to the registry folder.
    Path(String),
    /// A model of the hub at one commit.
    Hub {
        /// `owner/name`.
        repository: String,
        /// The commit.
        revision: String,
    },
}

/// One objective's head with what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveEntry {
    /// The objective's name.
    pub name: String,
    /// What the labelers were asked.
    pub question: String,
    /// Its weight in the combined score.
    pub weight: f64,
    /// The head's file, relative to the registry folder.
    pub head: String,
    /// Digest of that file.
    pub head_digest: String,
    /// Calibrated to normalized scores.
    pub normalizer: Normalizer,
    /// The same for prompts of a domain, where it has a normalizer of its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domains: BTreeMap<String, Normalizer>,
    /// What the normalizer was fitted on.
    pub reference: ReferenceEntry,
    /// The L2 penalty; absent for a checkpoint's own head.
    pub l2: Option<f64>,
    /// Gradient norm at the optimum; absent for a checkpoint's own head.
    pub gradient_norm: Option<f64>,
    /// Pairs by who labelled them.
    pub labels: BTreeMap<String, usize>,
    /// Digests of the data files' contents.
    pub data: BTreeMap<String, String>,
    /// Held-out quality.
    pub quality: Quality,
}

/// The calibrated scores of the responses that a normalizer was fitted on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceEntry {
    /// `calibration split`, or what the config names, relative to the registry folder.
    pub source: String,
    /// How many responses.
    pub responses: usize,
    /// Mean of their scores.
    pub mean: f64,
    /// Standard deviation of their scores (n − 1).
    pub deviation: f64,
    /// Quantiles of their scores at [`SHARES`]: 0, 1, 5, 25, 50, 75, 95, 99 and 100 %.
    pub quantiles: [f64; SHARES.len()],
}

/// The distribution of the training texts' features, by which new texts are called near or far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingEntry {
    /// Its file, relative to the registry folder.
    pub file: String,
    /// Digest of that file.
    pub digest: String,
    /// Training texts.
    pub texts: usize,
    /// Texts of the calibration split, with whose distances new ones are compared.
    pub compared_with: usize,
}

/// Held-out quality of one head; absent numbers were undefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// Test pairs.
    pub test_pairs: usize,
    /// Share of test pairs ranked right, ties ½.
    pub accuracy: Option<f64>,
    /// 95% interval clustered by prompt.
    pub interval: Option<(f64, f64)>,
    /// Mean log-loss on test pairs.
    pub log_loss: Option<f64>,
    /// Expected calibration error on test pairs.
    pub calibration_error: Option<f64>,
}

/// One message of a golden example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenMessage {
    /// system, user or assistant.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// A text whose ids and scores were recorded at training time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The conversation, the scored response last.
    pub messages: Vec<GoldenMessage>,
    /// Its token ids.
    pub ids: Vec<u32>,
    /// Calibrated score per objective.
    pub raw: Vec<f64>,
    /// The combined score.
    pub combined: f64,
}

impl Manifest {
    /// Pretty JSON with a final newline; the same manifest gives the same bytes.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`Error::Registry`] when it is not JSON, of another format, or inconsistent in itself.
    pub fn from_json(text: &str, path: &Path) -> Result<Self> {
        /// Read first, because another format may have other fields.
        #[derive(Deserialize)]
        struct Header {
            format: u32,
            #[serde(default)]
            created_by: String,
        }
        let damaged = |error: serde_json::Error| {
            let (line, column, message) = (error.line(), error.column(), error.to_string());
            let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
            let message = if error.is_eof() { "it ends too early" } else { message };
            Error::Registry(vec![
                Fault::new(
                    format!("{}:{line}:{column}", path.display()),
                    format!("not a manifest this build reads: {message}"),
                )
                .help("the file is damaged or was edited by hand: train again"),
            ])
        };
        let header: Header = serde_json::from_str(text).map_err(damaged)?;
        if header.format != FORMAT {
            let (format, by) = (header.format, header.created_by);
            return Err(Error::Registry(vec![
                Fault::new(path.display(), format!("written in format {format} by \"{by}\""))
                    .accepts(format!("format {FORMAT}"))
                    .help("use the version that wrote it, or train again with this one"),
            ]));
        }
        let manifest: Self = serde_json::from_str(text).map_err(damaged)?;
        let faults = manifest.faults(path);
        if faults.is_empty() { Ok(manifest) } else { Err(Error::Registry(faults)) }
    }

    /// The rule with the objectives' weights.
    ///
    /// # Errors
    /// Every number that cannot serve.
    pub fn combiner(&self) -> Result<Combiner, Vec<Fault>> {
        let objectives = self.objectives.iter().map(|entry| (entry.name.clone(), entry.weight)).collect();
        Combiner::new(objectives, self.combine.clone())
    }

    fn faults(&self, path: &Path) -> Vec<Fault> {
        let mut found = Vec::new();
        if self.objectives.is_empty() {
            found.push("no objective in it".to_owned());
        }
        for entry in &self.objectives {
            let name = &entry.name;
            found.extend(misnamed(&format!("head of \"{name}\""), &entry.head, &entry.head_digest));
            if !entry.normalizer.is_sound() {
                found.push(format!("normalizer of \"{name}\" has numbers that cannot serve"));
            }
            if self.combine.rule == Rule::Geometric && entry.weight > 0.0 && !entry.normalizer.gives_shares() {
                found.push(format!("normalizer of \"{name}\" gives no scores from 0 to 1 for the rule geometric"));
            }
            for (domain, _) in entry.domains.iter().filter(|(_, normalizer)| !normalizer.is_sound()) {
                found.push(format!("normalizer of \"{name}\" in domain \"{domain}\" has numbers that cannot serve"));
            }
        }
        if !self.objectives.is_empty() {
            found.extend(self.combiner().err().into_iter().flatten().map(|fault| fault.found));
        }
        if let Some(entry) = &self.training {
            found.extend(misnamed("training distribution", &entry.file, &entry.digest));
        }
        let count = self.objectives.len();
        if self.golden.is_empty() || self.golden.iter().any(|golden| golden.raw.len() != count) {
            found.push("golden examples are missing or do not cover every objective".to_owned());
        }
        found.into_iter().map(|found| Fault::new(path.display(), found).help("train again")).collect()
    }
}

/// What is wrong with the name or the digest of a stored file.
fn misnamed(what: &str, file: &str, digest: &str) -> Option<String> {
    let name = file.strip_prefix("heads/").unwrap_or("");
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Some(format!("the file {file} of the {what} is not a plain name under heads/"));
    }
    let hexadecimal = digest.len() == 64 && digest.is_ascii();
    (!hexadecimal).then(|| format!("the digest of the {what} is not 64 hexadecimal digits"))
}
