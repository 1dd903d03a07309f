//! How scores are spread: histograms by split, densities in a plane, and the answers to one prompt.

use plotters::prelude::DrawingBackend;

use super::canvas::{BLUE, Canvas, Frame, INK, Point, QUIET, Scale, Type, VERMILLION};
use super::{AREA, corner};
use crate::evaluate::Line;
use crate::report::summary::{Density, Distribution, ParetoExample};
use crate::report::words::{clean, count, fixed};

/// Histograms over the same bins: one filled, the others as steps.
#[derive(Clone, Copy)]
pub(in crate::report) struct Histograms<'a> {
    pub(in crate::report) title: &'a str,
    /// What the level axis shows.
    pub(in crate::report) across: &'static str,
    pub(in crate::report) filled: &'a Distribution,
    /// A comparison, drawn as a line.
    pub(in crate::report) line: Option<&'a Distribution>,
    pub(in crate::report) legend: &'static str,
}

/// Shares per bin in per cent.
fn shares(distribution: &Distribution) -> Vec<f64> {
    let all = distribution.counts.iter().sum::<usize>().max(1) as f64;
    distribution.counts.iter().map(|count| *count as f64 * 100.0 / all).collect()
}

pub(super) fn draw_histograms<DB: DrawingBackend>(canvas: &mut Canvas<DB>, one: &Histograms) {
    let (left, right, top, bottom) = AREA;
    let filled = one.filled;
    let x = Scale::new((filled.low, filled.high), (left, right));
    let (bars, line) = (shares(filled), one.line.map(shares).unwrap_or_default());
    let highest = bars.iter().chain(&line).copied().fold(0.0, f64::max);
    let y = Scale::new((0.0, if highest > 0.0 { highest * 1.08 } else { 10.0 }), (bottom, top));
    let title = clean(one.title);
    let frame = Frame { title: &title, across: one.across, upright: one.legend, x, y };
    if filled.counts.iter().all(|count| *count == 0) {
        return frame.draw_empty(canvas, "no responses");
    }
    frame.draw(canvas, &x.ticks(5), &y.ticks(4));
    let step = (right - left) / bars.len() as f64;
    for (bin, share) in bars.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        let from = left + bin as f64 * step;
        canvas.fill((from + 0.5, y.place(*share)), (from + step - 0.5, bottom), BLUE);
    }
    if line.iter().any(|share| *share > 0.0) {
        let ends =
            |(bin, share): (usize, &f64)| [bin, bin + 1].map(|edge| (left + edge as f64 * step, y.place(*share)));
        canvas.path(&line.iter().enumerate().flat_map(ends).collect::<Vec<Point>>(), (INK, 1.0));
    }
    if let Some(mean) = filled.mean.filter(|mean| mean.is_finite()) {
        canvas.dashed((x.place(mean), bottom), (x.place(mean), top), (VERMILLION, 1.5));
        corner(canvas, &format!("mean {}", fixed(mean, 2)));
    }
}

/// What is drawn over a density.
#[derive(Clone, Copy)]
pub(in crate::report) struct Plane<'a> {
    pub(in crate::report) title: &'a str,
    pub(in crate::report) density: &'a Density,
    /// A line of least squares.
    pub(in crate::report) line: Option<Line>,
    /// Whether the level axis is log₂(1 + words).
    pub(in crate::report) words: bool,
    /// A correlation to write beside it.
    pub(in crate::report) correlation: Option<f64>,
}

pub(super) fn draw_plane<DB: DrawingBackend>(canvas: &mut Canvas<DB>, plane: &Plane) {
    let (left, right, top, bottom) = AREA;
    let density = plane.density;
    let (x, y) = (Scale::new(density.x, (left, right)), Scale::new(density.y, (bottom, top)));
    let across = if plane.words { "words".to_owned() } else { clean(&density.across) };
    let upright = clean(&density.upright);
    let title = if plane.title.is_empty() { format!("{upright} against {across}") } else { clean(plane.title) };
    let frame = Frame { title: &title, across: &across, upright: &upright, x, y };
    let most = density.counts.iter().flatten().copied().max().unwrap_or(0);
    if most == 0 {
        return frame.draw_empty(canvas, "no test responses");
    }
    let ticks = if plane.words { word_ticks(&x) } else { x.ticks(5) };
    frame.draw(canvas, &ticks, &y.ticks(4));
    let rows = density.counts.len() as f64;
    let high = (bottom - top) / rows;
    for (row, cells) in density.counts.iter().enumerate() {
        let wide = (right - left) / cells.len() as f64;
        for (column, count) in cells.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (from, lower) = (left + column as f64 * wide, bottom - row as f64 * high);
            let strength = 0.12 + 0.88 * (f64::from(*count) / f64::from(most)).sqrt();
            canvas.faint((from, lower - high), (from + wide, lower), (BLUE, strength));
        }
    }
    if let Some(line) = &plane.line {
        let at = |value: f64| line.intercept + line.slope.value * value;
        // Only where the line is inside the frame, so that its slope is not bent at the edge.
        let inside: Vec<Point> = (0..=100)
            .map(|step| density.x.0 + (density.x.1 - density.x.0) * f64::from(step) / 100.0)
            .filter(|value| (density.y.0..=density.y.1).contains(&at(*value)))
            .map(|value| (x.place(value), y.place(at(value))))
            .collect();
        if inside.len() > 1 {
            canvas.path(&inside, (VERMILLION, 2.0));
        }
    }
    if let Some(correlation) = plane.correlation {
        corner(canvas, &format!("rank corr. {}", fixed(correlation, 2)));
    }
}

/// 1, 3, 10, 30, … words on an axis of log₂(1 + words).
fn word_ticks(scale: &Scale) -> Vec<(f64, String)> {
    let rounds = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5];
    let places = rounds.map(|words: f64| (libm::log2(1.0 + words), count(words as usize)));
    places.into_iter().filter(|(place, _)| (scale.values.0..=scale.values.1).contains(place)).collect()
}

/// The answers to one prompt: those on the front joined, the combined score's choice ringed.
pub(super) fn draw_pareto<DB: DrawingBackend>(canvas: &mut Canvas<DB>, example: &ParetoExample) {
    let (left, right, top, bottom) = AREA;
    let ends = |pick: fn(&crate::report::summary::ParetoAnswer) -> f64| {
        let values = || example.answers.iter().map(pick);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let air = 0.08 * (high - low);
        (low - air, high + air)
    };
    let x = Scale::new(ends(|answer| answer.x), (left + 4.0, right - 4.0));
    let y = Scale::new(ends(|answer| answer.y), (bottom - 4.0, top + 4.0));
    let small = Type::new(14.0, INK).bold();
    let title = small.fit(&one_line(&example.prompt), right);
    let (across, upright) = (clean(&example.across), clean(&example.upright));
    let frame = Frame { title: &title, across: &across, upright: &upright, x, y };
    frame.draw(canvas, &x.ticks(5), &y.ticks(4));
    let place = |answer: &crate::report::summary::ParetoAnswer| (x.place(answer.x), y.place(answer.y));
    let mut front: Vec<Point> = example.answers.iter().filter(|answer| answer.on_front).map(place).collect();
    front.sort_by(|one, other| one.0.total_cmp(&other.0));
    // With more objectives than two the front need not be a line in this plane.
    if front.windows(2).all(|two| two[0].1 <= two[1].1) {
        canvas.path(&front, (BLUE, 1.0));
    }
    for answer in &example.answers {
        let colour = if answer.on_front { BLUE } else { QUIET };
        if answer.chosen {
            canvas.disc(place(answer), 7.0, VERMILLION);
        }
        canvas.disc(place(answer), 4.0, colour);
    }
    corner(canvas, &format!("{} of {} on the front", count(example.on_front), count(example.all)));
}

fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<&str>>().join(" "))
}
