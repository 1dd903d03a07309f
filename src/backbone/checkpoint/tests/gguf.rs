//! GGUF files: the small ones of `tests/fixtures/make_gguf.py`, damaged copies of them, and published files whose truth
//! the same script has written, where `ENSEMBLE_GGUF` names it (paths of JSON files, separated by colons).

use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::backbone::gguf_tokenizer;

#[derive(Deserialize)]
struct Truth {
    file: PathBuf,
    #[serde(default)]
    config: BTreeMap<String, Value>,
    #[serde(default)]
    tensors: BTreeMap<String, Sample>,
    tokenizer: TokenizerTruth,
}

/// Every `stride`-th value of a tensor.
#[derive(Deserialize)]
struct Sample {
    shape: Vec<usize>,
    stride: usize,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct TokenizerTruth {
    bos: Option<String>,
    eos: Option<String>,
    add_bos: bool,
    template: Option<String>,
    cases: Vec<(String, Vec<u32>)>,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf")
}

fn truth(path: &Path) -> (Truth, PathBuf) {
    let truth: Truth = serde_json::from_slice(&files::read(path, "the fixture").expect("there")).expect("a fixture");
    let file = files::parent(path).join(&truth.file);
    (truth, file)
}

/// The largest difference of a value from the truth, relative to the largest value of its tensor.
fn tensor_difference(truth: &Truth, weights: &Weights) -> f32 {
    let mut worst = 0f32;
    for (name, sample) in &truth.tensors {
        let values: Vec<f32> = values(weights, name).into_iter().step_by(sample.stride).collect();
        assert_eq!(values.len(), sample.values.len(), "{name}");
        let largest = sample.values.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
        for (value, expected) in values.iter().zip(&sample.values) {
            worst = worst.max((value - expected).abs() / largest);
        }
    }
    worst
}

/// Compares a file with the truth about it; gives the largest relative difference of a weight.
fn check(path: &Path) -> f32 {
    let (truth, file) = truth(path);
    let files = locate(&file).expect("found");
    if !truth.config.is_empty() {
        let (config, _) = read_config(&files).expect("a configuration");
        for (key, value) in &truth.config {
            assert_eq!(config.get(key), Some(value), "{key} of {}", file.display());
        }
    }
    let expected: Vec<(String, Vec<usize>)> =
        truth.tensors.iter().map(|(name, sample)| (name.clone(), sample.shape.clone())).collect();
    let worst =
        if expected.is_empty() { 0.0 } else { tensor_difference(&truth, &read(&files, &expected).expect("reads")) };
    let gguf = Gguf::open(&file).expect("opens");
    let tokenizer = gguf_tokenizer::read(&gguf).expect("a tokenizer");
    let frame = gguf_tokenizer::frame(&gguf).expect("its frame");
    let expected = &truth.tokenizer;
    assert_eq!((&frame.bos, &frame.eos, frame.adds_bos), (&expected.bos, &expected.eos, expected.add_bos));
    assert_eq!(frame.chat_template, expected.template);
    let differing: Vec<(&String, Vec<u32>, &Vec<u32>)> = expected
        .cases
        .iter()
        .map(|(text, ids)| (text, tokenizer.encode(text.as_str(), false).expect("encodes").get_ids().to_vec(), ids))
        .filter(|(_, ours, theirs)| ours != *theirs)
        .collect();
    assert!(expected.cases.len() >= 190);
    assert!(
        differing.is_empty(),
        "{}: {} of {} texts: {differing:?}",
        file.display(),
        differing.len(),
        expected.cases.len()
    );
    worst
}

#[test]
fn small_models_have_the_weights_and_settings_that_were_written() {
    for name in ["llama.json", "gemma3.json"] {
        let worst = check(&fixtures().join(name));
        assert_eq!(worst, 0.0, "{name}");
    }
}

#[test]
fn tokenizers_give_the_tokens_of_the_vocabularies_they_were_made_of() {
    for name in ["gpt-2", "llama-bpe", "qwen2", "tekken", "pieces"] {
        check(&fixtures().join(format!("tokenizer-{name}.json")));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "tests print the figures they checked")]
fn published_files_equal_transformers() {
    for path in std::env::var("ENSEMBLE_GGUF").iter().flat_map(|paths| paths.split(':')) {
        let worst = check(Path::new(path));
        println!("{path}: largest relative difference of a weight {worst:.1e}");
        assert!(worst < 1e-5, "{path}: {worst:e}");
    }
}

/// Reads everything of a file with this content; only that it ends, with or without a fault, is certain.
fn all_of(bytes: &[u8]) -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "model.gguf", bytes);
    let files = locate(folder.path())?;
    let (truth, _) = truth(&fixtures().join("llama.json"));
    let expected: Vec<(String, Vec<usize>)> =
        truth.tensors.into_iter().map(|(name, sample)| (name, sample.shape)).collect();
    read_config(&files)?;
    let gguf = Gguf::open(files.weights.path())?;
    gguf_tokenizer::frame(&gguf)?;
    gguf_tokenizer::read(&gguf)?;
    read(&files, &expected).map(|_| ())
}

#[test]
fn damaged_files_are_refused_and_never_end_the_program() {
    let whole = files::read(&fixtures().join("llama.gguf"), "the fixture").expect("there");
    all_of(&whole).expect("reads");
    // The last tensor is padded, so that a cut of a few bytes takes nothing away.
    for length in [0, 3, 4, 8, 20, 24, 30, 100, 1000, 5000, whole.len() / 2, whole.len() - 200] {
        assert!(all_of(&whole[..length]).is_err(), "{length} bytes");
    }
    for position in (0..9_000).step_by(199) {
        for value in [0x00, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[position] = value;
            // Names and texts may change without a fault; what matters is that nothing panics or hangs.
            let _ = all_of(&bytes);
        }
    }
    for counts in [8..16, 16..24] {
        let mut bytes = whole.clone();
        bytes[counts].copy_from_slice(&(1u64 << 40).to_le_bytes());
        let error = all_of(&bytes).expect_err("absurd counts");
        assert!(error.to_string().contains("not a GGUF file that can be read"), "{error}");
    }
}

/// A copy of the small model in which the only occurrence of `from` in the header is `to`, equally long.
fn with(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = files::read(&fixtures().join("llama.gguf"), "the fixture").expect("there");
    let found: Vec<usize> = (0..20_000).filter(|&start| bytes[start..].starts_with(from)).collect();
    assert_eq!((found.len(), from.len()), (1, to.len()));
    bytes[found[0]..found[0] + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn what_is_not_understood_is_named() {
    let key = |name: &[u8], kind: u32, value: &[u8]| [name, &kind.to_le_bytes(), value].concat();
    for (bytes, expected) in [
        (with(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0bloom"), "general.architecture: found \"bloom\""),
        (with(b"smollm", b"gemma9"), "tokenizer.ggml.pre: found \"gemma9\""),
        (with(b"llama.block_count", b"llama.clock_count"), "llama.block_count: missing"),
        (with(b"blk.1.ffn_up.weight", b"blk.1.ffn_op.weight"), "tensor layers.1.mlp.up_proj.weight is missing"),
        (with(b"rope_freqs.weight", b"rope_frogs.weight"), "accepted"),
        (
            with(
                &key(b"output_norm.weight", 1, &32u64.to_le_bytes()),
                &key(b"output_norm.weight", 1, &(1u64 << 60).to_le_bytes()),
            ),
            "the tensor \"output_norm.weight\" goes beyond its end",
        ),
        (
            [
                b"GGUF\x03\0\0\0".as_slice(),
                &0u64.to_le_bytes(),
                &1u64.to_le_bytes(),
                &17u64.to_le_bytes(),
                &key(b"general.alignment", 4, &0u32.to_le_bytes()),
            ]
            .concat(),
            "its header contradicts itself",
        ),
        (
            with(
                &key(b"tokenizer.ggml.eos_token_id", 4, &2u32.to_le_bytes()),
                &key(b"tokenizer.ggml.eos_token_id", 4, &9999u32.to_le_bytes()),
            ),
            "eos_token_id: found U32(9999)",
        ),
        (
            with(
                &key(b"llama.attention.head_count_kv", 4, &2u32.to_le_bytes()),
                &key(b"llama.attention.head_count_kv", 4, &3u32.to_le_bytes()),
            ),
            "cannot share",
        ),
    ] {
        let text = all_of(&bytes).map_or_else(|error| error.to_string(), |()| "accepted".to_owned());
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
