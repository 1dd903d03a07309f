//! `ensemble validate`: everything that can be checked without training, and what was read.

use serde_json::json;

use super::arguments::ConfigOptions;
use super::ui::Ui;
use crate::backbone::Backbone;
use crate::config;
use crate::data::{self, Dataset, ObjectivePairs, render_prompt};
use crate::error::{Result, quote};
use crate::files;

pub(super) fn run(options: &ConfigOptions, ui: &Ui) -> Result<u8> {
    let config = config::load(&options.config, &options.overrides)?;
    let dataset = data::load(&config)?;
    let backbone = Backbone::open(&config.backbone)?;
    let audits: Vec<_> = dataset
        .objectives
        .iter()
        .map(|objective| json!({ "name": objective.name, "audit": objective.audit }))
        .collect();
    if ui.json {
        ui.data(
            &json!({ "config": options.config, "texts": dataset.items.len(), "objectives": audits,
                "architecture": backbone.architecture(), "fingerprint": backbone.fingerprint().to_string() })
            .to_string(),
        )?;
        return Ok(0);
    }
    ui.data(&format!("config    {}: {} objectives", options.config.display(), config.objectives.len()))?;
    ui.data(&format!("backbone  {}: {}", files::shown(backbone.path()), backbone.architecture()))?;
    ui.data(&format!("texts     {} distinct", dataset.items.len()))?;
    for objective in &dataset.objectives {
        show_objective(objective, &dataset, &backbone, ui)?;
    }
    ui.data("no fault found")?;
    Ok(0)
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
        for (reason, count) in &source.dropped {
            ui.data(&format!("    dropped {count}: {reason}"))?;
        }
    }
    let splits: Vec<String> = audit.splits.iter().map(|(split, count)| format!("{} {count}", split.word())).collect();
    let labels: Vec<String> = audit.labels.iter().map(|(source, count)| format!("{} {count}", source.word())).collect();
    ui.data(&format!("  splits: {}; labels: {}", splits.join(", "), labels.join(", ")))?;
    ui.data(&format!(
        "  duplicates {}, contradictions {}, prompts in conflicting splits {}; the longer answer wins {:.1}%",
        audit.duplicates,
        audit.contradictions,
        audit.split_conflicts,
        100.0 * audit.length.longer_wins
    ))?;
    let Some(pair) = objective.pairs.first() else { return Ok(()) };
    let (chosen, rejected) = (&dataset.items[pair.chosen], &dataset.items[pair.rejected]);
    let prompt = render_prompt(&chosen.prompt);
    let encoded = backbone.encode(&prompt, &chosen.response)?;
    ui.data(&format!("  example   prompt   {}", quote(&prompt)))?;
    ui.data(&format!(
        "            chosen   {} ({} tokens with the prompt)",
        quote(&chosen.response),
        encoded.ids.len()
    ))?;
    ui.data(&format!("            rejected {}", quote(&rejected.response)))
}
