//! `ensemble best-of-n`: the chosen answer is the one that `score` puts highest, and the curve is what trying out gives.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::project::{Project, repository, trained};

fn lines(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn chosen(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let output = project.run(&[&["best-of-n", "-r", "registry/quickstart"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines(&output.stdout)
}

/// The sample answers that are rated for helpfulness, as rows.
fn rated() -> String {
    let text = std::fs::read_to_string(repository().join("data/quickstart/rated.jsonl")).expect("data");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            row["scores"]["helpfulness"].is_number()
        })
        .collect();
    assert!(rows.len() > 100);
    rows.join("\n")
}

/// Those answers by prompt, with their rating and their combined score.
fn answers(project: &Project, text: &str) -> BTreeMap<String, Vec<(String, f64, f64)>> {
    let scored = lines(&project.score(text, &[]).stdout);
    let mut answers: BTreeMap<String, Vec<(String, f64, f64)>> = BTreeMap::new();
    for (row, score) in lines(text.as_bytes()).iter().zip(&scored) {
        // Some prompts are lists of messages.
        let (prompt, response) = (row["prompt"].to_string(), row["response"].as_str().expect("text"));
        let number = |value: &Value| value.as_f64().expect("a number");
        let answer = (response.to_owned(), number(&row["scores"]["helpfulness"]), number(&score["combined"]));
        answers.entry(prompt).or_default().push(answer);
    }
    answers
}

#[test]
fn the_highest_score_is_chosen_and_the_curve_is_the_mean_over_all_subsets() {
    let project = trained();
    let (text, curve) = (rated(), project.path("curve.json"));
    let (answers, file) = (answers(project, &text), "rated_for_helpfulness.jsonl");
    std::fs::write(project.path(file), text).expect("written");
    let rows = chosen(
        project,
        &[file, "--gold", "scores.helpfulness", "--most", "3", "--curve", &curve.display().to_string()],
    );
    assert_eq!(rows.len(), answers.len());
    for row in &rows {
        let own = &answers[&row["prompt"].to_string()];
        let best = own.iter().map(|answer| answer.2).fold(f64::NEG_INFINITY, f64::max);
        let place = row["chosen_index"].as_u64().expect("a place") as usize;
        assert!(own[place].2 == best && row["chosen"] == own[place].0.as_str() && row["gold"] == own[place].1);
        let ranked: Vec<f64> = row["ranking"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| own[one.as_u64().expect("a place") as usize].2)
            .collect();
        assert!(ranked.len() == own.len() && ranked.windows(2).all(|two| two[0] >= two[1]), "{row}");
    }
    let curve: Value = serde_json::from_slice(&std::fs::read(curve).expect("a curve")).expect("JSON");
    let enough: Vec<&Vec<(String, f64, f64)>> = answers.values().filter(|own| own.len() >= 3).collect();
    assert_eq!(curve["prompts"], enough.len());
    for n in 1..=3 {
        let mean = |value: fn(&(String, f64, f64)) -> f64| {
            enough.iter().map(|own| over_subsets(own, n, value)).sum::<f64>() / enough.len() as f64
        };
        let point = &curve["points"][n - 1];
        for (name, truth) in [("score", mean(|answer| answer.2)), ("gold", mean(|answer| answer.1))] {
            let found = point[name]["value"].as_f64().expect("a number");
            assert!((found - truth).abs() < 1e-9, "{name} of {n}: {found} is not {truth}");
        }
    }
}

/// Mean value of the best answer over all subsets of n; no two answers of the sample have the same score.
fn over_subsets(own: &[(String, f64, f64)], n: usize, value: fn(&(String, f64, f64)) -> f64) -> f64 {
    let (mut sum, mut subsets) = (0.0, 0.0);
    for subset in (0_u32..1 << own.len()).filter(|subset| subset.count_ones() as usize == n) {
        let inside = (0..own.len()).filter(|index| subset >> index & 1 == 1).map(|index| &own[index]);
        sum += inside.max_by(|left, right| left.2.total_cmp(&right.2)).map(value).expect("n answers");
        subsets += 1.0;
    }
    sum / subsets
}

#[test]
fn answers_in_one_row_or_in_several_give_the_same() {
    let project = Project::new();
    let registry = trained().path("registry/quickstart").display().to_string();
    let several = json!({ "id": 7, "prompt": "How long do eggs boil?", "responses": ["Seven minutes.", "No idea."], "worth": [3, 1] });
    std::fs::write(project.path("one.jsonl"), several.to_string()).expect("written");
    let single =
        |response: &str, worth: u8| json!({ "prompt": "How long do eggs boil?", "response": response, "worth": worth });
    let other = json!({ "prompt": "Who are you?", "response": "A model.", "worth": 2 });
    let rows = [single("Seven minutes.", 3), other, single("No idea.", 1)].map(|row| row.to_string());
    std::fs::write(project.path("three.jsonl"), rows.join("\n")).expect("written");
    let run = |file: &str| {
        let output = project.run(&["best-of-n", "-r", &registry, file, "--gold", "worth"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lines(&output.stdout)
    };
    let (mut one, three) = (run("one.jsonl"), run("three.jsonl"));
    assert_eq!((one.len(), three.len(), one[0]["id"].take()), (1, 2, json!(7)));
    one[0].as_object_mut().expect("a row").remove("id");
    assert_eq!(one[0], three[0]);
    let asked = json!([{ "role": "user", "content": "How long do eggs boil?" }]);
    let messages = json!([asked[0], { "role": "assistant", "content": "Seven minutes." }]);
    std::fs::write(project.path("messages.jsonl"), json!({ "messages": messages, "worth": 3 }).to_string())
        .expect("written");
    assert_eq!(run("messages.jsonl")[0]["prompt"], asked, "the prompt is told although no field names it");
}

#[test]
fn what_cannot_be_read_is_named() {
    let project = Project::new();
    let registry = trained().path("registry/quickstart").display().to_string();
    for (row, expected) in [
        (json!({ "prompt": "What?", "responses": [] }), "field \"responses\": no list, or an empty one"),
        (json!({ "prompt": "What?", "responses": ["a", "b"], "worth": [1] }), "field \"worth\": no list as long"),
        (json!({ "prompt": "What?", "response": "a" }), "field \"worth\": missing"),
        (json!({ "prompt": "What?", "response": "a", "worth": "good" }), "field \"worth\": \"good\""),
    ] {
        std::fs::write(project.path("rows.jsonl"), row.to_string()).expect("written");
        let output = project.run(&["best-of-n", "-r", &registry, "rows.jsonl", "--gold", "worth"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(expected) && output.stdout.is_empty(), "{said}");
    }
}
