//! Where a fault stands: keeps the texts that were read, gathers problems and shows them with file, line and column.
//!
//! Finding places in a text is the work of [`super::node`]; what is wrong is the work of the other modules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::node;
use crate::error::Fault;
use crate::files;

/// At most this many problems are shown one by one; a file with more is better mended in rounds.
const MAX_SHOWN: usize = 50;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The value with number `id` of a document.
    Value { document: usize, id: usize },
    /// A place in a document that is known already.
    Place { document: usize, line: usize, column: usize },
    /// A file as a whole.
    File { document: usize },
    /// A `--set` of the command line.
    Override(usize),
}

impl Origin {
    /// Documents in the order they were read, values in the order of the text, then the command line.
    fn rank(self) -> (usize, usize) {
        match self {
            Self::File { document } | Self::Place { document, .. } => (document, 0),
            Self::Value { document, id } => (document, id + 1),
            Self::Override(index) => (usize::MAX, index),
        }
    }
}

/// A fault whose place is not worked out yet.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub origin: Origin,
    pub found: String,
    pub accepted: Option<String>,
    pub help: Option<String>,
}

impl Problem {
    /// A problem at `origin`.
    pub(super) fn new(origin: Origin, found: impl Into<String>) -> Self {
        Self { origin, found: found.into(), accepted: None, help: None }
    }

    /// Adds what would be accepted.
    pub(super) fn accepts(mut self, accepted: impl Into<String>) -> Self {
        self.accepted = Some(accepted.into());
        self
    }

    /// Adds what to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" if there is a word to offer.
    pub(super) fn suggest(self, word: Option<&str>) -> Self {
        match word {
            Some(word) => self.help(format!("did you mean \"{word}\"?")),
            None => self,
        }
    }
}

/// The texts a configuration was read from, so that places can be found when they are needed.
#[derive(Debug, Default)]
pub(super) struct Sources {
    documents: Vec<(PathBuf, String)>,
    overrides: Vec<String>,
}

impl Sources {
    /// Sources with the given `--set` texts and no document yet.
    pub(super) fn new(overrides: &[String]) -> Self {
        Self { documents: Vec::new(), overrides: overrides.to_vec() }
    }

    /// Adds a document under the path that messages show; gives its number.
    pub(super) fn add(&mut self, path: PathBuf, text: String) -> usize {
        self.documents.push((path, text));
        self.documents.len() - 1
    }

    /// Fills in the text of a document that was added before it was read.
    pub(super) fn set_text(&mut self, document: usize, text: String) {
        if let Some((_, known)) = self.documents.get_mut(document) {
            *known = text;
        }
    }

    /// The folder that relative paths written at `origin` start from; the current one for a `--set`.
    pub(super) fn folder(&self, origin: Origin) -> &Path {
        match origin {
            Origin::Value { document, .. } | Origin::Place { document, .. } | Origin::File { document } => {
                self.documents.get(document).map_or(Path::new("."), |(path, _)| files::parent(path))
            }
            Origin::Override(_) => Path::new("."),
        }
    }

    fn shown(&self, document: usize) -> String {
        self.documents.get(document).map_or_else(String::new, |(path, _)| path.display().to_string())
    }

    /// `file:line:column`, or `--set KEY=VALUE`.
    pub(super) fn place(&self, origin: Origin) -> String {
        match origin {
            Origin::File { document } => self.shown(document),
            Origin::Place { document, line, column } => format!("{}:{line}:{column}", self.shown(document)),
            Origin::Value { document, id } => {
                let text = self.documents.get(document).map_or("", |(_, text)| text);
                match node::place(text, id) {
                    Some((line, column)) => format!("{}:{line}:{column}", self.shown(document)),
                    None => self.shown(document),
                }
            }
            Origin::Override(index) => {
                let text = self.overrides.get(index).map_or("", String::as_str);
                let safe: String = text.chars().take(200).filter(|character| !character.is_control()).collect();
                format!("--set {safe}")
            }
        }
    }

    /// The problems as faults, in the order of the files and of their lines; the same fault never twice.
    pub(super) fn faults(&self, mut problems: Vec<Problem>) -> Vec<Fault> {
        problems.sort_by_key(|problem| problem.origin.rank());
        let hidden = problems.len().saturating_sub(MAX_SHOWN);
        problems.truncate(MAX_SHOWN);
        let mut places = BTreeMap::new();
        let mut faults: Vec<Fault> = Vec::new();
        for problem in problems {
            let place = places.entry(problem.origin).or_insert_with(|| self.place(problem.origin)).clone();
            let fault = Fault { place, found: problem.found, accepted: problem.accepted, help: problem.help };
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        if hidden > 0 {
            faults.push(Fault::new(self.shown(0), format!("{hidden} more problems are not shown")));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_shown_in_the_order_of_the_text_and_bounded() {
        let mut sources = Sources::new(&["a=1".to_owned()]);
        let document = sources.add("x.yaml".into(), "a: 1\nb: 2\n".to_owned());
        let at = |id| Origin::Value { document, id };
        let problems = vec![
            Problem::new(Origin::Override(0), "third"),
            Problem::new(at(3), "second"),
            Problem::new(at(1), "first"),
            Problem::new(at(1), "first"),
        ];
        let shown: Vec<String> = sources.faults(problems).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["x.yaml:1:1: first", "x.yaml:2:1: second", "--set a=1: third"]);
        let many: Vec<Problem> = (0..250).map(|index| Problem::new(at(1), format!("{index}"))).collect();
        let faults = sources.faults(many);
        assert_eq!(faults.len(), MAX_SHOWN + 1);
        assert_eq!(faults[MAX_SHOWN].found, "200 more problems are not shown");
    }
}
