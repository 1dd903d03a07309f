//! `ensemble weights flip`: by which weights the preference between two answers turns round, one JSON line per pair.

use serde_json::{Map, Value, json};

use super::{Objectives, difference, normalized, read};
use crate::cli::arguments::FlipOptions;
use crate::cli::machine::Machine;
use crate::cli::ui::Ui;
use crate::data::{Dataset, Pair, render_prompt};
use crate::error::Result;
use crate::registry::read_manifest;
use crate::weights::flip;

pub(super) fn run(options: &FlipOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    let objectives = Objectives::of(&read_manifest(&options.registry)?, ui);
    let dataset = read("FILE", &options.file, &options.reading)?;
    let scores = normalized(&options.registry, &dataset, machine, ui)?;
    let pairs = &dataset.holistic.pairs;
    let mut turning = 0;
    for pair in pairs {
        let line = describe(pair, &dataset, &objectives, &difference(pair, &scores));
        turning += usize::from(!line["nearest"].is_null());
        ui.data(&line.to_string())?;
    }
    ui.note(&format!("{} pairs: {turning} turn round somewhere between the objectives' weights", pairs.len()));
    if objectives.weights.iter().sum::<f64>() <= 0.0 {
        ui.note("the weights' sum is not above 0, so that they have no place among weights that sum to 1");
    }
    Ok(0)
}

/// The line of one pair.
fn describe(pair: &Pair, dataset: &Dataset, objectives: &Objectives, difference: &[f64]) -> Value {
    let found = flip(difference, &objectives.weights);
    let named = |values: &[Value]| -> Map<String, Value> {
        objectives.names.iter().cloned().zip(values.iter().cloned()).collect()
    };
    let numbers = |values: &[f64]| named(&values.iter().map(|value| json!(value)).collect::<Vec<Value>>());
    let preferred = match found.margin {
        margin if margin > 0.0 => "chosen",
        margin if margin < 0.0 => "rejected",
        _ => "neither",
    };
    let flip_weights: Vec<Value> = found.flip_weights.iter().map(|weight| json!(weight)).collect();
    let nearest =
        found.nearest.map(|nearest| json!({ "weights": numbers(&nearest.weights), "distance": nearest.distance }));
    let (chosen, rejected) = (&dataset.items[pair.chosen], &dataset.items[pair.rejected]);
    json!({
        "prompt": render_prompt(&chosen.prompt), "chosen": chosen.response, "rejected": rejected.response,
        "label": pair.preference, "margins": numbers(difference), "combined_margin": found.margin,
        "preferred": preferred, "flip_weights": named(&flip_weights), "nearest": nearest,
    })
}
