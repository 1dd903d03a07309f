//! Texts that share a prompt, and texts with a fault, in groups of every size.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use ensemble::backbone::{Backbone, Rendered};
use ensemble::config::{BackboneConfig, ModelPlace, Pooling};
use ensemble::conversation::Item;
use ensemble::features::Extractor;
use ensemble::progress::Progress;
use ensemble::random::Random;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{bits, folder, items, models};

const WAYS: [(usize, usize); 6] = [(1, 1), (1, 64), (2, 64), (3, 17), (2, 512), (3, 100_000)];

fn open(folder: &Path) -> Backbone {
    let config = BackboneConfig {
        place: ModelPlace::Disk(folder.to_owned()),
        max_tokens: 32,
        pooling: Some(Pooling::MeanResponse),
        layers: None,
        dtype: ensemble::config::Dtype::F32,
        device: ensemble::config::Device::Cpu,
        score_head: false,
    };
    Backbone::open(&config).expect("the model opens")
}

#[test]
fn responses_to_one_prompt_give_the_bits_they_have_alone() {
    // Eight prompts with five responses each.
    let texts = items();
    let mut items: Vec<Item> = texts.clone();
    items.iter_mut().enumerate().for_each(|(index, item)| item.prompt = texts[index % 8].prompt.clone());
    let mut random = Random::new(3);
    for model in models("decoders") {
        let folder = folder(&model, true);
        let backbone = open(folder.path());
        let one = |item: &Item| {
            let encoded = backbone.encode(&backbone.render(&item.prompt, &item.response).expect("renders"));
            let vectors = backbone.features(&[&encoded.expect("encodes")]).expect("finite").remove(0);
            (item.clone(), vectors.iter().flatten().map(|value| value.to_bits()).collect())
        };
        let alone: BTreeMap<Item, Vec<u32>> = items.iter().map(one).collect();
        for (threads, tokens) in WAYS {
            random.shuffle(&mut items);
            let extractor = Extractor::new(&backbone, threads).expect("threads").with_group_tokens(tokens);
            let grouped = bits(&extractor, &items.iter().collect::<Vec<_>>());
            let same = items.iter().zip(&grouped).all(|(item, grouped)| *grouped == alone[item]);
            assert!(same && grouped.len() == items.len(), "{}: {threads} threads, {tokens} tokens", model.display());
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

/// A decoder with an embedding of its own, in which `w7` is so large that the mean over two of them is no number.
fn spoiled() -> tempfile::TempDir {
    let models = models("decoders");
    let folder = folder(models.iter().find(|model| model.ends_with("llama")).expect("a fixture"), true);
    let path = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&path).expect("read");
    let mut tensors = SafeTensors::deserialize(&bytes).expect("safetensors").tensors();
    let embedding = tensors.iter_mut().find(|(name, _)| name.ends_with("embed_tokens.weight"));
    let embedding = &mut embedding.expect("an embedding").1;
    let shape = embedding.shape().to_vec();
    // The words stand behind eight special tokens.
    let number = |index: usize| if index / shape[1] == 8 + 7 { 3e38 } else { 0.1 * (index as f32).sin() };
    let numbers: Vec<u8> = (0..shape[0] * shape[1]).flat_map(|index| number(index).to_le_bytes()).collect();
    *embedding = TensorView::new(Dtype::F32, shape.clone(), &numbers).expect("of that shape");
    std::fs::write(&path, safetensors::serialize(tensors, None).expect("safetensors")).expect("written");
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
