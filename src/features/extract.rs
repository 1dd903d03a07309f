//! Items to features: look up what is cached, embed the rest on every core, store it shard by shard.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Features, Row, Store};
use crate::backbone::{Backbone, Encoded};
use crate::data::{Item, render_prompt};
use crate::error::{Error, Fault, Result};
use crate::files::Digest;
use crate::progress::Progress;

/// Texts per shard: a kill loses at most this much work, and memory holds no more than one shard of new rows.
const SHARD_ROWS: usize = 2048;

/// What an embedding pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Distinct texts asked for.
    pub texts: usize,
    /// Texts embedded now.
    pub embedded: usize,
    /// Texts found in the store.
    pub cached: usize,
    /// Tokens of all texts after cutting.
    pub tokens: u64,
    /// Tokens embedded now.
    pub embedded_tokens: u64,
    /// Texts whose prompt lost its oldest tokens.
    pub cut_prompts: usize,
    /// Texts whose response lost its middle.
    pub cut_responses: usize,
    /// Shards that were damaged and left aside; their rows were embedded again.
    pub damaged_shards: usize,
}

/// A backbone with as many workers as cores.
///
/// Each worker runs single-threaded matrix products on texts of its own: several times less waiting than one product
/// spread over the cores, and the reason why a score does not depend on the batch it came in.
pub struct Extractor<'a> {
    backbone: &'a Backbone,
    pools: Vec<rayon::ThreadPool>,
}

impl<'a> Extractor<'a> {
    /// `threads` workers over one backbone.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses a thread.
    pub fn new(backbone: &'a Backbone, threads: usize) -> Result<Self> {
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..threads.max(1)).map(pool).collect::<Result<Vec<_>, _>>();
        let pools = pools.map_err(|error| Error::Io(vec![Fault::new("--threads", error)]))?;
        Ok(Self { backbone, pools })
    }

    /// The feature rows of `items`, in their order. Equal items are computed once by the caller's choice of items.
    ///
    /// # Errors
    /// What [`Backbone::encode`] and [`Backbone::features`] report.
    pub fn extract(&self, items: &[&Item], progress: &dyn Progress) -> Result<Vec<Row>> {
        let encoded = self.parallel(items.len(), &|index| {
            self.backbone.encode(&render_prompt(&items[index].prompt), &items[index].response)
        })?;
        let mut longest_first: Vec<usize> = (0..items.len()).collect();
        longest_first.sort_by_key(|&index| std::cmp::Reverse(encoded[index].ids.len()));
        let computed = self.parallel(items.len(), &|position| {
            let index = longest_first[position];
            let vector = self.backbone.features(&encoded[index])?;
            progress.advance(1);
            Ok((index, row(key(self.backbone, items[index]), &encoded[index], vector)))
        })?;
        let rows: BTreeMap<usize, Row> = computed.into_iter().collect();
        Ok(rows.into_values().collect())
    }

    /// `work(0..count)` on the workers; results in index order, or the error of the lowest index.
    fn parallel<T: Send>(&self, count: usize, work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(BTreeMap::new());
        let worker = || loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = work(index);
            let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            results.insert(index, result);
        };
        std::thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| pool.install(worker));
            }
        });
        results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).into_values().collect()
    }
}

fn key(backbone: &Backbone, item: &Item) -> Digest {
    let prompt = render_prompt(&item.prompt);
    Digest::of_parts([backbone.fingerprint().0.as_slice(), prompt.as_bytes(), item.response.as_bytes()])
}

fn row(key: Digest, encoded: &Encoded, vector: Vec<f32>) -> Row {
    let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let (cut_prompt, cut_response) = (count(encoded.cut.prompt), count(encoded.cut.response));
    Row { key, tokens: count(encoded.ids.len()), cut_prompt, cut_response, vector }
}

/// How many of `items` the store holds already.
///
/// # Errors
/// What the store reports.
pub fn count_cached(backbone: &Backbone, items: &[Item], store: &Store) -> Result<usize> {
    let keys: Vec<Digest> = items.iter().map(|item| key(backbone, item)).collect();
    Ok(store.fetch(&keys)?.0.len())
}

/// Features of distinct `items`, in their order: cached rows are read, the others embedded and stored.
///
/// # Errors
/// What the store and the backbone report. A failed run keeps every shard written before the failure.
pub fn embed(
    extractor: &Extractor<'_>,
    items: &[Item],
    store: &Store,
    progress: &dyn Progress,
) -> Result<(Features, Counts)> {
    let backbone = extractor.backbone;
    let keys: Vec<Digest> = items.iter().map(|item| key(backbone, item)).collect();
    let (mut rows, damaged_shards) = store.fetch(&keys)?;
    let missing: Vec<&Item> =
        items.iter().zip(&keys).filter(|(_, key)| !rows.contains_key(key)).map(|(item, _)| item).collect();
    let mut counts = Counts { texts: items.len(), embedded: missing.len(), damaged_shards, ..Counts::default() };
    counts.cached = counts.texts - counts.embedded;
    progress.start("features", missing.len() as u64);
    for chunk in missing.chunks(SHARD_ROWS) {
        let new_rows = extractor.extract(chunk, progress)?;
        store.append(&new_rows)?;
        counts.embedded_tokens += new_rows.iter().map(|row| u64::from(row.tokens)).sum::<u64>();
        rows.extend(new_rows.into_iter().map(|row| (row.key, row)));
    }
    let mut features = Features::new(backbone.width());
    for key in &keys {
        let Some(row) = rows.get(key) else {
            return Err(Error::Io(vec![Fault::new(store.folder().display(), "a stored feature went missing")]));
        };
        counts.tokens += u64::from(row.tokens);
        counts.cut_prompts += usize::from(row.cut_prompt > 0);
        counts.cut_responses += usize::from(row.cut_response > 0);
        features.push(&row.vector);
    }
    progress.finish(&format!("{} texts: {} embedded, {} cached", counts.texts, counts.embedded, counts.cached));
    Ok((features, counts))
}
