//! What a reader must know before trusting the numbers: a typed list, each entry with a headline and a remedy.
//!
//! Adding a warning = one variant, its two texts, one check. The checks and their thresholds stand in `checks`, the
//! texts in `headlines` and `remedies`.

mod checks;
mod headlines;
mod remedies;
#[cfg(test)]
mod tests;

pub use checks::warnings;

use crate::evaluate::Estimate;

/// Something that limits what the numbers can be used for.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// Test prompts nearly repeat training prompts.
    SplitConflicts {
        /// Which objective.
        objective: String,
        /// How many test prompts.
        split_conflicts: usize,
    },
    /// The registry's head was trained and judged on other data than these.
    DataChanged {
        /// Which objective.
        objective: String,
    },
    /// Every test pair is ranked right: more often a leak than a good head.
    SuspiciouslyPerfect {
        /// Which objective.
        objective: String,
        /// Test pairs.
        pairs: usize,
        /// Test responses that stand word for word among the training responses.
        repeated: usize,
        /// Test responses.
        responses: usize,
    },
    /// The accuracy's interval holds that of a coin, or lies below it.
    NotBetterThanChance {
        /// Which objective.
        objective: String,
        /// Its accuracy.
        accuracy: Estimate,
    },
    /// The accuracy's interval is too wide to conclude much.
    TooFewTestPairs {
        /// Which objective.
        objective: String,
        /// Test pairs.
        pairs: usize,
        /// Distinct prompts among them.
        prompts: usize,
        /// The accuracy, if there is one.
        accuracy: Option<Estimate>,
    },
    /// All labels were made by a rule: the head learns a style, not a judgement.
    RuleLabels {
        /// Which objective.
        objective: String,
    },
    /// The score is nearly a function of the answer's length.
    ScoreFollowsLength {
        /// Which objective.
        objective: String,
        /// Spearman's correlation of score and words.
        correlation: f64,
    },
    /// Two objectives rank the answers alike.
    NearlySameObjectives {
        /// One objective.
        left: String,
        /// The other.
        right: String,
        /// Spearman's correlation of their scores.
        correlation: f64,
    },
    /// Predicted probabilities do not match the labelers.
    PoorCalibration {
        /// Which objective.
        objective: String,
        /// Expected calibration error.
        ece: f64,
        /// Whether the predictions are too extreme rather than too timid.
        overconfident: bool,
    },
    /// Hardly any training pair says which answer is better.
    MostlyTies {
        /// Which objective.
        objective: String,
        /// Training pairs that are ties.
        ties: usize,
        /// Training pairs.
        pairs: usize,
    },
    /// Much of the data was left out.
    ManyDropped {
        /// Which objective.
        objective: String,
        /// Rows or pairs left out.
        dropped: usize,
        /// Rows read.
        rows: usize,
        /// The most frequent reason.
        reason: String,
    },
    /// The same pair stands there in both directions.
    Contradictions {
        /// Which objective.
        objective: String,
        /// How many pairs.
        contradictions: usize,
        /// Of how many.
        pairs: usize,
    },
    /// The scale of the normalized scores rests on few responses.
    FewReferences {
        /// Which objective.
        objective: String,
        /// How many reference responses there are.
        responses: usize,
        /// Where they come from.
        source: String,
    },
    /// Few reference scores far out decide the scale of all normalized ones.
    FarReference {
        /// Which objective.
        objective: String,
        /// The normalizer's name.
        normalizer: String,
        /// How far out the farthest lies, in robust standard deviations.
        farthest: f64,
    },
    /// The head ranks every training pair right with a lead that nothing but the penalty limits.
    SeparatedTraining {
        /// Which objective.
        objective: String,
        /// Decided training pairs.
        pairs: usize,
        /// The smallest lead among them, in log-odds.
        smallest_margin: f64,
    },
    /// Training ended before the held-out loss had stopped falling.
    NotConverged {
        /// Which objective.
        objective: String,
        /// Epochs run, all that were allowed.
        epochs: usize,
        /// The epoch whose head was kept.
        best_epoch: usize,
    },
    /// The best penalty is the last one tried.
    L2AtGridEdge {
        /// Which objective.
        objective: String,
        /// The penalty.
        l2: f64,
        /// Whether it is the largest one tried.
        largest: bool,
    },
}

impl Warning {
    /// What was found, in one sentence.
    pub fn headline(&self) -> String {
        match self {
            Self::SplitConflicts { objective, split_conflicts } => {
                headlines::split_conflicts(objective, *split_conflicts)
            }
            Self::DataChanged { objective } => {
                format!("{objective}: these are not the data that the registry's head was trained and judged on")
            }
            Self::SuspiciouslyPerfect { objective, pairs, repeated, responses } => {
                headlines::perfect(objective, *pairs, (*repeated, *responses))
            }
            Self::NotBetterThanChance { objective, accuracy } => headlines::chance(objective, accuracy),
            Self::TooFewTestPairs { objective, pairs, prompts, accuracy } => {
                headlines::few_test_pairs(objective, (*pairs, *prompts), accuracy.as_ref())
            }
            Self::RuleLabels { objective } => {
                format!("{objective}: a style rule, not a judgement; all its labels were made by a rule")
            }
            Self::ScoreFollowsLength { objective, correlation } => headlines::follows_length(objective, *correlation),
            Self::NearlySameObjectives { left, right, correlation } => {
                headlines::nearly_same(left, right, *correlation)
            }
            Self::PoorCalibration { objective, ece, overconfident } => {
                headlines::calibration(objective, *ece, *overconfident)
            }
            Self::MostlyTies { objective, ties, pairs } => headlines::ties(objective, (*ties, *pairs)),
            Self::ManyDropped { objective, dropped, rows, reason } => {
                headlines::many_dropped(objective, (*dropped, *rows), reason)
            }
            Self::Contradictions { objective, contradictions, pairs } => {
                headlines::contradictions(objective, *contradictions, *pairs)
            }
            Self::FewReferences { objective, responses, source } => {
                headlines::few_references(objective, *responses, source)
            }
            Self::FarReference { objective, normalizer, farthest } => {
                headlines::far_reference(objective, normalizer, *farthest)
            }
            Self::SeparatedTraining { objective, pairs, smallest_margin } => {
                headlines::separated(objective, *pairs, *smallest_margin)
            }
            Self::NotConverged { objective, epochs, best_epoch } => {
                headlines::not_converged(objective, *epochs, *best_epoch)
            }
            Self::L2AtGridEdge { objective, l2, largest } => headlines::grid_edge(objective, *l2, *largest),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::SplitConflicts { .. } => remedies::SPLIT_CONFLICTS.to_owned(),
            Self::DataChanged { .. } => remedies::DATA_CHANGED.to_owned(),
            Self::SuspiciouslyPerfect { repeated, .. } => remedies::perfect(*repeated).to_owned(),
            Self::NotBetterThanChance { .. } => remedies::CHANCE.to_owned(),
            Self::TooFewTestPairs { .. } => remedies::FEW_TEST_PAIRS.to_owned(),
            Self::RuleLabels { .. } => remedies::RULE_LABELS.to_owned(),
            Self::ScoreFollowsLength { .. } => remedies::FOLLOWS_LENGTH.to_owned(),
            Self::NearlySameObjectives { left, right, correlation } => remedies::nearly_same(left, right, *correlation),
            Self::PoorCalibration { .. } => remedies::CALIBRATION.to_owned(),
            Self::MostlyTies { .. } => remedies::TIES.to_owned(),
            Self::ManyDropped { .. } => remedies::MANY_DROPPED.to_owned(),
            Self::Contradictions { .. } => remedies::CONTRADICTIONS.to_owned(),
            Self::FewReferences { .. } => remedies::FEW_REFERENCES.to_owned(),
            Self::FarReference { .. } => remedies::FAR_REFERENCE.to_owned(),
            Self::SeparatedTraining { .. } => remedies::SEPARATED.to_owned(),
            Self::NotConverged { .. } => remedies::NOT_CONVERGED.to_owned(),
            Self::L2AtGridEdge { largest, .. } => remedies::grid_edge(*largest),
        }
    }
}
