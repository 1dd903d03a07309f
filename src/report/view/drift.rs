//! What changed against an older registry, in words.

use serde::Serialize;

use super::table::{Cell, Table, number, share, signed_points};
use crate::report::summary::{DriftSummary, ObjectiveDrift};
use crate::report::words::{clean, optional};

#[derive(Serialize)]
pub(super) struct DriftView {
    old: String,
    fingerprint: String,
    notes: Vec<String>,
    table: Option<Table>,
    distances: Option<Table>,
}

/// The section on drift.
pub(super) fn drift(drift: &DriftSummary) -> DriftView {
    let names = |names: &[String]| names.iter().map(|name| clean(name)).collect::<Vec<String>>().join(", ");
    let note = |what: &str, list: &[String]| (!list.is_empty()).then(|| format!("{what}: {}.", names(list)));
    let other_data = "Its heads were trained and judged on other data than these, so some of these test prompts may have \
                      been trained on";
    let notes = [
        note("New objectives", &drift.added),
        note("Objectives that are gone", &drift.removed),
        note(other_data, &drift.data_changed),
    ];
    DriftView {
        old: clean(&drift.old),
        fingerprint: clean(&drift.old_fingerprint).chars().take(16).collect(),
        notes: notes.into_iter().flatten().collect(),
        table: Table::of(
            &[
                "Score",
                "Accuracy before",
                "Accuracy now",
                "Change",
                "Log-loss change",
                "ECE before, now",
                "Pairs turned",
            ],
            drift.objectives.iter().map(quality),
        ),
        distances: Table::of(
            &["Score", "Rank correlation, old and new", "Kolmogorov–Smirnov", "Wasserstein", "Mean before", "Mean now"],
            drift.objectives.iter().map(distances),
        ),
    }
}

fn quality(one: &ObjectiveDrift) -> (String, Vec<Cell>) {
    let (before, now) = one.calibration_error;
    let cells = vec![
        share(&one.old_accuracy),
        share(&one.new_accuracy),
        signed_points(&one.change),
        one.log_loss_change.as_ref().map_or_else(|| Cell::number("–".to_owned()), |change| number(change, 3)),
        Cell::number(format!("{}, {}", optional(before, 3), optional(now, 3))),
        share(&one.turned),
    ];
    (one.name.clone(), cells)
}

fn distances(one: &ObjectiveDrift) -> (String, Vec<Cell>) {
    let cells = vec![
        number(&one.correlation, 3),
        Cell::number(optional(one.kolmogorov_smirnov, 3)),
        Cell::number(optional(one.wasserstein, 3)),
        Cell::number(optional(one.old_scores.mean, 2)),
        Cell::number(optional(one.new_scores.mean, 2)),
    ];
    (one.name.clone(), cells)
}
