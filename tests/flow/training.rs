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
fn a_hidden_layer_says_how_its_training_ended() {
    let project = Project::warm();
    let cut_short = "objectives.safety.head={mlp: {hidden: 4, max_epochs: 1}}";
    let patient = "objectives.helpfulness.head={mlp: {hidden: 4, learning_rate: 0.05, patience: 1, max_epochs: 500}}";
    project.train(&["--quiet", "--set", cut_short, "--set", patient]);
    let text = std::fs::read_to_string(project.path("reports/quickstart/report.json")).expect("summary");
    let summary: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let objective = |name: &str| {
        let objectives = summary["objectives"].as_array().expect("a list");
        objectives.iter().find(|objective| objective["name"] == name).expect("trained").clone()
    };
    let (safety, helpfulness, conciseness) = (objective("safety"), objective("helpfulness"), objective("conciseness"));
    assert_eq!(safety["mlp"], serde_json::json!({ "epochs": 1, "best_epoch": 1, "stopped_early": false }));
    let mlp = &helpfulness["mlp"];
    assert_eq!(mlp["stopped_early"], true);
    assert_eq!(mlp["epochs"].as_u64(), mlp["best_epoch"].as_u64().map(|best| best + 1), "one more than the best");
    assert!(safety["fit"].is_null() && conciseness["mlp"].is_null() && conciseness["fit"].is_object());
    for objective in [&safety, &helpfulness, &conciseness] {
        let training = &objective["training"];
        let pairs = training["decided"].as_u64().zip(training["ties"].as_u64()).map(|(decided, ties)| decided + ties);
        assert_eq!(pairs, objective["train"]["pairs"].as_u64(), "{}", objective["name"]);
    }
    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("page");
    assert!(page.contains("safety: not converged; training ended after 1 epoch"));
    assert!(!page.contains("helpfulness: not converged"));
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
