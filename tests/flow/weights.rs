//! `ensemble weights` on the quickstart's registry, against what can be worked out from `ensemble score`.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use crate::project::{Project, trained};

const NAMES: [&str; 3] = ["helpfulness", "safety", "conciseness"];

/// A pair as the test sees it: its prompt, its texts and the differences of the normalized scores.
struct Scored {
    prompt: String,
    texts: [String; 2],
    difference: [f64; 3],
}

/// Standard output of a command that must succeed.
fn output(project: &Project, arguments: &[&str]) -> String {
    let output = project.run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The pairs of a file of the sample data with scores from `ensemble score`, each distinct pair once.
fn scored(project: &Project, name: &str) -> Vec<Scored> {
    let text = std::fs::read_to_string(project.path(&format!("data/quickstart/{name}"))).expect("data");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut input = Vec::new();
    for (row, side) in rows.iter().flat_map(|row| [(row, "chosen"), (row, "rejected")]) {
        let line = json!({ "prompt": row["prompt"], "response": row[side] });
        writeln!(input, "{line}").expect("written");
    }
    let output = project.score(&String::from_utf8(input).expect("UTF-8"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let scores = String::from_utf8(output.stdout).expect("UTF-8");
    let scores: Vec<[f64; 3]> = scores
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            NAMES.map(|name| row["scores"][name]["normalized"].as_f64().expect("a number"))
        })
        .collect();
    let mut distinct = BTreeMap::new();
    for (row, scores) in rows.iter().zip(scores.chunks_exact(2)) {
        let texts = ["chosen", "rejected"].map(|side| row[side].as_str().expect("text").to_owned());
        let difference = [0, 1, 2].map(|k| scores[0][k] - scores[1][k]);
        let prompt = row["prompt"].to_string();
        distinct.insert((prompt.clone(), texts.clone()), Scored { prompt, texts, difference });
    }
    distinct.into_values().collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The best weights, by a climb along the gradient that knows nothing of Newton.
fn climbed(pairs: &[Scored]) -> [f64; 3] {
    let squares: f64 = pairs.iter().flat_map(|pair| pair.difference).map(|part| part * part).sum();
    let mut weights = [0.0; 3];
    for _ in 0..20_000 {
        let mut slope = [0.0; 3];
        for pair in pairs {
            let margin: f64 = (0..3).map(|k| weights[k] * pair.difference[k]).sum();
            (0..3).for_each(|k| slope[k] += sigmoid(-margin) * pair.difference[k]);
        }
        (0..3).for_each(|k| weights[k] += 4.0 / squares * slope[k]);
    }
    weights
}

/// Standard errors clustered by prompt, from the definition; the 3 × 3 inverse by Cramer's rule.
fn clustered_errors(pairs: &[Scored], weights: [f64; 3]) -> [f64; 3] {
    let mut curvature = [[0.0; 3]; 3];
    let mut sums: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for pair in pairs {
        let margin: f64 = (0..3).map(|k| weights[k] * pair.difference[k]).sum();
        let sum = sums.entry(&pair.prompt).or_default();
        for k in 0..3 {
            sum[k] += sigmoid(-margin) * pair.difference[k];
            for (j, entry) in curvature[k].iter_mut().enumerate() {
                *entry += sigmoid(margin) * sigmoid(-margin) * pair.difference[k] * pair.difference[j];
            }
        }
    }
    let minor = |row: usize, column: usize| {
        let at = |r: usize, c: usize| curvature[(row + r) % 3][(column + c) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f64 = (0..3).map(|k| curvature[0][k] * minor(0, k)).sum();
    let groups = sums.len() as f64;
    [0, 1, 2].map(|k| {
        let influence = |sum: &[f64; 3]| (0..3).map(|j| minor(j, k) / determinant * sum[j]).sum::<f64>();
        (groups / (groups - 1.0) * sums.values().map(|sum| influence(sum).powi(2)).sum::<f64>()).sqrt()
    })
}

#[test]
fn fitted_weights_equal_an_independent_fit_to_the_printed_scores() {
    let project = trained();
    let arguments =
        ["weights", "fit", "--registry", "registry/quickstart", "--holistic", "data/quickstart/holistic.jsonl"];
    let json = output(project, &[&arguments[..], &["--json"]].concat());
    let found: Value = serde_json::from_str(&json).expect("one JSON object");
    let pairs = scored(project, "holistic.jsonl");
    assert_eq!(found["pairs"].as_u64(), Some(pairs.len() as u64));
    assert_eq!(found["clustered"], true, "the prompts of the sample data repeat");
    let weights = climbed(&pairs);
    let errors = clustered_errors(&pairs, weights);
    let total: f64 = weights.iter().map(|weight| weight.abs()).sum();
    for (k, name) in NAMES.iter().enumerate() {
        let dimension = &found["dimensions"][k];
        let number = |field: &str| dimension[field].as_f64().expect("a number");
        println!("{name}: {} ± {}, here {} ± {}", number("weight"), number("standard_error"), weights[k], errors[k]);
        assert_eq!(dimension["name"], *name);
        assert!((number("weight") - weights[k]).abs() < 1e-8 * (1.0 + weights[k].abs()));
        assert!((number("standard_error") - errors[k]).abs() < 1e-8 * (1.0 + errors[k]));
        assert!((number("share") - weights[k] / total).abs() < 1e-8);
    }
    let right = pairs.iter().filter(|pair| (0..3).map(|k| weights[k] * pair.difference[k]).sum::<f64>() > 0.0).count();
    assert!((found["accuracy"].as_f64().expect("a number") - right as f64 / pairs.len() as f64).abs() < 1e-12);

    // What people read ends with the same weights as lines of YAML, whatever the number of threads.
    let text = output(project, &[&arguments[..], &["--threads", "1"]].concat());
    println!("{text}");
    for (k, name) in NAMES.iter().enumerate() {
        let line = text.lines().rfind(|line| line.ends_with(&format!("# {name}"))).expect("a line of YAML");
        let (_, value) = line.split_once("weight: ").expect("a weight");
        let value: f64 = value.split_whitespace().next().expect("a number").parse().expect("a number");
        assert!((value - weights[k] / total).abs() < 1e-4, "{line}");
    }
}

#[test]
fn a_sweep_judges_every_weight_as_the_printed_scores_do() {
    let project = trained();
    // Any pairs may be taken for holistic ones; these are few.
    let (holistic, safety) = ("data/quickstart/helpfulness.pairs.jsonl", "safety=data/quickstart/safety.pairs.jsonl");
    let registry = ["weights", "sweep", "--registry", "registry/quickstart", "--step", "0.25"];
    let arguments = [&registry[..], &["--holistic", holistic, "--pairs", safety]].concat();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let table = folder.path().join("sweep.parquet");
    let table_text = table.display().to_string();
    let json = output(project, &[&arguments[..], &["--output", &table_text, "--json"]].concat());
    let found: Value = serde_json::from_str(&json).expect("one JSON object");
    assert_eq!((found["points"].as_u64(), found["steps"].as_u64()), (Some(15), Some(4)));
    let holistic = scored(project, "helpfulness.pairs.jsonl");
    // In steps of a quarter three weights sum to 1 in 15 ways.
    let quarters =
        || (0..=4).flat_map(|a| (0..=4 - a).map(move |b| [a, b, 4 - a - b].map(|part| f64::from(part) / 4.0)));
    let accuracy = |weights: [f64; 3]| {
        let margins = holistic.iter().map(|pair| (0..3).map(|k| weights[k] * pair.difference[k]).sum::<f64>());
        margins.filter(|margin| *margin > 0.0).count() as f64 / holistic.len() as f64
    };
    let best = quarters().map(accuracy).fold(0.0, f64::max);
    let reported = found["best"]["best holistic"]["holistic"].as_f64().expect("a number");
    assert!((reported - best).abs() < 1e-12, "{reported} is not {best}");
    let current = found["best"]["current"]["holistic"].as_f64().expect("a number");
    assert!((current - accuracy([1.0, 1.5, 0.5])).abs() < 1e-12);
    assert!(found["best"]["best conciseness"].is_null() && found["best"]["best safety"].is_object());
    assert!(std::fs::read(&table).expect("written").starts_with(b"PAR1"));
    let again = output(project, &[&arguments[..], &["--output", &table_text]].concat());
    println!("{again}");
    assert!(again.contains("15 weights in steps of 1/4"), "{again}");
}

#[test]
fn a_flip_weight_makes_score_indifferent() {
    let project = trained();
    let file = "data/quickstart/safety.pairs.jsonl";
    let lines = output(project, &["weights", "flip", "--registry", "registry/quickstart", file]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let pairs = scored(project, "safety.pairs.jsonl");
    assert_eq!(lines.len(), pairs.len());
    let (mut flips, mut nearest) = (0, 0);
    for line in &lines {
        let same = |pair: &&Scored| line["chosen"] == pair.texts[0] && line["rejected"] == pair.texts[1];
        let pair = pairs.iter().find(same).expect("a pair of the file");
        let current = [1.0, 1.5, 0.5];
        let margin = |weights: [f64; 3]| (0..3).map(|k| weights[k] * pair.difference[k]).sum::<f64>();
        assert!((line["combined_margin"].as_f64().expect("a number") - margin(current)).abs() < 1e-9);
        for (k, name) in NAMES.iter().enumerate() {
            let mut weights = current;
            if let Some(weight) = line["flip_weights"][name].as_f64() {
                weights[k] = weight;
                assert!(margin(weights).abs() < 1e-9 * (1.0 + weight), "{line}");
                flips += 1;
            }
        }
        if line["nearest"].is_object() {
            let weights = NAMES.map(|name| line["nearest"]["weights"][name].as_f64().expect("a number"));
            assert!(margin(weights).abs() < 1e-9 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{line}");
            nearest += 1;
        } else {
            assert!(pair.difference.iter().all(|part| *part > 0.0) || pair.difference.iter().all(|part| *part < 0.0));
        }
    }
    println!("{} pairs: {flips} single flips, {nearest} nearest points", lines.len());
    assert!(flips > 50 && nearest > 50 && nearest < lines.len());
}
