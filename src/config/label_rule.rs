//! Rules that label pairs of rated answers: what is compared of two answers, and by how much they must differ.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// A compiled regular expression may take at most this many bytes.
const MOST_BYTES: usize = 1 << 20;

/// A rule that labels pairs of rated answers.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleConfig {
    /// Which answer wins.
    pub criterion: Criterion,
    /// The least difference that makes a pair, in the criterion's unit; 0 means: any difference.
    pub min_gap: f64,
    /// Only pairs that are equal on this score are labelled; `None` means every pair.
    pub equal_on: Option<String>,
    /// Scores that differ by at most this count as equal.
    pub max_gap: f64,
}

/// Which answer a labelling rule prefers. Words are what white space separates; characters are Unicode scalar values
/// without the white space around the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Criterion {
    /// The answer with fewer words.
    FewerWords,
    /// The answer with more words.
    MoreWords,
    /// The answer with fewer characters.
    FewerCharacters,
    /// The answer with more characters.
    MoreCharacters,
    /// The answer whose number of words is nearer to the target.
    Length {
        /// How many words are best.
        target_words: usize,
    },
    /// The answer in which the pattern is found, over one in which it is not. How often does not count: it would
    /// prefer long answers.
    Matches(Pattern),
    /// The answer in which the pattern is not found, over one in which it is.
    Avoids(Pattern),
    /// The answer that is valid JSON (RFC 8259, any value), bare or in one Markdown fence, over one that is not.
    ValidJson,
    /// The answer with the higher sentence BLEU, 0..=100, against the reference.
    Bleu {
        /// The row's field that holds the reference.
        reference: String,
    },
    /// The answer with the higher ROUGE-L F-measure, 0..=1, against the reference.
    RougeL {
        /// The row's field that holds the reference.
        reference: String,
    },
}

impl RuleConfig {
    /// The row's field that answers are compared with, if the rule has one.
    pub fn reference(&self) -> Option<&str> {
        match &self.criterion {
            Criterion::Bleu { reference } | Criterion::RougeL { reference } => Some(reference),
            _ => None,
        }
    }
}

/// The word that names a [`Criterion`] in the YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// The answer with fewer words wins; equal counts make no pair.
    FewerWords,
    /// The answer with more words wins; equal counts make no pair.
    MoreWords,
    /// The answer with fewer characters wins; equal counts make no pair.
    FewerCharacters,
    /// The answer with more characters wins; equal counts make no pair.
    MoreCharacters,
    /// The answer whose number of words is nearer to `target_words` wins.
    Length,
    /// An answer in which `pattern` is found wins over one in which it is not.
    Matches,
    /// An answer in which `pattern` is not found wins over one in which it is.
    Avoids,
    /// An answer that is valid JSON, bare or in one Markdown fence, wins over one that is not.
    ValidJson,
    /// The answer with the higher sentence BLEU (0 to 100) against the row's `reference` wins.
    Bleu,
    /// The answer with the higher ROUGE-L F-measure (0 to 1) against the row's `reference` wins.
    RougeL,
}

impl RuleKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::FewerWords,
        Self::MoreWords,
        Self::FewerCharacters,
        Self::MoreCharacters,
        Self::Length,
        Self::Matches,
        Self::Avoids,
        Self::ValidJson,
        Self::Bleu,
        Self::RougeL,
    ];

    /// The word used in files and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::FewerWords => "fewer_words",
            Self::MoreWords => "more_words",
            Self::FewerCharacters => "fewer_characters",
            Self::MoreCharacters => "more_characters",
            Self::Length => "length",
            Self::Matches => "matches",
            Self::Avoids => "avoids",
            Self::ValidJson => "valid_json",
            Self::Bleu => "bleu",
            Self::RougeL => "rouge_l",
        }
    }
}

/// A regular expression in the syntax of the crate `regex`: Unicode, linear time, no look-around, no backreferences.
/// It is searched for anywhere in the text; `^` and `$` tie it to the ends.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        match RegexBuilder::new(text).size_limit(MOST_BYTES).build() {
            Ok(regex) => Ok(Self(regex)),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(format!("it takes more than {} kB when compiled", MOST_BYTES / 1024))
            }
            // The message shows the pattern with a marker below it; its last line says what is wrong.
            Err(error) => {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default().trim();
                Err(last.trim_start_matches("error: ").to_owned())
            }
        }
    }

    /// Whether the pattern is found anywhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// How often the pattern is found in `text`; matches do not overlap.
    pub fn count(&self, text: &str) -> usize {
        self.0.find_iter(text).count()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Patterns are equal when they are written alike.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_kind_is_the_one_that_yaml_reads() {
        for kind in RuleKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.word());
        }
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said_in_one_line() {
        let said = |text: &str| Pattern::new(text).expect_err("refused");
        assert_eq!(said("(ab"), "unclosed group");
        assert!(said("(?=a)").contains("look-around"), "{}", said("(?=a)"));
        assert!(said(r"(a)\1").contains("backreferences"), "{}", said(r"(a)\1"));
        assert_eq!(said(&"(".repeat(5000)).lines().count(), 1);
        assert!(said(r"\w{1000}{10}").contains("1024 kB"), "{}", said(r"\w{1000}{10}"));
    }
}
