//! How a head was trained: the penalty that was chosen, and what more pairs bring.

use plotters::prelude::DrawingBackend;

use super::canvas::{BLUE, Canvas, Frame, Point, Scale, VERMILLION};
use super::{AREA, corner};
use crate::report::head_summary::FitSummary;
use crate::report::summary::ObjectiveSummary;
use crate::report::words::{clean, percent, short};

/// Cross-validated loss against the penalty.
pub(super) fn draw_penalty<DB: DrawingBackend>(canvas: &mut Canvas<DB>, objective: &ObjectiveSummary) {
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
            (Some(fit), _) if fit.iterations == 0 => format!("penalty {}; a registry keeps no others", short(fit.l2)),
            (Some(fit), _) => format!("penalty given: {}", short(fit.l2)),
            (None, _) if objective.pretrained => "the checkpoint's own head".to_owned(),
            (None, _) => "a hidden layer has no penalty to choose".to_owned(),
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

/// Accuracy against the number of training pairs, on a log scale.
pub(super) fn draw_learning_curve<DB: DrawingBackend>(canvas: &mut Canvas<DB>, objective: &ObjectiveSummary) {
    let (left, right, top, bottom) = AREA;
    let measured = objective.learning_curve.iter().filter_map(|point| Some((point.pairs.max(1), point.accuracy?)));
    let points: Vec<_> = measured.collect();
    let logs: Vec<f64> = points.iter().map(|(pairs, _)| libm::log10(*pairs as f64)).collect();
    let (low, high) = (logs.first().copied().unwrap_or(1.0), logs.last().copied().unwrap_or(4.0));
    let x = Scale::new((low - 0.1, high + 0.1), (left + 6.0, right - 4.0));
    let ends = |pick: fn(f64, f64) -> f64, start: f64, end: fn(&crate::evaluate::Estimate) -> f64| {
        points.iter().map(|(_, accuracy)| end(accuracy)).fold(start, pick)
    };
    let y = Scale::new((ends(f64::min, 0.5, |one| one.low), ends(f64::max, 0.6, |one| one.high)), (bottom, top));
    let title = clean(&objective.name);
    let frame =
        Frame { title: &title, across: "training pairs (log scale)", upright: "accuracy on the test pairs", x, y };
    if points.len() < 2 {
        return frame.draw_empty(canvas, "not measured");
    }
    let ticks: Vec<(f64, String)> = y.ticks(4).into_iter().map(|(value, _)| (value, percent_tick(value))).collect();
    frame.draw(canvas, &pair_ticks(&x), &ticks);
    let curve: Vec<Point> =
        points.iter().zip(&logs).map(|((_, accuracy), log)| (x.place(*log), y.place(accuracy.value))).collect();
    for ((_, accuracy), log) in points.iter().zip(&logs) {
        canvas.line((x.place(*log), y.place(accuracy.low)), (x.place(*log), y.place(accuracy.high)), (BLUE, 1.0));
    }
    canvas.path(&curve, (BLUE, 1.5));
    curve.iter().for_each(|point| canvas.disc(*point, 3.5, BLUE));
    if let Some((_, last)) = points.last() {
        corner(canvas, &percent(last.value));
    }
}

fn percent_tick(value: f64) -> String {
    crate::report::words::fixed(value * 100.0, 0)
}

/// 1, 3, 10, 30, … within a scale of logarithms.
fn pair_ticks(scale: &Scale) -> Vec<(f64, String)> {
    let rounds = (0..9).flat_map(|power| [1.0, 3.0].map(|digit| digit * 10f64.powi(power)));
    let inside = rounds.map(|value| (libm::log10(value), value));
    inside
        .filter(|(log, _)| *log >= scale.values.0 && *log <= scale.values.1)
        .map(|(log, value)| (log, crate::report::words::count(value as usize)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_axis_has_powers_of_ten() {
        let labels = |low, high| -> Vec<String> {
            powers_of_ten(&Scale::new((low, high), (0.0, 1.0))).into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(-2.15, 2.15), ["0.01", "0.1", "1", "10", "100"]);
        assert!(labels(-9.0, 9.0).len() <= 7);
    }
}
