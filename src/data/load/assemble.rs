//! From the sources' pairs to the [`Dataset`]: the same comparison once, every order by content, and what is too few.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;

use super::source::{Pool, ReadSource};
use crate::config::{Config, Format, HeadKind, Loss, ObjectiveConfig};
use crate::data::audit::{self, DUPLICATE_PAIR};
use crate::data::pairs::Candidate;
use crate::data::rated::Scored;
use crate::data::{Audit, Dataset, Item, ItemRating, ObjectivePairs, Pair, Split};
use crate::error::Fault;
use crate::files::{self, Digest};

/// Fewer pairs than this to learn from are a mistake, not an objective.
const MIN_TRAINING_PAIRS: usize = 20;
/// The same for ratings, where a head is fitted to them.
const MIN_TRAINING_RATINGS: usize = 20;
/// The name under which the holistic pairs stand.
const HOLISTIC: &str = "overall";

/// A list of pairs, and what for.
pub(super) struct Purpose<'a> {
    pub(super) name: &'a str,
    /// Whether a head is fitted to ratings, for which answers count that stand in no pair.
    pub(super) fits_ratings: bool,
}

impl<'a> Purpose<'a> {
    /// What an objective needs.
    pub(super) fn of(objective: &'a ObjectiveConfig) -> Self {
        let fits_ratings = matches!(&objective.head, HeadKind::Linear(head) if head.loss == Loss::Regression);
        Self { name: &objective.name, fits_ratings }
    }
}

/// Puts the sources' pairs together: one list per objective, items and pairs in the order of their keys.
/// The pool holds what they say; `reference` are the keys of the reference responses.
pub(super) fn assemble(
    objectives: &[Purpose<'_>],
    sources: Vec<ReadSource>,
    mut pool: Pool,
    reference: &[Digest],
) -> Dataset {
    let objectives = objectives.iter().map(|objective| Kept::new(objective.name, objective.fits_ratings));
    let mut kept: Vec<Kept> = objectives.chain([Kept::new(HOLISTIC, false)]).collect();
    for source in sources {
        if let Some(kept) = kept.get_mut(source.owner) {
            kept.add(source);
        }
    }
    let used: BTreeSet<Digest> = kept.iter().flat_map(Kept::items).chain(reference.iter().copied()).collect();
    let index: BTreeMap<Digest, usize> = used.into_iter().zip(0..).collect();
    let all = std::mem::take(&mut pool.items).into_iter();
    let items: Vec<Item> = all.filter(|(key, _)| index.contains_key(key)).map(|(_, item)| item).collect();
    let words = audit::words(&items);
    let finish = |kept: Kept| kept.finish(&index, &words, &pool);
    let mut objectives: Vec<ObjectivePairs> = kept.into_iter().map(finish).collect();
    let holistic = objectives.pop().unwrap_or_else(|| finish(Kept::new(HOLISTIC, false)));
    let mut reference: Vec<usize> = reference.iter().filter_map(|key| index.get(key).copied()).collect();
    reference.sort_unstable();
    Dataset { items, objectives, holistic, reference, domains: pool.domains() }
}

/// The pairs of one objective while they are put together.
struct Kept {
    name: String,
    fits_ratings: bool,
    audit: Audit,
    pairs: BTreeMap<(Digest, Digest), Candidate>,
    ratings: BTreeMap<Digest, Scored>,
    /// A pair of each source, if it gave one.
    examples: Vec<Option<(Digest, Digest)>>,
}

impl Kept {
    fn new(name: &str, fits_ratings: bool) -> Self {
        Self {
            name: name.to_owned(),
            fits_ratings,
            audit: Audit::default(),
            pairs: BTreeMap::new(),
            ratings: BTreeMap::new(),
            examples: Vec::new(),
        }
    }

    /// The items that the objective needs, some more than once.
    fn items(&self) -> impl Iterator<Item = Digest> {
        let rated = self.ratings.keys().filter(|_| self.fits_ratings);
        self.pairs.keys().flat_map(|(chosen, rejected)| [*chosen, *rejected]).chain(rated.copied())
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
        for scored in source.scored {
            if self.ratings.get(&scored.key).is_none_or(|kept| scored.stands_before(kept)) {
                self.ratings.insert(scored.key, scored);
            }
        }
        self.audit.duplicates += source.audit.dropped_as(DUPLICATE_PAIR);
        self.audit.sources.push(source.audit);
    }

    /// The list of pairs, of items at the places that `index` gives, whose responses have so many `words`.
    fn finish(mut self, index: &BTreeMap<Digest, usize>, words: &[f64], pool: &Pool) -> ObjectivePairs {
        let splitter = &pool.splitter;
        let pair = |candidate: &Candidate| {
            Some(Pair {
                chosen: *index.get(&candidate.chosen)?,
                rejected: *index.get(&candidate.rejected)?,
                preference: candidate.preference,
                votes: candidate.votes,
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
        let rating = |scored: &Scored| {
            let (item, prompt_key) = (*index.get(&scored.key)?, scored.prompt);
            Some(ItemRating { item, score: scored.score, split: splitter.split(&prompt_key), prompt_key })
        };
        let pairs: Vec<Pair> = self.pairs.values().filter_map(pair).collect();
        let ratings = self.ratings.values().filter_map(rating).collect();
        audit::count(&mut self.audit, words, &pairs);
        let prompts: BTreeSet<Digest> = pairs.iter().map(|pair| pair.prompt_key).collect();
        self.audit.split_conflicts = prompts.iter().filter(|prompt| splitter.is_conflict(prompt)).count();
        self.audit.domain_conflicts = prompts.iter().filter(|prompt| pool.is_domain_conflict(prompt)).count();
        ObjectivePairs { name: self.name, pairs, ratings, audit: self.audit }
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
        if Purpose::of(objective).fits_ratings {
            faults.extend(unrated(objective, pairs));
        }
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

/// What keeps a head from being fitted to ratings: sources that have none, or too few of them.
fn unrated(objective: &ObjectiveConfig, pairs: &ObjectivePairs) -> Vec<Fault> {
    let help = "take the source out, or another head.loss than regression";
    let sources = pairs.audit.sources.iter().filter(|source| !source.format.is_rated());
    let mut faults: Vec<Fault> = sources
        .map(|source| {
            let found = format!("the format {}, which has no ratings for loss: regression", source.format.word());
            let rated: Vec<&str> = Format::all().filter(|format| format.is_rated()).map(Format::word).collect();
            Fault::new(&source.path, found).accepts(rated.join(", ")).help(help)
        })
        .collect();
    let training = pairs.ratings.iter().filter(|rating| rating.split == Split::Train).count();
    if faults.is_empty() && training < MIN_TRAINING_RATINGS {
        let found = format!("{}: {training} training ratings", pairs.name);
        let fault = Fault::new(files::shown(&objective.file), found);
        faults.push(fault.accepts(format!("at least {MIN_TRAINING_RATINGS} ratings in the training split")));
    }
    faults
}
