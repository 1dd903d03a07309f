//! The combined score as a formula in words, with the numbers of its rule.

use super::summary::CombinedSummary;
use super::words::{clean, short};
use crate::config::Rule;

/// One line: the rule's name, what it computes, and what is taken off for uncertainty.
pub(super) fn formula(combined: &CombinedSummary) -> String {
    let rule = &combined.combination.rule;
    let name = rule.word().replace('_', " ");
    let text = computed(combined);
    let text = if text.is_empty() { name } else { format!("{name}: {text}") };
    match combined.combination.uncertainty_penalty {
        penalty if penalty > 0.0 => format!("{text}; each score less {} × its standard error", short(penalty)),
        _ => text,
    }
}

fn computed(combined: &CombinedSummary) -> String {
    let rule = &combined.combination.rule;
    let sum = |keep: &dyn Fn(&str) -> bool| {
        let kept = combined.weights.iter().filter(|(name, _)| keep(name));
        joined(kept.map(|(name, weight)| format!("{} × {}", short(*weight), clean(name))), " + ")
    };
    match rule {
        Rule::WeightedSum => sum(&|_| true),
        Rule::WorstCase => {
            format!("the lowest of {}", joined(shares(combined).into_iter().map(|(name, _)| name), ", "))
        }
        Rule::SoftMin { tau } => {
            let tau = short(*tau);
            let term = |(name, share): (String, f64)| format!("{} × exp(−{name} / {tau})", short(share));
            format!("−{tau} × log({})", joined(shares(combined).into_iter().map(term), " + "))
        }
        Rule::LogSigmoid { reference_quantile } => {
            let term = |(name, weight): &(String, f64)| {
                let reference = combined.combination.references.get(name).copied().unwrap_or(f64::NAN);
                format!("{} × log σ({} {})", short(*weight), clean(name), less(reference))
            };
            let quantile = short(*reference_quantile);
            let terms = joined(combined.weights.iter().map(term), " + ");
            format!("{terms}, each compared with the {quantile} quantile of its reference responses")
        }
        Rule::Geometric => {
            let term = |(name, share): (String, f64)| format!("{name}^{}", short(share));
            joined(shares(combined).into_iter().map(term), " × ")
        }
        Rule::Constrained { floors, lambda } => {
            let cost = |(name, floor): (&String, &f64)| {
                format!(" − {} × max(0, {} − {})", short(*lambda), short(*floor), clean(name))
            };
            sum(&|name| rule.weighs(name)) + &floors.iter().map(cost).collect::<String>()
        }
        Rule::Gate { floors, low_score } => {
            let floor = |(name, floor): (&String, &f64)| format!("{} is below {}", clean(name), short(*floor));
            let floors = joined(floors.iter().map(floor), " or ");
            format!("{}; at most {} where {floors}", sum(&|_| true), short(*low_score))
        }
    }
}

/// The objectives that count, with their shares of all weights.
fn shares(combined: &CombinedSummary) -> Vec<(String, f64)> {
    let counting = combined.weights.iter().filter(|(_, weight)| *weight > 0.0);
    let total: f64 = counting.clone().map(|(_, weight)| weight).sum();
    counting.map(|(name, weight)| (clean(name), weight / total)).collect()
}

/// `− 1.5`, or `+ 1.5` for minus 1.5.
fn less(value: f64) -> String {
    let sign = if value < 0.0 { '+' } else { '\u{2212}' };
    format!("{sign} {}", short(value.abs()))
}

fn joined(texts: impl Iterator<Item = String>, between: &str) -> String {
    texts.collect::<Vec<String>>().join(between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::Combination;

    fn written(rule: Rule, uncertainty_penalty: f64) -> String {
        let references = [("safety", -0.25), ("helpfulness", 1.0)].map(|(name, value)| (name.to_owned(), value)).into();
        let weights = [("helpfulness", 1.0), ("safety", 3.0)].map(|(name, weight)| (name.to_owned(), weight)).to_vec();
        let combination = Combination { rule, uncertainty_penalty, references };
        formula(&CombinedSummary { combination, weights, ..CombinedSummary::default() })
    }

    #[test]
    fn every_rule_is_written_with_its_numbers() {
        let floors = || [("safety".to_owned(), -0.5)].into();
        let cases = [
            (Rule::WeightedSum, "weighted sum: 1 × helpfulness + 3 × safety"),
            (Rule::WorstCase, "worst case: the lowest of helpfulness, safety"),
            (
                Rule::SoftMin { tau: 0.5 },
                "soft min: −0.5 × log(0.25 × exp(−helpfulness / 0.5) + 0.75 × exp(−safety / 0.5))",
            ),
            (
                Rule::LogSigmoid { reference_quantile: 0.85 },
                "log sigmoid: 1 × log σ(helpfulness − 1) + 3 × log σ(safety + 0.25), each compared with the 0.85 \
                 quantile of its reference responses",
            ),
            (Rule::Geometric, "geometric: helpfulness^0.25 × safety^0.75"),
            (
                Rule::Constrained { floors: floors(), lambda: 2.0 },
                "constrained: 1 × helpfulness − 2 × max(0, −0.5 − safety)",
            ),
            (
                Rule::Gate { floors: floors(), low_score: -5.0 },
                "gate: 1 × helpfulness + 3 × safety; at most −5 where safety is below −0.5",
            ),
        ];
        for (rule, expected) in cases {
            assert_eq!(written(rule, 0.0), expected);
        }
        assert_eq!(
            written(Rule::WorstCase, 1.5),
            "worst case: the lowest of helpfulness, safety; each score less 1.5 × its standard error"
        );
        assert_eq!(formula(&CombinedSummary::default()), "weighted sum");
    }
}
