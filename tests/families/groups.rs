//! Texts that share a prompt, and texts with a fault, in groups of every size.

use std::path::Path;
use std::sync::Mutex;

use ensemble::backbone::{Backbone, Rendered};
use ensemble::config::{BackboneConfig, ModelPlace, Pooling};
use ensemble::conversation::Item;
use ensemble::features::Extractor;
use ensemble::progress::Progress;
use ensemble::random::Random;
use safetensors::SafeTensors;

use super::{bits, folder, items, models};

const WAYS: [(usize, usize); 6] = [(1, 1), (1, 64), (2, 64), (3, 17), (2, 512), (3, 100_000)];

fn open(folder: &Path) -> Backbone {
    let config = BackboneConfig {
        place: ModelPlace::Disk(folder.to_owned()),
        max_tokens: 32,
        pooling: Some(Pooling::MeanResponse),
        layers: None,
        score_head: false,
    };
    Backbone::open(&config).expect("the model opens")
}

#[test]
fn responses_to_one_prompt_give_the_bits_they_have_alone() {
    // Eight prompts with five responses each.
    let texts = items();
    let mut items: Vec<Item> = texts.iter().cloned().collect();
    items.iter_mut().enumerate().for_each(|(index, item)| item.prompt = texts[index % 8].prompt.clone());
    let mut random = Random::new(3);
    for model in models("decoders") {
        let folder = folder(&model, true);
        let backbone = open(folder.path());
        let single = Extractor::new(&backbone, 1).expect("threads").with_group_tokens(1);
        for (threads, tokens) in WAYS {
            random.shuffle(&mut items);
            let alone: Vec<Vec<u32>> = items.iter().flat_map(|item| bits(&single, &[item])).collect();
            let extractor = Extractor::new(&backbone, threads).expect("threads").with_group_tokens(tokens);
            let grouped = bits(&extractor, &items.iter().collect::<Vec<_>>());
            assert!(grouped == alone, "{}: {threads} threads, {tokens} tokens a group", model.display());
        }
    }
}

/// Counts the texts it hears of.
struct Heard(Mutex<u64>);

impl Progress for Heard {
    fn start(&self, _stage: &str, _total: u64) {}
    fn advance(&self, rows: u64) {
        *self.0.lock().expect("no panic") += rows;
    }
    fn finish(&self, _note: &str) {}
}

/// A decoder whose embedding of `w7` is so large that the mean over two of them is no number.
fn spoiled() -> tempfile::TempDir {
    let models = models("decoders");
    let folder = folder(models.iter().find(|model| model.ends_with("llama")).expect("a fixture"), true);
    let path = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("read");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let embedding = file.tensors().into_iter().find(|(name, _)| name.ends_with("embed_tokens.weight"));
    let embedding = embedding.expect("an embedding").1;
    assert_eq!(embedding.dtype(), safetensors::Dtype::F32);
    // The words stand behind eight special tokens.
    let row = embedding.shape()[1] * size_of::<f32>();
    let start = embedding.data().as_ptr() as usize - bytes.as_ptr() as usize + (8 + 7) * row;
    bytes[start..start + row].as_chunks_mut().0.fill(3e38f32.to_le_bytes());
    std::fs::write(&path, bytes).expect("written");
    folder
}

#[test]
fn the_fault_of_the_lowest_text_is_told() {
    let folder = spoiled();
    let backbone = open(folder.path());
    let text = |index: usize, response: &str, after: String| {
        let before = format!("w{} ", index % 4);
        Rendered { before, response: response.to_owned(), after }
    };
    for (threads, tokens) in WAYS {
        let extractor = Extractor::new(&backbone, threads).expect("threads").with_group_tokens(tokens);
        // The texts at the first places have features that are no numbers; the end of those at the second leaves no room
        // for a response.
        let extract = |not_finite: &[usize], too_long: &[usize]| {
            let texts: Vec<Rendered> = (0..30)
                .map(|index| match index {
                    _ if not_finite.contains(&index) => text(index, "w7 w7", String::new()),
                    _ if too_long.contains(&index) => text(index, &format!("w{index}"), " w1".repeat(40)),
                    _ => text(index, "w5 w6", String::new()),
                })
                .collect();
            let heard = Heard(Mutex::new(0));
            let rows = extractor.extract(&texts.iter().collect::<Vec<_>>(), &heard).map_err(|error| error.to_string());
            rows.map(|rows| (rows.len(), *heard.0.lock().expect("no panic")))
        };
        assert_eq!(extract(&[], &[]), Ok((30, 30)));
        let error = extract(&[10, 25], &[21, 9, 14]).expect_err("no room");
        assert!(error.contains("\"w9\"") && error.contains("leave no room"), "{error}");
        let error = extract(&[25, 8], &[21, 9, 14]).expect_err("no number");
        assert!(error.contains("not a finite number"), "{error}");
    }
}
