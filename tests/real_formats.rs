//! Every file of real preference data in its published shape, where `ENSEMBLE_DATA` names its folder; without it the
//! tests say so and end. The counts come from tests/fixtures/count_real_formats.py, which reads the files on its own.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ensemble::config;
use ensemble::data::{self, Dataset, ObjectivePairs};
use serde_json::{Map, Value, json};

/// So many pairs of known content stand beside each file, because some have too few for an objective of their own.
const FILLING: usize = 400;

fn data_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ENSEMBLE_DATA").map(PathBuf::from);
    if folder.is_none() {
        println!("ENSEMBLE_DATA is not set: no real data to read");
    }
    folder
}

/// A run with one objective per entry, each of a real file and of the filling.
fn load(folder: &Path, sources: &[(PathBuf, Map<String, Value>)]) -> ensemble::error::Result<Dataset> {
    let filling: Vec<String> = (0..FILLING)
        .map(|index| json!({ "prompt": format!("filling {index}"), "chosen": "x", "rejected": "y" }).to_string())
        .collect();
    std::fs::write(folder.join("filling.jsonl"), filling.join("\n")).expect("written");
    std::fs::create_dir_all(folder.join("backbone")).expect("a folder");
    let mut run = "name: real\nbackbone:\n  path: backbone\nobjectives:\n".to_owned();
    for (index, (path, said)) in sources.iter().enumerate() {
        let mut text =
            format!("name: o{index}\nquestion: Which?\nlabels: human\ndata:\n  - path: {}\n", path.display());
        for (key, value) in said {
            writeln!(text, "    {key}: {value}").expect("written");
        }
        text.push_str("  - path: filling.jsonl\n    format: pairs\n");
        std::fs::write(folder.join(format!("o{index}.yaml")), text).expect("written");
        writeln!(run, "  - file: o{index}.yaml").expect("written");
    }
    std::fs::write(folder.join("run.yaml"), run).expect("written");
    data::load(&config::load(&folder.join("run.yaml"), &[])?)
}

fn check(entry: &Value, dataset: &Dataset, pairs: &ObjectivePairs) {
    let name = format!("{} {}", entry["path"], entry["source"]);
    let audit = &pairs.audit.sources[0];
    let mut longer = 0;
    let (mut preferences, mut margins) = (-(FILLING as f64), 0.0);
    for pair in &pairs.pairs {
        let characters = |item: usize| dataset.items[item].response.chars().count();
        longer += usize::from(pair.preference > 0.5 && characters(pair.chosen) > characters(pair.rejected));
        preferences += pair.preference;
        margins += pair.margin;
        assert_eq!(pair.weight, 1.0, "{name}");
    }
    let dropped: Map<String, Value> = audit.dropped.iter().map(|(reason, n)| (reason.clone(), json!(n))).collect();
    println!("{name}: {} of {} rows, {} pairs, {} ties", audit.format.word(), audit.rows, audit.pairs, audit.ties);
    assert_eq!(json!(audit.rows), entry["rows"], "{name}");
    assert_eq!(json!(dropped), entry["dropped"], "{name}");
    assert_eq!(json!(audit.pairs), entry["pairs"], "{name}");
    assert_eq!(json!(audit.ties), entry["ties"], "{name}");
    assert_eq!(json!(longer), entry["longer"], "{name}");
    for (found, field) in [(preferences, "preferences"), (margins, "margins")] {
        assert!((found - entry[field].as_f64().expect("a number")).abs() < 1e-6, "{name}: {field} {found}");
    }
    match entry["detected"].as_str() {
        Some(format) => assert_eq!((audit.format.word(), audit.detected), (format, true), "{name}"),
        None => assert_eq!(entry["source"]["format"], audit.format.word(), "{name}"),
    }
}

#[test]
fn real_files_give_the_pairs_that_were_counted_without_the_crate() {
    let Some(data) = data_folder() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let counts = include_str!("fixtures/real_formats.json");
    let entries: Vec<Value> = serde_json::from_str(counts).expect("JSON");
    let path = |entry: &Value| data.join(entry["path"].as_str().expect("text"));
    let said = |entry: &Value| entry["source"].as_object().expect("an object").clone();
    let sources: Vec<_> = entries.iter().map(|entry| (path(entry), said(entry))).collect();
    let dataset = load(folder.path(), &sources).unwrap_or_else(|error| panic!("{error}"));
    assert!(entries.len() >= 35, "{}", entries.len());
    for (entry, pairs) in entries.iter().zip(&dataset.objectives) {
        check(entry, &dataset, pairs);
    }
}

#[test]
fn real_files_that_hold_no_preferences_are_refused_with_their_fields() {
    let Some(data) = data_folder() else { return };
    for (file, parts) in [
        ("formats/do-not-answer/datasets__data_en.csv", ["in no known format", "\"GPT4_response\""]),
        (
            "formats/do-not-answer/datasets__Review__GPT4__annotated_response_vicuna-7b.csv",
            ["in no known", "\"action\""],
        ),
        ("pointwise/dices_990.jsonl.gz", ["field \"scores\": missing", "one number, or a list"]),
        ("pointwise/dsp_domain_test.jsonl.gz", ["field \"scores\": missing", "one number, or a list"]),
        ("pointwise/xstest.jsonl.gz", ["field \"scores\": missing", "one number, or a list"]),
        ("multilabel_pairs.jsonl.gz", ["fits 2 formats", "labelers or pairs"]),
        ("ties/webgpt_test.jsonl.gz", ["in no known format", "ties"]),
        ("two_objective_pairs.jsonl.gz", ["the rows have no label \"o0\"", "\"helpfulness\", \"safety\""]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let error = load(folder.path(), &[(data.join(file), Map::new())]).expect_err(file).to_string();
        for part in parts {
            assert!(error.contains(part), "{file}: {error}");
        }
    }
}
