//! The report's numbers as polars tables, and those as CSV and Parquet bytes.
//!
//! In CSV, text that a spreadsheet would run as a formula gets a leading apostrophe; Parquet holds the text as it is.

use polars::prelude::{Column, CsvWriter, DataFrame, DataType, ParquetWriter, PolarsResult, SerWriter};

use super::heads_tables;
use super::plots::{SCORE_BINS, score_range};
use super::summary::{ObjectiveSummary, ReadoutObjective, ReadoutSummary, RunSummary};
use crate::error::{Error, Fault, Result};
use crate::evaluate::{Estimate, histogram};

/// Every table with its name, in the order in which the page names them.
///
/// # Errors
/// [`Error::Io`] when polars refuses a table.
pub(super) fn all(summary: &RunSummary) -> Result<Vec<(&'static str, DataFrame)>> {
    [
        ("metrics", metrics(summary)),
        ("reliability", reliability(summary)),
        ("scores", scores(summary)),
        ("correlations", correlations(summary)),
        ("l2", l2_paths(summary)),
        ("readouts", readouts(summary)),
        ("controls", heads_tables::controls(summary)),
        ("learning_curves", heads_tables::learning_curves(summary)),
        ("audit", audit(summary)),
    ]
    .into_iter()
    .map(|(name, frame)| Ok((name, frame.map_err(|error| refused(&error))?)))
    .collect()
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

/// The text with an apostrophe before it if a spreadsheet would take it for a formula.
fn harmless(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

/// A row of the metrics table: an objective and who holds the numbers.
#[derive(Default)]
struct MetricRow {
    objective: String,
    holder: String,
    accuracy: Option<Estimate>,
    lead: Option<Estimate>,
    /// Log-loss, log-loss on the training pairs, Brier score, calibration error, rank correlation with length.
    head: [Option<f64>; 5],
}

fn metrics(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let mut rows: Vec<MetricRow> = summary.objectives.iter().flat_map(metric_rows).collect();
    let holistic = [("combined", summary.combined.holistic), ("longer wins", summary.combined.holistic_longer)];
    let known = holistic.into_iter().filter(|(_, accuracy)| accuracy.is_some());
    rows.extend(known.map(|(holder, accuracy)| MetricRow {
        objective: "(holistic pairs)".to_owned(),
        holder: holder.to_owned(),
        accuracy,
        ..MetricRow::default()
    }));
    let text = |name: &str, value: fn(&MetricRow) -> &str| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<&str>>())
    };
    let number = |name: &str, value: &dyn Fn(&MetricRow) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<Option<f64>>>())
    };
    let count = |name: &str, value: fn(&Estimate) -> usize| {
        let counts = rows.iter().map(|row| row.accuracy.as_ref().map_or(0, value) as u64);
        Column::new(name.into(), counts.collect::<Vec<u64>>())
    };
    DataFrame::new_infer_height(vec![
        text("objective", |row| &row.objective),
        text("holder", |row| &row.holder),
        count("pairs", |accuracy| accuracy.n),
        count("prompts", |accuracy| accuracy.clusters),
        number("accuracy", &|row| Some(row.accuracy?.value)),
        number("accuracy_low", &|row| Some(row.accuracy?.low)),
        number("accuracy_high", &|row| Some(row.accuracy?.high)),
        number("head_lead", &|row| Some(row.lead?.value)),
        number("head_lead_low", &|row| Some(row.lead?.low)),
        number("head_lead_high", &|row| Some(row.lead?.high)),
        number("log_loss", &|row| row.head[0]),
        number("log_loss_train", &|row| row.head[1]),
        number("brier", &|row| row.head[2]),
        number("ece", &|row| row.head[3]),
        number("length_correlation", &|row| row.head[4]),
    ])
}

fn metric_rows(objective: &ObjectiveSummary) -> Vec<MetricRow> {
    let row = |holder: String, accuracy: Option<Estimate>| MetricRow {
        objective: objective.name.clone(),
        holder,
        accuracy,
        ..MetricRow::default()
    };
    let numbers =
        [objective.log_loss, objective.log_loss_train, objective.brier, objective.ece, objective.length_correlation];
    let mut rows = vec![MetricRow { head: numbers, ..row("head".to_owned(), objective.accuracy) }];
    rows.extend(objective.groups.iter().map(|group| row(format!("head: {}", group.name), group.accuracy)));
    rows.extend(
        objective
            .baselines
            .iter()
            .map(|baseline| MetricRow { lead: baseline.difference, ..row(baseline.name.clone(), baseline.accuracy) }),
    );
    rows
}

/// The names of one objective's rows: its own name once for every row.
fn repeated(parts: impl Iterator<Item = (String, usize)>) -> Column {
    let names: Vec<String> = parts.flat_map(|(name, rows)| std::iter::repeat_n(name, rows)).collect();
    Column::new("objective".into(), names)
}

fn reliability(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let bins: Vec<_> = summary.objectives.iter().flat_map(|objective| &objective.reliability).collect();
    let number = |name: &str, value: fn(&crate::evaluate::ReliabilityBin) -> f64| {
        Column::new(name.into(), bins.iter().map(|bin| value(bin)).collect::<Vec<f64>>())
    };
    let names = summary.objectives.iter().map(|objective| (objective.name.clone(), objective.reliability.len()));
    DataFrame::new_infer_height(vec![
        repeated(names),
        number("predicted", |bin| bin.predicted),
        number("observed", |bin| bin.observed),
        number("observed_low", |bin| bin.low),
        number("observed_high", |bin| bin.high),
        Column::new("pairs".into(), bins.iter().map(|bin| bin.n as u64).collect::<Vec<u64>>()),
    ])
}

/// The bars of the score plots; every single score stands in `summary.json`.
fn scores(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let objectives = summary.objectives.iter().map(|objective| (objective.name.as_str(), &objective.test_scores));
    let (mut names, mut from, mut to, mut responses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, scores) in objectives.chain([("(combined)", &summary.combined.scores)]) {
        let Some((low, high)) = score_range(scores) else { continue };
        let step = (high - low) / SCORE_BINS as f64;
        for (bin, count) in histogram(scores, SCORE_BINS, (low, high)).into_iter().enumerate() {
            names.push(name);
            from.push(low + bin as f64 * step);
            to.push(low + (bin + 1) as f64 * step);
            responses.push(count as u64);
        }
    }
    DataFrame::new_infer_height(vec![
        Column::new("objective".into(), names),
        Column::new("from".into(), from),
        Column::new("to".into(), to),
        Column::new("responses".into(), responses),
    ])
}

fn correlations(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let (mut left, mut right, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (row, correlations) in summary.objectives.iter().zip(&summary.correlations) {
        for (column, value) in summary.objectives.iter().zip(correlations) {
            left.push(row.name.as_str());
            right.push(column.name.as_str());
            values.push(*value);
        }
    }
    let responses = vec![summary.correlation_items as u64; values.len()];
    DataFrame::new_infer_height(vec![
        Column::new("left".into(), left),
        Column::new("right".into(), right),
        Column::new("spearman".into(), values),
        Column::new("responses".into(), responses),
    ])
}

fn l2_paths(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let fits = || summary.objectives.iter().filter_map(|objective| Some((&objective.name, objective.fit.as_ref()?)));
    let steps = || fits().flat_map(|(_, fit)| fit.l2_path.iter().map(move |step| (fit.l2, step)));
    DataFrame::new_infer_height(vec![
        repeated(fits().map(|(name, fit)| (name.clone(), fit.l2_path.len()))),
        Column::new("l2".into(), steps().map(|(_, step)| step.0).collect::<Vec<f64>>()),
        Column::new("cv_log_loss".into(), steps().map(|(_, step)| step.1).collect::<Vec<f64>>()),
        Column::new("chosen".into(), steps().map(|(l2, step)| step.0.to_bits() == l2.to_bits()).collect::<Vec<bool>>()),
    ])
}

/// One row per readout that was tried and objective; empty without a search.
fn readouts(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<(&ReadoutSummary, &ReadoutObjective)> = summary
        .readouts
        .iter()
        .flat_map(|readout| readout.objectives.iter().map(move |objective| (readout, objective)))
        .collect();
    let texts =
        |pick: fn(&(&ReadoutSummary, &ReadoutObjective)) -> String| rows.iter().map(pick).collect::<Vec<String>>();
    let numbers = |pick: fn(&ReadoutObjective) -> Option<f64>| rows.iter().map(|row| pick(row.1)).collect::<Vec<_>>();
    DataFrame::new_infer_height(vec![
        Column::new("pooling".into(), texts(|row| row.0.pooling.clone())),
        Column::new("layers".into(), texts(|row| row.0.layers.clone())),
        Column::new("chosen".into(), rows.iter().map(|row| row.0.chosen).collect::<Vec<bool>>()),
        Column::new("objective".into(), texts(|row| row.1.name.clone())),
        Column::new("log_loss".into(), numbers(|objective| objective.log_loss)),
        Column::new("accuracy".into(), numbers(|objective| Some(objective.accuracy?.value))),
        Column::new("low".into(), numbers(|objective| Some(objective.accuracy?.low))),
        Column::new("high".into(), numbers(|objective| Some(objective.accuracy?.high))),
    ])
}

fn audit(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<(&str, String, Option<f64>)> = summary.objectives.iter().flat_map(audit_rows).collect();
    DataFrame::new_infer_height(vec![
        Column::new("objective".into(), rows.iter().map(|row| row.0).collect::<Vec<&str>>()),
        Column::new("item".into(), rows.iter().map(|row| row.1.as_str()).collect::<Vec<&str>>()),
        Column::new("value".into(), rows.iter().map(|row| row.2).collect::<Vec<Option<f64>>>()),
    ])
}

fn audit_rows(objective: &ObjectiveSummary) -> Vec<(&str, String, Option<f64>)> {
    let audit = &objective.audit;
    let count = |item: &str, value: usize| (objective.name.as_str(), item.to_owned(), Some(value as f64));
    let mut rows = vec![count("rows", audit.rows), count("pairs", audit.pairs)];
    rows.extend(objective.labels.iter().map(|(source, pairs)| count(&format!("labels: {source}"), *pairs)));
    let splits = [("train", objective.train), ("calibration", objective.calibration), ("test", objective.test)];
    for (name, split) in splits {
        rows.push(count(&format!("{name} pairs"), split.pairs));
        rows.push(count(&format!("{name} prompts"), split.prompts));
    }
    rows.extend(audit.dropped.iter().map(|(reason, dropped)| count(&format!("dropped: {reason}"), *dropped)));
    rows.push(count("duplicates", audit.duplicates));
    rows.push(count("contradictions", audit.contradictions));
    rows.push(count("split_conflicts", audit.split_conflicts));
    rows.push(count("test responses among the training ones", objective.repeated_responses));
    let shares = [
        ("share of pairs whose longer answer wins", audit.longer_wins),
        ("mean words of chosen answers", audit.mean_words_chosen),
        ("mean words of rejected answers", audit.mean_words_rejected),
    ];
    rows.extend(shares.map(|(item, value)| (objective.name.as_str(), item.to_owned(), value)));
    rows
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

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
        summary.correlations[0][1] = Some(-0.5);
        let (_, text) = table(&summary, "correlations");
        assert!(text.contains("'=cmd|") && !text.lines().any(|line| line.starts_with('=')), "{text}");
        assert!(text.contains(",-0.5,"), "{text}");
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
