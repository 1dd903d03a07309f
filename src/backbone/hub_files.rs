//! Which files of a model a backbone needs, and which of them a snapshot lacks.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{Result, quote};
use crate::files;

/// The files every backbone needs beside its weights.
pub(super) const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];

/// Weights in one file, and the list of files where they are sharded.
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// A file that a snapshot lacks.
pub(super) struct Lacking {
    pub(super) place: String,
    pub(super) found: String,
    /// What helps beside fetching it again.
    pub(super) help: Option<String>,
}

/// What `snapshot` lacks; empty when it is whole. Links may lead only into one of `roots`.
///
/// # Errors
/// [`Error::Io`] when the list of shards cannot be read.
pub(super) fn lacking(snapshot: &Path, roots: &[&Path]) -> Result<Vec<Lacking>> {
    let mut lacking: Vec<Lacking> = REQUIRED.iter().filter_map(|name| state(snapshot, name, roots)).collect();
    let single = state(snapshot, WEIGHTS, roots);
    let list = state(snapshot, INDEX, roots);
    match (single, list) {
        (None, _) => {}
        (Some(single), Some(_)) => lacking.push(explain(single, snapshot)),
        (Some(_), None) => {
            let path = snapshot.join(INDEX);
            match shards(&files::read_text(&path, "the list of weight files")?) {
                Ok(names) => lacking.extend(names.iter().filter_map(|name| state(snapshot, name, roots))),
                Err(found) => lacking.push(Lacking { place: path.display().to_string(), found, help: None }),
            }
        }
    }
    Ok(lacking)
}

/// A model that was only ever published as a pickle needs another remedy than fetching it again.
fn explain(lacking: Lacking, snapshot: &Path) -> Lacking {
    if !snapshot.join("pytorch_model.bin").is_file() {
        return lacking;
    }
    let help = "pytorch_model.bin is a pickle, which can run code and is never read: choose a revision with \
                model.safetensors, or convert it with AutoModel.from_pretrained(…).save_pretrained(…)";
    Lacking { help: Some(help.to_owned()), ..lacking }
}

fn state(snapshot: &Path, name: &str, roots: &[&Path]) -> Option<Lacking> {
    let path = snapshot.join(name);
    let lacking = |found: &str, help: Option<&str>| {
        Some(Lacking { place: path.display().to_string(), found: found.to_owned(), help: help.map(str::to_owned) })
    };
    if !path.exists() {
        let found = if path.is_symlink() {
            "this file's link leads nowhere: its content is missing from the cache"
        } else {
            "this file is missing from the snapshot"
        };
        return lacking(found, None);
    }
    if !path.is_file() {
        return lacking("this is not a file", Some("remove it and fetch the model again"));
    }
    let real = path.canonicalize().ok()?;
    let inside = roots.iter().filter_map(|root| root.canonicalize().ok()).any(|root| real.starts_with(root));
    if inside { None } else { lacking("this file's link leads out of the cache", Some("fetch the model again")) }
}

/// The weight files that an index lists, in name order; a sentence when it cannot be used.
pub(super) fn shards(index: &str) -> Result<Vec<String>, String> {
    let index: serde_json::Value = serde_json::from_str(index).map_err(|error| format!("this is not JSON: {error}"))?;
    let map = index.get("weight_map").and_then(serde_json::Value::as_object);
    let names: BTreeSet<Option<&str>> = map.into_iter().flatten().map(|(_, name)| name.as_str()).collect();
    if names.is_empty() {
        return Err("weight_map lists no weight file".to_owned());
    }
    let whole = |name: &str| name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.');
    let checked = names.into_iter().map(|name| match name {
        Some(name) if whole(name) && !name.contains(char::is_control) => Ok(name.to_owned()),
        Some(name) => Err(format!("weight_map names {}, which is not a safetensors file beside it", quote(name))),
        None => Err("weight_map holds a value that is not a file name".to_owned()),
    });
    checked.collect()
}

/// Names that together are a whole model, out of what a repository publishes: first the small files, then the
/// weights; where these are sharded, the index stands in the first list and the second is empty.
///
/// # Errors
/// [`Error::Model`] naming everything that is missing.
#[cfg(feature = "hub")]
pub(super) fn needed(published: &BTreeSet<String>, place: &str) -> Result<(Vec<String>, Vec<String>)> {
    use crate::error::{Error, Fault};
    const OPTIONAL: [&str; 3] = ["tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"];
    let missing = REQUIRED.iter().filter(|name| !published.contains(**name));
    let mut faults: Vec<Fault> = missing
        .map(|name| Fault::new(place, format!("this model has no {name}")).help("choose a model that has one"))
        .collect();
    let single = published.contains(WEIGHTS);
    if !single && !published.contains(INDEX) {
        let pickled = published.contains("pytorch_model.bin") || published.contains("pytorch_model.bin.index.json");
        let help = if pickled {
            "it is published as a pickle, which can run code and is never read: convert it with \
             AutoModel.from_pretrained(…).save_pretrained(…) and use backbone.path"
        } else {
            "choose a model that has them"
        };
        faults.push(Fault::new(place, "this model has no safetensors weights").help(help));
    }
    if !faults.is_empty() {
        return Err(Error::Model(faults));
    }
    let optional = OPTIONAL.iter().filter(|name| published.contains(**name));
    let mut small: Vec<String> = REQUIRED.iter().chain(optional).map(|name| (*name).to_owned()).collect();
    if single {
        return Ok((small, vec![WEIGHTS.to_owned()]));
    }
    small.push(INDEX.to_owned());
    Ok((small, Vec::new()))
}
