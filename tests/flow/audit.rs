//! `ensemble audit labels` finds labels that were turned round on purpose.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::project::Project;

/// Turns every eighth pair of a file round; the chosen texts of the turned rows.
fn turn_some(project: &Project, file: &str) -> BTreeSet<String> {
    let path = project.path(file);
    let mut turned = BTreeSet::new();
    let mut lines = Vec::new();
    for (index, line) in std::fs::read_to_string(&path).expect("data").lines().enumerate() {
        let mut row: Value = serde_json::from_str(line).expect("JSON");
        if index % 8 == 3 {
            let (chosen, rejected) = (row["chosen"].clone(), row["rejected"].clone());
            (row["chosen"], row["rejected"]) = (rejected.clone(), chosen);
            turned.insert(rejected.as_str().expect("text").to_owned());
        }
        lines.push(row.to_string());
    }
    std::fs::write(&path, lines.join("\n")).expect("written");
    turned
}

#[test]
fn turned_labels_stand_first_and_the_same_list_comes_twice() {
    let project = Project::warm();
    let turned = turn_some(&project, "data/quickstart/safety.pairs.jsonl");
    let arguments = ["audit", "labels", "safety", "--config", "configs/quickstart.yaml", "--top", "100000", "--json"];
    let output = project.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let suspects: Vec<&Value> = rows.iter().filter(|row| row["list"] == "least credible").collect();
    let places: Vec<usize> = (0..suspects.len())
        .filter(|&place| turned.contains(suspects[place]["chosen"].as_str().expect("text")))
        .collect();
    assert!(places.len() > 10, "{places:?}");
    // The mean place of a turned label among all: ½ when the audit knows nothing.
    let mean = places.iter().sum::<usize>() as f64 / places.len() as f64 / suspects.len() as f64;
    assert!(mean < 0.25, "{mean}: {places:?}");
    let credibility = |row: &&Value| row["credibility"].as_f64().expect("a number");
    assert!(suspects.iter().map(credibility).is_sorted());
    assert!(suspects[0]["reason"].as_str().expect("text").contains("probable label noise"));
    let influential: Vec<&Value> = rows.iter().filter(|row| row["list"] == "most influential").collect();
    assert_eq!(influential.len(), suspects.len());
    let again = String::from_utf8_lossy(&project.run(&arguments).stdout).into_owned();
    let lists =
        |text: &str| text.lines().filter(|line| line.contains("\"list\"")).map(str::to_owned).collect::<Vec<_>>();
    assert!(lists(&again) == lists(&String::from_utf8_lossy(&output.stdout)), "the same list comes twice");
}

#[test]
fn people_see_both_answers_and_misspelt_objectives_a_suggestion() {
    let project = Project::warm();
    let output = project.run(&["audit", "labels", "safety", "--config", "configs/quickstart.yaml", "--top", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["Least credible of", "Most influential on", "credibility", "chosen", "rejected", "labelled by ai"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = project.run(&["audit", "labels", "safty", "--config", "configs/quickstart.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean safety?"));
    assert!(!project.path("registry").exists() && !project.path("reports").exists(), "an audit writes nothing");
}
