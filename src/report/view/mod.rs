//! The summary in words: what the page's template fills in. Nothing here escapes or draws.

mod agreement;
mod bias;
mod choices;
mod combined;
mod data;
mod drift;
mod examples;
mod figures;
mod heads;
pub(in crate::report) mod table;
mod training;

use std::collections::BTreeMap;

use serde::Serialize;

use super::benchmarks::{self, BenchmarkView};
use super::findings::{Finding, findings};
use super::summary::RunSummary;
use super::tables;
use super::warnings::{Warning, warnings};
use super::words::{clean, count, counted};
use crate::error::Result;

const STYLE: &str = include_str!("../../../assets/report.css");

#[derive(Serialize)]
pub(super) struct Page {
    css: &'static str,
    name: String,
    created_by: String,
    verdict: String,
    meta: String,
    from_registry: bool,
    warnings: Vec<Said>,
    findings: Vec<Said>,
    baseline_names: Vec<&'static str>,
    columns: usize,
    rows: Vec<heads::RowView>,
    figures: BTreeMap<&'static str, figures::FigureView>,
    agreement: agreement::AgreementView,
    choices: Option<String>,
    combined: combined::CombinedView,
    bias: bias::BiasView,
    examples: Vec<examples::ExampleGroup>,
    audits: Vec<data::AuditView>,
    drift: Option<drift::DriftView>,
    benchmarks: Vec<BenchmarkView>,
    made: Vec<(&'static str, String)>,
    fits: Vec<training::FitView>,
    readouts: Vec<data::ReadoutView>,
    controls: Vec<training::ControlView>,
    curves: Vec<training::CurveView>,
    next: String,
    tables: Vec<&'static str>,
}

/// A warning or a finding in words.
#[derive(Serialize)]
struct Said {
    headline: String,
    remedy: String,
    /// Where on the page the numbers are; empty for warnings.
    section: &'static str,
}

/// Everything the template needs.
///
/// # Errors
/// [`crate::error::Error::Io`] when a chart cannot be drawn.
pub(super) fn view(summary: &RunSummary) -> Result<Page> {
    let warning = |one: Warning| said(&one.headline(), &one.remedy(), "");
    let finding = |one: Finding| said(&one.headline(), &one.remedy(), one.section());
    Ok(Page {
        css: STYLE,
        name: clean(&summary.name),
        created_by: clean(&summary.created_by),
        verdict: clean(&summary.verdict()),
        meta: meta(summary),
        from_registry: summary.from_registry,
        warnings: warnings(summary).into_iter().map(warning).collect(),
        findings: findings(summary).into_iter().map(finding).collect(),
        baseline_names: heads::BASELINES.map(|(_, title)| title).to_vec(),
        columns: 6 + heads::BASELINES.len(),
        rows: summary.objectives.iter().map(heads::row).collect(),
        figures: figures::all(summary)?,
        agreement: agreement::agreement(&summary.agreement),
        choices: choices::choices(&summary.pareto),
        combined: combined::combined(summary),
        bias: bias::bias(&summary.objectives),
        examples: examples::groups(summary),
        audits: summary.objectives.iter().map(data::audit).collect(),
        drift: summary.drift.as_ref().map(drift::drift),
        benchmarks: benchmarks::view(&summary.benchmarks),
        made: data::made(summary),
        fits: training::fits(&summary.objectives),
        readouts: summary.readouts.iter().map(data::readout).collect(),
        controls: training::controls(&summary.objectives),
        curves: training::curves(&summary.objectives),
        next: clean(&summary.command_next),
        tables: tables::names(),
    })
}

fn said(headline: &str, remedy: &str, section: &'static str) -> Said {
    Said { headline: clean(headline), remedy: clean(remedy), section }
}

fn meta(summary: &RunSummary) -> String {
    let backbone = &summary.backbone;
    let pairs: usize = summary.objectives.iter().map(|objective| objective.test.pairs).sum();
    format!(
        "{} on one frozen backbone ({}) · {} test pairs · {} texts",
        counted(summary.objectives.len(), "head"),
        clean(&backbone.architecture),
        count(pairs),
        count(backbone.texts)
    )
}
