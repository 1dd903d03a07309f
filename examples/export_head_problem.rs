//! Writes one objective's fitting problem and our solution, so that another library can solve the same one.
//!
//! ```text
//! cargo run --release --example export_head_problem -- configs/quickstart.yaml safety problem.safetensors
//! python tests/fixtures/make_logistic.py --features problem.safetensors
//! ```
//!
//! The second command fits scikit-learn's LogisticRegression on it and prints the largest relative difference.

use std::path::Path;

use ensemble::backbone::Backbone;
use ensemble::config;
use ensemble::data::{self, Split};
use ensemble::error::{Error, Fault, Result};
use ensemble::features::{Extractor, embed};
use ensemble::files;
use ensemble::head::{Comparison, Fit, FitSettings, fit};
use ensemble::progress::Silent;
use safetensors::tensor::{Dtype, TensorView, serialize};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, objective, output] = arguments.as_slice() else {
        let usage = "CONFIG OBJECTIVE OUTPUT.safetensors";
        return Err(Error::Usage(vec![Fault::new("arguments", "three are needed").accepts(usage)]));
    };
    let config = config::load(Path::new(config), &[])?;
    let dataset = data::load(&config)?;
    let Some(pairs) = dataset.objectives.iter().find(|known| known.name == *objective) else {
        return Err(Error::Usage(vec![Fault::new(objective, "the config has no such objective")]));
    };
    let backbone = Backbone::open(&config.backbone)?;
    let extractor = Extractor::new(&backbone, ensemble::ensemble::default_threads())?;
    let (matrices, _) = embed(&extractor, &dataset.items, &config.output.cache, &Silent)?;
    let [features] = matrices.as_slice() else {
        return Err(Error::Usage(vec![Fault::new("backbone.pooling", "a search is on").accepts("one pooling")]));
    };
    let training: Vec<Comparison> = pairs
        .pairs
        .iter()
        .filter(|pair| pair.split == Split::Train && pair.preference == 1.0)
        .enumerate()
        .map(|(index, pair)| Comparison {
            chosen: pair.chosen,
            rejected: pair.rejected,
            preference: 1.0,
            group: index as u64,
            // The file has no place for them: the plain problem is compared.
            margin: 0.0,
            weight: 1.0,
        })
        .collect();
    let settings = FitSettings::with_l2(100.0);
    let fitted = fit(features, &training, &settings)?;
    let rows: Vec<f32> = (0..features.rows()).flat_map(|row| features.row(row).iter().copied()).collect();
    files::write_atomic(Path::new(output), &problem(&rows, features.width(), &training, &fitted)?)
}

fn problem(rows: &[f32], width: usize, training: &[Comparison], fitted: &Fit) -> Result<Vec<u8>> {
    let floats: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
    let indices = training.iter().flat_map(|pair| [pair.chosen as i64, pair.rejected as i64]);
    let pairs: Vec<u8> = indices.flat_map(i64::to_le_bytes).collect();
    let doubles = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (l2, weights, deviations) = (
        doubles(&[fitted.l2]),
        doubles(&fitted.standardised_weights),
        doubles(&fitted.posterior.standardiser.deviations),
    );
    let tensors = [
        ("features", Dtype::F32, vec![rows.len() / width, width], &floats),
        ("pairs", Dtype::I64, vec![training.len(), 2], &pairs),
        ("l2", Dtype::F64, vec![1], &l2),
        ("weights", Dtype::F64, vec![width], &weights),
        ("std", Dtype::F64, vec![width], &deviations),
    ];
    let unwritable = |error| Error::Io(vec![Fault::new("problem", error)]);
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        views.push((name, TensorView::new(dtype, shape, bytes).map_err(unwritable)?));
    }
    serialize(views, None).map_err(unwritable)
}
