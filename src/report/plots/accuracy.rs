//! Accuracy of every head beside its baselines, with intervals.

use plotters::prelude::DrawingBackend;

use super::MOST_OBJECTIVES;
use super::canvas::{Anchor, BLUE, Canvas, GRID, INK, MUTED, QUIET, Scale, Type, VERMILLION};
use crate::evaluate::Estimate;
use crate::report::summary::{ObjectiveSummary, RunSummary};
use crate::report::words::{UNDEFINED, clean, fixed, interval, percent};

/// Heights in the accuracy chart: an objective's name, one row, the space below an objective, the axis.
const NAME: f64 = 24.0;
const ROW: f64 = 20.0;
const GAP: f64 = 12.0;
const AXIS: f64 = 46.0;

/// The objectives that have room.
fn drawn(summary: &RunSummary) -> &[ObjectiveSummary] {
    &summary.objectives[..summary.objectives.len().min(MOST_OBJECTIVES)]
}

/// The chart's height in page units.
pub(super) fn height(summary: &RunSummary) -> f64 {
    let rows: usize = drawn(summary).iter().map(|objective| 1 + objective.baselines.len()).sum();
    drawn(summary).len() as f64 * (NAME + GAP) + rows as f64 * ROW + AXIS
}

/// Draws it at the given width.
pub(super) fn draw<DB: DrawingBackend>(canvas: &mut Canvas<DB>, summary: &RunSummary, width: f64) {
    let wide = width > 500.0;
    let (label, value) = if wide { (110.0, 158.0) } else { (92.0, 58.0) };
    let x = Scale::new((accuracy_floor(summary), 1.0), (label + 8.0, width - value - 8.0));
    let bottom = height(summary) - AXIS;
    accuracy_axis(canvas, &x, bottom, wide);
    let mut y = 0.0;
    for objective in drawn(summary) {
        let name = Type::new(14.0, INK).bold();
        canvas.text((0.0, y + NAME / 2.0), &name.fit(&clean(&objective.name), width - 4.0), name);
        y += NAME;
        let hardest = objective.hardest_baseline().map(|(baseline, _)| baseline.name.as_str());
        accuracy_row(canvas, (&x, y + ROW / 2.0, wide), "this head", (objective.accuracy, Mark::Head));
        y += ROW;
        for baseline in &objective.baselines {
            let mark = if hardest == Some(baseline.name.as_str()) { Mark::Rival } else { Mark::Other };
            let name = Type::new(12.0, MUTED).fit(&clean(&baseline.name), label);
            accuracy_row(canvas, (&x, y + ROW / 2.0, wide), &name, (baseline.accuracy, mark));
            y += ROW;
        }
        y += GAP;
    }
}

/// The lower end of the accuracy axis: the tenth below every interval, and never above 0.4.
pub(super) fn accuracy_floor(summary: &RunSummary) -> f64 {
    let heads = drawn(summary).iter().filter_map(|objective| objective.accuracy);
    let baselines = drawn(summary).iter().flat_map(|objective| &objective.baselines);
    let lowest = heads.chain(baselines.filter_map(|baseline| baseline.accuracy)).map(|estimate| estimate.low);
    ((lowest.fold(0.45, f64::min) * 10.0 - 0.2).floor() / 10.0).clamp(0.0, 0.4)
}

fn accuracy_axis<DB: DrawingBackend>(canvas: &mut Canvas<DB>, x: &Scale, bottom: f64, wide: bool) {
    let look = Type::new(12.0, MUTED).anchored(Anchor::Middle);
    for (value, _) in x.ticks(if wide { 6 } else { 3 }) {
        let place = x.place(value);
        canvas.line((place, NAME / 2.0 + 8.0), (place, bottom), (GRID, 1.0));
        canvas.text((place, bottom + 12.0), &fixed(value * 100.0, 0), look);
    }
    let coin = x.place(0.5);
    canvas.dashed((coin, NAME / 2.0 + 8.0), (coin, bottom), (QUIET, 1.0));
    let middle = f64::midpoint(x.places.0, x.places.1);
    let title = if wide { "accuracy on test pairs, % (dashed: a coin)" } else { "accuracy, % (dashed: a coin)" };
    canvas.text((middle, bottom + 33.0), title, look);
}

/// What a row of the accuracy chart stands for.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Head,
    Rival,
    Other,
}

type Row<'a> = (&'a Scale, f64, bool);

fn accuracy_row<DB: DrawingBackend>(
    canvas: &mut Canvas<DB>,
    (x, y, wide): Row,
    label: &str,
    (accuracy, mark): (Option<Estimate>, Mark),
) {
    let (colour, radius) = match mark {
        Mark::Head => (BLUE, 5.0),
        Mark::Rival => (VERMILLION, 4.0),
        Mark::Other => (QUIET, 4.0),
    };
    let look = Type::new(12.0, if mark == Mark::Head { INK } else { MUTED });
    canvas.text((0.0, y), label, look);
    let value = x.places.1 + 14.0;
    let Some(accuracy) = accuracy else {
        canvas.text((value, y), UNDEFINED, look);
        return;
    };
    let (low, high) = (x.place(accuracy.low), x.place(accuracy.high));
    canvas.line((low, y), (high, y), (colour, 2.0));
    canvas.line((low, y - 3.0), (low, y + 3.0), (colour, 1.5));
    canvas.line((high, y - 3.0), (high, y + 3.0), (colour, 1.5));
    canvas.disc((x.place(accuracy.value), y), radius, colour);
    let text = if mark == Mark::Head { look.bold() } else { look };
    canvas.text((value, y), &percent(accuracy.value), text);
    if wide {
        canvas.text((value + 58.0, y), &interval(&accuracy), Type::new(12.0, MUTED));
    }
}
