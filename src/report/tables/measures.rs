//! Statistics with their intervals, one row a statistic: what it is of, its name, and its value or why it has none.

use polars::prelude::{Column, DataFrame, PolarsResult};

use crate::evaluate::Statistic;
use crate::report::summary::RunSummary;

/// What a statistic is of, its name, and its value.
type Measure<'a> = (Vec<&'a str>, &'a str, Statistic);

/// A table with a column for each of `keys`.
fn measures(keys: &[&str], rows: &[Measure]) -> PolarsResult<DataFrame> {
    let number = |name: &str, pick: fn(&crate::evaluate::Estimate) -> f64| {
        let values = rows.iter().map(|row| row.2.known().map(|known| pick(&known)));
        Column::new(name.into(), values.collect::<Vec<Option<f64>>>())
    };
    let count = |name: &str, pick: fn(&crate::evaluate::Estimate) -> usize| {
        let values = rows.iter().map(|row| row.2.known().map(|known| pick(&known) as u64));
        Column::new(name.into(), values.collect::<Vec<Option<u64>>>())
    };
    let key = |(index, name): (usize, &&str)| {
        let values = rows.iter().map(|row| row.0.get(index).copied().unwrap_or_default());
        Column::new((*name).into(), values.collect::<Vec<&str>>())
    };
    let why = rows.iter().map(|row| row.2.undefined().map(crate::evaluate::Undefined::words));
    let mut columns: Vec<Column> = keys.iter().enumerate().map(key).collect();
    columns.push(Column::new("measure".into(), rows.iter().map(|row| row.1).collect::<Vec<&str>>()));
    columns.extend([
        number("value", |known| known.value),
        number("low", |known| known.low),
        number("high", |known| known.high),
        count("n", |known| known.n),
        count("prompts", |known| known.clusters),
        Column::new("undefined".into(), why.collect::<Vec<Option<&str>>>()),
    ]);
    DataFrame::new_infer_height(columns)
}

/// Every two objectives.
pub(super) fn agreement(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<Measure> = summary
        .agreement
        .objectives
        .iter()
        .flat_map(|two| {
            [
                ("pearson", two.pearson),
                ("spearman", two.spearman),
                ("kendall_tau_b", two.kendall),
                ("sign_agreement", two.sign_agreement),
                ("cohen_kappa", two.cohen_kappa),
                ("conflict_rate", two.conflict_rate),
            ]
            .map(|(name, value)| (vec![two.left.as_str(), &two.right], name, value))
        })
        .collect();
    measures(&["left", "right"], &rows)
}

/// Every head on every objective's labels.
pub(super) fn cross_accuracy(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let cells = summary.agreement.cross_accuracy.iter();
    let rows: Vec<Measure> =
        cells.map(|cell| (vec![cell.head.as_str(), &cell.labels], "accuracy", cell.accuracy)).collect();
    measures(&["head", "labels"], &rows)
}

/// Labelers among themselves and beside the head.
pub(super) fn labelers(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<Measure> = summary
        .agreement
        .labelers
        .iter()
        .flat_map(|one| {
            [
                ("krippendorff_alpha", one.krippendorff_alpha),
                ("fleiss_kappa", one.fleiss_kappa),
                ("between_labelers", one.between_labelers),
                ("head_and_labeler", one.head),
                ("head_lead", one.lead),
            ]
            .map(|(name, value)| (vec![one.objective.as_str()], name, value))
        })
        .collect();
    measures(&["objective"], &rows)
}

/// The answers to one prompt.
pub(super) fn choices(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let pareto = &summary.pareto;
    let named = [
        ("answers_on_front", pareto.on_front),
        ("prompts_undisputed", pareto.undisputed),
        ("choice_on_front", pareto.choice_on_front),
    ];
    let rows: Vec<Measure> = named.into_iter().filter_map(|(name, value)| Some((Vec::new(), name, value?))).collect();
    measures(&[], &rows)
}

/// The combined score without each objective.
pub(super) fn left_out(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<Measure> = summary
        .combined
        .left_out
        .iter()
        .flat_map(|one| {
            [("accuracy_without", one.accuracy), ("brings", one.brings)]
                .map(|(name, value)| (vec![one.objective.as_str()], name, value))
        })
        .collect();
    measures(&["objective"], &rows)
}

/// What turns when one weight changes.
pub(super) fn turned(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let rows: Vec<Measure> = summary
        .combined
        .turned
        .iter()
        .flat_map(|one| {
            [("weight_0", one.without), ("weight_halved", one.halved), ("weight_doubled", one.doubled)]
                .map(|(name, value)| (vec![one.objective.as_str()], name, value))
        })
        .collect();
    measures(&["objective"], &rows)
}

/// Score against length.
pub(super) fn length(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let lengths = summary.objectives.iter().filter_map(|one| Some((one.name.as_str(), one.bias.length.as_ref()?)));
    let rows: Vec<Measure> = lengths
        .flat_map(|(name, length)| {
            let slope = length.line.map(|line| ("score_per_doubling_of_words", Statistic::Known(line.slope)));
            let others = [
                ("rank_correlation", length.correlation),
                ("accuracy_equal_length", length.matched),
                ("accuracy_chosen_longer", length.chosen_longer),
                ("accuracy_chosen_shorter", length.chosen_shorter),
            ];
            slope.into_iter().chain(others).map(move |(measure, value)| (vec![name], measure, value))
        })
        .collect();
    measures(&["objective"], &rows)
}

/// Each head and probe.
pub(super) fn probes(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let all = summary.objectives.iter().flat_map(|one| one.bias.probes.iter().map(move |probe| (&one.name, probe)));
    let rows: Vec<Measure> = all
        .flat_map(|(name, probe)| {
            [
                ("labels_prefer_more", probe.labels_prefer),
                ("head_prefers_more", probe.head_prefers),
                ("accuracy_differing", probe.accuracy_differing),
                ("accuracy_equal", probe.accuracy_equal),
            ]
            .map(|(measure, value)| (vec![name.as_str(), &probe.name], measure, value))
        })
        .collect();
    measures(&["objective", "probe"], &rows)
}

/// What changed against an older registry; distances have no interval and stand in `report.json`.
pub(super) fn drift(summary: &RunSummary) -> PolarsResult<DataFrame> {
    let objectives = summary.drift.iter().flat_map(|drift| &drift.objectives);
    let rows: Vec<Measure> = objectives
        .flat_map(|one| {
            let loss = one.log_loss_change.map(|change| ("log_loss_change", change));
            let others = [
                ("old_accuracy", one.old_accuracy),
                ("new_accuracy", one.new_accuracy),
                ("accuracy_change", one.change),
                ("pairs_turned", one.turned),
                ("rank_correlation", one.correlation),
            ];
            others.into_iter().chain(loss).map(move |(measure, value)| (vec![one.name.as_str()], measure, value))
        })
        .collect();
    measures(&["score"], &rows)
}
