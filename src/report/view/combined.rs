//! The combined score in words: its formula, what it reaches, what each objective brings, what other weights turn.

use serde::Serialize;

use super::table::{Cell, Table, share, signed_points};
use crate::report::formula::formula;
use crate::report::summary::{CombinedSummary, LeftOut, RunSummary, TurnedShares};
use crate::report::words::{counted, interval, percent, short};

#[derive(Serialize)]
pub(super) struct CombinedView {
    formula: String,
    holistic: String,
    left_out: Option<Table>,
    turned: Option<Table>,
}

/// The section on the combined score.
pub(super) fn combined(summary: &RunSummary) -> CombinedView {
    let combined = &summary.combined;
    let holistic = match (combined.holistic, combined.holistic_longer) {
        (Some(ours), longer) => {
            let longer = longer.map_or_else(String::new, |longer| {
                format!(
                    " Picking the longer answer would be right on {} ({}).",
                    percent(longer.value),
                    interval(&longer)
                )
            });
            let pairs = counted(ours.n, "pair");
            let accuracy = percent(ours.value);
            format!(
                "On {pairs} labelled all things considered, it is right on {accuracy} (95% {}).{longer}",
                interval(&ours)
            )
        }
        (None, _) => {
            "No pairs labelled all things considered were given, so the weights are taken on trust. Name some \
                      under `holistic` in the configuration to have the sum judged too."
                .to_owned()
        }
    };
    CombinedView { formula: formula(combined), holistic, left_out: left_out(combined), turned: turned(combined) }
}

fn left_out(combined: &CombinedSummary) -> Option<Table> {
    let row = |one: &LeftOut| {
        let brings = match one.brings.known() {
            Some(brings) if brings.low > 0.0 => "it helps",
            Some(brings) if brings.high < 0.0 => "the score is better without it",
            Some(_) => "not shown to help",
            None => "cannot be said",
        };
        (one.objective.clone(), vec![share(&one.accuracy), signed_points(&one.brings), Cell::text(brings)])
    };
    Table::of(&["Left out", "Accuracy without it", "It brings", "So"], combined.left_out.iter().map(row))
}

fn turned(combined: &CombinedSummary) -> Option<Table> {
    let row = |one: &TurnedShares| {
        let cells = vec![Cell::number(short(one.weight)), share(&one.without), share(&one.halved), share(&one.doubled)];
        (one.objective.clone(), cells)
    };
    let headings = ["Objective", "Weight now", "Weight 0", "Half the weight", "Twice the weight"];
    Table::of(&headings, combined.turned.iter().map(row))
}
