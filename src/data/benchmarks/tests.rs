//! Files of each benchmark, read.

use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn written(folder: &Path, name: &str, rows: &[Value]) -> PathBuf {
    let path = folder.join(name);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    crate::files::write_atomic(&path, text.as_bytes()).expect("written");
    path
}

fn read_rows(benchmark: Benchmark, rows: &[Value]) -> (Result<BenchmarkData>, Items) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = written(folder.path(), "rows.jsonl", rows);
    let mut items = Items::default();
    (read_benchmark(benchmark, &[path], Splits::All, &mut items), items)
}

fn message(row: &Value, benchmark: Benchmark) -> String {
    let (read, _) = read_rows(benchmark, std::slice::from_ref(row));
    match read {
        Err(Error::Data(faults)) => faults[0].to_string(),
        other => panic!("{row} gave {other:?}"),
    }
}

#[test]
fn an_item_that_stands_twice_has_one_number_and_messages_are_a_prompt_too() {
    let messages = json!([{ "role": "user", "content": "q" }]);
    let rows = [
        json!({ "prompt": "q", "chosen": "a", "rejected": "b", "subset": "hep-js", "id": 1 }),
        json!({ "prompt": messages, "chosen": "b", "rejected": "", "subset": "new", "id": 2 }),
        json!({ "prompt": "p", "chosen": "a", "rejected": "b", "subset": "hep-js", "id": 3 }),
    ];
    let (read, items) = read_rows(Benchmark::RewardBench, &rows);
    let read = read.expect("three rows");
    let BenchmarkRows::RewardBench(rows) = read.rows else { panic!("rows of another benchmark") };
    let numbers: Vec<_> = rows.iter().map(|row| (row.prompt, row.chosen, row.rejected)).collect();
    assert_eq!(numbers, [(0, 0, 1), (0, 1, 2), (1, 3, 4)]);
    assert_eq!((items.all().len(), items.all()[2].response.as_str(), read.file.as_str()), (5, "", "rows.jsonl"));
    assert_eq!(rows[1].subset, "new");
}

#[test]
fn right_answers_come_first_and_ids_of_ties_are_read() {
    let rows = [
        json!({ "prompt": "q", "chosen": ["a"], "rejected": ["b", "c", "d"], "subset": "Math", "id": "x",
            "num_correct": 1, "total_completions": 4 }),
        json!({ "prompt": "q", "chosen": ["a", "e"], "rejected": ["b"], "subset": "Ties", "id": "tied:12" }),
        json!({ "prompt": "q", "chosen": ["a"], "rejected": ["b"], "subset": "ties", "id": "ref:12" }),
    ];
    let (read, items) = read_rows(Benchmark::RewardBench2, &rows);
    let BenchmarkRows::RewardBench2(rows) = read.expect("rows").rows else { panic!("rows of another benchmark") };
    assert_eq!(items.all().len(), 5);
    assert_eq!((rows[0].answers.as_slice(), rows[0].correct, rows[0].ties), (&[0, 1, 2, 3][..], 1, None));
    assert_eq!((rows[1].answers.as_slice(), rows[1].correct), (&[0, 4, 1][..], 2));
    assert_eq!(rows[1].ties, Some(TiesId { reference: false, number: 12 }));
    assert_eq!(rows[2].ties, Some(TiesId { reference: true, number: 12 }));
}

#[test]
fn styles_and_labels_are_read() {
    let row =
        json!({ "id": 0, "prompt": "q", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "a"], "domain": "chat" });
    let (read, _) = read_rows(Benchmark::RmBench, &[row]);
    let BenchmarkRows::RmBench(rows) = read.expect("a row").rows else { panic!("rows of another benchmark") };
    assert_eq!((rows[0].chosen, rows[0].rejected), ([0, 1, 2], [3, 4, 0]));
    let row = |label: &str| {
        json!({ "pair_id": "x", "original_id": 7, "source": "livecodebench", "question": "q", "response_A": "a",
            "response_B": "b", "label": label })
    };
    let (read, _) = read_rows(Benchmark::JudgeBench, &[row("A>B"), row("B>A")]);
    let BenchmarkRows::JudgeBench(rows) = read.expect("rows").rows else { panic!("rows of another benchmark") };
    assert_eq!(rows.iter().map(|row| row.first_is_better).collect::<Vec<bool>>(), [true, false]);
    assert!(message(&row("A=B"), Benchmark::JudgeBench).contains("field \"label\": \"A=B\""));
}

#[test]
fn pairs_of_any_format_keep_what_the_labelers_said() {
    let rows = [
        json!({ "prompt": "q", "chosen": "a", "rejected": "b", "votes": [3, 1] }),
        json!({ "prompt": "q", "chosen": "a", "rejected": " a", "votes": [3, 1] }),
        json!({ "prompt": "p", "chosen": "c", "rejected": "d" }),
    ];
    let (read, items) = read_rows(Benchmark::Pairs, &rows);
    let read = read.expect("pairs");
    let BenchmarkRows::Pairs(pairs) = read.rows else { panic!("rows of another benchmark") };
    assert_eq!((pairs.len(), items.all().len(), read.left_out.values().sum::<usize>()), (2, 4, 1));
    let voted = pairs.iter().find(|pair| items.all()[pair.chosen].response == "a").expect("the first pair");
    assert_eq!(voted.preference, 0.75);
}

#[test]
fn pairs_of_prompts_that_heads_may_have_learned_from_are_left_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prompts: Vec<String> = (0..300).map(|number| format!("Question {number}?")).collect();
    // A split of the file's own says nothing.
    let row = |prompt: &String| json!({ "prompt": prompt, "chosen": "a", "rejected": "b", "split": "test" });
    // The rule of docs/data.md: the prompt's digest, its first eight bytes modulo 100, from 90 on.
    let tested = |prompt: &String| {
        let message = Message { role: Role::User, content: prompt.clone() };
        let key = item(&[message], "").prompt_key();
        u64::from_le_bytes(*key.0.first_chunk().expect("eight bytes")) % 100 >= 90
    };
    let (inside, outside): (Vec<&String>, Vec<&String>) = prompts.iter().partition(|prompt| tested(prompt));
    let read = |prompts: &[&String], splits| {
        let rows: Vec<Value> = prompts.iter().map(|prompt| row(prompt)).collect();
        let path = written(folder.path(), "rows.jsonl", &rows);
        let mut items = Items::default();
        let read = read_benchmark(Benchmark::Pairs, &[path], splits, &mut items)?;
        let BenchmarkRows::Pairs(pairs) = read.rows else { panic!("rows of another benchmark") };
        let mut counted: Vec<String> =
            pairs.iter().map(|pair| items.all()[pair.chosen].prompt[0].content.clone()).collect();
        counted.sort_unstable();
        Ok::<_, Error>((counted, read.outside_test))
    };
    let sorted = |prompts: &[&String]| {
        let mut prompts: Vec<String> = prompts.iter().map(|prompt| (*prompt).clone()).collect();
        prompts.sort_unstable();
        prompts
    };
    let all: Vec<&String> = prompts.iter().collect();
    assert!(inside.len() > 10 && outside.len() > 200);
    assert_eq!(read(&all, Splits::Test).expect("pairs"), (sorted(&inside), outside.len()));
    assert_eq!(read(&all, Splits::All).expect("pairs"), (sorted(&all), outside.len()));
    let said = read(&outside, Splits::Test).expect_err("nothing is left").to_string();
    assert!(said.contains(&format!("all {} pairs are of prompts", outside.len())), "{said}");
    assert!(said.contains("--all-splits"), "{said}");
    assert_eq!(read(&outside, Splits::All).expect("pairs").0.len(), outside.len());
}

#[test]
fn files_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let row = |chosen: &str| json!({ "prompt": "q", "chosen": chosen, "rejected": "b", "subset": "hep-js" });
    let [one, two, same] = [("a", "x"), ("b", "y"), ("c", "x")]
        .map(|(name, chosen)| written(&folder.path().join(name), "test.jsonl", &[row(chosen)]));
    let read = |paths: &[&PathBuf]| {
        let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).clone()).collect();
        read_benchmark(Benchmark::RewardBench, &paths, Splits::Test, &mut Items::default()).expect("rows")
    };
    let [a, b, c] = [&one, &two, &same].map(|path| read(&[path]));
    assert_eq!((a.file.as_str(), a.place.as_str()), ("test.jsonl", "a/test.jsonl"));
    assert_eq!((b.file.as_str(), b.place.as_str()), ("test.jsonl", "b/test.jsonl"));
    assert!(a.digest != b.digest && a.digest == c.digest, "the digest is of the content");
    let (both, turned) = (read(&[&one, &two]), read(&[&two, &one]));
    assert_eq!(both.file, "a/test.jsonl, b/test.jsonl");
    assert!(both.digest == turned.digest && both.digest != a.digest);
    let other = written(&folder.path().join("b"), "other.jsonl", &[row("z")]);
    assert_eq!(read(&[&one, &other]).file, "test.jsonl, other.jsonl");
}

#[test]
fn a_file_of_another_benchmark_is_recognised() {
    let judge = json!({ "question": "q", "response_A": "a", "response_B": "b", "label": "A>B", "source": "x" });
    let styles = json!({ "prompt": "q", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"], "domain": "chat" });
    let best = json!({ "prompt": "q", "chosen": ["a"], "rejected": ["b", "c", "d"], "subset": "Math" });
    let pair = json!({ "prompt": "q", "chosen": "a", "rejected": "b", "subset": "hep-js" });
    let all = [
        (Benchmark::JudgeBench, judge),
        (Benchmark::RmBench, styles),
        (Benchmark::RewardBench2, best),
        (Benchmark::RewardBench, pair),
    ];
    for (wanted, _) in &all {
        for (found, row) in all.iter().filter(|(found, _)| found != wanted) {
            let said = message(row, *wanted);
            assert!(
                said.contains(&format!("looks like a file of {}, not of {}", found.name(), wanted.name())),
                "{said}"
            );
        }
    }
    for (found, row) in &all[..3] {
        assert!(message(row, Benchmark::Pairs).contains(&format!("looks like a file of {}", found.name())));
    }
    assert!(read_rows(Benchmark::Pairs, &[all[3].1.clone()]).0.is_ok(), "pairs of RewardBench are pairs");
}

#[test]
fn numbers_of_answers_that_have_no_figure_are_refused() {
    let row = |chosen: &[&str], rejected: &[&str], subset: &str, id: &str| json!({ "prompt": "q", "chosen": chosen, "rejected": rejected, "subset": subset, "id": id });
    for (row, said) in [
        (row(&["a", "b"], &["c"], "Math", "1"), "2 right answers"),
        (row(&[], &["c"], "Math", "1"), "0 right answers"),
        (row(&["a"], &[], "Math", "1"), "no wrong answer"),
        (row(&["a"], &["b"], "Ties", "tied:1"), "1 right answer"),
        (row(&["a", "b"], &["c"], "Ties", "ref:1"), "2 right answers"),
        (row(&["a"], &["b"], "Ties", "other:1"), "field \"id\": \"other:1\""),
        (row(&["a"], &["b"], "Ties", "ref:x"), "field \"id\": \"ref:x\""),
    ] {
        let found = message(&row, Benchmark::RewardBench2);
        assert!(found.contains(said), "{row} gave {found}");
    }
    let mut counted = row(&["a"], &["b"], "Math", "1");
    counted["total_completions"] = json!(4);
    assert!(message(&counted, Benchmark::RewardBench2).contains("4, but `chosen` and `rejected` together have 2"));
}
