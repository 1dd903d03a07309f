//! The encoder families behind one convention: one unpadded text in, any layer's states out.
//!
//! A family is a file that checks `config.json`, lists the tensors it reads and runs its layers one by one, because
//! candle-transformers gives the last layer alone and preference heads do better on earlier ones.

mod bert;
#[cfg(test)]
mod config_tests;
mod deberta;
mod modernbert;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Error, Tensor};
use serde_json::{Value, json};

use super::DECODERS;
use super::fields::{Fields, shown};
use super::model::{Architecture, Shape};
use crate::error::Fault;

/// What `model_type` may say, and how the classes of such a model begin, for a configuration that leaves it out.
const FAMILIES: [(&str, &str); 7] = [
    ("bert", "Bert"),
    ("camembert", "Camembert"),
    ("deberta-v2", "DebertaV2"),
    ("distilbert", "DistilBert"),
    ("modernbert", "ModernBert"),
    ("roberta", "Roberta"),
    ("xlm-roberta", "XLMRoberta"),
];

/// Reads and checks the parsed `config.json` at `path`.
///
/// # Errors
/// Every field that is missing, out of range or not supported.
pub(super) fn read(path: &Path, config: &Value) -> Result<Box<dyn Architecture>, Vec<Fault>> {
    let mut fields = Fields::new(path, "", config);
    let architecture: Option<Box<dyn Architecture>> = match family(config) {
        None => return Err(vec![unknown(path, config)]),
        Some("modernbert") => modernbert::read(&mut fields).map(|read| Box::new(read) as Box<dyn Architecture>),
        Some("deberta-v2") => deberta::read(&mut fields).map(|read| Box::new(read) as Box<dyn Architecture>),
        Some(family) => bert::read(family, &mut fields).map(|read| Box::new(read) as Box<dyn Architecture>),
    };
    let mut faults = fields.faults;
    match (architecture, faults.last_mut()) {
        (Some(architecture), None) => Ok(architecture),
        (_, Some(last)) => {
            last.help = Some("fetch config.json again, or choose another model".to_owned());
            Err(faults)
        }
        (None, None) => Err(vec![unknown(path, config)]),
    }
}

/// The family a configuration belongs to.
pub(super) fn family(config: &Value) -> Option<&'static str> {
    let kind = config.get("model_type").filter(|kind| !kind.is_null());
    let classes = || config["architectures"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let belongs = |(name, class): &&(&str, &str)| match kind {
        Some(kind) => kind.as_str() == Some(name),
        None => classes().any(|found| found.starts_with(class)),
    };
    FAMILIES.iter().find(belongs).map(|(name, _)| *name)
}

fn unknown(path: &Path, config: &Value) -> Fault {
    let kind = config.get("model_type").filter(|kind| !kind.is_null());
    let found = kind.map_or_else(|| "missing".to_owned(), |kind| format!("found {}", shown(kind)));
    let known = FAMILIES.map(|(name, _)| name).into_iter().chain(DECODERS).collect::<Vec<_>>().join(", ");
    Fault::new(format!("{}: model_type", path.display()), found)
        .accepts(known)
        .help("choose a model of these families, such as all-MiniLM-L6-v2 or Qwen2.5-0.5B-Instruct")
}

/// The sizes that every family has.
#[derive(Clone, Copy)]
struct Sizes {
    vocabulary: usize,
    width: usize,
    layers: usize,
    heads: usize,
    inner: usize,
    positions: usize,
}

/// What most families call their [`Sizes`], in the order of its fields.
const SIZES: [&str; 6] = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
];

impl Sizes {
    fn read(fields: &mut Fields<'_>, names: &[&str; 6]) -> Self {
        let most = [10_000_000, 65_536, 1_000, 1_000, 1_000_000, 1_000_000];
        let mut sizes = [1; 6];
        for ((size, name), most) in sizes.iter_mut().zip(names).zip(most) {
            *size = fields.size(name, most, None);
        }
        let [vocabulary, width, layers, heads, inner, positions] = sizes;
        if fields.faults.is_empty() && !width.is_multiple_of(heads) {
            let found = format!("{heads} does not divide {} {width}", names[1]);
            fields.refuse(names[3], found, format!("a divisor of {}", names[1]));
        }
        fields.unsupported("is_decoder", &[json!(false)], "false");
        Self { vocabulary, width, layers, heads, inner, positions }
    }

    fn shape(&self, family: &str, positions: usize) -> Shape {
        Shape {
            vocabulary: self.vocabulary,
            width: self.width,
            layers: self.layers,
            positions,
            causal: false,
            line: format!("{family}, {} layers, {} wide", self.layers, self.width),
        }
    }
}

/// Runs layers from `state`, the embedding output, up to the highest of `layers`, and gives the states of `layers` in
/// their order.
fn run<L>(
    mut state: Tensor,
    loaded: &[L],
    layers: &[usize],
    forward: impl Fn(&L, &Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Vec<Tensor>> {
    let mut kept = BTreeMap::new();
    let highest = layers.iter().copied().max().unwrap_or(0);
    for index in 0..=highest {
        if index > 0 {
            let layer = loaded.get(index - 1).ok_or_else(|| Error::msg(format!("layer {index} is not loaded")))?;
            state = forward(layer, &state)?;
        }
        if layers.contains(&index) {
            kept.insert(index, state.clone());
        }
    }
    let missing = || Error::msg("a layer was not kept");
    layers.iter().map(|layer| kept.get(layer).cloned().ok_or_else(missing)).collect()
}
