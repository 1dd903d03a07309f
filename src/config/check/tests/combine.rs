//! Rules that combine scores: what each needs, what it refuses, and how that is said.

use super::*;
use crate::config::CombineConfig;
use crate::config::raw::RawRule;

const FILE: &str = "configs/run.yaml";

/// The run with another `combine`, on one line.
fn project(combine: &str) -> Project {
    let project = Project::new();
    project.write(FILE, &RUN.replace("combine:\n  rule: weighted_sum", &format!("combine: {combine}")));
    project
}

fn read(combine: &str, overrides: &[&str]) -> CombineConfig {
    project(combine).loaded(overrides).combine
}

#[test]
fn every_rule_is_read_with_its_own_keys() {
    let floors = || [("safety".to_owned(), -0.5)].into();
    let cases = [
        ("{}", Rule::WeightedSum),
        ("{rule: worst_case}", Rule::WorstCase),
        ("{rule: soft_min, tau: 0.5}", Rule::SoftMin { tau: 0.5 }),
        ("{rule: log_sigmoid}", Rule::LogSigmoid { reference_quantile: 0.85 }),
        ("{rule: log_sigmoid, reference_quantile: 0}", Rule::LogSigmoid { reference_quantile: 0.0 }),
        ("{rule: constrained, floors: {safety: -0.5}, lambda: 2}", Rule::Constrained { floors: floors(), lambda: 2.0 }),
        ("{rule: gate, floors: {safety: -0.5}, low_score: -4}", Rule::Gate { floors: floors(), low_score: -4.0 }),
    ];
    for (text, rule) in cases {
        assert_eq!(read(text, &[]), CombineConfig { rule, uncertainty_penalty: 0.0 }, "{text}");
    }
    let shares = ["objectives.helpfulness.normalizer=win_rate", "objectives.safety.normalizer=minmax"];
    let geometric = read("{rule: geometric, uncertainty_penalty: 1.5}", &shares);
    assert_eq!(geometric, CombineConfig { rule: Rule::Geometric, uncertainty_penalty: 1.5 });
    let set = read("{}", &["combine.rule=gate", "combine.floors.safety=1", "combine.low_score=0"]);
    assert_eq!(set.rule, Rule::Gate { floors: [("safety".to_owned(), 1.0)].into(), low_score: 0.0 });
}

#[test]
fn words_in_yaml_and_in_messages_are_one() {
    for rule in RawRule::ALL {
        assert_eq!(serde_json::to_value(rule).expect("a word"), rule.word());
    }
    let schema = crate::config::run_schema();
    for rule in RawRule::ALL {
        assert!(schema.contains(&format!("\"{}\"", rule.word())), "{}", rule.word());
    }
}

#[test]
fn what_a_rule_does_not_take_or_lacks_is_one_fault_at_its_place() {
    let cases = [
        ("{rule: worst_case, tau: 1}", "15:29", "combine.tau has no meaning with rule: worst_case"),
        ("{floors: {safety: 0}}", "15:11", "combine.floors has no meaning with rule: weighted_sum"),
        ("{rule: soft_min}", "15:11", "key \"combine.tau\" is missing: rule: soft_min needs it"),
        ("{rule: gate, floors: {safety: 0}}", "15:11", "key \"combine.low_score\" is missing: rule: gate needs it"),
        ("{rule: constrained, lambda: 1}", "15:11", "key \"combine.floors\" is missing: rule: constrained needs it"),
        ("{rule: soft_min, tau: 0}", "15:27", "combine.tau is 0"),
        ("{rule: soft_min, tau: .inf}", "15:27", "combine.tau is infinite"),
        ("{rule: log_sigmoid, reference_quantile: 1.5}", "15:30", "combine.reference_quantile is 1.5"),
        ("{rule: gate, floors: {}, low_score: 0}", "15:23", "combine.floors names no objective"),
        ("{rule: gate, floors: 0, low_score: 0}", "15:23", "combine.floors is 0"),
        ("{rule: gate, floors: {safety: x}, low_score: 0}", "15:32", "combine.floors.safety is \"x\""),
        (
            "{rule: gate, floors: {saftey: 0}, low_score: 0}",
            "15:32",
            "combine.floors names \"saftey\", which is no objective",
        ),
        ("{rule: gate, floors: {' ': 0, safety: 0}, low_score: 0}", "15:32", "unknown key \" \""),
        ("{uncertainty_penalty: -1}", "15:11", "combine.uncertainty_penalty is -1"),
        ("{rule: soft_mean, tau: 1}", "15:11", "combine.rule is \"soft_mean\""),
        ("{rule: soft_min, tua: 1, tau: 1}", "15:27", "unknown key \"tua\""),
    ];
    for (combine, place, found) in cases {
        let fault = project(combine).only_fault(&[]);
        assert_eq!((fault.place.as_str(), fault.found.as_str()), (format!("{FILE}:{place}").as_str(), found));
        assert!(fault.accepted.is_some(), "{combine}");
    }
}

#[test]
fn rules_ask_for_weights_they_can_use() {
    let fault = |combine: &str, overrides: &[&str]| project(combine).only_fault(overrides).found;
    let zeros = ["objectives.0.weight=0", "objectives.1.weight=0"];
    assert_eq!(fault("{rule: worst_case}", &zeros), "no objective has a weight above 0");
    let constrained = "{rule: constrained, floors: {safety: 0}, lambda: 1}";
    assert_eq!(fault(constrained, &zeros[..1]), "no objective without a floor has a weight above 0");
    let meant = ["objectives.0.weight=-1", "objectives.0.allow_negative=true"];
    let found = "objectives.0.weight is -1, but rule: soft_min takes no negative weight";
    assert_eq!(fault("{rule: soft_min, tau: 1}", &meant), found);
    let gate = "{rule: gate, floors: {safety: 0}, low_score: 0}";
    assert_eq!(project(gate).loaded(&meant).objectives[0].weight, -1.0);
}

#[test]
fn a_geometric_mean_needs_scores_from_0_to_1() {
    let faults = project("{rule: geometric}").faults(&[]);
    let found: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.place.as_str(), fault.found.as_str())).collect();
    let wanted = [
        (
            "configs/run.yaml:12:5",
            "objective \"safety\" has normalizer: zscore, but rule: geometric needs scores from 0 to 1",
        ),
        (
            "objectives/helpfulness.yaml:19:1",
            "objective \"helpfulness\" has normalizer: zscore, but rule: geometric needs scores from 0 to 1",
        ),
    ];
    assert_eq!(found, wanted, "at the key where there is one, else where the objective is named");
    let fault = project("{rule: geometric}").only_fault(&["objectives.safety.weight=0"]);
    assert!(fault.found.contains("helpfulness"), "weight 0 does not count");
}
