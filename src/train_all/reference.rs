//! The scores that normalizers are fitted on: of the reference that the config names, or of the calibration split, as
//! a whole and by domain.

use std::collections::BTreeMap;

use crate::assess::items_of;
use crate::config::NormalizerKind;
use crate::data::{Dataset, ObjectivePairs, Split};
use crate::error::Result;
use crate::normalize::{LEAST_RESPONSES, Normalizer, Spread};

/// The normalizers of one objective and what they were fitted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalizers {
    /// For every prompt.
    pub overall: Normalizer,
    /// For prompts of the domains that have enough reference responses, with scores that differ.
    pub domains: BTreeMap<String, Normalizer>,
    /// The calibrated scores of the reference responses.
    pub spread: Spread,
    /// How many reference responses each domain has, also those without a normalizer of their own.
    pub responses: BTreeMap<String, usize>,
}

/// The reference responses of one objective; a response that stands there twice counts twice.
pub(super) fn reference_items(dataset: &Dataset, pairs: &ObjectivePairs) -> Vec<usize> {
    match dataset.reference.as_slice() {
        [] => items_of(&pairs.pairs, Split::Calibration),
        reference => reference.to_vec(),
    }
}

/// Fits the normalizers of one objective on the calibrated `scores` of all items of the dataset.
///
/// # Errors
/// As [`Normalizer::fit`] on all reference responses; a domain whose scores cannot serve has no normalizer.
pub(super) fn fit_normalizers(
    kind: NormalizerKind,
    dataset: &Dataset,
    pairs: &ObjectivePairs,
    scores: &[f64],
) -> Result<Normalizers> {
    let items = reference_items(dataset, pairs);
    let all: Vec<f64> = items.iter().map(|&item| scores[item]).collect();
    let mut by_domain: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for &item in items.iter().filter(|_| !dataset.domains.is_empty()) {
        if let Some(domain) = dataset.domains.get(&dataset.items[item].prompt_key()) {
            by_domain.entry(domain).or_default().push(scores[item]);
        }
    }
    let own = |(domain, scores): (&&String, &Vec<f64>)| {
        let enough = scores.len() >= LEAST_RESPONSES;
        Some(((*domain).clone(), Normalizer::fit(kind, scores).ok().filter(|_| enough)?))
    };
    Ok(Normalizers {
        overall: Normalizer::fit(kind, &all)?,
        domains: by_domain.iter().filter_map(own).collect(),
        spread: Spread::of(&all),
        responses: by_domain.iter().map(|(domain, scores)| ((*domain).clone(), scores.len())).collect(),
    })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the same numbers in the same order give the same bits")]
mod tests {
    use super::*;
    use crate::config::LabelSource;
    use crate::data::{Audit, Item, Message, Pair, Role};

    fn item(prompt: usize, response: &str) -> Item {
        let prompt = vec![Message { role: Role::User, content: format!("question {prompt}") }];
        Item { prompt, response: response.to_owned() }
    }

    /// 100 prompts of two answers: the first 40 are about code, 20 about cooking, 35 about verse, 5 about nothing.
    fn dataset(reference: Vec<usize>) -> (Dataset, ObjectivePairs) {
        let items: Vec<Item> = (0..200).map(|index| item(index / 2, ["good", "bad"][index % 2])).collect();
        let pair = |prompt: usize| Pair {
            chosen: 2 * prompt,
            rejected: 2 * prompt + 1,
            preference: 1.0,
            votes: None,
            margin: 0.0,
            weight: 1.0,
            labels: LabelSource::Human,
            split: if prompt.is_multiple_of(2) { Split::Calibration } else { Split::Train },
            prompt_key: items[2 * prompt].prompt_key(),
        };
        let pairs: Vec<Pair> = (0..100).map(pair).collect();
        let name = |prompt: usize| match prompt {
            0..40 => Some("code"),
            40..60 => Some("cooking"),
            60..95 => Some("verse"),
            _ => None,
        };
        let domains = (0..100).filter_map(|prompt| Some((pairs[prompt].prompt_key, name(prompt)?.to_owned())));
        let domains = domains.collect();
        let objective =
            |pairs| ObjectivePairs { name: "one".to_owned(), pairs, ratings: vec![], audit: Audit::default() };
        let holistic = objective(vec![]);
        (Dataset { items, objectives: vec![], holistic, reference, domains }, objective(pairs))
    }

    /// Scores that rise with the prompt; every answer about verse has the same one.
    fn scores() -> Vec<f64> {
        (0..200_u32).map(|index| if (120..190).contains(&index) { 7.0 } else { f64::from(index * index) }).collect()
    }

    /// Mean and standard deviation of some of the scores, by the textbook's formula.
    fn by_hand(items: impl Iterator<Item = usize>) -> Normalizer {
        let scores: Vec<f64> = items.map(|item| scores()[item]).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let squares: f64 = scores.iter().map(|score| (score - mean) * (score - mean)).sum();
        Normalizer::Zscore { mean, deviation: (squares / (scores.len() - 1) as f64).sqrt() }
    }

    #[test]
    fn each_domain_with_enough_responses_has_a_normalizer_of_its_own() {
        let (dataset, pairs) = dataset(vec![]);
        let found = fit_normalizers(NormalizerKind::Zscore, &dataset, &pairs, &scores()).expect("they vary");
        let calibration = |from: usize, to: usize| (from..to).filter(|item| (item / 2).is_multiple_of(2));
        // Every second prompt is for calibration: 40 responses about code, 20 about cooking, 36 equal ones about verse.
        let counts: Vec<(&str, usize)> = found.responses.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(counts, [("code", 40), ("cooking", 20), ("verse", 36)]);
        let expected = BTreeMap::from([("code".to_owned(), by_hand(calibration(0, 80)))]);
        assert_close(&found.domains["code"], &expected["code"]);
        assert_eq!(found.domains.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        assert_close(&found.overall, &by_hand(calibration(0, 200)));
        assert_eq!(found.spread.responses, 100);
    }

    #[test]
    fn a_named_reference_takes_the_place_of_the_calibration_split() {
        // Each response about cooking, one of them twenty times over.
        let reference: Vec<usize> = (80..120).chain([85; 19]).collect();
        let (dataset, pairs) = dataset(reference.clone());
        let found = fit_normalizers(NormalizerKind::Zscore, &dataset, &pairs, &scores()).expect("they vary");
        assert_close(&found.overall, &by_hand(reference.iter().copied()));
        assert_close(&found.domains["cooking"], &found.overall);
        assert_eq!((found.domains.len(), found.spread.responses), (1, 59));
        assert_eq!(found.spread.quantiles[0], 6_400.0);
    }

    fn assert_close(left: &Normalizer, right: &Normalizer) {
        let (Some((scale, shift)), Some((other, offset))) = (left.linear(), right.linear()) else { panic!("linear") };
        assert!((scale - other).abs() <= 1e-12 * other.abs(), "{left:?} {right:?}");
        assert!((shift - offset).abs() <= 1e-12 * (1.0 + offset.abs()), "{left:?} {right:?}");
    }
}
