//! What was read, what was dropped and why, and what the pairs of an objective look like.
//!
//! Only counting lives here; what is dropped is decided where it is read.

use std::collections::{BTreeMap, BTreeSet};

use super::pairs::Candidate;
use super::{Item, Pair, Split};
use crate::config::{Format, LabelSource, SourceConfig};
use crate::files::{self, Digest};

/// Both sides say the same.
pub(super) const IDENTICAL: &str = "identical sides";
/// A side says nothing.
pub(super) const EMPTY: &str = "empty response";
/// The two sides answer different conversations.
pub(super) const PROMPTS_DIFFER: &str = "prompts differ";
/// A transcript whose last turn is the person's.
pub(super) const NO_ASSISTANT: &str = "no assistant turn at the end";
/// The objective has the pair already, from this source or from an earlier one.
pub(super) const DUPLICATE_PAIR: &str = "duplicate pair";
/// The same response to the same prompt was rated before.
pub(super) const DUPLICATE_RATING: &str = "response rated twice";
/// More pairs of one prompt than the config wants.
pub(super) const OVER_MAX: &str = "over max_pairs_per_prompt";

/// What an objective's data were found to be.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Audit {
    /// One entry per source, in the order of the config.
    pub sources: Vec<SourceAudit>,
    /// Pairs dropped because the objective had them already.
    pub duplicates: usize,
    /// Pairs of answers that stand in both directions; all are kept, as the labelers disagreed.
    pub contradictions: usize,
    /// Prompts that one source (or row) sets apart for training and another holds out; they are held out.
    pub split_conflicts: usize,
    /// Prompts that rows put into different domains; the first name by alphabet counts.
    #[serde(skip_serializing_if = "is_zero")]
    pub domain_conflicts: usize,
    /// Pairs per split.
    pub splits: BTreeMap<Split, usize>,
    /// Pairs per kind of labeler.
    pub labels: BTreeMap<LabelSource, usize>,
    /// Distinct normalised prompts.
    pub prompts: usize,
    /// How far length alone explains the labels.
    pub length: LengthSkew,
}

/// What one source was found to be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SourceAudit {
    /// The file, the folder or the pattern, as the config names it.
    pub path: String,
    /// How many files were read.
    pub files: usize,
    /// Names of files in the folder that were not read because nothing is known to end so.
    pub skipped: Vec<String>,
    /// Its format.
    pub format: Format,
    /// Whether the format was told from the first row and not by the config.
    pub detected: bool,
    /// Fields of the first row that the detected format does not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Rows read.
    pub rows: usize,
    /// Pairs kept.
    pub pairs: usize,
    /// Pairs on which the labelers are undecided.
    #[serde(skip_serializing_if = "is_zero")]
    pub ties: usize,
    /// Pairs with a margin.
    #[serde(skip_serializing_if = "is_zero")]
    pub margins: usize,
    /// Pairs with another weight than 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub weights: usize,
    /// Rows or pairs dropped, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Rows in which consecutive turns of one speaker were joined by a blank line.
    pub joined_turns: usize,
    /// Index of one of its pairs among the objective's, to show.
    pub example: Option<usize>,
    /// Digest of what the rows say, whatever their order, files and containers.
    #[serde(serialize_with = "as_text")]
    pub digest: Digest,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn as_text<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

impl SourceAudit {
    /// The audit of a source of which nothing is read yet.
    pub(super) fn new(source: &SourceConfig) -> Self {
        Self {
            path: files::shown(&source.path),
            files: source.files.len(),
            skipped: source.skipped.clone(),
            format: source.format.unwrap_or(Format::Pairs),
            detected: source.format.is_none(),
            ignored: Vec::new(),
            rows: 0,
            pairs: 0,
            ties: 0,
            margins: 0,
            weights: 0,
            dropped: BTreeMap::new(),
            joined_turns: 0,
            example: None,
            digest: digest_of_rows(Vec::new()),
        }
    }

    /// Counts `count` more rows or pairs as dropped.
    pub(super) fn drop(&mut self, reason: &str, count: usize) {
        if count > 0 {
            *self.dropped.entry(reason.to_owned()).or_default() += count;
        }
    }

    /// Counts what the source's pairs say beside who won. Pairs that an earlier source has too are counted here.
    pub(super) fn count_labels(&mut self, candidates: &[Candidate]) {
        let count = |is: fn(&Candidate) -> bool| candidates.iter().filter(|candidate| is(candidate)).count();
        self.ties = count(|candidate| candidate.preference <= 0.5);
        self.margins = count(|candidate| candidate.margin > 0.0);
        self.weights = count(|candidate| candidate.weight.total_cmp(&1.0).is_ne());
    }

    /// How many were dropped for this reason.
    pub(super) fn dropped_as(&self, reason: &str) -> usize {
        self.dropped.get(reason).copied().unwrap_or_default()
    }
}

/// How length and preference go together, over all pairs; words are what white space separates.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LengthSkew {
    /// Share of pairs in which the preferred answer has more words; equal counts and undecided labels are half.
    pub longer_wins: f64,
    /// The other share, 1 − `longer_wins`.
    pub shorter_wins: f64,
    /// Mean words of the preferred answers; 0 without pairs.
    pub mean_words_chosen: f64,
    /// Mean words of the other answers; 0 without pairs.
    pub mean_words_rejected: f64,
}

impl Default for LengthSkew {
    /// Of no pairs: nothing is known, so half.
    fn default() -> Self {
        Self { longer_wins: 0.5, shorter_wins: 0.5, mean_words_chosen: 0.0, mean_words_rejected: 0.0 }
    }
}

impl LengthSkew {
    /// Of pairs of items whose responses have so many words.
    fn of(words: &[f64], pairs: &[Pair]) -> Self {
        if pairs.is_empty() {
            return Self::default();
        }
        let of = |index: usize| words.get(index).copied().unwrap_or_default();
        let (mut wins, mut chosen, mut rejected) = (0.0, 0.0, 0.0);
        for pair in pairs {
            let (winner, loser) = (of(pair.chosen), of(pair.rejected));
            let decided = winner.total_cmp(&loser).is_ne() && pair.preference > 0.5;
            wins += if decided { f64::from(u8::from(winner > loser)) } else { 0.5 };
            chosen += winner;
            rejected += loser;
        }
        let count = pairs.len() as f64;
        Self {
            longer_wins: wins / count,
            shorter_wins: 1.0 - wins / count,
            mean_words_chosen: chosen / count,
            mean_words_rejected: rejected / count,
        }
    }
}

/// How many words the response of each item has.
pub(super) fn words(items: &[Item]) -> Vec<f64> {
    items.iter().map(|item| item.response.split_whitespace().count() as f64).collect()
}

/// Fills what the kept pairs say, of items whose responses have so many `words`. Sources, duplicates and split conflicts are
/// the reader's to count.
pub(super) fn count(audit: &mut Audit, words: &[f64], pairs: &[Pair]) {
    let directed: BTreeSet<(usize, usize)> =
        pairs.iter().filter(|pair| pair.preference > 0.5).map(|pair| (pair.chosen, pair.rejected)).collect();
    audit.contradictions =
        directed.iter().filter(|(left, right)| left < right && directed.contains(&(*right, *left))).count();
    for pair in pairs {
        *audit.splits.entry(pair.split).or_default() += 1;
        *audit.labels.entry(pair.labels).or_default() += 1;
    }
    audit.prompts = pairs.iter().map(|pair| pair.prompt_key).collect::<BTreeSet<Digest>>().len();
    audit.length = LengthSkew::of(words, pairs);
}

/// One digest for a set of rows: the digest of the sorted row digests, so that order does not matter.
pub(super) fn digest_of_rows(mut rows: Vec<Digest>) -> Digest {
    rows.sort_unstable();
    Digest::of_parts(rows.iter().map(|row| row.0.as_slice()))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the expected fractions are exact in binary")]
mod tests {
    use super::super::{Message, Role};
    use super::*;

    fn item(response: &str) -> Item {
        Item { prompt: vec![Message { role: Role::User, content: "q".to_owned() }], response: response.to_owned() }
    }

    fn pair(chosen: usize, rejected: usize, preference: f64) -> Pair {
        let prompt_key = item("").prompt_key();
        let (labels, split) = (LabelSource::Human, Split::Train);
        Pair { chosen, rejected, preference, votes: None, margin: 0.0, weight: 1.0, labels, split, prompt_key }
    }

    #[test]
    fn length_and_contradictions_match_a_count_by_hand() {
        let items = [item("one two three"), item("one"), item("uno")];
        // longer wins, shorter wins, equal lengths, undecided: 1 + 0 + ½ + ½ of 4.
        let pairs = [pair(0, 1, 1.0), pair(1, 0, 0.75), pair(1, 2, 1.0), pair(0, 2, 0.5)];
        let mut audit = Audit::default();
        count(&mut audit, &words(&items), &pairs);
        assert_eq!(audit.length.longer_wins, 0.5);
        assert_eq!(audit.length.mean_words_chosen, (3.0 + 1.0 + 1.0 + 3.0) / 4.0);
        assert_eq!(audit.length.mean_words_rejected, (1.0 + 3.0 + 1.0 + 1.0) / 4.0);
        assert_eq!((audit.contradictions, audit.prompts), (1, 1));
        assert_eq!(audit.splits.get(&Split::Train), Some(&4));
    }

    #[test]
    fn the_digest_of_rows_ignores_their_order_but_not_their_number() {
        let (left, right) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(digest_of_rows(vec![left, right]), digest_of_rows(vec![right, left]));
        assert_ne!(digest_of_rows(vec![left, right]), digest_of_rows(vec![left, right, right]));
    }
}
