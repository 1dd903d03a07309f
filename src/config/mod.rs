//! What a run is to do: the checked configuration.
//!
//! `document` reads the YAML files into trees of `node`s and applies `overrides`; `shape` checks the trees against the
//! `schema` that is generated from the structs of `raw`; `check` checks what the values mean together and gives a
//! [`Config`], or every fault at once, shown by `diagnostic` with file, line and column. Nothing right of this module
//! sees a raw value. All paths of a [`Config`] are absolute, resolved against the file that named them.

mod check;
mod columns;
mod diagnostic;
mod document;
mod format;
mod head;
mod inputs;
mod label_rule;
mod node;
mod overrides;
mod paths;
mod placement;
mod raw;
mod rule;
mod schema;
mod shape;
mod source_argument;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use check::{HOLISTIC_SCORE, load};
pub use columns::FIELDS;
pub use format::Format;
pub use head::{ControlConfig, ControlMode, HeadConfig, HeadKind, Loss, MlpConfig, Probe};
pub use inputs::data_extension;
pub use label_rule::{Criterion, Pattern, RuleConfig, RuleKind};
pub use placement::{Device, Dtype};
pub use rule::{CombineConfig, LARGEST, Rule};
pub use schema::{OBJECTIVE_SCHEMA_FILE, RUN_SCHEMA_FILE, objective_schema, run_schema};
pub use source_argument::SourceArgument;

/// A whole run, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The run's name; names the registry and the report folder by default.
    pub name: String,
    /// The YAML file this came from.
    pub file: PathBuf,
    /// Which frozen transformer, and how its states become features.
    pub backbone: BackboneConfig,
    /// The reward dimensions, in the order of the file.
    pub objectives: Vec<ObjectiveConfig>,
    /// How the normalized scores become one number.
    pub combine: CombineConfig,
    /// Pairs that say which answer is better all things considered; used only to judge the combined score.
    pub holistic: Vec<SourceConfig>,
    /// Responses on which the normalizers are fitted; `None` means: the calibration split's.
    pub reference: Option<ReferenceConfig>,
    /// Where registry, report and feature cache go.
    pub output: OutputConfig,
}

/// Which frozen transformer to use, and how its hidden states become one feature vector.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneConfig {
    /// Where the model is.
    pub place: ModelPlace,
    /// The longest input in tokens, special tokens included; longer ones are cut and counted.
    pub max_tokens: usize,
    /// How token states become one vector; `None` means: chosen on the calibration split.
    pub pooling: Option<Pooling>,
    /// Layers whose pooled states are concatenated: 0 is the embedding output, 1 the first layer, -1 the last. `None`
    /// means the last but one, or, without a pooling, chosen together with it.
    pub layers: Option<Vec<i64>>,
    /// The precision of the products.
    pub dtype: Dtype,
    /// Where the transformer runs.
    pub device: Device,
    /// Whether an objective is the checkpoint's own score head, so that its labels must be computed too.
    pub score_head: bool,
}

/// Where a model is.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelPlace {
    /// A model folder or GGUF file on disk.
    Disk(PathBuf),
    /// A model of the hub, in the local cache or to be downloaded.
    Hub {
        /// `owner/name`.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
    },
}

/// How the states of the tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over the response's tokens.
    MeanResponse,
    /// Mean over all tokens, special tokens included.
    MeanAll,
    /// The first token, `[CLS]` in encoders.
    Cls,
    /// The last token, which has seen the whole text in a causal decoder.
    LastToken,
}

impl Pooling {
    /// Every way, in the order in which a search tries them.
    pub const ALL: [Self; 4] = [Self::MeanResponse, Self::MeanAll, Self::Cls, Self::LastToken];

    /// Its name in configs and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::MeanResponse => "mean_response",
            Self::MeanAll => "mean_all",
            Self::Cls => "cls",
            Self::LastToken => "last_token",
        }
    }
}

/// One reward dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveConfig {
    /// Its name: `[a-z][a-z0-9_-]{0,62}`, unique in the run.
    pub name: String,
    /// The YAML file this came from.
    pub file: PathBuf,
    /// What the labelers were asked.
    pub question: String,
    /// Its weight in the combined score.
    pub weight: f64,
    /// Who labelled the pairs, unless a source or a row says otherwise.
    pub labels: LabelSource,
    /// Where the pairs come from.
    pub data: Vec<SourceConfig>,
    /// The head to train, or the checkpoint's own.
    pub head: HeadKind,
    /// How raw scores become normalized ones.
    pub normalizer: NormalizerKind,
}

/// Who or what decided which answer of a pair is better.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LabelSource {
    /// People.
    Human,
    /// A model acting as judge.
    Ai,
    /// A rule, or a truth known by construction.
    Rule,
}

impl LabelSource {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Ai => "ai",
            Self::Rule => "rule",
        }
    }
}

/// One source of preference data and how to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// What the source names: a file, a folder or a pattern.
    pub path: PathBuf,
    /// The files that are read, each once, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Names of files in the folder that are not read because nothing is known to end so.
    pub skipped: Vec<String>,
    /// Columns under other names: the field that the formats know to the column of the file (dots lead into objects
    /// and lists).
    pub columns: BTreeMap<String, String>,
    /// Its format; `None` means: detect it from the first row and say so.
    pub format: Option<Format>,
    /// Which of a row's scores or labels counts; the objective's name by default. A minus before the name of a rating
    /// (`-toxicity`) means that less is better.
    pub score: String,
    /// For ratings: the least difference that makes a pair.
    pub min_gap: f64,
    /// For rated answers: label by a rule instead of by `score`.
    pub rule: Option<RuleConfig>,
    /// Which of `rule`, `score` and `min_gap` the config gives: in a format without such a thing they are a mistake.
    pub given: Vec<&'static str>,
    /// Who labelled this source.
    pub labels: LabelSource,
    /// The row's field that says who labelled it (text that begins with human, ai, gold or rule), if any.
    pub label_source_field: Option<String>,
    /// The row's field that says which split it belongs to (`test`, `val`, `validation`, `heldout` are held out).
    pub split_field: Option<String>,
    /// At most this many pairs of one prompt, the ones with the lowest content digest, so that a prompt with
    /// hundreds of pairs does not outvote the rest.
    pub max_pairs_per_prompt: Option<usize>,
    /// The row's field that says to which domain its prompt belongs, if any.
    pub domain_field: Option<String>,
}

/// Responses without labels, on which normalizers are fitted: rows as they are scored.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceConfig {
    /// What the config names: a file, a folder or a pattern.
    pub path: PathBuf,
    /// The files that are read, each once, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Columns under other names, as of a source.
    pub columns: BTreeMap<String, String>,
    /// The row's field that says to which domain its prompt belongs, if any.
    pub domain_field: Option<String>,
}

/// How raw scores become normalized ones (fitted on the reference responses).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NormalizerKind {
    /// (r − mean) / standard deviation.
    Zscore,
    /// (r − median) / (1.4826 · median absolute deviation).
    Robust,
    /// Rank to normal scores, interpolated between the reference quantiles.
    Quantile,
    /// To 0..1 between the reference minimum and maximum, clipped.
    Minmax,
    /// σ of the z-score: 0..1.
    Sigmoid,
    /// Mean over the reference responses of σ(r − rⱼ): 0..1.
    WinRate,
    /// The calibrated score as it is.
    Identity,
}

impl NormalizerKind {
    /// Whether every normalized score lies between 0 and 1.
    pub fn gives_shares(self) -> bool {
        matches!(self, Self::Minmax | Self::Sigmoid | Self::WinRate)
    }
}

/// Where a run writes.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputConfig {
    /// The registry folder.
    pub registry: PathBuf,
    /// The report folder.
    pub report: PathBuf,
    /// The feature cache folder, shared by all runs that name it.
    pub cache: PathBuf,
}
