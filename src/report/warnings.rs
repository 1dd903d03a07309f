//! What a reader must know before trusting the numbers: a typed list, each entry with a headline and a remedy.
//!
//! Thresholds stand here as constants. Adding a warning = one variant, its two texts, one line in a check.

use super::summary::{ObjectiveSummary, RunSummary, Standing};
use super::words::{count, counted, fixed, interval, percent, short};
use crate::evaluate::Estimate;

const FEW_PAIRS: usize = 100;
const FEW_PROMPTS: usize = 50;
const FOLLOWS_LENGTH: f64 = 0.8;
const NEARLY_SAME: f64 = 0.95;
const POOR_CALIBRATION: f64 = 0.1;
const MANY_DROPPED: f64 = 0.1;
const MANY_CONTRADICTIONS: f64 = 0.01;

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
                let size = format!("{} of {}", counted(*pairs, "test pair"), counted(*prompts, "prompt"));
                let range = accuracy.map(|accuracy| format!("; 95% interval of its accuracy: {}", interval(&accuracy)));
                format!("{objective}: only {size}{}", range.unwrap_or_default())
            }
            Self::NotBetterThanBaseline { objective, verdict, .. } => format!("{objective}: {verdict}"),
            Self::RuleLabels { objective } => {
                format!("{objective}: a style rule, not a judgement; all its labels were made by a rule")
            }
            Self::ScoreFollowsLength { objective, correlation } => {
                let direction = if *correlation > 0.0 { "longer" } else { "shorter" };
                let correlation = fixed(*correlation, 2);
                format!(
                    "{objective}: the score mostly says that an answer is {direction} (rank correlation {correlation})"
                )
            }
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
            Self::L2AtGridEdge { largest, .. } => {
                format!("Add {} values to `l2_grid` and train again.", if *largest { "larger" } else { "smaller" })
            }
        }
    }
}

/// All warnings of a run: what spoils the numbers first, then what limits them, each kind in the run's order.
pub fn warnings(summary: &RunSummary) -> Vec<Warning> {
    let checks: [fn(&ObjectiveSummary) -> Option<Warning>; 9] = [
        split_conflicts,
        few_test_pairs,
        not_better,
        rule_labels,
        follows_length,
        poor_calibration,
        many_dropped,
        contradictions,
        grid_edge,
    ];
    let mut found: Vec<Warning> = checks.iter().flat_map(|check| summary.objectives.iter().filter_map(check)).collect();
    found.extend(nearly_same(summary));
    found
}

fn split_conflicts(objective: &ObjectiveSummary) -> Option<Warning> {
    let split_conflicts = objective.audit.split_conflicts;
    (split_conflicts > 0).then(|| Warning::SplitConflicts { objective: objective.name.clone(), split_conflicts })
}

fn few_test_pairs(objective: &ObjectiveSummary) -> Option<Warning> {
    let (pairs, prompts) = (objective.test.pairs, objective.test.prompts);
    (pairs < FEW_PAIRS || prompts < FEW_PROMPTS).then(|| Warning::TooFewTestPairs {
        objective: objective.name.clone(),
        pairs,
        prompts,
        accuracy: objective.accuracy,
    })
}

fn not_better(objective: &ObjectiveSummary) -> Option<Warning> {
    let (baseline, _) = objective.hardest_baseline()?;
    matches!(objective.standing(), Standing::Unclear | Standing::Worse).then(|| Warning::NotBetterThanBaseline {
        objective: objective.name.clone(),
        baseline: baseline.phrase().to_owned(),
        verdict: objective.verdict(),
        style_rule: objective.is_style_rule(),
    })
}

fn rule_labels(objective: &ObjectiveSummary) -> Option<Warning> {
    objective.is_style_rule().then(|| Warning::RuleLabels { objective: objective.name.clone() })
}

fn follows_length(objective: &ObjectiveSummary) -> Option<Warning> {
    let correlation = objective.length_correlation.filter(|correlation| correlation.abs() > FOLLOWS_LENGTH)?;
    Some(Warning::ScoreFollowsLength { objective: objective.name.clone(), correlation })
}

/// A calibration error of few pairs is never near zero, so one bin must also lie clearly off.
fn poor_calibration(objective: &ObjectiveSummary) -> Option<Warning> {
    let ece = objective.ece.filter(|ece| *ece > POOR_CALIBRATION)?;
    let bins = &objective.reliability;
    bins.iter().find(|bin| bin.predicted < bin.low || bin.predicted > bin.high)?;
    let excess: f64 = bins.iter().map(|bin| bin.n as f64 * (bin.predicted - bin.observed)).sum();
    Some(Warning::PoorCalibration { objective: objective.name.clone(), ece, overconfident: excess > 0.0 })
}

/// Pairs that nobody ordered are no loss: rated answers that tie make none.
const NO_COMPARISON: [&str; 4] =
    ["equal scores", "scores closer than min_gap", "not equal on the rule's score", "equal numbers of words"];

fn many_dropped(objective: &ObjectiveSummary) -> Option<Warning> {
    let rows = objective.audit.rows;
    let lost = || objective.audit.dropped.iter().filter(|(reason, _)| !NO_COMPARISON.contains(&reason.as_str()));
    let dropped: usize = lost().map(|(_, count)| count).sum();
    let (reason, _) = lost().max_by_key(|(_, count)| **count)?;
    (dropped as f64 > MANY_DROPPED * rows as f64 && rows > 0).then(|| Warning::ManyDropped {
        objective: objective.name.clone(),
        dropped,
        rows,
        reason: reason.clone(),
    })
}

fn contradictions(objective: &ObjectiveSummary) -> Option<Warning> {
    let (contradictions, pairs) = (objective.audit.contradictions, objective.audit.pairs);
    (contradictions as f64 > MANY_CONTRADICTIONS * pairs as f64).then(|| Warning::Contradictions {
        objective: objective.name.clone(),
        contradictions,
        pairs,
    })
}

fn grid_edge(objective: &ObjectiveSummary) -> Option<Warning> {
    let fit = objective.fit.as_ref()?;
    let (first, last, l2) = (fit.l2_path.first()?.0, fit.l2_path.last()?.0, fit.l2);
    let edge = first < last && (l2 <= first || l2 >= last);
    edge.then(|| Warning::L2AtGridEdge { objective: objective.name.clone(), l2, largest: l2 >= last })
}

fn nearly_same(summary: &RunSummary) -> Vec<Warning> {
    let mut found = Vec::new();
    for (row, (left, correlations)) in summary.objectives.iter().zip(&summary.correlations).enumerate() {
        for (right, correlation) in summary.objectives.iter().zip(correlations).skip(row + 1) {
            if let Some(correlation) = correlation.filter(|correlation| correlation.abs() > NEARLY_SAME) {
                let (left, right) = (left.name.clone(), right.name.clone());
                found.push(Warning::NearlySameObjectives { left, right, correlation });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// A run without any warning, to spoil in one place.
    fn sound() -> RunSummary {
        let mut summary = sample::summary();
        summary.objectives.truncate(1);
        summary.correlations = vec![vec![Some(1.0)]];
        let audit = &mut summary.objectives[0].audit;
        audit.dropped.clear();
        audit.contradictions = 0;
        assert_eq!(warnings(&summary), []);
        summary
    }

    /// The warnings after `spoil`, each checked to say something.
    fn after(spoil: impl Fn(&mut ObjectiveSummary)) -> Vec<Warning> {
        let mut summary = sound();
        spoil(&mut summary.objectives[0]);
        let found = warnings(&summary);
        for warning in &found {
            assert!(warning.headline().contains("helpfulness") && !warning.remedy().is_empty());
            assert!(!warning.headline().contains("NaN"));
        }
        found
    }

    #[test]
    fn split_conflicts_are_named_first() {
        let found = after(|objective| {
            objective.audit.split_conflicts = 1;
            objective.length_correlation = Some(0.9);
        });
        assert!(matches!(
            found[..],
            [Warning::SplitConflicts { split_conflicts: 1, .. }, Warning::ScoreFollowsLength { .. }]
        ));
        assert!(found[0].headline().contains("1 prompt marked both"), "{}", found[0].headline());
    }

    #[test]
    fn few_pairs_or_few_prompts() {
        for (pairs, prompts, expected) in [(99, 99, 1), (100, 50, 0), (4_000, 49, 1), (0, 0, 1)] {
            let found = after(|objective| {
                objective.test.pairs = pairs;
                objective.test.prompts = prompts;
            });
            assert_eq!(found.len(), expected, "{pairs} of {prompts}");
        }
    }

    #[test]
    fn not_better_than_a_baseline() {
        let lead = Estimate { value: 0.01, low: -0.03, high: 0.05, n: 400, clusters: 400 };
        let found = after(|objective| objective.baselines[0].difference = Some(lead));
        assert!(matches!(&found[..], [Warning::NotBetterThanBaseline { baseline, .. }]
            if baseline == "picking the longer answer"));
    }

    #[test]
    fn rule_labels_are_called_a_style_rule() {
        let found = after(|objective| objective.labels = [("rule".to_owned(), 5)].into());
        assert!(matches!(&found[..], [rule @ Warning::RuleLabels { .. }] if rule.headline().contains("style rule")));
    }

    #[test]
    fn length_is_followed_either_way() {
        for (correlation, word) in [(0.81, "longer"), (-0.9, "shorter")] {
            let found = after(|objective| objective.length_correlation = Some(correlation));
            assert!(matches!(&found[..], [one @ Warning::ScoreFollowsLength { .. }] if one.headline().contains(word)));
        }
        assert_eq!(after(|objective| objective.length_correlation = Some(-0.8)), []);
    }

    #[test]
    fn objectives_that_rank_alike_or_oppositely() {
        let mut summary = sound();
        let twin = ObjectiveSummary { name: "kindness".to_owned(), ..summary.objectives[0].clone() };
        summary.objectives.push(twin);
        for (correlation, word) in [(0.96, "alike"), (-0.96, "oppositely")] {
            summary.correlations = vec![vec![Some(1.0), Some(correlation)], vec![Some(correlation), Some(1.0)]];
            let found = warnings(&summary);
            assert!(
                matches!(&found[..], [one @ Warning::NearlySameObjectives { .. }] if one.headline().contains(word))
            );
        }
    }

    #[test]
    fn poor_calibration_needs_a_clear_miss() {
        let bin = crate::evaluate::ReliabilityBin { predicted: 0.9, observed: 0.7, n: 200, low: 0.63, high: 0.76 };
        let found = after(|objective| {
            objective.ece = Some(0.2);
            objective.reliability = vec![bin];
        });
        assert!(matches!(found[..], [Warning::PoorCalibration { overconfident: true, .. }]));
        let chance = after(|objective| {
            objective.ece = Some(0.2);
            objective.reliability = vec![crate::evaluate::ReliabilityBin { low: 0.4, high: 0.95, ..bin }];
        });
        assert_eq!(chance, []);
    }

    #[test]
    fn much_left_out_names_the_main_reason() {
        let found = after(|objective| {
            objective.audit.rows = 100;
            objective.audit.dropped = [("too long".to_owned(), 2), ("no answer".to_owned(), 9)].into();
        });
        assert!(matches!(&found[..], [Warning::ManyDropped { dropped: 11, reason, .. }] if reason == "no answer"));
    }

    #[test]
    fn contradictions_above_one_in_a_hundred() {
        for (contradictions, expected) in [(1, 0), (2, 1)] {
            let found = after(|objective| {
                objective.audit.pairs = 100;
                objective.audit.contradictions = contradictions;
            });
            assert_eq!(found.len(), expected);
        }
    }

    #[test]
    fn a_penalty_at_either_edge_of_the_grid() {
        for (l2, expected) in [(0.01, Some(false)), (10.0, None), (1e4, Some(true))] {
            let found = after(|objective| objective.fit.iter_mut().for_each(|fit| fit.l2 = l2));
            let largest = found.iter().map(|one| matches!(one, Warning::L2AtGridEdge { largest: true, .. })).next();
            assert_eq!(largest, expected, "{l2}");
        }
    }
}
