//! A registry as a Hugging Face sequence classifier: one label when the ensemble is linear, one per objective
//! otherwise, with a model card and golden examples.

mod card;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::backbone::{Classifier, ExportedModel, sequence_classifier, tokenizer_files};
use crate::conversation::Item;
use crate::ensemble::{Ensemble, Score};
use crate::error::{Error, Fault, Result};
use crate::files;
use crate::head::LinearHead;
use crate::registry::{self, Manifest};

/// The name of the one label of a folded ensemble.
pub const REWARD: &str = "reward";

/// Which scores the classifier gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// The combined score when it is linear in the features, one per objective otherwise.
    Auto,
    /// The combined score.
    Combined,
    /// One calibrated raw score per objective.
    Objectives,
}

/// What an export wrote.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Exported {
    /// The classifier's labels.
    pub labels: Vec<String>,
    /// What must be added to each logit; zero where the architecture has a constant.
    pub offsets: Vec<f64>,
    /// Why the combined score could not be one label, if it could not.
    pub not_folded: Option<String>,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// Writes the registry at `registry` as a classifier into the new or empty folder `output`.
///
/// # Errors
/// [`Error::Usage`] when `output` holds files; [`Error::Model`] with the reason when the architecture, the readout or
/// the rule cannot be exported; what opening the registry reports.
pub fn export(registry: &Path, output: &Path, labels: Labels) -> Result<Exported> {
    if output.exists() && (!output.is_dir() || !files::list(output)?.is_empty()) {
        let fault = Fault::new(output.display(), "this is not an empty folder").accepts("a new or an empty folder");
        return Err(Error::Usage(vec![fault.help("nothing is overwritten: choose another folder")]));
    }
    let manifest = registry::read_manifest(registry)?;
    let ensemble = Ensemble::open(registry)?;
    let heads = heads(&manifest, &ensemble, labels)?;
    let config = registry::backbone_config(registry, &manifest.backbone);
    let endings = manifest.golden.iter().filter_map(|golden| golden.ids.last().copied()).collect();
    let model = sequence_classifier(&config, ensemble.backbone().readout(), &heads.classifier, &endings)?;
    let golden = golden(&manifest, &ensemble, &heads, &model)?;
    let mut contents = tokenizer_files(&config)?;
    contents.push(("README.md".to_owned(), card::card(&manifest, &heads, &model).into_bytes()));
    contents.push(("golden.json".to_owned(), pretty(&golden)));
    // Last, because a folder without it is not taken for a model.
    let config = pretty(&model.config);
    contents.extend([("model.safetensors".to_owned(), model.weights), ("config.json".to_owned(), config)]);
    let files = write_all(output, &contents)?;
    let Heads { classifier, not_folded, .. } = heads;
    Ok(Exported { labels: classifier.labels, offsets: model.offsets, not_folded, files })
}

/// Writes every file, or none: a full disk must not leave a folder that the next export refuses.
fn write_all(output: &Path, contents: &[(String, Vec<u8>)]) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (name, bytes) in contents {
        let path = output.join(name);
        if let Err(error) = files::write_atomic(&path, bytes) {
            written.iter().for_each(|path: &PathBuf| files::remove(path).unwrap_or_default());
            return Err(error);
        }
        written.push(path);
    }
    Ok(written)
}

/// The heads as linear maps of the features.
struct Heads {
    classifier: Classifier,
    /// Whether the one head is the combined score.
    folded: bool,
    /// Why it is not, although it was to be if possible.
    not_folded: Option<String>,
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn heads(manifest: &Manifest, ensemble: &Ensemble, labels: Labels) -> Result<Heads> {
    let heads = linear_heads(ensemble)?;
    let objectives = |not_folded| {
        let classifier = Classifier {
            labels: manifest.objectives.iter().map(|entry| entry.name.clone()).collect(),
            weights: heads.iter().map(|head| head.weights.clone()).collect(),
            biases: heads.iter().map(|head| head.bias).collect(),
        };
        Heads { classifier, folded: false, not_folded }
    };
    if labels == Labels::Objectives {
        return Ok(objectives(None));
    }
    let (weights, bias) = match folded(manifest, ensemble, &heads) {
        Ok(folded) => folded,
        Err(fault) if labels == Labels::Combined => {
            return Err(Error::Model(vec![fault.help("leave out --labels combined: one label per objective")]));
        }
        Err(fault) => return Ok(objectives(Some(fault.found))),
    };
    let classifier = Classifier { labels: vec![REWARD.to_owned()], weights: vec![weights], biases: vec![bias] };
    Ok(Heads { classifier, folded: true, not_folded: None })
}

/// Every head as a linear map.
fn linear_heads(ensemble: &Ensemble) -> Result<Vec<LinearHead>> {
    let linear = |(name, head): (&String, Option<LinearHead>)| {
        head.ok_or_else(|| Fault::new("export", format!("the head of \"{name}\" has a hidden layer")))
    };
    let heads: Result<Vec<LinearHead>, Fault> =
        ensemble.names().iter().zip(ensemble.linear_heads()).map(linear).collect();
    heads.map_err(|fault| {
        let fault = fault.accepts("linear heads");
        Error::Model(vec![
            fault.help("a sequence classifier ends in one linear layer: train the objective without head.mlp"),
        ])
    })
}

/// The weights and the bias of the combined score as one head; the reason where it is none.
fn folded(manifest: &Manifest, ensemble: &Ensemble, heads: &[LinearHead]) -> Result<(Vec<f64>, f64), Fault> {
    let factors = ensemble
        .combiner()
        .linear()
        .map_err(|why| Fault::new("export", why).accepts("rule: weighted_sum without uncertainty_penalty"))?;
    let mut weights = vec![0.0; heads.first().map_or(0, |head| head.weights.len())];
    let mut bias = 0.0;
    for ((entry, head), factor) in manifest.objectives.iter().zip(heads).zip(factors) {
        let (scale, shift) = entry.normalizer.linear().ok_or_else(|| {
            Fault::new("export", format!("the normalizer of \"{}\" is not linear", entry.name))
                .accepts("zscore, robust or identity for every objective")
        })?;
        for (sum, weight) in weights.iter_mut().zip(&head.weights) {
            *sum += factor * scale * weight;
        }
        bias += factor * (scale * head.bias + shift);
    }
    Ok((weights, bias))
}

/// The registry's golden texts as the classifier must read and score them.
fn golden(manifest: &Manifest, ensemble: &Ensemble, heads: &Heads, model: &ExportedModel) -> Result<Value> {
    let items: Vec<Item> = manifest.golden.iter().filter_map(crate::ensemble::golden_item).collect();
    let scores = ensemble.score(&items)?;
    let logits = |score: &Score| -> Vec<f64> {
        let given =
            if heads.folded { vec![score.combined] } else { score.objectives.iter().map(|one| one.raw).collect() };
        given.iter().zip(&model.offsets).map(|(score, offset)| score - offset).collect()
    };
    let mut examples = Vec::with_capacity(items.len());
    for (item, score) in items.iter().zip(&scores) {
        let rendered = ensemble.backbone().render(&item.prompt, &item.response)?;
        let ids = ensemble.backbone().encode(&rendered)?.ids;
        let messages = crate::ensemble::golden_messages(item);
        examples.push(json!({ "messages": messages, "before": rendered.before, "response": rendered.response,
            "after": rendered.after, "ids": ids, "logits": logits(score), "combined": score.combined }));
    }
    Ok(
        json!({ "labels": heads.classifier.labels, "folded": heads.folded, "offsets": model.offsets, "examples": examples }),
    )
}
