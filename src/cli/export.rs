//! `ensemble export`: a registry as a Hugging Face sequence classifier.

use serde_json::json;

use super::arguments::{ExportLabels, ExportOptions};
use super::ui::Ui;
use crate::error::Result;
use crate::export::{Labels, export};
use crate::files;

pub(super) fn run(options: &ExportOptions, ui: &Ui) -> Result<u8> {
    let labels = match options.labels {
        ExportLabels::Auto => Labels::Auto,
        ExportLabels::Combined => Labels::Combined,
        ExportLabels::Objectives => Labels::Objectives,
    };
    let exported = export(&options.registry, &options.output, labels)?;
    if ui.json {
        ui.data(&json!(exported).to_string())?;
        return Ok(0);
    }
    if let Some(why) = &exported.not_folded {
        ui.note(&format!("one label per objective, because {why}"));
    }
    ui.note(&format!("labels    {}", exported.labels.join(", ")));
    if exported.offsets.iter().any(|offset| *offset != 0.0) {
        let offsets: Vec<String> = exported.offsets.iter().map(ToString::to_string).collect();
        ui.note(&format!("add {} to the logits: this architecture has no constant term", offsets.join(", ")));
    }
    ui.data(&format!("exported  {} files to {}", exported.files.len(), files::shown(&options.output)))?;
    Ok(0)
}
