//! The page, plots and tables that say how good the heads are, and what to beware of.
//!
//! [`RunSummary`] is the contract: `assess` fills it, [`write_report`] turns it into one self-contained page
//! (`index.html`), PNG files of its plots, CSV and Parquet files of its numbers, and `report.json`. The same summary
//! gives the same bytes. Nothing here computes scores or reads data.

mod benchmarks;
mod findings;
mod formula;
mod head_summary;
#[cfg(test)]
mod hostile;
mod html;
mod plots;
#[cfg(test)]
pub(crate) mod sample;
mod summary;
mod tables;
mod view;
mod warnings;
mod words;

use std::path::{Path, PathBuf};

pub use benchmarks::{BenchmarkRow, BenchmarkSummary, BenchmarkTable, conclusion};
pub use findings::{Finding, findings};
pub use head_summary::{ControlSummary, FitSummary, LearningPoint, MlpSummary, TrainingPairs};
use rayon::prelude::*;
pub use summary::{
    AgreementSummary, AuditSummary, BAG_OF_WORDS, BackboneSummary, Baseline, BestWeights, BiasSummary, COMBINED,
    CombinedSummary, CrossAccuracy, Density, Distribution, DomainSummary, DriftSummary, Example, ExamplesSummary,
    GroupAccuracy, LONGER_WINS, LabelerAgreement, LeftOut, LengthBias, ObjectiveDrift, ObjectiveSummary,
    ObjectivesAgreement, ParetoAnswer, ParetoExample, ParetoSummary, Passage, ProbeBias, ReadoutObjective,
    ReadoutSummary, ReferenceSummary, RunSummary, SHORTER_WINS, ScoreSummary, SimplexPoint, SplitSize, Standing,
    SweepLine, SweepMeasure, SweepSummary, TurnedShares,
};
pub use tables::write_sweep;
pub use warnings::{Warning, warnings};

use crate::error::{Error, Fault, Result};
use crate::files;

/// The file that holds every number of a report.
const DOCUMENT: &str = "report.json";

/// Writes the whole report into `folder` and returns the files written, the page first.
///
/// Every file is replaced atomically, the page last, so that a page never shows numbers its tables do not have; plots of
/// an earlier report that this one does not have are removed.
///
/// # Errors
/// [`crate::error::Error::Io`] when a file cannot be written.
pub fn write_report(folder: &Path, summary: &RunSummary) -> Result<Vec<PathBuf>> {
    let page = html::page(summary)?;
    let write = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        files::write_atomic(&path, bytes)?;
        Ok::<PathBuf, Error>(path)
    };
    let (figures, tables) = (plots::figures(summary), tables::all(summary)?);
    let (plots, tables) = rayon::join(
        || -> Result<Vec<PathBuf>> {
            let draw = figures.par_iter().map(|figure| write(format!("plots/{}.png", figure.slug), &figure.png()?));
            draw.collect()
        },
        || -> Result<Vec<[PathBuf; 2]>> {
            let store = tables.into_par_iter().map(|(name, mut frame)| {
                let csv = write(format!("tables/{name}.csv"), &tables::csv(&frame)?)?;
                Ok([csv, write(format!("tables/{name}.parquet"), &tables::parquet(&mut frame)?)?])
            });
            store.collect()
        },
    );
    let mut written = plots?;
    written.extend(tables?.into_flattened());
    written.push(write(DOCUMENT.to_owned(), &json(summary)?)?);
    written.push(write("index.html".to_owned(), page.as_bytes())?);
    written.rotate_right(1);
    let drawn = |slug: &&&str| figures.iter().any(|figure| figure.slug == **slug);
    let stale = plots::SLUGS.iter().filter(|slug| !drawn(slug)).map(|slug| folder.join(format!("plots/{slug}.png")));
    stale.filter(|path| path.exists()).try_for_each(|path| files::remove(&path))?;
    Ok(written)
}

/// Foreign text made harmless for a terminal: control characters and marks that turn the writing direction are shown as
/// U+FFFD.
pub fn clean_text(text: &str) -> String {
    words::clean(text)
}

/// What `report.json` holds: the numbers, and what is concluded from them.
#[derive(serde::Serialize)]
struct Document<'a> {
    findings: Vec<Told<Finding>>,
    warnings: Vec<Told<()>>,
    #[serde(flatten)]
    summary: &'a RunSummary,
}

/// A conclusion as people read it, with its numbers.
#[derive(serde::Serialize)]
struct Told<T> {
    headline: String,
    remedy: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    numbers: Option<T>,
}

/// The summary that a report in `folder` was made of.
///
/// # Errors
/// [`Error::Io`] when there is no `report.json`, or when it is damaged or of another version.
pub fn read_report(folder: &Path) -> Result<RunSummary> {
    let path = folder.join(DOCUMENT);
    let bytes = files::read(&path, "a report")?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let fault = Fault::new(files::shown(&path), format!("cannot be read: {error}"));
        Error::Io(vec![fault.accepts("a report of this version").help("write it anew with `ensemble report CONFIG`")])
    })
}

fn json(summary: &RunSummary) -> Result<Vec<u8>> {
    let finding = |one: Finding| Told { headline: one.headline(), remedy: one.remedy(), numbers: Some(one) };
    let warning = |one: Warning| Told { headline: one.headline(), remedy: one.remedy(), numbers: None };
    let document = Document {
        findings: findings(summary).into_iter().map(finding).collect(),
        warnings: warnings(summary).into_iter().map(warning).collect(),
        summary,
    };
    let mut bytes = serde_json::to_vec_pretty(&document)
        .map_err(|error| Error::Io(vec![Fault::new(DOCUMENT, format!("cannot be written: {error}"))]))?;
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
        for name in ["index.html", "report.json", "plots/accuracy.png", "tables/metrics.csv", "tables/metrics.parquet"]
        {
            assert!(names.iter().any(|found| found == name), "{name} is missing in {names:?}");
        }
        let back: RunSummary = serde_json::from_slice(&one[Path::new("report.json")]).expect("readable JSON");
        assert_eq!(back, summary);
    }

    #[test]
    fn odd_runs_still_give_a_report() {
        written(&sample::empty());
        written(&sample::single());
    }
}
