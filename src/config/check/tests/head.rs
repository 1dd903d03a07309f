//! Heads: what they are kept from following, and what is refused about it.

use super::*;
use crate::config::{ControlConfig, ControlMode, Pattern, Probe};

const FILE: &str = "objectives/helpfulness.yaml";

/// The head of the helpfulness objective with more lines in it, each indented under `head`.
fn objective(lines: &str) -> String {
    HELPFULNESS.replace("  folds: 5\n", &format!("  folds: 5\n{lines}"))
}

fn read(lines: &str) -> HeadConfig {
    let project = Project::new();
    project.write(FILE, &objective(lines));
    match project.loaded(&[]).objectives.remove(0).head {
        HeadKind::Linear(head) => head,
        HeadKind::Pretrained(_) => panic!("a head to train"),
    }
}

fn faults(lines: &str) -> Vec<Fault> {
    let project = Project::new();
    project.write(FILE, &objective(lines));
    project.faults(&[])
}

#[test]
fn controls_are_read_in_their_order() {
    let text = concat!(
        "  control:\n",
        "    - probe: length\n",
        "    - {probe: markdown, mode: constraint}\n",
        "    - pattern: \"\\\\bcertainly\\\\b\"\n      mode: penalty\n      strength: 10.0\n",
        "    - {probe: refusal, mode: penalty, strength: 0.5}\n",
    );
    let constraint = |probe| ControlConfig { probe, mode: ControlMode::Constraint };
    let penalty = |probe, strength| ControlConfig { probe, mode: ControlMode::Penalty { strength } };
    let pattern = Pattern::new(r"\bcertainly\b").expect("a pattern");
    let expected = [
        constraint(Probe::Length),
        constraint(Probe::Markdown),
        penalty(Probe::Pattern(pattern), 10.0),
        penalty(Probe::Refusal, 0.5),
    ];
    assert_eq!(read(text).control, expected);
    assert_eq!(read("").control, []);
    assert_eq!(read("  control: []\n").control, []);
}

#[test]
fn a_control_that_cannot_be_meant_is_one_fault_at_its_place() {
    let cases = [
        ("{probe: lenght}", "20:8", "head.control.0.probe is \"lenght\"", "did you mean \"length\"?"),
        ("{}", "20:7", "head.control.0 names nothing to measure", ""),
        ("length", "20:7", "head.control.0 is \"length\"", ""),
        ("{mode: penalty, strength: 1}", "20:7", "head.control.0 names nothing to measure", ""),
        ("{probe: length, pattern: a}", "20:23", "head.control.0 has both probe and pattern", "two entries"),
        (
            "{pattern: '(as an'}",
            "20:8",
            "head.control.0.pattern is \"(as an\", which is no regular expression: unclosed group",
            "single quotes",
        ),
        ("{pattern: ' '}", "20:8", "head.control.0.pattern is \" \"", ""),
        ("{probe: length, strength: 2}", "20:23", "head.control.0.strength has no meaning without a penalty", "mode"),
        (
            "{probe: length, mode: penalty}",
            "20:7",
            "key \"head.control.0.strength\" is missing: mode: penalty needs it",
            "",
        ),
        ("{probe: length, mode: penalty, strength: 0}", "20:38", "head.control.0.strength is 0", ""),
        ("{probe: length, mode: penalty, strength: -1}", "20:38", "head.control.0.strength is -1", ""),
        ("{probe: length, mode: penalti, strength: 1}", "20:23", "head.control.0.mode is \"penalti\"", "\"penalty\"?"),
        (
            "{probe: length}\n    - {probe: length, mode: penalty, strength: 1}",
            "21:7",
            "head.control.1 names the probe \"length\" a second time",
            "remove one",
        ),
        (
            "{pattern: a}\n    - {pattern: a}",
            "21:7",
            "head.control.1 names the probe \"pattern a\" a second time",
            "remove one",
        ),
    ];
    for (entry, place, found, help) in cases {
        let faults = faults(&format!("  control:\n    - {entry}\n"));
        let [fault] = faults.as_slice() else { panic!("{entry}: {faults:#?}") };
        assert_eq!(
            (fault.place.as_str(), fault.found.as_str()),
            (format!("{FILE}:{place}").as_str(), found),
            "{entry}"
        );
        assert!(fault.help.as_deref().unwrap_or_default().contains(help), "{entry}: {:?}", fault.help);
        assert!(fault.accepted.is_some() || fault.help.is_some(), "{entry}");
    }
}

#[test]
fn what_only_training_reads_has_no_meaning_for_a_pretrained_head() {
    let faults = faults("  control: [{probe: length}]\n  pretrained: LABEL_0\n");
    let found: Vec<&str> = faults.iter().map(|fault| fault.found.as_str()).collect();
    let expected = ["l2", "l2_grid", "folds", "control"];
    assert_eq!(found, expected.map(|key| format!("head.{key} has no meaning with head.pretrained")));
}
