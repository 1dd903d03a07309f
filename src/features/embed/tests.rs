//! Every text is embedded once, damage and kills cost a shard, and matrices hold what the backbone says.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::backbone::Backbone;
use crate::config::{BackboneConfig, ModelPlace, Pooling};
use crate::conversation::{Message, Role};
use crate::files;
use crate::progress::Silent;

fn mini(pooling: Option<Pooling>) -> Backbone {
    let place = ModelPlace::Disk(concat!(env!("CARGO_MANIFEST_DIR"), "/backbones/mini").into());
    let config = BackboneConfig {
        place,
        max_tokens: 16,
        pooling,
        layers: None,
        dtype: crate::config::Dtype::F32,
        device: crate::config::Device::Cpu,
        score_head: false,
    };
    Backbone::open(&config).expect("mini opens")
}

/// Short distinct items, about three to a prompt, some of them longer than the backbone reads.
fn items(count: usize) -> Vec<Item> {
    let content = |index: usize| format!("What is {}?", index % count.div_ceil(3));
    let prompt = |index: usize| vec![Message { role: Role::User, content: content(index) }];
    let response = |index: usize| format!("It is {index}{}", " and more".repeat(if index % 50 == 7 { 12 } else { 0 }));
    (0..count).map(|index| Item { prompt: prompt(index), response: response(index) }).collect()
}

/// Counts the texts, and panics at one as a kill would end the run.
struct Killed {
    after: u64,
    texts: AtomicU64,
}

impl Killed {
    fn after(after: u64) -> Self {
        Self { after, texts: AtomicU64::new(0) }
    }
}

impl Progress for Killed {
    fn start(&self, _stage: &str, _total: u64) {}
    fn advance(&self, rows: u64) {
        let texts = self.texts.fetch_add(rows, Ordering::Relaxed) + rows;
        assert!(texts <= self.after, "killed");
    }
    fn finish(&self, _note: &str) {}
}

fn temporary_folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn matrices_hold_what_the_backbone_says_and_nothing_is_embedded_twice() -> Result<()> {
    let (backbone, cache, items) = (mini(None), temporary_folder(), items(90));
    let extractor = Extractor::new(&backbone, 2)?;
    let heard = Killed::after(u64::MAX);
    let (first, counts) = embed(&extractor, &items, cache.path(), &heard)?;
    assert!(first.len() >= 6 && first.len() == backbone.readouts().len(), "a search");
    let (mut tokens, mut cut) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let encoded = backbone.encode(&backbone.render(&item.prompt, &item.response)?)?;
        let vectors = backbone.features(&[&encoded])?.remove(0);
        assert!(first.iter().zip(&vectors).all(|(features, vector)| features.row(index) == vector), "item {index}");
        tokens += encoded.ids.len() as u64;
        cut += usize::from(encoded.cut.prompt + encoded.cut.response > 0);
    }
    assert_eq!((counts.texts, counts.embedded, counts.cached), (90, 90, 0));
    assert_eq!((counts.tokens, counts.embedded_tokens, heard.texts.into_inner()), (tokens, tokens, 90));
    assert!(cut > 0 && counts.cut_responses == cut, "{counts:?}");

    let (again, counts) = embed(&extractor, &items, cache.path(), &Killed::after(0))?;
    assert_eq!((counts.embedded, counts.cached, counts.embedded_tokens), (0, 90, 0));
    assert_eq!((counts.tokens, counts.cut_responses), (tokens, cut));
    assert_eq!(again, first);
    Ok(())
}

#[test]
fn items_that_read_alike_are_one_text() -> Result<()> {
    let (backbone, cache) = (mini(Some(Pooling::MeanAll)), temporary_folder());
    let message = |role, content: &str| Message { role, content: content.to_owned() };
    // Rendered, the conversation is the second item's prompt.
    let turns = vec![message(Role::User, "a"), message(Role::Assistant, "b"), message(Role::User, "c")];
    let text = crate::conversation::render_prompt(&turns);
    let one = |prompt: Vec<Message>| Item { prompt, response: "d".to_owned() };
    let items = [one(vec![message(Role::User, &text)]), one(vec![message(Role::User, "x")]), one(turns)];
    let extractor = Extractor::new(&backbone, 1)?;
    let heard = Killed::after(2);
    let (features, counts) = embed(&extractor, &items, cache.path(), &heard)?;
    assert_eq!((counts.texts, counts.embedded, counts.cached, heard.texts.into_inner()), (3, 2, 1, 2));
    assert_eq!(features[0].row(0), features[0].row(2));
    assert_ne!(features[0].row(0), features[0].row(1));
    let (_, again) = embed(&extractor, &items, cache.path(), &Silent)?;
    assert_eq!((again.cached, again.tokens), (3, counts.tokens));
    Ok(())
}

#[test]
fn a_kill_loses_at_most_one_shard() -> Result<()> {
    let (backbone, cache) = (mini(Some(Pooling::MeanAll)), temporary_folder());
    let items = items(SHARD_ROWS + 500);
    let extractor = Extractor::new(&backbone, 2)?;
    let killed = Killed::after(SHARD_ROWS as u64 + 100);
    let run = || fill(&extractor, &items, cache.path(), &killed);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(count_cached(&extractor, &items, cache.path())?, SHARD_ROWS);
    let rest = Killed::after(500);
    let counts = fill(&extractor, &items, cache.path(), &rest)?;
    assert_eq!((counts.embedded, counts.cached, rest.texts.into_inner()), (500, SHARD_ROWS, 500));

    // A damaged shard is left aside and its texts computed again, with the same bits.
    let (whole, _) = embed(&extractor, &items, cache.path(), &Killed::after(0))?;
    let folder = Store::new(cache.path(), backbone.fingerprint(), whole[0].width()).folder().to_owned();
    let paths = files::list(&folder)?;
    assert_eq!(paths.len(), 2);
    let bytes = paths.iter().map(|path| files::read(path, "the test")).collect::<Result<Vec<_>>>()?;
    let small = usize::from(bytes[1].len() < bytes[0].len());
    let mut spoiled = bytes[small].clone();
    spoiled[1000] ^= 1;
    files::write_atomic(&paths[small], &spoiled)?;
    assert_eq!(count_cached(&extractor, &items, cache.path())?, SHARD_ROWS);
    let (mended, counts) = embed(&extractor, &items, cache.path(), &Killed::after(500))?;
    assert_eq!((counts.embedded, counts.damaged_shards), (500, 1));
    assert_eq!(mended, whole);
    Ok(())
}

#[test]
fn nothing_is_an_empty_matrix() -> Result<()> {
    let (backbone, cache) = (mini(Some(Pooling::MeanAll)), temporary_folder());
    let (features, counts) = embed(&Extractor::new(&backbone, 2)?, &[], cache.path(), &Silent)?;
    assert_eq!((features[0].rows(), counts), (0, Counts::default()));
    Ok(())
}
