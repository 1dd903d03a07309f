//! `ensemble features`: embeds every text of a config into the feature cache, so that a later training run is quick.

use serde_json::json;

use super::arguments::ConfigOptions;
use super::ui::{Ui, columns};
use crate::backbone::{Backbone, Readout};
use crate::config;
use crate::error::Result;
use crate::files;
use crate::train_all::embed_all;

pub(super) fn run(options: &ConfigOptions, threads: usize, ui: &Ui) -> Result<u8> {
    let config = config::load(&options.config, &options.overrides)?;
    let started = std::time::Instant::now();
    let (backbone, counts) = embed_all(&config, threads, ui)?;
    let seconds = started.elapsed().as_secs_f64();
    let folder = |readout: &Readout| config.output.cache.join(readout.fingerprint.short());
    if ui.json {
        let readouts = backbone.readouts().iter().map(|readout| {
            json!({ "pooling": readout.pooling, "layers": readout.layers, "width": backbone.width(readout),
                "folder": folder(readout) })
        });
        let readouts: Vec<_> = readouts.collect();
        ui.data(&json!({ "features": counts, "seconds": seconds, "readouts": readouts }).to_string())?;
        return Ok(0);
    }
    ui.note("");
    ui.note(&format!(
        "{} texts: {} embedded ({} tokens) in {seconds:.1} s, {} were cached",
        counts.texts, counts.embedded, counts.embedded_tokens, counts.cached
    ));
    if counts.damaged_shards > 0 {
        ui.note(&format!("{} damaged feature shards were left aside and computed again", counts.damaged_shards));
    }
    ui.note("");
    ui.data(&table(&backbone, &folder))?;
    Ok(0)
}

fn table(backbone: &Backbone, folder: &dyn Fn(&Readout) -> std::path::PathBuf) -> String {
    let mut rows = vec![["pooling", "layers", "width", "features"].map(String::from).to_vec()];
    for readout in backbone.readouts() {
        let pooling = serde_json::to_value(readout.pooling).unwrap_or_default();
        let layers: Vec<String> = readout.layers.iter().map(ToString::to_string).collect();
        rows.push(vec![
            pooling.as_str().unwrap_or_default().to_owned(),
            layers.join(", "),
            backbone.width(readout).to_string(),
            files::shown(&folder(readout)),
        ]);
    }
    columns(&rows).join("\n")
}
