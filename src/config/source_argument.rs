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
            help: problem.help,
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
            max_pairs_per_prompt: None,
        })
    }
}
