//! Items to features: look up what is cached, embed the rest on every core, store it shard by shard.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Features, Row, Store};
use crate::backbone::{Backbone, Encoded, Readout, Rendered};
use crate::conversation::Item;
use crate::error::{Error, Fault, Result};
use crate::files::Digest;
use crate::progress::Progress;

/// Texts per shard: a kill loses at most this much work.
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

impl Counts {
    fn add(&mut self, row: &Row) {
        self.tokens += u64::from(row.tokens);
        self.cut_prompts += usize::from(row.cut_prompt > 0);
        self.cut_responses += usize::from(row.cut_response > 0);
    }
}

/// A text ready for the forward pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedText {
    /// Digest of backbone, readout and rendered text: equal texts have equal keys.
    pub key: Digest,
    encoded: Encoded,
}

impl PreparedText {
    /// Tokenizes a rendered text for the backbone's first readout.
    ///
    /// # Errors
    /// What [`Backbone::encode`] reports.
    pub fn new(backbone: &Backbone, text: &Rendered) -> Result<Self> {
        Ok(Self { key: key(backbone.readout(), text), encoded: backbone.encode(text)? })
    }

    /// A text of this many tokens that no backbone has seen, for tests of what stands around the forward pass.
    #[cfg(test)]
    pub(crate) fn stand_in(key: Digest, tokens: usize) -> Self {
        let (ids, type_ids) = (vec![0; tokens], vec![0; tokens]);
        Self { key, encoded: Encoded { ids, type_ids, response: 0..tokens, cut: crate::backbone::Cut::default() } }
    }

    /// Tokens after cutting.
    pub fn tokens(&self) -> usize {
        self.encoded.ids.len()
    }

    /// Runs the forward pass: the row of the first readout, with the bits that [`Extractor::extract`] gives.
    ///
    /// # Errors
    /// What [`Backbone::features`] reports.
    pub fn embed(&self, backbone: &Backbone) -> Result<Row> {
        let vectors = backbone.features(&[&self.encoded])?.into_iter().next().unwrap_or_default();
        let vector = vectors.into_iter().next().unwrap_or_default();
        Ok(row(self.key, &self.encoded, vector))
    }
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

    /// The backbone the workers run.
    pub fn backbone(&self) -> &'a Backbone {
        self.backbone
    }

    /// The texts the backbone reads, in the order of `items`.
    ///
    /// # Errors
    /// What [`Backbone::render`] reports.
    pub fn render(&self, items: &[&Item]) -> Result<Vec<Rendered>> {
        self.parallel(items.len(), &|index| self.backbone.render(&items[index].prompt, &items[index].response))
    }

    /// The feature rows of `texts`, in their order, each with one row per readout of the backbone. Equal texts are
    /// computed once by the caller's choice of texts.
    ///
    /// # Errors
    /// What [`Backbone::encode`] and [`Backbone::features`] report.
    pub fn extract(&self, texts: &[&Rendered], progress: &dyn Progress) -> Result<Vec<Vec<Row>>> {
        let encoded = self.parallel(texts.len(), &|index| self.backbone.encode(texts[index]))?;
        let mut longest_first: Vec<usize> = (0..texts.len()).collect();
        longest_first.sort_by_key(|&index| std::cmp::Reverse(encoded[index].ids.len()));
        let computed = self.parallel(texts.len(), &|position| {
            let index = longest_first[position];
            let vectors = self.backbone.features(&[&encoded[index]])?.into_iter().next().unwrap_or_default();
            progress.advance(1);
            let row = |(readout, vector)| row(key(readout, texts[index]), &encoded[index], vector);
            Ok((index, self.backbone.readouts().iter().zip(vectors).map(row).collect()))
        })?;
        let rows: BTreeMap<usize, Vec<Row>> = computed.into_iter().collect();
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

fn key(readout: &Readout, text: &Rendered) -> Digest {
    let parts = [&text.before, &text.response, &text.after].map(std::string::String::as_bytes);
    Digest::of_parts(std::iter::once(readout.fingerprint.0.as_slice()).chain(parts))
}

fn row(key: Digest, encoded: &Encoded, vector: Vec<f32>) -> Row {
    let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let (cut_prompt, cut_response) = (count(encoded.cut.prompt), count(encoded.cut.response));
    Row { key, tokens: count(encoded.ids.len()), cut_prompt, cut_response, vector }
}

/// What is stored of one readout.
struct Stored {
    store: Store,
    /// Per text, in the order of the items.
    keys: Vec<Digest>,
    rows: BTreeMap<Digest, Row>,
    damaged: usize,
}

fn look_up(backbone: &Backbone, cache: &Path, texts: &[Rendered]) -> Result<Vec<Stored>> {
    let look_up = |readout: &Readout| {
        let store = Store::new(cache, readout.fingerprint, backbone.width(readout));
        let keys: Vec<Digest> = texts.iter().map(|text| key(readout, text)).collect();
        let (rows, damaged) = store.fetch(&keys)?;
        Ok(Stored { store, keys, rows, damaged })
    };
    backbone.readouts().iter().map(look_up).collect()
}

/// The texts of which some readout is not stored, by index.
fn missing(stored: &[Stored], count: usize) -> Vec<usize> {
    let lacks = |index: &usize| stored.iter().any(|stored| !stored.rows.contains_key(&stored.keys[*index]));
    (0..count).filter(lacks).collect()
}

/// How many of `items` are stored under `cache` already, in every readout.
///
/// # Errors
/// What the store and the backbone report.
pub fn count_cached(extractor: &Extractor<'_>, items: &[Item], cache: &Path) -> Result<usize> {
    let texts = extractor.render(&items.iter().collect::<Vec<_>>())?;
    let stored = look_up(extractor.backbone, cache, &texts)?;
    Ok(texts.len() - missing(&stored, texts.len()).len())
}

/// Features of distinct `items`, in their order, one matrix per readout: cached rows are read, the others embedded
/// and stored under `cache`.
///
/// # Errors
/// What the store and the backbone report. A failed run keeps every shard written before the failure.
pub fn embed(
    extractor: &Extractor<'_>,
    items: &[Item],
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(Vec<Features>, Counts)> {
    let backbone = extractor.backbone;
    let texts = extractor.render(&items.iter().collect::<Vec<_>>())?;
    let mut stored = look_up(backbone, cache, &texts)?;
    let missing = missing(&stored, texts.len());
    let damaged_shards = stored.iter().map(|stored| stored.damaged).sum();
    let mut counts = Counts { texts: items.len(), embedded: missing.len(), damaged_shards, ..Counts::default() };
    counts.cached = counts.texts - counts.embedded;
    progress.start("features", missing.len() as u64);
    for chunk in missing.chunks(SHARD_ROWS) {
        let chunk: Vec<&Rendered> = chunk.iter().map(|&index| &texts[index]).collect();
        let rows = extractor.extract(&chunk, progress)?;
        counts.embedded_tokens +=
            rows.iter().filter_map(|rows| rows.first()).map(|row| u64::from(row.tokens)).sum::<u64>();
        for (index, stored) in stored.iter_mut().enumerate() {
            let new: Vec<Row> = rows.iter().filter_map(|rows| rows.get(index).cloned()).collect();
            stored.store.append(&new)?;
            stored.rows.extend(new.into_iter().map(|row| (row.key, row)));
        }
    }
    let mut matrices = Vec::with_capacity(stored.len());
    // Each readout's rows are let go as soon as its matrix stands.
    for (index, (stored, readout)) in stored.into_iter().zip(backbone.readouts()).enumerate() {
        let mut features = Features::new(backbone.width(readout));
        for key in &stored.keys {
            let Some(row) = stored.rows.get(key) else {
                let place = stored.store.folder().display().to_string();
                return Err(Error::Io(vec![Fault::new(place, "a stored feature went missing")]));
            };
            if index == 0 {
                counts.add(row);
            }
            features.push(&row.vector);
        }
        matrices.push(features);
    }
    progress.finish(&format!("{} texts: {} embedded, {} cached", counts.texts, counts.embedded, counts.cached));
    Ok((matrices, counts))
}
