//! Each warning: when it is given, when not, and that it says something.

use super::*;
use crate::evaluate::{Outcome, Statistic, accuracy};
use crate::report::head_summary::{MlpSummary, TrainingPairs};
use crate::report::sample;
use crate::report::summary::{ObjectiveSummary, RunSummary};

/// A run without any warning, to spoil in one place.
fn sound() -> RunSummary {
    let mut summary = sample::summary();
    summary.objectives.truncate(1);
    summary.agreement.objectives.clear();
    let audit = &mut summary.objectives[0].audit;
    audit.dropped.clear();
    audit.contradictions = 0;
    assert_eq!(warnings(&summary), []);
    summary
}

fn known(value: f64) -> Statistic {
    Statistic::Known(Estimate { value, low: value, high: value, n: 400, clusters: 400 })
}

/// Gives the score this rank correlation with length.
fn follow_length(objective: &mut ObjectiveSummary, correlation: f64) {
    objective.bias.length.as_mut().expect("measured").correlation = known(correlation);
}

/// The warnings after `spoil`, each checked to say something.
fn after(spoil: impl Fn(&mut ObjectiveSummary)) -> Vec<Warning> {
    let mut summary = sound();
    spoil(&mut summary.objectives[0]);
    let found = warnings(&summary);
    for warning in &found {
        assert!(warning.headline().contains("helpfulness") && !warning.remedy().is_empty());
        assert!(!warning.headline().contains("NaN"));
    }
    found
}

#[test]
fn split_conflicts_are_named_first() {
    let found = after(|objective| {
        objective.audit.split_conflicts = 1;
        follow_length(objective, 0.9);
    });
    assert!(matches!(
        found[..],
        [Warning::SplitConflicts { split_conflicts: 1, .. }, Warning::ScoreFollowsLength { .. }]
    ));
    assert!(found[0].headline().contains("1 prompt marked both"), "{}", found[0].headline());
}

#[test]
fn a_registry_of_other_data() {
    assert!(matches!(&after(|objective| objective.data_changed = true)[..], [Warning::DataChanged { .. }]));
}

#[test]
fn few_pairs_or_few_prompts() {
    for (pairs, prompts, expected) in [(99, 99, 1), (100, 50, 0), (4_000, 49, 1), (0, 0, 1)] {
        let found = after(|objective| {
            objective.test.pairs = pairs;
            objective.test.prompts = prompts;
        });
        assert_eq!(found.len(), expected, "{pairs} of {prompts}");
    }
}

#[test]
fn rule_labels_are_called_a_style_rule() {
    let found = after(|objective| objective.labels = [("rule".to_owned(), 5)].into());
    assert!(matches!(&found[..], [rule @ Warning::RuleLabels { .. }] if rule.headline().contains("style rule")));
}

#[test]
fn length_is_followed_either_way() {
    for (correlation, word) in [(0.81, "longer"), (-0.9, "shorter")] {
        let found = after(|objective| follow_length(objective, correlation));
        assert!(matches!(&found[..], [one @ Warning::ScoreFollowsLength { .. }] if one.headline().contains(word)));
    }
    assert_eq!(after(|objective| follow_length(objective, -0.8)), []);
}

#[test]
fn objectives_that_rank_alike_or_oppositely() {
    let mut summary = sound();
    let twin = ObjectiveSummary { name: "kindness".to_owned(), ..summary.objectives[0].clone() };
    summary.objectives.push(twin);
    for (correlation, word) in [(0.96, "alike"), (-0.96, "oppositely")] {
        let mut two = sample::summary().agreement.objectives[0].clone();
        (two.left, two.right) = ("helpfulness".to_owned(), "kindness".to_owned());
        two.spearman = known(correlation);
        summary.agreement.objectives = vec![two];
        let found = warnings(&summary);
        assert!(matches!(&found[..], [one @ Warning::NearlySameObjectives { .. }] if one.headline().contains(word)));
    }
}

#[test]
fn poor_calibration_needs_a_clear_miss() {
    let bin = crate::evaluate::ReliabilityBin { predicted: 0.9, observed: 0.7, n: 200, low: 0.63, high: 0.76 };
    let found = after(|objective| {
        objective.ece = Some(0.2);
        objective.reliability = vec![bin];
    });
    assert!(matches!(found[..], [Warning::PoorCalibration { overconfident: true, .. }]));
    let chance = after(|objective| {
        objective.ece = Some(0.2);
        objective.reliability = vec![crate::evaluate::ReliabilityBin { low: 0.4, high: 0.95, ..bin }];
    });
    assert_eq!(chance, []);
}

#[test]
fn much_left_out_names_the_main_reason() {
    let found = after(|objective| {
        objective.audit.rows = 100;
        objective.audit.dropped = [("too long".to_owned(), 2), ("no answer".to_owned(), 9)].into();
    });
    assert!(matches!(&found[..], [Warning::ManyDropped { dropped: 11, reason, .. }] if reason == "no answer"));
}

#[test]
fn contradictions_above_one_in_a_hundred() {
    for (contradictions, expected) in [(1, 0), (2, 1)] {
        let found = after(|objective| {
            objective.audit.pairs = 100;
            objective.audit.contradictions = contradictions;
        });
        assert_eq!(found.len(), expected);
    }
}

#[test]
fn a_penalty_at_either_edge_of_the_grid() {
    for (l2, expected) in [(0.01, Some(false)), (10.0, None), (1e4, Some(true))] {
        let found = after(|objective| objective.fit.iter_mut().for_each(|fit| fit.l2 = l2));
        let largest = found.iter().map(|one| matches!(one, Warning::L2AtGridEdge { largest: true, .. })).next();
        assert_eq!(largest, expected, "{l2}");
    }
}

#[test]
fn few_reference_responses() {
    for (responses, expected) in [(29, 1), (30, 0)] {
        let found = after(|objective| objective.reference.responses = responses);
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|one| one.headline().contains("29 responses (calibration split)")), "{found:?}");
    }
}

#[test]
fn a_reference_score_far_out_matters_where_it_moves_the_scale() {
    for (normalizer, farthest, expected) in [
        ("zscore", Some(10.1), 1),
        ("sigmoid", Some(1e3), 1),
        ("minmax", Some(11.0), 1),
        ("zscore", Some(9.9), 0),
        ("zscore", None, 0),
        ("robust", Some(1e3), 0),
        ("quantile", Some(1e3), 0),
        ("win_rate", Some(1e3), 0),
    ] {
        let found = after(|objective| {
            objective.normalizer = normalizer.to_owned();
            objective.reference.farthest = farthest;
        });
        assert_eq!(found.len(), expected, "{normalizer} {farthest:?}");
        assert!(found.iter().all(|one| one.remedy().contains("robust")));
    }
}

#[test]
fn a_perfect_test_is_suspicious_and_states_the_overlap() {
    let perfect = |value: f64, n: usize| Some(Estimate { value, low: 0.93, high: 1.0, n, clusters: n });
    for (value, n, expected) in [(1.0, 50, 1), (1.0, 49, 0), (0.999, 1_000, 0)] {
        let found = after(|objective| objective.accuracy = perfect(value, n));
        assert_eq!(found.len(), expected, "{value} of {n}");
    }
    let with = |repeated: usize| {
        let found = after(|objective| {
            objective.accuracy = perfect(1.0, 50);
            objective.repeated_responses = repeated;
            objective.test_responses = 90;
        });
        let [one @ Warning::SuspiciouslyPerfect { .. }] = &found[..] else { panic!("{found:?}") };
        (one.headline(), one.remedy())
    };
    let ((clean, look), (stained, drop)) = (with(0), with(12));
    assert!(clean.contains("suspiciously perfect; all 50 test pairs"), "{clean}");
    assert!(clean.contains("0 of 90 test responses") && stained.contains("12 of 90 test responses"), "{stained}");
    assert!(!look.contains("contaminated") && drop.contains("contaminated"));
}

#[test]
fn chance_is_stated_even_where_every_baseline_is_beaten() {
    // Labels that have nothing to do with the head's margins: every other pair is right.
    let margin = |pair: usize| if pair.is_multiple_of(2) { 2.0 } else { -2.0 };
    let noise = |pair: usize| Outcome { margin: margin(pair), preference: 1.0, cluster: pair };
    let coin = accuracy(&(0..400).map(noise).collect::<Vec<Outcome>>()).expect("pairs");
    let between = |value: f64, low: f64, high: f64| Estimate { value, low, high, n: 400, clusters: 400 };
    for (estimate, words) in [
        (between(0.52, 0.471, 0.569), Some("not better than chance; right on 52.0% of test pairs (95% 47.1 to 56.9)")),
        (coin, Some("not better than chance; right on 50.0% of test pairs")),
        (between(0.55, 0.5, 0.6), Some("not better than chance")),
        (between(0.4, 0.35, 0.45), Some("worse than chance")),
        (between(0.6, 0.55, 0.65), None),
    ] {
        let found = after(|objective| objective.accuracy = Some(estimate));
        assert_eq!(found.len(), usize::from(words.is_some()), "{found:?}");
        let right = |one: &Warning| matches!(one, Warning::NotBetterThanChance { .. });
        assert!(found.iter().all(|one| right(one) && one.headline().contains(words.unwrap_or_default())), "{found:?}");
    }
}

#[test]
fn more_than_nine_ties_in_ten_training_pairs() {
    for (ties, expected) in [(90, 0), (91, 1)] {
        let training = TrainingPairs { decided: 100 - ties, ties, smallest_margin: None };
        let found = after(|objective| objective.training = Some(training));
        assert_eq!(found.len(), expected, "{ties}");
        assert!(found.iter().all(|one| one.headline().contains("91 of 100 training pairs (91.0%) are ties")));
    }
    assert_eq!(after(|objective| objective.training = None), []);
}

#[test]
fn training_pairs_that_only_the_penalty_keeps_in_bounds() {
    for (smallest_margin, expected) in [(None, 0), (Some(-31.0), 0), (Some(30.0), 0), (Some(30.6), 1)] {
        let training = TrainingPairs { decided: 1_200, ties: 3, smallest_margin };
        let found = after(|objective| objective.training = Some(training));
        assert_eq!(found.len(), expected, "{smallest_margin:?}");
        let says =
            |one: &Warning| one.headline().contains("all 1\u{202f}200 training pairs") && one.headline().contains("31");
        assert!(found.iter().all(says), "{found:?}");
        assert!(found.iter().all(|one| one.remedy().contains("larger `l2`")));
    }
}

#[test]
fn a_hidden_layer_that_ran_out_of_epochs() {
    for (stopped_early, expected) in [(true, 0), (false, 1)] {
        let found = after(|objective| {
            objective.fit = None;
            objective.mlp = Some(MlpSummary { epochs: 100, best_epoch: 99, stopped_early });
        });
        assert_eq!(found.len(), expected);
        assert!(found.iter().all(|one| one.headline().contains("not converged; training ended after 100 epochs")));
        assert!(found.iter().all(|one| one.remedy().contains("max_epochs")));
    }
}
