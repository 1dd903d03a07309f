//! What the numbers mean in one honest sentence, for page and terminal.

use super::{BAG_OF_WORDS, Baseline, LONGER_WINS, ObjectiveSummary, RunSummary, SHORTER_WINS, SplitSize};
use crate::evaluate::Estimate;
use crate::report::words::{counted, fixed, interval, percent};

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
pub(in crate::report) fn split_words(split: SplitSize) -> String {
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
