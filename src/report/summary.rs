//! What a run hands to its report: plain numbers and names, filled by `train_all`, written as `summary.json`.
//!
//! No time stamps and no durations, so that the same run gives the same bytes. What the numbers mean in one sentence
//! ([`ObjectiveSummary::verdict`], [`RunSummary::verdict`]) is decided here, once, for page and terminal.

mod reference;

use std::collections::BTreeMap;

pub use reference::{DomainSummary, ReferenceSummary};

use serde::{Deserialize, Serialize};

use super::head_summary::{ControlSummary, FitSummary, LearningPoint, MlpSummary, TrainingPairs};
use super::words::{counted, fixed, interval, percent};
use crate::combine::Combination;
use crate::evaluate::{Estimate, Outcome, ReliabilityBin};

/// The name of the baseline that prefers the answer with more words.
pub const LONGER_WINS: &str = "longer wins";
/// The name of the baseline that prefers the answer with fewer words.
pub const SHORTER_WINS: &str = "shorter wins";
/// The name of the Bradley-Terry baseline on word counts.
pub const BAG_OF_WORDS: &str = "bag of words";

/// Everything the report shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's name.
    pub name: String,
    /// Program and version, such as `ensemble 0.1.0`.
    pub created_by: String,
    /// The frozen transformer.
    pub backbone: BackboneSummary,
    /// The readouts that were tried, when one was searched for.
    pub readouts: Vec<ReadoutSummary>,
    /// One entry per reward dimension, in the order of the configuration.
    pub objectives: Vec<ObjectiveSummary>,
    /// The combined score.
    pub combined: CombinedSummary,
    /// Spearman's correlation of the normalized scores, (objectives, objectives); `None` where not defined.
    pub correlations: Vec<Vec<Option<f64>>>,
    /// How many test responses the correlations were computed on.
    pub correlation_items: usize,
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
    /// Distinct texts.
    pub texts: usize,
    /// Tokens in those texts.
    pub tokens: usize,
    /// Texts read by the model in this run.
    pub embedded: usize,
    /// Texts whose features came from the cache.
    pub cached: usize,
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
    /// What the head said about each test pair.
    pub outcomes: Vec<Outcome>,
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
    /// Normalized scores of the test responses.
    pub test_scores: Vec<f64>,
    /// How many of the test responses stand word for word among the training responses.
    pub repeated_responses: usize,
    /// Spearman's correlation of a response's score and its number of words, on the test responses.
    pub length_correlation: Option<f64>,
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

/// The combined score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CombinedSummary {
    /// The rule with its numbers.
    pub combination: Combination,
    /// (objective, weight), in the order of the configuration.
    pub weights: Vec<(String, f64)>,
    /// Accuracy on pairs labelled all things considered, if there are any.
    pub holistic: Option<Estimate>,
    /// What picking the longer answer would have on them.
    pub holistic_longer: Option<Estimate>,
    /// Combined scores of the test responses.
    pub scores: Vec<f64>,
}

/// How a head stands against the baseline that is hardest to beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Better than every baseline: the interval of each difference lies above zero.
    Better,
    /// The interval of a difference includes zero.
    Unclear,
    /// Worse than a baseline: the interval of a difference lies below zero.
    Worse,
    /// There are no test pairs or no baselines.
    Unknown,
}

impl Baseline {
    /// What the baseline does, to complete "better than …".
    pub fn phrase(&self) -> &str {
        match self.name.as_str() {
            LONGER_WINS => "picking the longer answer",
            SHORTER_WINS => "picking the shorter answer",
            BAG_OF_WORDS => "a bag-of-words model",
            other => other,
        }
    }
}

impl ObjectiveSummary {
    /// The baseline that is hardest to beat, with the head's lead over it: the one whose lead has the lowest lower end.
    pub fn hardest_baseline(&self) -> Option<(&Baseline, Estimate)> {
        self.baselines
            .iter()
            .filter_map(|baseline| Some((baseline, baseline.difference?)))
            .min_by(|left, right| left.1.low.total_cmp(&right.1.low))
    }

    /// How the head stands against that baseline.
    pub fn standing(&self) -> Standing {
        match self.hardest_baseline() {
            None => Standing::Unknown,
            Some((_, lead)) if lead.low > 0.0 => Standing::Better,
            Some((_, lead)) if lead.high < 0.0 => Standing::Worse,
            Some(_) => Standing::Unclear,
        }
    }

    /// One honest sentence on the head, without a full stop.
    pub fn verdict(&self) -> String {
        let Some(accuracy) = self.accuracy else {
            return "no test pairs, so nothing can be said".to_owned();
        };
        let Some((baseline, lead)) = self.hardest_baseline() else {
            let value = percent(accuracy.value);
            return format!(
                "right on {value} of test pairs (95% {}); no baseline to compare with",
                interval(&accuracy)
            );
        };
        let (phrase, size, range) = (baseline.phrase(), points(lead.value.abs()), interval(&lead));
        match self.standing() {
            Standing::Better => format!("better than {phrase} by {size} (95% {range})"),
            Standing::Worse => format!("worse than {phrase} by {size} (95% {range})"),
            Standing::Unclear | Standing::Unknown => {
                format!("not shown to be better than {phrase}: {} (95% {range})", signed_points(lead.value))
            }
        }
    }

    /// Whether every label of the objective was made by a rule.
    pub fn is_style_rule(&self) -> bool {
        let pairs: usize = self.labels.values().sum();
        pairs > 0 && self.labels.get("rule") == Some(&pairs)
    }
}

impl RunSummary {
    /// One honest sentence on the whole run, with a full stop.
    pub fn verdict(&self) -> String {
        let names = |wanted: &dyn Fn(Standing) -> bool| -> Vec<&str> {
            let kept = self.objectives.iter().filter(|objective| wanted(objective.standing()));
            kept.map(|objective| objective.name.as_str()).collect()
        };
        let better = names(&|standing| standing == Standing::Better);
        let rest = names(&|standing| standing != Standing::Better);
        match (self.objectives.len(), better.len()) {
            (0, _) => "This run has no objectives.".to_owned(),
            (1, 1) => "The head beats every baseline on pairs it never saw.".to_owned(),
            (1, _) => "The head is not shown to beat every baseline on pairs it never saw.".to_owned(),
            (all, 0) => format!("None of the {all} heads is shown to beat every baseline on pairs it never saw."),
            (all, beat) if all == beat => format!("All {all} heads beat every baseline on pairs they never saw."),
            (all, beat) => {
                let verb = if beat == 1 { "beats" } else { "beat" };
                let pronoun = if beat == 1 { "it" } else { "they" };
                let missing = rest.join(", ");
                format!("{beat} of {all} heads {verb} every baseline on pairs {pronoun} never saw; not {missing}.")
            }
        }
    }
}

fn points(share: f64) -> String {
    let value = fixed(share * 100.0, 1);
    if value == "1.0" { "1.0 point".to_owned() } else { format!("{value} points") }
}

fn signed_points(share: f64) -> String {
    let sign = if share > 0.0 { "+" } else { "" };
    format!("{sign}{}", points(share))
}

/// `412 pairs of 389 prompts`.
pub(super) fn split_words(split: SplitSize) -> String {
    format!("{} of {}", counted(split.pairs, "pair"), counted(split.prompts, "prompt"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, low, high, n: 400, clusters: 390 }
    }

    fn objective(leads: &[(&str, f64, f64, f64)]) -> ObjectiveSummary {
        let baseline = |lead: &(&str, f64, f64, f64)| Baseline {
            name: lead.0.to_owned(),
            accuracy: Some(estimate(0.6, 0.5, 0.7)),
            difference: Some(estimate(lead.1, lead.2, lead.3)),
        };
        ObjectiveSummary {
            name: "helpfulness".to_owned(),
            accuracy: Some(estimate(0.7, 0.65, 0.75)),
            baselines: leads.iter().map(baseline).collect(),
            ..ObjectiveSummary::default()
        }
    }

    #[test]
    fn verdict_names_the_baseline_that_is_hardest_to_beat() {
        let leads = [(SHORTER_WINS, 0.4, 0.35, 0.45), (LONGER_WINS, 0.081, 0.03, 0.132)];
        assert_eq!(
            objective(&leads).verdict(),
            "better than picking the longer answer by 8.1 points (95% 3.0 to 13.2)"
        );
        let unclear = objective(&[(LONGER_WINS, 0.2, 0.1, 0.3), (BAG_OF_WORDS, 0.012, -0.02, 0.044)]);
        assert_eq!(
            unclear.verdict(),
            "not shown to be better than a bag-of-words model: +1.2 points (95% −2.0 to 4.4)"
        );
        let worse = objective(&[(SHORTER_WINS, -0.05, -0.09, -0.01)]);
        assert_eq!(worse.verdict(), "worse than picking the shorter answer by 5.0 points (95% −9.0 to −1.0)");
    }

    #[test]
    fn verdict_without_pairs_or_baselines_claims_nothing() {
        assert_eq!(
            objective(&[]).verdict(),
            "right on 70.0% of test pairs (95% 65.0 to 75.0); no baseline to compare with"
        );
        let empty = ObjectiveSummary::default();
        assert_eq!(empty.verdict(), "no test pairs, so nothing can be said");
        assert_eq!(empty.standing(), Standing::Unknown);
    }

    #[test]
    fn only_rule_labels_make_a_style_rule() {
        let mut objective = objective(&[]);
        assert!(!objective.is_style_rule(), "no labels known");
        objective.labels.insert("rule".to_owned(), 10);
        assert!(objective.is_style_rule());
        objective.labels.insert("human".to_owned(), 1);
        assert!(!objective.is_style_rule());
    }
}
