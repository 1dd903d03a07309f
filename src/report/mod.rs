//! The page, plots and tables that say how good the heads are, and what to beware of.
//!
//! [`RunSummary`] is the contract: a flow fills it, [`write_report`] turns it into one self-contained page
//! (`index.html`), PNG files of its plots, CSV and Parquet files of its numbers, and `summary.json`. The same summary
//! gives the same bytes. Nothing here computes scores or reads data.

mod canvas;
mod formula;
mod head_summary;
mod heads_tables;
mod heads_view;
mod heat;
mod html;
mod plots;
mod png;
#[cfg(test)]
pub(crate) mod sample;
mod summary;
mod sweep;
mod tables;
mod view;
mod warnings;
mod words;

use std::path::{Path, PathBuf};

pub use head_summary::{ControlSummary, FitSummary, LearningPoint, MlpSummary, TrainingPairs};
pub use summary::{
    AuditSummary, BAG_OF_WORDS, BackboneSummary, Baseline, CombinedSummary, DomainSummary, GroupAccuracy, LONGER_WINS,
    ObjectiveSummary, ReadoutObjective, ReadoutSummary, ReferenceSummary, RunSummary, SHORTER_WINS, SplitSize,
    Standing,
};
pub use sweep::write_sweep;
pub use warnings::{Warning, warnings};

use crate::error::{Error, Fault, Result};
use crate::files;

/// Writes the whole report into `folder` and returns the files written, the page first.
///
/// Every file is replaced atomically, the page last, so that a page never shows numbers its tables do not have.
///
/// # Errors
/// [`crate::error::Error::Io`] when a file cannot be written.
pub fn write_report(folder: &Path, summary: &RunSummary) -> Result<Vec<PathBuf>> {
    let page = html::page(summary)?;
    let mut written = Vec::new();
    let mut write = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        files::write_atomic(&path, bytes)?;
        written.push(path);
        Ok::<(), Error>(())
    };
    for figure in plots::figures(summary) {
        write(format!("plots/{}.png", figure.slug), &figure.png()?)?;
    }
    for (name, mut frame) in tables::all(summary)? {
        write(format!("tables/{name}.csv"), &tables::csv(&frame)?)?;
        write(format!("tables/{name}.parquet"), &tables::parquet(&mut frame)?)?;
    }
    write("summary.json".to_owned(), &json(summary)?)?;
    write("index.html".to_owned(), page.as_bytes())?;
    written.rotate_right(1);
    Ok(written)
}

fn json(summary: &RunSummary) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(summary)
        .map_err(|error| Error::Io(vec![Fault::new("summary.json", format!("cannot be written: {error}"))]))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn written(summary: &RunSummary) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths = write_report(folder.path(), summary).expect("a report");
        assert_eq!(paths.first(), Some(&folder.path().join("index.html")));
        let read = |path: PathBuf| {
            let bytes = files::read(&path, "a report file").expect("readable");
            (path.strip_prefix(folder.path()).expect("inside").to_owned(), bytes)
        };
        paths.into_iter().map(read).collect()
    }

    #[test]
    fn two_writes_are_identical_and_complete() {
        let summary = sample::summary();
        let (one, two) = (written(&summary), written(&summary));
        assert!(one == two, "the same summary must give the same bytes");
        let names: Vec<String> = one.keys().map(|path| path.display().to_string()).collect();
        for name in ["index.html", "summary.json", "plots/accuracy.png", "tables/metrics.csv", "tables/metrics.parquet"]
        {
            assert!(names.iter().any(|found| found == name), "{name} is missing in {names:?}");
        }
        let back: RunSummary = serde_json::from_slice(&one[Path::new("summary.json")]).expect("readable JSON");
        assert_eq!(back, summary);
    }

    #[test]
    fn odd_runs_still_give_a_report() {
        written(&sample::empty());
        written(&sample::single());
    }
}
