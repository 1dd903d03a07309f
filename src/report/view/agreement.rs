//! Agreement in words: every measure of every two objectives, and labelers among themselves.

use serde::Serialize;

use super::table::{Cell, Table, number, share, signed_points};
use crate::report::summary::{AgreementSummary, LabelerAgreement, ObjectivesAgreement};
use crate::report::words::count;

/// Rows of the table of objectives on the page.
const MOST_ROWS: usize = 60;

#[derive(Serialize)]
pub(super) struct AgreementView {
    responses: String,
    pairs: String,
    left_out: Option<String>,
    objectives: Option<Table>,
    labelers: Option<Table>,
}

/// The section on agreement.
pub(super) fn agreement(agreement: &AgreementSummary) -> AgreementView {
    let headings =
        ["Objectives", "Pearson", "Spearman", "Kendall τ-b", "Same answer preferred", "Cohen’s κ", "Conflict rate"];
    let rate = |two: &ObjectivesAgreement| two.conflict_rate.value().unwrap_or(0.0);
    let mut shown: Vec<&ObjectivesAgreement> = agreement.objectives.iter().collect();
    let all = shown.len();
    if all > MOST_ROWS {
        shown.sort_by(|left, right| rate(right).total_cmp(&rate(left)));
        shown.truncate(MOST_ROWS);
    }
    AgreementView {
        responses: count(agreement.responses),
        pairs: count(agreement.pairs),
        left_out: (all > MOST_ROWS).then(|| {
            format!("The {MOST_ROWS} pairs of objectives in most conflict, of {}; agreement.csv has all.", count(all))
        }),
        objectives: Table::of(&headings, shown.into_iter().map(objectives)),
        labelers: Table::of(
            &[
                "Objective",
                "Pairs",
                "Krippendorff’s α",
                "Fleiss’ κ",
                "Two labelers agree",
                "Head and labeler agree",
                "Difference",
            ],
            agreement.labelers.iter().map(labelers),
        ),
    }
}

fn objectives(two: &ObjectivesAgreement) -> (String, Vec<Cell>) {
    let cells = vec![
        number(&two.pearson, 2),
        number(&two.spearman, 2),
        number(&two.kendall, 2),
        share(&two.sign_agreement),
        number(&two.cohen_kappa, 2),
        share(&two.conflict_rate),
    ];
    (format!("{} and {}", two.left, two.right), cells)
}

fn labelers(one: &LabelerAgreement) -> (String, Vec<Cell>) {
    let cells = vec![
        Cell::number(count(one.pairs)),
        number(&one.krippendorff_alpha, 2),
        number(&one.fleiss_kappa, 2),
        share(&one.between_labelers),
        share(&one.head),
        signed_points(&one.lead),
    ];
    (one.objective.clone(), cells)
}
