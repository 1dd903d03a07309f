//! The tables of single heads: metrics beside baselines, reliability, readouts, and the audit of their data.

use polars::prelude::{Column, DataFrame, PolarsResult};

use super::repeated;
use crate::evaluate::Estimate;
use crate::report::summary::{ObjectiveSummary, ReadoutObjective, ReadoutSummary, RunSummary};

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

/// One row per objective and holder: the head, its parts, its baselines.
pub(super) fn metrics(summary: &RunSummary) -> PolarsResult<DataFrame> {
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
    let numbers = [
        objective.log_loss,
        objective.log_loss_train,
        objective.brier,
        objective.ece,
        objective.bias.length_correlation().map(|one| one.value),
    ];
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

/// The bins of the reliability curves.
pub(super) fn reliability(summary: &RunSummary) -> PolarsResult<DataFrame> {
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

/// The penalties tried.
pub(super) fn l2_paths(summary: &RunSummary) -> PolarsResult<DataFrame> {
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
pub(super) fn readouts(summary: &RunSummary) -> PolarsResult<DataFrame> {
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

/// What was counted of the data, one row a count.
pub(super) fn audit(summary: &RunSummary) -> PolarsResult<DataFrame> {
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
