//! A BERT of two layers, 16 wide, with a vocabulary of some 80 word pieces and weights that are the same on every
//! machine: small enough that a whole run takes a fraction of a second.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::{Value, json};

const WIDTH: usize = 16;
const INNER: usize = 32;
const LAYERS: usize = 2;
const POSITIONS: usize = 64;
const WORDS: [&str; 24] = [
    "user",
    "assistant",
    "what",
    "is",
    "the",
    "answer",
    "to",
    "question",
    "number",
    "yes",
    "no",
    "good",
    "bad",
    "short",
    "long",
    "clear",
    "wrong",
    "right",
    "please",
    "thank",
    "you",
    "a",
    "and",
    "not",
];

/// A tensor of a checkpoint.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    /// An f32 tensor.
    pub(crate) fn new(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Self {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }
}

/// The tensors of the tiny model by name.
pub(crate) type Tensors = BTreeMap<String, Stored>;

/// `config.json`.
pub(crate) fn config() -> Value {
    json!({
        "model_type": "bert",
        "vocab_size": vocabulary().len(),
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    })
}

/// `tokenizer.json`: lower case, split at blanks and punctuation, word pieces.
pub(crate) fn tokenizer() -> Value {
    let vocabulary: BTreeMap<String, usize> = vocabulary().into_iter().zip(0..).collect();
    let special = |(id, content): (usize, &str)| {
        json!({ "id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false })
    };
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": SPECIAL.into_iter().enumerate().map(special).collect::<Vec<Value>>(),
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary },
    })
}

const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// Special tokens, whole words, and the letters and digits that begin or go on any other word.
fn vocabulary() -> Vec<String> {
    let pieces = ('a'..='z').chain('0'..='9').flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let whole = SPECIAL.into_iter().chain(WORDS.into_iter().filter(|word| word.len() > 1)).map(String::from);
    whole.chain([":".to_owned()]).chain(pieces).collect()
}

/// The weights of the tiny model.
pub(crate) fn tensors() -> Tensors {
    let mut numbers = Numbers(1);
    let mut tensors = Tensors::new();
    let mut dense = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        let values: Vec<f32> = numbers.by_ref().take(count).collect();
        tensors.insert(name.to_owned(), Stored::new(shape, values));
    };
    dense("embeddings.word_embeddings.weight", &[vocabulary().len(), WIDTH]);
    dense("embeddings.position_embeddings.weight", &[POSITIONS, WIDTH]);
    dense("embeddings.token_type_embeddings.weight", &[2, WIDTH]);
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let layer = format!("encoder.layer.{layer}");
        for (name, rows, columns) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ] {
            dense(&format!("{layer}.{name}.weight"), &[rows, columns]);
            dense(&format!("{layer}.{name}.bias"), &[rows]);
        }
        norms.extend([format!("{layer}.attention.output.LayerNorm"), format!("{layer}.output.LayerNorm")]);
    }
    for norm in norms {
        tensors.insert(format!("{norm}.weight"), Stored::new(&[WIDTH], [1.0; WIDTH]));
        tensors.insert(format!("{norm}.bias"), Stored::new(&[WIDTH], [0.0; WIDTH]));
    }
    tensors
}

/// `model.safetensors`.
pub(crate) fn safetensors(tensors: &Tensors) -> Vec<u8> {
    let views = tensors.iter().map(|(name, stored)| {
        let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes).expect("bytes fit the shape");
        (name.clone(), view)
    });
    serialize(views, None).expect("serializes")
}

/// The tensors of a `model.safetensors`.
pub(crate) fn read(bytes: &[u8]) -> Tensors {
    let tensors = SafeTensors::deserialize(bytes).expect("safetensors");
    let stored = |view: TensorView<'_>| Stored {
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    };
    tensors.tensors().into_iter().map(|(name, view)| (name, stored(view))).collect()
}

/// Numbers in -0.5..0.5 from a linear congruential generator (Knuth's MMIX constants).
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5)
    }
}
