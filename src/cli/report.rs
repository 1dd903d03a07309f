//! `ensemble report`: the report of a registry on the data of a config, without training, beside an older registry.

use serde_json::json;

use super::arguments::ReportOptions;
use super::ui::Ui;
use crate::config;
use crate::error::Result;
use crate::files;
use crate::report::{clean_text, findings, read_report, write_report};
use crate::train_all::report_registry;

pub(super) fn run(options: &ReportOptions, threads: usize, ui: &Ui) -> Result<u8> {
    let config = config::load(&options.config.config, &options.config.overrides)?;
    let registry = options.registry.as_ref().unwrap_or(&config.output.registry);
    let folder = options.output.as_ref().unwrap_or(&config.output.report);
    files::probe_writable(folder)?;
    let summary = report_registry(&config, (registry, options.compare.as_deref()), threads, ui)?;
    // What training wrote of the same heads is not lost.
    let summary = match read_report(folder) {
        Ok(before) => summary.with_training_record(before),
        Err(_) => summary,
    };
    write_report(folder, &summary)?;
    let found = findings(&summary);
    let page = folder.join("index.html");
    if ui.json {
        let findings: Vec<_> =
            found.iter().map(|one| json!({ "headline": one.headline(), "remedy": one.remedy() })).collect();
        ui.data(&json!({ "event": "done", "report": page, "findings": findings, "summary": summary }).to_string())?;
        return Ok(0);
    }
    ui.note("");
    found.iter().try_for_each(|one| ui.data(&clean_text(&one.headline())))?;
    ui.note("");
    ui.note(&format!("report    {}", files::shown(&page)));
    Ok(0)
}
