//! What the keys of `combine` mean together: each rule has keys of its own, and asks something of weights, floors and
//! normalizers.

use super::{Check, Node, ObjectiveDocument, Origin, Problem};
use crate::config::raw::{RawCombine, RawEntry, RawRule};
use crate::config::{CombineConfig, ObjectiveConfig, Rule};
use crate::error::{did_you_mean, quote};

/// What `reference_quantile` is when it is not given.
const REFERENCE_QUANTILE: f64 = 0.85;

/// A key that only some rules take.
#[derive(Clone, Copy, PartialEq)]
enum Key {
    Tau,
    ReferenceQuantile,
    Floors,
    Lambda,
    LowScore,
}

impl Key {
    const ALL: [Self; 5] = [Self::Tau, Self::ReferenceQuantile, Self::Floors, Self::Lambda, Self::LowScore];

    fn word(self) -> &'static str {
        match self {
            Self::Tau => "tau",
            Self::ReferenceQuantile => "reference_quantile",
            Self::Floors => "floors",
            Self::Lambda => "lambda",
            Self::LowScore => "low_score",
        }
    }

    /// What the key's value is, for whoever left it out.
    fn meaning(self) -> &'static str {
        match self {
            Self::Tau => "how soft, in units of normalized scores, such as tau: 0.5",
            Self::ReferenceQuantile => "a quantile, such as reference_quantile: 0.85",
            Self::Floors => "an objective and its least normalized score, such as floors: {safety: 0.0}",
            Self::Lambda => "what one unit below a floor costs, such as lambda: 2.0",
            Self::LowScore => "the most that an answer below a floor gets, such as low_score: -5.0",
        }
    }

    fn given(self, raw: &RawCombine) -> bool {
        match self {
            Self::Tau => raw.tau.is_some(),
            Self::ReferenceQuantile => raw.reference_quantile.is_some(),
            Self::Floors => raw.floors.is_some(),
            Self::Lambda => raw.lambda.is_some(),
            Self::LowScore => raw.low_score.is_some(),
        }
    }

    fn taken_by(self, rule: RawRule) -> bool {
        match self {
            Self::Tau => rule == RawRule::SoftMin,
            Self::ReferenceQuantile => rule == RawRule::LogSigmoid,
            Self::Floors => matches!(rule, RawRule::Constrained | RawRule::Gate),
            Self::Lambda => rule == RawRule::Constrained,
            Self::LowScore => rule == RawRule::Gate,
        }
    }

    fn required_by(self, rule: RawRule) -> bool {
        self != Self::ReferenceQuantile && self.taken_by(rule)
    }

    /// The rules that take this key.
    fn rules(self) -> String {
        let rules = RawRule::ALL.into_iter().filter(|rule| self.taken_by(*rule));
        rules.map(RawRule::word).collect::<Vec<&str>>().join(", ")
    }
}

/// The objectives of a run as its rule sees them, in the order of the file. What could not be read is `None`.
pub(super) struct Members<'a> {
    pub entries: &'a [RawEntry],
    pub documents: &'a [Option<ObjectiveDocument>],
    pub objectives: &'a [Option<ObjectiveConfig>],
}

impl Members<'_> {
    /// Their names; `None` unless all are known.
    fn names(&self) -> Option<Vec<&str>> {
        self.documents.iter().map(|document| document.as_ref()?.root.text("name")).collect()
    }
}

impl Check {
    /// The rule of a run; `None` when it cannot be used.
    pub(super) fn combine(&mut self, raw: RawCombine, node: &Node, members: &Members<'_>) -> Option<CombineConfig> {
        let written = node.child("combine").and_then(|combine| combine.child("rule"));
        if written
            .is_some_and(|_| node.child("combine").and_then(|combine| combine.text("rule")) != Some(raw.rule.word()))
        {
            return None; // A rule that was refused already says nothing about the other keys.
        }
        self.combine_keys(&raw, node);
        let uncertainty_penalty = raw.uncertainty_penalty;
        let rule = rule(raw)?;
        self.floors(&rule, node, members);
        self.weights(&rule, node, members);
        if rule == Rule::Geometric {
            self.shares(node, members);
        }
        Some(CombineConfig { rule, uncertainty_penalty })
    }

    /// A key that the rule has no use for would be ignored in silence.
    fn combine_keys(&mut self, raw: &RawCombine, node: &Node) {
        let rule = raw.rule;
        for key in Key::ALL {
            let place = format!("combine.{}", key.word());
            let stands = node.child("combine").is_some_and(|combine| combine.child(key.word()).is_some());
            if key.given(raw) && !key.taken_by(rule) {
                let found = format!("{place} has no meaning with rule: {}", rule.word());
                let problem =
                    Problem::new(node.origin_at(&place), found).accepts(format!("with rule: {}", key.rules()));
                self.problems.push(problem.help(format!("remove {}, or check the rule", key.word())));
            } else if key.required_by(rule) && !stands {
                let found = format!("key \"{place}\" is missing: rule: {} needs it", rule.word());
                self.problems.push(Problem::new(node.origin_at("combine.rule"), found).accepts(key.meaning()));
            }
        }
    }

    fn floors(&mut self, rule: &Rule, node: &Node, members: &Members<'_>) {
        let (Some(floors), Some(names)) = (rule.floors(), members.names()) else { return };
        let origin = node.origin_at("combine.floors");
        let refused = |origin: Origin, found: String| Problem::new(origin, found).accepts(names.join(", "));
        if floors.is_empty() && is_empty_mapping(node) {
            self.problems.push(refused(origin, "combine.floors names no objective".to_owned()));
        }
        for name in floors.keys().filter(|name| !names.contains(&name.as_str())) {
            // Not by a dotted path: the name may hold a dot.
            let floors = node.child("combine").and_then(|combine| combine.child("floors"));
            let origin = floors.and_then(|floors| floors.child(name)).map_or(origin, |floor| floor.origin);
            let problem = refused(origin, format!("combine.floors names {}, which is no objective", quote(name)));
            self.problems.push(problem.suggest(did_you_mean(name, &names)));
        }
    }

    /// A negative weight is a mistake unless it is said to be meant.
    pub(super) fn negative_weights(&mut self, entries: &[RawEntry], node: &Node) {
        for (index, entry) in entries.iter().enumerate() {
            if entry.weight < 0.0 && !entry.allow_negative {
                let key = format!("objectives.{index}.weight");
                let found = format!("{key} is {}, which rewards less of this objective", entry.weight);
                let problem = Problem::new(node.origin_at(&key), found).accepts("0 or more");
                self.problems.push(problem.help("if that is meant, add allow_negative: true"));
            }
        }
    }

    /// What the rule asks of the weights.
    fn weights(&mut self, rule: &Rule, node: &Node, members: &Members<'_>) {
        let negative = |entry: &RawEntry| entry.weight < 0.0 && !rule.takes_negative();
        for (index, entry) in members.entries.iter().enumerate().filter(|(_, entry)| negative(entry)) {
            if entry.allow_negative {
                let key = format!("objectives.{index}.weight");
                let found = format!("{key} is {}, but rule: {} takes no negative weight", entry.weight, rule.word());
                let problem = Problem::new(node.origin_at(&key), found).accepts("0 or more");
                self.problems.push(problem.help("choose rule: weighted_sum, constrained or gate, or another weight"));
            }
        }
        let Some(names) = members.names().filter(|names| !names.is_empty()) else { return };
        if members.entries.iter().any(negative) {
            return;
        }
        let weights = names.into_iter().zip(members.entries.iter().map(|entry| entry.weight));
        if let Some((found, accepted)) = rule.nothing_to_weigh(weights) {
            self.problems.push(Problem::new(node.origin_at("objectives"), found).accepts(accepted));
        }
    }

    /// A geometric mean is one of scores from 0 to 1.
    fn shares(&mut self, node: &Node, members: &Members<'_>) {
        for (index, (objective, document)) in members.objectives.iter().zip(members.documents).enumerate() {
            let (Some(objective), Some(document)) = (objective, document) else { continue };
            if objective.weight <= 0.0 || objective.normalizer.gives_shares() {
                continue;
            }
            let written = document.root.child("normalizer").map(|normalizer| normalizer.origin);
            let origin = written.unwrap_or_else(|| node.origin_at(&format!("objectives.{index}.file")));
            let kind = serde_json::to_value(objective.normalizer).unwrap_or_default();
            let found = format!(
                "objective {} has normalizer: {}, but rule: geometric needs scores from 0 to 1",
                quote(&objective.name),
                kind.as_str().unwrap_or_default()
            );
            let problem = Problem::new(origin, found).accepts("normalizer: win_rate, sigmoid, minmax");
            self.problems.push(problem.help("set another normalizer in the objective's file, or choose another rule"));
        }
    }
}

/// The rule with its numbers; `None` when one is missing, which has been reported.
fn rule(raw: RawCombine) -> Option<Rule> {
    Some(match raw.rule {
        RawRule::WeightedSum => Rule::WeightedSum,
        RawRule::WorstCase => Rule::WorstCase,
        RawRule::SoftMin => Rule::SoftMin { tau: raw.tau? },
        RawRule::LogSigmoid => {
            Rule::LogSigmoid { reference_quantile: raw.reference_quantile.unwrap_or(REFERENCE_QUANTILE) }
        }
        RawRule::Geometric => Rule::Geometric,
        RawRule::Constrained => Rule::Constrained { floors: raw.floors?, lambda: raw.lambda? },
        RawRule::Gate => Rule::Gate { floors: raw.floors?, low_score: raw.low_score? },
    })
}

/// Whether floors stand there without an entry: one whose entries were refused has its faults already.
fn is_empty_mapping(node: &Node) -> bool {
    let floors = node.child("combine").and_then(|combine| combine.child("floors"));
    floors.is_some_and(|floors| matches!(&floors.value, super::super::node::Value::Map(entries) if entries.is_empty()))
}
