//! ROUGE-L of one answer against one reference, as Google's rouge_score computes it without a stemmer.
//!
//! Lin 2004 (W04-1013), sentence level: precision and recall of the longest common subsequence of tokens, F with β = 1.

use std::collections::BTreeMap;

/// The F-measure of the longest common subsequence, 0..=1; 0 when either text has no token.
pub(super) fn rouge_l(hypothesis: &str, reference: &str) -> f64 {
    let (hypothesis, reference) = (hypothesis.to_lowercase(), reference.to_lowercase());
    let (hypothesis, reference) = (tokens(&hypothesis), tokens(&reference));
    let common = longest_common_subsequence(&hypothesis, &reference);
    if common == 0 {
        return 0.0;
    }
    let precision = common as f64 / hypothesis.len() as f64;
    let recall = common as f64 / reference.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Runs of ASCII letters and digits; every other character separates.
fn tokens(lowercase: &str) -> Vec<&str> {
    let separates = |character: char| !matches!(character, 'a'..='z' | '0'..='9');
    lowercase.split(separates).filter(|token| !token.is_empty()).collect()
}

/// The length of the longest common subsequence, by bits: one row of the table in 64 columns a step, so that two
/// answers of a hundred thousand words take moments (Hyyrö 2004, "Bit-parallel LCS-length computation revisited").
///
/// Bit j of the row is 0 where the common subsequence grows by `columns[j]`.
pub(super) fn longest_common_subsequence<T: Ord>(rows: &[T], columns: &[T]) -> usize {
    let words = columns.len().div_ceil(64);
    let mut places: BTreeMap<&T, Vec<usize>> = BTreeMap::new();
    for (index, token) in columns.iter().enumerate() {
        places.entry(token).or_default().push(index);
    }
    let mut row = vec![u64::MAX; words];
    let mut masks = vec![0u64; words];
    for token in rows {
        let Some(columns) = places.get(token) else { continue };
        columns.iter().for_each(|index| masks[index / 64] |= 1 << (index % 64));
        let mut carry = false;
        for (bits, mask) in row.iter_mut().zip(&masks) {
            let met = *bits & mask;
            let (sum, over) = bits.overflowing_add(met);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            carry = over || over_again;
            *bits = sum | (*bits & !mask);
        }
        columns.iter().for_each(|index| masks[index / 64] = 0);
    }
    (0..columns.len()).filter(|index| (row[index / 64] >> (index % 64)) & 1 == 0).count()
}
