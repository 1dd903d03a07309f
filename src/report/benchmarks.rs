//! The figures of published benchmarks: what a flow fills in, and how they stand on the page and in a table.
//!
//! One shape for all benchmarks: a table has a row per predictor (the combined score, each objective, the rules that look
//! at the length only) and a column per figure. Which figures there are is the benchmark's business.

use polars::prelude::{Column, DataFrame, PolarsResult};
use serde::{Deserialize, Serialize};

use super::summary::{LONGER_WINS, SHORTER_WINS};
use super::words::{UNDEFINED, clean, counted, fixed, interval, percent};
use crate::evaluate::Estimate;
use crate::evaluate::benchmarks::Figure;

/// What a benchmark says of a registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkSummary {
    /// The benchmark.
    pub name: String,
    /// The names of its files, without folders where the names differ.
    pub file: String,
    /// The same, each with the name of the folder that it stands in.
    pub place: String,
    /// Digest of what the files hold: with the benchmark's name it says what the figures are of.
    pub digest: String,
    /// How many rows were scored.
    pub rows: usize,
    /// Its figures, the most important table first.
    pub tables: Vec<BenchmarkTable>,
    /// What to know of the figures, in sentences.
    pub notes: Vec<String>,
    /// What to conclude, in one sentence: [`conclusion`].
    pub conclusion: String,
}

/// Figures that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkTable {
    /// What they are about.
    pub title: String,
    /// The names of the figures.
    pub columns: Vec<String>,
    /// One per predictor.
    pub rows: Vec<BenchmarkRow>,
}

/// The figures of one predictor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkRow {
    /// The combined score, an objective's name, or a rule that looks at the length only.
    pub predictor: String,
    /// One per column.
    pub figures: Vec<Figure>,
}

impl BenchmarkSummary {
    /// Whether these are figures of the same benchmark on the same files, wherever those stand.
    pub fn is_of_same_files(&self, other: &Self) -> bool {
        (&self.name, &self.digest) == (&other.name, &other.digest)
    }

    /// How its files are called among others: by their names; with their folders where another's have the same names;
    /// with the beginning of their digest where the folders have too.
    pub fn files_among(&self, all: &[Self]) -> String {
        let others = || all.iter().filter(|other| !self.is_of_same_files(other));
        if !others().any(|other| other.file == self.file) {
            self.file.clone()
        } else if !others().any(|other| other.place == self.place) {
            self.place.clone()
        } else {
            format!("{} ({:.12})", self.place, self.digest)
        }
    }
}

impl BenchmarkTable {
    /// The figures that are not defined, by why; which these are depends on the rows and not on the predictor.
    pub fn undefined(&self) -> Vec<(&str, Vec<&str>)> {
        let first = self.rows.first().map_or(&[][..], |row| &row.figures);
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (column, figure) in self.columns.iter().zip(first) {
            let Figure::Undefined { why } = figure else { continue };
            match reasons.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, columns)) => columns.push(column),
                None => reasons.push((why, vec![column])),
            }
        }
        reasons
    }
}

/// Whether the combined score is better than the better of the two length rules: `lead` is what it earns more than
/// that rule, `rule` is [`LONGER_WINS`] or [`SHORTER_WINS`].
pub fn conclusion(lead: Option<&Estimate>, rule: &str) -> String {
    let rule = match rule {
        LONGER_WINS => "picking the longer answer",
        SHORTER_WINS => "picking the shorter answer",
        other => other,
    };
    let Some(lead) = lead else {
        return format!(
            "Whether the combined score is better than {rule} cannot be said: there are no rows to compare."
        );
    };
    let standing = if lead.low > 0.0 {
        "is better than"
    } else if lead.high < 0.0 {
        "is worse than"
    } else {
        "is not shown to be better than"
    };
    let sign = if lead.value > 0.0 { "+" } else { "" };
    format!(
        "The combined score {standing} {rule}: {sign}{} points over {} (95% interval {}).",
        fixed(100.0 * lead.value, 1),
        counted(lead.n, "row"),
        interval(lead),
    )
}

/// A benchmark in words.
#[derive(Serialize)]
pub(super) struct BenchmarkView {
    name: String,
    file: String,
    rows: String,
    conclusion: String,
    notes: Vec<String>,
    tables: Vec<TableView>,
}

#[derive(Serialize)]
struct TableView {
    title: String,
    /// The names of the figures, and of how many rows each is.
    columns: Vec<(String, String)>,
    rows: Vec<RowView>,
    /// Which figures are not defined and why.
    undefined: Vec<String>,
}

#[derive(Serialize)]
struct RowView {
    predictor: String,
    /// The row whose figures are the ones to look at.
    main: bool,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    column: String,
    value: String,
    interval: String,
}

/// All benchmarks in words.
pub(super) fn view(benchmarks: &[BenchmarkSummary]) -> Vec<BenchmarkView> {
    let one = |summary: &BenchmarkSummary| BenchmarkView {
        name: clean(&summary.name),
        file: clean(&summary.files_among(benchmarks)),
        rows: counted(summary.rows, "row"),
        conclusion: clean(&summary.conclusion),
        notes: summary.notes.iter().map(|note| clean(note)).collect(),
        tables: summary.tables.iter().map(table_view).collect(),
    };
    benchmarks.iter().map(one).collect()
}

fn table_view(table: &BenchmarkTable) -> TableView {
    let columns: Vec<String> = table.columns.iter().map(|column| clean(column)).collect();
    // How many rows a figure has is the same for every predictor.
    let first = table.rows.first().map_or(&[][..], |row| &row.figures);
    let rows_of = |figure: &Figure| if figure.n() == 0 { String::new() } else { counted(figure.n(), "row") };
    let reason =
        |(why, columns): (&str, Vec<&str>)| format!("Not defined: {} ({}).", clean(&columns.join(", ")), clean(why));
    TableView {
        title: clean(&table.title),
        undefined: table.undefined().into_iter().map(reason).collect(),
        rows: table.rows.iter().enumerate().map(|(index, row)| row_view(row, index == 0, &columns)).collect(),
        columns: columns.into_iter().zip(first.iter().map(rows_of)).collect(),
    }
}

fn row_view(row: &BenchmarkRow, main: bool, columns: &[String]) -> RowView {
    let cell = |(column, figure): (&String, &Figure)| CellView {
        column: column.clone(),
        value: figure.value().map_or_else(|| UNDEFINED.to_owned(), percent),
        interval: match figure {
            Figure::Accuracy(estimate) => interval(estimate),
            _ => String::new(),
        },
    };
    RowView { predictor: clean(&row.predictor), main, cells: columns.iter().zip(&row.figures).map(cell).collect() }
}

/// One row per figure: benchmark, file, its digest, table, predictor, column, value, 95% interval and number of rows.
///
/// # Errors
/// What polars reports.
pub(super) fn frame(benchmarks: &[BenchmarkSummary]) -> PolarsResult<DataFrame> {
    let mut texts: [Vec<String>; 6] = Default::default();
    let mut figures: Vec<&Figure> = Vec::new();
    for summary in benchmarks {
        let file = summary.files_among(benchmarks);
        for table in &summary.tables {
            for row in &table.rows {
                for (column, figure) in table.columns.iter().zip(&row.figures) {
                    let cells = [&summary.name, &file, &summary.digest, &table.title, &row.predictor, column];
                    texts.iter_mut().zip(cells).for_each(|(texts, cell)| texts.push(cell.clone()));
                    figures.push(figure);
                }
            }
        }
    }
    let number = |name: &str, pick: fn(&Figure) -> Option<f64>| {
        Column::new(name.into(), figures.iter().map(|figure| pick(figure)).collect::<Vec<Option<f64>>>())
    };
    let end = |figure: &Figure, pick: fn(&Estimate) -> f64| match figure {
        Figure::Accuracy(estimate) => Some(pick(estimate)),
        _ => None,
    };
    let names = ["benchmark", "file", "digest", "table", "predictor", "column"];
    let mut columns: Vec<Column> =
        names.iter().zip(texts).map(|(name, texts)| Column::new((*name).into(), texts)).collect();
    columns.push(number("value", Figure::value));
    columns.push(Column::new("low".into(), figures.iter().map(|one| end(one, |one| one.low)).collect::<Vec<_>>()));
    columns.push(Column::new("high".into(), figures.iter().map(|one| end(one, |one| one.high)).collect::<Vec<_>>()));
    columns.push(Column::new("n".into(), figures.iter().map(|figure| figure.n() as u64).collect::<Vec<u64>>()));
    DataFrame::new_infer_height(columns)
}

#[cfg(test)]
mod tests;
