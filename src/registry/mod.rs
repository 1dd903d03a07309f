//! Heads on disk: `manifest.json` is the only pointer and is written last, atomically.
//!
//! Heads are content-addressed files, so an old manifest stays readable until its heads are pruned, and equal weights
//! give equal bytes. Scoring stands in `ensemble`; this module only stores, reads and checks.

mod head_file;
mod manifest;

use std::path::Path;

pub use head_file::StoredHead;
pub use manifest::{
    BackboneEntry, FORMAT, Golden, GoldenMessage, Manifest, ObjectiveEntry, PlaceEntry, Quality, ReferenceEntry,
};

use crate::config::{BackboneConfig, ModelPlace};
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

const MANIFEST: &str = "manifest.json";

/// Writes the heads, then the manifest that names them. A reader sees the old registry or the new one, never a mix.
///
/// `heads` are in the order of `manifest.objectives`, whose `head` fields this fills in.
///
/// # Errors
/// [`Error::Io`] when a file cannot be written.
pub fn publish(folder: &Path, mut manifest: Manifest, heads: &[StoredHead]) -> Result<Manifest> {
    for (entry, head) in manifest.objectives.iter_mut().zip(heads) {
        let bytes = head.to_bytes()?;
        let digest = Digest::of(&bytes);
        entry.head = format!("heads/{}-{}.safetensors", entry.name, digest.short());
        entry.head_digest = digest.to_string();
        let path = folder.join(&entry.head);
        // A head that already stands there with the same content is left untouched.
        if !path.is_file() || files::read(&path, "a stored head")? != bytes {
            files::write_atomic(&path, &bytes)?;
        }
    }
    files::write_atomic(&folder.join(MANIFEST), manifest.to_json().as_bytes())?;
    Ok(manifest)
}

/// Reads and checks the manifest of a registry folder.
///
/// # Errors
/// [`Error::Registry`] when there is none, it is damaged, of another format, or inconsistent in itself.
pub fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return Err(Error::Registry(vec![
            Fault::new(folder.display(), "there is no registry here: manifest.json is missing")
                .help("train one: ensemble train-all CONFIG; its last lines name the registry folder"),
        ]));
    }
    Manifest::from_json(&files::read_text(&path, "the registry's manifest")?, &path)
}

/// The backbone that a registry in `folder` was trained on, as a config.
pub fn backbone_config(folder: &Path, entry: &BackboneEntry) -> BackboneConfig {
    BackboneConfig {
        place: match &entry.place {
            PlaceEntry::Path(path) => ModelPlace::Disk(files::absolute(&folder.join(path))),
            PlaceEntry::Hub { repository, revision } => {
                ModelPlace::Hub { repository: repository.clone(), revision: revision.clone() }
            }
        },
        max_tokens: entry.max_tokens,
        pooling: Some(entry.pooling),
        layers: Some(entry.layers.iter().map(|&layer| layer as i64).collect()),
        score_head: !entry.labels.is_empty(),
    }
}

/// Reads one objective's head and compares it with the manifest.
///
/// # Errors
/// [`Error::Registry`] when the file is missing, has another digest, or does not hold a head of `width` weights.
pub fn read_head(folder: &Path, entry: &ObjectiveEntry, width: usize) -> Result<StoredHead> {
    let path = folder.join(&entry.head);
    let damaged = |found: String| {
        let help = "train again (ensemble train-all CONFIG); cached features make that a matter of seconds";
        Error::Registry(vec![Fault::new(path.display(), found).help(help)])
    };
    if !path.is_file() {
        return Err(damaged(format!("the head of \"{}\" is missing", entry.name)));
    }
    let bytes = files::read(&path, "a stored head")?;
    let digest = Digest::of(&bytes).to_string();
    if digest != entry.head_digest {
        return Err(damaged(format!(
            "the head of \"{}\" is damaged: its digest is {}, the manifest says {}",
            entry.name,
            &digest[..12],
            &entry.head_digest[..12]
        )));
    }
    StoredHead::from_bytes(&bytes, width).map_err(damaged)
}
