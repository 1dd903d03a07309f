//! Finds the files of a model and names what is missing, without reading the large ones.

use std::path::{Path, PathBuf};

use super::checkpoint::Index;
use crate::error::{Error, Fault, Result, quote};
use crate::files;

/// The files of one model. What a GGUF file says of itself stands in for the files that are not beside it.
#[derive(Debug)]
pub(super) struct ModelFiles {
    /// `config.json`; none: the metadata of the GGUF file.
    pub(super) config: Option<PathBuf>,
    /// `tokenizer.json`; none: the metadata of the GGUF file.
    pub(super) tokenizer: Option<PathBuf>,
    /// The weights.
    pub(super) weights: WeightFiles,
    /// `tokenizer_config.json`, if there is one.
    pub(super) tokenizer_config: Option<PathBuf>,
    /// `chat_template.jinja`, if there is one.
    pub(super) chat_template: Option<PathBuf>,
    /// `special_tokens_map.json`, if there is one.
    pub(super) special_tokens_map: Option<PathBuf>,
}

impl ModelFiles {
    /// The file to name in a message about the configuration.
    pub(super) fn config_place(&self) -> &Path {
        self.config.as_deref().unwrap_or_else(|| self.weights.path())
    }
}

/// Where the weights are.
#[derive(Debug)]
pub(super) enum WeightFiles {
    /// One safetensors file.
    Safetensors(PathBuf),
    /// Several, with the index that says which tensor is in which.
    Shards(Index),
    /// One GGUF file.
    Gguf(PathBuf),
}

impl WeightFiles {
    /// The file to name in a message about the weights as a whole.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Safetensors(path) | Self::Gguf(path) => path,
            Self::Shards(index) => index.path(),
        }
    }
}

/// Finds the model at `path`: a Hugging Face model folder, or a GGUF file.
///
/// # Errors
/// [`Error::Model`] with every missing or unusable file at once.
pub(super) fn locate(path: &Path) -> Result<ModelFiles> {
    let is_gguf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    if !(path.is_dir() || is_gguf && path.exists()) {
        return Err(Error::Model(vec![no_model(path, is_gguf)]));
    }
    let folder = if path.is_dir() { path } else { files::parent(path) };
    let mut faults = Vec::new();
    let weights = if path.is_dir() { find_weights(folder) } else { Ok(WeightFiles::Gguf(path.to_owned())) };
    // A GGUF file stands alone, and so does each of several among which one must be chosen.
    let alone = match &weights {
        Ok(weights) => matches!(weights, WeightFiles::Gguf(_)),
        Err(_) => !ggufs(&files::list(folder)?).is_empty(),
    };
    let optional = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let (config, tokenizer) = (optional("config.json"), optional("tokenizer.json"));
    for (found, name, help) in [
        (&config, "config.json", "copy config.json from the model's repository"),
        (
            &tokenizer,
            "tokenizer.json",
            "copy tokenizer.json, or make it: AutoTokenizer.from_pretrained(…).save_pretrained(…)",
        ),
    ] {
        if found.is_none() && !alone {
            faults.push(missing(&folder.join(name)).help(help));
        }
    }
    let (tokenizer_config, chat_template, special_tokens_map) =
        (optional("tokenizer_config.json"), optional("chat_template.jinja"), optional("special_tokens_map.json"));
    // A chat template may be empty, and may begin like a web page.
    for path in [&config, &tokenizer, &tokenizer_config, &special_tokens_map].into_iter().flatten() {
        faults.extend(wrong_content(path)?);
    }
    match weights {
        Ok(weights) => {
            for path in weight_paths(&weights) {
                faults.extend(if path.is_file() {
                    wrong_content(&path)?
                } else {
                    Some(missing(&path).help("copy it from the model's repository; the index names it"))
                });
            }
            if faults.is_empty() {
                return Ok(ModelFiles {
                    config,
                    tokenizer,
                    weights,
                    tokenizer_config,
                    chat_template,
                    special_tokens_map,
                });
            }
        }
        Err(error) => faults.extend(error.faults().iter().cloned()),
    }
    Err(Error::Model(faults))
}

/// The fault for a path at which there is no model.
fn no_model(path: &Path, is_gguf: bool) -> Fault {
    let found = match (path.exists(), is_gguf) {
        (true, _) => "the backbone is neither a folder nor a .gguf file",
        (false, true) => "the backbone's file does not exist",
        (false, false) => "the backbone's folder does not exist",
    };
    Fault::new(path.display(), found)
        .accepts(
            "a Hugging Face model folder with config.json, tokenizer.json and model.safetensors (or its shards and \
             their index), or a GGUF file",
        )
        .help("check backbone.path; a registry finds its backbone relative to itself, so move both together")
}

fn missing(path: &Path) -> Fault {
    Fault::new(path.display(), "this file is missing from the model folder")
}

/// Safetensors before shards before GGUF, as transformers chooses.
fn find_weights(folder: &Path) -> Result<WeightFiles> {
    let (single, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
    if single.is_file() {
        return Ok(WeightFiles::Safetensors(single));
    }
    if index.is_file() {
        return match wrong_content(&index)? {
            Some(fault) => Err(Error::Model(vec![fault])),
            None => Index::read(&index).map(WeightFiles::Shards),
        };
    }
    let listed = files::list(folder)?;
    match ggufs(&listed).as_slice() {
        [] => {
            let shards = listed.iter().any(|path| {
                let name = named(path);
                name.starts_with("model-0") && name.ends_with(".safetensors")
            });
            Err(Error::Model(vec![missing(&single).help(weights_help(folder, shards))]))
        }
        [path] => Ok(WeightFiles::Gguf((*path).clone())),
        several => Err(Error::Model(vec![several_ggufs(folder, several)])),
    }
}

fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The GGUF files among `listed`. A projector of images stands beside the language model and is none itself.
fn ggufs(listed: &[PathBuf]) -> Vec<&PathBuf> {
    let is_gguf = |path: &&PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    listed.iter().filter(is_gguf).filter(|path| !named(path).starts_with("mmproj")).collect()
}

fn several_ggufs(folder: &Path, ggufs: &[&PathBuf]) -> Fault {
    let names: Vec<String> =
        ggufs.iter().take(5).map(|path| quote(&path.file_name().unwrap_or_default().to_string_lossy())).collect();
    let more = if ggufs.len() > names.len() { ", …" } else { "" };
    let split = ggufs.iter().all(|path| path.to_string_lossy().contains("-of-"));
    let help = if split {
        "these are the parts of one model: join them with llama-gguf-split --merge, and give the joined file"
    } else {
        "give the file itself as backbone.path"
    };
    let found = format!("{} GGUF files are in the folder: {}{more}", ggufs.len(), names.join(", "));
    Fault::new(folder.display(), found).accepts("one").help(help)
}

fn weights_help(folder: &Path, shards: bool) -> &'static str {
    if folder.join("pytorch_model.bin").is_file() || folder.join("pytorch_model.bin.index.json").is_file() {
        "pytorch_model.bin is a pickle, which can run code and is never read: convert it with \
         AutoModel.from_pretrained(…).save_pretrained(…, safe_serialization=True)"
    } else if shards {
        "the shards are there, but not their index: copy model.safetensors.index.json from the model's repository"
    } else {
        "copy model.safetensors (or its shards and model.safetensors.index.json, or a .gguf file) from the model's \
         repository"
    }
}

fn weight_paths(weights: &WeightFiles) -> Vec<PathBuf> {
    match weights {
        WeightFiles::Safetensors(path) | WeightFiles::Gguf(path) => vec![path.clone()],
        WeightFiles::Shards(index) => index.shards(),
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
