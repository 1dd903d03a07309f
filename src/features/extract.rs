//! Texts to features: groups of texts on every core.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Row;
use super::groups::groups;
use crate::backbone::{Backbone, Encoded, Readout, Rendered};
use crate::conversation::Item;
use crate::error::{Error, Fault, Result};
use crate::files::Digest;
use crate::progress::Progress;

/// Tokens that go through the forward pass together: enough for fast matrix products, few enough for the caches.
const GROUP_TOKENS: usize = 512;

/// Bytes of a usual text per token, by which texts are grouped before they are tokenized.
const BYTES_PER_TOKEN: usize = 4;

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
        let mut rows = Self::embed_together(&[self], backbone)?;
        rows.pop().ok_or_else(|| Error::Model(vec![Fault::new("backbone", "the forward pass gave no features")]))
    }

    /// Runs one forward pass for several texts: their rows, in their order, with the bits that each gets alone.
    ///
    /// # Errors
    /// What [`Backbone::features`] reports.
    pub fn embed_together(texts: &[&PreparedText], backbone: &Backbone) -> Result<Vec<Row>> {
        let encoded: Vec<&Encoded> = texts.iter().map(|text| &text.encoded).collect();
        let first = |vectors: Vec<Vec<f32>>| vectors.into_iter().next().unwrap_or_default();
        let vectors = backbone.features(&encoded)?.into_iter().map(first);
        Ok(texts.iter().zip(vectors).map(|(text, vector)| row(text.key, &text.encoded, vector)).collect())
    }
}

/// A backbone with as many workers as cores.
///
/// Each worker takes a group of texts, tokenizes them and runs one forward pass with single-threaded matrix products:
/// several times less waiting than one product spread over the cores. A score does not depend on the group.
pub struct Extractor<'a> {
    backbone: &'a Backbone,
    pools: Vec<rayon::ThreadPool>,
    group_tokens: usize,
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
        Ok(Self { backbone, pools, group_tokens: GROUP_TOKENS })
    }

    /// Lets at most `tokens` through the forward pass together, or one longer text: it decides speed and memory only.
    #[must_use]
    pub fn with_group_tokens(mut self, tokens: usize) -> Self {
        self.group_tokens = tokens.max(1);
        self
    }

    /// The backbone the workers run.
    pub fn backbone(&self) -> &'a Backbone {
        self.backbone
    }

    /// The texts the backbone reads, in the order of `items`.
    ///
    /// # Errors
    /// What [`Backbone::render`] reports, of the lowest item.
    pub fn render(&self, items: &[&Item]) -> Result<Vec<Rendered>> {
        let render = |index: usize| self.backbone.render(&items[index].prompt, &items[index].response);
        self.parallel(items.len(), &render).into_iter().collect()
    }

    /// The feature rows of `texts`, in their order, each with one row per readout of the backbone. Equal texts are
    /// computed once by the caller's choice of texts.
    ///
    /// Texts of one prompt go through the forward pass together where the budget of tokens allows it. The longest
    /// groups come first, so that the workers end together.
    ///
    /// # Errors
    /// What [`Backbone::encode`] and [`Backbone::features`] report, of the lowest text that has a fault.
    pub fn extract(&self, texts: &[&Rendered], progress: &dyn Progress) -> Result<Vec<Vec<Row>>> {
        let cost = |index: &usize| self.expected_tokens(texts[*index]);
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by(|left, right| texts[*left].before.cmp(&texts[*right].before).then(left.cmp(right)));
        // A few texts are shared out among all workers.
        let share = order.iter().map(cost).sum::<usize>().div_ceil(self.pools.len());
        let alike = |left: &usize, right: &usize| texts[*left].before == texts[*right].before;
        let mut groups = groups(&order, alike, cost, self.group_tokens.min(share));
        groups.sort_by_key(|group| Reverse(group.iter().map(cost).sum::<usize>()));
        let run = |index: usize| self.run(groups[index], texts, progress);
        let mut rows: Vec<(usize, Result<Vec<Row>>)> =
            self.parallel(groups.len(), &run).into_iter().flatten().collect();
        rows.sort_unstable_by_key(|(index, _)| *index);
        rows.into_iter().map(|(_, rows)| rows).collect()
    }

    /// About as many tokens as the backbone will read of a text.
    fn expected_tokens(&self, text: &Rendered) -> usize {
        let bytes = text.before.len() + text.response.len() + text.after.len();
        (bytes / BYTES_PER_TOKEN + 1).min(self.backbone.max_tokens())
    }

    /// Tokenizes a group and runs it, in several passes where it turns out longer than expected; the rows of each text
    /// or its fault.
    fn run(&self, group: &[usize], texts: &[&Rendered], progress: &dyn Progress) -> Vec<(usize, Result<Vec<Row>>)> {
        let (mut results, mut encoded) = (Vec::new(), Vec::new());
        for &index in group {
            match self.backbone.encode(texts[index]) {
                Ok(text) => encoded.push((index, text)),
                Err(error) => results.push((index, Err(error))),
            }
        }
        let alike = |left: &(usize, Encoded), right: &(usize, Encoded)| texts[left.0].before == texts[right.0].before;
        for together in groups(&encoded, alike, |(_, text)| text.ids.len(), self.group_tokens) {
            results.extend(self.forward(together, texts));
            progress.advance(together.len() as u64);
        }
        results
    }

    /// One forward pass; where it fails, one for each text, so that the fault is told of the text that has it.
    fn forward(&self, together: &[(usize, Encoded)], texts: &[&Rendered]) -> Vec<(usize, Result<Vec<Row>>)> {
        let rows = |(index, encoded): &(usize, Encoded), vectors: Vec<Vec<f32>>| -> Vec<Row> {
            let row = |(readout, vector)| row(key(readout, texts[*index]), encoded, vector);
            self.backbone.readouts().iter().zip(vectors).map(row).collect()
        };
        let encoded: Vec<&Encoded> = together.iter().map(|(_, encoded)| encoded).collect();
        match self.backbone.features(&encoded) {
            Ok(vectors) => {
                together.iter().zip(vectors).map(|(text, vectors)| (text.0, Ok(rows(text, vectors)))).collect()
            }
            Err(error) if together.len() == 1 => together.iter().map(|text| text.0).zip([Err(error)]).collect(),
            Err(_) => together.chunks(1).flat_map(|one| self.forward(one, texts)).collect(),
        }
    }

    /// `work(0..count)` on the workers; results in index order.
    fn parallel<T: Send>(&self, count: usize, work: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
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

/// The key of a text in the store of a readout.
pub(super) fn key(readout: &Readout, text: &Rendered) -> Digest {
    let parts = [&text.before, &text.response, &text.after].map(std::string::String::as_bytes);
    Digest::of_parts(std::iter::once(readout.fingerprint.0.as_slice()).chain(parts))
}

fn row(key: Digest, encoded: &Encoded, vector: Vec<f32>) -> Row {
    let count = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let (cut_prompt, cut_response) = (count(encoded.cut.prompt), count(encoded.cut.response));
    Row { key, tokens: count(encoded.ids.len()), cut_prompt, cut_response, vector }
}
