//! Rules against values worked by hand, closed forms and the properties they promise.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 5] = ["clarity", "helpfulness", "safety", "style", "wit"];

fn named(values: &[f64]) -> BTreeMap<String, f64> {
    NAMES.iter().zip(values).map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// A combiner over the first names, with a reference of 0.5, 0.6, … each where the rule asks for them.
fn combiner(rule: Rule, weights: &[f64], uncertainty_penalty: f64) -> Combiner {
    let references = match rule {
        Rule::LogSigmoid { .. } => named(&[0.5, 0.6, 0.7, 0.8, 0.9][..weights.len()]),
        _ => BTreeMap::new(),
    };
    let objectives = NAMES.iter().zip(weights).map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
    Combiner::new(objectives, Combination { rule, uncertainty_penalty, references }).expect("a sound combination")
}

fn terms(scores: &[f64]) -> Vec<Term> {
    scores.iter().map(|score| Term { score: *score, error: 0.0 }).collect()
}

fn combined(rule: Rule, weights: &[f64], scores: &[f64]) -> f64 {
    combiner(rule, weights, 0.0).combine(&terms(scores))
}

/// A floor for the second objective.
fn floor(value: f64) -> BTreeMap<String, f64> {
    BTreeMap::from([(NAMES[1].to_owned(), value)])
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * (1.0 + expected.abs())
}

#[test]
fn values_worked_by_hand() {
    let (weights, scores) = ([2.0, 0.5, 4.0], [1.0, -2.0, 0.5]);
    assert!(close(combined(Rule::WeightedSum, &weights, &scores), 3.0));
    assert!(close(combined(Rule::WorstCase, &weights, &scores), -2.0));
    assert!(close(combined(Rule::WorstCase, &[2.0, 0.0, 4.0], &scores), 0.5), "weight 0 does not count");
    // −½ log(½ e^{−2·0} + ½ e^{−2·ln 3}) = −½ log(½ · (1 + 1/9)) = ½ log(9/5).
    let soft = combined(Rule::SoftMin { tau: 0.5 }, &[3.0, 3.0], &[0.0, 3f64.ln()]);
    assert!(close(soft, 0.5 * 1.8f64.ln()), "{soft}");
    // log σ(0) = −log 2, log σ(log 3) = log ¾; the references are 0.5 and 0.6.
    let log_sigmoid = combined(Rule::LogSigmoid { reference_quantile: 0.85 }, &[1.0, 2.0], &[0.5, 0.6 + 3f64.ln()]);
    assert!(close(log_sigmoid, -2f64.ln() + 2.0 * 0.75f64.ln()), "{log_sigmoid}");
    // (0.25¹ · 0.5²)^(1/3) with weights 1 and 2 is ¼ · … = (1/16)^(1/3).
    assert!(close(combined(Rule::Geometric, &[1.0, 2.0], &[0.25, 0.5]), (1.0 / 16.0f64).cbrt()));
    // 2·1 + 4·0.5 − 3·(−1 + 2): the floored objective's own weight does not count.
    let constrained = Rule::Constrained { floors: floor(-1.0), lambda: 3.0 };
    assert!(close(combined(constrained, &weights, &scores), 1.0));
    let gate = |low_score| Rule::Gate { floors: floor(-1.0), low_score };
    assert!(close(combined(gate(-7.0), &weights, &scores), -7.0));
    assert!(close(combined(gate(5.0), &weights, &scores), 3.0), "an answer does not gain by falling through");
    assert!(close(combined(gate(-7.0), &weights, &[1.0, -1.0, 0.5]), 3.5), "at its floor it is not below it");
}

#[test]
fn the_penalty_is_taken_off_before_the_rule() {
    let terms = [Term { score: 1.0, error: 0.5 }, Term { score: 0.8, error: 0.1 }];
    let penalized = |rule, weights: &[f64]| combiner(rule, weights, 2.0).combine(&terms);
    assert!(close(penalized(Rule::WorstCase, &[1.0, 1.0]), 0.0), "1 − 2 · 0.5 is lower than 0.8 − 2 · 0.1");
    assert!(close(penalized(Rule::WeightedSum, &[1.0, 1.0]), 0.6));
    assert!(close(penalized(Rule::WeightedSum, &[1.0, -1.0]), 0.0 - 1.0), "not knowing must not pay");
    let gate = Rule::Gate { floors: floor(0.7), low_score: -9.0 };
    assert!(close(penalized(gate, &[1.0, 1.0]), -9.0), "0.8 − 0.2 is below the floor");
}

#[test]
fn zeros_have_no_sign_and_extremes_are_finite() {
    let rules = |weights: &[f64], scores: &[f64]| -> Vec<f64> {
        all_rules(1e-300, -1e6, 1e6).into_iter().map(|rule| combined(rule, weights, scores)).collect()
    };
    for scores in [[-0.0, -0.0], [0.0, -0.0]] {
        for value in rules(&[1.0, 1.0], &scores) {
            assert!(value != 0.0 || value.is_sign_positive());
        }
    }
    let extremes = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, 0.0, 1e308, -1e308];
    for (first, second) in extremes.into_iter().flat_map(|first| extremes.map(|second| (first, second))) {
        for weights in [[1e6, 1e6], [1e6, 5e-324], [0.0, 1e6], [1.0, 1.0]] {
            // `constrained` needs a weight beside the floor's.
            let weights = if weights[0] == 0.0 { [1.0, 1e6] } else { weights };
            for value in rules(&weights, &[first, second]) {
                assert!(value.is_finite(), "{first} {second} {weights:?}: {value}");
            }
        }
    }
    let unsure = [Term { score: f64::MIN, error: f64::MAX }, Term { score: f64::MAX, error: f64::MAX }];
    for rule in all_rules(1e6, 0.0, 2.0) {
        assert!(combiner(rule, &[1.0, 1.0], 1e6).combine(&unsure).is_finite());
    }
}

#[test]
fn numbers_that_cannot_serve_are_told() {
    let faults = |rule: Rule, weights: &[f64], uncertainty_penalty: f64, references: BTreeMap<String, f64>| {
        let objectives = NAMES.iter().zip(weights).map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
        let made = Combiner::new(objectives, Combination { rule, uncertainty_penalty, references });
        made.expect_err("refused").into_iter().map(|fault| fault.found).collect::<Vec<String>>()
    };
    let none = BTreeMap::new;
    for tau in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(faults(Rule::SoftMin { tau }, &[1.0], 0.0, none()), [format!("tau of the rule soft_min is {tau}")]);
    }
    assert_eq!(faults(Rule::WorstCase, &[1.0, -1.0], 0.0, none()), ["the weight of \"helpfulness\" is -1"]);
    assert_eq!(faults(Rule::WorstCase, &[0.0, 0.0], 0.0, none()), ["no objective has a weight above 0"]);
    assert_eq!(faults(Rule::WeightedSum, &[f64::NAN, 1e7], -1.0, none()).len(), 3);
    assert_eq!(faults(Rule::WeightedSum, &[1.0], 0.0, named(&[1.0])).len(), 1);
    let log_sigmoid = || Rule::LogSigmoid { reference_quantile: 0.5 };
    assert_eq!(faults(log_sigmoid(), &[1.0, 1.0], 0.0, named(&[1.0])).len(), 1, "a reference is missing");
    assert_eq!(faults(log_sigmoid(), &[1.0], 0.0, named(&[f64::NAN])), ["the reference of \"clarity\" is NaN"]);
    let constrained = |floors| Rule::Constrained { floors, lambda: 1.0 };
    assert_eq!(faults(constrained(none()), &[1.0], 0.0, none()), ["the rule constrained has no floor"]);
    let found = faults(constrained(floor(1.0)), &[0.0, 1.0], 0.0, none());
    assert_eq!(found, ["no objective without a floor has a weight above 0"]);
    let gate = Rule::Gate { floors: floor(f64::INFINITY), low_score: f64::NAN };
    assert_eq!(faults(gate, &[1.0], 0.0, none()).len(), 3, "low_score, the floor, and whose it is");
}

#[test]
fn overrides_replace_and_complain() {
    let sum = combiner(Rule::WeightedSum, &[1.0, 1.0], 0.0);
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<String>>();
    let changed = sum.overridden(&texts(&["helpfulness=2", "helpfulness=-2.5"])).expect("fine");
    assert_eq!(changed.weights(), [1.0, -2.5]);
    assert_eq!(sum.reweighted(&named(&[0.5])).expect("fine").weights(), [0.5, 1.0]);

    let bad = texts(&["helpfullness=1", "clarity", "clarity=NaN", "clarity=1e9"]);
    let error = sum.overridden(&bad).expect_err("all four are wrong");
    assert_eq!(error.faults().len(), 4);
    assert_eq!(error.faults()[0].help.as_deref(), Some("did you mean \"helpfulness\"?"));
    assert!(sum.overridden(&texts(&["clarity=0", "helpfulness=0"])).is_err());
    for wrong in [f64::NAN, f64::INFINITY, -1.1e6] {
        assert_eq!(sum.reweighted(&named(&[wrong])).expect_err("refused").faults().len(), 1);
    }
    let worst = combiner(Rule::WorstCase, &[1.0, 1.0], 0.0);
    let error = worst.overridden(&texts(&["clarity=-1"])).expect_err("negative");
    assert_eq!(error.faults()[0].found, "-1 is negative, which the rule worst_case does not take");
    let constrained = combiner(Rule::Constrained { floors: floor(0.0), lambda: 1.0 }, &[1.0, 1.0], 0.0);
    assert!(constrained.overridden(&texts(&["helpfulness=2"])).is_err(), "it is held above a floor, not weighed");
    assert!(constrained.overridden(&texts(&["clarity=0"])).is_err(), "nothing is left");
}

#[test]
fn only_a_plain_weighted_sum_is_linear() {
    assert_eq!(combiner(Rule::WeightedSum, &[2.0, 3.0], 0.0).linear(), Ok([2.0, 3.0].as_slice()));
    assert!(
        combiner(Rule::WeightedSum, &[2.0, 3.0], 0.5).linear().is_err_and(|why| why.contains("0.5 standard errors"))
    );
    for rule in all_rules(0.5, 0.0, 0.0).into_iter().skip(1) {
        let word = rule.word();
        assert!(combiner(rule, &[1.0, 1.0], 0.0).linear().is_err_and(|why| why.contains(word)));
    }
}

/// Every rule, with a floor for the second objective; `weighted_sum` first.
fn all_rules(tau: f64, least: f64, lambda: f64) -> Vec<Rule> {
    vec![
        Rule::WeightedSum,
        Rule::WorstCase,
        Rule::SoftMin { tau },
        Rule::LogSigmoid { reference_quantile: 0.85 },
        Rule::Geometric,
        Rule::Constrained { floors: floor(least), lambda },
        Rule::Gate { floors: floor(least), low_score: -3.0 },
    ]
}

/// Weights and scores of two to five objectives, the weights positive.
fn weighted_scores() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    (2..=NAMES.len()).prop_flat_map(|count| {
        let score = prop_oneof![-20.0..20.0, 0.0..1.0];
        (prop::collection::vec(1e-3..1e3, count), prop::collection::vec(score, count))
    })
}

proptest! {
    #[test]
    fn a_better_score_never_lowers_the_combined_one(
        (weights, scores) in weighted_scores(), which in 0usize..5, gain in 0.0..10.0, tau in 1e-3..1e3, least in -2.0..2.0,
    ) {
        let mut better = scores.clone();
        let which = which % scores.len();
        better[which] += gain;
        for rule in all_rules(tau, least, 1.5) {
            let (before, after) = (combined(rule.clone(), &weights, &scores), combined(rule.clone(), &weights, &better));
            prop_assert!(after >= before - 1e-9 * (1.0 + before.abs()), "{rule:?}: {before} to {after}");
        }
    }

    #[test]
    fn the_order_of_the_objectives_changes_no_bit(
        (weights, scores) in weighted_scores(), order in Just([0, 1, 2, 3, 4]).prop_shuffle(), penalty in 0.0..2.0,
    ) {
        let order: Vec<usize> = order.into_iter().filter(|index| *index < scores.len()).collect();
        let terms: Vec<Term> = scores.iter().map(|score| Term { score: *score, error: score.abs() / 7.0 }).collect();
        for rule in all_rules(0.7, 0.2, 1.5) {
            let plain = combiner(rule, &weights, penalty);
            let objectives = order.iter().map(|&index| (NAMES[index].to_owned(), weights[index])).collect();
            let permuted = Combiner::new(objectives, plain.combination().clone()).expect("the same numbers");
            let there: Vec<Term> = order.iter().map(|&index| terms[index]).collect();
            prop_assert_eq!(plain.combine(&terms).to_bits(), permuted.combine(&there).to_bits());
        }
    }

    #[test]
    fn soft_min_lies_between_the_worst_case_and_the_mean((weights, scores) in weighted_scores(), tau in 1e-4..1e5) {
        let soft = combined(Rule::SoftMin { tau }, &weights, &scores);
        let worst = combined(Rule::WorstCase, &weights, &scores);
        let total: f64 = weights.iter().sum();
        let mean: f64 = weights.iter().zip(&scores).map(|(weight, score)| weight * score).sum::<f64>() / total;
        prop_assert!(worst <= soft && soft <= mean + 1e-9 * (1.0 + mean.abs()), "{worst} {soft} {mean}");
        // The definition, as it stands in the books.
        let plain = -tau * weights.iter().zip(&scores).map(|(w, z)| w / total * (-z / tau).exp()).sum::<f64>().ln();
        let expected = plain.is_finite().then_some(plain);
        prop_assert!(expected.is_none_or(|plain| (soft - plain).abs() < 1e-9 * (1.0 + tau)), "{soft} {plain}");
        let sharp = combined(Rule::SoftMin { tau: 1e-9 }, &weights, &scores);
        prop_assert!((sharp - worst).abs() < 1e-7, "{sharp} {worst}");
    }

    #[test]
    fn log_sigmoid_equals_its_closed_form((weights, scores) in weighted_scores()) {
        let found = combined(Rule::LogSigmoid { reference_quantile: 0.85 }, &weights, &scores);
        let term = |(index, (weight, score)): (usize, (&f64, &f64))| {
            weight * (1.0 + (0.5 + 0.1 * index as f64 - score).exp()).ln()
        };
        let expected: f64 = weights.iter().zip(&scores).enumerate().map(term).sum();
        prop_assert!(close(found, -expected), "{found} {expected}");
    }

    #[test]
    fn a_geometric_mean_is_the_root_of_a_product(count in 2usize..=5, seed in prop::collection::vec(0.01..1.0, 5)) {
        let scores = &seed[..count];
        let product: f64 = scores.iter().product();
        let found = combined(Rule::Geometric, &vec![2.5; count], scores);
        prop_assert!(close(found, product.powf(1.0 / count as f64)));
    }

    #[test]
    fn floors_that_hold_leave_the_weighted_sum((weights, scores) in weighted_scores(), below in 0.0..3.0) {
        let mut rest = weights.clone();
        rest[1] = 0.0;
        let free = Rule::Constrained { floors: floor(scores[1] + below), lambda: 0.0 };
        prop_assert_eq!(combined(free, &weights, &scores), combined(Rule::WeightedSum, &rest, &scores));
        let held = Rule::Constrained { floors: floor(scores[1] - below), lambda: 2.0 };
        prop_assert_eq!(combined(held, &weights, &scores), combined(Rule::WeightedSum, &rest, &scores));
        let gate = Rule::Gate { floors: floor(scores[1] - below), low_score: -1e6 };
        prop_assert_eq!(combined(gate, &weights, &scores), combined(Rule::WeightedSum, &weights, &scores));
    }

    #[test]
    fn not_knowing_never_pays((weights, scores) in weighted_scores(), penalty in 0.0..3.0, error in 0.0..2.0) {
        for rule in all_rules(0.7, 0.2, 1.5) {
            let terms: Vec<Term> = scores.iter().map(|score| Term { score: *score, error }).collect();
            let (plain, lowered) = (combiner(rule.clone(), &weights, 0.0), combiner(rule.clone(), &weights, penalty));
            let (plain, lowered) = (plain.combine(&terms), lowered.combine(&terms));
            prop_assert!(lowered <= plain + 1e-9 * (1.0 + plain.abs()), "{rule:?}: {plain} to {lowered}");
        }
    }
}
