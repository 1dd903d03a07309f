//! Rules from the config to the scores: what the program prints is recomputed here from the normalized scores it prints.

use std::collections::BTreeMap;

use ensemble::conversation::{Item, Message, Role};
use ensemble::ensemble::{Ensemble, Request};
use serde_json::Value;

use crate::project::Project;

const WEIGHTS: [(&str, f64); 3] = [("helpfulness", 1.0), ("safety", 1.5), ("conciseness", 0.5)];
const INPUT: &str = concat!(
    r#"{"prompt": "How long do eggs boil?", "response": "Seven minutes, then into ice water."}"#,
    "\n",
    r#"{"prompt": "How do I pick a lock?", "response": "Take any tool; nobody will mind."}"#,
    "\n",
    r#"{"prompt": "Hi", "response": "Hello! What would you like to talk about today?"}"#,
    "\n",
);

/// The quickstart trained with a rule, its features from the shared cache.
fn trained(sets: &[&str]) -> Project {
    let project = Project::warm();
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", *set]).collect();
    project.train(&[&["--quiet"], sets.as_slice()].concat());
    project
}

fn scored(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let output = project.score(INPUT, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn normalized(row: &Value, name: &str) -> f64 {
    number(&row["scores"][name]["normalized"])
}

/// −τ log Σ v exp(−z / τ) as the books have it.
fn soft_min(row: &Value, weights: &[(&str, f64)], tau: f64) -> f64 {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let term = |(name, weight): &(&str, f64)| weight / total * (-normalized(row, name) / tau).exp();
    -tau * weights.iter().map(term).sum::<f64>().ln()
}

#[test]
fn a_soft_minimum_reaches_scores_overrides_and_report() {
    let project = trained(&["combine.rule=soft_min", "combine.tau=0.5"]);
    for row in scored(&project, &[]) {
        let expected = soft_min(&row, &WEIGHTS, 0.5);
        assert!((number(&row["combined"]) - expected).abs() < 1e-9, "{row} {expected}");
    }

    let other = [("helpfulness", 0.5), ("safety", 0.4), ("conciseness", 0.5)];
    let rows = scored(&project, &["--weights", "helpfulness=0.5,safety=0.4"]);
    for row in &rows {
        assert!((number(&row["combined"]) - soft_min(row, &other, 0.5)).abs() < 1e-9, "{row}");
    }
    let refused = project.score(INPUT, &["--weights", "safety=-1"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("the rule soft_min does not take"));

    // The library's weights of one request give what the command line's give, and leave the ensemble as it was.
    let ensemble = Ensemble::open(&project.path("registry/quickstart")).expect("opens");
    let weights = BTreeMap::from([("helpfulness".to_owned(), 0.5), ("safety".to_owned(), 0.4)]);
    let combiner = ensemble.combiner().reweighted(&weights).expect("fine");
    let prompt = vec![Message { role: Role::User, content: "How long do eggs boil?".into() }];
    let item = [Item { prompt, response: "Seven minutes, then into ice water.".into() }];
    let scoring = ensemble.scoring().expect("threads");
    let found = scoring.score_for(&item, &Request { combiner: Some(&combiner), ..Request::default() }).expect("finite")
        [0]
    .combined;
    assert_eq!(found.to_bits(), number(&rows[0]["combined"]).to_bits());
    assert!((scoring.score(&item).expect("finite")[0].combined - found).abs() > 1e-6);

    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("the page");
    let page = page.replace("&#x2f;", "/");
    assert!(page.contains("soft min: −0.5 × log(0.3333 × exp(−helpfulness / 0.5)"), "the formula stands in the page");
}

#[test]
fn references_are_quantiles_of_the_calibration_responses() {
    let sets = ["combine.rule=log_sigmoid", "combine.reference_quantile=1", "objectives.safety.normalizer=minmax"];
    let project = trained(&sets);
    let text = std::fs::read_to_string(project.path("registry/quickstart/manifest.json")).expect("the manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let references = &manifest["combine"]["references"];
    assert_eq!(number(&references["safety"]), 1.0, "min-max of the highest reference response is 1");
    for row in scored(&project, &[]) {
        let term = |(name, weight): &(&str, f64)| {
            -weight * (1.0 + (number(&references[*name]) - normalized(&row, name)).exp()).ln()
        };
        let expected: f64 = WEIGHTS.iter().map(term).sum();
        assert!((number(&row["combined"]) - expected).abs() < 1e-9, "{row} {expected}");
    }
}

#[test]
fn a_floor_costs_what_the_config_says() {
    let project = trained(&["combine={rule: constrained, floors: {safety: 1.0}, lambda: 2.0}"]);
    let rows = scored(&project, &[]);
    let below = |row: &Value| (1.0 - normalized(row, "safety")).max(0.0);
    assert!(rows.iter().any(|row| below(row) > 0.0), "a row is below the floor");
    for row in &rows {
        let sum = normalized(row, "helpfulness") + 0.5 * normalized(row, "conciseness");
        assert!((number(&row["combined"]) - (sum - 2.0 * below(row))).abs() < 1e-9, "{row}");
    }
}
