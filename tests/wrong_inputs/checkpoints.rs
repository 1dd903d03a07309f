//! Wrong weights in the layouts of large models: shards with an index, and GGUF files.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::backbone::{Tensors, safetensors, tensors};
use crate::families::{WEIGHTS, fixture, gguf};
use crate::project::{Project, TRAIN};

const INDEX: &str = "backbones/tiny/model.safetensors.index.json";
const QUERY: &str = "encoder.layer.0.attention.self.query.weight";

fn shard(number: usize) -> String {
    format!("model-{number:05}-of-00002.safetensors")
}

/// The project whose weights stand in two shards: the embeddings, and the layers.
fn sharded() -> Project {
    let project = Project::new();
    project.remove(WEIGHTS);
    let (embeddings, layers): (Tensors, Tensors) =
        tensors().into_iter().partition(|(name, _)| name.starts_with("embeddings."));
    let mut map = serde_json::Map::new();
    for (number, tensors) in [(1, &embeddings), (2, &layers)] {
        map.extend(tensors.keys().map(|name| (name.clone(), json!(shard(number)))));
        project.write(format!("backbones/tiny/{}", shard(number)), safetensors(tensors));
    }
    project.write(INDEX, json!({ "metadata": {}, "weight_map": map }).to_string());
    project
}

/// The message for shards whose index is changed so.
fn index_with(change: impl FnOnce(&mut Value)) -> String {
    let project = sharded();
    project.edit_json(INDEX, |index| change(&mut index["weight_map"]));
    project.refused(2, &TRAIN)
}

fn llama() -> Vec<u8> {
    fixture("gguf/llama.gguf")
}

/// The message for a GGUF file with these bytes.
fn file(content: &[u8]) -> String {
    gguf(content).refused(2, &TRAIN)
}

/// The message for the GGUF file in which every `old` is replaced by `new`, which is as long.
fn file_with(old: &str, new: &str) -> String {
    assert_eq!(old.len(), new.len());
    let mut bytes = llama();
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old.as_bytes())).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|&at| bytes[at..at + new.len()].copy_from_slice(new.as_bytes()));
    file(&bytes)
}

#[test]
fn shards_train_as_they_are() {
    let trained = sharded().run(&TRAIN, "");
    assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
}

#[test]
fn a_shard_that_is_missing() {
    assert_snapshot!(index_with(|map| map[QUERY] = json!("model-00003-of-00003.safetensors")));
}

#[test]
fn tensors_that_are_in_another_shard() {
    assert_snapshot!(index_with(|map| {
        let layers = map.as_object_mut().expect("an object").iter_mut().filter(|(name, _)| name.contains("layer.0"));
        layers.for_each(|(_, file)| *file = json!(shard(1)));
    }));
}

#[test]
fn shards_outside_the_folder() {
    assert_snapshot!(index_with(|map| {
        map["a"] = json!("../../data/pairs.jsonl");
        map["b"] = json!("/etc/model.safetensors");
        map["c"] = json!(3);
    }));
}

#[test]
fn an_index_that_is_cut_short() {
    let project = sharded();
    let index = project.read(INDEX);
    project.write(INDEX, &index[..300]);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_shard_that_is_cut_short() {
    let project = sharded();
    let name = format!("backbones/tiny/{}", shard(2));
    let whole = project.read(&name);
    project.write(&name, &whole[..whole.len() / 2]);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn shards_without_their_index() {
    let project = sharded();
    project.remove(INDEX);
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_tensor_that_no_shard_has() {
    let project = sharded();
    let name = format!("backbones/tiny/{}", shard(2));
    let mut tensors = crate::backbone::read(&project.read(&name));
    assert!(tensors.remove(QUERY).is_some());
    project.write(&name, safetensors(&tensors));
    project.edit_json(INDEX, |index| {
        index["weight_map"].as_object_mut().expect("an object").remove(QUERY);
    });
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn several_gguf_files() {
    let project = gguf(&llama());
    project.write("backbones/tiny/other.Q4_K_M.gguf", llama());
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn the_parts_of_a_split_gguf_file() {
    let project = gguf(&llama());
    project.remove("backbones/tiny/model.gguf");
    (1..3).for_each(|part| project.write(format!("backbones/tiny/model-0000{part}-of-00002.gguf"), llama()));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn one_part_of_a_split_gguf_file() {
    let project = gguf(&llama());
    project.remove("backbones/tiny/model.gguf");
    project.write("backbones/tiny/model-00001-of-00002.gguf", file_of_a_part());
    assert_snapshot!(project.refused(2, &TRAIN));
}

/// A GGUF file in which one tensor has another name, as if it stood in another part.
fn file_of_a_part() -> Vec<u8> {
    let mut bytes = llama();
    let name = b"blk.1.attn_q.weight";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the tensor");
    bytes[at..at + 5].copy_from_slice(b"blk.9");
    bytes
}

#[test]
fn a_gguf_file_that_is_cut_short() {
    let whole = llama();
    assert_snapshot!(file(&whole[..whole.len() - 1000]));
}

#[test]
fn a_gguf_file_whose_header_is_cut_short() {
    assert_snapshot!(file(&llama()[..300]));
}

#[test]
fn a_gguf_file_that_is_none() {
    assert_snapshot!(file(b"GGML and something else that is long enough to be a header of a file"));
}

#[test]
fn a_gguf_file_of_another_version() {
    let mut bytes = llama();
    bytes[4] = 9;
    assert_snapshot!(file(&bytes));
}

#[test]
fn a_gguf_file_that_claims_endless_metadata() {
    let mut bytes = llama();
    bytes[16..24].fill(0x7f);
    assert_snapshot!(file(&bytes));
}

#[test]
fn a_gguf_file_of_an_unknown_architecture() {
    assert_snapshot!(file_with("llama", "mamba"));
}

#[test]
fn a_gguf_file_without_sizes() {
    assert_snapshot!(file_with("llama.embedding_length", "llama.embedding_lenght"));
}

#[test]
fn a_gguf_file_without_a_tokenizer() {
    assert_snapshot!(file_with("tokenizer.ggml.tokens", "tokenizer.ggml.tokenz"));
}

#[test]
fn a_gguf_file_with_an_unknown_tokenizer() {
    assert_snapshot!(file_with("tokenizer.ggml.model", "tokenizer.ggml.modem"));
}

#[test]
fn a_gguf_file_that_is_missing() {
    let project = Project::new();
    project.edit("configs/run.yaml", "../backbones/tiny", "../backbones/tiny/model.Q8_0.gguf");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn weights_in_place_of_their_folder() {
    let project = Project::new();
    project.edit("configs/run.yaml", "../backbones/tiny", "../backbones/tiny/model.safetensors");
    assert_snapshot!(project.refused(2, &TRAIN));
}
