//! The plots, each drawn once for page (SVG) and file (PNG).
//!
//! A [`Chart`] knows its size and draws itself on any backend; [`figures`] says which charts make up which figure.
//! Surface, scales and axes are `canvas`; the numbers come from the summary and are not judged here.

mod accuracy;
mod calibration;
mod canvas;
mod heat;
mod png;
mod scores;
mod training;
mod weights;

use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};

use self::canvas::{Anchor, Canvas, INK, Point, Type, UNIT};
use self::heat::Table;
use self::scores::{Histograms, Plane};
use super::summary::{
    COMBINED, ObjectiveSummary, ParetoExample, RunSummary, ScoreSummary, SweepLine, SweepMeasure, SweepSummary,
};
use super::words::clean;
use crate::error::Result;

/// The size of one small multiple in page units.
const PANEL: Point = (340.0, 262.0);
/// The plotting area of a small multiple: left, right, top, bottom.
const AREA: (f64, f64, f64, f64) = (46.0, 328.0, 52.0, 216.0);
/// The width of a whole-width chart on a wide page and on a telephone.
const WIDE: f64 = 720.0;
const NARROW: f64 = 330.0;
/// So many objectives at most have a panel in a figure, or a row in a table of colours; CSV and JSON have all.
pub(super) const MOST_OBJECTIVES: usize = 24;
/// White space around and between charts in a PNG file.
const MARGIN: f64 = 18.0;

/// The slugs of all figures, in the order of the page.
pub(super) const SLUGS: [&str; 15] = [
    "accuracy",
    "correlations",
    "conflicts",
    "cross_accuracy",
    "reliability",
    "margins",
    "scores",
    "raw_scores",
    "densities",
    "pareto",
    "weights",
    "length",
    "learning_curves",
    "l2",
    "drift",
];

/// One drawing.
#[derive(Clone, Copy)]
pub(super) enum Chart<'a> {
    /// Accuracy of every head beside its baselines, at the given width.
    Accuracy(&'a RunSummary, f64),
    /// A number of every two objectives, at the given width.
    Heat(&'a RunSummary, Table, f64),
    /// Predicted against observed preference of one head.
    Reliability(&'a ObjectiveSummary),
    /// Margins of the pairs one head ranks right and wrong.
    Margins(&'a ObjectiveSummary),
    /// Distributions of scores.
    Histograms(Histograms<'a>),
    /// Responses in a plane.
    Plane(Plane<'a>),
    /// The answers to one prompt.
    Pareto(&'a ParetoExample),
    /// Accuracy over the weights of three objectives.
    Triangle(&'a SweepSummary, [&'a str; 3]),
    /// Accuracy while one objective's share grows.
    Share(&'a SweepLine, SweepMeasure),
    /// Cross-validated loss against the penalty.
    Penalty(&'a ObjectiveSummary),
    /// Accuracy by number of training pairs.
    LearningCurve(&'a ObjectiveSummary),
}

/// Charts that belong together.
pub(super) struct Figure<'a> {
    /// The PNG file's name without its ending.
    pub(super) slug: &'static str,
    /// What the page and the PNG show.
    pub(super) charts: Vec<Chart<'a>>,
    /// What the page shows instead on a narrow screen.
    pub(super) narrow: Option<Chart<'a>>,
    /// How many objectives or charts are left out.
    pub(super) left_out: usize,
}

/// All figures of a run that have something to show, in the order of the page.
pub(super) fn figures(summary: &RunSummary) -> Vec<Figure<'_>> {
    let figure = |slug, charts| Figure { slug, charts, narrow: None, left_out: 0 };
    let whole = |slug, [wide, narrow]: [_; 2]| Figure { slug, charts: vec![wide], narrow: Some(narrow), left_out: 0 };
    let mut all = vec![whole("accuracy", [WIDE, NARROW].map(|width| Chart::Accuracy(summary, width)))];
    if (2..=MOST_OBJECTIVES).contains(&summary.objectives.len()) {
        let heat = |slug, table| whole(slug, [WIDE, NARROW].map(|width| Chart::Heat(summary, table, width)));
        all.push(heat("correlations", Table::Correlations));
        all.push(heat("conflicts", Table::Conflicts));
        all.push(heat("cross_accuracy", Table::CrossAccuracy));
    }
    all.push(figure("reliability", summary.objectives.iter().map(Chart::Reliability).collect()));
    all.push(figure("margins", summary.objectives.iter().map(Chart::Margins).collect()));
    all.push(figure("scores", scores(summary)));
    all.push(figure("raw_scores", raw_scores(summary)));
    all.push(figure("densities", densities(summary)));
    all.push(figure("pareto", summary.pareto.examples.iter().map(Chart::Pareto).collect()));
    all.push(figure("weights", sweep(summary)));
    all.push(figure("length", lengths(summary)));
    all.push(figure("learning_curves", learning_curves(summary)));
    all.push(figure("l2", summary.objectives.iter().map(Chart::Penalty).collect()));
    all.push(figure("drift", drift(summary)));
    all[0].left_out = summary.objectives.len().saturating_sub(MOST_OBJECTIVES);
    for figure in all.iter_mut().filter(|figure| figure.narrow.is_none()) {
        // With the combined score there may be one more than objectives.
        figure.left_out = figure.charts.len().saturating_sub(MOST_OBJECTIVES + 1);
        figure.charts.truncate(MOST_OBJECTIVES + 1);
    }
    all.retain(|figure| !figure.charts.is_empty());
    all
}

/// The split of this name, if it has scores.
fn split<'a>(scores: &'a [ScoreSummary], name: &str) -> Option<&'a ScoreSummary> {
    scores.iter().find(|one| one.split == name)
}

fn scores(summary: &RunSummary) -> Vec<Chart<'_>> {
    let heads = summary.objectives.iter().map(|objective| (objective.name.as_str(), &objective.scores));
    let combined = std::iter::once(("combined", &summary.combined_scores));
    heads
        .chain(combined)
        .filter_map(|(title, scores)| {
            let trained = split(scores, "train").or_else(|| split(scores, "calibration"));
            let (line, legend) = match trained {
                Some(line) if line.split == "train" => (&line.normalized, "% (bars: test, line: training)"),
                Some(line) => (&line.normalized, "% (bars: test, line: calibration)"),
                None => return None,
            };
            let filled = &split(scores, "test")?.normalized;
            let across = if title == "combined" { "combined score" } else { "normalized score" };
            Some(Chart::Histograms(Histograms { title, across, filled, line: Some(line), legend }))
        })
        .collect()
}

fn raw_scores(summary: &RunSummary) -> Vec<Chart<'_>> {
    fn chart(objective: &ObjectiveSummary) -> Option<Chart<'_>> {
        Some(Chart::Histograms(Histograms {
            title: &objective.name,
            across: "raw score, log-odds",
            filled: &split(&objective.scores, "test")?.raw,
            line: Some(&split(&objective.scores, "train")?.raw),
            legend: "% (bars: test, line: training)",
        }))
    }
    summary.objectives.iter().filter_map(chart).collect()
}

fn densities(summary: &RunSummary) -> Vec<Chart<'_>> {
    let mut charts = Vec::new();
    for density in &summary.densities {
        let two = summary.agreement.of(&density.across, &density.upright);
        let correlation = two.and_then(|two| two.spearman.value());
        charts.push(Chart::Plane(Plane { title: "", density, line: None, words: false, correlation }));
    }
    charts
}

fn lengths(summary: &RunSummary) -> Vec<Chart<'_>> {
    fn chart(objective: &ObjectiveSummary) -> Option<Chart<'_>> {
        let length = objective.bias.length.as_ref()?;
        let (density, line) = (&length.density, length.line);
        let correlation = length.correlation.value();
        Some(Chart::Plane(Plane { title: &objective.name, density, line, words: true, correlation }))
    }
    summary.objectives.iter().filter_map(chart).collect()
}

fn sweep(summary: &RunSummary) -> Vec<Chart<'_>> {
    let Some(sweep) = &summary.combined.sweep else { return Vec::new() };
    let names: Vec<&str> = summary.objectives.iter().map(|objective| objective.name.as_str()).collect();
    let triangle = <[&str; 3]>::try_from(names).ok().filter(|_| !sweep.simplex.is_empty());
    let triangle = triangle.map(|names| Chart::Triangle(sweep, names));
    triangle.into_iter().chain(sweep.lines.iter().map(|line| Chart::Share(line, sweep.measure))).collect()
}

fn learning_curves(summary: &RunSummary) -> Vec<Chart<'_>> {
    let measured = summary.objectives.iter().filter(|objective| objective.learning_curve.len() > 1);
    measured.map(Chart::LearningCurve).collect()
}

fn drift(summary: &RunSummary) -> Vec<Chart<'_>> {
    let objectives = summary.drift.iter().flat_map(|drift| &drift.objectives);
    objectives
        .map(|one| {
            Chart::Histograms(Histograms {
                title: &one.name,
                across: if one.name == COMBINED { "combined score" } else { "normalized score" },
                filled: &one.new_scores,
                line: Some(&one.old_scores),
                legend: "% (bars: new, line: old)",
            })
        })
        .collect()
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
            Self::Accuracy(summary, width) => (*width, accuracy::height(summary)),
            Self::Heat(summary, _, width) => heat::size(summary, *width),
            Self::Triangle(..) => weights::TRIANGLE,
            _ => PANEL,
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
        let of = |what: &str, name: &str| format!("{what} {}", clean(name));
        match self {
            Self::Accuracy(..) => "Accuracy of each head and its baselines with 95% intervals".to_owned(),
            Self::Heat(_, Table::Correlations, _) => "Rank correlations between the objectives' scores".to_owned(),
            Self::Heat(_, Table::Conflicts, _) => "Conflict rates between the objectives' heads".to_owned(),
            Self::Heat(_, Table::CrossAccuracy, _) => "Accuracy of each head on each objective's labels".to_owned(),
            Self::Reliability(objective) => of("Reliability curve of", &objective.name),
            Self::Margins(objective) => of("Margins of right and wrong pairs of", &objective.name),
            Self::Histograms(one) => of(&format!("Distribution of the {} of", one.across), one.title),
            Self::Plane(plane) if plane.words => of("Score against number of words, of", plane.title),
            Self::Plane(plane) => {
                format!("Scores of {} against {}", clean(&plane.density.upright), clean(&plane.density.across))
            }
            Self::Pareto(_) => "The answers to one prompt in the plane of two objectives".to_owned(),
            Self::Triangle(..) => "Accuracy over all weights of three objectives".to_owned(),
            Self::Share(line, _) => of("Accuracy against the weight of", &line.objective),
            Self::Penalty(objective) => of("Cross-validated loss against the penalty of", &objective.name),
            Self::LearningCurve(objective) => of("Accuracy by number of training pairs, of", &objective.name),
        }
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &mut Canvas<DB>) {
        match self {
            Self::Accuracy(summary, width) => accuracy::draw(canvas, summary, *width),
            Self::Heat(summary, table, width) => heat::draw(canvas, summary, *table, *width),
            Self::Reliability(objective) => calibration::draw_reliability(canvas, objective),
            Self::Margins(objective) => calibration::draw_margins(canvas, objective),
            Self::Histograms(one) => scores::draw_histograms(canvas, one),
            Self::Plane(plane) => scores::draw_plane(canvas, plane),
            Self::Pareto(example) => scores::draw_pareto(canvas, example),
            Self::Triangle(sweep, names) => weights::draw_triangle(canvas, sweep, *names),
            Self::Share(line, measure) => weights::draw_line(canvas, line, *measure),
            Self::Penalty(objective) => training::draw_penalty(canvas, objective),
            Self::LearningCurve(objective) => training::draw_learning_curve(canvas, objective),
        }
    }
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
    use super::canvas::Scale;
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
                assert!(SLUGS.contains(&figure.slug), "{} is not removed when it is stale", figure.slug);
                let (width, colours) = colours(&figure.png().expect("a PNG file"));
                assert!(width >= 150 && colours.len() > 2, "{} of {}", figure.slug, summary.name);
            }
        }
    }

    #[test]
    fn marks_stand_where_the_numbers_say() {
        let summary = sample::summary();
        let svg = Chart::Accuracy(&summary, WIDE).svg().expect("an SVG");
        let x = Scale::new((accuracy::accuracy_floor(&summary), 1.0), (118.0, WIDE - 166.0));
        let accuracy = summary.objectives[0].accuracy.expect("test pairs");
        let place = (x.place(accuracy.value) * UNIT).round();
        assert!(svg.contains(&format!("<circle cx=\"{place}\"")), "the head's dot is not at {place}");
        assert_eq!(svg.matches("<circle").count(), 12, "four dots for each of three objectives");
    }

    #[test]
    fn hostile_names_are_escaped_in_svg() {
        let mut summary = sample::summary();
        "<b>&\"".clone_into(&mut summary.objectives[0].name);
        let mut escaped = 0;
        for figure in figures(&summary) {
            let svgs: Vec<String> = figure.charts.iter().map(|chart| chart.svg().expect("an SVG")).collect();
            assert!(svgs.iter().all(|svg| !svg.contains("<b>")), "{}", figure.slug);
            escaped += usize::from(svgs.iter().any(|svg| svg.contains("&lt;b&gt;&amp;")));
        }
        assert!(escaped > 8, "{escaped} figures show the name");
    }
}
