//! Every family's states and scores equal transformers' on tiny random models.
//!
//! Fixtures: `tests/fixtures/make_encoders.py` (transformers, f32, eager attention).
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::super::checkpoint::{self, Weights};
use super::super::fields::Fields;
use super::super::locate;
use super::super::model::{Architecture, Placement, Transformer};
use super::super::score_head::ScoreHead;
use super::super::tokens::{Cut, Encoded};
use crate::config::Dtype;
use crate::files;

const MODELS: [&str; 12] = [
    "bert-1",
    "bert-3",
    "deberta-v2-3",
    "deberta-v3-1",
    "deberta-v3-long",
    "distilbert-1",
    "distilbert-3",
    "modernbert-1",
    "modernbert-3",
    "modernbert-long",
    "roberta-1",
    "xlm-roberta-3",
];

#[derive(Deserialize)]
struct Case {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    logits: Vec<f32>,
}

impl Case {
    fn encoded(&self) -> Encoded {
        let (ids, type_ids) = (self.ids.clone(), self.type_ids.clone());
        Encoded { response: 1..ids.len(), ids, type_ids, cut: Cut::default() }
    }
}

struct Model {
    folder: PathBuf,
    layers: usize,
    transformer: Box<dyn Transformer>,
    head: ScoreHead,
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/encoders").join(name)
}

fn config(name: &str) -> (PathBuf, Value) {
    let path = folder(name).join("config.json");
    let text = files::read_text(&path, "the configuration").expect("fixture");
    (path, serde_json::from_str(&text).expect("JSON"))
}

/// The model `name` with its first layers only, or all.
fn open(name: &str, deepest: Option<usize>) -> Model {
    let load = |architecture: &dyn Architecture, weights: &Weights, deepest| {
        architecture.load(weights, deepest, &Placement::CPU)
    };
    open_by(name, deepest, &load)
}

/// The model `name` as it runs where there are no kernels of ours, but on the processor.
fn open_on_candle(name: &str, dtype: Dtype) -> Model {
    let (path, config) = config(name);
    let placement = Placement { dtype, ..Placement::CPU };
    let load = |architecture: &dyn Architecture, weights: &Weights, deepest| match super::family(&config) {
        Some("modernbert" | "deberta-v2") => architecture.load(weights, deepest, &placement),
        family => super::bert::read(family.expect("a family"), &mut Fields::new(&path, "", &config))
            .expect("accepted")
            .load_on_candle(weights, deepest, &placement),
    };
    open_by(name, None, &load)
}

type Load<'a> = &'a dyn Fn(&dyn Architecture, &Weights, usize) -> candle_core::Result<Box<dyn Transformer>>;

fn open_by(name: &str, deepest: Option<usize>, load: Load<'_>) -> Model {
    let (folder, (path, config)) = (folder(name), config(name));
    let architecture = super::read(&path, &config).expect("accepted");
    let layers = architecture.shape().layers;
    let deepest = deepest.unwrap_or(layers);
    let head = ScoreHead::describe(&path, &config).expect("a head");
    let mut expected = architecture.tensors(deepest);
    expected.extend(head.tensors());
    let weights = checkpoint::read(&locate::locate(&folder).expect("found"), &expected).expect("read");
    let transformer = load(architecture.as_ref(), &weights, deepest).expect("loads");
    Model { folder, layers, transformer, head: head.load(&weights).expect("loads") }
}

impl Model {
    /// The cases with their states `(layers + 1, tokens, width)`.
    fn cases(&self) -> Vec<(Case, Tensor)> {
        let text = files::read_text(&self.folder.join("cases.json"), "the cases").expect("fixture");
        let cases: Vec<Case> = serde_json::from_str(&text).expect("JSON");
        let states = candle_core::safetensors::load(self.folder.join("states.safetensors"), &Device::Cpu);
        let states = states.expect("fixture");
        assert_eq!(cases.len(), states.len());
        cases.into_iter().enumerate().map(|(index, case)| (case, states[&index.to_string()].clone())).collect()
    }

    fn states(&self, case: &Case, layers: &[usize]) -> candle_core::Result<Vec<Tensor>> {
        Ok(self.transformer.states(&[&case.encoded()], layers)?.remove(0))
    }

    fn all_layers(&self) -> Vec<usize> {
        (0..=self.layers).collect()
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_dtype(DType::F32)?.to_vec1()).expect("numbers")
}

/// The largest |ours − reference| over the largest |reference|.
fn relative_difference(ours: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(ours.len(), reference.len());
    assert!(ours.iter().all(|value| value.is_finite()));
    let largest = reference.iter().fold(0f32, |most, value| most.max(value.abs()));
    ours.iter().zip(reference).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

/// The largest relative difference of each layer to transformers' states.
fn worst_by_layer(model: &Model) -> Vec<f32> {
    let mut worst = vec![0f32; model.layers + 1];
    for (case, reference) in model.cases() {
        let states = model.states(&case, &model.all_layers()).expect("runs");
        for (layer, state) in states.iter().enumerate() {
            let expected = reference.get(layer).expect("a layer");
            assert_eq!(state.dims(), expected.dims());
            worst[layer] = worst[layer].max(relative_difference(&values(state), &values(&expected)));
        }
    }
    worst
}

#[test]
fn every_layer_of_every_family_equals_transformers() {
    for name in MODELS {
        for (place, model) in [("cpu", open(name, None)), ("candle", open_on_candle(name, Dtype::F32))] {
            let worst = worst_by_layer(&model);
            println!("{name}: largest relative difference by layer on {place} {worst:?}");
            assert!(worst.iter().all(|difference| *difference <= 1e-4), "{name} on {place}: {worst:?}");
        }
    }
}

/// What runs on graphics cards, on the processor: every table, mask and angle takes the type of the weights.
#[test]
fn states_in_bfloat16_are_near_transformers() {
    for name in MODELS.into_iter().filter(|name| !name.starts_with("deberta")) {
        let worst = worst_by_layer(&open_on_candle(name, Dtype::Bf16));
        println!("{name}: largest relative difference by layer in bf16 {worst:?}");
        assert!(worst.iter().all(|difference| *difference > 1e-4), "{name} is not rounded to 8 bits: {worst:?}");
        assert!(worst.iter().all(|difference| *difference < 0.2), "{name}: {worst:?}");
    }
}

#[test]
fn every_score_head_equals_transformers() {
    for name in MODELS {
        let (model, mut worst) = (open(name, None), 0f32);
        for (case, _) in model.cases() {
            let states = model.states(&case, &[model.layers]).expect("runs");
            let scores = model.head.scores(&states[0], &case.ids).expect("scores");
            assert_eq!(scores.len(), model.head.labels().len());
            worst = worst.max(relative_difference(&scores, &case.logits));
        }
        println!("{name}: largest relative difference of the scores {worst:.1e}");
        assert!(worst <= 1e-4, "{name}: {worst:e}");
        let labels: &[&str] = if name.ends_with('3') { &["helpful", "harmless", "honest"] } else { &["LABEL_0"] };
        assert_eq!(model.head.labels(), labels, "{name}");
    }
}

#[test]
fn one_layer_has_the_same_bits_alone_in_any_order_and_in_a_model_cut_above_it() {
    for name in MODELS {
        let model = open(name, None);
        let (case, _) = model.cases().pop().expect("the longest case");
        let whole = model.states(&case, &model.all_layers()).expect("runs");
        let backwards: Vec<usize> = model.all_layers().into_iter().rev().collect();
        let reversed = model.states(&case, &backwards).expect("runs");
        for layer in model.all_layers() {
            let expected = values(&whole[layer]);
            let alone = model.states(&case, &[layer]).expect("runs");
            let cut = open(name, Some(layer)).states(&case, &[layer]).expect("runs");
            assert!(values(&alone[0]) == expected, "{name}, layer {layer} alone");
            assert!(values(&cut[0]) == expected, "{name}, layer {layer} of a cut model");
            assert!(values(&reversed[model.layers - layer]) == expected, "{name}, layer {layer} in reverse order");
        }
    }
}

#[test]
fn a_layer_that_was_not_loaded_is_an_error() {
    for name in ["bert-1", "deberta-v3-1", "modernbert-1"] {
        let model = open(name, Some(1));
        let (case, _) = model.cases().remove(0);
        assert!(model.states(&case, &[2]).is_err(), "{name}");
    }
}
