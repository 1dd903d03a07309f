//! What the keys of a labelling rule mean together: each kind has keys of its own, and takes no other's.

use super::{Check, Node, Problem};
use crate::config::raw::{RawLabelRule, RawSource};
use crate::config::{Criterion, Pattern, RuleConfig, RuleKind};
use crate::error::quote;

/// A key that only some kinds take.
#[derive(Clone, Copy, PartialEq)]
enum Key {
    Pattern,
    TargetWords,
    Reference,
    MinGap,
}

impl Key {
    const ALL: [Self; 4] = [Self::Pattern, Self::TargetWords, Self::Reference, Self::MinGap];

    fn word(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::TargetWords => "target_words",
            Self::Reference => "reference",
            Self::MinGap => "min_gap",
        }
    }

    /// What the key's value is, for whoever left it out.
    fn meaning(self) -> &'static str {
        match self {
            Self::Pattern => "a regular expression, such as pattern: '^Dear '",
            Self::TargetWords => "how many words are best, such as target_words: 100",
            Self::Reference => "the row's field that holds the reference text, such as reference: answer",
            Self::MinGap => "the least difference that makes a pair",
        }
    }

    fn given(self, raw: &RawLabelRule) -> bool {
        match self {
            Self::Pattern => raw.pattern.is_some(),
            Self::TargetWords => raw.target_words.is_some(),
            Self::Reference => raw.reference.is_some(),
            Self::MinGap => raw.min_gap.is_some(),
        }
    }

    fn required_by(self, kind: RuleKind) -> bool {
        match self {
            Self::Pattern => matches!(kind, RuleKind::Matches | RuleKind::Avoids),
            Self::TargetWords => kind == RuleKind::Length,
            Self::Reference => matches!(kind, RuleKind::Bleu | RuleKind::RougeL),
            Self::MinGap => false,
        }
    }

    fn taken_by(self, kind: RuleKind) -> bool {
        let yes_or_no = matches!(kind, RuleKind::Matches | RuleKind::Avoids | RuleKind::ValidJson);
        self.required_by(kind) || (self == Self::MinGap && !yes_or_no)
    }

    /// The kinds that take this key.
    fn kinds(self) -> String {
        let kinds = RuleKind::ALL.into_iter().filter(|kind| self.taken_by(*kind));
        kinds.map(RuleKind::word).collect::<Vec<&str>>().join(", ")
    }
}

impl Check {
    /// The rule of the source at `key`; `None` when it has none or cannot be used.
    pub(super) fn rule(&mut self, source: &RawSource, node: &Node, key: &str) -> Option<RuleConfig> {
        let raw = source.rule.as_ref()?;
        let at = format!("{key}.rule");
        self.max_gap(raw, node, &at);
        let kind = raw.kind?;
        self.foreign_keys(raw, kind, node, &at);
        self.gap_outside(source, kind, node, key);
        let criterion = self.criterion(raw, kind, node, &at)?;
        let (min_gap, max_gap) = (raw.min_gap.unwrap_or(0.0), raw.max_gap.unwrap_or(0.0));
        Some(RuleConfig { criterion, min_gap, equal_on: raw.equal_on.clone(), max_gap })
    }

    /// A width of equality without a score that must be equal would be ignored in silence.
    fn max_gap(&mut self, raw: &RawLabelRule, node: &Node, at: &str) {
        if raw.max_gap.is_some() && !stands(node, &format!("{at}.equal_on")) {
            let key = format!("{at}.max_gap");
            let problem = Problem::new(node.origin_at(&key), format!("{key} has no meaning without equal_on"));
            self.problems.push(problem.help("name the score that must be equal with equal_on, or remove max_gap"));
        }
    }

    fn foreign_keys(&mut self, raw: &RawLabelRule, kind: RuleKind, node: &Node, at: &str) {
        let foreign = |key: &Key| key.given(raw) && !key.taken_by(kind);
        for name in Key::ALL.into_iter().filter(foreign) {
            let key = format!("{at}.{}", name.word());
            let found = format!("{key} has no meaning with kind: {}", kind.word());
            let problem = Problem::new(node.origin_at(&key), found).accepts(format!("with kind: {}", name.kinds()));
            self.problems.push(problem.help(format!("remove {}, or check the kind", name.word())));
        }
    }

    /// The source's own `min_gap` compares scores. Beside `fewer_words` it has always been allowed.
    fn gap_outside(&mut self, source: &RawSource, kind: RuleKind, node: &Node, key: &str) {
        if source.min_gap.is_none() || kind == RuleKind::FewerWords {
            return;
        }
        let key = format!("{key}.min_gap");
        let found = format!("{key} compares scores, but a rule of kind: {} labels this source", kind.word());
        let help = if Key::MinGap.taken_by(kind) { "move min_gap into the rule" } else { "remove min_gap" };
        self.problems.push(Problem::new(node.origin_at(&key), found).help(help));
    }

    fn criterion(&mut self, raw: &RawLabelRule, kind: RuleKind, node: &Node, at: &str) -> Option<Criterion> {
        let missing = |key: &Key| key.required_by(kind) && !key.given(raw);
        for name in Key::ALL.into_iter().filter(missing) {
            // A key that stands there with a value that cannot be used has been reported.
            if !stands(node, &format!("{at}.{}", name.word())) {
                let found = format!("key \"{at}.{}\" is missing: kind: {} needs it", name.word(), kind.word());
                self.problems.push(Problem::new(node.origin_at(at), found).accepts(name.meaning()));
            }
        }
        Some(match kind {
            RuleKind::FewerWords => Criterion::FewerWords,
            RuleKind::MoreWords => Criterion::MoreWords,
            RuleKind::FewerCharacters => Criterion::FewerCharacters,
            RuleKind::MoreCharacters => Criterion::MoreCharacters,
            RuleKind::Length => Criterion::Length { target_words: raw.target_words? },
            RuleKind::Matches => Criterion::Matches(self.pattern(raw, node, at)?),
            RuleKind::Avoids => Criterion::Avoids(self.pattern(raw, node, at)?),
            RuleKind::ValidJson => Criterion::ValidJson,
            RuleKind::Bleu => Criterion::Bleu { reference: raw.reference.clone()? },
            RuleKind::RougeL => Criterion::RougeL { reference: raw.reference.clone()? },
        })
    }

    fn pattern(&mut self, raw: &RawLabelRule, node: &Node, at: &str) -> Option<Pattern> {
        self.regular_expression(raw.pattern.as_deref()?, node, &format!("{at}.pattern"))
    }

    /// The pattern that `text`, the value of the key at `key`, means.
    pub(super) fn regular_expression(&mut self, text: &str, node: &Node, key: &str) -> Option<Pattern> {
        Pattern::new(text)
            .map_err(|found| {
                let found = format!("{key} is {}, which is no regular expression: {}", quote(text), plain(&found));
                let problem = Problem::new(node.origin_at(key), found);
                let problem = problem.accepts("the syntax of the Rust crate regex (no look-around, no backreferences)");
                self.problems.push(problem.help("put the pattern in single quotes, so that YAML leaves \\ alone"));
            })
            .ok()
    }
}

/// Whether there is anything at the dotted `path`.
pub(super) fn stands(node: &Node, path: &str) -> bool {
    path.split('.').try_fold(node, |node, step| node.child(step)).is_some()
}

/// A library's message may repeat the user's text.
fn plain(message: &str) -> String {
    message.chars().filter(|character| !character.is_control()).take(200).collect()
}
