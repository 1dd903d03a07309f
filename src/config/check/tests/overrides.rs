//! Tests of `--set`: what it reaches, and that it is checked like the file.

use super::*;

#[test]
fn overrides_reach_every_file_and_are_checked_like_it() {
    let project = Project::new();
    let config = project.loaded(&[
        "objectives.safety.head.l2=10",
        "objectives.safety.normalizer=robust",
        "objectives.1.weight=3",
        "objectives.safety.weight=2",
        "objectives.helpfulness.data.0.min_gap=0.25",
        "output.cache=/x/../y",
        "output.report=here",
    ]);
    let safety = &config.objectives[1];
    assert!(matches!(&safety.head, HeadKind::Linear(head) if head.l2 == Some(10.0)));
    assert_eq!((safety.normalizer, safety.weight), (NormalizerKind::Robust, 2.0));
    assert!((config.objectives[0].data[0].min_gap - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.output.cache, Path::new("/y"));
    assert_eq!(config.output.report, files::absolute(Path::new("here")), "relative to the current folder");
    let cases = [
        ("bakcbone.max_tokens=9", "unknown key \"bakcbone\"", "did you mean \"backbone\"?"),
        ("backbone.max_tokns=9", "unknown key \"max_tokns\"", "did you mean \"max_tokens\"?"),
        ("backbone.max_tokens=9000", "backbone.max_tokens is 9000", ""),
        ("backbone.max_tokens=.nan", "backbone.max_tokens is not a number (NaN)", ""),
        ("objectives.saftey.weight=1", "there is no objective \"saftey\"", "did you mean \"safety\"?"),
        ("objectives.saftey.file=x", "there is no objective \"saftey\"", "did you mean \"safety\"?"),
        ("objectives.2.weight=1", "there is no objective \"2\"", ""),
        ("objectives.safety.wieght=1", "unknown key \"wieght\"", "did you mean \"weight\"?"),
        ("objectives.safety.normalizr=robust", "unknown key \"normalizr\"", "did you mean \"normalizer\"?"),
        ("objectives.safety.normalizer=robst", "normalizer is \"robst\"", "did you mean \"robust\"?"),
        ("objectives.safety.head.l3=robust", "unknown key \"l3\"", "did you mean \"l2\"?"),
        (
            "objectives.safety.weight=-1",
            "objectives.1.weight is -1, which rewards less of this objective",
            "if that is meant, add allow_negative: true",
        ),
        ("objectives.safety.data.1.path=x", "data is a list and has no entry \"1\"", ""),
        ("name.x=1", "name is \"quickstart\" and holds no key \"x\"", "set name itself"),
        ("name=[", "this YAML cannot be read: did not find expected node content, while parsing a flow node", ""),
        ("name", "there is no `=`", ""),
    ];
    for (text, found, help) in cases {
        let fault = project.only_fault(&[text]);
        assert_eq!(fault.place, format!("--set {text}"));
        assert_eq!((fault.found.as_str(), fault.help.as_deref().unwrap_or("")), (found, help), "{text}");
    }
    assert_eq!(project.faults(&["nmae=x", "backbone.layers=2", "objectives.0.weight=x"]).len(), 3);
}

#[test]
fn an_override_means_the_same_as_the_same_value_in_the_file() {
    let (by_file, by_override) = (Project::new(), Project::new());
    by_file.write("configs/run.yaml", &RUN.replace("256", "128").replace("[-2]", "[1, -1]").replace("0.5", "2"));
    by_file.write("objectives/safety.yaml", &format!("{SAFETY}head: {{folds: 7}}\n"));
    let overrides = [
        "backbone.max_tokens=128",
        "backbone.layers=[1, -1]",
        "objectives.safety.weight=2",
        "objectives.1.head.folds=7",
    ];
    let config = by_override.loaded(&overrides);
    let wanted = by_file.loaded(&[]);
    assert_eq!(
        (config.backbone.max_tokens, &config.backbone.layers),
        (wanted.backbone.max_tokens, &wanted.backbone.layers)
    );
    assert_eq!(config.objectives[1].head, wanted.objectives[1].head);
    assert!((config.objectives[1].weight - wanted.objectives[1].weight).abs() < f64::EPSILON);
}

#[test]
fn overrides_may_change_which_objectives_there_are() {
    let project = Project::new();
    project.write("objectives/other.yaml", &SAFETY.replace("name: safety", "name: other"));
    let other = project.path("objectives/other.yaml");
    let by_name = format!("objectives.safety.file={}", other.display());
    let config = project.loaded(&["objectives.other.weight=4", &by_name]);
    assert_eq!((config.objectives[1].name.as_str(), config.objectives[1].weight), ("other", 4.0));
    let whole = format!("objectives=[{{file: {}}}]", other.display());
    assert_eq!(project.loaded(&[&whole]).objectives.len(), 1);
}

#[test]
fn environment_variables_stand_in_paths_only() {
    let project = Project::new();
    let manifest = env!("CARGO_MANIFEST_DIR");
    let config = project.loaded(&["output.cache=${CARGO_MANIFEST_DIR}/cache", "objectives.0.question='${HOME}?'"]);
    assert_eq!(config.output.cache, Path::new(manifest).join("cache"));
    assert_eq!(config.objectives[0].question, "${HOME}?");
}
