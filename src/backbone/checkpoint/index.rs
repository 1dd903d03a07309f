//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::backbone::small_files;
use crate::error::{Error, Fault, Result, quote};
use crate::files;

/// At most this many tensors or files are listed.
const MAX_FAULTS: usize = 20;
const AGAIN: &str = "fetch the index and all its shards again, from the same revision of the model";

/// A checked index: every tensor's shard is a plain file name.
#[derive(Debug)]
pub(in crate::backbone) struct Index {
    path: PathBuf,
    /// Tensor → file.
    files: BTreeMap<String, String>,
}

impl Index {
    /// Reads the index; whether the shards are there is for the caller to see.
    ///
    /// # Errors
    /// [`Error::Model`] when it is not JSON, has no `weight_map`, or names a file outside its own folder.
    pub(in crate::backbone) fn read(path: &Path) -> Result<Self> {
        let fault = |found: String| Fault::new(path.display(), found);
        let text = small_files::read_text(path, "the index of the model's shards")?;
        let value = small_files::parse_json(path, &text, "an object with \"weight_map\"", AGAIN)?;
        let Some(map) = value.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty()) else {
            let fault = fault("\"weight_map\" is missing or empty".to_owned());
            return Err(once(vec![fault.accepts("an object that names the shard of every tensor")]));
        };
        let (mut files, mut bad) = (BTreeMap::new(), BTreeSet::new());
        for (tensor, file) in map {
            match file.as_str() {
                Some(file) if is_plain(file) => {
                    files.insert(tensor.clone(), file.to_owned());
                }
                Some(file) => {
                    bad.insert(quote(file));
                }
                None => {
                    bad.insert(file.to_string().chars().take(80).collect());
                }
            }
        }
        if bad.is_empty() {
            return Ok(Self { path: path.to_owned(), files });
        }
        let bad = bad.iter().take(MAX_FAULTS).map(|file| {
            fault(format!("weight_map names the shard {file}"))
                .accepts("the name of a .safetensors file in the same folder, without a path")
        });
        Err(once(bad.collect()))
    }

    /// Where the index stands.
    pub(in crate::backbone) fn path(&self) -> &Path {
        &self.path
    }

    /// The shards in name order.
    pub(in crate::backbone) fn shards(&self) -> Vec<PathBuf> {
        let names: BTreeSet<&String> = self.files.values().collect();
        names.into_iter().map(|name| files::parent(&self.path).join(name)).collect()
    }

    /// Whether the index says that `tensor` is in `shard`.
    pub(super) fn places(&self, tensor: &str, shard: &Path) -> bool {
        self.files.get(tensor).is_some_and(|file| shard.file_name().is_some_and(|name| name == file.as_str()))
    }

    /// Checks that `shard` holds what the index says it does.
    ///
    /// # Errors
    /// [`Error::Model`] naming the tensors that it lacks (the first 20).
    pub(super) fn check(&self, shard: &Path, holds: impl Fn(&str) -> bool) -> Result<()> {
        let lacks = self.files.keys().filter(|tensor| self.places(tensor, shard) && !holds(tensor));
        let faults: Vec<Fault> = lacks
            .take(MAX_FAULTS)
            .map(|tensor| {
                let found = format!("the tensor {} is not in it, though the index says so", quote(tensor));
                Fault::new(shard.display(), found)
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(once(faults)) }
    }
}

/// Faults with what to do below the last.
fn once(mut faults: Vec<Fault>) -> Error {
    if let Some(last) = faults.last_mut() {
        last.help = Some(AGAIN.to_owned());
    }
    Error::Model(faults)
}

/// Whether `name` is a file of the index's own folder on every system.
fn is_plain(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}
