//! The five plots, each drawn once for page (SVG) and file (PNG).
//!
//! A [`Chart`] knows its size and draws itself on any backend; [`figures`] says which charts make up which figure.
//! Surface, scales and axes are [`super::canvas`]; the numbers come from the summary and are not judged here.

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};

use super::canvas::{Anchor, BLUE, Canvas, Frame, GRID, INK, MUTED, Point, QUIET, Scale, Type, UNIT, VERMILLION};
use super::head_summary::FitSummary;
use super::heat;
use super::png;
use super::summary::{ObjectiveSummary, RunSummary};
use super::words::{UNDEFINED, clean, fixed, interval, percent, short};
use crate::error::Result;
use crate::evaluate::{Estimate, histogram, mean, quantile};

/// The size of one small multiple in page units.
const PANEL: Point = (340.0, 262.0);
/// The plotting area of a small multiple: left, right, top, bottom.
const AREA: (f64, f64, f64, f64) = (46.0, 328.0, 52.0, 216.0);
/// The width of a whole-width chart on a wide page and on a telephone.
const WIDE: f64 = 720.0;
const NARROW: f64 = 330.0;
/// How many bars a distribution has.
pub(super) const SCORE_BINS: usize = 30;
/// White space around and between charts in a PNG file.
const MARGIN: f64 = 18.0;

/// One drawing.
#[derive(Clone, Copy)]
pub(super) enum Chart<'a> {
    /// Accuracy of every head beside its baselines, at the given width.
    Accuracy(&'a RunSummary, f64),
    /// Predicted against observed preference of one head.
    Reliability(&'a ObjectiveSummary),
    /// The distribution of the scores of one name.
    Scores(&'a str, &'a [f64]),
    /// Rank correlations of the objectives' scores, at the given width.
    Correlations(&'a RunSummary, f64),
    /// Cross-validated loss against the penalty.
    L2Path(&'a ObjectiveSummary),
}

/// Charts that belong together.
pub(super) struct Figure<'a> {
    /// The PNG file's name without its ending.
    pub(super) slug: &'static str,
    /// What the page and the PNG show.
    pub(super) charts: Vec<Chart<'a>>,
    /// What the page shows instead on a narrow screen.
    pub(super) narrow: Option<Chart<'a>>,
}

/// All figures of a run, in the order of the page.
pub(super) fn figures<'s>(summary: &'s RunSummary) -> Vec<Figure<'s>> {
    let each = |chart: fn(&'s ObjectiveSummary) -> Chart<'s>| summary.objectives.iter().map(chart).collect::<Vec<_>>();
    let mut scores = each(|objective| Chart::Scores(&objective.name, &objective.test_scores));
    if summary.objectives.len() > 1 {
        scores.push(Chart::Scores("combined", &summary.combined.scores));
    }
    let small = |slug, charts| Figure { slug, charts, narrow: None };
    let whole = |slug, chart: fn(&'s RunSummary, f64) -> Chart<'s>| Figure {
        slug,
        charts: vec![chart(summary, WIDE)],
        narrow: Some(chart(summary, NARROW)),
    };
    vec![
        whole("accuracy", Chart::Accuracy),
        small("reliability", each(Chart::Reliability)),
        small("scores", scores),
        whole("correlations", Chart::Correlations),
        small("l2", each(Chart::L2Path)),
    ]
}

impl Figure<'_> {
    /// The PNG file: the charts in rows of at most three on white.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        let sizes: Vec<Point> = self.charts.iter().map(Chart::size).collect();
        let columns = self.charts.len().clamp(1, 3);
        let cell = sizes.iter().fold((1.0_f64, 1.0_f64), |cell, size| (cell.0.max(size.0), cell.1.max(size.1)));
        let step = (cell.0 + MARGIN, cell.1 + MARGIN);
        let rows = self.charts.len().div_ceil(columns).max(1);
        let pixels = |count: usize, step: f64| ((count as f64 * step + MARGIN) * UNIT).ceil() as u32;
        let (width, height) = (pixels(columns, step.0), pixels(rows, step.1));
        let mut buffer = vec![255_u8; width as usize * height as usize * 3];
        {
            let mut backend = BitMapBackend::with_buffer(&mut buffer, (width, height));
            for (index, chart) in self.charts.iter().enumerate() {
                let (row, column) = ((index / columns) as f64, (index % columns) as f64);
                let mut canvas = Canvas::new_bitmap(&mut backend, (MARGIN + column * step.0, MARGIN + row * step.1));
                chart.draw(&mut canvas);
                canvas.finish()?;
            }
        }
        Ok(png::encode(&buffer, width, height))
    }
}

impl Chart<'_> {
    /// Width and height in page units.
    pub(super) fn size(&self) -> Point {
        match self {
            Self::Accuracy(summary, width) => (*width, accuracy_height(summary)),
            Self::Correlations(summary, width) => heat::size(summary, *width),
            Self::Reliability(_) | Self::Scores(..) | Self::L2Path(_) => PANEL,
        }
    }

    /// The chart as one `<svg>` element on a transparent ground.
    ///
    /// # Errors
    /// [`crate::error::Error::Io`] when the backend refuses a drawing call.
    pub(super) fn svg(&self) -> Result<String> {
        let (width, height) = self.size();
        let pixels = ((width * UNIT) as u32, (height * UNIT) as u32);
        let mut text = String::new();
        {
            let mut backend = SVGBackend::with_string(&mut text, pixels);
            let mut canvas = Canvas::new(&mut backend, (0.0, 0.0));
            self.draw(&mut canvas);
            canvas.finish()?;
        }
        // Shown in page units: the view box keeps the backend's finer ones.
        let drawn = format!("width=\"{}\" height=\"{}\"", pixels.0, pixels.1);
        Ok(text.replacen(&drawn, &format!("width=\"{width}\" height=\"{height}\""), 1))
    }

    /// What the chart shows, for people who cannot see it.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Accuracy(..) => "Accuracy of each head and its baselines with 95% intervals".to_owned(),
            Self::Correlations(..) => "Rank correlations between the objectives' scores".to_owned(),
            Self::Reliability(objective) => format!("Reliability curve of {}", clean(&objective.name)),
            Self::Scores(name, _) => format!("Distribution of the scores of {}", clean(name)),
            Self::L2Path(objective) => format!("Cross-validated loss against the penalty, {}", clean(&objective.name)),
        }
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &mut Canvas<DB>) {
        match self {
            Self::Accuracy(summary, width) => draw_accuracy(canvas, summary, *width),
            Self::Correlations(summary, width) => heat::draw(canvas, summary, *width),
            Self::Reliability(objective) => draw_reliability(canvas, objective),
            Self::Scores(name, scores) => draw_scores(canvas, name, scores),
            Self::L2Path(objective) => draw_l2_path(canvas, objective),
        }
    }
}

/// Heights in the accuracy chart: an objective's name, one row, the space below an objective, the axis.
const NAME: f64 = 24.0;
const ROW: f64 = 20.0;
const GAP: f64 = 12.0;
const AXIS: f64 = 46.0;

fn accuracy_height(summary: &RunSummary) -> f64 {
    let rows: usize = summary.objectives.iter().map(|objective| 1 + objective.baselines.len()).sum();
    summary.objectives.len() as f64 * (NAME + GAP) + rows as f64 * ROW + AXIS
}

fn draw_accuracy<DB: DrawingBackend>(canvas: &mut Canvas<DB>, summary: &RunSummary, width: f64) {
    let wide = width > 500.0;
    let (label, value) = if wide { (110.0, 158.0) } else { (92.0, 58.0) };
    let x = Scale::new((accuracy_floor(summary), 1.0), (label + 8.0, width - value - 8.0));
    let bottom = accuracy_height(summary) - AXIS;
    accuracy_axis(canvas, &x, bottom, wide);
    let mut y = 0.0;
    for objective in &summary.objectives {
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
fn accuracy_floor(summary: &RunSummary) -> f64 {
    let heads = summary.objectives.iter().filter_map(|objective| objective.accuracy);
    let baselines = summary.objectives.iter().flat_map(|objective| &objective.baselines);
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

fn draw_reliability<DB: DrawingBackend>(canvas: &mut Canvas<DB>, objective: &ObjectiveSummary) {
    let (left, right, top, bottom) = AREA;
    let x = Scale::new((0.5, 1.0), (left, right));
    let lowest = objective.reliability.iter().map(|bin| bin.low).fold(0.5, f64::min);
    let floor = (lowest * 5.0).floor() / 5.0;
    let y = Scale::new((floor, 1.0), (bottom, top));
    let (title, across) = (clean(&objective.name), "predicted probability");
    let frame = Frame { title: &title, across, upright: "share of labelers who agree", x, y };
    if objective.reliability.is_empty() {
        return frame.draw_empty(canvas, "no test pairs");
    }
    frame.draw(canvas, &x.ticks(5), &y.ticks(5));
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

/// The range a distribution is drawn over: its inner 99%, so that one far value does not hide the rest.
pub(super) fn score_range(scores: &[f64]) -> Option<(f64, f64)> {
    Some(Scale::new((quantile(scores, 0.005)?, quantile(scores, 0.995)?), (0.0, 1.0)).values)
}

fn draw_scores<DB: DrawingBackend>(canvas: &mut Canvas<DB>, name: &str, scores: &[f64]) {
    let (left, right, top, bottom) = AREA;
    let range = score_range(scores);
    let x = Scale::new(range.unwrap_or((-3.0, 3.0)), (left, right));
    let counts = histogram(scores, SCORE_BINS, x.values);
    let inside = counts.iter().sum::<usize>().max(1) as f64;
    let share = |count: usize| count as f64 * 100.0 / inside;
    let highest = counts.iter().copied().max().map_or(0.0, share);
    let y = Scale::new((0.0, if highest > 0.0 { highest * 1.08 } else { 10.0 }), (bottom, top));
    let title = clean(name);
    let frame = Frame { title: &title, across: "score", upright: "share of test responses, %", x, y };
    if range.is_none() {
        return frame.draw_empty(canvas, "no test responses");
    }
    frame.draw(canvas, &x.ticks(5), &y.ticks(4));
    let step = (right - left) / SCORE_BINS as f64;
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let from = left + bin as f64 * step;
        canvas.fill((from + 0.5, y.place(share(*count))), (from + step - 0.5, bottom), BLUE);
    }
    if let Some(mean) = mean(scores).filter(|mean| mean.is_finite()) {
        canvas.dashed((x.place(mean), bottom), (x.place(mean), top), (VERMILLION, 1.5));
        corner(canvas, &format!("mean {}", fixed(mean, 2)));
    }
}

fn draw_l2_path<DB: DrawingBackend>(canvas: &mut Canvas<DB>, objective: &ObjectiveSummary) {
    let (left, right, top, bottom) = AREA;
    let nothing = FitSummary::default();
    let fit = objective.fit.as_ref().unwrap_or(&nothing);
    let usable = |step: &&(f64, f64)| step.0 > 0.0 && step.1.is_finite();
    let path: Vec<(f64, f64)> = fit.l2_path.iter().filter(usable).map(|(l2, loss)| (l2.log10(), *loss)).collect();
    let ends = |values: &dyn Fn(&(f64, f64)) -> f64| {
        let least = path.iter().map(values).reduce(f64::min)?;
        Some((least, path.iter().map(values).reduce(f64::max)?))
    };
    let (low, high) = ends(&|step| step.0).unwrap_or((-2.0, 2.0));
    let x = Scale::new((low - 0.15, high + 0.15), (left + 8.0, right));
    let (least, most) = ends(&|step| step.1).unwrap_or((0.5, 0.7));
    let air = ((most - least) * 0.08).max(2e-3);
    let y = Scale::new((least - air, most + air), (bottom, top));
    let title = clean(&objective.name);
    let (across, upright) = ("L2 penalty (log scale)", "log-loss in cross-validation");
    let frame = Frame { title: &title, across, upright, x, y };
    if path.is_empty() {
        let why = match (&objective.fit, &objective.mlp) {
            (Some(fit), _) => format!("penalty given: {}", short(fit.l2)),
            (None, Some(_)) => "a hidden layer has no penalty to choose".to_owned(),
            (None, None) => "the checkpoint's own head".to_owned(),
        };
        return frame.draw_empty(canvas, &why);
    }
    frame.draw(canvas, &powers_of_ten(&x), &y.ticks(4));
    let points: Vec<Point> = path.iter().map(|step| (x.place(step.0), y.place(step.1))).collect();
    canvas.path(&points, (BLUE, 1.5));
    for (point, step) in points.iter().zip(&path) {
        canvas.disc(*point, 3.0, BLUE);
        if (step.0 - fit.l2.log10()).abs() < 1e-9 {
            canvas.disc(*point, 5.5, VERMILLION);
        }
    }
    corner(canvas, &format!("chosen {}", short(fit.l2)));
}

/// Ticks of a scale of logarithms: whole powers of ten, at most six.
fn powers_of_ten(scale: &Scale) -> Vec<(f64, String)> {
    let (first, last) = (scale.values.0.ceil() as i32, scale.values.1.floor() as i32);
    let step = ((last - first) / 6 + 1).max(1) as usize;
    (first..=last).step_by(step).map(|power| (f64::from(power), short(10f64.powi(power)))).collect()
}

/// A short note at the upper right, level with the upright axis's title, where no data are drawn.
fn corner<DB: DrawingBackend>(canvas: &mut Canvas<DB>, text: &str) {
    canvas.text((AREA.1, 30.0), text, Type::new(12.0, INK).bold().anchored(Anchor::Right));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read;

    use super::super::sample;
    use super::*;

    /// Width and the distinct colours of a PNG written by [`png::encode`].
    fn colours(file: &[u8]) -> (usize, BTreeSet<[u8; 3]>) {
        let width = u32::from_be_bytes(file[16..20].try_into().expect("four bytes")) as usize;
        let length = u32::from_be_bytes(file[33..37].try_into().expect("four bytes")) as usize;
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(&file[41..41 + length]).read_to_end(&mut rows).expect("zlib");
        let mut pixels: Vec<[u8; 3]> = Vec::new();
        for row in rows.chunks_exact(1 + width * 3) {
            pixels.extend(row[1..].as_chunks::<3>().0);
            pixels.dedup();
        }
        (width, pixels.into_iter().collect())
    }

    #[test]
    fn every_figure_has_colours_for_every_kind_of_run() {
        for summary in [sample::summary(), sample::empty(), sample::single(), sample::many()] {
            for figure in figures(&summary) {
                let (width, colours) = colours(&figure.png().expect("a PNG file"));
                assert!(width >= 150 && colours.len() > 2, "{} of {}", figure.slug, summary.name);
            }
        }
    }

    #[test]
    fn marks_stand_where_the_numbers_say() {
        let summary = sample::summary();
        let svg = Chart::Accuracy(&summary, WIDE).svg().expect("an SVG");
        let x = Scale::new((accuracy_floor(&summary), 1.0), (118.0, WIDE - 166.0));
        let accuracy = summary.objectives[0].accuracy.expect("test pairs");
        let place = (x.place(accuracy.value) * UNIT).round();
        assert!(svg.contains(&format!("<circle cx=\"{place}\"")), "the head's dot is not at {place}");
        assert_eq!(svg.matches("<circle").count(), 12, "four dots for each of three objectives");
    }

    #[test]
    fn hostile_names_are_escaped_in_svg() {
        let mut summary = sample::summary();
        "<b>&\"".clone_into(&mut summary.objectives[0].name);
        for figure in figures(&summary) {
            let svg = figure.charts[0].svg().expect("an SVG");
            assert!(!svg.contains("<b>") && svg.contains("&lt;b&gt;&amp;"), "{}", figure.slug);
        }
    }

    #[test]
    fn the_penalty_axis_has_powers_of_ten() {
        let labels = |low, high| -> Vec<String> {
            powers_of_ten(&Scale::new((low, high), (0.0, 1.0))).into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(-2.15, 2.15), ["0.01", "0.1", "1", "10", "100"]);
        assert!(labels(-9.0, 9.0).len() <= 7);
    }
}
