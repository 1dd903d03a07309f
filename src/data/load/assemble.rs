//! From the sources' pairs to the [`Dataset`]: the same comparison once, every order by content, and what is too few.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;

use super::source::{Pool, ReadSource};
use crate::config::Config;
use crate::data::audit::{self, DUPLICATE_PAIR};
use crate::data::pairs::Candidate;
use crate::data::{Audit, Dataset, Item, ObjectivePairs, Pair, Split, Splitter};
use crate::error::Fault;
use crate::files::{self, Digest};

/// Fewer pairs than this to learn from are a mistake, not an objective.
const MIN_TRAINING_PAIRS: usize = 20;
/// The name under which the holistic pairs stand.
const HOLISTIC: &str = "overall";

/// Puts the sources' pairs together: one list per objective, items and pairs in the order of their keys.
pub(super) fn assemble(objectives: &[&str], sources: Vec<ReadSource>, pool: &Pool) -> Dataset {
    let mut kept: Vec<Kept> = objectives.iter().copied().chain([HOLISTIC]).map(Kept::new).collect();
    for source in sources {
        if let Some(kept) = kept.get_mut(source.owner) {
            kept.add(source);
        }
    }
    let used: BTreeSet<Digest> =
        kept.iter().flat_map(|kept| kept.pairs.keys()).flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect();
    let index: BTreeMap<Digest, usize> = used.into_iter().zip(0..).collect();
    let items: Vec<Item> = index.keys().filter_map(|key| pool.items.get(key).cloned()).collect();
    let mut objectives: Vec<ObjectivePairs> =
        kept.into_iter().map(|kept| kept.finish(&index, &items, &pool.splitter)).collect();
    let holistic = objectives.pop().unwrap_or_else(|| Kept::new(HOLISTIC).finish(&index, &items, &pool.splitter));
    Dataset { items, objectives, holistic }
}

/// The pairs of one objective while they are put together.
struct Kept {
    name: String,
    audit: Audit,
    pairs: BTreeMap<(Digest, Digest), Candidate>,
    /// A pair of each source, if it gave one.
    examples: Vec<Option<(Digest, Digest)>>,
}

impl Kept {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), audit: Audit::default(), pairs: BTreeMap::new(), examples: Vec::new() }
    }

    /// Adds a source; of copies of a pair the one with the most direct label stays, whatever the order of sources.
    fn add(&mut self, mut source: ReadSource) {
        self.examples.push(source.candidates.iter().map(|one| (one.chosen, one.rejected)).min());
        for candidate in source.candidates {
            match self.pairs.entry((candidate.chosen, candidate.rejected)) {
                Entry::Occupied(mut place) => {
                    source.audit.drop(DUPLICATE_PAIR, 1);
                    if candidate.rank() < place.get().rank() {
                        place.insert(candidate);
                    }
                }
                Entry::Vacant(place) => {
                    place.insert(candidate);
                    source.audit.pairs += 1;
                }
            }
        }
        self.audit.duplicates += source.audit.dropped_as(DUPLICATE_PAIR);
        self.audit.sources.push(source.audit);
    }

    fn finish(mut self, index: &BTreeMap<Digest, usize>, items: &[Item], splitter: &Splitter) -> ObjectivePairs {
        let pair = |candidate: &Candidate| {
            Some(Pair {
                chosen: *index.get(&candidate.chosen)?,
                rejected: *index.get(&candidate.rejected)?,
                preference: candidate.preference,
                margin: candidate.margin,
                weight: candidate.weight,
                labels: candidate.labels,
                split: splitter.split(&candidate.prompt),
                prompt_key: candidate.prompt,
            })
        };
        let keys: Vec<(Digest, Digest)> = self.pairs.keys().copied().collect();
        for (source, example) in self.audit.sources.iter_mut().zip(&self.examples) {
            source.example = example.and_then(|example| keys.binary_search(&example).ok());
        }
        let pairs: Vec<Pair> = self.pairs.values().filter_map(pair).collect();
        audit::count(&mut self.audit, items, &pairs);
        let prompts: BTreeSet<Digest> = pairs.iter().map(|pair| pair.prompt_key).collect();
        self.audit.split_conflicts = prompts.iter().filter(|prompt| splitter.is_conflict(prompt)).count();
        ObjectivePairs { name: self.name, pairs, audit: self.audit }
    }
}

/// One fault for each objective that has too few pairs, and for holistic sources that judge nothing.
pub(super) fn too_few(config: &Config, dataset: &Dataset) -> Vec<Fault> {
    let count = |pairs: &ObjectivePairs, split| pairs.audit.splits.get(&split).copied().unwrap_or_default();
    let fault = |place: &Path, pairs: &ObjectivePairs, needed: String| {
        let [train, calibration, test] = [Split::Train, Split::Calibration, Split::Test].map(|s| count(pairs, s));
        let found = format!("{}: {train} training, {calibration} calibration and {test} test pairs", pairs.name);
        let dropped: Vec<String> = pairs
            .audit
            .sources
            .iter()
            .flat_map(|source| source.dropped.iter().map(|(reason, count)| format!("{count} {reason}")))
            .collect();
        let help = "pairs fall into splits by prompt (80 / 10 / 10 %): add prompts, or mark held-out rows";
        let help =
            if dropped.is_empty() { help.to_owned() } else { format!("{help}; dropped: {}", dropped.join(", ")) };
        Fault::new(files::shown(place), found).accepts(needed).help(help)
    };
    let mut faults = Vec::new();
    for (objective, pairs) in config.objectives.iter().zip(&dataset.objectives) {
        let enough = count(pairs, Split::Train) >= MIN_TRAINING_PAIRS;
        if !enough || count(pairs, Split::Calibration) == 0 || count(pairs, Split::Test) == 0 {
            let needed = format!("at least {MIN_TRAINING_PAIRS} training, 1 calibration and 1 test pair");
            faults.push(fault(&objective.file, pairs, needed));
        } else if pairs.pairs.iter().filter(|pair| pair.split == Split::Train).all(|pair| pair.preference <= 0.5) {
            let found = format!("{}: every training pair is a tie, from which nothing can be learned", pairs.name);
            let fault = Fault::new(files::shown(&objective.file), found).accepts("pairs with a winner, beside ties");
            faults.push(fault.help("add a source of pairs that were decided"));
        }
    }
    if !config.holistic.is_empty() && count(&dataset.holistic, Split::Test) == 0 {
        faults.push(fault(&config.file, &dataset.holistic, "at least 1 test pair".to_owned()));
    }
    faults
}
