//! What the YAML says: the one place where keys, types, ranges and defaults are written down.
//!
//! The JSON schema of an editor, the list of known keys, the checks of [`super::shape`] and the defaults all come from
//! these structs. A required key is an `Option` only so that reading can go on after a fault and report the rest.
//! What keys mean together stands in [`super::check`].

mod head;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::columns;
use super::placement::DEVICE_PATTERN;
use super::{Device, Dtype, Format, LabelSource, NormalizerKind, Pooling, RuleKind};

mod combine;

pub(super) use combine::{RawCombine, RawRule};
pub(super) use head::{RawControl, RawControlMode, RawHead, RawHeadChoice, RawPenalty, RawProbe};

/// The version of the configuration format this build reads.
pub(super) const VERSION: u64 = 1;
/// A run has at most this many objectives.
pub(super) const MAX_OBJECTIVES: usize = 64;
/// What a name looks like.
pub(super) const NAME_PATTERN: &str = "^[a-z][a-z0-9_-]{0,62}$";
/// What any other text looks like: not empty, not only blanks.
pub(super) const TEXT_PATTERN: &str = "\\S";

/// A run of `ensemble`: one backbone, its objectives, how they are combined and where the results go.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ensemble run")]
pub(super) struct RawRun {
    /// The version of this file's format.
    #[serde(default = "default_version")]
    #[schemars(range(min = VERSION, max = VERSION))]
    pub version: u64,
    /// The run's name; names the registry and the report folder by default.
    #[schemars(required, regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// Which frozen transformer, and how its states become features.
    #[schemars(required)]
    pub backbone: Option<RawBackbone>,
    /// The reward dimensions.
    #[schemars(required, length(min = 1, max = MAX_OBJECTIVES))]
    pub objectives: Option<Vec<RawEntry>>,
    /// How the normalized scores become one number.
    #[serde(default)]
    pub combine: RawCombine,
    /// Pairs that say which answer is better all things considered; used only to judge the combined score.
    #[serde(default)]
    pub holistic: Vec<RawSource>,
    /// Responses whose scores fix the scale of the normalized ones, such as samples of the policy that is to be
    /// trained; the calibration split's responses by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<RawReference>,
    /// Where registry, report and feature cache go.
    #[serde(default)]
    pub output: RawOutput,
}

/// Which frozen transformer to use, and how its hidden states become one feature vector.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBackbone {
    /// A Hugging Face model folder with config.json, tokenizer.json and safetensors weights, or a GGUF file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub path: Option<String>,
    /// In place of `path`: a model of the hub, `owner/name`, read from the local cache or, in builds with the feature
    /// `hub`, downloaded into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub hub: Option<String>,
    /// With `hub`: the branch, tag or commit; `main` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub revision: Option<String>,
    /// The longest input in tokens, special tokens included; longer ones are cut and counted.
    #[serde(default = "default_max_tokens")]
    #[schemars(range(min = 8, max = 8192))]
    pub max_tokens: usize,
    /// How the states of the tokens become one vector; `auto` tries all ways on the calibration split and keeps the
    /// best, and tries several layers too unless `layers` is given.
    #[serde(default = "default_pooling")]
    pub pooling: RawPooling,
    /// Layers whose pooled states are concatenated: 0 is the embedding output, 1 the first layer, -1 the last. The
    /// last but one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(range(min = -256, max = 256)), extend("uniqueItems" = true))]
    pub layers: Option<Vec<i64>>,
    /// The precision of the products; sums are f32 or wider in any. Features in another precision than f32 are other
    /// features, and a registry keeps which it was trained on.
    #[serde(default)]
    pub dtype: Dtype,
    /// Where the transformer runs: `cpu`, `cuda` (the first card; `cuda:1` is the second) in builds with the feature
    /// `cuda`, `metal` in builds with the feature `metal`.
    #[serde(default)]
    #[schemars(with = "String", regex(pattern = DEVICE_PATTERN))]
    pub device: Device,
}

/// How the states of the tokens become one vector.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPooling {
    /// Chosen on the calibration split.
    Auto,
    /// Mean over the response's tokens.
    MeanResponse,
    /// Mean over all tokens, special tokens included.
    MeanAll,
    /// The first token, `[CLS]` in encoders.
    Cls,
    /// The last token.
    LastToken,
}

impl RawPooling {
    /// The pooling asked for; `None` when it is to be chosen.
    pub(super) fn given(self) -> Option<Pooling> {
        match self {
            Self::Auto => None,
            Self::MeanResponse => Some(Pooling::MeanResponse),
            Self::MeanAll => Some(Pooling::MeanAll),
            Self::Cls => Some(Pooling::Cls),
            Self::LastToken => Some(Pooling::LastToken),
        }
    }
}

/// One objective of a run.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntry {
    /// The objective's YAML file.
    #[schemars(required, regex(pattern = TEXT_PATTERN))]
    pub file: Option<String>,
    /// Its weight in the combined score.
    #[serde(default = "default_weight")]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub weight: f64,
    /// Whether a negative weight is meant.
    #[serde(default)]
    pub allow_negative: bool,
}

/// Where a run writes. Without a key, a folder beside the one this file stands in.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOutput {
    /// The registry folder; `../registry/<name>` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub registry: Option<String>,
    /// The report folder; `../reports/<name>` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub report: Option<String>,
    /// The feature cache folder, shared by all runs that name it; `../.cache/features` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub cache: Option<String>,
}

/// One reward dimension: what the labelers were asked, where their answers are, and how its head is trained.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "ensemble objective")]
pub(super) struct RawObjective {
    /// The version of this file's format.
    #[serde(default = "default_version")]
    #[schemars(range(min = VERSION, max = VERSION))]
    pub version: u64,
    /// The objective's name, unique in a run.
    #[schemars(required, regex(pattern = NAME_PATTERN))]
    pub name: Option<String>,
    /// What the labelers were asked.
    #[schemars(required, regex(pattern = TEXT_PATTERN))]
    pub question: Option<String>,
    /// Who labelled the pairs, unless a source or a row says otherwise.
    #[schemars(required)]
    pub labels: Option<LabelSource>,
    /// Where the pairs come from.
    #[schemars(required, length(min = 1))]
    pub data: Option<Vec<RawSource>>,
    /// How the head is trained; `pretrained` takes the checkpoint's own score head as it is.
    #[serde(default)]
    pub head: RawHeadChoice,
    /// How raw scores become normalized ones.
    #[serde(default = "default_normalizer")]
    pub normalizer: NormalizerKind,
}

/// One source of preference data and how to read it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    /// A file, a folder of files or a pattern such as `data/*.jsonl.gz`: JSON lines, JSON, CSV or TSV (each plain,
    /// gzip or zstd), or Parquet.
    #[schemars(required, regex(pattern = TEXT_PATTERN))]
    pub path: Option<String>,
    /// Columns under other names, as `prompt: question`: the field on the left is read from the file's column on the
    /// right; dots lead into objects and lists: `chosen: answers.0.text`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "columns::schema")]
    pub columns: BTreeMap<String, String>,
    /// Its format; without this key it is detected from the first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Which of a row's scores or labels counts; the objective's name by default. A minus before the name of a rating
    /// (`-toxicity`) means that less is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub score: Option<String>,
    /// For ratings: the least difference that makes a pair; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub min_gap: Option<f64>,
    /// Who labelled this source; as the objective says by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelSource>,
    /// The row's field that says who labelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub label_source_field: Option<String>,
    /// The row's field that says which split it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub split_field: Option<String>,
    /// At most this many pairs of one prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_pairs_per_prompt: Option<usize>,
    /// The row's field that says to which domain its prompt belongs, such as `code` or `chat`: domains with enough
    /// reference responses get normalizers of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub domain_field: Option<String>,
    /// For rated answers: label by a rule instead of by `score`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RawLabelRule>,
}

/// Responses without labels: rows with `prompt` and `response`, or with `messages` that end with the assistant's.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReference {
    /// A file, a folder of files or a pattern, as for a source.
    #[schemars(required, regex(pattern = TEXT_PATTERN))]
    pub path: Option<String>,
    /// Columns under other names, as for a source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "columns::schema")]
    pub columns: BTreeMap<String, String>,
    /// The row's field that says to which domain its prompt belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub domain_field: Option<String>,
}

/// A rule that labels pairs of rated answers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLabelRule {
    /// Which answer wins.
    #[schemars(required)]
    pub kind: Option<RuleKind>,
    /// With `matches` and `avoids`: the regular expression that is looked for in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub pattern: Option<String>,
    /// With `length`: how many words are best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub target_words: Option<usize>,
    /// With `bleu` and `rouge_l`: the row's field that holds the reference text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub reference: Option<String>,
    /// The least difference that makes a pair: words, characters, BLEU points (of 100) or ROUGE-L (of 1); any by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub min_gap: Option<f64>,
    /// Only pairs that are equal on this score are labelled; without this key every pair is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TEXT_PATTERN))]
    pub equal_on: Option<String>,
    /// Scores that differ by at most this count as equal; 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_gap: Option<f64>,
}

fn default_version() -> u64 {
    VERSION
}

fn default_max_tokens() -> usize {
    256
}

fn default_pooling() -> RawPooling {
    RawPooling::MeanResponse
}

fn default_weight() -> f64 {
    1.0
}

fn default_normalizer() -> NormalizerKind {
    NormalizerKind::Zscore
}
