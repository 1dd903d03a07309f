//! Safetensors files and shards as people have them, whole and damaged. The files are written by the safetensors
//! library itself, or byte by byte.

mod gguf;

use std::collections::BTreeMap;
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorView, serialize};
use candle_core::DType;
use serde_json::{Value, json};

use super::*;
use crate::backbone::locate::locate;
use crate::files;

type Stored = (Dtype, Vec<usize>, Vec<u8>);

fn f32s(shape: &[usize], values: &[f32]) -> Stored {
    (Dtype::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A safetensors file of these tensors.
fn file(tensors: &[(&str, Stored)]) -> Vec<u8> {
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("fits")))
        .collect();
    serialize(views, None).expect("serializes")
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    files::write_atomic(&folder.join(name), bytes.as_ref()).expect("written");
}

/// A folder with a configuration and a tokenizer of no content.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "config.json", "{}");
    write(folder.path(), "tokenizer.json", "{}");
    folder
}

fn names(expected: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
    expected.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect()
}

fn read_at(path: &Path, expected: &[(&str, &[usize])]) -> Result<Weights> {
    read(&locate(path)?, &names(expected))
}

fn values(weights: &Weights, name: &str) -> Vec<f32> {
    weights.get(name).and_then(|tensor| tensor.flatten_all()?.to_vec1()).expect("a tensor")
}

/// What the faults say, the folder's own name taken out.
fn complaint<T>(folder: &Path, result: Result<T>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string().replace(&format!("{}/", folder.display()), ""),
    }
}

#[test]
fn every_float_type_becomes_f32_under_the_name_without_a_prefix() {
    let folder = folder();
    let bytes = file(&[
        ("model.language_model.layers.0.a.weight", f32s(&[2, 1], &[1.5, -2.0])),
        // 1.5 and -0.25 in IEEE half precision, 3.140625 in bfloat16.
        ("bert.b", (Dtype::F16, vec![2], vec![0x00, 0x3e, 0x00, 0xb4])),
        ("lm_head.weight", (Dtype::BF16, vec![1], vec![0x49, 0x40])),
        ("roberta.embeddings.LayerNorm.gamma", f32s(&[1], &[7.0])),
        ("roberta.embeddings.LayerNorm.beta", f32s(&[1], &[8.0])),
        ("vision.unused", (Dtype::I64, vec![1], vec![0; 8])),
    ]);
    write(folder.path(), "model.safetensors", &bytes);
    let expected: [(&str, &[usize]); 5] = [
        ("layers.0.a.weight", &[2, 1]),
        ("b", &[2]),
        ("lm_head.weight", &[1]),
        ("embeddings.LayerNorm.weight", &[1]),
        ("embeddings.LayerNorm.bias", &[1]),
    ];
    let weights = read_at(folder.path(), &expected).expect("reads");
    assert_eq!(values(&weights, "layers.0.a.weight"), [1.5, -2.0]);
    assert_eq!(values(&weights, "b"), [1.5, -0.25]);
    assert_eq!(values(&weights, "lm_head.weight"), [3.140_625]);
    assert_eq!(values(&weights, "embeddings.LayerNorm.weight"), [7.0]);
    assert_eq!(values(&weights, "embeddings.LayerNorm.bias"), [8.0]);
    assert!(weights.get("vision.unused").is_err());
    assert_eq!(weights.digest, Digest::of(&bytes));
}

#[test]
fn weights_are_shared_where_they_are_and_rounded_where_they_are_to_be() {
    let folder = folder();
    // bf16 keeps 8 bits: of the two numbers between which 1 + 2^-8 lies half way, the even one is taken.
    write(folder.path(), "model.safetensors", file(&[("a", f32s(&[3], &[1.5, 1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0]))]));
    let weights = read_at(folder.path(), &[("a", &[3])]).expect("reads");
    let same = weights.on(&Placement::CPU).expect("placed");
    assert!(same.get("a").expect("a").id() == weights.get("a").expect("a").id(), "no copy is made");
    let rounded = weights.on(&Placement { dtype: crate::config::Dtype::Bf16, ..Placement::CPU }).expect("placed");
    let tensor = rounded.get("a").and_then(|tensor| tensor.to_dtype(DType::F32)).expect("a");
    assert_eq!(tensor.to_vec1::<f32>().expect("read"), [1.5, 1.0, 1.015_625]);
    assert_eq!(rounded.digest, weights.digest, "the digest is of the files");
}

#[test]
fn a_name_without_a_prefix_wins_in_any_order() {
    // The writer sorts by name: in the first file the plain name comes first, in the second the other.
    for plain in ["a", "z"] {
        let (folder, prefixed) = (folder(), format!("bert.{plain}"));
        let tensors = [(prefixed.as_str(), f32s(&[1], &[2.0])), (plain, f32s(&[1], &[1.0]))];
        write(folder.path(), "model.safetensors", file(&tensors));
        assert_eq!(values(&read_at(folder.path(), &[(plain, &[1])]).expect("reads"), plain), [1.0]);
    }
}

fn index(map: &Value) -> String {
    json!({ "metadata": { "total_size": 8 }, "weight_map": map }).to_string()
}

/// Two shards of one number each, and an index with this map.
fn shards(map: &Value) -> tempfile::TempDir {
    let folder = folder();
    write(folder.path(), "one.safetensors", file(&[("model.a", f32s(&[1], &[1.0]))]));
    write(folder.path(), "two.safetensors", file(&[("model.b", f32s(&[1], &[2.0]))]));
    write(folder.path(), "model.safetensors.index.json", index(map));
    folder
}

const BOTH: [(&str, &[usize]); 2] = [("a", &[1]), ("b", &[1])];

#[test]
fn shards_read_as_one_model_and_every_byte_of_each_counts() {
    let folder = shards(&json!({ "model.a": "one.safetensors", "model.b": "two.safetensors" }));
    let weights = read_at(folder.path(), &BOTH).expect("reads");
    assert_eq!((values(&weights, "a"), values(&weights, "b")), (vec![1.0], vec![2.0]));
    write(folder.path(), "two.safetensors", file(&[("model.b", f32s(&[1], &[3.0]))]));
    assert_ne!(read_at(folder.path(), &BOTH).expect("reads").digest, weights.digest);
}

#[test]
fn shard_sets_that_are_not_whole_are_refused_with_every_fault() {
    let folder = shards(&json!({ "a": "one.safetensors", "b": "gone.safetensors", "c": "lost.safetensors" }));
    let text = complaint(folder.path(), read_at(folder.path(), &BOTH));
    assert!(text.contains("gone.safetensors: this file is missing") && text.contains("lost.safetensors"), "{text}");
    let folder = shards(&json!({ "model.a": "one.safetensors", "model.b": "one.safetensors" }));
    let text = complaint(folder.path(), read_at(folder.path(), &BOTH));
    assert!(text.contains("one.safetensors: the tensor \"model.b\" is not in it, though the index"), "{text}");
    let folder = shards(&json!({ "model.a": "one.safetensors" }));
    let text = complaint(folder.path(), read_at(folder.path(), &BOTH));
    assert!(text.contains("model.safetensors.index.json: tensor b is missing"), "{text}");
    files::remove(&folder.path().join("model.safetensors.index.json")).expect("removed");
    write(folder.path(), "model-00001-of-00002.safetensors", "x");
    let text = complaint(folder.path(), read_at(folder.path(), &BOTH));
    assert!(text.contains("but not their index"), "{text}");
}

#[test]
fn an_index_never_leads_out_of_its_folder() {
    for name in
        ["../one.safetensors", "/etc/one.safetensors", "a\\..\\one.safetensors", "sub/one.safetensors", "", ".."]
    {
        let folder = shards(&json!({ "model.a": name, "model.b": "two.safetensors" }));
        let text = complaint(folder.path(), read_at(folder.path(), &BOTH));
        assert!(text.contains("weight_map names the shard") && text.contains("in the same folder"), "{name}: {text}");
    }
    for (text, found) in [("{}", "missing or empty"), ("{", "JSON"), ("[]", "missing or empty"), ("", "empty")] {
        let folder = shards(&json!({}));
        write(folder.path(), "model.safetensors.index.json", text);
        let text = complaint(folder.path(), read_at(folder.path(), &BOTH));
        assert!(text.contains(found), "{text}");
    }
}

#[test]
fn hostile_headers_are_refused_without_taking_memory() {
    let header = |text: &str| [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat();
    let tensor = |shape: &str, start: u64, end: u64| {
        header(&format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}}}"#))
    };
    let whole = file(&[("a", f32s(&[1], &[1.0]))]);
    let mut cases: Vec<Vec<u8>> = (1..whole.len()).map(|length| whole[..length].to_vec()).collect();
    cases.extend([
        u64::MAX.to_le_bytes().to_vec(),
        [99_999_999u64.to_le_bytes().as_slice(), b"{}"].concat(),
        tensor("[1099511627776]", 0, 4_398_046_511_104),
        tensor("[18446744073709551615, 2]", 0, 4),
        tensor("[1]", 8, 4),
        tensor("[1]", 0, u64::MAX),
        [whole.as_slice(), b"tail"].concat(),
        header("{"),
        header("[]"),
    ]);
    for case in cases {
        let folder = folder();
        write(folder.path(), "model.safetensors", &case);
        let text = complaint(folder.path(), read_at(folder.path(), &[("a", &[1])]));
        assert!(text.contains("not a whole safetensors file") && text.contains("help:"), "{text}");
    }
}

#[test]
fn a_model_is_found_as_a_folder_or_a_gguf_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let text = complaint(folder.path(), locate(&at("none")));
    assert!(text.contains("none: the backbone's folder does not exist"), "{text}");
    assert!(complaint(folder.path(), locate(&at("none.gguf"))).contains("the backbone's file does not exist"));
    write(folder.path(), "one.gguf", "GGUF");
    write(folder.path(), "mmproj-one.gguf", "GGUF");
    for path in [folder.path(), &at("one.gguf")] {
        let found = locate(path).expect("found");
        assert!(matches!(&found.weights, WeightFiles::Gguf(path) if *path == at("one.gguf")));
        assert!(found.config.is_none() && found.tokenizer.is_none() && found.chat_template.is_none());
    }
    for name in ["config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json"] {
        write(folder.path(), name, "{}");
    }
    let found = locate(&at("one.gguf")).expect("found");
    assert_eq!((found.config, found.tokenizer), (Some(at("config.json")), Some(at("tokenizer.json"))));
    assert_eq!((found.chat_template, found.special_tokens_map), (Some(at("chat_template.jinja")), None));
    assert_eq!(found.tokenizer_config, Some(at("tokenizer_config.json")));
    write(folder.path(), "two.gguf", "GGUF");
    let text = complaint(folder.path(), locate(folder.path()));
    assert!(text.contains("2 GGUF files are in the folder: \"one.gguf\", \"two.gguf\""), "{text}");
    write(folder.path(), "model.safetensors", "x");
    assert!(matches!(locate(folder.path()).expect("found").weights, WeightFiles::Safetensors(_)));
    write(folder.path(), "two.gguf", "version https://git-lfs.github.com/spec/v1\n");
    assert!(complaint(folder.path(), locate(&at("two.gguf"))).contains("Git LFS pointer"));
    assert!(complaint(folder.path(), locate(&at("config.json"))).contains("neither a folder nor a .gguf file"));
}
