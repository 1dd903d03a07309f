//! A table of numbers as coloured cells: how objectives agree, two by two.
//!
//! Columns carry the row numbers instead of names, so that long names and many objectives fit a telephone.

use plotters::prelude::{DrawingBackend, RGBColor};

use super::canvas::{Anchor, BLUE, Canvas, GRID, INK, MUTED, Point, Type, VERMILLION};
use crate::report::summary::{AgreementSummary, RunSummary};
use crate::report::words::{UNDEFINED, clean, fixed};

const HEADER: f64 = 24.0;
const CELL: Point = (64.0, 38.0);
/// Text on cells does not follow dark mode, because the cells do not.
const ON_PALE: RGBColor = RGBColor(0x1c, 0x20, 0x24);
const ON_STRONG: RGBColor = RGBColor(0xff, 0xff, 0xff);
const PALE: RGBColor = RGBColor(0xf3, 0xf4, 0xf6);

/// What the cells show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Table {
    /// Spearman's rank correlation of two objectives' scores.
    Correlations,
    /// Share of pairs on which two heads prefer different answers.
    Conflicts,
    /// Accuracy of a row's head on a column's labels.
    CrossAccuracy,
}

impl Table {
    fn value(self, agreement: &AgreementSummary, row: &str, column: &str) -> Option<f64> {
        match self {
            Self::Correlations if row == column => Some(1.0),
            Self::Correlations => agreement.of(row, column)?.spearman.value(),
            Self::Conflicts if row == column => None,
            Self::Conflicts => agreement.of(row, column)?.conflict_rate.value(),
            Self::CrossAccuracy => {
                let cells = &agreement.cross_accuracy;
                cells.iter().find(|cell| cell.head == row && cell.labels == column)?.accuracy.value()
            }
        }
    }

    /// From −1 (vermillion) over 0 (pale) to 1 (blue).
    fn strength(self, value: f64) -> f64 {
        match self {
            Self::Correlations => value,
            Self::Conflicts => -value,
            Self::CrossAccuracy => 2.0 * value - 1.0,
        }
    }

    fn text(self, value: f64, narrow: bool) -> String {
        match self {
            Self::Correlations if narrow => fixed(value, 1).replace("0.", "."),
            Self::Correlations => fixed(value, 2),
            _ if narrow => fixed(100.0 * value, 0),
            _ => format!("{}%", fixed(100.0 * value, 0)),
        }
    }
}

/// The width of the names and the size of a cell on a chart at most `width` wide.
fn layout(summary: &RunSummary, width: f64) -> (f64, Point) {
    let look = Type::new(13.0, INK);
    let count = summary.objectives.len().max(1) as f64;
    let longest = summary.objectives.iter().map(|objective| look.width(&clean(&objective.name))).fold(0.0, f64::max);
    let names = (longest + 40.0).min(width * 0.42);
    let cell = ((width - names) / count).clamp(14.0, CELL.0);
    (names, (cell, CELL.1.min(cell.max(24.0))))
}

/// Width and height in page units.
pub(super) fn size(summary: &RunSummary, width: f64) -> Point {
    let (names, cell) = layout(summary, width);
    let count = summary.objectives.len().max(1) as f64;
    ((names + count * cell.0 + 2.0).ceil(), (HEADER + count * cell.1 + 2.0).ceil())
}

/// Draws the table.
pub(super) fn draw<DB: DrawingBackend>(canvas: &mut Canvas<DB>, summary: &RunSummary, table: Table, width: f64) {
    let (names, cell) = layout(summary, width);
    let (look, small) = (Type::new(13.0, INK), Type::new(12.0, MUTED));
    for (row, objective) in summary.objectives.iter().enumerate() {
        let y = HEADER + row as f64 * cell.1;
        let number = (row + 1).to_string();
        let centre = names + (row as f64 + 0.5) * cell.0;
        canvas.text((centre, HEADER / 2.0), &number, small.anchored(Anchor::Middle));
        canvas.text((0.0, y + cell.1 / 2.0), &number, small);
        canvas.text((22.0, y + cell.1 / 2.0), &look.fit(&clean(&objective.name), names - 30.0), look);
        for (column, other) in summary.objectives.iter().enumerate() {
            let place = (names + column as f64 * cell.0, y);
            let value = table.value(&summary.agreement, &objective.name, &other.name);
            draw_cell(canvas, (place, cell), table, value);
        }
    }
}

fn draw_cell<DB: DrawingBackend>(
    canvas: &mut Canvas<DB>,
    (place, cell): (Point, Point),
    table: Table,
    value: Option<f64>,
) {
    let strength = value.map(|value| table.strength(value));
    let ground = strength.map_or(GRID, colour);
    canvas.fill((place.0 + 1.0, place.1 + 1.0), (place.0 + cell.0 - 1.0, place.1 + cell.1 - 1.0), ground);
    let text = value.map_or_else(|| UNDEFINED.to_owned(), |value| table.text(value, cell.0 < 36.0));
    let ink = match strength {
        // The ground of a cell without a number follows dark mode, so its text must too.
        None => MUTED,
        Some(strength) if strength.abs() > 0.55 => ON_STRONG,
        Some(_) => ON_PALE,
    };
    let look = Type::new(if cell.0 < 44.0 { 11.0 } else { 13.0 }, ink).anchored(Anchor::Middle);
    canvas.text((place.0 + cell.0 / 2.0, place.1 + cell.1 / 2.0), &text, look);
}

/// From vermillion (−1) over near-white (0) to blue (1): tellable apart with every common colour vision.
fn colour(value: f64) -> RGBColor {
    let end = if value < 0.0 { VERMILLION } else { BLUE };
    let share = value.abs().min(1.0);
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
    RGBColor(mix(PALE.0, end.0), mix(PALE.1, end.1), mix(PALE.2, end.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_between_the_ends() {
        assert_eq!(colour(0.0), PALE);
        assert_eq!(colour(1.0), BLUE);
        assert_eq!(colour(-1.0), VERMILLION);
        assert!((Table::CrossAccuracy.strength(0.5)).abs() < f64::EPSILON, "a coin is pale");
    }
}
