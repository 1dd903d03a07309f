//! `ensemble eval` on small benchmark files made of the sample data, against what `ensemble score` prints.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use crate::project::{Project, trained};

/// The rows of every table.
const PREDICTORS: [&str; 6] = ["combined", "helpfulness", "safety", "conciseness", "longer wins", "shorter wins"];

/// A pair of the sample data.
struct Pair {
    prompt: Value,
    chosen: String,
    rejected: String,
}

fn pairs(project: &Project, count: usize) -> Vec<Pair> {
    let text = std::fs::read_to_string(project.path("data/quickstart/safety.pairs.jsonl")).expect("data");
    let pair = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |field: &str| row[field].as_str().expect("text").to_owned();
        Pair { prompt: row["prompt"].clone(), chosen: text("chosen"), rejected: text("rejected") }
    };
    text.lines().take(count).map(pair).collect()
}

/// What the predictors make of a response: combined, the objectives' raw scores, words, and their negative.
type Scores = [f64; PREDICTORS.len()];

/// The scores that `ensemble score` prints, by prompt and response.
fn scored<'a>(
    project: &Project,
    answers: impl Iterator<Item = (&'a Value, &'a str)>,
) -> BTreeMap<(String, String), Scores> {
    let answers: Vec<(&Value, &str)> = answers.collect();
    let mut input = Vec::new();
    for (prompt, response) in &answers {
        writeln!(input, "{}", json!({ "prompt": prompt, "response": response })).expect("written");
    }
    let output = project.score(&String::from_utf8(input).expect("UTF-8"), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    let scores = |(line, (prompt, response)): (&str, &(&Value, &str))| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let raw = |name: &str| row["scores"][name]["raw"].as_f64().expect("a number");
        let words = response.split_whitespace().count() as f64;
        let combined = row["combined"].as_f64().expect("a number");
        let scores = [combined, raw("helpfulness"), raw("safety"), raw("conciseness"), words, -words];
        ((prompt.to_string(), (*response).to_owned()), scores)
    };
    output.lines().zip(&answers).map(scores).collect()
}

fn eval(project: &Project, arguments: &[&str]) -> String {
    let output = project.run(&[&["eval", "--registry", "registry/quickstart"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The figure of one predictor in a benchmark's first table.
fn figure(summary: &Value, predictor: usize, column: &str) -> f64 {
    let table = &summary["tables"][0];
    let columns = table["columns"].as_array().expect("columns");
    let place = columns.iter().position(|name| name == column).expect("a column of that name");
    table["rows"][predictor]["figures"][place]["value"].as_f64().expect("defined")
}

fn share(truths: impl ExactSizeIterator<Item = bool>) -> f64 {
    let count = truths.len() as f64;
    truths.filter(|truth| *truth).count() as f64 / count
}

#[test]
fn figures_equal_the_formulas_on_the_printed_scores() {
    let project = trained();
    let pairs = pairs(project, 24);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let lines = |rows: Vec<Value>| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let subsets = ["hep-js", "mt-bench-easy", "donotanswer", "llmbar-natural"];
    let row = |(pair, subset): (&Pair, &&str)| json!({ "prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected, "subset": subset, "id": 1 });
    let reward_bench = write("filtered.jsonl", lines(pairs.iter().zip(subsets.iter().cycle()).map(row).collect()));
    // Every four pairs: the first one's chosen answer against all four rejected ones, as answers to the first's prompt.
    let best = |four: &[Pair]| {
        json!({ "prompt": four[0].prompt, "chosen": [four[0].chosen], "subset": "Math", "id": "m", "num_correct": 1,
            "rejected": [four[0].rejected, four[1].rejected, four[2].rejected], "total_completions": 4 })
    };
    let best_of = write("best.jsonl", lines(pairs.chunks_exact(4).map(best).collect()));
    let styles = |three: &[Pair]| {
        json!({ "id": 1, "prompt": three[0].prompt, "domain": "chat",
            "chosen": [three[0].chosen, three[1].chosen, three[2].chosen],
            "rejected": [three[0].rejected, three[1].rejected, three[2].rejected] })
    };
    let rm_bench = write("chat.json", Value::from(pairs.chunks_exact(3).map(styles).collect::<Vec<_>>()).to_string());
    let judged = |(pair, place): (&Pair, usize)| {
        let (a, b, label) =
            if place % 2 == 0 { (&pair.chosen, &pair.rejected, "A>B") } else { (&pair.rejected, &pair.chosen, "B>A") };
        json!({ "pair_id": "x", "source": "livebench-math", "question": pair.prompt, "response_A": a, "response_B": b,
            "label": label })
    };
    let judge_bench = write("judged.jsonl", lines(pairs.iter().zip(0..).map(judged).collect()));
    let plain = "data/quickstart/safety.pairs.jsonl";
    let arguments = [
        "--rewardbench",
        &reward_bench,
        "--rewardbench2",
        &best_of,
        "--rm-bench",
        &rm_bench,
        "--judgebench",
        &judge_bench,
        "--pairs",
        plain,
    ];
    let found: Value = serde_json::from_str(&eval(project, &[&arguments[..], &["--json"]].concat())).expect("JSON");
    let names: Vec<&Value> = found["benchmarks"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["RewardBench", "RewardBench 2", "RM-Bench", "JudgeBench", "pairs"]);

    let answers = |prompts: usize| {
        pairs.chunks_exact(prompts).flat_map(|group| {
            group.iter().flat_map(move |pair| [(&group[0].prompt, &*pair.chosen), (&group[0].prompt, &*pair.rejected)])
        })
    };
    let scores = scored(project, answers(1).chain(answers(3)).chain(answers(4)));
    for (predictor, name) in PREDICTORS.iter().enumerate() {
        assert_eq!(found["benchmarks"][0]["tables"][0]["rows"][predictor]["predictor"], *name);
        let score = |prompt: &Value, response: &str| scores[&(prompt.to_string(), response.to_owned())][predictor];
        let wins = |pair: &Pair| score(&pair.prompt, &pair.chosen) > score(&pair.prompt, &pair.rejected);
        let truth = share(pairs.iter().step_by(4).map(wins));
        assert!((figure(&found["benchmarks"][0], predictor, "Reasoning") - truth).abs() < 1e-12, "{predictor}");

        let earned = |four: &[Pair]| {
            let prompt = &four[0].prompt;
            let right = score(prompt, &four[0].chosen);
            let wrong: Vec<f64> = four[..3].iter().map(|pair| score(prompt, &pair.rejected)).collect();
            let ties = wrong.iter().filter(|other| **other == right).count() as f64;
            if wrong.iter().all(|other| *other <= right) { 1.0 / (1.0 + ties) } else { 0.0 }
        };
        let groups = pairs.len() as f64 / 4.0;
        let truth = pairs.chunks_exact(4).map(earned).sum::<f64>() / groups;
        assert!((figure(&found["benchmarks"][1], predictor, "Math") - truth).abs() < 1e-12, "{predictor}");

        let nine = pairs.chunks_exact(3).flat_map(|three| {
            (0..9).map(move |cell| {
                let prompt = &three[0].prompt;
                score(prompt, &three[cell / 3].chosen) > score(prompt, &three[cell % 3].rejected)
            })
        });
        let truth = share(nine.collect::<Vec<bool>>().into_iter());
        assert!((figure(&found["benchmarks"][2], predictor, "Chat") - truth).abs() < 1e-12, "{predictor}");

        // A tie says B>A.
        let right = |(place, pair): (usize, &Pair)| {
            wins(pair) || place % 2 == 1 && score(&pair.prompt, &pair.chosen) == score(&pair.prompt, &pair.rejected)
        };
        let truth = share(pairs.iter().enumerate().map(right));
        assert!((figure(&found["benchmarks"][3], predictor, "Overall") - truth).abs() < 1e-12, "{predictor}");
        println!("{name}: JudgeBench overall {truth:.3}");
    }
    let text = eval(project, &[&arguments[..], &["--threads", "1"]].concat());
    println!("{text}");
    assert!(
        text.contains("longer wins") && text.contains("not defined: Knowledge, Reasoning, Coding (no rows)"),
        "{text}"
    );
    let again: Value =
        serde_json::from_str(&eval(project, &[&arguments[..], &["--json", "--threads", "1"]].concat())).expect("JSON");
    assert_eq!(found, again, "figures do not depend on threads");
}

#[test]
fn other_weights_make_another_combined_score_and_empty_answers_are_scored() {
    let project = trained();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("one.csv");
    std::fs::write(&path, "prompt,chosen,rejected,subset\n42,,yes and no,hep-go\n").expect("written");
    let path = path.display().to_string();
    let weights = "helpfulness=0,safety=0,conciseness=1";
    let text = eval(project, &["--rewardbench", &path, "--weights", weights, "--json"]);
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let summary = &found["benchmarks"][0];
    assert_eq!((summary["rows"].as_u64(), summary["file"].as_str()), (Some(1), Some("one.csv")));
    // The combined score is conciseness alone, and the empty answer is the shorter one.
    assert_eq!(figure(summary, 0, "Reasoning"), figure(summary, 3, "Reasoning"));
    assert_eq!((figure(summary, 4, "Reasoning"), figure(summary, 5, "Reasoning")), (0.0, 1.0));
    println!("{}", summary["conclusion"]);
}

#[test]
fn pairs_that_were_trained_on_are_left_out() {
    let project = trained();
    let report = std::fs::read_to_string(project.path("reports/quickstart/report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let evaluated = |arguments: &[&str]| -> Value {
        let found: Value = serde_json::from_str(&eval(project, &[arguments, &["--json"]].concat())).expect("JSON");
        found["benchmarks"][0].clone()
    };
    let of = |summary: &Value, predictor: usize| summary["tables"][0]["rows"][predictor]["figures"][0].clone();
    // What the report says of its test pairs.
    let holistic = evaluated(&["--pairs", "data/quickstart/holistic.jsonl"]);
    let (found, reported) = (of(&holistic, 0), &report["combined"]["holistic"]);
    println!("{found} is {reported} of the report");
    for part in ["value", "low", "high", "n", "clusters"] {
        assert_eq!(found[part], reported[part], "{part}");
    }
    let all = evaluated(&["--pairs", "data/quickstart/holistic.jsonl", "--all-splits"]);
    println!("with --all-splits {} of {} pairs", of(&all, 0)["value"], all["rows"]);
    let (test, every) = (holistic["rows"].as_u64().expect("rows"), all["rows"].as_u64().expect("rows"));
    let fall =
        |rest: &str| format!("{} of {every} pairs are of prompts that fall into the training or {rest}", every - test);
    let noted = |summary: &Value, text: &str| summary["notes"].to_string().contains(text);
    assert!(
        noted(&holistic, &fall("calibration split and were left out; --all-splits counts them too.")),
        "{holistic}"
    );
    assert!(noted(&all, &fall("calibration split and count too")), "{all}");
    assert!(noted(&all, "may hold prompts that the heads were trained on"), "{all}");
}
