//! `ensemble audit labels`: the least credible labels and the most influential pairs of one objective.

use serde_json::{Value, json};

use super::arguments::{AuditAction, AuditLabelsOptions, AuditOptions};
use super::ui::Ui;
use crate::config;
use crate::data::{Item, Pair, render_prompt};
use crate::error::Result;
use crate::train_all::{AuditedPair, LabelAudit, audit_labels};

/// Characters of a text that people are shown.
const SHOWN: usize = 160;

pub(super) fn run(options: &AuditOptions, threads: usize, ui: &Ui) -> Result<u8> {
    match &options.action {
        AuditAction::Labels(options) => labels(options, threads, ui),
    }
}

fn labels(options: &AuditLabelsOptions, threads: usize, ui: &Ui) -> Result<u8> {
    let config = config::load(&options.config, &options.overrides)?;
    let audit = audit_labels(&config, &options.objective, threads, ui)?;
    let mut influential: Vec<&AuditedPair> = audit.pairs.iter().collect();
    influential.sort_by(|left, right| right.influence.abs().total_cmp(&left.influence.abs()));
    influential.truncate(options.top);
    let suspects: Vec<&AuditedPair> = audit.pairs.iter().take(options.top).collect();
    if ui.json {
        for (list, pairs) in [("least credible", &suspects), ("most influential", &influential)] {
            for pair in pairs {
                ui.data(&entry(&audit, list, pair).to_string())?;
            }
        }
        let summary = json!({ "event": "done", "objective": options.objective, "training_pairs": audit.pairs.len(),
            "held_out_pairs": audit.held_out, "leave_one_out_log_loss": audit.leave_one_out_log_loss });
        return ui.data(&summary.to_string()).map(|()| 0);
    }
    ui.data(&format!("Least credible of {} labels for {}:", audit.pairs.len(), options.objective))?;
    suspects.iter().try_for_each(|pair| show(&audit, pair, ui))?;
    ui.data(&format!("\nMost influential on {} held-out pairs:", audit.held_out))?;
    influential.iter().try_for_each(|pair| show(&audit, pair, ui))?;
    ui.note(&format!(
        "log-loss of the labels with each prompt left out: {:.3} (a coin has 0.693); nothing was changed",
        audit.leave_one_out_log_loss
    ));
    Ok(0)
}

/// One pair for people.
fn show(audit: &LabelAudit, pair: &AuditedPair, ui: &Ui) -> Result<()> {
    let (label, chosen, rejected) = texts(audit, pair);
    let effect = if pair.influence < 0.0 { "does harm" } else { "helps" };
    ui.data("")?;
    ui.data(&format!("  credibility {:5.1}%  {}", 100.0 * pair.credibility, pair.reason().words()))?;
    ui.data(&format!(
        "  {effect}: without it the held-out log-loss would change by {:+.1e}; labelled by {}",
        pair.influence,
        label.labels.word()
    ))?;
    ui.data(&format!("  prompt    {}", cut(&render_prompt(&chosen.prompt))))?;
    ui.data(&format!("  chosen    {}", cut(&chosen.response)))?;
    ui.data(&format!("  rejected  {}", cut(&rejected.response)))
}

/// One pair for machines.
fn entry(audit: &LabelAudit, list: &str, pair: &AuditedPair) -> Value {
    let (label, chosen, rejected) = texts(audit, pair);
    json!({ "list": list, "reason": pair.reason().words(), "credibility": pair.credibility,
        "margin_with_label": pair.fitted, "margin_without_label": pair.held_out, "influence": pair.influence,
        "accuracy_change": pair.accuracy_change, "preference": label.preference, "labels": label.labels.word(),
        "prompt": render_prompt(&chosen.prompt), "chosen": chosen.response, "rejected": rejected.response })
}

fn texts<'a>(audit: &'a LabelAudit, pair: &AuditedPair) -> (&'a Pair, &'a Item, &'a Item) {
    let label = &audit.dataset.objectives[audit.objective].pairs[pair.pair];
    (label, &audit.dataset.items[label.chosen], &audit.dataset.items[label.rejected])
}

/// The beginning of a text on one line, control characters escaped, so that data cannot steer a terminal.
fn cut(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(SHOWN) {
        match character {
            '\n' => line.push_str(" ⏎ "),
            character if character.is_control() => line.extend(character.escape_default()),
            character => line.push(character),
        }
    }
    if text.chars().count() > SHOWN { line + "…" } else { line }
}
