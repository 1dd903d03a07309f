//! Figures against cases worked out by hand and against an independent script (tests/fixtures/make_benchmarks.py).
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/benchmarks").join(name);
    serde_json::from_str(&crate::files::read_text(&path, "the fixture").expect("a fixture")).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn three(value: &Value) -> [f64; 3] {
    numbers(value).try_into().expect("three styles")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn reward_bench_rows(rows: &[Value]) -> Vec<reward_bench::Row<'_>> {
    let row = |index: usize| reward_bench::Row {
        subset: text(&rows[index]["subset"]),
        prompt: index,
        chosen: number(&rows[index]["chosen"]),
        rejected: number(&rows[index]["rejected"]),
    };
    (0..rows.len()).map(row).collect()
}

fn reward_bench2_rows(rows: &[Value]) -> Vec<reward_bench2::Row<'_>> {
    let ties = |id: &str| {
        let (kind, number) = id.split_once(':').expect("an id of Ties");
        (number.parse().expect("a number"), kind == "ref")
    };
    let row = |index: usize| reward_bench2::Row {
        subset: text(&rows[index]["subset"]),
        prompt: index,
        scores: numbers(&rows[index]["scores"]),
        correct: rows[index]["correct"].as_u64().expect("a count") as usize,
        ties: rows[index]["id"].as_str().map(ties),
    };
    (0..rows.len()).map(row).collect()
}

fn rm_bench_rows(rows: &[Value]) -> Vec<rm_bench::Row<'_>> {
    let row = |index: usize| rm_bench::Row {
        domain: text(&rows[index]["domain"]),
        prompt: index,
        chosen: three(&rows[index]["chosen"]),
        rejected: three(&rows[index]["rejected"]),
    };
    (0..rows.len()).map(row).collect()
}

fn judge_bench_rows(rows: &[Value]) -> Vec<judge_bench::Row<'_>> {
    let row = |index: usize| judge_bench::Row {
        source: text(&rows[index]["source"]),
        prompt: index,
        scores: numbers(&rows[index]["scores"]).try_into().expect("two"),
        first_is_better: rows[index]["label"] == "A>B",
    };
    (0..rows.len()).map(row).collect()
}

/// The tables of a fixture's rows, each row with a prompt of its own.
fn tables(benchmark: &str, case: &Value) -> Vec<Figures> {
    let rows = case["rows"].as_array().expect("rows");
    match benchmark {
        "reward_bench" => reward_bench::tables(&reward_bench_rows(rows)),
        "reward_bench2" => reward_bench2::tables(&reward_bench2_rows(rows)),
        "rm_bench" => rm_bench::tables(&rm_bench_rows(rows)),
        _ => judge_bench::tables(&judge_bench_rows(rows)),
    }
}

/// All figures by name; of several with one name the first, which is the most important table's.
fn by_name(tables: Vec<Figures>) -> BTreeMap<String, Figure> {
    let mut named = BTreeMap::new();
    for (name, figure) in tables.into_iter().flat_map(|table| table.figures) {
        named.entry(name).or_insert(figure);
    }
    named
}

fn why(figure: &Figure) -> &str {
    match figure {
        Figure::Undefined { why } => why,
        other => panic!("{other:?} is defined"),
    }
}

#[test]
fn small_cases_equal_what_was_worked_out_by_hand() {
    let cases = fixture("by_hand.json");
    for benchmark in ["reward_bench", "reward_bench2", "rm_bench", "judge_bench"] {
        let case = &cases[benchmark];
        let found = by_name(tables(benchmark, case));
        for (name, fraction) in case["figures"].as_object().expect("figures") {
            let [above, below] = [0, 1].map(|side| number(&fraction[side]));
            let value = found[name].value().expect("defined");
            println!("{benchmark}, {name}: {value:.12}, by hand {above}/{below}");
            assert!((value - above / below).abs() < 1e-14, "{benchmark}: {name}");
        }
    }
}

#[test]
fn random_cases_equal_the_independent_script() {
    let cases = fixture("random.json");
    for benchmark in ["reward_bench", "reward_bench2", "rm_bench", "judge_bench"] {
        let (mut figures, mut worst) = (0, 0.0_f64);
        for case in cases[benchmark].as_array().expect("cases") {
            let found = by_name(tables(benchmark, case));
            for (name, truth) in case["figures"].as_object().expect("figures") {
                let value = found[name].value().expect("defined");
                worst = worst.max((value - number(truth)).abs());
                figures += 1;
            }
        }
        println!("{benchmark}: {figures} figures, at most {worst:.1e} apart");
        assert!(figures >= 200 && worst < 1e-12, "{benchmark}: {worst}");
    }
}

#[test]
fn the_matrix_of_styles_stands_cell_by_cell() {
    let case = &fixture("by_hand.json")["rm_bench"];
    let rows = rm_bench_rows(case["rows"].as_array().expect("rows"));
    let tables = rm_bench::tables(&rows[..2]);
    let matrix = &tables.last().expect("a matrix").figures;
    for (cell, (name, figure)) in matrix.iter().enumerate() {
        let truth = &case["matrix_of_the_chat_rows"][cell / 3][cell % 3];
        assert_eq!(figure.value(), Some(number(&truth[0]) / number(&truth[1])), "{name}");
    }
    let names: Vec<&str> = matrix.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names.len(), names[1]), (9, "concise right, detailed wrong"));
}

#[test]
fn what_is_missing_is_said_and_the_rest_is_worked_out() {
    // RewardBench with one row: one section, no average.
    let rows = [reward_bench::Row { subset: "hep-js", prompt: 0, chosen: 1.0, rejected: 0.0 }];
    let found = by_name(reward_bench::tables(&rows));
    assert_eq!(found["Reasoning"], Figure::Composite { value: 1.0, n: 1 });
    assert_eq!(why(&found["Chat"]), "no rows");
    assert_eq!(why(&found["Average"]), "it needs Chat, Chat Hard, Safety");
    assert_eq!(reward_bench::missing(&rows).len(), 6);
    // RM-Bench with one domain: its own levels are there, those of the benchmark are not.
    let row = |domain| rm_bench::Row { domain, prompt: 0, chosen: [1.0; 3], rejected: [0.0; 3] };
    let tables = rm_bench::tables(&[row("code")]);
    assert_eq!(tables[1].title, "Code");
    assert!(tables[1].figures.iter().all(|(_, figure)| figure.value() == Some(1.0)));
    assert_eq!(why(&by_name(tables)["Hard"]), "it needs Chat, Math, Safety");
    // RewardBench 2 with a reference row whose tied row is missing.
    let row = |ties, correct, scores: &[f64]| reward_bench2::Row {
        subset: "ties",
        prompt: 0,
        scores: scores.to_vec(),
        correct,
        ties: Some(ties),
    };
    let rows = [row((7, true), 1, &[1.0, 0.0]), row((8, false), 2, &[2.0, 1.0, 0.0])];
    let found = by_name(reward_bench2::tables(&rows));
    assert!(why(&found["Ties"]).contains("has both a row ref:N and a row tied:N"));
    assert!(why(&found["Average"]).contains("Factuality") && !found.contains_key("Margin"));
    assert_eq!(why(&by_name(reward_bench2::tables(&[]))["Ties"]), "no rows");
    // JudgeBench without rows of a category.
    let row = judge_bench::Row { source: "livecodebench", prompt: 0, scores: [0.0, 1.0], first_is_better: false };
    let found = by_name(judge_bench::tables(&[row]));
    assert_eq!((why(&found["Math"]), found["Overall"].value()), ("no rows", Some(1.0)));
}

#[test]
fn what_the_benchmark_does_not_know_stands_apart() {
    let row = |subset, chosen| reward_bench::Row { subset, prompt: 0, chosen, rejected: 0.5 };
    let tables = reward_bench::tables(&[row("new", 0.0), row("hep-js", 1.0), row("newer", 1.0)]);
    let apart = tables.last().expect("a table");
    assert_eq!(apart.title, "Subsets of no section");
    let values: Vec<_> = apart.figures.iter().map(|(name, figure)| (name.as_str(), figure.value())).collect();
    assert_eq!(values, [("new", Some(0.0)), ("newer", Some(1.0))]);
    assert_eq!(tables[0].figures[3].1.value(), Some(1.0));
    let row = |domain| rm_bench::Row { domain, prompt: 0, chosen: [1.0; 3], rejected: [0.0; 3] };
    let titles: Vec<String> =
        rm_bench::tables(&[row("poetry"), row("chat")]).into_iter().map(|table| table.title).collect();
    assert!(titles.contains(&"poetry, of no domain of the benchmark".to_owned()), "{titles:?}");
    let row = |source| judge_bench::Row { source, prompt: 0, scores: [1.0, 0.0], first_is_better: true };
    let tables = judge_bench::tables(&[row("arc"), row("livebench-math")]);
    assert_eq!((tables[0].figures[4].1.n(), tables[1].figures[0].0.as_str()), (2, "arc"));
}

#[test]
fn of_many_unknown_names_the_largest_are_listed() {
    // Of 30 domains, number k has 1 + k % 3 rows: 10 of three, 10 of two, 10 of one.
    let names: Vec<String> = (0..30).map(|k| format!("new-{k:02}")).collect();
    let named = || names.iter().zip(0..).flat_map(|(name, k)| std::iter::repeat_n(name.as_str(), 1 + k % 3));
    let mut expected: Vec<&str> = names.iter().zip(0..).filter(|(_, k)| k % 3 > 0).map(|(name, _)| &**name).collect();
    expected.sort_unstable();
    let (listed, more) = largest(named().map(|name| (name, ())));
    assert_eq!((listed.keys().copied().collect::<Vec<&str>>(), more), (expected.clone(), 10));
    assert!(listed.iter().all(|(name, rows)| rows.len() == 1 + name[4..].parse::<usize>().expect("a number") % 3));
    // 5 names of one row each, of which 3 have room.
    let few = ["a", "b", "c", "d", "e"].into_iter().chain(expected.iter().take(17).copied().cycle().take(34));
    let (listed, more) = largest(few.map(|name| (name, ())));
    assert!(listed.contains_key("c") && !listed.contains_key("d") && more == 2);

    let row = |domain| rm_bench::Row { domain, prompt: 0, chosen: [1.0; 3], rejected: [0.0; 3] };
    let rows: Vec<rm_bench::Row> = named().map(row).collect();
    let titles: Vec<String> = rm_bench::tables(&rows).into_iter().map(|table| table.title).collect();
    let apart: Vec<&str> =
        titles.iter().filter_map(|title| title.strip_suffix(", of no domain of the benchmark")).collect();
    assert_eq!((apart, rm_bench::unlisted_parts(&rows)), (expected.clone(), 0));
    let parts: Vec<String> = (0..25).map(|part| format!("chat-{part:02}")).collect();
    let rows: Vec<rm_bench::Row> = parts.iter().map(|part| row(part)).chain([row("chat"), row("chat-24")]).collect();
    let tables = rm_bench::tables(&rows);
    let listed = tables.iter().filter(|table| table.title.starts_with("chat-")).count();
    assert_eq!((listed, rm_bench::unlisted_parts(&rows)), (20, 5));
    assert!(tables.iter().any(|table| table.title == "chat-24" && table.figures[3].1.n() == 2));
    assert_eq!(tables[0].figures[0].1.n(), 27, "rows of parts that have no table count");

    let row = |source| judge_bench::Row { source, prompt: 0, scores: [1.0, 0.0], first_is_better: true };
    let rows: Vec<judge_bench::Row> = named().map(row).collect();
    let tables = judge_bench::tables(&rows);
    let columns: Vec<&str> = tables[1].figures.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((columns, tables[0].figures[4].1.n()), (expected, 60));
}

#[test]
fn pairs_count_ties_one_half_and_cluster_by_prompt() {
    let row = |prompt, chosen, rejected, preference| pairs::Row { prompt, chosen, rejected, preference };
    // 1, 1/2 (equal scores), 1/2 (tied labelers), 0 of three prompts: 2/4.
    let rows = [row(0, 2.0, 1.0, 1.0), row(0, 1.0, 1.0, 0.75), row(1, 3.0, 1.0, 0.5), row(2, 0.0, 1.0, 1.0)];
    match &pairs::tables(&rows)[0].figures[0].1 {
        Figure::Accuracy(estimate) => assert_eq!((estimate.value, estimate.n, estimate.clusters), (0.5, 4, 3)),
        other => panic!("{other:?} is no accuracy"),
    }
    assert!(pairs::tables(&[])[0].figures[0].1.value().is_none());
}

#[test]
fn a_lead_is_paired_row_by_row() {
    let (ones, zeros) = ([(1.0, 0), (1.0, 1), (0.0, 2)], [(0.0, 0), (1.0, 1), (0.0, 2)]);
    let found = lead(&ones, &zeros).expect("the same rows");
    assert!((found.value - 1.0 / 3.0).abs() < 1e-15 && found.low < 0.0);
    assert!(lead(&ones, &zeros[..2]).is_none() && lead(&[], &[]).is_none());
    assert!(lead(&ones, &[(0.0, 0), (1.0, 5), (0.0, 2)]).is_none());
}

proptest! {
    #[test]
    fn the_score_for_ties_stays_in_its_range_and_sees_no_scale(
        rows in prop::collection::vec((0_i64..4, any::<bool>(), 2_usize..4, prop::collection::vec(-6_i8..7, 5)), 1..12),
    ) {
        let rows: Vec<reward_bench2::Row> = rows
            .into_iter()
            .map(|(number, reference, correct, scores)| reward_bench2::Row {
                subset: "Ties",
                prompt: 0,
                scores: scores.into_iter().map(f64::from).collect(),
                correct: if reference { 1 } else { correct },
                ties: Some((number, reference)),
            })
            .collect();
        let doubled: Vec<reward_bench2::Row> = rows
            .iter()
            .map(|row| reward_bench2::Row { scores: row.scores.iter().map(|score| 2.0 * score + 3.0).collect(), ..row.clone() })
            .collect();
        let found = by_name(reward_bench2::tables(&rows))["Ties"].clone();
        prop_assert_eq!(&found, &by_name(reward_bench2::tables(&doubled))["Ties"]);
        if let Some(value) = found.value() {
            prop_assert!((-0.01..=1.01).contains(&value), "{}", value);
        }
    }

    #[test]
    fn four_answers_to_a_question_share_one_point(scores in prop::collection::vec(-2_i8..3, 4)) {
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let turned = |by: usize| {
            let mut scores = scores.clone();
            scores.rotate_left(by);
            let row = reward_bench2::Row { subset: "Math", prompt: 0, scores, correct: 1, ties: None };
            reward_bench2::credits(&[row])[0].0
        };
        prop_assert!(((0..4).map(turned).sum::<f64>() - 1.0).abs() < 1e-15);
    }
}
