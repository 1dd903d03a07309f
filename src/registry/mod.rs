//! Heads on disk: `manifest.json` is the only pointer and is written last, atomically.
//!
//! Heads are content-addressed files, so an old manifest stays readable until its heads are pruned, and equal weights
//! give equal bytes. Scoring stands in `ensemble`; this module only stores, reads and checks.

mod head_file;
mod manifest;

use std::path::Path;

pub use head_file::{Array, Arrays};
pub use manifest::{
    BackboneEntry, FORMAT, Golden, GoldenMessage, Manifest, ObjectiveEntry, PlaceEntry, Quality, ReferenceEntry,
    TrainingEntry,
};

use crate::config::{BackboneConfig, Device, ModelPlace};
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

const MANIFEST: &str = "manifest.json";

/// Writes the heads and the training distribution, then the manifest that names them. A reader sees the old registry or
/// the new one, never a mix.
///
/// `heads` are in the order of `manifest.objectives`, whose `head` fields this fills in, as it does those of
/// `manifest.training`, which must be there if `training` is.
///
/// # Errors
/// [`Error::Io`] when a file cannot be written.
pub fn publish(folder: &Path, mut manifest: Manifest, heads: &[Arrays], training: Option<&Arrays>) -> Result<Manifest> {
    for (entry, head) in manifest.objectives.iter_mut().zip(heads) {
        (entry.head, entry.head_digest) = keep(folder, &entry.name, head)?;
    }
    if let (Some(entry), Some(training)) = (&mut manifest.training, training) {
        // No objective has a name with a capital letter, so the file cannot be taken for a head's.
        (entry.file, entry.digest) = keep(folder, "TRAINING", training)?;
    }
    files::write_atomic(&folder.join(MANIFEST), manifest.to_json().as_bytes())?;
    Ok(manifest)
}

/// Writes arrays under a name of their content; that name and the digest.
fn keep(folder: &Path, name: &str, arrays: &Arrays) -> Result<(String, String)> {
    let bytes = arrays.to_bytes()?;
    let digest = Digest::of(&bytes);
    let file = format!("heads/{name}-{}.safetensors", digest.short());
    let path = folder.join(&file);
    // A file that already stands there with the same content is left untouched.
    if !path.is_file() || files::read(&path, "a stored head")? != bytes {
        files::write_atomic(&path, &bytes)?;
    }
    Ok((file, digest.to_string()))
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

/// The backbone that a registry in `folder` was trained on, as a config. Where it ran then is not kept: a registry made
/// on a graphics card opens on the processor.
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
        dtype: entry.dtype,
        device: Device::Cpu,
        score_head: !entry.labels.is_empty(),
    }
}

/// Reads one objective's head, compares it with the manifest and lets `read` make sense of it.
///
/// # Errors
/// [`Error::Registry`] when the file is missing, has another digest, or `read` refuses what it holds.
pub fn read_head<T>(
    folder: &Path,
    entry: &ObjectiveEntry,
    read: impl FnOnce(Arrays) -> Result<T, String>,
) -> Result<T> {
    let what = format!("the head of \"{}\"", entry.name);
    read_arrays(folder, (&entry.head, &entry.head_digest), &what, read)
}

/// Reads the training distribution likewise.
///
/// # Errors
/// As [`read_head`].
pub fn read_training<T>(
    folder: &Path,
    entry: &TrainingEntry,
    read: impl FnOnce(Arrays) -> Result<T, String>,
) -> Result<T> {
    read_arrays(folder, (&entry.file, &entry.digest), "the distribution of the training texts", read)
}

fn read_arrays<T>(
    folder: &Path,
    (file, digest): (&str, &str),
    what: &str,
    read: impl FnOnce(Arrays) -> Result<T, String>,
) -> Result<T> {
    let path = folder.join(file);
    let damaged = |found: String| {
        let help = "train again (ensemble train-all CONFIG); cached features make that a matter of seconds";
        Error::Registry(vec![Fault::new(path.display(), found).help(help)])
    };
    if !path.is_file() {
        return Err(damaged(format!("{what} is missing")));
    }
    let bytes = files::read(&path, "a stored head")?;
    let found = Digest::of(&bytes).to_string();
    if found != digest {
        let (found, said) = (&found[..12], digest.get(..12).unwrap_or(digest));
        return Err(damaged(format!("{what} is damaged: its digest is {found}, the manifest says {said}")));
    }
    Arrays::from_bytes(&bytes).and_then(read).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Dtype;

    /// A backbone's entry as a manifest has it that was written before there was a choice of precision.
    fn old_entry() -> Value {
        json!({ "place": { "path": "../mini" }, "fingerprint": "0", "architecture": "BERT", "pooling": "cls",
            "layers": [1], "max_tokens": 32, "width": 4, "labels": [], "template": "pairs", "template_digest": "0" })
    }

    #[test]
    fn a_registry_opens_its_backbone_in_the_precision_it_was_trained_in() {
        let mut stored = old_entry();
        let opened = |stored: &Value| {
            let entry: BackboneEntry = serde_json::from_value(stored.clone()).expect("an entry");
            assert_eq!(serde_json::to_value(&entry).expect("JSON"), *stored, "what is read is what is written");
            backbone_config(Path::new("registry"), &entry)
        };
        assert_eq!((opened(&stored).dtype, opened(&stored).device), (Dtype::F32, Device::Cpu));
        for dtype in [Dtype::Bf16, Dtype::Int8] {
            stored["dtype"] = json!(dtype.word());
            assert_eq!(opened(&stored).dtype, dtype);
        }
        stored["dtype"] = json!("f16");
        assert!(serde_json::from_value::<BackboneEntry>(stored).is_err());
    }
}
