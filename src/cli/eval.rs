//! `ensemble eval`: a registry's figures on published benchmarks.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::arguments::EvalOptions;
use super::machine::Machine;
use super::ui::{Ui, columns};
use crate::assess::{BenchmarkFiles, Benchmarks};
use crate::data::benchmarks::{Benchmark, Splits};
use crate::ensemble::Ensemble;
use crate::error::{Error, Fault, Result};
use crate::evaluate::benchmarks::Figure;
use crate::files;
use crate::progress::{Progress, Silent};
use crate::registry::{Manifest, read_manifest};
use crate::report::{BenchmarkSummary, BenchmarkTable, RunSummary, clean_text, read_report, write_report};

pub(super) fn run(options: &EvalOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    fitting(options)?;
    let splits = if options.all_splits { Splits::All } else { Splits::Test };
    let benchmarks = Benchmarks::read(&named(options), splits)?;
    let ensemble = machine.open(&options.registry)?.with_weights(&options.weights)?;
    let progress: &dyn Progress = if ui.json { &Silent } else { ui };
    // A report that cannot take the figures is found before the texts are read.
    let report_of = |folder| Ok((folder, report_of(folder, &options.registry, &ensemble)?));
    let report = options.report.as_deref().map(report_of).transpose()?;
    let summaries = benchmarks.assess(&ensemble, progress)?;
    if let Some((folder, summary)) = report {
        write_report(folder, &with_figures(summary, &summaries))?;
        ui.note(&format!("report    {}", files::shown(&folder.join("index.html"))));
    }
    if ui.json {
        ui.data(&json!({ "benchmarks": summaries }).to_string())?;
        return Ok(0);
    }
    summaries.iter().try_for_each(|summary| show(summary, &summary.files_among(&summaries), ui))?;
    Ok(0)
}

/// Refuses other weights for a report: its formula and its other figures are of the registry's weights.
fn fitting(options: &EvalOptions) -> Result<()> {
    if options.report.is_none() || options.weights.is_empty() {
        return Ok(());
    }
    let found = "the report's formula and figures are of the registry's weights, not of these";
    Err(Error::Usage(vec![
        Fault::new("--weights with --report", found)
            .accepts("one of the two")
            .help("leave out --report to see figures of these weights, or --weights to report those of the registry's"),
    ]))
}

/// The report in a folder, if it is one of this registry's heads and formula.
fn report_of(folder: &Path, registry: &Path, ensemble: &Ensemble) -> Result<RunSummary> {
    let summary = read_report(folder)?;
    let Some(difference) = difference(&summary, &read_manifest(registry)?, ensemble) else { return Ok(summary) };
    let found = format!("{} is a report of {}", files::shown(folder), clean_text(&difference));
    let fingerprint = ensemble.backbone().fingerprint().to_string();
    let ours = format!("a report of {} on backbone {fingerprint:.12}", clean_text(&ensemble.names().join(", ")));
    let ours = format!("{ours}, as they stand in {}", files::shown(registry));
    Err(Error::Usage(vec![
        Fault::new("--report", found).accepts(ours).help("write one with `ensemble report CONFIG --registry REGISTRY`"),
    ]))
}

/// What a report is of instead of a registry's heads and formula; `None` where it is of these.
fn difference(summary: &RunSummary, manifest: &Manifest, ensemble: &Ensemble) -> Option<String> {
    let names: Vec<&str> = summary.objectives.iter().map(|objective| objective.name.as_str()).collect();
    if names != ensemble.names() {
        return Some(format!("other heads: {}", names.join(", ")));
    }
    let fingerprint = &summary.backbone.fingerprint;
    if *fingerprint != ensemble.backbone().fingerprint().to_string() {
        return Some(format!("heads on another backbone: {fingerprint:.12}"));
    }
    let heads = manifest.objectives.iter().map(|entry| Some(&entry.head_digest));
    let reported = summary.heads.iter().map(Some).chain(std::iter::repeat(None));
    let others = names.iter().zip(heads.zip(reported)).filter(|(_, (ours, reported))| ours != reported);
    let others: Vec<&str> = others.map(|(name, _)| *name).collect();
    if !others.is_empty() {
        return Some(format!("other heads of the same names, from another training: {}", others.join(", ")));
    }
    let combiner = ensemble.combiner();
    let weights = summary.combined.weights.iter().map(|(_, weight)| weight);
    let same = summary.combined.combination == *combiner.combination() && weights.eq(combiner.weights());
    (!same).then(|| "the same heads with another formula for the combined score".to_owned())
}

/// The summary with new figures in place of older ones of the same benchmark on the same files.
fn with_figures(mut summary: RunSummary, new: &[BenchmarkSummary]) -> RunSummary {
    for one in new {
        summary.benchmarks.retain(|old| !old.is_of_same_files(one));
        summary.benchmarks.push(one.clone());
    }
    summary
}

/// What the command line names: one benchmark per file, but the files of RM-Bench together.
fn named(options: &EvalOptions) -> Vec<BenchmarkFiles> {
    let each = |benchmark: Benchmark, paths: &[PathBuf]| {
        let one = move |path: &PathBuf| BenchmarkFiles { benchmark, paths: vec![path.clone()] };
        paths.iter().map(one).collect::<Vec<_>>()
    };
    let mut files = each(Benchmark::RewardBench, &options.rewardbench);
    files.extend(each(Benchmark::RewardBench2, options.rewardbench2.as_slice()));
    if !options.rm_bench.is_empty() {
        files.push(BenchmarkFiles { benchmark: Benchmark::RmBench, paths: options.rm_bench.clone() });
    }
    files.extend(each(Benchmark::JudgeBench, options.judgebench.as_slice()));
    files.extend(each(Benchmark::Pairs, &options.pairs));
    files
}

fn show(summary: &BenchmarkSummary, files: &str, ui: &Ui) -> Result<()> {
    // Names from files and manifests cannot steer a terminal.
    let print = |text: &str| ui.data(&clean_text(text));
    let noun = if summary.rows == 1 { "row" } else { "rows" };
    print(&format!("{}: {files}, {} {noun}", summary.name, summary.rows))?;
    print(&summary.conclusion)?;
    summary.notes.iter().try_for_each(|note| print(note))?;
    for table in &summary.tables {
        print("")?;
        print(&table.title)?;
        columns(&lines(table)).iter().try_for_each(|line| print(&format!("  {line}")))?;
        for (why, figures) in table.undefined() {
            print(&format!("  not defined: {} ({why})", figures.join(", ")))?;
        }
    }
    print("")
}

/// A figure per line and a predictor per column: benchmarks have more figures than a terminal has room for.
fn lines(table: &BenchmarkTable) -> Vec<Vec<String>> {
    let predictors = table.rows.iter().map(|row| clean_text(&row.predictor));
    let heading = ["figure".to_owned(), "rows".to_owned()].into_iter().chain(predictors).collect();
    let line = |(column, name): (usize, &String)| {
        let figures: Vec<&Figure> = table.rows.iter().filter_map(|row| row.figures.get(column)).collect();
        let rows = figures.first().map_or(0, |figure| figure.n());
        let cells = figures.into_iter().map(cell);
        [clean_text(name), rows.to_string()].into_iter().chain(cells).collect()
    };
    std::iter::once(heading).chain(table.columns.iter().enumerate().map(line)).collect()
}

/// `71.3% (66.9–75.5)`.
fn cell(figure: &Figure) -> String {
    let percent = |share: f64| format!("{:.1}", 100.0 * share + 0.0);
    match figure {
        Figure::Accuracy(estimate) => {
            format!("{}% ({}–{})", percent(estimate.value), percent(estimate.low), percent(estimate.high))
        }
        Figure::Composite { value, .. } => format!("{}%", percent(*value)),
        Figure::Undefined { .. } => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::BenchmarkRow;

    #[test]
    fn names_of_heads_cannot_steer_a_terminal() {
        let figures = vec![Figure::Composite { value: 0.5, n: 4 }];
        let row = |predictor: &str| BenchmarkRow { predictor: predictor.to_owned(), figures: figures.clone() };
        let table = BenchmarkTable {
            title: "Pairs".to_owned(),
            columns: vec!["a\u{2067}b".to_owned()],
            rows: vec![row("x\u{202e}\u{1b}[2J"), row("\u{61c}\u{200e}\u{2029}y\n")],
        };
        let expected = [
            ["figure", "rows", "x\u{fffd}\u{fffd}[2J", "\u{fffd}\u{fffd}\u{fffd}y\u{fffd}"],
            ["a\u{fffd}b", "4", "50.0%", "50.0%"],
        ];
        assert_eq!(lines(&table), expected);
    }
}
