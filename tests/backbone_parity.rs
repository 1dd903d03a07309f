//! The backbone's features equal transformers' on stored texts, and do not depend on batch, order or threads.
//!
//! Fixtures: `fixtures/make_parity.py` (transformers, f32). Real data: `ENSEMBLE_DATA`, where it is set.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use ensemble::backbone::{Backbone, Encoded};
use ensemble::config::{BackboneConfig, Device, Dtype, ModelPlace, Pooling};
use ensemble::conversation::{Item, Message, Role};
use ensemble::features::Extractor;
use ensemble::progress::Silent;
use ensemble::random::Random;
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    prompt: String,
    response: String,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    response_start: usize,
    response_end: usize,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn config(pooling: Pooling, layers: &[i64], max_tokens: usize) -> BackboneConfig {
    BackboneConfig {
        place: ModelPlace::Disk(root().join("backbones/mini")),
        max_tokens,
        pooling: Some(pooling),
        layers: Some(layers.to_vec()),
        dtype: Dtype::F32,
        device: Device::Cpu,
        score_head: false,
    }
}

fn mini(pooling: Pooling, layers: &[i64]) -> Backbone {
    Backbone::open(&config(pooling, layers, 256)).expect("mini opens")
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/fixtures/parity/mini.json")).expect("fixture");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("fixture");
    assert!(cases.len() >= 50);
    cases
}

/// The reference features under `name`, one row a case.
fn reference(name: &str) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(root().join("tests/fixtures/parity/mini.safetensors")).expect("fixture");
    let file = SafeTensors::deserialize(&bytes).expect("fixture");
    let tensor = file.tensor(name).expect("fixture");
    let width = tensor.shape()[1];
    let values: Vec<f32> =
        tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four"))).collect();
    values.chunks_exact(width).map(<[f32]>::to_vec).collect()
}

/// ‖ours − reference‖∞ / ‖reference‖∞.
fn relative_difference(ours: &[f32], reference: &[f32]) -> f32 {
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0f32, |most, value| most.max(value.abs()));
    largest(&mut ours.iter().zip(reference).map(|(a, b)| a - b)) / largest(&mut reference.iter().copied())
}

fn assert_parity(name: &str, pooling: Pooling, layers: &[i64]) {
    let (backbone, mut worst) = (mini(pooling, layers), 0f32);
    for (index, (case, expected)) in cases().iter().zip(reference(name)).enumerate() {
        let encoded = encode(&backbone, &case.prompt, &case.response);
        assert_eq!(encoded.ids, case.ids, "token ids of case {index}");
        assert_eq!(encoded.type_ids, case.type_ids, "segments of case {index}");
        assert_eq!(encoded.response, case.response_start..case.response_end, "response of case {index}");
        let features = features(&backbone, &encoded);
        let difference = relative_difference(&features, &expected);
        assert!(difference < 1e-4, "case {index} of {name}: relative difference {difference:e}");
        worst = worst.max(difference);
    }
    println!("{name}: {} texts, largest relative difference {worst:.1e}", cases().len());
}

#[test]
fn mean_of_the_response_equals_transformers() {
    assert_parity("mean_response_last", Pooling::MeanResponse, &[-1]);
}

#[test]
fn an_inner_layer_equals_transformers() {
    assert_parity("mean_response_layer2", Pooling::MeanResponse, &[2]);
}

#[test]
fn mean_of_all_tokens_equals_transformers() {
    assert_parity("mean_all_last", Pooling::MeanAll, &[-1]);
}

#[test]
fn first_token_equals_transformers() {
    assert_parity("cls_last", Pooling::Cls, &[3]);
}

#[test]
fn several_layers_are_the_single_layers_side_by_side() {
    let both = mini(Pooling::MeanResponse, &[-1, 2]);
    let (last, second) = (reference("mean_response_last"), reference("mean_response_layer2"));
    for (case, (last, second)) in cases().iter().zip(last.iter().zip(&second)).take(10) {
        let features = features(&both, &encode(&both, &case.prompt, &case.response));
        let expected: Vec<f32> = last.iter().chain(second).copied().collect();
        assert!(relative_difference(&features, &expected) < 1e-4);
    }
}

/// A prompt of one user message and a response, as token ids.
fn encode(backbone: &Backbone, prompt: &str, response: &str) -> Encoded {
    let prompt = [Message { role: Role::User, content: prompt.to_owned() }];
    backbone.encode(&backbone.render(&prompt, response).expect("renders")).expect("encodes")
}

/// The features of the one readout.
fn features(backbone: &Backbone, encoded: &Encoded) -> Vec<f32> {
    let mut vectors = backbone.features(&[encoded]).expect("finite").remove(0);
    assert_eq!(vectors.len(), 1);
    vectors.remove(0)
}

fn items() -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (round, case) in cases().iter().cycle().take(500).enumerate() {
        let content = format!("{} {round}", case.prompt);
        items.push(Item { prompt: vec![Message { role: Role::User, content }], response: case.response.clone() });
    }
    items
}

/// The features of `items` in one batch, to the bit.
fn bits(extractor: &Extractor<'_>, items: &[&Item]) -> Vec<Vec<u32>> {
    let texts = extractor.render(items).expect("renders");
    let rows = extractor.extract(&texts.iter().collect::<Vec<_>>(), &Silent).expect("finite");
    rows.iter().flatten().map(|row| row.vector.iter().map(|value| value.to_bits()).collect()).collect()
}

#[test]
fn bits_do_not_depend_on_batch_order_or_threads() {
    let backbone = mini(Pooling::MeanResponse, &[-1]);
    let items = items();
    let references: Vec<&Item> = items.iter().collect();
    let whole = bits(&Extractor::new(&backbone, 2).expect("threads"), &references);
    let one_thread = Extractor::new(&backbone, 1).expect("threads");
    let mut batched = Vec::new();
    for batch in references.chunks(7) {
        batched.extend(bits(&one_thread, batch));
    }
    assert!(batched == whole, "batches of 7 on one thread");
    let reversed: Vec<&Item> = references.iter().rev().copied().collect();
    let mut backwards = bits(&one_thread, &reversed);
    backwards.reverse();
    assert!(backwards == whole, "reversed order");
}

#[test]
fn groups_of_any_size_give_the_bits_of_single_texts() {
    let backbone = mini(Pooling::MeanResponse, &[-1]);
    // Up to nine responses to a prompt, in any order.
    let mut items: Vec<Item> = cases()
        .iter()
        .zip(0..54)
        .map(|(case, round)| {
            let prompt = vec![Message { role: Role::User, content: cases()[round % 6].prompt.clone() }];
            Item { prompt, response: case.response.clone() }
        })
        .collect();
    let one = |item: &Item| {
        let encoded = backbone.encode(&backbone.render(&item.prompt, &item.response).expect("renders"));
        let features = features(&backbone, &encoded.expect("encodes"));
        (item.clone(), features.iter().map(|value| value.to_bits()).collect())
    };
    let alone: BTreeMap<Item, Vec<u32>> = items.iter().map(one).collect();
    let mut random = Random::new(7);
    for threads in 1..=3 {
        for tokens in [1, 64, 512, 100_000] {
            random.shuffle(&mut items);
            let extractor = Extractor::new(&backbone, threads).expect("threads").with_group_tokens(tokens);
            let grouped = bits(&extractor, &items.iter().collect::<Vec<_>>());
            let same = items.iter().zip(&grouped).all(|(item, grouped)| *grouped == alone[item]);
            assert!(same && grouped.len() == items.len(), "{threads} threads, {tokens} tokens a group");
        }
    }
}

#[test]
fn text_that_spells_a_special_token_stays_text() {
    let backbone = mini(Pooling::MeanResponse, &[-1]);
    let encoded = encode(&backbone, "a [SEP] b", "[CLS] c [PAD]");
    let control = |id: &&u32| **id == encoded.ids[0] || **id == encoded.ids[encoded.ids.len() - 1];
    assert_eq!(encoded.ids.iter().filter(control).count(), 3, "one [CLS] and two [SEP]");
}

#[test]
fn layers_and_lengths_the_model_lacks_are_refused() {
    let open = |layers: &[i64], max_tokens: usize| {
        Backbone::open(&config(Pooling::Cls, layers, max_tokens))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(open(&[4], 256).contains("no layer 4"));
    assert!(open(&[-5], 256).contains("no layer -5"));
    assert!(open(&[3], 513).contains("8 to 512"));
}
