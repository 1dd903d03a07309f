//! Findings, warnings and examples as tables of text.

use polars::prelude::{Column, DataFrame, PolarsResult};

use crate::report::findings::findings as found;
use crate::report::summary::{Example, RunSummary};
use crate::report::warnings::warnings as warned;

fn column<T>(name: &str, rows: &[T], text: impl Fn(&T) -> String) -> Column {
    Column::new(name.into(), rows.iter().map(text).collect::<Vec<String>>())
}

/// What the run shows.
pub(super) fn findings(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows = found(summary);
    DataFrame::new_infer_height(vec![
        column("section", &rows, |row| row.section().to_owned()),
        column("finding", &rows, super::super::findings::Finding::headline),
        column("what_follows", &rows, super::super::findings::Finding::remedy),
    ])
}

/// What limits what the numbers can be used for.
pub(super) fn warnings(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows = warned(summary);
    DataFrame::new_infer_height(vec![
        column("warning", &rows, super::super::warnings::Warning::headline),
        column("remedy", &rows, super::super::warnings::Warning::remedy),
    ])
}

/// Pairs worth reading.
pub(super) fn examples(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let examples = &summary.examples;
    let nothing = Vec::new();
    let kinds = [
        ("mistake", &examples.mistakes),
        ("conflict", &examples.conflicts),
        ("suspicious label", &examples.suspicious),
        ("turned pair", summary.drift.as_ref().map_or(&nothing, |drift| &drift.turned)),
    ];
    let rows: Vec<(&str, &Example)> =
        kinds.into_iter().flat_map(|(kind, list)| list.iter().map(move |one| (kind, one))).collect();
    DataFrame::new_infer_height(vec![
        column("kind", &rows, |row| row.0.to_owned()),
        column("objective", &rows, |row| row.1.objective.clone()),
        column("labels", &rows, |row| row.1.labels.clone()),
        column("remark", &rows, |row| row.1.remark.clone()),
        column("prompt", &rows, |row| row.1.prompt.clone()),
        column("first", &rows, |row| row.1.headings.0.clone()),
        column("first_answer", &rows, |row| row.1.chosen.text.clone()),
        column("second", &rows, |row| row.1.headings.1.clone()),
        column("second_answer", &rows, |row| row.1.rejected.text.clone()),
    ])
}
