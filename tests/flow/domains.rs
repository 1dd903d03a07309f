//! A reference file with domains: what the registry says of it, and scores on the scale of each domain.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::project::{Project, rows_to_score};

/// The domain of a prompt by its place in the sample data: 60 prompts, 55, 5, and the rest without one.
fn domain(prompt: usize) -> Option<&'static str> {
    match prompt {
        0..60 => Some("kitchen"),
        60..115 => Some("office"),
        115..120 => Some("rare"),
        _ => None,
    }
}

/// The answers of the sample data, four a prompt, with the domain of their prompt.
fn samples() -> Vec<Value> {
    let mut prompts: Vec<Value> = Vec::new();
    let mut rows = Vec::new();
    for text in rows_to_score(usize::MAX) {
        let row: Value = serde_json::from_str(&text).expect("JSON");
        let place = prompts.iter().position(|prompt| *prompt == row["prompt"]).unwrap_or(prompts.len());
        if place == prompts.len() {
            prompts.push(row["prompt"].clone());
        }
        let mut sample = json!({ "prompt": row["prompt"], "response": row["response"] });
        if let Some(domain) = domain(place) {
            sample["kind"] = domain.into();
        }
        rows.push(sample);
    }
    rows
}

/// One project trained with the samples as its reference, which all tests only read.
fn trained() -> &'static Project {
    static TRAINED: OnceLock<Project> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let project = Project::warm();
        let lines: Vec<String> = samples().iter().map(Value::to_string).collect();
        std::fs::write(project.path("samples.jsonl"), lines.join("\n")).expect("written");
        project.train(&["--quiet", "--set", "reference={path: samples.jsonl, domain_field: kind}"]);
        project
    })
}

fn scored(project: &Project, rows: &[Value], arguments: &[&str]) -> Vec<Value> {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let output = project.score(&lines.join("\n"), arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Mean and standard deviation (n − 1).
fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (values.len() - 1) as f64).sqrt())
}

fn close(left: f64, right: f64) {
    assert!((left - right).abs() <= 1e-9 * (1.0 + right.abs()), "{left} against {right}");
}

#[test]
fn scores_are_relative_to_the_reference_of_their_domain() {
    let (project, samples) = (trained(), samples());
    let manifest = std::fs::read(project.path("registry/quickstart/manifest.json")).expect("a registry");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let (plain, placed) = (scored(project, &samples, &[]), scored(project, &samples, &["--domain-field", "kind"]));
    assert_eq!(plain.len(), samples.len());

    for entry in manifest["objectives"].as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a name");
        // What the manifest says is worked out again from the raw scores that the program prints.
        let raw: Vec<f64> = plain.iter().map(|row| number(&row["scores"][name]["raw"])).collect();
        let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (row, raw) in samples.iter().zip(&raw) {
            groups.entry(row["kind"].as_str().unwrap_or_default()).or_default().push(*raw);
        }
        let all = moments(&raw);
        let reference = &entry["reference"];
        assert_eq!(reference["source"], "../../samples.jsonl");
        assert_eq!(reference["responses"], samples.len());
        close(number(&reference["mean"]), all.0);
        close(number(&reference["deviation"]), all.1);
        let mut sorted = raw.clone();
        sorted.sort_by(f64::total_cmp);
        close(number(&reference["quantiles"][0]), sorted[0]);
        close(number(&reference["quantiles"][8]), sorted[sorted.len() - 1]);
        let domains: Vec<&String> = entry["domains"].as_object().expect("an object").keys().collect();
        assert_eq!(domains, ["kitchen", "office"], "20 responses of `rare` are too few");

        for (index, (sample, row)) in samples.iter().zip(&placed).enumerate() {
            let score = &row["scores"][name];
            let own = sample["kind"].as_str().filter(|kind| *kind != "rare");
            let (mean, deviation) = own.map_or(all, |kind| moments(&groups[kind]));
            assert_eq!(score["raw"], plain[index]["scores"][name]["raw"]);
            close(number(&score["normalized"]), (raw[index] - mean) / deviation);
            assert_eq!(score["domain"].as_str(), own, "{row}");
            close(number(&plain[index]["scores"][name]["normalized"]), (raw[index] - all.0) / all.1);
            assert!(plain[index]["scores"][name]["domain"].is_null());
        }
    }
    for row in &placed {
        let part = |name: &str, weight: f64| weight * number(&row["scores"][name]["normalized"]);
        let expected = part("helpfulness", 1.0) + part("safety", 1.5) + part("conciseness", 0.5);
        close(number(&row["combined"]), expected);
    }
    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("a report");
    for text in ["Domain: kitchen", "240 responses, a normalizer of its own", "20 responses, too few, the overall"] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn one_batch_may_mix_domains_and_name_unknown_ones() {
    let project = trained();
    let row = |kind: Value| json!({ "prompt": "Which pan?", "response": "The small one.", "kind": kind });
    let rows = [row(json!("kitchen")), row(json!("nowhere")), row(json!(null)), row(json!("office"))];
    let found = scored(project, &rows, &["--domain-field", "kind", "--keep", "kind"]);
    let score = |index: usize| &found[index]["scores"]["safety"];
    let domains: Vec<Option<&str>> = (0..4).map(|index| score(index)["domain"].as_str()).collect();
    assert_eq!(domains, [Some("kitchen"), None, None, Some("office")]);
    assert!((0..4).all(|index| score(index)["raw"] == score(0)["raw"]), "the same text");
    assert_eq!(score(1)["normalized"], score(2)["normalized"]);
    assert_ne!(score(0)["normalized"], score(1)["normalized"]);
    assert_ne!(score(0)["normalized"], score(3)["normalized"]);
    let output = project.score(&rows[0].to_string(), &["--domain-field", "knd"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no row has the field \"knd\""));
}
