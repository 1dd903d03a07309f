//! What each head was trained on, and how the run was made.

use serde::Serialize;

use crate::normalize::LEAST_RESPONSES;
use crate::report::summary::{DomainSummary, ObjectiveSummary, ReadoutSummary, RunSummary, split_words};
use crate::report::words::{UNDEFINED, clean, count, counted, interval, optional, percent};

#[derive(Serialize)]
pub(super) struct AuditView {
    name: String,
    question: String,
    items: Vec<(String, String)>,
    sources: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct ReadoutView {
    pooling: String,
    layers: String,
    chosen: bool,
    log_loss: String,
    /// Name, accuracy and interval of each objective.
    objectives: Vec<(String, String, String)>,
}

/// One objective's data.
pub(super) fn audit(objective: &ObjectiveSummary) -> AuditView {
    let audit = &objective.audit;
    let mut items = vec![
        ("Rows read".to_owned(), count(audit.rows)),
        ("Pairs kept".to_owned(), count(audit.pairs)),
        ("Training".to_owned(), split_words(objective.train)),
        ("Calibration".to_owned(), split_words(objective.calibration)),
        ("Test".to_owned(), split_words(objective.test)),
    ];
    items.extend(references(objective));
    items.extend(
        objective.labels.iter().map(|(source, pairs)| (format!("Labelled by: {}", clean(source)), count(*pairs))),
    );
    items.extend(audit.dropped.iter().map(|(reason, rows)| (format!("Left out: {}", clean(reason)), count(*rows))));
    items.push(("Duplicates".to_owned(), count(audit.duplicates)));
    items.push(("Contradictions".to_owned(), count(audit.contradictions)));
    items.push((
        "Test responses that stand word for word among the training ones".to_owned(),
        count(objective.repeated_responses),
    ));
    items
        .push(("Prompts marked for training and as held out (held out here)".to_owned(), count(audit.split_conflicts)));
    if audit.domain_conflicts > 0 {
        items.push(("Prompts put into several domains".to_owned(), count(audit.domain_conflicts)));
    }
    items.push(("The longer answer wins".to_owned(), audit.longer_wins.map_or_else(|| UNDEFINED.to_owned(), percent)));
    let words = [audit.mean_words_chosen, audit.mean_words_rejected].map(|words| optional(words, 1));
    items.push(("Words, chosen / rejected".to_owned(), words.join(" / ")));
    AuditView {
        name: clean(&objective.name),
        question: clean(&objective.question),
        items,
        sources: audit.sources.iter().map(|source| clean(source)).collect(),
    }
}

/// What the normalizers rest on.
fn references(objective: &ObjectiveSummary) -> Vec<(String, String)> {
    let reference = &objective.reference;
    let domain = |domain: &DomainSummary| {
        let whose = match domain.own {
            true => "a normalizer of its own",
            false if domain.responses < LEAST_RESPONSES => "too few, the overall normalizer",
            false => "all score the same, the overall normalizer",
        };
        let responses = counted(domain.responses, "response");
        (format!("Domain: {}", clean(&domain.name)), format!("{responses}, {whose}"))
    };
    let all = (format!("Reference responses: {}", clean(&reference.source)), count(reference.responses));
    std::iter::once(all).chain(reference.domains.iter().map(domain)).collect()
}

/// The backbone and what it read.
pub(super) fn made(summary: &RunSummary) -> Vec<(&'static str, String)> {
    let backbone = &summary.backbone;
    let short_digest: String = clean(&backbone.fingerprint).chars().take(16).collect();
    let precision = (!backbone.dtype.is_f32()).then(|| ("Precision", backbone.dtype.word().to_owned()));
    let mut rows = vec![
        ("Backbone", clean(&backbone.path)),
        ("Architecture", clean(&backbone.architecture)),
        ("Fingerprint", short_digest),
        ("Layers", clean(&backbone.layers).replace('-', "\u{2212}")),
        ("Pooling", clean(&backbone.pooling).replace('_', " ")),
        ("Text format", clean(&backbone.template)),
        ("Features per text", count(backbone.width)),
        ("Longest input", counted(backbone.max_tokens, "token")),
        ("Distinct texts", count(backbone.texts)),
        ("Tokens", count(backbone.tokens)),
        ("Prompts that lost their oldest tokens", count(backbone.cut_prompts)),
        ("Responses that lost their middle", count(backbone.cut_responses)),
    ];
    rows.extend(precision);
    rows
}

/// One way to read the backbone.
pub(super) fn readout(readout: &ReadoutSummary) -> ReadoutView {
    ReadoutView {
        pooling: clean(&readout.pooling).replace('_', " "),
        layers: clean(&readout.layers),
        chosen: readout.chosen,
        log_loss: optional(readout.log_loss, 4),
        objectives: readout
            .objectives
            .iter()
            .map(|objective| {
                let value = objective.accuracy.map_or_else(|| UNDEFINED.to_owned(), |accuracy| percent(accuracy.value));
                let around = objective.accuracy.map_or_else(String::new, |accuracy| interval(&accuracy));
                (clean(&objective.name), value, around)
            })
            .collect(),
    }
}
