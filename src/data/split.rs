//! Which prompts are learned from, calibrated on and tested on.
//!
//! Decided by the digest of the normalised prompt alone, so a prompt never crosses splits, also not across
//! objectives, and the answer is stable when data grow. Marks of the sources' own splits are honoured.

use std::collections::BTreeMap;

use crate::error::did_you_mean;
use crate::files::Digest;

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Heads are fitted on it.
    Train,
    /// Temperatures and normalizers are fitted on it.
    Calibration,
    /// Nothing is fitted on it; every figure of quality comes from it.
    Test,
}

impl Split {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Calibration => "calibration",
            Self::Test => "test",
        }
    }
}

/// What a source says of a row's split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// May be learned from.
    Train,
    /// Must not.
    HeldOut,
}

const WORDS: [(&str, Mark); 10] = [
    ("train", Mark::Train),
    ("training", Mark::Train),
    ("test", Mark::HeldOut),
    ("val", Mark::HeldOut),
    ("validation", Mark::HeldOut),
    ("valid", Mark::HeldOut),
    ("dev", Mark::HeldOut),
    ("heldout", Mark::HeldOut),
    ("held_out", Mark::HeldOut),
    ("eval", Mark::HeldOut),
];

impl Mark {
    /// Reads a split's name, in any case.
    ///
    /// # Errors
    /// What is accepted, and the likely misspelling if there is one.
    pub(super) fn parse(word: &str) -> Result<Self, (String, Option<&'static str>)> {
        let lower = word.trim().to_lowercase();
        let names: Vec<&'static str> = WORDS.iter().map(|(name, _)| *name).collect();
        let known = WORDS.iter().find(|(name, _)| *name == lower).map(|(_, mark)| *mark);
        known.ok_or_else(|| (names.join(", "), did_you_mean(&lower, &names)))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    train: bool,
    held_out: bool,
}

/// Assigns splits to prompts. Without marks a prompt falls by its digest: 80 % train, 10 % calibration, 10 % test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splitter {
    marks: BTreeMap<Digest, Marks>,
}

impl Splitter {
    /// A splitter without marks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Marks a prompt as one that a source sets apart for training: it goes to train (89 %) or calibration (11 %).
    pub fn mark_train(&mut self, prompt: Digest) {
        self.marks.entry(prompt).or_default().train = true;
    }

    /// Marks a prompt as one that a source holds out: it goes to test, whatever else is said of it.
    pub fn mark_held_out(&mut self, prompt: Digest) {
        self.marks.entry(prompt).or_default().held_out = true;
    }

    /// The split of the prompt with this [`super::Item::prompt_key`].
    pub fn split(&self, prompt: &Digest) -> Split {
        let marks = self.marks.get(prompt).copied().unwrap_or_default();
        let place = hundredth(prompt);
        match marks {
            Marks { held_out: true, .. } => Split::Test,
            Marks { train: true, .. } if place < 89 => Split::Train,
            Marks { train: true, .. } => Split::Calibration,
            _ if place < 80 => Split::Train,
            _ if place < 90 => Split::Calibration,
            _ => Split::Test,
        }
    }

    /// Whether one row says train and another says held out of this prompt.
    pub fn is_conflict(&self, prompt: &Digest) -> bool {
        self.marks.get(prompt).is_some_and(|marks| marks.train && marks.held_out)
    }
}

/// The digest's first eight bytes, little endian, modulo 100.
fn hundredth(digest: &Digest) -> u64 {
    let first = digest.0.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(first) % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digest that falls on the given hundredth.
    fn prompt(place: u8) -> Digest {
        let mut bytes = [7u8; 32];
        bytes[..8].copy_from_slice(&(u64::from(place) + 500).to_le_bytes());
        Digest(bytes)
    }

    #[test]
    fn unmarked_prompts_fall_80_10_10() {
        let splitter = Splitter::new();
        let of = |place| splitter.split(&prompt(place));
        assert_eq!([of(0), of(79)], [Split::Train; 2]);
        assert_eq!([of(80), of(89)], [Split::Calibration; 2]);
        assert_eq!([of(90), of(99)], [Split::Test; 2]);
    }

    #[test]
    fn marks_are_honoured_and_held_out_wins() {
        let mut splitter = Splitter::new();
        (0..100).for_each(|place| splitter.mark_train(prompt(place)));
        let trained = (0..100).filter(|place| splitter.split(&prompt(*place)) == Split::Train).count();
        assert_eq!(trained, 89);
        assert!((0..100).all(|place| splitter.split(&prompt(place)) != Split::Test));
        splitter.mark_held_out(prompt(3));
        assert_eq!(splitter.split(&prompt(3)), Split::Test);
        assert!(splitter.is_conflict(&prompt(3)) && !splitter.is_conflict(&prompt(4)));
    }

    #[test]
    fn split_words_are_read_in_any_case() {
        assert_eq!(Mark::parse("Validation"), Ok(Mark::HeldOut));
        assert_eq!(Mark::parse(" TRAIN "), Ok(Mark::Train));
        assert_eq!(Mark::parse("trian").map_err(|(_, near)| near), Err(Some("train")));
    }

    #[test]
    fn real_digests_spread_as_stated() {
        let splitter = Splitter::new();
        let digests = (0..20_000u32).map(|index| Digest::of(&index.to_le_bytes()));
        let tested = digests.filter(|digest| splitter.split(digest) == Split::Test).count();
        // 20 000 draws at 10 %: mean 2000, standard deviation 42.
        assert!((1790..2210).contains(&tested), "{tested}");
    }
}
