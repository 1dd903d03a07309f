//! What a reader must know before trusting the numbers: a typed list, each entry with a headline and a remedy.
//!
//! Adding a warning = one variant, its two texts, one check. The checks and their thresholds stand in `checks`.

mod checks;
#[cfg(test)]
mod tests;

pub use checks::warnings;

use super::words::{count, counted, fixed, interval, percent, short};
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
    /// A trivial method does as well.
    NotBetterThanBaseline {
        /// Which objective.
        objective: String,
        /// The baseline, to complete "better than …".
        baseline: String,
        /// The head's verdict.
        verdict: String,
        /// Whether its labels were all made by a rule.
        style_rule: bool,
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
                format!(
                    "{objective}: {} marked both for training and as held out; all are held out",
                    counted(*split_conflicts, "prompt")
                )
            }
            Self::TooFewTestPairs { objective, pairs, prompts, accuracy } => {
                few_test_pairs(objective, (*pairs, *prompts), accuracy.as_ref())
            }
            Self::NotBetterThanBaseline { objective, verdict, .. } => format!("{objective}: {verdict}"),
            Self::RuleLabels { objective } => {
                format!("{objective}: a style rule, not a judgement; all its labels were made by a rule")
            }
            Self::ScoreFollowsLength { objective, correlation } => follows_length(objective, *correlation),
            Self::NearlySameObjectives { left, right, correlation } => {
                let manner = if *correlation > 0.0 { "alike" } else { "oppositely" };
                format!("{left} and {right} rank answers almost {manner} (rank correlation {})", fixed(*correlation, 2))
            }
            Self::PoorCalibration { objective, ece, overconfident } => {
                let word = if *overconfident { "overconfident" } else { "underconfident" };
                format!(
                    "{objective}: {word}; predicted probabilities are off by {} points on average",
                    fixed(ece * 100.0, 1)
                )
            }
            Self::ManyDropped { objective, dropped, rows, reason } => {
                let share = percent(*dropped as f64 / *rows as f64);
                let (dropped, rows) = (count(*dropped), counted(*rows, "row"));
                format!("{objective}: {dropped} of {rows} ({share}) left out, mostly: {reason}")
            }
            Self::Contradictions { objective, contradictions, pairs } => {
                let pairs = counted(*pairs, "pair");
                format!("{objective}: {} of {pairs} stand there in both directions", count(*contradictions))
            }
            Self::FewReferences { objective, responses, source } => {
                let responses = counted(*responses, "response");
                format!("{objective}: its normalizer rests on only {responses} ({source})")
            }
            Self::FarReference { objective, normalizer, farthest } => {
                let far = fixed(*farthest, 0);
                format!("{objective}: a reference score lies {far} robust deviations out and widens its {normalizer}")
            }
            Self::L2AtGridEdge { objective, l2, largest } => {
                let edge = if *largest { "largest" } else { "smallest" };
                format!("{objective}: the best penalty, {}, is the {edge} one tried", short(*l2))
            }
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::SplitConflicts { .. } => "The accuracy stands, because no head was fitted on them; but the sources' \
                                        own splits overlap, so their published figures may not."
                .to_owned(),
            Self::TooFewTestPairs { .. } => {
                "Collect more pairs on new prompts; more pairs on the same prompts help little.".to_owned()
            }
            Self::NotBetterThanBaseline { baseline, style_rule: true, .. } => {
                format!("No surprise where {baseline} is nearly the rule itself: use the rule, or drop the objective.")
            }
            Self::NotBetterThanBaseline { baseline, .. } => format!(
                "Do not let this head steer training yet: {baseline} may do as well. Collect more pairs, above all \
                 pairs on which {baseline} is wrong, or try a larger backbone or another layer."
            ),
            Self::RuleLabels { .. } => "Read its accuracy as how well the head imitates the rule. Where the rule can \
                                        be computed at scoring time, that is cheaper and exact."
                .to_owned(),
            Self::ScoreFollowsLength { .. } => "A policy trained on it will learn length. Add pairs of equal length, \
                                                or lower this objective's weight."
                .to_owned(),
            Self::NearlySameObjectives { left, right, correlation } if *correlation > 0.0 => {
                format!("Together they count one thing twice. Drop one of {left} and {right}, or halve their weights.")
            }
            Self::NearlySameObjectives { left, right, .. } => {
                format!(
                    "They cancel each other out in a sum. Check that the labels of {left} and {right} are not swapped."
                )
            }
            Self::PoorCalibration { .. } => "Use the score to rank, not as a probability. More calibration pairs from \
                                             the same source as the test pairs usually mend this."
                .to_owned(),
            Self::ManyDropped { .. } => "Look at the reasons in the data audit below; the source's format or fields \
                                         may be set wrongly."
                .to_owned(),
            Self::Contradictions { .. } => "If labelers really disagree, give the share of votes as a soft label; if \
                                            not, look for swapped columns in one of the sources."
                .to_owned(),
            Self::FewReferences { .. } => "Name a file with more responses, best of the policy that will be trained, \
                                           under `reference`; or collect more pairs."
                .to_owned(),
            Self::FarReference { .. } => "Use `normalizer: robust` or `quantile`, on which single scores have little \
                                          effect, or read the responses that score so."
                .to_owned(),
            Self::L2AtGridEdge { largest, .. } => {
                format!("Add {} values to `l2_grid` and train again.", if *largest { "larger" } else { "smaller" })
            }
        }
    }
}

fn few_test_pairs(objective: &str, (pairs, prompts): (usize, usize), accuracy: Option<&Estimate>) -> String {
    let size = format!("{} of {}", counted(pairs, "test pair"), counted(prompts, "prompt"));
    let range = accuracy.map(|accuracy| format!("; 95% interval of its accuracy: {}", interval(accuracy)));
    format!("{objective}: only {size}{}", range.unwrap_or_default())
}

fn follows_length(objective: &str, correlation: f64) -> String {
    let direction = if correlation > 0.0 { "longer" } else { "shorter" };
    let correlation = fixed(correlation, 2);
    format!("{objective}: the score mostly says that an answer is {direction} (rank correlation {correlation})")
}
