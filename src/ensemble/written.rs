//! A score as JSON: what `ensemble score` writes and the server answers.

use serde_json::{Map, Value, json};

use super::{ObjectiveScore, Score};

/// Adds `combined`, `scores` with their standard errors, `ood` and `tokens` (and `cut_tokens` where something was cut) to an
/// row of output. A score on the scale of its domain says so.
pub fn write_score(row: &mut Map<String, Value>, names: &[String], score: &Score, domain: Option<&str>) {
    let objective = |(name, score): (&String, &ObjectiveScore)| {
        let mut object = json!({ "raw": score.raw, "normalized": score.normalized });
        if let (Some(raw_error), Some(error)) = (score.raw_error, score.error) {
            object["se"] = json!(raw_error);
            object["normalized_se"] = json!(error);
        }
        if let Some(domain) = domain.filter(|_| score.in_domain) {
            object["domain"] = json!(domain);
        }
        (name.clone(), object)
    };
    let scores: Map<String, Value> = names.iter().zip(&score.objectives).map(objective).collect();
    row.insert("combined".into(), json!(score.combined));
    row.insert("scores".into(), Value::Object(scores));
    if let Some(novelty) = score.novelty {
        row.insert("ood".into(), json!({ "distance": novelty.distance, "p": novelty.p_value }));
    }
    row.insert("tokens".into(), json!(score.tokens));
    if score.cut > 0 {
        row.insert("cut_tokens".into(), json!(score.cut));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::combine::{Combination, Combiner, Term};
    use crate::config::NormalizerKind;
    use crate::ensemble::{Scorer, Uncertainty};
    use crate::features::Features;
    use crate::head::{Comparison, FitSettings, Head, LinearHead, Posterior, fit};
    use crate::normalize::Normalizer;

    /// A posterior for two columns, as any fit gives one.
    fn posterior() -> Posterior {
        let mut features = Features::new(2);
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.0, -1.0]].iter().for_each(|row| features.push(row));
        let pairs = [Comparison::hard(0, 1), Comparison::hard(3, 2)];
        fit(&features, &pairs, &FitSettings::with_l2(1.0)).expect("convex").posterior
    }

    /// Every number of a JSON value, and whether something is null.
    fn numbers(value: &Value, found: &mut Vec<f64>) -> bool {
        match value {
            Value::Null => false,
            Value::Number(number) => {
                found.extend(number.as_f64());
                true
            }
            Value::Array(values) => values.iter().all(|value| numbers(value, found)),
            Value::Object(values) => values.values().all(|value| numbers(value, found)),
            Value::Bool(_) | Value::String(_) => true,
        }
    }

    fn amount() -> impl Strategy<Value = f64> {
        let extremes =
            prop::sample::select(vec![0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, f64::MAX, f64::MIN]);
        prop_oneof![-3.0..3.0, extremes]
    }

    fn feature() -> impl Strategy<Value = f32> {
        let extremes = prop::sample::select(vec![0.0, -0.0, 1e-45, -1e-45, f32::MAX, f32::MIN]);
        prop_oneof![-3f32..3.0, extremes]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_written_is_finite_without_negative_zeros_and_reads_back_to_the_bit(
            head in (amount(), amount(), amount()),
            features in (feature(), feature()),
            temperature in prop::sample::select(vec![1e-3, 0.7, 1e3]),
            reference in prop::collection::vec(-3.0..3.0, 5..9),
            kind in prop::sample::select(vec![
                NormalizerKind::Zscore, NormalizerKind::Robust, NormalizerKind::Quantile, NormalizerKind::Minmax,
                NormalizerKind::Sigmoid, NormalizerKind::WinRate, NormalizerKind::Identity,
            ]),
            weight in prop::sample::select(vec![-2.0, 0.5]),
        ) {
            let Ok(normalizer) = Normalizer::fit(kind, &reference) else { return Ok(()) };
            let head = Head::Linear(LinearHead { weights: vec![head.0, head.1], bias: head.2 });
            let uncertainty = Uncertainty { posterior: posterior(), origin: vec![0.1, -0.0] };
            let scorer = Scorer::new(head, temperature, normalizer, BTreeMap::new(), Some(uncertainty));
            let objective = scorer.score(&[features.0, features.1], None);
            let names = ["safety".to_owned()];
            let combiner = Combiner::new(vec![(names[0].clone(), weight)], Combination::default()).expect("one weight");
            let combined = combiner.combine(&[Term { score: objective.normalized, error: objective.error.unwrap_or(0.0) }]);
            let score = Score { objectives: vec![objective], combined, novelty: None, tokens: 3, cut: 0 };
            // What is not finite is an error of scoring and is never written.
            prop_assume!(score.is_finite());
            let mut row = Map::new();
            write_score(&mut row, &names, &score, None);
            let text = Value::Object(row).to_string();
            let mut found = Vec::new();
            prop_assert!(numbers(&serde_json::from_str(&text).expect("JSON"), &mut found), "null in {text}");
            prop_assert!(found.iter().all(|number| number.is_finite() && !(*number == 0.0 && number.is_sign_negative())));
            prop_assert!(!text.contains("-0.0,") && !text.contains("-0.0}"), "{text}");
            let ObjectiveScore { raw, raw_error, normalized, error, .. } = objective;
            let back: Value = serde_json::from_str(&text).expect("JSON");
            let one = &back["scores"]["safety"];
            for (number, name) in [(Some(raw), "raw"), (raw_error, "se"), (Some(normalized), "normalized"), (error, "normalized_se")] {
                prop_assert_eq!(one[name].as_f64().map(f64::to_bits), number.map(f64::to_bits), "{}", name);
            }
            prop_assert_eq!(back["combined"].as_f64().map(f64::to_bits), Some(combined.to_bits()));
        }
    }

    #[test]
    fn a_negative_zero_of_the_head_is_written_as_a_plain_one() {
        // What a head fitted on labels that cancel out looks like.
        let head = || Head::Linear(LinearHead { weights: vec![0.0, -0.0], bias: -0.0 });
        assert!(head().score(&[-1.0, 1.0]).is_sign_negative());
        let scorer = Scorer::new(head(), 1.5, Normalizer::Identity, BTreeMap::new(), None);
        let objectives = vec![scorer.score(&[-1.0, 1.0], None)];
        let mut row = Map::new();
        write_score(
            &mut row,
            &["a".to_owned()],
            &Score { objectives, combined: 0.0, novelty: None, tokens: 1, cut: 0 },
            None,
        );
        assert_eq!(Value::Object(row)["scores"].to_string(), r#"{"a":{"normalized":0.0,"raw":0.0}}"#);
        let difference = scorer.difference(&[-1.0, 1.0], &[1.0, -1.0]);
        assert_eq!(difference.raw.to_bits(), 0, "no sign either");
    }

    #[test]
    fn a_score_that_is_not_finite_is_known_as_such() {
        let objective = |raw: f64, raw_error: Option<f64>, normalized: f64, error: Option<f64>| {
            vec![ObjectiveScore { raw, raw_error, normalized, error, in_domain: false }]
        };
        let finite = |objectives: Vec<ObjectiveScore>, combined: f64| {
            Score { objectives, combined, novelty: None, tokens: 0, cut: 0 }.is_finite()
        };
        assert!(finite(objective(1.0, Some(0.1), 0.5, Some(0.1)), 1.0) && finite(objective(1.0, None, 0.5, None), 1.0));
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!finite(objective(odd, None, 0.0, None), 1.0) && !finite(objective(1.0, None, odd, None), 1.0));
            assert!(!finite(objective(1.0, Some(odd), 0.0, Some(0.1)), 1.0));
            assert!(!finite(objective(1.0, Some(0.1), 0.0, Some(odd)), 1.0));
            assert!(!finite(objective(1.0, None, 0.0, None), odd));
        }
    }
}
