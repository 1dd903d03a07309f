//! Heads: what they are kept from following, and what is refused about it.

use super::*;
use crate::config::{ControlConfig, ControlMode, Loss, Pattern, Probe};

/// A head that is trained with nothing special about it.
pub(super) fn plain(l2: Option<f64>, l2_grid: Vec<f64>, folds: usize) -> HeadConfig {
    let (loss, control) = (Loss::BradleyTerry, Vec::new());
    HeadConfig { l2, l2_grid, folds, loss, label_smoothing: 0.0, center_rewards_coefficient: 0.0, control }
}

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
        other => panic!("a linear head, not {other:?}"),
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
fn every_loss_and_its_keys_are_read() {
    let rated = "    rule: {kind: fewer_words, equal_on: helpfulness, max_gap: 0.5}\n";
    for (word, loss) in [
        ("bradley_terry", Loss::BradleyTerry),
        ("davidson", Loss::Davidson),
        ("plackett_luce", Loss::PlackettLuce),
        ("regression", Loss::Regression),
    ] {
        let project = Project::new();
        project.write(FILE, &objective(&format!("  loss: {word}\n")).replace(rated, ""));
        let HeadKind::Linear(head) = project.loaded(&[]).objectives.remove(0).head else { panic!("a head to train") };
        assert_eq!(head.loss, loss);
    }
    let head = read("  label_smoothing: 0.1\n  center_rewards_coefficient: 0.01\n");
    assert_eq!((head.loss, head.label_smoothing, head.center_rewards_coefficient), (Loss::BradleyTerry, 0.1, 0.01));
    assert_eq!((read("").label_smoothing, read("").center_rewards_coefficient), (0.0, 0.0));
    assert!((read("  label_smoothing: 0.499\n").label_smoothing - 0.499).abs() < 1e-15);
}

#[test]
fn a_loss_that_cannot_be_meant_is_refused_at_its_place() {
    let cases = [
        ("  loss: bradley\n", "19:3", "head.loss is \"bradley\""),
        ("  label_smoothing: 0.5\n", "19:3", "head.label_smoothing is 0.5"),
        ("  label_smoothing: -0.1\n", "19:3", "head.label_smoothing is -0.1"),
        ("  center_rewards_coefficient: -1\n", "19:3", "head.center_rewards_coefficient is -1"),
        ("  loss: regression\n", "14:5", "data.0.rule labels pairs, but loss: regression learns from ratings"),
    ];
    for (lines, place, found) in cases {
        let faults = faults(lines);
        let [fault] = faults.as_slice() else { panic!("{lines}: {faults:#?}") };
        assert_eq!((fault.place.as_str(), fault.found.as_str()), (format!("{FILE}:{place}").as_str(), found));
        assert!(fault.accepted.is_some() || fault.help.is_some(), "{lines}");
    }
    assert_eq!(faults("  label_smoothing: 1\n")[0].accepted.as_deref(), Some("a number from 0, below 0.5"));
}

#[test]
fn regression_needs_ratings_and_takes_no_keys_about_pairs() {
    let project = Project::new();
    let head = "head: {loss: regression, label_smoothing: 0.1, center_rewards_coefficient: 0.01}\n";
    let data = "  - path: ../data/rated.jsonl\n    format: pairs\n";
    project.write("objectives/safety.yaml", &format!("{SAFETY}{data}{head}"));
    let faults = project.faults(&[]);
    let found: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.place, fault.found)).collect();
    let expected = [
        "objectives/safety.yaml:7:5 data.1.format is pairs, but loss: regression learns from ratings",
        "objectives/safety.yaml:8:26 head.label_smoothing has no meaning with loss: regression",
        "objectives/safety.yaml:8:48 head.center_rewards_coefficient has no meaning with loss: regression",
    ];
    assert_eq!(found, expected);
    assert_eq!(faults[0].accepted.as_deref(), Some("rated, helpsteer, nemo_regression, armorm"));
}

#[test]
fn what_only_training_reads_has_no_meaning_for_a_pretrained_head() {
    let lines = concat!(
        "  loss: regression\n  label_smoothing: 0.1\n  center_rewards_coefficient: 0.01\n",
        "  control: [{probe: length}]\n  pretrained: LABEL_0\n",
    );
    let found: Vec<String> = faults(lines).into_iter().map(|fault| fault.found).collect();
    let keys = ["l2", "l2_grid", "folds", "loss", "label_smoothing", "center_rewards_coefficient", "control"];
    assert_eq!(found, keys.map(|key| format!("head.{key} has no meaning with head.pretrained")));
}
