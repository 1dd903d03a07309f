//! Training leaves a registry, a report and a table, and caches every feature.

use crate::project::{Project, trained};

#[test]
fn quickstart_leaves_registry_report_and_table_and_embeds_once() {
    let project = Project::new();
    let first = project.train(&[]);
    assert!(first.contains("embedded 672 texts"), "{first}");
    for objective in ["helpfulness", "safety", "conciseness"] {
        assert!(first.contains(objective), "{first}");
    }
    assert!(first.contains("longer wins") && first.contains("next      ensemble score"), "{first}");
    assert!(project.path("registry/quickstart/manifest.json").is_file());
    assert!(project.path("reports/quickstart/index.html").is_file());
    let second = project.train(&[]);
    assert!(second.contains("every feature was cached: 672 texts, nothing embedded"), "{second}");
}

#[test]
fn heads_of_the_quickstart_learn_something() {
    let manifest = std::fs::read_to_string(trained().path("registry/quickstart/manifest.json")).expect("manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    for objective in manifest["objectives"].as_array().expect("a list") {
        let low = objective["quality"]["interval"][0].as_f64().expect("a number");
        assert!(low > 0.5, "{}: the interval reaches down to {low}", objective["name"]);
    }
}

#[test]
fn dry_run_writes_nothing() {
    let project = Project::new();
    let text = project.train(&["--dry-run"]);
    assert!(text.contains("672 distinct texts: 0 cached, 672 to embed"), "{text}");
    assert!(!project.path("registry").exists() && !project.path("reports").exists());
}

#[test]
fn json_mode_streams_events_and_ends_with_the_summary() {
    let project = Project::warm();
    let output = project.run(&["--json", "train-all", "configs/quickstart.yaml"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
    let last = events.last().expect("events");
    assert_eq!(last["event"], "done");
    assert_eq!(last["summary"]["objectives"].as_array().expect("a list").len(), 3);
}
