//! What the plots count: bins, cells and points.

use polars::prelude::{Column, DataFrame, PolarsResult};

use crate::report::summary::{COMBINED, Density, Distribution, ParetoAnswer, RunSummary};

/// Lower and upper end of each bin with its count.
fn bins(distribution: &Distribution) -> impl Iterator<Item = (f64, f64, u64)> + '_ {
    let step = (distribution.high - distribution.low) / distribution.counts.len().max(1) as f64;
    let low = distribution.low;
    let bin = move |(index, count): (usize, &usize)| {
        (low + index as f64 * step, low + (index + 1) as f64 * step, *count as u64)
    };
    distribution.counts.iter().enumerate().map(bin)
}

fn texts(name: &str, values: Vec<&str>) -> Column {
    Column::new(name.into(), values)
}

/// Test pairs by the size of their margin.
pub(super) fn margins(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<(&str, (f64, f64, u64), u64)> = summary
        .objectives
        .iter()
        .flat_map(|one| {
            let wrong = one.wrong_margins.counts.iter().map(|count| *count as u64);
            bins(&one.right_margins).zip(wrong).map(|(right, wrong)| (one.name.as_str(), right, wrong))
        })
        .collect();
    DataFrame::new_infer_height(vec![
        texts("objective", rows.iter().map(|row| row.0).collect()),
        Column::new("from".into(), rows.iter().map(|row| row.1.0).collect::<Vec<f64>>()),
        Column::new("to".into(), rows.iter().map(|row| row.1.1).collect::<Vec<f64>>()),
        Column::new("right".into(), rows.iter().map(|row| row.1.2).collect::<Vec<u64>>()),
        Column::new("wrong".into(), rows.iter().map(|row| row.2).collect::<Vec<u64>>()),
    ])
}

/// A histogram with what it is of.
type Named<'a> = (&'a str, &'a str, &'a str, &'a Distribution);

/// Every histogram of scores, by objective, scale and split.
pub(super) fn distributions(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let mut all: Vec<Named> = Vec::new();
    for one in &summary.objectives {
        for scores in &one.scores {
            all.push((&one.name, "raw", &scores.split, &scores.raw));
            all.push((&one.name, "normalized", &scores.split, &scores.normalized));
        }
    }
    all.extend(summary.combined_scores.iter().map(|one| (COMBINED, "combined", one.split.as_str(), &one.normalized)));
    for one in summary.drift.iter().flat_map(|drift| &drift.objectives) {
        let [before, now] = match one.name.as_str() {
            COMBINED => ["combined, before", "combined, now"],
            _ => ["normalized, before", "normalized, now"],
        };
        all.push((&one.name, before, "test", &one.old_scores));
        all.push((&one.name, now, "test", &one.new_scores));
    }
    let rows: Vec<(&Named, (f64, f64, u64))> =
        all.iter().flat_map(|one| bins(one.3).map(move |bin| (one, bin))).collect();
    DataFrame::new_infer_height(vec![
        texts("objective", rows.iter().map(|row| row.0.0).collect()),
        texts("scale", rows.iter().map(|row| row.0.1).collect()),
        texts("split", rows.iter().map(|row| row.0.2).collect()),
        Column::new("from".into(), rows.iter().map(|row| row.1.0).collect::<Vec<f64>>()),
        Column::new("to".into(), rows.iter().map(|row| row.1.1).collect::<Vec<f64>>()),
        Column::new("responses".into(), rows.iter().map(|row| row.1.2).collect::<Vec<u64>>()),
    ])
}

/// Cells of every plane that hold a response.
pub(super) fn densities(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let lengths =
        summary.objectives.iter().filter_map(|one| Some((one.name.as_str(), &one.bias.length.as_ref()?.density)));
    let planes = summary.densities.iter().map(|density| (density.upright.as_str(), density));
    let mut rows: Vec<(&str, &str, [f64; 4], u32)> = Vec::new();
    for (upright, density) in planes.chain(lengths) {
        let Density { x, y, counts, .. } = density;
        let high = (y.1 - y.0) / counts.len().max(1) as f64;
        for (row, cells) in counts.iter().enumerate() {
            let wide = (x.1 - x.0) / cells.len().max(1) as f64;
            for (column, count) in cells.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (left, low) = (x.0 + column as f64 * wide, y.0 + row as f64 * high);
                rows.push((&density.across, upright, [left, left + wide, low, low + high], *count));
            }
        }
    }
    let edge =
        |name: &str, index: usize| Column::new(name.into(), rows.iter().map(|row| row.2[index]).collect::<Vec<f64>>());
    DataFrame::new_infer_height(vec![
        texts("across", rows.iter().map(|row| row.0).collect()),
        texts("upright", rows.iter().map(|row| row.1).collect()),
        edge("across_from", 0),
        edge("across_to", 1),
        edge("upright_from", 2),
        edge("upright_to", 3),
        Column::new("responses".into(), rows.iter().map(|row| row.3).collect::<Vec<u32>>()),
    ])
}

/// The answers of the prompts that are drawn.
pub(super) fn pareto(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let examples = summary.pareto.examples.iter();
    let rows: Vec<(&str, &str, &str, &ParetoAnswer)> = examples
        .flat_map(|one| one.answers.iter().map(|answer| (&*one.prompt, &*one.across, &*one.upright, answer)))
        .collect();
    DataFrame::new_infer_height(vec![
        texts("prompt", rows.iter().map(|row| row.0).collect()),
        texts("across", rows.iter().map(|row| row.1).collect()),
        texts("upright", rows.iter().map(|row| row.2).collect()),
        Column::new("score_across".into(), rows.iter().map(|row| row.3.x).collect::<Vec<f64>>()),
        Column::new("score_upright".into(), rows.iter().map(|row| row.3.y).collect::<Vec<f64>>()),
        Column::new("on_front".into(), rows.iter().map(|row| row.3.on_front).collect::<Vec<bool>>()),
        Column::new("chosen".into(), rows.iter().map(|row| row.3.chosen).collect::<Vec<bool>>()),
    ])
}

/// Accuracy over the weights of three objectives.
pub(super) fn sweep(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let points = summary.combined.sweep.as_ref().map_or(&[][..], |sweep| &sweep.simplex);
    let weight = |(index, (name, _)): (usize, &(String, f64))| {
        let values = points.iter().map(|point| point.weights.get(index).copied());
        Column::new(format!("weight_{name}").into(), values.collect::<Vec<Option<f64>>>())
    };
    let mut columns: Vec<Column> = summary.combined.weights.iter().enumerate().map(weight).collect();
    columns.push(Column::new("accuracy".into(), points.iter().map(|point| point.accuracy).collect::<Vec<f64>>()));
    DataFrame::new_infer_height(columns)
}

/// Accuracy while one objective's share grows.
pub(super) fn shares(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let lines = summary.combined.sweep.iter().flat_map(|sweep| &sweep.lines);
    let rows: Vec<(&str, f64, f64)> =
        lines.flat_map(|line| line.points.iter().map(|point| (line.objective.as_str(), point.0, point.1))).collect();
    DataFrame::new_infer_height(vec![
        texts("objective", rows.iter().map(|row| row.0).collect()),
        Column::new("share".into(), rows.iter().map(|row| row.1).collect::<Vec<f64>>()),
        Column::new("accuracy".into(), rows.iter().map(|row| row.2).collect::<Vec<f64>>()),
    ])
}
