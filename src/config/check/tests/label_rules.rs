//! Labelling rules: what each kind needs, what it refuses, and how that is said.

use super::*;
use crate::config::{Pattern, RuleKind};

const FILE: &str = "objectives/helpfulness.yaml";
const RULE: &str = "{kind: fewer_words, equal_on: helpfulness, max_gap: 0.5}";

/// The helpfulness objective with another rule and without the source's own `min_gap`.
fn objective(rule: &str) -> String {
    HELPFULNESS.replace("    min_gap: 1\n", "").replace(RULE, rule)
}

fn read(rule: &str) -> RuleConfig {
    let project = Project::new();
    project.write(FILE, &objective(rule));
    let source = project.loaded(&[]).objectives[0].data[0].clone();
    assert_eq!(source.labels, LabelSource::Rule);
    source.rule.expect("a rule")
}

fn faults(rule: &str) -> Vec<Fault> {
    let project = Project::new();
    project.write(FILE, &objective(rule));
    project.faults(&[])
}

#[test]
fn every_kind_is_read_with_its_own_keys() {
    let pattern = || Pattern::new(r"^\d+\.").expect("a pattern");
    let reference = || "gold".to_owned();
    let cases = [
        ("{kind: fewer_words}", Criterion::FewerWords, 0.0),
        ("{kind: more_words, min_gap: 5}", Criterion::MoreWords, 5.0),
        ("{kind: fewer_characters}", Criterion::FewerCharacters, 0.0),
        ("{kind: more_characters}", Criterion::MoreCharacters, 0.0),
        ("{kind: length, target_words: 80, min_gap: 10}", Criterion::Length { target_words: 80 }, 10.0),
        (r"{kind: matches, pattern: '^\d+\.'}", Criterion::Matches(pattern()), 0.0),
        (r"{kind: avoids, pattern: '^\d+\.'}", Criterion::Avoids(pattern()), 0.0),
        ("{kind: valid_json}", Criterion::ValidJson, 0.0),
        ("{kind: bleu, reference: gold, min_gap: 2.5}", Criterion::Bleu { reference: reference() }, 2.5),
        ("{kind: rouge_l, reference: gold}", Criterion::RougeL { reference: reference() }, 0.0),
    ];
    assert_eq!(cases.len(), RuleKind::ALL.len());
    for (text, criterion, min_gap) in cases {
        assert_eq!(read(text), RuleConfig { criterion, min_gap, equal_on: None, max_gap: 0.0 }, "{text}");
    }
}

#[test]
fn what_a_kind_does_not_take_or_lacks_is_one_fault_at_its_place() {
    let cases = [
        ("{kind: fewer_words, pattern: a}", "data.0.rule.pattern has no meaning with kind: fewer_words"),
        ("{kind: more_words, target_words: 5}", "data.0.rule.target_words has no meaning with kind: more_words"),
        ("{kind: valid_json, reference: gold}", "data.0.rule.reference has no meaning with kind: valid_json"),
        ("{kind: valid_json, min_gap: 1}", "data.0.rule.min_gap has no meaning with kind: valid_json"),
        ("{kind: matches, pattern: a, min_gap: 1}", "data.0.rule.min_gap has no meaning with kind: matches"),
        ("{kind: length}", "key \"data.0.rule.target_words\" is missing: kind: length needs it"),
        ("{kind: matches}", "key \"data.0.rule.pattern\" is missing: kind: matches needs it"),
        ("{kind: avoids}", "key \"data.0.rule.pattern\" is missing: kind: avoids needs it"),
        ("{kind: bleu}", "key \"data.0.rule.reference\" is missing: kind: bleu needs it"),
        ("{kind: rouge_l}", "key \"data.0.rule.reference\" is missing: kind: rouge_l needs it"),
        ("{kind: fewer_words, max_gap: 1}", "data.0.rule.max_gap has no meaning without equal_on"),
        (
            "{kind: avoids, pattern: '(as an'}",
            "data.0.rule.pattern is \"(as an\", which is no regular expression: unclosed group",
        ),
        ("{kind: length, target_words: 0}", "data.0.rule.target_words is 0"),
        ("{kind: bleu, reference: gold, min_gap: 0}", "data.0.rule.min_gap is 0"),
        ("{kind: bleu, reference: ' '}", "data.0.rule.reference is \" \""),
        ("{kind: fewest_words}", "data.0.rule.kind is \"fewest_words\""),
        ("{pattern: a}", "key \"data.0.rule.kind\" is missing"),
    ];
    for (rule, found) in cases {
        let faults = faults(rule);
        assert_eq!(faults.len(), 1, "{rule}: {faults:#?}");
        assert_eq!(faults[0].found, found);
        assert!(faults[0].place.starts_with(&format!("{FILE}:13:")), "{}", faults[0].place);
        assert!(faults[0].accepted.is_some() || faults[0].help.is_some(), "{rule}");
    }
}

#[test]
fn several_faults_of_one_rule_come_together_with_their_help() {
    let faults = faults("{kind: rouge_l, pattern: '[', target_words: 3, max_gap: 1}");
    let found: Vec<&str> = faults.iter().map(|fault| fault.found.as_str()).collect();
    let wanted = [
        "key \"data.0.rule.reference\" is missing: kind: rouge_l needs it",
        "data.0.rule.pattern has no meaning with kind: rouge_l",
        "data.0.rule.target_words has no meaning with kind: rouge_l",
        "data.0.rule.max_gap has no meaning without equal_on",
    ];
    assert_eq!(found, wanted);
    assert_eq!(faults[1].accepted.as_deref(), Some("with kind: matches, avoids"));
    assert_eq!(faults[1].help.as_deref(), Some("remove pattern, or check the kind"));
}

#[test]
fn a_pattern_too_large_to_run_is_refused_before_any_data_is_read() {
    let fault = &faults(r"{kind: matches, pattern: '\w{1000}{10}'}")[0];
    assert!(fault.found.ends_with("it takes more than 1024 kB when compiled"), "{}", fault.found);
    let long = format!("{{kind: matches, pattern: '{}'}}", "(".repeat(3000));
    let fault = &faults(&long)[0];
    assert!(fault.found.len() < 400 && !fault.found.contains('\n'), "{}", fault.found);
}

#[test]
fn the_gap_of_scores_is_not_the_gap_of_a_rule() {
    for (rule, help) in
        [("{kind: bleu, reference: gold}", "move min_gap into the rule"), ("{kind: valid_json}", "remove min_gap")]
    {
        let faults = faults_with(FILE, RULE, rule);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].found.starts_with("data.0.min_gap compares scores"), "{}", faults[0].found);
        assert_eq!(faults[0].help.as_deref(), Some(help));
    }
}
