//! The score head that a sequence-classification checkpoint brings along: raw scores, one a label.
//!
//! Heads differ in the token they read and in the maps between it and the scores, so a head is a list of steps. No
//! softmax or sigmoid follows: a reward is the raw score.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, LayerNorm, Linear, Module};
use serde_json::Value;

use super::checkpoint::Weights;
use super::encoder;
use super::fields::{Fields, shown};
use super::parts::{self, Tensors};
use crate::error::Fault;

/// How the names of such checkpoints' classes end.
const CLASS: &str = "ForSequenceClassification";
/// More labels than any score head has.
const MOST_LABELS: usize = 10_000;

/// Which states the scores are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The first token's.
    First,
    /// The last token's that is not this one, which pads.
    Last(Option<u32>),
    /// The mean of all.
    Mean,
}

/// One step from the read state to the scores.
#[derive(Clone, Debug)]
enum StepShape {
    Linear { name: &'static str, rows: usize, columns: usize, biased: bool },
    Norm { name: &'static str, width: usize, biased: bool, epsilon: f64 },
    Activation(Activation),
    Tanh,
}

/// A score head that was found in a configuration.
#[derive(Clone, Debug)]
pub(super) struct ScoreHeadShape {
    labels: Vec<String>,
    source: Source,
    steps: Vec<StepShape>,
}

enum Step {
    Linear(Linear),
    Norm(LayerNorm),
    Activation(Activation),
    Tanh,
}

/// A loaded score head.
pub(super) struct ScoreHead {
    labels: Vec<String>,
    source: Source,
    steps: Vec<Step>,
}

impl ScoreHead {
    /// The head that the parsed `config.json` at `path` promises.
    ///
    /// # Errors
    /// When the checkpoint has no score head, or fields that describe it are missing, wrong or not supported.
    pub(super) fn describe(path: &Path, config: &Value) -> Result<ScoreHeadShape, Vec<Fault>> {
        let mut fields = Fields::new(path, "", config);
        let classes = config["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if !classes.into_iter().any(|class| class.ends_with(CLASS)) {
            return Err(vec![no_head(path, config)]);
        }
        let labels = read_labels(&mut fields);
        let (source, steps) = read_steps(&mut fields, config, labels.len());
        let mut faults = fields.faults;
        match faults.last_mut() {
            None => Ok(ScoreHeadShape { labels, source, steps }),
            Some(last) => {
                last.help = Some("fetch config.json again, or train a head instead of the checkpoint's own".to_owned());
                Err(faults)
            }
        }
    }

    /// The labels, in the order of the scores.
    pub(super) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The raw scores, one a label, of a text with these token `ids` whose last layer's states, final norm included,
    /// are `states` `(tokens, width)`.
    ///
    /// # Errors
    /// When the states have another width, or there is no token.
    pub(super) fn scores(&self, states: &Tensor, ids: &[u32]) -> candle_core::Result<Vec<f32>> {
        let mut state = match self.source {
            Source::First => states.narrow(0, 0, 1)?,
            Source::Last(padding) => {
                // As transformers does: an end token that also pads is not the last one, and of nothing but padding
                // the first is read.
                let last = ids.iter().rposition(|id| Some(*id) != padding);
                states.narrow(0, last.unwrap_or(0), 1)?
            }
            Source::Mean => states.to_dtype(DType::F32)?.mean_keepdim(0)?,
        };
        // One state is left: wherever the transformer runs, its head runs here, in f32.
        state = state.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        for step in &self.steps {
            state = match step {
                Step::Linear(linear) => linear.forward(&state)?,
                Step::Norm(norm) => norm.forward(&state)?,
                Step::Activation(activation) => activation.forward(&state)?,
                Step::Tanh => state.tanh()?,
            };
        }
        state.squeeze(0)?.to_vec1()
    }
}

impl ScoreHeadShape {
    /// Every tensor the head reads, with its shape, named as in the checkpoint.
    pub(super) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors = Tensors::default();
        for step in &self.steps {
            match *step {
                StepShape::Linear { name, rows, columns, biased } => tensors.linear(name, rows, columns, biased),
                StepShape::Norm { name, width, biased, .. } => tensors.norm(name, width, biased),
                StepShape::Activation(_) | StepShape::Tanh => {}
            }
        }
        tensors.0
    }

    /// Takes checked weights that hold [`ScoreHeadShape::tensors`].
    ///
    /// # Errors
    /// When a tensor is missing.
    pub(super) fn load(&self, weights: &Weights) -> candle_core::Result<ScoreHead> {
        let load = |step: &StepShape| {
            Ok(match *step {
                StepShape::Linear { name, biased, .. } => Step::Linear(parts::linear(weights, name, biased)?),
                StepShape::Norm { name, biased, epsilon, .. } => {
                    Step::Norm(parts::norm(weights, name, biased, epsilon)?)
                }
                StepShape::Activation(activation) => Step::Activation(activation),
                StepShape::Tanh => Step::Tanh,
            })
        };
        let steps = self.steps.iter().map(load).collect::<candle_core::Result<_>>()?;
        Ok(ScoreHead { labels: self.labels.clone(), source: self.source, steps })
    }
}

fn no_head(path: &Path, config: &Value) -> Fault {
    let found = match config.get("architectures") {
        None | Some(Value::Null) => "missing, so the checkpoint has no score head".to_owned(),
        Some(classes) => format!("found {}, which has no score head", shown(classes)),
    };
    Fault::new(format!("{}: architectures", path.display()), found)
        .accepts(format!("a class whose name ends in {CLASS}"))
        .help("choose a checkpoint with a score head, or train a head instead of `head: pretrained`")
}

/// `id2label`, or as many `LABEL_0`, `LABEL_1`, … as there are labels; transformers counts two where nothing is said.
fn read_labels(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(value) = fields.get("id2label") else {
        let count = fields.size("num_labels", MOST_LABELS, Some(2));
        return (0..count).map(|label| format!("LABEL_{label}")).collect();
    };
    let named = value.as_object().filter(|names| (1..=MOST_LABELS).contains(&names.len())).and_then(|names| {
        (0..names.len()).map(|label| names.get(&label.to_string())?.as_str().map(str::to_owned)).collect()
    });
    named.unwrap_or_else(|| {
        let accepted = format!("a name for each of 0, 1, …, at most {MOST_LABELS}");
        fields.refuse("id2label", format!("found {}", shown(value)), accepted);
        Vec::new()
    })
}

/// What the family's head reads, and its steps to `count` scores.
fn read_steps<'a>(fields: &mut Fields<'a>, config: &'a Value, count: usize) -> (Source, Vec<StepShape>) {
    let family = encoder::family(config);
    let width = read_width(fields, config, family);
    let square = |name| StepShape::Linear { name, rows: width, columns: width, biased: true };
    let scores = |name| StepShape::Linear { name, rows: count, columns: width, biased: true };
    let steps = match family {
        Some("bert") => vec![square("pooler.dense"), StepShape::Tanh, scores("classifier")],
        Some("distilbert") => {
            vec![square("pre_classifier"), StepShape::Activation(Activation::Relu), scores("classifier")]
        }
        Some("roberta" | "xlm-roberta" | "camembert") => {
            vec![square("classifier.dense"), StepShape::Tanh, scores("classifier.out_proj")]
        }
        Some("deberta-v2") => {
            let dense = std::iter::once(square("pooler.dense")).chain(pooler_activation(fields));
            dense.chain([scores("classifier")]).collect()
        }
        Some("modernbert") => return modernbert(fields, width, count),
        _ => {
            let score = StepShape::Linear { name: "score", rows: count, columns: width, biased: false };
            return (Source::Last(read_padding(fields, config)), vec![score]);
        }
    };
    (Source::First, steps)
}

/// Reads a field of the text model; some multimodal configurations keep those in a part of their own.
fn of_text<'a, T>(fields: &mut Fields<'a>, config: &'a Value, read: impl Fn(&mut Fields<'a>) -> T) -> T {
    let Some(text) = config.get("text_config").filter(|text| text.is_object()) else { return read(fields) };
    let mut inner = fields.inside("text_config", text);
    let value = read(&mut inner);
    fields.adopt(inner);
    value
}

/// Numbers per state.
fn read_width<'a>(fields: &mut Fields<'a>, config: &'a Value, family: Option<&str>) -> usize {
    let field = if family == Some("distilbert") { "dim" } else { "hidden_size" };
    of_text(fields, config, |fields| fields.size(field, 65_536, None))
}

/// The token that pads, which a decoder's head passes over; -1 stands for none in some configurations.
fn read_padding<'a>(fields: &mut Fields<'a>, config: &'a Value) -> Option<u32> {
    of_text(fields, config, |fields| match fields.get("pad_token_id") {
        None => None,
        Some(value) if value.as_i64() == Some(-1) => None,
        Some(_) => u32::try_from(fields.whole("pad_token_id", 0..=10_000_000, None)).ok(),
    })
}

/// DeBERTa's pooler activation, if it has one.
fn pooler_activation(fields: &mut Fields<'_>) -> Option<StepShape> {
    let known = |name: &str| match name {
        "linear" => Some(None),
        "tanh" => Some(Some(StepShape::Tanh)),
        _ => parts::activation(name).map(|activation| Some(StepShape::Activation(activation))),
    };
    let accepted = format!("{}, tanh, linear", parts::ACTIVATIONS);
    fields.name("pooler_hidden_act", "gelu", known, &accepted).flatten()
}

fn modernbert(fields: &mut Fields<'_>, width: usize, count: usize) -> (Source, Vec<StepShape>) {
    let source = |name: &str| match name {
        "cls" => Some(Source::First),
        "mean" => Some(Source::Mean),
        _ => None,
    };
    let source = fields.name("classifier_pooling", "cls", source, "cls, mean").unwrap_or(Source::First);
    let activation = fields.name("classifier_activation", "gelu", parts::activation, parts::ACTIVATIONS);
    let biased = fields.flag("classifier_bias", false);
    let epsilon = fields.number("norm_eps", 0.0, 1.0).unwrap_or(1e-5);
    let steps = vec![
        StepShape::Linear { name: "head.dense", rows: width, columns: width, biased },
        StepShape::Activation(activation.unwrap_or_default()),
        StepShape::Norm { name: "head.norm", width, biased: fields.flag("norm_bias", false), epsilon },
        StepShape::Linear { name: "classifier", rows: count, columns: width, biased: true },
    ];
    (source, steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoder(padding: &Value) -> Result<ScoreHeadShape, Vec<Fault>> {
        let config = json!({ "model_type": "qwen2", "architectures": ["Qwen2ForSequenceClassification"],
            "hidden_size": 2, "num_labels": 3, "pad_token_id": padding });
        ScoreHead::describe(Path::new("config.json"), &config)
    }

    /// The scores of a text of three tokens by the matrix (1 0; 0 1; 1 -1).
    fn scores(padding: &Value, ids: [u32; 3]) -> Vec<f32> {
        let shape = decoder(padding).expect("a head");
        assert_eq!(shape.labels, ["LABEL_0", "LABEL_1", "LABEL_2"]);
        assert_eq!(shape.tensors(), [("score.weight".to_owned(), vec![3, 2])]);
        let matrix = Tensor::new(&[[1f32, 0.0], [0.0, 1.0], [1.0, -1.0]], &Device::Cpu).expect("a matrix");
        let steps = vec![Step::Linear(Linear::new(matrix, None))];
        let head = ScoreHead { labels: shape.labels.clone(), source: shape.source, steps };
        let states = Tensor::new(&[[1f32, 2.0], [3.0, 5.0], [7.0, 11.0]], &Device::Cpu).expect("states");
        head.scores(&states, &ids).expect("scores")
    }

    #[test]
    fn a_decoder_reads_its_last_token_that_is_no_padding() {
        assert_eq!(scores(&json!(null), [4, 5, 6]), [7.0, 11.0, -4.0]);
        assert_eq!(scores(&json!(-1), [4, 5, 6]), [7.0, 11.0, -4.0]);
        assert_eq!(scores(&json!(5), [4, 5, 6]), [7.0, 11.0, -4.0]);
        assert_eq!(scores(&json!(6), [4, 5, 6]), [3.0, 5.0, -2.0]);
        assert_eq!(scores(&json!(6), [6, 6, 6]), [1.0, 2.0, -1.0]);
        assert!(decoder(&json!("x")).is_err());
    }

    #[test]
    fn the_sizes_of_a_multimodal_model_stand_in_a_part_of_their_own() {
        let config =
            json!({ "architectures": ["Gemma3ForSequenceClassification"], "text_config": { "hidden_size": 8 } });
        let shape = ScoreHead::describe(Path::new("config.json"), &config).expect("a head");
        assert_eq!(shape.tensors(), [("score.weight".to_owned(), vec![2, 8])]);
        let faults = ScoreHead::describe(
            Path::new("config.json"),
            &json!({ "architectures": ["Gemma3ForSequenceClassification"], "text_config": {}, "id2label": 3 }),
        );
        let message: String = faults.expect_err("refused").iter().map(|fault| format!("{fault}\n")).collect();
        assert!(message.contains("config.json: text_config.hidden_size: missing"), "{message}");
        assert!(message.contains("config.json: id2label: found 3"), "{message}");
    }
}
