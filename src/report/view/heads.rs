//! The table of heads: accuracy beside the baselines, losses, and a verdict.

use serde::Serialize;

use crate::evaluate::Estimate;
use crate::report::summary::{BAG_OF_WORDS, LONGER_WINS, ObjectiveSummary, SHORTER_WINS, Standing};
use crate::report::words::{UNDEFINED, clean, count, counted, fixed, interval, optional, percent};

/// The baselines with their headings.
pub(super) const BASELINES: [(&str, &str); 3] =
    [(LONGER_WINS, "Longer wins"), (SHORTER_WINS, "Shorter wins"), (BAG_OF_WORDS, "Bag of words")];

/// An accuracy in words.
#[derive(Serialize)]
struct EstimateView {
    name: String,
    value: String,
    interval: String,
    pairs: String,
    rival: bool,
}

#[derive(Serialize)]
pub(super) struct RowView {
    name: String,
    labels: String,
    pairs: String,
    prompts: String,
    accuracy: EstimateView,
    baselines: Vec<EstimateView>,
    log_loss: String,
    log_loss_train: String,
    ece: String,
    standing: &'static str,
    mark: &'static str,
    verdict: String,
    groups: Vec<EstimateView>,
}

fn estimate(name: &str, estimate: Option<Estimate>) -> EstimateView {
    EstimateView {
        name: clean(name),
        value: estimate.map_or_else(|| UNDEFINED.to_owned(), |estimate| percent(estimate.value)),
        interval: estimate.map_or_else(String::new, |estimate| interval(&estimate)),
        pairs: estimate.map_or_else(|| counted(0, "pair"), |estimate| counted(estimate.n, "pair")),
        rival: false,
    }
}

/// One head's row.
pub(super) fn row(objective: &ObjectiveSummary) -> RowView {
    let hardest = objective.hardest_baseline().map(|(baseline, _)| baseline.name.as_str());
    let baseline = |(name, title): (&str, &str)| {
        let found = objective.baselines.iter().find(|baseline| baseline.name == name);
        let view = estimate(title, found.and_then(|baseline| baseline.accuracy));
        EstimateView { rival: hardest == Some(name), ..view }
    };
    let labels = objective.labels.iter().map(|(source, pairs)| format!("{} {}", clean(source), count(*pairs)));
    let (standing, mark) = match objective.standing() {
        Standing::Better => ("better", "Passed"),
        Standing::Unclear => ("unclear", "Unproven"),
        Standing::Worse => ("worse", "Failed"),
        Standing::Unknown => ("unknown", "Unknown"),
    };
    let train = objective.log_loss_train.map(|loss| format!("train {}", fixed(loss, 3)));
    RowView {
        name: clean(&objective.name),
        labels: labels.collect::<Vec<String>>().join(", "),
        pairs: count(objective.test.pairs),
        prompts: counted(objective.test.prompts, "prompt"),
        accuracy: estimate("Accuracy", objective.accuracy),
        baselines: BASELINES.into_iter().map(baseline).collect(),
        log_loss: optional(objective.log_loss, 3),
        log_loss_train: train.unwrap_or_default(),
        ece: optional(objective.ece, 3),
        standing,
        mark,
        verdict: clean(&objective.verdict()),
        groups: objective.groups.iter().map(|group| estimate(&group.name, group.accuracy)).collect(),
    }
}
