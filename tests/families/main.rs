//! Every family of transformers, through the whole backbone: a text's features are the same bits alone, in any batch,
//! in any order and on any number of threads.
//!
//! Models: the tiny random ones of `fixtures/encoders` and `fixtures/decoders`, with a tokenizer made here.

mod export;
mod groups;

use std::path::{Path, PathBuf};

use ensemble::backbone::Backbone;
use ensemble::config::{BackboneConfig, Device, Dtype, ModelPlace, Pooling};
use ensemble::conversation::{Item, Message, Role};
use ensemble::features::Extractor;
use ensemble::progress::Silent;
use serde_json::{Value, json};

const WORDS: usize = 50;
const CHAT: &str = "{{ bos_token }}{% for message in messages %}<{{ message.role }}> {{ message.content }} \
                    {% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}";

/// The folders under `fixtures/KIND` that hold a whole model.
fn models(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
    let entries = std::fs::read_dir(folder).expect("fixtures").map(|entry| entry.expect("an entry").path());
    let mut models: Vec<PathBuf> = entries.filter(|path| path.join("model.safetensors").is_file()).collect();
    models.sort();
    models
}

/// Words `w0`…, special tokens, and the pair template of an encoder or the beginning token of a decoder.
fn tokenizer(causal: bool) -> Value {
    let special = ["[UNK]", "[CLS]", "[SEP]", "<s>", "</s>", "<system>", "<user>", "<assistant>"];
    let words = special.iter().map(ToString::to_string).chain((0..WORDS).map(|word| format!("w{word}")));
    let vocabulary: serde_json::Map<String, Value> = words.zip(0..).map(|(word, id)| (word, json!(id))).collect();
    let added = special.iter().zip(0..).map(|(token, id)| {
        json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true })
    });
    let piece = |id: &str, segment: u32| json!({ "SpecialToken": { "id": id, "type_id": segment } });
    let part = |id: &str, segment: u32| json!({ "Sequence": { "id": id, "type_id": segment } });
    let token = |name: &str, id: u32| (name.to_owned(), json!({ "id": name, "ids": [id], "tokens": [name] }));
    let (single, pair, tokens) = if causal {
        let start = piece("<s>", 0);
        (json!([start, part("A", 0)]), json!([start, part("A", 0), part("B", 0)]), vec![token("<s>", 3)])
    } else {
        let (start, end) = (piece("[CLS]", 0), piece("[SEP]", 0));
        let pair = json!([start, part("A", 0), end, part("B", 1), piece("[SEP]", 1)]);
        (json!([start, part("A", 0), end]), pair, vec![token("[CLS]", 1), token("[SEP]", 2)])
    };
    let tokens: serde_json::Map<String, Value> = tokens.into_iter().collect();
    json!({ "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": { "type": "WhitespaceSplit" }, "decoder": null,
        "post_processor": { "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]" } })
}

/// A model folder with a tokenizer in it.
fn folder(model: &Path, causal: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(model.join(name), folder.path().join(name)).expect("copied");
    }
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer(causal).to_string()).expect("written");
    if causal {
        let config = json!({ "bos_token": "<s>", "eos_token": "</s>", "chat_template": CHAT });
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).expect("written");
    }
    folder
}

/// Texts of 1 to about 40 words, some over the limit.
fn items() -> Vec<Item> {
    let words = |count: usize, seed: usize| -> String {
        let word = |index: usize| format!("w{}", (index * index + 7 * seed + 3 * index) % WORDS);
        (0..count).map(word).collect::<Vec<String>>().join(" ")
    };
    (0..40)
        .map(|index| {
            let mut prompt = vec![Message { role: Role::User, content: words(1 + index % 13, index) }];
            if index % 3 == 0 {
                prompt.push(Message { role: Role::Assistant, content: words(2 + index % 5, index + 1) });
                prompt.push(Message { role: Role::User, content: words(1 + index % 4, index + 2) });
            }
            Item { prompt, response: words(1 + (index * 7) % 29, index + 3) }
        })
        .collect()
}

/// The features of `items` in one batch, to the bit.
fn bits(extractor: &Extractor<'_>, items: &[&Item]) -> Vec<Vec<u32>> {
    let texts = extractor.render(items).expect("renders");
    let rows = extractor.extract(&texts.iter().collect::<Vec<_>>(), &Silent).expect("finite");
    rows.iter()
        .map(|rows| rows.iter().flat_map(|row| row.vector.iter().map(|value| value.to_bits())).collect())
        .collect()
}

fn assert_invariant(model: &Path, causal: bool) {
    let folder = folder(model, causal);
    let config = BackboneConfig {
        place: ModelPlace::Disk(folder.path().to_owned()),
        max_tokens: 32,
        pooling: None,
        layers: None,
        dtype: Dtype::F32,
        device: Device::Cpu,
        score_head: false,
    };
    let backbone = Backbone::open(&config).unwrap_or_else(|error| panic!("{}: {error}", model.display()));
    let ways: Vec<Pooling> = backbone.readouts().iter().map(|readout| readout.pooling).collect();
    assert!(ways.len() >= 6, "{ways:?}");
    let items = items();
    let references: Vec<&Item> = items.iter().collect();
    let (one, two) = (Extractor::new(&backbone, 1).expect("threads"), Extractor::new(&backbone, 2).expect("threads"));
    let alone: Vec<Vec<u32>> = references.iter().flat_map(|item| bits(&one, &[item])).collect();
    let name = model.display();
    assert!(alone.iter().collect::<std::collections::BTreeSet<_>>().len() > 30, "{name}: texts differ");
    for size in [2, 7, 40] {
        let batched: Vec<Vec<u32>> = references.chunks(size).flat_map(|batch| bits(&two, batch)).collect();
        assert!(batched == alone, "{name}: batches of {size}");
    }
    let reversed: Vec<&Item> = references.iter().rev().copied().collect();
    let mut backwards = bits(&two, &reversed);
    backwards.reverse();
    assert!(backwards == alone, "{name}: reversed order");
}

#[test]
fn encoders_do_not_depend_on_batch_order_or_threads() {
    let models = models("encoders");
    assert!(models.len() >= 6, "{models:?}");
    models.iter().for_each(|model| assert_invariant(model, false));
}

#[test]
fn decoders_do_not_depend_on_batch_order_or_threads() {
    let models = models("decoders");
    assert!(models.len() >= 6, "{models:?}");
    models.iter().for_each(|model| assert_invariant(model, true));
}
