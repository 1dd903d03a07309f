//! The one error type of the crate.
//!
//! Every variant is something a user can act on. A variant carries one or more [`Fault`]s; each fault says where,
//! what was found, what is accepted and what to do. Nothing here prints: `cli::ui` is the only printer.

use std::fmt;

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing that is wrong, worded for the person who has to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `file:line:column`, `file:line`, a file, a field or a command-line flag.
    pub place: String,
    /// What was found there.
    pub found: String,
    /// What would be accepted instead.
    pub accepted: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    /// A fault at `place`: `found` says what is wrong there.
    pub fn new(place: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { place: place.to_string(), found: found.to_string(), accepted: None, help: None }
    }

    /// Adds what would be accepted.
    #[must_use]
    pub fn accepts(mut self, accepted: impl fmt::Display) -> Self {
        self.accepted = Some(accepted.to_string());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.found)?;
        if let Some(accepted) = &self.accepted {
            write!(f, "\n  accepted: {accepted}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Everything that can go wrong, by what the user would have to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The command line cannot be used.
    #[error("{}", block("usage", .0))]
    Usage(Vec<Fault>),
    /// The YAML configuration cannot be used.
    #[error("{}", block("config", .0))]
    Config(Vec<Fault>),
    /// The preference data or the texts to score cannot be used.
    #[error("{}", block("data", .0))]
    Data(Vec<Fault>),
    /// The backbone directory cannot be used.
    #[error("{}", block("model", .0))]
    Model(Vec<Fault>),
    /// The registry is damaged, unknown or does not fit the backbone.
    #[error("{}", block("registry", .0))]
    Registry(Vec<Fault>),
    /// Reading or writing failed.
    #[error("{}", block("io", .0))]
    Io(Vec<Fault>),
    /// A computation left the numbers (NaN, infinity, a matrix that is not positive definite).
    #[error("{}", block("numeric", .0))]
    Numeric(Vec<Fault>),
}

impl Error {
    /// The faults this error reports, at least one.
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Usage(faults)
            | Self::Config(faults)
            | Self::Data(faults)
            | Self::Model(faults)
            | Self::Registry(faults)
            | Self::Io(faults)
            | Self::Numeric(faults) => faults,
        }
    }

    /// The process exit code: 2 when the input cannot be used, 3 when the run failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) | Self::Data(_) | Self::Model(_) => 2,
            Self::Registry(_) | Self::Io(_) | Self::Numeric(_) => 3,
        }
    }
}

fn block(kind: &str, faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| format!("error[{kind}]: {fault}")).collect();
    lines.join("\n")
}

/// Quotes a piece of user text for a message: at most 80 characters, control characters escaped, so that data can
/// neither flood nor steer a terminal.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for (index, character) in text.chars().enumerate() {
        if index == 80 {
            quoted.push('…');
            break;
        }
        match character {
            '"' => quoted.push_str("\\\""),
            c if c.is_control() => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The candidate closest to `word` in edit distance, if it is close enough to be a likely misspelling.
pub fn did_you_mean<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = 1 + length / 4;
    // A word that differs by more letters cannot be near, and may be too long for a table of distances.
    let alike = |candidate: &&&str| candidate.chars().count().abs_diff(length) <= limit;
    candidates
        .iter()
        .filter(alike)
        .map(|candidate| (edit_distance(&word.to_lowercase(), &candidate.to_lowercase()), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours cost one each.
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut table = vec![vec![0usize; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let substitution = table[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                let mut best = substitution.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                    best = best.min(table[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    table[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_letters_cost_one() {
        assert_eq!(edit_distance("wieght", "weight"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn suggestion_is_given_only_when_close() {
        assert_eq!(did_you_mean("wieght", &["name", "weight"]), Some("weight"));
        assert_eq!(did_you_mean("banana", &["name", "weight"]), None);
    }

    #[test]
    fn quoted_text_is_cut_and_escaped() {
        assert_eq!(quote("a\u{1b}[31m\"b"), "\"a\\u{1b}[31m\\\"b\"");
        assert_eq!(quote(&"x".repeat(200)).chars().count(), 83);
    }

    #[test]
    fn exit_codes_follow_the_contract() {
        let faults = vec![Fault::new("here", "odd")];
        assert_eq!(Error::Config(faults.clone()).exit_code(), 2);
        assert_eq!(Error::Registry(faults).exit_code(), 3);
    }
}
