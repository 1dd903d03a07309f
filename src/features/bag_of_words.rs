//! Bag-of-words features: the baseline that a transformer has to beat.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::SparseMatrix;
use crate::data::Item;

/// Words kept at most: enough for a fair baseline, few enough for an exact fit in well under a second.
const MOST_WORDS: usize = 512;
/// Responses whose words are counted together.
const RESPONSES_AT_ONCE: usize = 1024;
/// Words in fewer training responses than this are left out.
const LEAST_RESPONSES: usize = 3;

/// How often each word stands in each response; a word is a run of letters and digits in lower case.
pub struct WordCounts {
    words: Vec<String>,
    /// Of each response its words, by their place in `words`, with their counts.
    responses: Vec<Vec<(u32, u32)>>,
}

impl WordCounts {
    /// Of the responses of `items`, in their order.
    pub fn of(items: &[Item]) -> Self {
        let mut counts = Self { words: Vec::new(), responses: Vec::with_capacity(items.len()) };
        let mut places: BTreeMap<String, u32> = BTreeMap::new();
        for items in items.chunks(RESPONSES_AT_ONCE) {
            let counted: Vec<BTreeMap<String, u32>> = items.par_iter().map(|item| count(&item.response)).collect();
            for response in counted {
                let place = |(word, count): (String, u32)| {
                    let next = counts.words.len() as u32;
                    let place = places.get(&word).copied().unwrap_or_else(|| {
                        counts.words.push(word.clone());
                        places.insert(word, next);
                        next
                    });
                    (place, count)
                };
                counts.responses.push(response.into_iter().map(place).collect());
            }
        }
        counts
    }

    /// The words of the baseline, chosen on the responses `training` only (by the number of responses a word stands in,
    /// then by alphabet).
    fn vocabulary(&self, training: &[usize]) -> Vec<usize> {
        let mut frequency = vec![0usize; self.words.len()];
        training.iter().flat_map(|&index| &self.responses[index]).for_each(|(word, _)| frequency[*word as usize] += 1);
        let mut ranked: Vec<usize> = (0..frequency.len()).filter(|&word| frequency[word] >= LEAST_RESPONSES).collect();
        ranked.sort_by(|&left, &right| {
            frequency[right].cmp(&frequency[left]).then_with(|| self.words[left].cmp(&self.words[right]))
        });
        ranked.truncate(MOST_WORDS);
        ranked
    }
}

/// log(1 + count) of the most frequent words of the responses, `(items, words)`.
///
/// The vocabulary is chosen on `training` items only, so nothing of the test split gets in.
pub fn bag_of_words(counts: &WordCounts, training: &[usize]) -> SparseMatrix<f32> {
    let vocabulary = counts.vocabulary(training);
    let mut columns: Vec<Option<u32>> = vec![None; counts.words.len()];
    vocabulary.iter().zip(0..).for_each(|(&word, column)| columns[word] = Some(column));
    let mut features = SparseMatrix::new(vocabulary.len().max(1));
    for response in &counts.responses {
        let value = |count: u32| libm::log1p(f64::from(count)) as f32;
        let mut row: Vec<(u32, f32)> =
            response.iter().filter_map(|&(word, count)| Some((columns[word as usize]?, value(count)))).collect();
        row.sort_unstable_by_key(|(column, _)| *column);
        features.push(row);
    }
    features
}

fn count(text: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeatureRows;

    fn item(response: &str) -> Item {
        Item { prompt: Vec::new(), response: response.to_owned() }
    }

    #[test]
    fn counts_words_of_the_training_vocabulary_only() {
        let items = [item("stop"), item("Go go, stop"), item("go"), item("GO stop now"), item("rare rare go")];
        let features = bag_of_words(&WordCounts::of(&items), &[0, 1, 2, 3]);
        // "go" and "stop" stand in three training responses each, "stop" first; "now" in one, "rare" in none.
        assert_eq!(features.width(), 2);
        assert_eq!(features.row(1), (&[0, 1][..], &[3f64.ln() as f32, 2f64.ln() as f32][..]));
        assert_eq!(features.row(4), (&[0][..], &[2f64.ln() as f32][..]));
        let mut dense = [7f32; 2];
        features.copy_row(4, &mut dense).expect("in memory");
        assert_eq!(dense, [2f64.ln() as f32, 0.0]);
    }
}
