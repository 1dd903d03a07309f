//! The summary's numbers as polars tables, and those as CSV and Parquet bytes.
//!
//! In CSV, text that a spreadsheet would run as a formula gets a leading apostrophe; Parquet holds the text as it is. A
//! statistic that is not defined is null, and its column `undefined` says why.

mod heads;
mod measures;
mod pictures;
mod sweep;
mod training;
mod words;

use polars::prelude::{Column, CsvWriter, DataFrame, DataType, ParquetWriter, PolarsResult, SerWriter};

pub use sweep::write_sweep;

use super::benchmarks;
use super::summary::RunSummary;
use crate::error::{Error, Fault, Result};

/// How a table is made of a summary.
type Make = fn(&RunSummary) -> PolarsResult<DataFrame>;

/// Every table, in the order in which the page names them.
const TABLES: [(&str, Make); 26] = [
    ("findings", words::findings),
    ("warnings", words::warnings),
    ("metrics", heads::metrics),
    ("agreement", measures::agreement),
    ("cross_accuracy", measures::cross_accuracy),
    ("labelers", measures::labelers),
    ("reliability", heads::reliability),
    ("margins", pictures::margins),
    ("distributions", pictures::distributions),
    ("densities", pictures::densities),
    ("choices", measures::choices),
    ("pareto", pictures::pareto),
    ("left_out", measures::left_out),
    ("turned", measures::turned),
    ("sweep", pictures::sweep),
    ("shares", pictures::shares),
    ("length", measures::length),
    ("probes", measures::probes),
    ("examples", words::examples),
    ("drift", measures::drift),
    ("benchmarks", |summary| benchmarks::frame(&summary.benchmarks)),
    ("l2", heads::l2_paths),
    ("readouts", heads::readouts),
    ("controls", training::controls),
    ("learning_curves", training::learning_curves),
    ("audit", heads::audit),
];

/// The names of all tables.
pub(super) fn names() -> Vec<&'static str> {
    TABLES.iter().map(|(name, _)| *name).collect()
}

/// Every table with its name, in the order in which the page names them.
///
/// # Errors
/// [`Error::Io`] when polars refuses a table.
pub(super) fn all(summary: &RunSummary) -> Result<Vec<(&'static str, DataFrame)>> {
    TABLES.into_iter().map(|(name, make)| Ok((name, make(summary).map_err(|error| refused(&error))?))).collect()
}

/// The table as CSV with a header, protected against formulas.
///
/// # Errors
/// [`Error::Io`] when polars refuses.
pub(super) fn csv(frame: &DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let written = protected(frame).and_then(|mut frame| CsvWriter::new(&mut bytes).finish(&mut frame));
    written.map_err(|error| refused(&error))?;
    Ok(bytes)
}

/// The table as Parquet.
///
/// # Errors
/// [`Error::Io`] when polars refuses.
pub(super) fn parquet(frame: &mut DataFrame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(frame).map_err(|error| refused(&error))?;
    Ok(bytes)
}

/// What a refusal of polars means to a user.
pub(super) fn refused(error: &polars::prelude::PolarsError) -> Error {
    Error::Io(vec![Fault::new("report tables", format!("cannot be made: {error}"))])
}

fn protected(frame: &DataFrame) -> PolarsResult<DataFrame> {
    let column = |column: &Column| {
        if column.dtype() != &DataType::String {
            return Ok(column.clone());
        }
        let texts: Vec<Option<String>> = column.str()?.iter().map(|text| text.map(harmless)).collect();
        Ok(Column::new(column.name().clone(), texts))
    };
    DataFrame::new_infer_height(frame.columns().iter().map(column).collect::<PolarsResult<Vec<Column>>>()?)
}

/// What a spreadsheet takes for the beginning of a formula; the wide signs count where keyboards write them.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The text with an apostrophe before it if a spreadsheet would take it for a formula.
fn harmless(text: &str) -> String {
    let formula = text.starts_with(FORMULA_STARTS);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// The names of one objective's rows: its own name once for every row.
fn repeated(parts: impl Iterator<Item = (String, usize)>) -> Column {
    let names: Vec<String> = parts.flat_map(|(name, rows)| std::iter::repeat_n(name, rows)).collect();
    Column::new("objective".into(), names)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::evaluate::{Estimate, Statistic, Undefined};
    use crate::report::summary::TurnedShares;

    fn table(summary: &RunSummary, wanted: &str) -> (DataFrame, String) {
        let tables = all(summary).expect("tables");
        let (_, frame) = tables.into_iter().find(|(name, _)| *name == wanted).expect("a table of that name");
        let text = String::from_utf8(csv(&frame).expect("CSV")).expect("UTF-8");
        (frame, text)
    }

    #[test]
    fn metrics_hold_one_row_per_objective_and_holder() {
        let summary = sample::summary();
        let (frame, text) = table(&summary, "metrics");
        let rows: usize =
            summary.objectives.iter().map(|objective| 1 + objective.groups.len() + objective.baselines.len()).sum();
        assert_eq!(frame.height(), rows + 2, "and two rows for the holistic pairs");
        let accuracy = summary.objectives[0].accuracy.expect("test pairs");
        let line = text.lines().find(|line| line.starts_with("helpfulness,head,")).expect("the head's row");
        assert!(
            line.contains(&format!(",{},{},", accuracy.n, accuracy.clusters))
                && line.contains(&accuracy.value.to_string())
        );
    }

    #[test]
    fn formulas_are_defused_in_text_and_numbers_stay_numbers() {
        let mut summary = sample::summary();
        "=cmd|' /C calc'!A0".clone_into(&mut summary.objectives[0].name);
        let low = Estimate { value: -0.5, low: -0.75, high: -0.25, n: 9, clusters: 9 };
        let turned = TurnedShares {
            objective: "=cmd|' /C calc'!A0".to_owned(),
            weight: -1.0,
            without: Statistic::Known(low),
            halved: Statistic::Known(low),
            doubled: Statistic::Unknown { undefined: Undefined::NoValues },
        };
        summary.combined.turned = vec![turned];
        let (_, text) = table(&summary, "turned");
        assert!(text.contains("'=cmd|") && !text.lines().any(|line| line.starts_with('=')), "{text}");
        assert!(text.contains(",-0.5,-0.75,-0.25,9,9,"), "{text}");
        assert!(text.lines().last().is_some_and(|line| line.contains(",,,,,") && line.len() > 30), "{text}");
    }

    #[test]
    fn parquet_has_its_magic_bytes_and_empty_runs_have_tables() {
        for summary in [sample::summary(), sample::empty()] {
            for (name, mut frame) in all(&summary).expect("tables") {
                let bytes = parquet(&mut frame).expect("Parquet");
                assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{name}");
            }
        }
    }
}
