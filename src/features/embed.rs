//! Items to stored features: look up what is cached, embed the rest, store it shard by shard.
//!
//! In memory stand keys and flags of the texts (about 70 bytes for each text and readout), the rendered texts and rows
//! of one shard, and nothing else that grows with the data.

use std::path::Path;

use super::extract::key;
use super::{Extractor, Features, Places, Row, Store};
use crate::backbone::Readout;
use crate::conversation::Item;
use crate::error::Result;
use crate::files::Digest;
use crate::progress::Progress;

/// Texts per shard: a kill loses at most this much work.
const SHARD_ROWS: usize = 2048;

/// What an embedding pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Distinct items asked for.
    pub texts: usize,
    /// Texts embedded now.
    pub embedded: usize,
    /// Texts found in the store, or equal to one that was embedded.
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
    /// Counts `texts` texts that are equal.
    fn add(&mut self, texts: usize, tokens: u32, cut_prompt: u32, cut_response: u32) {
        self.tokens += texts as u64 * u64::from(tokens);
        self.cut_prompts += if cut_prompt > 0 { texts } else { 0 };
        self.cut_responses += if cut_response > 0 { texts } else { 0 };
    }
}

/// What is stored and what is not.
struct LookUp {
    /// The store of each readout, and the places of the items in it.
    stores: Vec<(Store, Places)>,
    /// Items to embed, those of one prompt together; of items that render to one text, the first.
    missing: Vec<usize>,
    /// What is counted of the items that are stored.
    counts: Counts,
}

/// How many of `items` are stored under `cache` already, in every readout.
///
/// # Errors
/// What the store and the backbone report.
pub fn count_cached(extractor: &Extractor<'_>, items: &[Item], cache: &Path) -> Result<usize> {
    Ok(look_up(extractor, items, cache)?.counts.cached)
}

/// Stores the features of distinct `items` under `cache`, those that are not there yet.
///
/// # Errors
/// What the store and the backbone report. A failed run keeps every shard written before the failure.
pub fn fill(extractor: &Extractor<'_>, items: &[Item], cache: &Path, progress: &dyn Progress) -> Result<Counts> {
    Ok(fill_stores(extractor, items, cache, progress)?.counts)
}

/// Features of distinct `items`, in their order, one matrix per readout: what is not stored under `cache` is embedded and
/// stored there, then all is read from there.
///
/// # Errors
/// As [`fill`].
pub fn embed(
    extractor: &Extractor<'_>,
    items: &[Item],
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(Vec<Features>, Counts)> {
    let LookUp { stores, counts, .. } = fill_stores(extractor, items, cache, progress)?;
    // The places of each readout are let go as soon as its matrix stands.
    let matrices = stores.into_iter().map(|(store, places)| store.matrix(&places));
    Ok((matrices.collect::<Result<_>>()?, counts))
}

fn fill_stores(extractor: &Extractor<'_>, items: &[Item], cache: &Path, progress: &dyn Progress) -> Result<LookUp> {
    let mut known = look_up(extractor, items, cache)?;
    let counts = &mut known.counts;
    progress.start("features", known.missing.len() as u64);
    for chunk in known.missing.chunks(SHARD_ROWS) {
        let chunk: Vec<&Item> = chunk.iter().map(|&index| &items[index]).collect();
        let texts = extractor.render(&chunk)?;
        let mut rows: Vec<_> =
            extractor.extract(&texts.iter().collect::<Vec<_>>(), progress)?.into_iter().map(Vec::into_iter).collect();
        drop(texts);
        for (readout, (store, places)) in known.stores.iter().enumerate() {
            let shard: Vec<Row> = rows.iter_mut().filter_map(Iterator::next).collect();
            store.append(&shard)?;
            for row in shard.iter().filter(|_| readout == 0) {
                counts.embedded_tokens += u64::from(row.tokens);
                counts.add(places.of(&row.key).count(), row.tokens, row.cut_prompt, row.cut_response);
            }
        }
    }
    progress.finish(&format!("{} texts: {} embedded, {} cached", counts.texts, counts.embedded, counts.cached));
    Ok(known)
}

fn look_up(extractor: &Extractor<'_>, items: &[Item], cache: &Path) -> Result<LookUp> {
    let (keys, prompts) = keys(extractor, items)?;
    let backbone = extractor.backbone();
    let store = |readout: &Readout| Store::new(cache, readout.fingerprint, backbone.width(readout));
    let stores = backbone.readouts().iter().map(store);
    let stores: Vec<(Store, Places)> = stores.zip(keys.into_iter().map(Places::new)).collect();
    let mut counts = Counts { texts: items.len(), ..Counts::default() };
    let mut lacking = vec![false; items.len()];
    // The first readout last: what it says of a text is counted where no other lacks it.
    for (readout, (store, places)) in stores.iter().enumerate().rev() {
        let mut stored = vec![false; items.len()];
        counts.damaged_shards += store.visit(|shard| {
            for (index, key) in shard.keys.iter().enumerate() {
                for place in places.of(key) {
                    if readout == 0 && !stored[place] && !lacking[place] {
                        counts.add(1, shard.tokens[index], shard.cut_prompt[index], shard.cut_response[index]);
                    }
                    stored[place] = true;
                }
            }
            Ok(())
        })?;
        lacking.iter_mut().zip(stored).for_each(|(lacking, stored)| *lacking |= !stored);
    }
    stores.iter().take(1).flat_map(|(_, places)| places.repeated()).for_each(|place| lacking[place] = false);
    let mut missing: Vec<usize> = (0..items.len()).filter(|&index| lacking[index]).collect();
    missing.sort_by_key(|&index| prompts[index]);
    counts.embedded = missing.len();
    counts.cached = counts.texts - counts.embedded;
    Ok(LookUp { stores, missing, counts })
}

/// The keys of all items in the store of each readout, and a number for each prompt, by which items of one prompt are
/// brought together. Texts are rendered shard by shard and let go.
fn keys(extractor: &Extractor<'_>, items: &[Item]) -> Result<(Vec<Vec<Digest>>, Vec<u64>)> {
    let readouts = extractor.backbone().readouts();
    let mut keys: Vec<Vec<Digest>> = readouts.iter().map(|_| Vec::with_capacity(items.len())).collect();
    let mut prompts = Vec::with_capacity(items.len());
    for chunk in items.chunks(SHARD_ROWS) {
        let texts = extractor.render(&chunk.iter().collect::<Vec<_>>())?;
        for (readout, keys) in readouts.iter().zip(&mut keys) {
            keys.extend(texts.iter().map(|text| key(readout, text)));
        }
        prompts.extend(texts.iter().map(|text| prompt(&text.before)));
    }
    Ok((keys, prompts))
}

/// The first bytes of the digest of a prompt. Two prompts that share them only stand beside each other.
fn prompt(before: &str) -> u64 {
    let Digest(bytes) = Digest::of(before.as_bytes());
    bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

#[cfg(test)]
mod tests;
