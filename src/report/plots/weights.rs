//! Accuracy over all weights: a triangle for three objectives, one line an objective otherwise.

use plotters::prelude::DrawingBackend;

use super::canvas::{Anchor, BLUE, Canvas, Frame, INK, MUTED, Point, QUIET, Scale, Type, VERMILLION};
use super::{AREA, corner};
use crate::report::summary::{SweepLine, SweepMeasure, SweepSummary};
use crate::report::words::{clean, fixed, percent};

/// The triangle's chart in page units.
pub(super) const TRIANGLE: Point = (340.0, 262.0);
/// Where its corners stand: first objective, second, third.
const CORNERS: [Point; 3] = [(170.0, 28.0), (60.0, 212.0), (280.0, 212.0)];

/// Draws accuracy over the simplex: the stronger the blue, the more accurate.
pub(super) fn draw_triangle<DB: DrawingBackend>(canvas: &mut Canvas<DB>, sweep: &SweepSummary, names: [&str; 3]) {
    let ends = sweep.simplex.iter().map(|point| point.accuracy);
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |ends, one| (ends.0.min(one), ends.1.max(one)));
    for (edge, next) in [(0, 1), (1, 2), (2, 0)] {
        canvas.line(CORNERS[edge], CORNERS[next], (QUIET, 1.0));
    }
    let look = Type::new(12.0, INK).bold();
    let corner = |index: usize| look.fit(&clean(names[index]), 150.0);
    canvas.text((CORNERS[0].0, 10.0), &corner(0), look.anchored(Anchor::Middle));
    canvas.text((0.0, 231.0), &corner(1), look);
    canvas.text((TRIANGLE.0 - 4.0, 231.0), &corner(2), look.anchored(Anchor::Right));
    for point in &sweep.simplex {
        let share = if high > low { (point.accuracy - low) / (high - low) } else { 1.0 };
        canvas.faint_disc(place(&point.weights), 4.6, (BLUE, 0.08 + 0.92 * share));
    }
    if let Some(shares) = &sweep.shares {
        canvas.disc(place(shares), 6.0, VERMILLION);
    }
    let words = format!("{} (faint) to {} (strong); orange: in use", percent(low), percent(high));
    canvas.text((TRIANGLE.0 / 2.0, 252.0), &words, Type::new(12.0, MUTED).anchored(Anchor::Middle));
}

/// Where three weights with sum 1 stand in the triangle.
fn place(weights: &[f64]) -> Point {
    let sum =
        |axis: fn(&Point) -> f64| weights.iter().zip(&CORNERS).map(|(weight, corner)| weight * axis(corner)).sum();
    (sum(|corner| corner.0), sum(|corner| corner.1))
}

/// Draws accuracy while one objective's share grows.
pub(super) fn draw_line<DB: DrawingBackend>(canvas: &mut Canvas<DB>, line: &SweepLine, measure: SweepMeasure) {
    let (left, right, top, bottom) = AREA;
    let x = Scale::new((0.0, 1.0), (left, right - 14.0));
    let values = || line.points.iter().map(|point| point.1);
    let (low, high) = (values().fold(1.0, f64::min), values().fold(0.0, f64::max));
    let air = ((high - low) * 0.08).max(0.01);
    let y = Scale::new((low - air, (high + air).min(1.0)), (bottom, top));
    let title = clean(&line.objective);
    let upright = match measure {
        SweepMeasure::Holistic => "accuracy on holistic pairs",
        SweepMeasure::WorstObjective => "accuracy of the worst objective",
    };
    let frame = Frame { title: &title, across: "share of the weight", upright, x, y };
    if line.points.is_empty() {
        return frame.draw_empty(canvas, "no test pairs");
    }
    let percents = |ticks: Vec<(f64, String)>| -> Vec<(f64, String)> {
        ticks.into_iter().map(|(value, _)| (value, format!("{}%", fixed(100.0 * value, 0)))).collect()
    };
    frame.draw(canvas, &percents(x.ticks(4)), &percents(y.ticks(4)));
    canvas.dashed((x.place(line.share), bottom), (x.place(line.share), top), (VERMILLION, 1.5));
    let curve: Vec<Point> = line.points.iter().map(|point| (x.place(point.0), y.place(point.1))).collect();
    canvas.path(&curve, (BLUE, 1.5));
    corner(canvas, &format!("now {}%", fixed(100.0 * line.share, 0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_the_weight_on_one_objective_stands_in_its_corner() {
        assert_eq!(place(&[1.0, 0.0, 0.0]), CORNERS[0]);
        assert_eq!(place(&[0.0, 0.0, 1.0]), CORNERS[2]);
        let middle = place(&[0.5, 0.5, 0.0]);
        assert_eq!(middle, (f64::midpoint(CORNERS[0].0, CORNERS[1].0), f64::midpoint(CORNERS[0].1, CORNERS[1].1)));
    }
}
