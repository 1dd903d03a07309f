//! What a run is to do: the checked configuration.
//!
//! `document` reads the YAML files into trees of `node`s and applies `overrides`; `shape` checks the trees against the
//! `schema` that is generated from the structs of `raw`; `check` checks what the values mean together and gives a
//! [`Config`], or every fault at once, shown by `diagnostic` with file, line and column. Nothing right of this module
//! sees a raw value. All paths of a [`Config`] are absolute, resolved against the file that named them.

mod check;
mod diagnostic;
mod document;
mod node;
mod overrides;
mod paths;
mod raw;
mod schema;
mod shape;

use std::path::PathBuf;

pub use check::load;
pub use schema::{OBJECTIVE_SCHEMA_FILE, RUN_SCHEMA_FILE, objective_schema, run_schema};

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
    pub rule: Rule,
    /// Pairs that say which answer is better all things considered; used only to judge the combined score.
    pub holistic: Vec<SourceConfig>,
    /// Where registry, report and feature cache go.
    pub output: OutputConfig,
}

/// Which frozen transformer to use, and how its hidden states become one feature vector.
#[derive(Clone, Debug, PartialEq)]
pub struct BackboneConfig {
    /// A Hugging Face model folder: `config.json`, `tokenizer.json`, `model.safetensors`.
    pub path: PathBuf,
    /// The longest input in tokens, special tokens included; longer ones are cut and counted.
    pub max_tokens: usize,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Layers whose pooled states are concatenated: 0 is the embedding output, 1 the first layer, -1 the last.
    pub layers: Vec<i64>,
}

/// How the states of the tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over the response's tokens.
    MeanResponse,
    /// Mean over all tokens, special tokens included.
    MeanAll,
    /// The first token, `[CLS]`.
    Cls,
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
    /// How the head is trained.
    pub head: HeadConfig,
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

/// One file of preference data and how to read it.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// The file: JSONL, plain or gzip.
    pub path: PathBuf,
    /// Its format; `None` means: detect it from the first row and say so.
    pub format: Option<Format>,
    /// For rated answers: the key under `scores` that ranks them; the objective's name by default.
    pub score: String,
    /// For rated answers: the least difference of scores that makes a pair.
    pub min_gap: f64,
    /// For rated answers: label by a rule instead of by `score`.
    pub rule: Option<RuleConfig>,
    /// Who labelled this source.
    pub labels: LabelSource,
    /// The row's field that says who labelled it (text that begins with human, ai, gold or rule), if any.
    pub label_source_field: Option<String>,
    /// The row's field that says which split it belongs to (`test`, `val`, `validation`, `heldout` are held out).
    pub split_field: Option<String>,
    /// At most this many pairs of one prompt, the ones with the lowest content digest, so that a prompt with
    /// hundreds of pairs does not outvote the rest.
    pub max_pairs_per_prompt: Option<usize>,
}

/// Formats of preference data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// TRL pairs: `chosen`, `rejected` and an explicit or implicit `prompt`, as text or as messages.
    Pairs,
    /// Anthropic hh-rlhf: `chosen` and `rejected` are whole `\n\nHuman:` / `\n\nAssistant:` transcripts.
    HhRlhf,
    /// Rated answers: `prompt`, `response`, `scores` (one number, or one number a labeler, per dimension).
    Rated,
}

/// A rule that labels pairs of rated answers.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleConfig {
    /// Which answer wins.
    pub kind: RuleKind,
    /// Only pairs that are equal on this score are labelled; `None` means every pair.
    pub equal_on: Option<String>,
    /// Scores that differ by at most this count as equal.
    pub max_gap: f64,
}

/// Which answer a labelling rule prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// The answer with fewer words wins; equal counts make no pair.
    FewerWords,
}

/// How a linear head is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadConfig {
    /// The L2 penalty on standardized weights; `None` means: chosen by grouped cross-validation from `l2_grid`.
    pub l2: Option<f64>,
    /// The candidates for cross-validation, ascending.
    pub l2_grid: Vec<f64>,
    /// How many folds; a prompt never stands in two of them.
    pub folds: usize,
}

/// How raw scores become normalized ones (fitted on the calibration split's responses).
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

/// How the objectives' normalized scores become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Σ weight · score.
    WeightedSum,
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
