//! Tiny whole models of the published families, from the fixtures of other tests, to be damaged by the tests here.

use std::path::{Path, PathBuf};

use crate::backbone::{self, Tensors};
use crate::project::{Project, TRAIN};

pub(crate) const CONFIG: &str = "backbones/tiny/config.json";
pub(crate) const TOKENIZER: &str = "backbones/tiny/tokenizer.json";
pub(crate) const WEIGHTS: &str = "backbones/tiny/model.safetensors";

/// The project with an encoder of `tests/fixtures/encoders` in place of its own.
pub(crate) fn encoder(name: &str) -> Project {
    let project = Project::new();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        project.write(format!("backbones/tiny/{file}"), fixture(&format!("encoders/{name}/{file}")));
    }
    project
}

/// The project with a decoder of `tests/fixtures/decoders`, which have no tokenizers; an encoder's serves here.
pub(crate) fn decoder(name: &str) -> Project {
    let project = Project::new();
    for file in ["config.json", "model.safetensors"] {
        project.write(format!("backbones/tiny/{file}"), fixture(&format!("decoders/{name}/{file}")));
    }
    project.write(TOKENIZER, fixture("encoders/bert-1/tokenizer.json"));
    project
}

/// The project with a GGUF file in place of its model folder's files.
pub(crate) fn gguf(content: &[u8]) -> Project {
    let project = Project::new();
    [CONFIG, TOKENIZER, WEIGHTS].into_iter().for_each(|name| project.remove(name));
    project.write("backbones/tiny/model.gguf", content);
    project
}

/// Changes the tensors of the project's model.
pub(crate) fn change_tensors(project: &Project, change: impl FnOnce(&mut Tensors)) {
    let mut tensors = backbone::read(&project.read(WEIGHTS));
    change(&mut tensors);
    project.write(WEIGHTS, backbone::safetensors(&tensors));
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures", name].iter().collect();
    read(&path)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("committed")
}

/// Without this, a model that never works would pass the tests that damage it.
#[test]
fn the_models_train_as_they_are() {
    let encoders = ["bert-1", "distilbert-1", "roberta-1", "deberta-v2-3", "deberta-v3-1", "modernbert-1"];
    let decoders = ["llama", "mistral", "qwen2", "qwen3", "gemma3"];
    let files = ["llama.gguf", "gemma3.gguf"].map(|name| (name, gguf(&fixture(&format!("gguf/{name}")))));
    let folders = encoders.map(|name| (name, encoder(name))).into_iter();
    for (name, project) in folders.chain(decoders.map(|name| (name, decoder(name)))).chain(files) {
        let trained = project.run(&TRAIN, "");
        assert_eq!((trained.code, trained.errors.as_str()), (0, ""), "{name}");
    }
}
