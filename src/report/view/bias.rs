//! What scores follow beside quality, in words.

use serde::Serialize;

use super::table::{Cell, Table, number, share};
use crate::evaluate::Statistic;
use crate::report::summary::{LengthBias, ObjectiveSummary, ProbeBias};
use crate::report::words::{UNDEFINED, count};

#[derive(Serialize)]
pub(super) struct BiasView {
    length: Option<Table>,
    probes: Option<Table>,
}

/// The section on bias.
pub(super) fn bias(objectives: &[ObjectiveSummary]) -> BiasView {
    let lengths = objectives.iter().filter_map(|one| Some(length(&one.name, one.bias.length.as_ref()?)));
    let probes = objectives.iter().flat_map(|one| one.bias.probes.iter().map(|found| probe(&one.name, found)));
    BiasView {
        length: Table::of(
            &[
                "Head",
                "Score per doubling of words",
                "Rank correlation",
                "Right, equal length",
                "Right, chosen is longer",
                "Right, chosen is shorter",
            ],
            lengths,
        ),
        probes: Table::of(
            &[
                "Head and probe",
                "Pairs that differ",
                "Labelers prefer more of it",
                "Head prefers more of it",
                "Right where they differ",
                "Right where they do not",
            ],
            probes,
        ),
    }
}

fn length(name: &str, length: &LengthBias) -> (String, Vec<Cell>) {
    let slope = match (&length.line, &length.no_line) {
        (Some(line), _) => number(&Statistic::Known(line.slope), 3),
        (None, why) => Cell::text(&format!("{UNDEFINED} {}", why.as_deref().unwrap_or_default())),
    };
    let cells = vec![
        slope,
        number(&length.correlation, 2),
        share(&length.matched),
        share(&length.chosen_longer),
        share(&length.chosen_shorter),
    ];
    (name.to_owned(), cells)
}

fn probe(name: &str, probe: &ProbeBias) -> (String, Vec<Cell>) {
    let cells = vec![
        Cell::number(format!("{} of {}", count(probe.differing), count(probe.pairs))),
        share(&probe.labels_prefer),
        share(&probe.head_prefers),
        share(&probe.accuracy_differing),
        share(&probe.accuracy_equal),
    ];
    (format!("{name}: {}", probe.name), cells)
}
