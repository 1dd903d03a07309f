//! The decoder's states and losses equal transformers' on tiny random models of every family.
//!
//! Fixtures: `tests/fixtures/make_decoders.py`.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use candle_core::{DType, Device, Result, Tensor};
use serde_json::Value;

use super::Decoder;
use super::config::DecoderConfig;
use crate::backbone::model::{Architecture, SingleText};
use crate::backbone::perplexity;
use crate::backbone::tokens::{Cut, Encoded};
use crate::files;

/// Each case with the folder that has its weights.
const CASES: [(&str, &str); 12] = [
    ("llama", "llama"),
    ("llama_linear", "llama"),
    ("llama_llama3", "llama"),
    ("llama_yarn", "llama"),
    ("llama_yarn_tuned", "llama"),
    ("llama_dynamic", "llama"),
    ("llama_biases", "llama_biases"),
    ("mistral", "mistral"),
    ("qwen2", "qwen2"),
    ("qwen2_tied", "qwen2_tied"),
    ("qwen3", "qwen3"),
    ("gemma3", "gemma3"),
];
const LENGTHS: [usize; 3] = [1, 7, 40];

fn fixture(case: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoders").join(case).join(file)
}

fn tensors(case: &str, file: &str) -> BTreeMap<String, Tensor> {
    let bytes = files::read(&fixture(case, file), "a fixture").expect("fixture");
    candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).expect("fixture").into_iter().collect()
}

/// The `config.json` of a case.
pub(super) fn json(case: &str) -> Value {
    let text = files::read_text(&fixture(case, "config.json"), "a fixture").expect("fixture");
    serde_json::from_str(&text).expect("fixture")
}

fn config(case: &str) -> DecoderConfig {
    DecoderConfig::read("config.json".as_ref(), &json(case)).expect("a good configuration")
}

/// The weights in F32 under names without `model.`.
fn weights(folder: &str) -> BTreeMap<String, Tensor> {
    let plain = |(name, tensor): (String, Tensor)| {
        let name = name.strip_prefix("model.").unwrap_or(&name).to_owned();
        (name, tensor.to_dtype(DType::F32).expect("converted"))
    };
    tensors(folder, "model.safetensors").into_iter().map(plain).collect()
}

fn get(weights: &BTreeMap<String, Tensor>, name: &str) -> Result<Tensor> {
    weights.get(name).cloned().ok_or_else(|| candle_core::Error::msg(format!("no tensor {name}")))
}

/// The case's model with everything up to the logits.
fn decoder(case: &str, folder: &str) -> Decoder {
    let weights = weights(folder);
    let config = config(case);
    Decoder::load(&config, config.shape().layers + 1, &|name| get(&weights, name)).expect("loads")
}

fn encoded(ids: &[u32]) -> Encoded {
    Encoded { ids: ids.to_vec(), type_ids: vec![0; ids.len()], response: 0..ids.len(), cut: Cut::default() }
}

fn ids(reference: &BTreeMap<String, Tensor>, length: usize) -> Vec<u32> {
    reference[&format!("ids_{length}")].to_dtype(DType::U32).and_then(|ids| ids.to_vec1()).expect("ids")
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("values")
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    values(tensor).into_iter().map(f32::to_bits).collect()
}

/// ‖ours − reference‖∞ / ‖reference‖∞.
fn difference(ours: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(ours.len(), reference.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0f32, |most, value| most.max(value.abs()));
    assert!(ours.iter().all(|value| value.is_finite()));
    largest(&mut ours.iter().zip(reference).map(|(a, b)| a - b)) / largest(&mut reference.iter().copied())
}

/// The largest difference over all layers and texts, with attention in blocks of `block` queries.
fn worst_layer(case: &str, folder: &str, block: usize) -> f32 {
    let (mut decoder, reference) = (decoder(case, folder), tensors(case, "reference.safetensors"));
    decoder.layers.iter_mut().for_each(|layer| layer.attention.block = block);
    let layers: Vec<usize> = (0..=decoder.count).collect();
    let mut worst = 0f32;
    for length in LENGTHS {
        let states = decoder.states_of(&encoded(&ids(&reference, length)), &layers).expect("states");
        for (layer, state) in states.iter().enumerate() {
            let expected = reference[&format!("states_{length}")].get(layer).expect("layer");
            assert_eq!(state.dims(), expected.dims());
            worst = worst.max(difference(&values(state), &values(&expected)));
        }
    }
    worst
}

#[test]
fn states_of_every_layer_equal_transformers() {
    for (case, folder) in CASES {
        let worst = worst_layer(case, folder, super::BLOCK);
        println!("{case}: largest relative difference {worst:.1e}");
        assert!(worst < 1e-5, "{case}: {worst:e}");
    }
}

/// What runs on graphics cards, on the processor: every table, mask and angle has the type of the weights.
#[test]
fn states_in_bfloat16_are_near_transformers() {
    for (case, folder) in CASES {
        let (weights, config, reference) = (weights(folder), config(case), tensors(case, "reference.safetensors"));
        let rounded = |name: &str| get(&weights, name)?.to_dtype(DType::BF16);
        let decoder = Decoder::load(&config, config.shape().layers, &rounded).expect("loads");
        let layers: Vec<usize> = (0..=decoder.count).collect();
        let states = decoder.states_of(&encoded(&ids(&reference, 40)), &layers).expect("states");
        let mut worst = 0f32;
        for (layer, state) in states.iter().enumerate() {
            let state = state.to_dtype(DType::F32).expect("converted");
            let expected = reference["states_40"].get(layer).expect("layer");
            worst = worst.max(difference(&values(&state), &values(&expected)));
        }
        println!("{case}: largest relative difference in bf16 {worst:.1e}");
        assert!(worst > 1e-4, "{case}: {worst:e} is not what eight bits give");
        assert!(worst < 0.2, "{case}: {worst:e}");
    }
}

#[test]
fn attention_in_blocks_is_the_same() {
    for (case, folder) in CASES {
        for block in [1, 3, 7] {
            let worst = worst_layer(case, folder, block);
            assert!(worst < 1e-5, "{case} in blocks of {block}: {worst:e}");
        }
    }
}

#[test]
fn losses_equal_transformers() {
    for (case, folder) in CASES {
        let (decoder, reference) = (decoder(case, folder), tensors(case, "reference.safetensors"));
        for length in [7, 40] {
            let ids = ids(&reference, length);
            let logits = &decoder.states_of(&encoded(&ids), &[decoder.count + 1]).expect("logits")[0];
            let losses: Vec<f32> =
                perplexity::losses(logits, &ids).expect("losses").iter().map(|&loss| loss as f32).collect();
            let worst = difference(&losses, &values(&reference[&format!("losses_{length}")]));
            println!("{case}, {length} tokens: largest relative difference of losses {worst:.1e}");
            assert!(worst < 1e-5, "{case}: {worst:e}");
        }
    }
}

#[test]
fn a_uniform_guess_loses_the_logarithm_of_the_vocabulary() {
    let logits = Tensor::full(3f32, (2, 5), &Device::Cpu).expect("logits");
    let losses = perplexity::losses(&logits, &[0, 4, 2]).expect("losses");
    assert!(losses.len() == 2 && losses.iter().all(|loss| (loss - 5f64.ln()).abs() < 1e-12));
    assert!(perplexity::losses(&logits, &[0, 5]).is_err());
    assert!(perplexity::losses(&logits, &[]).expect("no loss").is_empty());
}

#[test]
fn one_layer_alone_has_the_bits_of_all_layers_together() {
    for (case, folder) in CASES {
        let (whole, weights, config) = (decoder(case, folder), weights(folder), config(case));
        let text = encoded(&ids(&tensors(case, "reference.safetensors"), 40));
        let layers: Vec<usize> = (0..=whole.count + 1).collect();
        let all = whole.states_of(&text, &layers).expect("states");
        for &layer in &layers {
            let cut = Decoder::load(&config, layer, &|name| get(&weights, name)).expect("loads");
            let alone = cut.states_of(&text, &[layer]).expect("states");
            assert_eq!(bits(&alone[0]), bits(&all[layer]), "{case}, layer {layer}");
            assert!(cut.states_of(&text, &[layer + 1]).is_err(), "{case}: layer {layer} is the deepest");
        }
        let swapped = whole.states_of(&text, &[2, 0, 2]).expect("states");
        assert_eq!(swapped.iter().map(bits).collect::<Vec<_>>(), [bits(&all[2]), bits(&all[0]), bits(&all[2])]);
    }
}

#[test]
fn a_token_sees_only_what_stands_before_it() {
    for (case, folder) in CASES {
        let decoder = decoder(case, folder);
        let ids = ids(&tensors(case, "reference.safetensors"), 40);
        let last = |ids: &[u32]| values(&decoder.states_of(&encoded(ids), &[decoder.count]).expect("states")[0]);
        let (whole, beginning) = (last(&ids), last(&ids[..23]));
        let worst = difference(&beginning, &whole[..beginning.len()]);
        assert!(worst < 1e-5, "{case}: {worst:e}");
    }
}

#[test]
fn listed_tensors_are_those_that_are_read_and_stored() {
    for (case, folder) in CASES {
        let (weights, config) = (weights(folder), config(case));
        for deepest in 0..=config.shape().layers + 1 {
            let read = RefCell::new(BTreeSet::new());
            let record = |name: &str| {
                read.borrow_mut().insert(name.to_owned());
                get(&weights, name)
            };
            Decoder::load(&config, deepest, &record).expect("loads");
            let listed = config.tensors(deepest);
            for (name, shape) in &listed {
                assert_eq!(weights[name].dims(), shape.as_slice(), "{case}: {name}");
            }
            assert_eq!(read.into_inner(), listed.into_iter().map(|(name, _)| name).collect(), "{case} to {deepest}");
        }
        assert_eq!(config.tensors(config.shape().layers + 1).len(), weights.len(), "{case}: every weight is used");
    }
}

#[test]
fn ids_without_a_row_and_empty_texts_are_errors() {
    let decoder = decoder("llama", "llama");
    assert!(decoder.states_of(&encoded(&[5, 96]), &[1]).is_err());
    assert!(decoder.states_of(&encoded(&[]), &[1]).is_err());
    assert!(decoder.states_of(&encoded(&[5, 95]), &[]).expect("nothing was asked").is_empty());
}
