//! Every published format on its fixture: exact pairs, counts and messages (made by tests/fixtures/make_formats.py).

use serde_json::{Value, json};

use super::*;
use crate::data::load::tests::source;
use crate::data::row::parse_object;

/// One pair as the fixtures write it: prompt, chosen, rejected, preference, margin, weight.
type Written = (String, String, String, [f64; 3]);

fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/formats/{name}", env!("CARGO_MANIFEST_DIR"));
    files::read_text(std::path::Path::new(&path), "the fixture").expect("a fixture")
}

fn expected(format: Format) -> Value {
    serde_json::from_str(&fixture(&format!("{}.expected.json", format.word()))).expect("JSON")
}

/// Reads rows as a source would; the source as read and the items, or the first fault.
fn read(rows: &str, source: &SourceConfig) -> Result<(ReadSource, Pool, Option<Format>), Fault> {
    let (mut reader, mut pool) = (Reader::new(0, source), Pool::default());
    for (index, line) in rows.lines().enumerate() {
        let object = parse_object(line).expect("an object");
        reader.take(&Row { object: &object, place: &format!("rows:{}", index + 1) }, &mut pool)?;
    }
    let format = reader.format;
    reader.finish().map(|read| (read, pool, format))
}

fn written(item: &Item) -> String {
    let turns: Vec<String> = item.prompt.iter().map(|turn| format!("{}: {}", turn.role.word(), turn.content)).collect();
    turns.join(" | ")
}

/// The pairs in an order of their own; of an undecided pair the sides are in the order of their texts.
fn pairs(read: &ReadSource, pool: &Pool) -> Vec<Written> {
    let pair = |candidate: &Candidate| {
        let (chosen, rejected) = (&pool.items[&candidate.chosen], &pool.items[&candidate.rejected]);
        assert_eq!((written(chosen), chosen.prompt_key()), (written(rejected), candidate.prompt));
        let numbers = [candidate.preference, candidate.margin, candidate.weight];
        (written(chosen), chosen.response.clone(), rejected.response.clone(), numbers)
    };
    sorted(read.candidates.iter().map(pair).collect())
}

fn sorted(mut pairs: Vec<Written>) -> Vec<Written> {
    for (_, chosen, rejected, [preference, _, _]) in &mut pairs {
        if *preference <= 0.5 && rejected < chosen {
            std::mem::swap(chosen, rejected);
        }
    }
    pairs.sort_by(|left, right| left.partial_cmp(right).expect("numbers"));
    pairs
}

fn wanted(case: &Value) -> Vec<Written> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let pair = |pair: &Value| {
        let numbers = [3, 4, 5].map(|index| pair[index].as_f64().expect("a number"));
        (text(&pair[0]), text(&pair[1]), text(&pair[2]), numbers)
    };
    sorted(case["pairs"].as_array().expect("a list").iter().map(pair).collect())
}

fn configured(case: &Value, format: Option<Format>) -> SourceConfig {
    let score = case["score"].as_str().expect("text");
    SourceConfig { format, min_gap: case["min_gap"].as_f64().unwrap_or(1.0), ..source(score) }
}

fn check_case(format: Format, rows: &str, case: &Value) {
    let said = (case["say"] == true).then_some(format);
    let source = configured(case, said);
    let name = format!("{} by {}", format.word(), source.score);
    if let Some(message) = case["refused"].as_str() {
        let fault = read(rows, &source).err().expect("refused").to_string();
        assert!(fault.contains(message), "{name}: {fault}");
        return;
    }
    let (read, pool, found) = read(rows, &source).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    assert_eq!(found.expect("a format").word(), case["detected"].as_str().unwrap_or(format.word()), "{name}");
    let (found, wanted) = (pairs(&read, &pool), wanted(case));
    assert_eq!(found.len(), wanted.len(), "{name}: {found:#?}");
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!((&found.0, &found.1, &found.2), (&wanted.0, &wanted.1, &wanted.2), "{name}");
        for (found, wanted) in found.3.iter().zip(wanted.3) {
            assert!((found - wanted).abs() < 1e-12, "{name}: {found} is not {wanted} in {wanted:?}");
        }
    }
    let audit = &read.audit;
    assert_eq!(json!(audit.dropped), case["dropped"], "{name}");
    assert_eq!(audit.rows, rows.lines().count(), "{name}");
    for (field, count) in [("ties", audit.ties), ("margins", audit.margins), ("weights", audit.weights)] {
        assert_eq!(json!(count), case.get(field).cloned().unwrap_or(json!(0)), "{name}: {field}");
    }
    if let Some(ignored) = case.get("ignored") {
        assert_eq!(&json!(audit.ignored), ignored, "{name}");
    }
}

#[test]
fn every_format_gives_the_pairs_written_down_by_hand() {
    for format in Format::all() {
        let (rows, expected) = (fixture(&format!("{}.jsonl", format.word())), expected(format));
        assert!(rows.lines().count() >= 6, "{}", format.word());
        for case in expected["cases"].as_array().expect("a list") {
            check_case(format, &rows, case);
        }
    }
}

#[test]
fn every_format_says_what_is_wrong_with_a_row() {
    for format in Format::all() {
        let (rows, expected) = (fixture(&format!("{}.wrong.jsonl", format.word())), expected(format));
        let messages = expected["wrong"].as_array().expect("a list");
        assert!(messages.len() >= 3 && messages.len() == rows.lines().count(), "{}", format.word());
        let source = configured(&expected["cases"][0], Some(format));
        for (row, message) in rows.lines().zip(messages) {
            let fault = read(row, &source).err().unwrap_or_else(|| panic!("{} took {row}", format.word()));
            let shown = fault.to_string();
            assert!(shown.contains(message.as_str().expect("text")), "{}: {row} gave {shown}", format.word());
            assert!(fault.place.starts_with("rows:1, field"), "{shown}");
            assert!(fault.accepted.is_some(), "{shown}");
        }
    }
}

#[test]
fn rows_without_order_keep_their_meaning() {
    for format in Format::all() {
        let (rows, expected) = (fixture(&format!("{}.jsonl", format.word())), expected(format));
        let source = configured(&expected["cases"][0], Some(format));
        let reversed: Vec<&str> = rows.lines().rev().collect();
        let (forward, _, _) = read(&rows, &source).expect("readable");
        let (backward, _, _) = read(&reversed.join("\n"), &source).expect("readable");
        assert_eq!(forward.candidates, backward.candidates, "{}", format.word());
        assert_eq!(forward.audit.dropped, backward.audit.dropped, "{}", format.word());
    }
}

#[test]
fn a_row_of_no_format_or_of_two_is_never_guessed() {
    let refused = |row: &Value| read(&row.to_string(), &source("quality")).err().expect("refused").to_string();
    let two = json!({ "prompt": "q", "chosen": "a", "rejected": "b", "labels": ["chosen", "rejected"] });
    let fault = refused(&two);
    for part in ["\"chosen\", \"labels\", \"prompt\", \"rejected\"", "labelers or pairs", "say in the source"] {
        assert!(fault.contains(part), "{fault}");
    }
    let fault = refused(&json!({ "prompt": "q", "response_a": "a", "response_b": "b", "id": 3 }));
    for part in
        ["in no known format", "\"id\", \"prompt\", \"response_a\", \"response_b\"", "arena (lacks \"winner\")", "ties"]
    {
        assert!(fault.contains(part), "{fault}");
    }
    let fault = refused(&json!({ "instruction": "q", "answers": ["a", "b"] }));
    assert!(fault.contains("rankings (lacks \"preference\")"), "{fault}");
    let fault = refused(&json!({ "x": 1 }));
    assert!(fault.contains("pku_safe_rlhf") && fault.contains("format: …"), "{fault}");
}

#[test]
fn a_label_source_may_differ_by_objective() {
    let rows = (0..4).map(|index| {
        let by = json!({ "safety": "human", "helpfulness": "ai:judge" });
        let preferred = json!({ "safety": "a", "helpfulness": "b" });
        let prompt = format!("q{index}");
        json!({ "prompt": prompt, "response_a": "x", "response_b": "y", "preferred": preferred, "by": by }).to_string()
    });
    let rows = rows.collect::<Vec<_>>().join("\n");
    for (score, labels) in [("safety", LabelSource::Human), ("helpfulness", LabelSource::Ai)] {
        let source = SourceConfig { label_source_field: Some("by".to_owned()), ..source(score) };
        let (read, _, _) = read(&rows, &source).expect("readable");
        assert!(read.candidates.iter().all(|candidate| candidate.labels == labels), "{score}");
    }
}
