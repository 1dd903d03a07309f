//! The tables of what heads were kept from following, and of their learning curves.

use polars::prelude::{Column, DataFrame, PolarsResult};

use crate::report::head_summary::{ControlSummary, LearningPoint};
use crate::report::summary::RunSummary;

/// One row per objective and probe; empty without bias control.
pub(super) fn controls(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<(&str, &ControlSummary)> = summary
        .objectives
        .iter()
        .flat_map(|objective| objective.controls.iter().map(move |control| (objective.name.as_str(), control)))
        .collect();
    let number = |name: &str, pick: fn(&ControlSummary) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(|(_, control)| pick(control)).collect::<Vec<Option<f64>>>())
    };
    DataFrame::new_infer_height(vec![
        Column::new("objective".into(), rows.iter().map(|row| row.0).collect::<Vec<&str>>()),
        Column::new("probe".into(), rows.iter().map(|row| row.1.probe.as_str()).collect::<Vec<&str>>()),
        number("penalty", |control| control.strength),
        number("correlation", |control| control.correlation),
        number("uncontrolled_correlation", |control| control.uncontrolled_correlation),
        number("accuracy", |control| Some(control.accuracy?.value)),
        number("uncontrolled_accuracy", |control| Some(control.uncontrolled_accuracy?.value)),
        number("paid", |control| Some(control.paid?.value)),
        number("paid_low", |control| Some(control.paid?.low)),
        number("paid_high", |control| Some(control.paid?.high)),
    ])
}

/// One row per objective and number of training pairs.
pub(super) fn learning_curves(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<(&str, &LearningPoint)> = summary
        .objectives
        .iter()
        .flat_map(|objective| objective.learning_curve.iter().map(move |point| (objective.name.as_str(), point)))
        .collect();
    let number = |name: &str, pick: fn(&LearningPoint) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(|(_, point)| pick(point)).collect::<Vec<Option<f64>>>())
    };
    DataFrame::new_infer_height(vec![
        Column::new("objective".into(), rows.iter().map(|row| row.0).collect::<Vec<&str>>()),
        Column::new("pairs".into(), rows.iter().map(|row| row.1.pairs as u64).collect::<Vec<u64>>()),
        number("accuracy", |point| Some(point.accuracy?.value)),
        number("low", |point| Some(point.accuracy?.low)),
        number("high", |point| Some(point.accuracy?.high)),
        number("log_loss", |point| point.log_loss),
    ])
}
