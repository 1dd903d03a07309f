//! `ensemble registry list|verify`.

use std::path::Path;

use serde_json::json;

use super::arguments::{RegistryAction, RegistryOptions};
use super::machine::Machine;
use super::ui::{Ui, columns};
use crate::error::Result;
use crate::files;
use crate::registry::{Manifest, read_manifest};

pub(super) fn run(options: &RegistryOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    match &options.action {
        RegistryAction::List { folder } => list(&read_manifest(folder)?, ui),
        RegistryAction::Verify { folder } => verify(folder, machine, ui),
    }
}

fn list(manifest: &Manifest, ui: &Ui) -> Result<u8> {
    if ui.json {
        ui.data(&json!(manifest).to_string())?;
        return Ok(0);
    }
    let mut rows =
        vec![["objective", "weight", "test pairs", "accuracy", "95% interval", "head"].map(String::from).into()];
    for entry in &manifest.objectives {
        let quality = &entry.quality;
        let percent = |value: f64| format!("{:.1}%", 100.0 * value);
        let interval = |(low, high)| format!("{} to {}", percent(low), percent(high));
        rows.push(vec![
            entry.name.clone(),
            format!("{}", entry.weight),
            quality.test_pairs.to_string(),
            quality.accuracy.map_or_else(|| "undefined".into(), percent),
            quality.interval.map_or_else(|| "undefined".into(), interval),
            entry.head.clone(),
        ]);
    }
    columns(&rows).iter().try_for_each(|line| ui.data(line))?;
    Ok(0)
}

fn verify(folder: &Path, machine: Machine, ui: &Ui) -> Result<u8> {
    let ensemble = machine.open(folder)?;
    let golden = read_manifest(folder)?.golden.len();
    let (heads, place) = (ensemble.names().len(), files::shown(folder));
    if ui.json {
        ui.data(&json!({ "registry": place, "heads": heads, "golden": golden, "sound": true }).to_string())?;
    } else {
        ui.data(&format!("{place} is sound: {heads} heads, {golden} golden examples recomputed"))?;
    }
    Ok(0)
}
