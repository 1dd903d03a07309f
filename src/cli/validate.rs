//! `ensemble validate`: everything that can be checked without training, and what was read.

use std::collections::BTreeSet;

use serde_json::json;

use super::arguments::ConfigOptions;
use super::ui::Ui;
use crate::backbone::Backbone;
use crate::config::{self, Config};
use crate::data::{self, Dataset, ObjectivePairs, Pair};
use crate::error::{Result, quote};
use crate::files;
use crate::progress::Silent;
use crate::train_all;

pub(super) fn run(options: &ConfigOptions, ui: &Ui) -> Result<u8> {
    let config = config::load(&options.config, &options.overrides)?;
    let dataset = data::load(&config)?;
    let backbone = train_all::open_backbone(&config, &Silent)?;
    let audits: Vec<_> = dataset
        .objectives
        .iter()
        .map(|objective| json!({ "name": objective.name, "audit": objective.audit }))
        .collect();
    if ui.json {
        ui.data(
            &json!({ "config": options.config, "texts": dataset.items.len(), "objectives": audits,
                "reference_responses": dataset.reference.len(), "domains": domains(&dataset),
                "architecture": backbone.architecture(), "dtype": backbone.dtype(), "device": backbone.device(),
                "fingerprint": backbone.fingerprint().to_string() })
            .to_string(),
        )?;
        return Ok(0);
    }
    ui.data(&format!("config    {}: {} objectives", options.config.display(), config.objectives.len()))?;
    let (shown, runs) = (files::shown(backbone.path()), backbone.architecture());
    ui.data(&format!("backbone  {shown}: {runs}, in {} on {}", backbone.dtype().word(), backbone.device()))?;
    ui.data(&format!("text      {}", backbone.template().0))?;
    ui.data(&format!("texts     {} distinct", dataset.items.len()))?;
    for line in normalized_on(&config, &dataset) {
        ui.data(&line)?;
    }
    for objective in &dataset.objectives {
        show_objective(objective, &dataset, &backbone, ui)?;
    }
    ui.data("no fault found")?;
    Ok(0)
}

/// The reference and the domains, where the config names any.
fn normalized_on(config: &Config, dataset: &Dataset) -> Vec<String> {
    let reference = config
        .reference
        .as_ref()
        .map(|reference| format!("reference {}: {} responses", files::shown(&reference.path), dataset.reference.len()));
    let names: Vec<&str> = domains(dataset).into_iter().collect();
    let domains = format!("domains   {} of {} prompts: {}", names.len(), dataset.domains.len(), names.join(", "));
    reference.into_iter().chain((!names.is_empty()).then_some(domains)).collect()
}

fn domains(dataset: &Dataset) -> BTreeSet<&str> {
    dataset.domains.values().map(String::as_str).collect()
}

fn show_objective(objective: &ObjectivePairs, dataset: &Dataset, backbone: &Backbone, ui: &Ui) -> Result<()> {
    let audit = &objective.audit;
    ui.data("")?;
    ui.data(&format!("{}: {} pairs of {} prompts", objective.name, objective.pairs.len(), audit.prompts))?;
    for source in &audit.sources {
        let how = if source.detected { "detected" } else { "as configured" };
        let format = serde_json::to_value(source.format).unwrap_or_default();
        let format = format.as_str().unwrap_or_default();
        ui.data(&format!("  {}: {format} ({how}), {} rows, {} pairs", source.path, source.rows, source.pairs))?;
        if source.files > 1 || !source.skipped.is_empty() {
            let skipped: Vec<String> = source.skipped.iter().map(|name| quote(name)).collect();
            let skipped =
                if skipped.is_empty() { String::new() } else { format!("; not read: {}", skipped.join(", ")) };
            ui.data(&format!("    {} files{skipped}", source.files))?;
        }
        if !source.ignored.is_empty() {
            ui.data(&format!("    fields not read: {}", source.ignored.join(", ")))?;
        }
        let counts = [("undecided", source.ties), ("with a margin", source.margins), ("weighted", source.weights)];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            ui.data(&format!("    {count} pairs {what}"))?;
        }
        for (reason, count) in &source.dropped {
            ui.data(&format!("    dropped {count}: {reason}"))?;
        }
        if let Some(pair) = source.example.and_then(|example| objective.pairs.get(example)) {
            show_example(pair, dataset, backbone, ui)?;
        }
    }
    let splits: Vec<String> = audit.splits.iter().map(|(split, count)| format!("{} {count}", split.word())).collect();
    let labels: Vec<String> = audit.labels.iter().map(|(source, count)| format!("{} {count}", source.word())).collect();
    ui.data(&format!("  splits: {}; labels: {}", splits.join(", "), labels.join(", ")))?;
    if audit.domain_conflicts > 0 {
        ui.data(&format!(
            "  prompts put into several domains {}: the first by alphabet counts",
            audit.domain_conflicts
        ))?;
    }
    ui.data(&format!(
        "  duplicates {}, contradictions {}, prompts in conflicting splits {}; the longer answer wins {:.1}%",
        audit.duplicates,
        audit.contradictions,
        audit.split_conflicts,
        100.0 * audit.length.longer_wins
    ))
}

/// One pair as the backbone reads it.
fn show_example(pair: &Pair, dataset: &Dataset, backbone: &Backbone, ui: &Ui) -> Result<()> {
    let (chosen, rejected) = (&dataset.items[pair.chosen], &dataset.items[pair.rejected]);
    let rendered = backbone.render(&chosen.prompt, &chosen.response)?;
    let tokens = backbone.encode(&rendered)?.ids.len();
    ui.data(&format!("    example   prompt   {}", quote(&rendered.before)))?;
    ui.data(&format!("              chosen   {} ({tokens} tokens with the prompt)", quote(&rendered.response)))?;
    if !rendered.after.is_empty() {
        ui.data(&format!("              after it {}", quote(&rendered.after)))?;
    }
    let mut label = Vec::new();
    if pair.preference < 1.0 {
        label.push(format!("{:.0}% of labelers prefer the first", 100.0 * pair.preference));
    }
    if pair.margin > 0.0 {
        label.push(format!("margin {}", pair.margin));
    }
    if pair.weight != 1.0 {
        label.push(format!("weight {}", pair.weight));
    }
    let label = if label.is_empty() { String::new() } else { format!(" ({})", label.join(", ")) };
    ui.data(&format!("              rejected {}{label}", quote(&rejected.response)))
}
