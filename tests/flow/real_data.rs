//! Real preference data, where `ENSEMBLE_DATA` names its folder; without it these tests say so and end.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use serde_json::Value;

use crate::project::{Project, repository};

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("ENSEMBLE_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("ENSEMBLE_DATA is not set: no real data to read");
    }
    folder
}

/// A run over one real file on the built-in backbone, at most one pair a prompt so that it stays short.
fn write_run(project: &Project, objective: &str, labels: &str) {
    let path = data().expect("checked by the caller").join(format!("{objective}.jsonl.gz"));
    let text = format!(
        "name: {objective}\nquestion: Which answer is better?\nlabels: {labels}\ndata:\n  - path: {}\n    \
         format: pairs\n    label_source_field: label_source\n    split_field: split\n    max_pairs_per_prompt: 1\n",
        path.display()
    );
    std::fs::write(project.path("objectives/real.yaml"), text).expect("written");
    let mini = repository().join("backbones/mini");
    let run = format!(
        "name: real\nbackbone:\n  path: {}\n  layers: [-1]\n  max_tokens: 128\nobjectives:\n  - file: ../objectives/real.yaml\n",
        mini.display()
    );
    std::fs::write(project.path("configs/real.yaml"), run).expect("written");
}

#[test]
fn real_conciseness_labels_are_a_length_rule_and_the_report_says_so() {
    if data().is_none() {
        return;
    }
    let project = Project::new();
    write_run(&project, "conciseness", "rule");
    let output = project.run(&["train-all", "configs/real.yaml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = std::fs::read_to_string(project.path("reports/real/report.json")).expect("summary");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    let objective = &summary["objectives"][0];
    let accuracy = |value: &serde_json::Value| value["accuracy"]["value"].as_f64().expect("defined");
    let baselines = objective["baselines"].as_array().expect("a list");
    let shorter = baselines.iter().find(|baseline| baseline["name"] == "shorter wins").expect("listed");
    // The data's own README: the longer answer wins 3% of these pairs.
    assert!(accuracy(shorter) > 0.9, "{shorter}");
    assert!(objective["accuracy"]["low"].as_f64().expect("defined") > 0.6, "{}", objective["accuracy"]);
    let verdict = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(verdict.contains("than picking the shorter answer"), "{verdict}");
    assert!(!verdict.contains("conciseness: better than"), "{verdict}");
}

/// A copy of a real file with every tenth training row turned round; the chosen texts of the turned rows.
fn turned_copy(project: &Project, objective: &str) -> BTreeSet<String> {
    let path = data().expect("checked by the caller").join(format!("{objective}.jsonl.gz"));
    let file = std::fs::File::open(path).expect("data");
    let (mut turned, mut lines) = (BTreeSet::new(), Vec::new());
    for (index, line) in BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines().enumerate() {
        let mut row: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        if index % 10 == 4 && row["split"] == "train" {
            let (chosen, rejected) = (row["chosen"].clone(), row["rejected"].clone());
            turned.insert(rejected.to_string());
            (row["chosen"], row["rejected"]) = (rejected, chosen);
        }
        lines.push(row.to_string());
    }
    std::fs::write(project.path("data/turned.jsonl"), lines.join("\n")).expect("written");
    let config = project.path("objectives/real.yaml");
    let text = std::fs::read_to_string(&config).expect("config");
    let text: Vec<String> = text
        .lines()
        .map(|line| if line.contains("path:") { "  - path: ../data/turned.jsonl".to_owned() } else { line.to_owned() })
        .collect();
    std::fs::write(config, text.join("\n") + "\n").expect("written");
    turned
}

/// The share of (turned, kept) labels in which the turned one has the lower value.
fn auc(values: &[(f64, bool)]) -> f64 {
    let (mut below, mut all) = (0.0, 0.0);
    for (value, _) in values.iter().filter(|(_, turned)| *turned) {
        for (other, _) in values.iter().filter(|(_, turned)| !*turned) {
            all += 1.0;
            below += if value < other { 1.0 } else { 0.5 * f64::from(u8::from(value == other)) };
        }
    }
    below / all
}

#[test]
fn planted_noise_in_real_labels_is_found_better_than_by_the_plain_margin() {
    if data().is_none() {
        return;
    }
    let project = Project::new();
    write_run(&project, "conciseness", "rule");
    let turned = turned_copy(&project, "conciseness");
    let arguments = ["audit", "labels", "conciseness", "--config", "configs/real.yaml", "--top", "1000000", "--json"];
    let output = project.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let value = |key: &str| -> Vec<(f64, bool)> {
        let audited = rows.iter().filter(|row| row["list"] == "least credible");
        audited.map(|row| (row[key].as_f64().expect("a number"), turned.contains(&row["chosen"].to_string()))).collect()
    };
    let (audit, plain) = (auc(&value("credibility")), auc(&value("margin_with_label")));
    let found = value("credibility").iter().filter(|(_, turned)| *turned).count();
    println!(
        "{found} turned of {} labels: AUC {audit:.4} by the audit, {plain:.4} by the plain margin",
        value("credibility").len()
    );
    assert!(found > 50 && audit >= 0.75, "{audit}");
    assert!(audit > plain, "{audit} against {plain}");
}

#[test]
fn real_files_load_with_the_counts_their_readme_states() {
    if data().is_none() {
        return;
    }
    let project = Project::new();
    // Rows of the three files, as the data's README states them.
    for (objective, labels, rows) in
        [("helpfulness", "human", 36_667), ("safety", "human", 9_781), ("conciseness", "rule", 9_752)]
    {
        write_run(&project, objective, labels);
        let output = project.run(&["--json", "validate", "configs/real.yaml"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["objectives"][0]["audit"]["sources"][0]["rows"], rows, "{objective}");
    }
}
