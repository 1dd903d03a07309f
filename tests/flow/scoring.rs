//! `ensemble score`: order, kept fields, weights, broken lines, and agreement with the library.

use ensemble::conversation::{Item, Message, Role};
use ensemble::ensemble::Ensemble;

use crate::project::trained;

fn lines(output: &std::process::Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn output_keeps_order_fields_and_weights() {
    let project = trained();
    let row =
        |id: usize| format!(r#"{{"id": {id}, "prompt": "Count to {id}", "response": "{}"}}"#, "one ".repeat(id + 1));
    let input: Vec<String> = (0..40).map(row).collect();
    let output = project.score(&input.join("\n"), &["--keep", "id", "--batch-size", "16"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plain = lines(&output);
    let ids: Vec<u64> = plain.iter().map(|row| row["id"].as_u64().expect("kept")).collect();
    assert_eq!(ids, (0..40).collect::<Vec<u64>>());

    let weights = ["helpfulness=0", "safety=2", "conciseness=-1"];
    let arguments: Vec<&str> = weights.iter().flat_map(|weight| ["--weights", weight]).collect();
    for (plain, weighted) in plain.iter().zip(lines(&project.score(&input.join("\n"), &arguments))) {
        let normalized = |name: &str| plain["scores"][name]["normalized"].as_f64().expect("a number");
        let expected = 2.0 * normalized("safety") - normalized("conciseness");
        assert!((weighted["combined"].as_f64().expect("a number") - expected).abs() < 1e-12);
    }
}

#[test]
fn command_line_and_library_agree_to_the_bit() {
    let project = trained();
    let output = project.score(r#"{"prompt": "How long do eggs boil?", "response": "Seven minutes."}"#, &[]);
    let ensemble = Ensemble::open(&project.path("registry/quickstart")).expect("opens");
    let prompt = vec![Message { role: Role::User, content: "How long do eggs boil?".into() }];
    let item = Item { prompt, response: "Seven minutes.".into() };
    let score = &ensemble.score(&[item]).expect("finite")[0];
    let row = &lines(&output)[0];
    assert_eq!(row["combined"].as_f64().map(f64::to_bits), Some(score.combined.to_bits()));
    for (name, objective) in ensemble.names().iter().zip(&score.objectives) {
        assert_eq!(row["scores"][name]["raw"].as_f64().map(f64::to_bits), Some(objective.raw.to_bits()));
    }
}

#[test]
fn a_broken_line_is_named_and_can_be_skipped() {
    let project = trained();
    let good = r#"{"prompt": "Hi", "response": "Hello"}"#;
    let input = format!("{good}\n{good}\n{{\"prompt\": \"Hi\"\n{good}\n");
    let output = project.score(&input, &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("standard input:3") && message.contains("--skip-bad"), "{message}");
    assert_eq!(lines(&output).len(), 2, "the rows before it are scored");
    let skipped = project.score(&input, &["--skip-bad"]);
    assert!(skipped.status.success());
    assert_eq!(lines(&skipped).len(), 3);
    assert!(String::from_utf8_lossy(&skipped.stderr).contains("3 rows scored, 1 skipped"));
}

#[test]
fn conversations_are_scored_from_messages() {
    let project = trained();
    let as_messages = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}"#;
    let as_pair = r#"{"prompt": "Hi", "response": "Hello"}"#;
    let rows = lines(&project.score(&format!("{as_messages}\n{as_pair}\n"), &[]));
    assert_eq!(rows[0], rows[1]);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let (line, output) = trained().score_for_one_line();
    assert!(line.contains("combined"), "{line}");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
