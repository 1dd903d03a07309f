//! What is exported and read back as a checkpoint with a score head gives the ensemble's scores: every family that can be
//! exported, through the real binary. transformers reads the same folders in `fixtures/check_exports.py`.

use std::path::{Path, PathBuf};
use std::process::Command;

use ensemble::backbone::Backbone;
use ensemble::config::{BackboneConfig, Device, Dtype, ModelPlace, Pooling};
use ensemble::conversation::{Message, Role};
use serde_json::Value;

use super::{WORDS, folder};

/// Runs the program; what it says when it fails.
fn ensemble(arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(env!("CARGO_BIN_EXE_ensemble")).args(arguments).output().expect("the program runs");
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

/// A run of two objectives over 160 prompts in the words of the tiny tokenizers.
fn project(out: &Path) -> PathBuf {
    let words = |count: usize, seed: usize| -> String {
        let word = |index: usize| format!("w{}", (index * index * 3 + 11 * seed + 5 * index) % WORDS);
        (0..count).map(word).collect::<Vec<String>>().join(" ")
    };
    for (objective, shift) in [("quality", 0), ("brevity", 5)] {
        let row = |prompt: usize| {
            let (long, short) = (words(4 + prompt % 9, prompt + shift), words(1 + prompt % 3, prompt + shift + 1));
            let (chosen, rejected) = if (prompt + shift).is_multiple_of(4) { (short, long) } else { (long, short) };
            serde_json::json!({ "prompt": format!("w{} {}", prompt % WORDS, words(3, prompt)), "chosen": chosen,
                "rejected": rejected })
        };
        let rows: Vec<String> = (0..160).map(|prompt| row(prompt).to_string()).collect();
        std::fs::write(out.join(format!("{objective}.jsonl")), rows.join("\n")).expect("written");
        let yaml = format!("name: {objective}\nquestion: Which?\nlabels: rule\ndata: [{{path: {objective}.jsonl}}]\n");
        std::fs::write(out.join(format!("{objective}.yaml")), yaml).expect("written");
    }
    let run = "name: run\nbackbone: {path: .}\nobjectives: [{file: quality.yaml}, {file: brevity.yaml, weight: 0.5}]\n";
    std::fs::write(out.join("run.yaml"), run).expect("written");
    out.join("run.yaml")
}

/// Trains a small run on a model and exports it, with further settings; the golden examples.
fn export(model: &Path, out: &Path, settings: &[&str], labels: &str) -> Result<Value, String> {
    let config = project(out);
    let (model, registry, exported) = (model.display(), out.join("registry"), out.join("exported"));
    let all = [
        format!("backbone.path={model}"),
        "backbone.max_tokens=32".to_owned(),
        format!("output.registry={}", registry.display()),
        format!("output.report={}", out.join("report").display()),
        format!("output.cache={}", out.join("cache").display()),
    ];
    let config = config.display().to_string();
    let mut arguments = vec!["train-all", "--quiet", &config];
    for setting in all.iter().map(String::as_str).chain(settings.iter().copied()) {
        arguments.extend(["--set", setting]);
    }
    ensemble(&arguments)?;
    let (registry, to) = (registry.display().to_string(), exported.display().to_string());
    ensemble(&["export", "--quiet", "--registry", &registry, &to, "--labels", labels])?;
    let golden = std::fs::read_to_string(exported.join("golden.json")).expect("golden examples");
    Ok(serde_json::from_str(&golden).expect("JSON"))
}

fn messages(example: &Value) -> (Vec<Message>, String) {
    let role = |word: &str| [Role::System, Role::User, Role::Assistant].into_iter().find(|role| role.word() == word);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let all = example["messages"].as_array().expect("messages");
    let (response, prompt) = all.split_last().expect("a response");
    let message = |message: &Value| Message {
        role: role(message["role"].as_str().expect("a role")).expect("known"),
        content: text(&message["content"]),
    };
    (prompt.iter().map(message).collect(), text(&response["content"]))
}

/// The largest difference between golden logits and what the exported checkpoint gives.
fn difference(exported: &Path, golden: &Value) -> f64 {
    let backbone = Backbone::open(&BackboneConfig {
        place: ModelPlace::Disk(exported.to_owned()),
        max_tokens: 32,
        pooling: Some(Pooling::MeanAll),
        layers: Some(vec![-1]),
        dtype: Dtype::F32,
        device: Device::Cpu,
        score_head: true,
    });
    let backbone = backbone.expect("the exported model opens");
    let labels: Vec<&str> = golden["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    assert_eq!(backbone.labels(), labels);
    let examples = golden["examples"].as_array().expect("examples");
    assert!(examples.len() >= 8);
    let mut worst = 0f64;
    for example in examples {
        let (prompt, response) = messages(example);
        let encoded = backbone.encode(&backbone.render(&prompt, &response).expect("renders")).expect("encodes");
        assert_eq!(serde_json::json!(encoded.ids), example["ids"]);
        let features = backbone.features(&[&encoded]).expect("finite").remove(0).remove(0);
        let expected = example["logits"].as_array().expect("logits").iter().filter_map(Value::as_f64);
        let found = &features[features.len() - labels.len()..];
        assert_eq!(example["logits"].as_array().map(Vec::len), Some(labels.len()));
        worst = found.iter().zip(expected).fold(worst, |worst, (a, b)| worst.max((f64::from(*a) - b).abs()));
    }
    worst
}

fn fixture(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind).join(name)
}

const ENCODER: [&str; 2] = ["backbone.pooling=cls", "backbone.layers=[-2]"];
const DECODER: [&str; 2] = ["backbone.pooling=last_token", "backbone.layers=[-1]"];

#[test]
fn exported_encoders_give_the_combined_score() {
    for name in ["bert-1", "distilbert-1", "roberta-1", "deberta-v3-1"] {
        let (model, out) = (folder(&fixture("encoders", name), false), tempfile::tempdir().expect("a folder"));
        let golden = export(model.path(), out.path(), &ENCODER, "auto").expect("exports");
        assert_eq!((&golden["labels"], &golden["folded"]), (&serde_json::json!(["reward"]), &Value::Bool(true)));
        for example in golden["examples"].as_array().expect("examples") {
            assert_eq!(example["logits"][0], example["combined"], "an encoder needs no offset");
        }
        let worst = difference(&out.path().join("exported"), &golden);
        assert!(worst < 1e-4, "{name}: {worst:e}");
    }
}

#[test]
fn exported_decoders_give_it_up_to_the_constant_that_is_named() {
    for name in ["llama", "qwen2", "gemma3"] {
        let (model, out) = (folder(&fixture("decoders", name), true), tempfile::tempdir().expect("a folder"));
        let golden = export(model.path(), out.path(), &DECODER, "auto").expect("exports");
        let offset = golden["offsets"][0].as_f64().expect("an offset");
        assert!(offset != 0.0);
        for example in golden["examples"].as_array().expect("examples") {
            let (logit, combined) = (example["logits"][0].as_f64(), example["combined"].as_f64());
            assert!((logit.expect("a logit") + offset - combined.expect("a score")).abs() < 1e-9);
        }
        let worst = difference(&out.path().join("exported"), &golden);
        assert!(worst < 1e-4, "{name}: {worst:e}");
    }
}

#[test]
fn a_token_that_ends_texts_never_pads() {
    let (model, out) = (folder(&fixture("decoders", "llama"), true), tempfile::tempdir().expect("a folder"));
    let path = model.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("there")).expect("JSON");
    // The template's text ends with a blank, which is no token: the last one is the response's last word. Pad with it.
    config["pad_token_id"] = serde_json::json!(8);
    std::fs::write(&path, config.to_string()).expect("written");
    let golden = export(model.path(), out.path(), &DECODER, "auto").expect("exports");
    let exported = out.path().join("exported");
    let config = std::fs::read_to_string(exported.join("config.json")).expect("there");
    let pad = serde_json::from_str::<Value>(&config).expect("JSON")["pad_token_id"].clone();
    for example in golden["examples"].as_array().expect("examples") {
        assert_ne!(example["ids"].as_array().and_then(|ids| ids.last()), Some(&pad));
    }
    assert!(difference(&exported, &golden) < 1e-4);
}

#[test]
fn one_label_per_objective_is_the_raw_score() {
    let (model, out) = (folder(&fixture("encoders", "bert-1"), false), tempfile::tempdir().expect("a folder"));
    let golden = export(model.path(), out.path(), &ENCODER, "objectives").expect("exports");
    assert_eq!(golden["labels"], serde_json::json!(["quality", "brevity"]));
    assert_eq!(golden["folded"], false);
    assert!(difference(&out.path().join("exported"), &golden) < 1e-4);
    // A rule that is not linear falls back to this and says why.
    let (more, win_rate) = (tempfile::tempdir().expect("a folder"), "objectives.brevity.normalizer=win_rate");
    let settings = [ENCODER[0], ENCODER[1], win_rate];
    let golden = export(model.path(), more.path(), &settings, "auto").expect("exports");
    assert_eq!(golden["folded"], false);
    let card = std::fs::read_to_string(more.path().join("exported/README.md")).expect("a card");
    assert!(card.contains("the normalizer of \"brevity\" is not linear"), "{card}");
}

#[test]
fn what_cannot_be_exported_says_why() {
    let bert = folder(&fixture("encoders", "bert-1"), false);
    let modern = folder(&fixture("encoders", "modernbert-1"), false);
    let llama = folder(&fixture("decoders", "llama"), true);
    for (model, settings, expected) in [
        (&bert, ["backbone.pooling=mean_response", "backbone.layers=[-1]"], "reads the first token alone"),
        (&bert, ["backbone.pooling=cls", "backbone.layers=[-1, -2]"], "cannot read layer"),
        (&modern, ENCODER, "it normalizes what it reads"),
        (&llama, ["backbone.pooling=last_token", "backbone.layers=[-2]"], "the last layer, after the final norm"),
        (&llama, ["backbone.pooling=mean_all", "backbone.layers=[-1]"], "reads the last token alone"),
    ] {
        let out = tempfile::tempdir().expect("a folder");
        let message = export(model.path(), out.path(), &settings, "auto").expect_err("refused");
        assert!(message.contains(expected), "{message}");
        assert!(!out.path().join("exported").exists(), "nothing is left behind");
    }
}
