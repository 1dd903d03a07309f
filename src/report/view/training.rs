//! How the page shows how heads were fitted, what they were kept from following, and what more pairs would bring.

use serde::Serialize;

use crate::evaluate::Estimate;
use crate::report::head_summary::{ControlSummary, LearningPoint, MlpSummary};
use crate::report::summary::ObjectiveSummary;
use crate::report::words::{UNDEFINED, clean, count, counted, fixed, interval, optional, percent, short};

/// A row of the table of fits.
#[derive(Serialize)]
pub(super) struct FitView {
    name: String,
    weight: String,
    normalizer: String,
    l2: String,
    temperature: String,
    /// What the temperature did to the calibration error.
    calibration: String,
    iterations: String,
    gradient_norm: String,
}

/// A row of the table of controls.
#[derive(Serialize)]
pub(super) struct ControlView {
    name: String,
    probe: String,
    how: String,
    before: String,
    after: String,
    paid: String,
    paid_interval: String,
    conclusion: String,
}

/// A row of the table of learning curves.
#[derive(Serialize)]
pub(super) struct CurveView {
    name: String,
    points: Vec<(String, String, String)>,
    conclusion: String,
}

/// How every head of a run was fitted.
pub(super) fn fits(objectives: &[ObjectiveSummary]) -> Vec<FitView> {
    objectives.iter().map(fit).collect()
}

fn fit(objective: &ObjectiveSummary) -> FitView {
    let all = |words: &str| [words, words, words].map(str::to_owned);
    let [l2, iterations, gradient_norm] = match (&objective.fit, &objective.mlp) {
        // A registry does not remember the steps.
        (Some(fit), _) if fit.iterations == 0 => [short(fit.l2), UNDEFINED.to_owned(), short(fit.gradient_norm)],
        (Some(fit), _) => [short(fit.l2), count(fit.iterations), short(fit.gradient_norm)],
        (None, Some(mlp)) => [UNDEFINED.to_owned(), epochs(mlp), UNDEFINED.to_owned()],
        (None, None) if objective.pretrained => all("the checkpoint's own"),
        (None, None) => all(UNDEFINED),
    };
    FitView {
        name: clean(&objective.name),
        weight: short(objective.weight),
        normalizer: clean(&objective.normalizer),
        l2,
        temperature: fixed(objective.temperature, 3),
        calibration: match (objective.ece_uncalibrated, objective.ece) {
            (Some(before), Some(after)) if objective.temperature != 1.0 => {
                format!("ECE {} before, {} after", fixed(before, 3), fixed(after, 3))
            }
            (_, Some(_)) => "left as it is".to_owned(),
            _ => String::new(),
        },
        iterations,
        gradient_norm,
    }
}

/// `best of 23 epochs: 18, stopped early`.
fn epochs(mlp: &MlpSummary) -> String {
    let end = if mlp.stopped_early { "stopped early" } else { "no more were allowed" };
    format!("best of {}: {}, {end}", counted(mlp.epochs, "epoch"), count(mlp.best_epoch))
}

/// All controls of a run.
pub(super) fn controls(objectives: &[ObjectiveSummary]) -> Vec<ControlView> {
    objectives.iter().flat_map(|one| one.controls.iter().map(|control| control_view(&one.name, control))).collect()
}

fn control_view(name: &str, control: &ControlSummary) -> ControlView {
    let points = |estimate: &Estimate| fixed(100.0 * estimate.value, 1);
    ControlView {
        name: clean(name),
        probe: clean(&control.probe),
        how: control
            .strength
            .map_or_else(|| "constraint".to_owned(), |strength| format!("penalty {}", short(strength))),
        before: optional(control.uncontrolled_correlation, 3),
        after: optional(control.correlation, 3),
        paid: control.paid.as_ref().map_or_else(|| UNDEFINED.to_owned(), |paid| format!("{} points", points(paid))),
        paid_interval: control.paid.as_ref().map_or_else(String::new, interval),
        conclusion: match &control.paid {
            Some(paid) if paid.low > 0.0 => "The head had earned accuracy by following it.".to_owned(),
            Some(paid) if paid.high < 0.0 => "Following it had misled the head.".to_owned(),
            Some(_) => "No loss of accuracy is shown.".to_owned(),
            None => "Without test pairs its price is not known.".to_owned(),
        },
    }
}

/// The learning curve of every head that has one.
pub(super) fn curves(objectives: &[ObjectiveSummary]) -> Vec<CurveView> {
    let measured = objectives.iter().filter(|objective| objective.learning_curve.len() > 1);
    let point = |point: &LearningPoint| {
        let value = point.accuracy.map_or_else(|| UNDEFINED.to_owned(), |accuracy| percent(accuracy.value));
        (count(point.pairs), value, point.accuracy.as_ref().map_or_else(String::new, interval))
    };
    measured
        .map(|objective| CurveView {
            name: clean(&objective.name),
            points: objective.learning_curve.iter().map(point).collect(),
            conclusion: conclusion(&objective.learning_curve),
        })
        .collect()
}

/// What the last doubling of the pairs brought.
fn conclusion(curve: &[LearningPoint]) -> String {
    let [.., half, whole] = curve else { return String::new() };
    match (half.accuracy, whole.accuracy) {
        (Some(before), Some(after)) => {
            let gain = 100.0 * (after.value - before.value);
            let noise = 100.0 * (after.high - after.low) / 2.0;
            let gained = fixed(gain, 1);
            if gain > noise {
                format!("The last doubling brought {gained} points: more pairs still pay.")
            } else {
                format!("The last doubling brought {gained} points, within the ±{} of the test pairs.", fixed(noise, 1))
            }
        }
        _ => String::new(),
    }
}
