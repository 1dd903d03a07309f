//! A table in words, for every section that needs no layout of its own.

use serde::Serialize;

use crate::evaluate::Statistic;
use crate::report::words::{UNDEFINED, clean, fixed, interval, percent};

/// Rows under headings; the first heading is that of the rows' names.
#[derive(Serialize)]
pub(in crate::report) struct Table {
    headings: Vec<String>,
    /// Whether each column holds numbers.
    numbers: Vec<bool>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    cells: Vec<Cell>,
}

/// One cell: its value, and in small type its interval or why there is none.
#[derive(Serialize)]
pub(in crate::report) struct Cell {
    value: String,
    small: String,
    number: bool,
}

impl Table {
    /// A table of `(name, cells)` rows with a cell for every heading but the first; `None` without rows.
    pub(in crate::report) fn of(headings: &[&str], rows: impl Iterator<Item = (String, Vec<Cell>)>) -> Option<Self> {
        let rows: Vec<Row> = rows.map(|(name, cells)| Row { name: clean(&name), cells }).collect();
        let numbers = std::iter::once(false).chain(rows.first()?.cells.iter().map(|cell| cell.number)).collect();
        Some(Self { headings: headings.iter().map(|heading| (*heading).to_owned()).collect(), numbers, rows })
    }
}

impl Cell {
    /// Words.
    pub(in crate::report) fn text(words: &str) -> Self {
        Self { value: clean(words), small: String::new(), number: false }
    }

    /// A number without interval.
    pub(in crate::report) fn number(value: String) -> Self {
        Self { value, small: String::new(), number: true }
    }
}

fn cell(statistic: &Statistic, value: impl Fn(f64) -> String, around: impl Fn(f64, f64) -> String) -> Cell {
    match statistic {
        Statistic::Known(known) => {
            Cell { value: value(known.value), small: around(known.low, known.high), number: true }
        }
        Statistic::Unknown { undefined } => {
            Cell { value: UNDEFINED.to_owned(), small: format!("not defined: {}", undefined.words()), number: true }
        }
    }
}

/// A share in per cent.
pub(in crate::report) fn share(statistic: &Statistic) -> Cell {
    let around = |_: f64, _: f64| statistic.known().map_or_else(String::new, |known| interval(&known));
    cell(statistic, percent, around)
}

/// A difference of shares in percentage points, with its sign.
pub(in crate::report) fn signed_points(statistic: &Statistic) -> Cell {
    let signed = |value: f64| format!("{}{} points", if value > 0.0 { "+" } else { "" }, fixed(100.0 * value, 1));
    let around = |_: f64, _: f64| statistic.known().map_or_else(String::new, |known| interval(&known));
    cell(statistic, signed, around)
}

/// A number with `digits` decimals.
pub(in crate::report) fn number(statistic: &Statistic, digits: usize) -> Cell {
    let around = |low: f64, high: f64| format!("{} to {}", fixed(low, digits), fixed(high, digits));
    cell(statistic, |value| fixed(value, digits), around)
}
