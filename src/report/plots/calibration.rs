//! Whether probabilities hold: the reliability curve with its bins' counts, and the margins of right and wrong pairs.

use plotters::prelude::DrawingBackend;

use super::canvas::{BLUE, Canvas, Frame, GRID, Point, QUIET, Scale, VERMILLION};
use super::{AREA, corner};
use crate::report::summary::ObjectiveSummary;
use crate::report::words::{clean, count, fixed};

/// Predicted against observed preference.
pub(super) fn draw_reliability<DB: DrawingBackend>(canvas: &mut Canvas<DB>, objective: &ObjectiveSummary) {
    let (left, right, top, bottom) = AREA;
    let x = Scale::new((0.5, 1.0), (left, right));
    let lowest = objective.reliability.iter().map(|bin| bin.low).fold(0.5, f64::min);
    let floor = (lowest * 5.0).floor() / 5.0;
    let y = Scale::new((floor, 1.0), (bottom, top));
    let (title, across) = (clean(&objective.name), "predicted probability");
    let frame = Frame { title: &title, across, upright: "share who agree (grey: pairs)", x, y };
    if objective.reliability.is_empty() {
        return frame.draw_empty(canvas, "no test pairs");
    }
    frame.draw(canvas, &x.ticks(5), &y.ticks(5));
    let most = objective.reliability.iter().map(|bin| bin.n).max().unwrap_or(1).max(1) as f64;
    for bin in &objective.reliability {
        let (at, high) = (x.place(bin.predicted), COUNTS * bin.n as f64 / most);
        canvas.fill((at - 3.0, bottom - high), (at + 3.0, bottom), GRID);
    }
    canvas.dashed((x.place(0.5), y.place(0.5)), (x.place(1.0), y.place(1.0)), (QUIET, 1.0));
    let place = |bin: &crate::evaluate::ReliabilityBin| (x.place(bin.predicted), y.place(bin.observed));
    for bin in &objective.reliability {
        let at = x.place(bin.predicted);
        canvas.line((at, y.place(bin.low)), (at, y.place(bin.high)), (BLUE, 1.0));
    }
    let curve: Vec<Point> = objective.reliability.iter().map(place).collect();
    canvas.path(&curve, (BLUE, 1.5));
    for point in &curve {
        canvas.disc(*point, 3.5, BLUE);
    }
    if let Some(ece) = objective.ece {
        corner(canvas, &format!("ECE {}", fixed(ece, 3)));
    }
}

/// How high the bar of the bin with the most pairs is, in page units.
const COUNTS: f64 = 26.0;

/// Margins without sign: right pairs upwards from the axis, wrong ones on top of them.
pub(super) fn draw_margins<DB: DrawingBackend>(canvas: &mut Canvas<DB>, objective: &ObjectiveSummary) {
    let (left, right, top, bottom) = AREA;
    let (rights, wrongs) = (&objective.right_margins, &objective.wrong_margins);
    let x = Scale::new((0.0, if rights.high > 0.0 { rights.high } else { 1.0 }), (left, right));
    let bars: Vec<(usize, usize)> = rights.counts.iter().copied().zip(wrongs.counts.iter().copied()).collect();
    let highest = bars.iter().map(|(right, wrong)| right + wrong).max().unwrap_or(0);
    let y = Scale::new((0.0, (highest as f64 * 1.08).max(1.0)), (bottom, top));
    let title = clean(&objective.name);
    let frame = Frame { title: &title, across: "margin, log-odds", upright: "test pairs", x, y };
    let total: usize = bars.iter().map(|(right, wrong)| right + wrong).sum();
    if total == 0 {
        return frame.draw_empty(canvas, "no test pairs");
    }
    frame.draw(canvas, &x.ticks(5), &y.ticks(4));
    let step = (right - left) / bars.len() as f64;
    for (bin, (rights, wrongs)) in bars.iter().enumerate() {
        let (from, to) = (left + bin as f64 * step + 0.5, left + (bin + 1) as f64 * step - 0.5);
        let (middle, upper) = (y.place(*rights as f64), y.place((rights + wrongs) as f64));
        if *rights > 0 {
            canvas.fill((from, middle), (to, bottom), BLUE);
        }
        if *wrongs > 0 {
            canvas.fill((from, upper), (to, middle), VERMILLION);
        }
    }
    let wrong: usize = wrongs.counts.iter().sum();
    corner(canvas, &format!("{} wrong of {}", count(wrong), count(total)));
}
