//! Bag-of-words features: the baseline that a transformer has to beat.

use std::collections::BTreeMap;

use super::Features;
use crate::data::Item;

/// Words kept at most: enough for a fair baseline, few enough for an exact fit in well under a second.
const MOST_WORDS: usize = 512;
/// Words in fewer training responses than this are left out.
const LEAST_RESPONSES: usize = 3;

/// log(1 + count) of the most frequent words of the responses, `(items, words)`.
///
/// The vocabulary is chosen on `training` items only (by the number of responses a word stands in, then by
/// alphabet), so nothing of the test split gets in.
pub fn bag_of_words(items: &[Item], training: &[usize]) -> Features {
    let mut frequency: BTreeMap<String, usize> = BTreeMap::new();
    for &index in training {
        for word in words(&items[index].response).into_keys() {
            *frequency.entry(word).or_default() += 1;
        }
    }
    let mut ranked: Vec<(String, usize)> =
        frequency.into_iter().filter(|(_, responses)| *responses >= LEAST_RESPONSES).collect();
    ranked.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    ranked.truncate(MOST_WORDS);
    let columns: BTreeMap<String, usize> =
        ranked.into_iter().enumerate().map(|(column, (word, _))| (word, column)).collect();

    let width = columns.len().max(1);
    let mut features = Features::new(width);
    for item in items {
        let mut row = vec![0f32; width];
        for (word, count) in words(&item.response) {
            if let Some(&column) = columns.get(&word) {
                row[column] = libm::log1p(count as f64) as f32;
            }
        }
        features.push(&row);
    }
    features
}

fn words(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(response: &str) -> Item {
        Item { prompt: Vec::new(), response: response.to_owned() }
    }

    #[test]
    fn counts_words_of_the_training_vocabulary_only() {
        let items = [item("Go go, stop"), item("go"), item("GO stop now"), item("stop rare"), item("rare rare go")];
        let features = bag_of_words(&items, &[0, 1, 2, 3]);
        // "go" and "stop" stand in three training responses each; "rare" and "now" in one.
        assert_eq!(features.width(), 2);
        assert_eq!(features.row(0), &[3f64.ln() as f32, 2f64.ln() as f32]);
        assert_eq!(features.row(4), &[2f64.ln() as f32, 0.0]);
    }
}
