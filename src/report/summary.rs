//! What a run hands to its report: plain numbers and names, filled by `assess`, written as `report.json`.
//!
//! Everything a page draws stands here and is bounded in size: scores are counted in bins, never listed. No time stamps and
//! no durations, so that the same run gives the same bytes. What the numbers mean in one sentence
//! ([`ObjectiveSummary::verdict`], [`RunSummary::verdict`]) is decided in `verdict`, once, for page and terminal.

mod agreement;
mod bias;
mod combined;
mod drift;
mod examples;
mod reference;
mod scores;
mod training_record;
mod verdict;

use std::collections::BTreeMap;

pub use agreement::{AgreementSummary, CrossAccuracy, LabelerAgreement, ObjectivesAgreement};
pub use bias::{BiasSummary, LengthBias, ProbeBias};
pub use combined::{
    BestWeights, CombinedSummary, LeftOut, SimplexPoint, SweepLine, SweepMeasure, SweepSummary, TurnedShares,
};
pub use drift::{COMBINED, DriftSummary, ObjectiveDrift};
pub use examples::{Example, ExamplesSummary, Passage};
pub use reference::{DomainSummary, ReferenceSummary};
pub use scores::{Density, Distribution, ParetoAnswer, ParetoExample, ParetoSummary, ScoreSummary};
pub use verdict::Standing;
pub(super) use verdict::split_words;

use serde::{Deserialize, Serialize};

use super::benchmarks::BenchmarkSummary;
use super::head_summary::{ControlSummary, FitSummary, LearningPoint, MlpSummary, TrainingPairs};
use crate::config::Dtype;
use crate::evaluate::{Estimate, ReliabilityBin};

/// The name of the baseline that prefers the answer with more words.
pub const LONGER_WINS: &str = "longer wins";
/// The name of the baseline that prefers the answer with fewer words.
pub const SHORTER_WINS: &str = "shorter wins";
/// The name of the Bradley-Terry baseline on word counts.
pub const BAG_OF_WORDS: &str = "bag of words";

/// Everything the report shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's name.
    pub name: String,
    /// Program and version, such as `ensemble 0.1.0`.
    pub created_by: String,
    /// Whether it was made of a registry without what only training knows.
    pub from_registry: bool,
    /// Digests of the heads as the registry keeps them, in the order of the objectives.
    pub heads: Vec<String>,
    /// The frozen transformer.
    pub backbone: BackboneSummary,
    /// The readouts that were tried, when one was searched for.
    pub readouts: Vec<ReadoutSummary>,
    /// One entry per reward dimension, in the order of the configuration.
    pub objectives: Vec<ObjectiveSummary>,
    /// The combined score.
    pub combined: CombinedSummary,
    /// Agreement between heads, and between labelers.
    pub agreement: AgreementSummary,
    /// The combined scores, split by split.
    pub combined_scores: Vec<ScoreSummary>,
    /// Each two objectives' scores of the test responses as a picture.
    pub densities: Vec<Density>,
    /// What the answers to one prompt offer to choose from.
    pub pareto: ParetoSummary,
    /// Pairs worth reading.
    pub examples: ExamplesSummary,
    /// What changed against an older registry, if one was named.
    pub drift: Option<DriftSummary>,
    /// Figures of published benchmarks, if any were worked out.
    pub benchmarks: Vec<BenchmarkSummary>,
    /// The command to run next.
    pub command_next: String,
}

/// The frozen transformer and what it read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BackboneSummary {
    /// Its folder, as the user wrote it.
    pub path: String,
    /// Digest of weights, config, tokenizer, template and limits.
    pub fingerprint: String,
    /// The model's family, such as `bert`.
    pub architecture: String,
    /// The pooled layers in words, such as `-2`.
    pub layers: String,
    /// How token states become one vector.
    pub pooling: String,
    /// How a conversation becomes one text.
    pub template: String,
    /// Features per text.
    pub width: usize,
    /// The longest input in tokens.
    pub max_tokens: usize,
    /// The precision of the products; summaries that do not say so are of f32.
    #[serde(default, skip_serializing_if = "Dtype::is_f32")]
    pub dtype: Dtype,
    /// Distinct texts.
    pub texts: usize,
    /// Tokens in those texts.
    pub tokens: usize,
    /// Texts whose prompt lost its oldest tokens to fit into `max_tokens`.
    pub cut_prompts: usize,
    /// Texts whose response lost its middle.
    pub cut_responses: usize,
}

/// One way to read the backbone's states out, judged on the calibration split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadoutSummary {
    /// How token states become one vector.
    pub pooling: String,
    /// The pooled layers; 0 is the embedding output.
    pub layers: String,
    /// Whether the run uses it.
    pub chosen: bool,
    /// Mean log-loss over the objectives, by which it was chosen.
    pub log_loss: Option<f64>,
    /// Each trained objective.
    pub objectives: Vec<ReadoutObjective>,
}

/// How one objective's head fares on one readout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReadoutObjective {
    /// The objective.
    pub name: String,
    /// Log-loss on the calibration pairs, in nats.
    pub log_loss: Option<f64>,
    /// Accuracy on the calibration pairs.
    pub accuracy: Option<Estimate>,
}

/// The size of one split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSize {
    /// Preference pairs.
    pub pairs: usize,
    /// Distinct prompts.
    pub prompts: usize,
}

/// One trained head and how it fared on the test split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveSummary {
    /// Its name.
    pub name: String,
    /// What the labelers were asked.
    pub question: String,
    /// Its weight in the combined score.
    pub weight: f64,
    /// How raw scores become normalized ones.
    pub normalizer: String,
    /// What the normalizer was fitted on.
    pub reference: ReferenceSummary,
    /// Who labelled how many pairs: `human`, `ai`, `rule`.
    pub labels: BTreeMap<String, usize>,
    /// The split the head was fitted on.
    pub train: SplitSize,
    /// The split the temperature was fitted on, and the normalizer where no reference was given.
    pub calibration: SplitSize,
    /// The split everything here is measured on.
    pub test: SplitSize,
    /// Whether the data are others than those the registry's head was trained and judged on.
    pub data_changed: bool,
    /// Whether the head is the checkpoint's own.
    pub pretrained: bool,
    /// How a linear head was fitted; `None` for other heads.
    pub fit: Option<FitSummary>,
    /// How a head with a hidden layer was trained; `None` for other heads.
    pub mlp: Option<MlpSummary>,
    /// The pairs the head was fitted on; `None` for heads that were not fitted on pairs.
    pub training: Option<TrainingPairs>,
    /// What the head was kept from following.
    pub controls: Vec<ControlSummary>,
    /// Accuracy by number of training pairs; empty where it was not measured.
    pub learning_curve: Vec<LearningPoint>,
    /// The calibration temperature.
    pub temperature: f64,
    /// Accuracy on the test pairs.
    pub accuracy: Option<Estimate>,
    /// The baselines on the same pairs.
    pub baselines: Vec<Baseline>,
    /// Log-loss on the test pairs, in nats; a coin has 0.693.
    pub log_loss: Option<f64>,
    /// Log-loss on the training pairs.
    pub log_loss_train: Option<f64>,
    /// Brier score on the test pairs.
    pub brier: Option<f64>,
    /// Expected calibration error on the test pairs.
    pub ece: Option<f64>,
    /// The same before the temperature.
    pub ece_uncalibrated: Option<f64>,
    /// The reliability curve on the test pairs.
    pub reliability: Vec<ReliabilityBin>,
    /// By how much the head prefers one answer, of the test pairs it ranks right, in log-odds without sign.
    pub right_margins: Distribution,
    /// The same of the pairs it ranks wrong, in the same bins.
    pub wrong_margins: Distribution,
    /// Its scores, split by split.
    pub scores: Vec<ScoreSummary>,
    /// Test responses.
    pub test_responses: usize,
    /// How many of them stand word for word among the training responses.
    pub repeated_responses: usize,
    /// What its score follows beside quality.
    pub bias: BiasSummary,
    /// Accuracy on parts of the test pairs, such as by label source.
    pub groups: Vec<GroupAccuracy>,
    /// What was found in the data.
    pub audit: AuditSummary,
}

/// A baseline on the test pairs of one objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// [`LONGER_WINS`], [`SHORTER_WINS`] or [`BAG_OF_WORDS`].
    pub name: String,
    /// Its accuracy.
    pub accuracy: Option<Estimate>,
    /// The head's accuracy minus the baseline's, paired.
    pub difference: Option<Estimate>,
}

/// Accuracy on a part of the test pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupAccuracy {
    /// What the part is.
    pub name: String,
    /// The head's accuracy there.
    pub accuracy: Option<Estimate>,
}

/// What was found in one objective's data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditSummary {
    /// Rows read.
    pub rows: usize,
    /// Pairs made of them and kept.
    pub pairs: usize,
    /// Rows or pairs left out, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Pairs that stood there more than once.
    pub duplicates: usize,
    /// Pairs that stand there in both directions.
    pub contradictions: usize,
    /// Prompts that the sources mark both for training and as held out; all of them are held out.
    pub split_conflicts: usize,
    /// Prompts that rows put into different domains.
    pub domain_conflicts: usize,
    /// Share of pairs whose chosen answer is the longer one.
    pub longer_wins: Option<f64>,
    /// Mean number of words of chosen answers.
    pub mean_words_chosen: Option<f64>,
    /// Mean number of words of rejected answers.
    pub mean_words_rejected: Option<f64>,
    /// The files, as the user wrote them.
    pub sources: Vec<String>,
}
