//! Other losses, hidden layers, bias control and error bars through the program.

use ensemble::conversation::{Item, Message, Role};
use ensemble::ensemble::Ensemble;
use serde_json::Value;

use crate::project::{Project, trained};

/// A run with one objective on the quickstart's rated answers, with more lines under `head`.
fn rated(head: &str) -> Project {
    let project = Project::warm();
    let objective = format!(
        "name: rated\nquestion: Which answer is better?\nlabels: ai\ndata:\n  - path: ../data/quickstart/rated.jsonl\n    \
         format: rated\n    score: helpfulness\n    min_gap: 0.5\nhead:\n{head}"
    );
    std::fs::write(project.path("objectives/rated.yaml"), objective).expect("written");
    let config = project.path("configs/quickstart.yaml");
    let text = std::fs::read_to_string(&config).expect("config");
    let (before, rest) = text.split_once("objectives:").expect("objectives");
    let (_, after) = rest.split_once("combine:").expect("combine");
    std::fs::write(&config, format!("{before}objectives:\n  - file: ../objectives/rated.yaml\ncombine:{after}"))
        .expect("written");
    project
}

fn summary(project: &Project) -> Value {
    let text = std::fs::read_to_string(project.path("reports/quickstart/report.json")).expect("summary");
    serde_json::from_str(&text).expect("JSON")
}

fn accuracy(project: &Project) -> f64 {
    summary(project)["objectives"][0]["accuracy"]["value"].as_f64().expect("defined")
}

#[test]
fn every_loss_trains_a_head_that_ranks_held_out_answers() {
    let plain = rated("  l2: 100.0\n");
    plain.train(&["--quiet"]);
    let plain = accuracy(&plain);
    for head in [
        "  loss: regression\n",
        "  loss: plackett_luce\n",
        "  l2: 100.0\n  label_smoothing: 0.1\n  center_rewards_coefficient: 0.01\n",
        "  mlp: {hidden: 16, max_epochs: 30}\n",
    ] {
        let project = rated(head);
        project.train(&["--quiet"]);
        let found = accuracy(&project);
        assert!(found > 0.7 && (found - plain).abs() < 0.2, "{head}: {found} beside {plain}");
        let scored = project.score(r#"{"prompt": "How long do eggs boil?", "response": "Seven minutes."}"#, &[]);
        let row: Value = serde_json::from_slice(&scored.stdout).expect("JSON");
        assert!(row["scores"]["rated"]["se"].as_f64().expect("an error") > 0.0, "{head}: {row}");
    }
}

#[test]
fn ties_need_ties() {
    let project = rated("  loss: davidson\n");
    let output = project.run(&["train-all", "configs/quickstart.yaml"]);
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("none of the") && message.contains("loss: bradley_terry"), "{message}");
    assert!(!project.path("registry").join("quickstart/manifest.json").exists());
}

#[test]
fn a_head_with_a_hidden_layer_gives_the_same_bits_and_is_not_exported() {
    let [first, second] = [(); 2].map(|()| {
        let project = rated("  mlp: {hidden: 8, max_epochs: 5, seed: 3}\n");
        project.train(&["--quiet"]);
        project
    });
    assert_eq!(first.files("registry/quickstart/heads"), second.files("registry/quickstart/heads"));
    let output = first.run(&["export", "--registry", "registry/quickstart", "exported"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("has a hidden layer"), "{message}");
}

#[test]
fn a_controlled_head_leaves_length_out_and_says_what_it_paid() {
    let project = rated("  control:\n    - probe: length\n");
    project.train(&["--quiet"]);
    let summary = summary(&project);
    let control = &summary["objectives"][0]["controls"][0];
    let number = |key: &str| control[key].as_f64().expect("defined");
    assert!(number("uncontrolled_correlation").abs() > 0.1, "{control}");
    assert!(number("correlation").abs() <= 0.02, "{control}");
    assert!(control["paid"]["low"].is_number() && control["paid"]["high"].is_number());
    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("page");
    assert!(page.contains("What heads were kept from following"));
}

fn item(prompt: &str, response: &str) -> Item {
    Item { prompt: vec![Message { role: Role::User, content: prompt.into() }], response: response.into() }
}

#[test]
fn error_bars_and_distances_of_the_library_and_the_program_agree_and_mean_something() {
    let project = trained();
    let texts = [
        ("How long do eggs boil?", "Seven minutes, then into ice water."),
        ("Qzx 0x7f ;; }} lorem", "]]]] 9q8w7e zxcv \u{2603}\u{2603}\u{2603} %%%% <<>> qqqq wwww 0000 1111"),
    ];
    let rows = texts.map(|(prompt, response)| serde_json::json!({"prompt": prompt, "response": response}).to_string());
    let output = project.score(&rows.join("\n"), &[]);
    let printed: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ensemble = Ensemble::open(&project.path("registry/quickstart")).expect("opens");
    let items: Vec<Item> = texts.iter().map(|(prompt, response)| item(prompt, response)).collect();
    let scores = ensemble.score(&items).expect("finite");
    for (row, score) in printed.iter().zip(&scores) {
        let novelty = score.novelty.expect("trained");
        assert_eq!(row["ood"]["p"].as_f64(), Some(novelty.p_value));
        for (name, objective) in ensemble.names().iter().zip(&score.objectives) {
            assert_eq!(row["scores"][name]["se"].as_f64(), objective.raw_error);
            assert_eq!(row["scores"][name]["normalized_se"].as_f64(), objective.error);
        }
    }
    let p = |index: usize| scores[index].novelty.expect("trained").p_value;
    assert!(p(0) > 0.05 && p(1) < 0.05, "a plain answer {} and noise {}", p(0), p(1));
    // A text does not differ from itself, and an error does not depend on which side stands first.
    let [egg, noise] = [items[0].clone(), items[1].clone()];
    let pairs = [(egg.clone(), egg.clone()), (egg.clone(), noise.clone()), (noise, egg)];
    let differences = ensemble.scoring().expect("threads").differences(&pairs).expect("finite");
    let [same, there, back] = differences.as_slice() else { panic!("three pairs") };
    assert!(same.iter().all(|one| (one.raw, one.error) == (0.0, Some(0.0))));
    for ((there, back), score) in there.iter().zip(back).zip(scores[0].objectives.iter().zip(&scores[1].objectives)) {
        assert_eq!((there.raw, there.error), (-back.raw, back.error));
        assert!((there.raw - (score.0.raw - score.1.raw)).abs() < 1e-9);
    }
}

#[test]
fn pessimism_lowers_scores_by_their_errors() {
    let project = Project::warm();
    project.train(&["--quiet", "--set", "combine.uncertainty_penalty=2"]);
    let output = project.score(r#"{"prompt": "How long do eggs boil?", "response": "Seven minutes."}"#, &[]);
    let row: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let pessimistic = |name: &str| {
        let score = &row["scores"][name];
        score["normalized"].as_f64().expect("a number") - 2.0 * score["normalized_se"].as_f64().expect("a number")
    };
    let expected = pessimistic("helpfulness") + 1.5 * pessimistic("safety") + 0.5 * pessimistic("conciseness");
    assert!((row["combined"].as_f64().expect("a number") - expected).abs() < 1e-12, "{row}");
}
