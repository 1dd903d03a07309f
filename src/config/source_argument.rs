//! A source of pairs that a command line names, without a YAML file.

use std::collections::BTreeMap;
use std::path::Path;

use super::check::MIN_GAP;
use super::diagnostic::Origin;
use super::inputs::{self, Inputs};
use super::{Format, LabelSource, SourceConfig};
use crate::error::Fault;

/// What a command line says of a source; everything else is as in a YAML source that says no more.
#[derive(Clone, Copy, Debug)]
pub struct SourceArgument<'a> {
    /// The argument, to name it in messages: `--holistic`.
    pub place: &'a str,
    /// A file, a folder or a pattern.
    pub path: &'a Path,
    /// Its format; `None` means: detect it from the first row.
    pub format: Option<Format>,
    /// Which of a row's scores or labels counts, where that is said.
    pub score: Option<&'a str>,
    /// Which counts otherwise.
    pub default_score: &'a str,
}

impl SourceArgument<'_> {
    /// The source with its files.
    ///
    /// # Errors
    /// A fault when the path names no file, and when the format has no use for the score.
    pub fn source(&self) -> Result<SourceConfig, Fault> {
        if let (Some(format), Some(_)) = (self.format, self.score)
            && !format.uses("score")
        {
            let formats: Vec<&str> = Format::all().filter(|format| format.uses("score")).map(Format::word).collect();
            let found = format!("a score has no meaning in the format {}", format.word());
            return Err(Fault::new("--score", found)
                .accepts(format!("--format {}, or no --format", formats.join(", ")))
                .help("remove --score, or check --format"));
        }
        let inputs = inputs::find(self.path, Origin::Override(0), "this");
        let Inputs { path, files, skipped } = inputs.map_err(|problem| Fault {
            place: self.place.to_owned(),
            found: problem.found,
            accepted: problem.accepted,
            help: problem.help.or_else(|| Some("relative paths are seen from the current folder".to_owned())),
        })?;
        Ok(SourceConfig {
            path,
            files,
            skipped,
            columns: BTreeMap::new(),
            format: self.format,
            score: self.score.unwrap_or(self.default_score).to_owned(),
            min_gap: MIN_GAP,
            rule: None,
            given: self.score.iter().map(|_| "score").collect(),
            labels: LabelSource::Human,
            label_source_field: None,
            split_field: None,
            domain_field: None,
            max_pairs_per_prompt: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    fn argument(path: &Path) -> SourceArgument<'_> {
        SourceArgument { place: "--holistic", path, format: None, score: None, default_score: "overall" }
    }

    #[test]
    fn a_path_becomes_its_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["b.jsonl", "a.csv", "README.md"] {
            files::write_atomic(&folder.path().join(name), b"{}").expect("written");
        }
        let source = argument(folder.path()).source().expect("a folder of data");
        assert_eq!(source.files, [folder.path().join("a.csv"), folder.path().join("b.jsonl")]);
        assert_eq!((source.score.as_str(), source.given.len(), source.format), ("overall", 0, None));
        let ratings =
            SourceArgument { score: Some("-toxicity"), format: Some(Format::Rated), ..argument(folder.path()) };
        let source = ratings.source().expect("ratings have scores");
        assert_eq!((source.score.as_str(), source.given), ("-toxicity", vec!["score"]));
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_argument() {
        let missing = argument(Path::new("none-such/pairs.jsonl")).source().expect_err("no file");
        assert_eq!(missing.place, "--holistic");
        assert!(missing.found.contains("which does not exist") && missing.help.is_some(), "{missing}");
        let pairs = SourceArgument { score: Some("overall"), format: Some(Format::Pairs), ..argument(Path::new(".")) };
        assert_eq!(pairs.source().expect_err("pairs have one label").place, "--score");
    }
}
