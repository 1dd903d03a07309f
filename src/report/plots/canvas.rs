//! A drawing surface in page units over any plotters backend: text, lines, boxes, dots, scales and axes.
//!
//! Everything is drawn with the same calls on the SVG and the PNG backend, so the two agree. Colours that the page's
//! style sheet swaps in dark mode are the named greys here. What is drawn is the business of [`super::plots`].

use std::sync::Once;

use plotters::prelude::{Color, DrawingBackend, FontFamily, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle};
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Fault, Result};
use crate::report::words::fixed;

/// Backend pixels per page unit: two, for sharp PNG files and half-pixel places in SVG.
pub(super) const UNIT: f64 = 2.0;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
/// Secondary text.
pub(super) const MUTED: RGBColor = RGBColor(0x5f, 0x68, 0x72);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xeb);
/// Values that are only there for comparison.
pub(super) const QUIET: RGBColor = RGBColor(0x8c, 0x95, 0x9f);
/// Okabe and Ito's blue: what this run made.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
/// Okabe and Ito's vermillion: what it must be compared with.
pub(super) const VERMILLION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);

/// The name the fonts are registered under; in SVG it is the `font-family`, so it carries its own fallback.
const FONT: &str = "DejaVu Sans, sans-serif";
const REGULAR: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");
const BOLD: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-Bold.ttf");

/// What a note at the upper right may take of the line of the upright axis's title.
const NOTE: f64 = 122.0;

/// plotters writes an SVG font size as its own size over this.
const PLOTTERS_FONT_FACTOR: f64 = 1.24;

fn register_fonts() {
    static ONCE: Once = Once::new();
    // A font that cannot be registered shows up as a text that cannot be drawn, which `Canvas::finish` reports.
    ONCE.call_once(|| {
        let _ = register_font(FONT, FontStyle::Normal, REGULAR);
        let _ = register_font(FONT, FontStyle::Bold, BOLD);
    });
}

/// Which point of a text stands at the given place, horizontally; vertically it is always the middle.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: RGBColor,
    pub(super) anchor: Anchor,
}

impl Type {
    /// Regular text of the given size and colour that starts at its place.
    pub(super) fn new(size: f64, colour: RGBColor) -> Self {
        Self { size, bold: false, colour, anchor: Anchor::Left }
    }

    pub(super) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    fn style(self) -> TextStyle<'static> {
        let weight = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        let horizontal = match self.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let font = (FontFamily::Name(FONT), self.size * UNIT * PLOTTERS_FONT_FACTOR, weight).into_font();
        TextStyle { font, color: self.colour.to_backend_color(), pos: Pos::new(horizontal, VPos::Center) }
    }

    /// Width of `text` in page units.
    pub(super) fn width(self, text: &str) -> f64 {
        register_fonts();
        self.style().font.box_size(text).map_or(0.0, |(width, _)| f64::from(width) / UNIT)
    }

    /// `text`, cut in its middle with an ellipsis where it would be wider than `limit`: names of one family often
    /// differ at their ends only.
    pub(super) fn fit(self, text: &str, limit: f64) -> String {
        if self.width(text) <= limit {
            return text.to_owned();
        }
        let characters: Vec<char> = text.chars().collect();
        let cut = |kept: usize| -> String {
            let tail = kept * 2 / 5;
            let (head, end) = (characters.iter().take(kept - tail), characters.iter().skip(characters.len() - tail));
            head.chain(['…'].iter()).chain(end).collect()
        };
        let most = characters.len().saturating_sub(1).min(200);
        (0..=most).rev().map(cut).find(|short| self.width(short) <= limit).unwrap_or_default()
    }
}

/// A place in page units.
pub(super) type Point = (f64, f64);

/// A surface with its own origin on a backend; remembers the first thing that went wrong.
pub(super) struct Canvas<'a, DB: DrawingBackend> {
    backend: &'a mut DB,
    origin: Point,
    /// How far texts are moved down, in parts of their size.
    drop: f64,
    failure: Option<String>,
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// A surface whose point (0, 0) is `origin` of the backend.
    pub(super) fn new(backend: &'a mut DB, origin: Point) -> Self {
        register_fonts();
        Self { backend, origin, drop: 0.0, failure: None }
    }

    /// The same for pixels, where plotters centres texts too high.
    pub(super) fn new_bitmap(backend: &'a mut DB, origin: Point) -> Self {
        Self { drop: 0.2, ..Self::new(backend, origin) }
    }

    /// Ends the drawing.
    ///
    /// # Errors
    /// [`Error::Io`] with the first thing the backend refused.
    pub(super) fn finish(self) -> Result<()> {
        match self.failure {
            None => Ok(()),
            Some(failure) => Err(Error::Io(vec![Fault::new("plot", format!("cannot be drawn: {failure}"))])),
        }
    }

    fn place(&self, point: Point) -> (i32, i32) {
        let pixel = |value: f64| (value * UNIT).round() as i32;
        (pixel(self.origin.0 + point.0), pixel(self.origin.1 + point.1))
    }

    fn note<E: std::fmt::Display>(&mut self, drawn: std::result::Result<(), E>) {
        if let (Err(error), None) = (drawn, &self.failure) {
            self.failure = Some(error.to_string());
        }
    }

    /// One line of text with its anchor at `point`.
    pub(super) fn text(&mut self, point: Point, text: &str, look: Type) {
        let place = self.place((point.0, point.1 + self.drop * look.size));
        let drawn = self.backend.draw_text(text, &look.style(), place);
        self.note(drawn);
    }

    /// A filled box from one corner to the other.
    pub(super) fn fill(&mut self, from: Point, to: Point, colour: RGBColor) {
        let (from, to) = (self.place(from), self.place(to));
        let drawn = self.backend.draw_rect(from, to, &colour.filled(), true);
        self.note(drawn);
    }

    /// A filled box that lets the ground shine through; `strength` 1 is [`Canvas::fill`].
    pub(super) fn faint(&mut self, from: Point, to: Point, (colour, strength): (RGBColor, f64)) {
        let (from, to) = (self.place(from), self.place(to));
        let drawn = self.backend.draw_rect(from, to, &colour.mix(strength).filled(), true);
        self.note(drawn);
    }

    /// A straight line `width` wide.
    pub(super) fn line(&mut self, from: Point, to: Point, (colour, width): (RGBColor, f64)) {
        self.path(&[from, to], (colour, width));
    }

    /// A line through all points.
    pub(super) fn path(&mut self, points: &[Point], (colour, width): (RGBColor, f64)) {
        let places: Vec<(i32, i32)> = points.iter().map(|point| self.place(*point)).collect();
        let stroke = (width * UNIT).round().max(1.0) as u32;
        let style = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: stroke };
        let drawn = self.backend.draw_path(places, &style);
        self.note(drawn);
    }

    /// A dashed straight line.
    pub(super) fn dashed(&mut self, from: Point, to: Point, stroke: (RGBColor, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        let at = |along: f64| (from.0 + dx * along / length, from.1 + dy * along / length);
        let dashes = (length / 7.0).floor() as usize;
        for dash in 0..dashes {
            let start = dash as f64 * 7.0;
            self.line(at(start), at((start + 4.0).min(length)), stroke);
        }
    }

    /// A filled disc that lets the ground shine through.
    pub(super) fn faint_disc(&mut self, centre: Point, radius: f64, (colour, strength): (RGBColor, f64)) {
        let place = self.place(centre);
        let style = colour.mix(strength).filled();
        let drawn = self.backend.draw_circle(place, (radius * UNIT).round() as u32, &style, true);
        self.note(drawn);
    }

    /// A filled disc.
    pub(super) fn disc(&mut self, centre: Point, radius: f64, colour: RGBColor) {
        let place = self.place(centre);
        let drawn = self.backend.draw_circle(place, (radius * UNIT).round() as u32, &colour.filled(), true);
        self.note(drawn);
    }
}

/// A linear map from values to page units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The values at both ends; the second is the greater.
    pub(super) values: (f64, f64),
    /// The places of both ends.
    pub(super) places: (f64, f64),
}

impl Scale {
    /// A scale over `values`, widened where they have no width.
    pub(super) fn new(values: (f64, f64), places: (f64, f64)) -> Self {
        let (low, high) = values;
        let half = (low.abs() * 0.1).max(0.5);
        let values = if high - low > 1e-12 * low.abs().max(1e-3) { values } else { (low - half, low + half) };
        Self { values, places }
    }

    /// Where `value` stands; values beyond an end stand at that end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = ((value - self.values.0) / (self.values.1 - self.values.0)).clamp(0.0, 1.0);
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    /// About `wanted` round values within the scale with their labels: steps of 1, 2 or 5 times a power of ten.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let (low, high) = self.values;
        let rough = (high - low) / wanted.max(1) as f64;
        let power = rough.log10().floor();
        let unit = 10f64.powf(power);
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * unit).find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(unit * 10.0);
        let digits = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        let first = (low / step - 1e-6).ceil() as i64;
        let last = (high / step + 1e-6).floor() as i64;
        (first..=last.min(first + 40))
            .map(|index| index as f64 * step)
            .map(|value| (value, fixed(value, digits)))
            .collect()
    }
}

/// A plot's frame: a title, what the upright axis shows below it, both axes, and a light grid.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// What the level axis shows.
    pub(super) across: &'a str,
    /// What the upright axis shows.
    pub(super) upright: &'a str,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame<'_> {
    /// Draws it without axes and says instead why there is nothing to see.
    pub(super) fn draw_empty<DB: DrawingBackend>(&self, canvas: &mut Canvas<DB>, reason: &str) {
        self.draw(canvas, &[], &[]);
        let middle = |(from, to): (f64, f64)| f64::midpoint(from, to);
        let look = Type::new(13.0, MUTED).anchored(Anchor::Middle);
        canvas.text((middle(self.x.places), middle(self.y.places)), reason, look);
    }

    /// Draws it with the given ticks; the title starts at the left edge of the canvas.
    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        canvas: &mut Canvas<DB>,
        x_ticks: &[(f64, String)],
        y_ticks: &[(f64, String)],
    ) {
        let (left, right) = self.x.places;
        let bottom = self.y.places.0;
        let title = Type::new(14.0, INK).bold();
        canvas.text((0.0, 10.0), &title.fit(self.title, right), title);
        let small = Type::new(12.0, MUTED);
        canvas.text((0.0, 30.0), &small.fit(self.upright, right - NOTE), small);
        for (value, label) in y_ticks {
            let y = self.y.place(*value);
            canvas.line((left, y), (right, y), (GRID, 1.0));
            canvas.text((left - 7.0, y), label, small.anchored(Anchor::Right));
        }
        for (value, label) in x_ticks {
            let x = self.x.place(*value);
            canvas.line((x, bottom), (x, bottom + 4.0), (QUIET, 1.0));
            canvas.text((x, bottom + 14.0), label, small.anchored(Anchor::Middle));
        }
        canvas.line((left, bottom), (right, bottom), (QUIET, 1.0));
        let middle = f64::midpoint(left, right);
        canvas.text((middle, bottom + 33.0), &small.fit(self.across, right), small.anchored(Anchor::Middle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, wanted: usize) -> Vec<String> {
        Scale::new((low, high), (0.0, 1.0)).ticks(wanted).into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(labels(0.0, 1.0, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-2.3, 2.9, 5), ["\u{2212}2", "0", "2"]);
        assert_eq!(labels(0.612, 0.633, 4), ["0.62", "0.63"]);
        assert_eq!(labels(0.0, 0.07, 4), ["0.00", "0.02", "0.04", "0.06"]);
        assert!(!labels(3.0, 3.0, 4).is_empty(), "a scale without width is widened");
    }

    #[test]
    fn long_names_are_cut_to_the_space_they_have() {
        let look = Type::new(14.0, INK);
        let cut = look.fit(&"helpfulness".repeat(30), 120.0);
        assert!(cut.contains('…') && cut.ends_with("ness") && look.width(&cut) <= 120.0 && look.width(&cut) > 100.0);
        assert_eq!(look.fit("safety", 120.0), "safety");
    }
}
