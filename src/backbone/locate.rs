//! Finds the files of a model folder and names what is missing, without reading the large ones.

use std::path::Path;

use super::ModelFolder;
use crate::error::{Error, Fault, Result};
use crate::files;

/// Checks that `folder` is a Hugging Face model folder with safetensors weights.
///
/// # Errors
/// [`Error::Model`] with every missing or unusable file at once.
pub(super) fn locate(folder: &Path) -> Result<ModelFolder> {
    if !folder.is_dir() {
        return Err(Error::Model(vec![
            Fault::new(
                folder.display(),
                if folder.exists() { "the backbone is not a folder" } else { "the backbone's folder does not exist" },
            )
            .accepts("a Hugging Face model folder with config.json, tokenizer.json and model.safetensors")
            .help("check backbone.path; a registry finds its backbone relative to itself, so move both together"),
        ]));
    }
    let model = ModelFolder {
        config: folder.join("config.json"),
        tokenizer: folder.join("tokenizer.json"),
        weights: folder.join("model.safetensors"),
    };
    let mut faults = Vec::new();
    for (path, help) in [
        (&model.config, "copy config.json from the model's repository"),
        (&model.tokenizer, "copy tokenizer.json, or make it: AutoTokenizer.from_pretrained(…).save_pretrained(…)"),
        (&model.weights, weights_help(folder)),
    ] {
        if !path.is_file() {
            faults.push(Fault::new(path.display(), "this file is missing from the model folder").help(help));
        } else if let Some(fault) = wrong_content(path)? {
            faults.push(fault);
        }
    }
    if faults.is_empty() { Ok(model) } else { Err(Error::Model(faults)) }
}

fn weights_help(folder: &Path) -> &'static str {
    if folder.join("pytorch_model.bin").is_file() {
        "pytorch_model.bin is a pickle, which can run code and is never read: convert it with \
         AutoModel.from_pretrained(…).save_pretrained(…, safe_serialization=True)"
    } else if folder.join("model.safetensors.index.json").is_file() {
        "sharded weights are not read yet: save the model as one file with \
         save_pretrained(…, max_shard_size=\"100GB\")"
    } else {
        "copy model.safetensors from the model's repository"
    }
}

/// Recognises what downloads leave behind in place of the real file.
fn wrong_content(path: &Path) -> Result<Option<Fault>> {
    use std::io::Read;
    let mut head = [0u8; 64];
    let mut file = files::open(path, "the model file")?;
    let read = file.read(&mut head).map_err(|error| Error::Io(vec![Fault::new(path.display(), error)]))?;
    let head = &head[..read];
    let fault = |found: &str, help: &str| Ok(Some(Fault::new(path.display(), found).help(help)));
    if head.is_empty() {
        return fault("the file is empty", "fetch the model again");
    }
    if head.starts_with(b"version https://git-lfs") {
        return fault("this is a Git LFS pointer, not the file itself", "fetch the real file: git lfs pull");
    }
    let markup = head.trim_ascii_start().to_ascii_lowercase();
    if ["<!doctype", "<html", "<?xml"].iter().any(|start| markup.starts_with(start.as_bytes())) {
        return fault("this is a web page, not a model file", "the download was an error page: fetch the file again");
    }
    Ok(None)
}
