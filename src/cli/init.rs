//! `ensemble init`: a runnable example, written from files built into the program.

use super::arguments::InitOptions;
use super::ui::Ui;
use crate::error::{Error, Fault, Result};
use crate::files;

/// Files of the example with their content.
const FILES: [(&str, &[u8]); 17] = [
    ("configs/demo.yaml", include_bytes!("../../configs/quickstart.yaml")),
    ("objectives/helpfulness.yaml", include_bytes!("../../objectives/helpfulness.yaml")),
    ("objectives/safety.yaml", include_bytes!("../../objectives/safety.yaml")),
    ("objectives/conciseness.yaml", include_bytes!("../../objectives/conciseness.yaml")),
    ("schema/run.schema.json", include_bytes!("../../schema/run.schema.json")),
    ("schema/objective.schema.json", include_bytes!("../../schema/objective.schema.json")),
    ("data/quickstart/README.md", include_bytes!("../../data/quickstart/README.md")),
    ("data/quickstart/rated.jsonl", include_bytes!("../../data/quickstart/rated.jsonl")),
    ("data/quickstart/helpfulness.pairs.jsonl", include_bytes!("../../data/quickstart/helpfulness.pairs.jsonl")),
    ("data/quickstart/safety.pairs.jsonl", include_bytes!("../../data/quickstart/safety.pairs.jsonl")),
    ("data/quickstart/conciseness.pairs.jsonl", include_bytes!("../../data/quickstart/conciseness.pairs.jsonl")),
    ("data/quickstart/holistic.jsonl", include_bytes!("../../data/quickstart/holistic.jsonl")),
    ("backbones/mini/README.md", include_bytes!("../../backbones/mini/README.md")),
    ("backbones/mini/LICENSE", include_bytes!("../../backbones/mini/LICENSE")),
    ("backbones/mini/config.json", include_bytes!("../../backbones/mini/config.json")),
    ("backbones/mini/tokenizer.json", include_bytes!("../../backbones/mini/tokenizer.json")),
    ("backbones/mini/model.safetensors", include_bytes!("../../backbones/mini/model.safetensors")),
];

pub(super) fn run(options: &InitOptions, ui: &Ui) -> Result<u8> {
    let folder = &options.folder;
    let existing = FILES.iter().map(|(name, _)| folder.join(name)).filter(|path| path.exists());
    let faults: Vec<Fault> = existing.map(|path| Fault::new(path.display(), "this file exists already")).collect();
    if let Some(last) = faults.last().cloned() {
        let mut faults = faults;
        faults.pop();
        faults.push(last.help("choose another folder: ensemble init FOLDER"));
        return Err(Error::Usage(faults));
    }
    for (name, content) in FILES {
        files::write_atomic(&folder.join(name), &named_demo(name, content))?;
    }
    let config = folder.join("configs/demo.yaml");
    ui.note(&format!("wrote {} files to {}", FILES.len(), folder.display()));
    ui.note(&format!("next: ensemble train-all {}", config.display()));
    Ok(0)
}

/// The quickstart's config under the demo's name, so that registry and report are named after it.
fn named_demo(name: &str, content: &[u8]) -> Vec<u8> {
    if name == "configs/demo.yaml" {
        return String::from_utf8_lossy(content).replace("name: quickstart", "name: demo").into_bytes();
    }
    content.to_vec()
}
