//! A frozen backbone with linear heads, written as a Hugging Face sequence classifier.
//!
//! Every family has a classifier of its own between its states and the logits. A linear head on one token's state is
//! made of it exactly, or to rounding: the hyperbolic tangent of BERT and RoBERTa is linear near zero, and
//! DistilBERT's rectifier keeps a number and its negative apart.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use serde_json::{Value, json};

use super::locate::{WeightFiles, locate};
use super::model::Shape;
use super::text_format::TextFiles;
use super::{Readout, checkpoint, read_architecture, resolve_place};
use crate::config::{BackboneConfig, Pooling};
use crate::error::{Error, Fault, Result};
use crate::files;
use crate::progress::Silent;

/// Scores enter the hyperbolic tangent multiplied by this: tanh(x) = x·(1 − x²/3 + …), so that a score of 1,000 is off
/// by less than 10⁻⁹ of itself, and a power of two costs no rounding.
const TANH_SCALE: f64 = 1.0 / 1_048_576.0;
const HELP: &str = "train with backbone.pooling: cls (encoders) or last_token (decoders) and one layer, then export";
const ROOM: &str = "export the combined score with --labels combined, or train with fewer objectives";

/// Linear heads on one readout's features.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    /// One name per head.
    pub labels: Vec<String>,
    /// Per head, the weights on the features, `(width)`.
    pub weights: Vec<Vec<f64>>,
    /// Per head, the constant.
    pub biases: Vec<f64>,
}

/// The files of a sequence classifier.
pub struct ExportedModel {
    /// `config.json`.
    pub config: Value,
    /// `model.safetensors`, f32.
    pub weights: Vec<u8>,
    /// What must be added to each logit to get the head's score: classifiers of decoders have no constant of their
    /// own; zero in encoders.
    pub offsets: Vec<f64>,
    /// Whether the classifier reads the last token of one text, and not the first of a pair.
    pub causal: bool,
}

/// What a family's classifier looks like in transformers.
struct Family {
    class: &'static str,
    /// Before the names of the transformer's own tensors.
    prefix: &'static str,
    /// The key of the number of layers.
    layers: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// dense → tanh → linear on the first token: (dense, linear).
    Tanh(&'static str, &'static str),
    /// dense → relu → linear on the first token.
    Relu(&'static str, &'static str),
    /// dense → configurable activation → linear on the first token.
    Free(&'static str, &'static str),
    /// linear without constant on the last token.
    LastToken,
}

fn family(model_type: &str) -> Option<Family> {
    let encoder = |class, prefix, kind| Family { class, prefix, layers: "num_hidden_layers", kind };
    let decoder = |class| Family { class, prefix: "model.", layers: "num_hidden_layers", kind: Kind::LastToken };
    let roberta = Kind::Tanh("classifier.dense", "classifier.out_proj");
    Some(match model_type {
        "bert" => encoder("BertForSequenceClassification", "bert.", Kind::Tanh("pooler.dense", "classifier")),
        "roberta" => encoder("RobertaForSequenceClassification", "roberta.", roberta),
        "camembert" => encoder("CamembertForSequenceClassification", "roberta.", roberta),
        "xlm-roberta" => encoder("XLMRobertaForSequenceClassification", "roberta.", roberta),
        "deberta-v2" => {
            encoder("DebertaV2ForSequenceClassification", "deberta.", Kind::Free("pooler.dense", "classifier"))
        }
        "distilbert" => Family {
            class: "DistilBertForSequenceClassification",
            prefix: "distilbert.",
            layers: "n_layers",
            kind: Kind::Relu("pre_classifier", "classifier"),
        },
        "llama" => decoder("LlamaForSequenceClassification"),
        "mistral" => decoder("MistralForSequenceClassification"),
        "qwen2" => decoder("Qwen2ForSequenceClassification"),
        "qwen3" => decoder("Qwen3ForSequenceClassification"),
        "gemma3_text" => decoder("Gemma3TextForSequenceClassification"),
        _ => return None,
    })
}

/// Folds `classifier` into the model's own classification layers. `endings` are token ids that texts end with:
/// transformers passes over padding at the end of a text, so that none of them may pad.
///
/// # Errors
/// [`Error::Model`] saying why when the family's classifier cannot hold the heads: it reads other tokens or layers than
/// `readout`, or normalizes what it reads; and what opening the model reports.
pub fn sequence_classifier(
    config: &BackboneConfig,
    readout: &Readout,
    classifier: &Classifier,
    endings: &BTreeSet<u32>,
) -> Result<ExportedModel> {
    let (_, path) = resolve_place(&config.place, &Silent)?;
    let files = locate(&path)?;
    let (mut json, _) = checkpoint::read_config(&files)?;
    let architecture = read_architecture(files.config_place(), &json)?;
    let shape = architecture.shape();
    let kind = json["model_type"].as_str().unwrap_or_default().to_owned();
    let Some(family) = family(&kind) else {
        let found = format!("a classifier of the family {kind} cannot hold a linear head: it normalizes what it reads");
        return Err(refused(
            found,
            "bert, distilbert, roberta, camembert, xlm-roberta, deberta-v2, llama, mistral, qwen2, qwen3, gemma3_text",
            "train on a backbone of one of these families, then export; score serves this one as it is",
        ));
    };
    let layer = layer_read(&family, shape, readout, classifier)?;
    let last_token = family.kind == Kind::LastToken;
    let failed = |error: candle_core::Error| Error::Model(vec![Fault::new("export", error)]);
    let weights = checkpoint::read(&files, &architecture.tensors(layer))?;
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)> = BTreeMap::new();
    for (name, _) in architecture.tensors(layer) {
        let tensor = weights.get(&name).map_err(failed)?;
        tensors.insert(format!("{}{name}", family.prefix), plain(&tensor).map_err(failed)?);
    }
    let (head, offsets) = head_tensors(family.kind, family.prefix, classifier, shape.width);
    tensors.extend(head);
    describe(&mut json, &family, classifier, layer);
    if last_token {
        let own = json["pad_token_id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let pad = own.into_iter().chain(TextFiles::read(&files)?.fillers()).find(|id| !endings.contains(id));
        json["pad_token_id"] = json!(pad);
    }
    Ok(ExportedModel { config: json, weights: serialize(&tensors)?, offsets, causal: last_token })
}

fn refused(found: String, accepted: &str, help: &str) -> Error {
    Error::Model(vec![Fault::new("export", found).accepts(accepted).help(help)])
}

/// The layer that the family's classifier is to read, if it can hold the heads.
fn layer_read(family: &Family, shape: &Shape, readout: &Readout, classifier: &Classifier) -> Result<usize> {
    if classifier.weights.iter().any(|weights| weights.len() != shape.width * readout.layers.len()) {
        let found = "the registry uses the checkpoint's own score head, beside which no other is written".to_owned();
        let help = "train a run whose objectives all have heads of their own, then export";
        return Err(refused(found, "trained heads only", help));
    }
    let last_token = family.kind == Kind::LastToken;
    let pooling = if last_token { Pooling::LastToken } else { Pooling::Cls };
    if readout.pooling != pooling {
        let (reads, accepted) = if last_token { ("last", "last_token") } else { ("first", "cls") };
        let found =
            format!("{} reads the {reads} token alone, the heads read {}", family.class, readout.pooling.word());
        return Err(refused(found, &format!("backbone.pooling: {accepted}"), HELP));
    }
    let layer = match readout.layers.as_slice() {
        [layer] if *layer > 0 && (!last_token || *layer == shape.layers) => *layer,
        layers => {
            let read = layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            let found = format!("{} cannot read layer {read} of {}", family.class, shape.layers);
            let accepted =
                if last_token { "the last layer, after the final norm" } else { "one layer above the embeddings" };
            return Err(refused(found, &format!("backbone.layers: {accepted}"), HELP));
        }
    };
    let most = if matches!(family.kind, Kind::Relu(..)) { shape.width / 2 } else { shape.width };
    if !last_token && classifier.labels.len() > most {
        let found = format!("{} has room for {most} heads, these are {}", family.class, classifier.labels.len());
        return Err(refused(found, "fewer objectives, or the combined score alone", ROOM));
    }
    Ok(layer)
}

/// The tokenizer's files as they stand in the model's folder, or made from what a GGUF file says of itself.
///
/// # Errors
/// [`Error::Model`] and [`Error::Io`] when the model's files cannot be read.
pub fn tokenizer_files(config: &BackboneConfig) -> Result<Vec<(String, Vec<u8>)>> {
    let (_, path) = resolve_place(&config.place, &Silent)?;
    let found = locate(&path)?;
    if found.tokenizer.is_none() || (matches!(found.weights, WeightFiles::Gguf(_)) && found.tokenizer_config.is_none())
    {
        return TextFiles::read(&found)?.written();
    }
    let paths = [&found.tokenizer, &found.tokenizer_config, &found.special_tokens_map, &found.chat_template];
    let named = paths.into_iter().flatten().filter_map(|path| Some((path, path.file_name()?.to_str()?.to_owned())));
    named.map(|(path, name)| Ok((name, files::read(path, "the tokenizer")?))).collect()
}

fn plain(tensor: &Tensor) -> candle_core::Result<(Vec<usize>, Vec<f32>)> {
    Ok((tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1::<f32>()?))
}

type Tensors = Vec<(String, (Vec<usize>, Vec<f32>))>;

/// The classifier's tensors, and what each logit lacks.
fn head_tensors(kind: Kind, prefix: &str, classifier: &Classifier, width: usize) -> (Tensors, Vec<f64>) {
    let count = classifier.labels.len();
    let zeros = vec![0.0; count];
    let (dense, linear, scale, mirrored) = match kind {
        Kind::LastToken => {
            let weights = classifier.weights.iter().flatten().map(|weight| *weight as f32).collect();
            return (vec![("score.weight".to_owned(), (vec![count, width], weights))], classifier.biases.clone());
        }
        Kind::Tanh(dense, linear) => (dense, linear, TANH_SCALE, false),
        Kind::Free(dense, linear) => (dense, linear, 1.0, false),
        Kind::Relu(dense, linear) => (dense, linear, 1.0, true),
    };
    let (mut inner, mut constants) = (vec![0f32; width * width], vec![0f32; width]);
    let mut outer = vec![0f32; count * width];
    // Under a rectifier every head takes two rows, the score and its negative, of which one is zero.
    let signs: &[f64] = if mirrored { &[1.0, -1.0] } else { &[1.0] };
    for (head, (weights, bias)) in classifier.weights.iter().zip(&classifier.biases).enumerate() {
        for (side, sign) in signs.iter().enumerate() {
            let row = head * signs.len() + side;
            for (cell, weight) in inner[row * width..(row + 1) * width].iter_mut().zip(weights) {
                *cell = (sign * scale * weight) as f32;
            }
            constants[row] = (sign * scale * bias) as f32;
            outer[head * width + row] = (sign / scale) as f32;
        }
    }
    // BERT's and DeBERTa's pooler belongs to the model, the other layers to the classifier.
    let dense =
        if dense.starts_with("pooler") && prefix == "bert." { format!("{prefix}{dense}") } else { dense.to_owned() };
    let tensors = vec![
        (format!("{dense}.weight"), (vec![width, width], inner)),
        (format!("{dense}.bias"), (vec![width], constants)),
        (format!("{linear}.weight"), (vec![count, width], outer)),
        (format!("{linear}.bias"), (vec![count], vec![0f32; count])),
    ];
    (tensors, zeros)
}

/// Turns the backbone's `config.json` into the classifier's.
fn describe(config: &mut Value, family: &Family, classifier: &Classifier, layer: usize) {
    let names: BTreeMap<String, &String> =
        classifier.labels.iter().enumerate().map(|(index, label)| (index.to_string(), label)).collect();
    let ids: BTreeMap<&String, usize> = classifier.labels.iter().zip(0..).collect();
    let Some(fields) = config.as_object_mut() else { return };
    fields.insert("architectures".to_owned(), json!([family.class]));
    fields.insert("id2label".to_owned(), json!(names));
    fields.insert("label2id".to_owned(), json!(ids));
    fields.insert("problem_type".to_owned(), json!("regression"));
    fields.insert(family.layers.to_owned(), json!(layer));
    fields.insert("dtype".to_owned(), json!("float32"));
    fields.remove("torch_dtype");
    fields.remove("quantization_config");
    if matches!(family.kind, Kind::Free(..)) {
        fields.insert("pooler_hidden_act".to_owned(), json!("linear"));
        fields.insert("pooler_dropout".to_owned(), json!(0.0));
    }
}

fn serialize(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Vec<u8>> {
    let failed = |error: safetensors::SafeTensorError| Error::Model(vec![Fault::new("export", error)]);
    let bytes: BTreeMap<&String, (&Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, (shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, (shape, bytes))| {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, (*shape).clone(), bytes);
            Ok(((*name).clone(), view.map_err(failed)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let metadata = std::iter::once(("format".to_owned(), "pt".to_owned())).collect();
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}
