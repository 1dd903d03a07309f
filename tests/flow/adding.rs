//! A fourth objective over texts already seen embeds nothing.

use crate::project::Project;

#[test]
fn a_fourth_objective_embeds_nothing_and_leaves_the_others_alone() {
    let project = Project::warm();
    project.train(&["--quiet"]);
    let before = project.files("registry/quickstart/heads");
    let fourth = "name: brevity\nquestion: Which of two equally helpful answers is shorter?\nlabels: rule\n\
        data:\n  - path: ../data/quickstart/rated.jsonl\n    format: rated\n    \
        rule: {kind: fewer_words, equal_on: helpfulness, max_gap: 0.5}\n";
    std::fs::write(project.path("objectives/brevity.yaml"), fourth).expect("written");
    let config = project.path("configs/quickstart.yaml");
    let text = std::fs::read_to_string(&config).expect("config");
    let text = text.replace("combine:", "  - file: ../objectives/brevity.yaml\n    weight: 0.1\ncombine:");
    std::fs::write(&config, text).expect("written");
    let output = project.train(&[]);
    assert!(output.contains("nothing embedded") && output.contains("brevity"), "{output}");
    let after = project.files("registry/quickstart/heads");
    assert_eq!(after.keys().filter(|name| !name.starts_with("TRAINING")).count(), 4);
    for (name, bytes) in before {
        assert!(after[&name] == bytes, "{name} changed");
    }
}
