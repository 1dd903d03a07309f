//! Tests of loading: every drop, split and fault over small files.

mod ratings;
mod reference;

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Split, Votes};
use super::*;
use crate::config::{
    BackboneConfig, CombineConfig, Device, Dtype, Format, HeadConfig, HeadKind, LabelSource, Loss, ModelPlace,
    NormalizerKind, ObjectiveConfig, OutputConfig, Pooling, SourceConfig,
};

/// A source with nothing special about it.
pub(in crate::data) fn source(score: &str) -> SourceConfig {
    SourceConfig {
        path: PathBuf::from("rows.jsonl"),
        files: vec![PathBuf::from("rows.jsonl")],
        skipped: vec![],
        columns: BTreeMap::new(),
        format: None,
        score: score.to_owned(),
        min_gap: 0.5,
        rule: None,
        given: Vec::new(),
        labels: LabelSource::Human,
        label_source_field: None,
        split_field: None,
        max_pairs_per_prompt: None,
        domain_field: None,
    }
}

fn head(loss: Loss) -> HeadConfig {
    HeadConfig {
        l2: Some(1.0),
        l2_grid: vec![1.0],
        folds: 5,
        loss,
        label_smoothing: 0.0,
        center_rewards_coefficient: 0.0,
        control: vec![],
    }
}

fn config(objectives: Vec<Vec<SourceConfig>>, holistic: Vec<SourceConfig>) -> Config {
    let objective = |(index, data)| ObjectiveConfig {
        name: format!("objective{index}"),
        file: PathBuf::from("objective.yaml"),
        question: "Which is better?".to_owned(),
        weight: 1.0,
        labels: LabelSource::Human,
        data,
        head: HeadKind::Linear(head(Loss::BradleyTerry)),
        normalizer: NormalizerKind::Zscore,
    };
    let folder = PathBuf::from("out");
    Config {
        name: "run".to_owned(),
        file: PathBuf::from("run.yaml"),
        backbone: BackboneConfig {
            place: ModelPlace::Disk(folder.clone()),
            max_tokens: 8,
            pooling: Some(Pooling::Cls),
            layers: None,
            dtype: Dtype::F32,
            device: Device::Cpu,
            score_head: false,
        },
        objectives: objectives.into_iter().enumerate().map(objective).collect(),
        combine: CombineConfig::default(),
        holistic,
        reference: None,
        output: OutputConfig { registry: folder.clone(), report: folder.clone(), cache: folder },
    }
}

/// A folder with files of rows; the sources that read them.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn source(&self, name: &str, rows: &[Value]) -> SourceConfig {
        let path = self.0.path().join(name);
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        files::write_atomic(&path, lines.join("\n").as_bytes()).expect("written");
        SourceConfig { files: vec![path.clone()], path, ..source("quality") }
    }
}

fn row(prompt: usize, chosen: &str, rejected: &str) -> Value {
    json!({ "prompt": format!("question {prompt}"), "chosen": chosen, "rejected": rejected })
}

fn rows(count: usize) -> Vec<Value> {
    (0..count).map(|prompt| row(prompt, "good", "bad")).collect()
}

fn refusal(config: &Config) -> String {
    match load(config) {
        Err(error @ Error::Data(_)) => error.to_string(),
        other => panic!("expected faults in the data, got {other:?}"),
    }
}

#[test]
fn every_drop_is_counted_under_its_reason() {
    let files = Files::new();
    let mut all = rows(200);
    all.extend([row(0, "good", "bad"), row(1, "bad", "good"), row(2, "same", "same "), row(3, "", "bad")]);
    let mut capped: Vec<Value> = (0..5).map(|index| row(500, &format!("better {index}"), "worse")).collect();
    capped.push(row(4, "good", "bad"));
    let second = SourceConfig { max_pairs_per_prompt: Some(2), ..files.source("b", &capped) };
    let dataset = load(&config(vec![vec![files.source("a", &all), second]], vec![])).expect("loads");
    let audit = &dataset.objectives[0].audit;
    let [first, second] = audit.sources.as_slice() else { panic!("two sources") };
    let dropped = |source: &super::super::SourceAudit| {
        source.dropped.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(dropped(first), "1 duplicate pair, 1 empty response, 1 identical sides");
    assert_eq!(dropped(second), "1 duplicate pair, 3 over max_pairs_per_prompt");
    assert_eq!((first.rows, first.pairs, second.pairs), (204, 201, 2));
    assert_eq!((audit.duplicates, audit.contradictions, audit.prompts), (2, 1, 201));
    assert!(first.detected && first.format == Format::Pairs);
    assert_eq!(audit.splits.values().sum::<usize>(), 203);
}

#[test]
fn votes_stay_with_the_pair_and_copies_are_chosen_by_content() {
    let voted = |prompt: usize, counts: [u32; 2]| {
        let mut row = row(prompt, "good", "bad");
        row["votes"] = json!(counts);
        row
    };
    let files = Files::new();
    let base = files.source("base", &rows(200));
    // Prompt 900: equal shares of different counts, once the other way round; prompt 901: a share against no votes.
    let mut turned = row(900, "bad", "good");
    turned["votes"] = json!([3, 6]);
    let mut copies = [voted(900, [2, 1]), turned, voted(900, [4, 2]), row(901, "good", "bad"), voted(901, [5, 0])];
    let mut read = |name: &str| {
        copies.rotate_left(2);
        let (left, right) = copies.split_at(3);
        let sources =
            [right, left].into_iter().zip(0..).map(|(rows, index)| files.source(&format!("{name}{index}"), rows));
        load(&config(vec![std::iter::once(base.clone()).chain(sources).collect()], vec![])).expect("loads")
    };
    for name in ["a", "b", "c", "d", "e"] {
        let dataset = read(name);
        let pairs = dataset.objectives[0].pairs.iter().filter(|pair| pair.votes.is_some());
        let mut votes: Vec<Votes> = pairs.filter_map(|pair| pair.votes).collect();
        votes.sort();
        let expected = [(5, 0), (6, 3)].map(|(chosen, rejected)| Votes { chosen, rejected, tied: 0 });
        assert_eq!(votes, expected, "whatever the order of rows and sources");
    }
}

#[test]
fn held_out_prompts_are_test_in_every_objective() {
    let files = Files::new();
    let split = |rows: Vec<Value>, held: usize| -> Vec<Value> {
        let word = |index| if index < held { "val" } else { "train" };
        let mark = |(index, mut row): (usize, Value)| {
            row["split"] = word(index).into();
            row
        };
        rows.into_iter().enumerate().map(mark).collect()
    };
    let marked = |name: &str, held| SourceConfig {
        split_field: Some("split".to_owned()),
        ..files.source(name, &split(rows(200), held))
    };
    let plain = files.source("plain", &rows(200));
    let run = config(vec![vec![marked("a", 10)], vec![marked("b", 13)]], vec![plain]);
    let dataset = load(&run).expect("loads");
    for pairs in dataset.objectives.iter().chain([&dataset.holistic]) {
        assert_eq!(pairs.audit.splits.get(&Split::Test), Some(&13), "{}", pairs.name);
        assert_eq!(pairs.audit.split_conflicts, 3);
    }
    assert_eq!(dataset.holistic.name, "overall");
}

#[test]
fn one_file_serves_several_objectives() {
    let files = Files::new();
    let rated = |prompt: usize, response: &str, quality: f64, brevity: f64| {
        let scores = json!({ "quality": quality, "brevity": brevity });
        json!({ "prompt": format!("p{prompt}"), "response": response, "scores": scores })
    };
    let all: Vec<Value> = (0..200).flat_map(|p| [rated(p, "long one", 5.0, 1.0), rated(p, "x", 2.0, 4.0)]).collect();
    let quality = files.source("rated", &all);
    let brevity = SourceConfig { score: "brevity".to_owned(), ..quality.clone() };
    let dataset = load(&config(vec![vec![quality], vec![brevity]], vec![])).expect("loads");
    let [quality, brevity] = dataset.objectives.as_slice() else { panic!("two objectives") };
    assert_eq!((quality.audit.length.longer_wins, brevity.audit.length.longer_wins), (1.0, 0.0));
    assert_eq!(quality.audit.sources[0].digest, brevity.audit.sources[0].digest);
    assert_eq!(dataset.items.len(), 400);
}

#[test]
fn labels_come_from_the_row_where_it_says_so() {
    let files = Files::new();
    let says = ["Human (2 annotators)", "ai:gpt-4", "rule+ai validated", "gold truth"];
    let mut all = rows(200);
    for (index, row) in all.iter_mut().enumerate().skip(100) {
        row["by"] = says[index % 4].into();
    }
    let labelled =
        SourceConfig { labels: LabelSource::Ai, label_source_field: Some("by".to_owned()), ..files.source("a", &all) };
    let dataset = load(&config(vec![vec![labelled.clone()]], vec![])).expect("loads");
    let counts: Vec<usize> = dataset.objectives[0].audit.labels.values().copied().collect();
    assert_eq!(counts, [25, 125, 50]);
    let misspelt = SourceConfig { label_source_field: Some("bye".to_owned()), ..labelled };
    assert!(refusal(&config(vec![vec![misspelt]], vec![])).contains("did you mean \"by\"?"));
}

#[test]
fn bad_rows_are_reported_together_and_twenty_at_most() {
    let files = Files::new();
    let mut all = rows(100);
    all[3] = json!({ "prompt": "p", "chosen": "a" });
    all[7] = json!({ "prompt": "p", "chosen": 4, "rejected": "b" });
    let bad = files.source("bad", &all);
    let message = refusal(&config(vec![vec![bad.clone()], vec![bad]], vec![]));
    assert!(message.contains("bad:4, field \"rejected\": missing"), "{message}");
    assert!(message.contains("bad:8, field \"chosen\": a number"), "{message}");
    assert_eq!(message.matches("error[data]").count(), 2, "{message}");
    let all = [rows(1), vec![json!({ "prompt": 1, "chosen": "a", "rejected": "b" }); 50]].concat();
    let message = refusal(&config(vec![vec![files.source("worse", &all)]], vec![]));
    assert_eq!(message.matches("error[data]").count(), 3);
    assert!(message.contains("17 or more other rows are refused for the same reason"), "{message}");
    let row = |number| json!({ "prompt": "p", "chosen": "a", "rejected": "b", "votes": [number] });
    let rows: Vec<Value> = (1..=50).map(row).collect();
    let message = refusal(&config(vec![vec![files.source("varied", &rows)]], vec![]));
    assert_eq!(message.matches("error[data]").count(), 20, "{message}");
}

#[test]
fn sources_and_objectives_of_no_use_are_refused() {
    let files = Files::new();
    let mostly_equal = [vec![row(0, "a", "a"); 3], rows(2)].concat();
    let unmarked = SourceConfig { split_field: Some("split".to_owned()), ..files.source("u", &rows(200)) };
    let misnamed: Vec<Value> = rows(30)
        .into_iter()
        .map(|mut row| {
            row["split"] = "tset".into();
            row
        })
        .collect();
    let misnamed = SourceConfig { split_field: Some("split".to_owned()), ..files.source("m", &misnamed) };
    for (source, expected) in [
        (files.source("empty", &[]), "0 rows"),
        (files.source("equal", &mostly_equal), "3 of 5 rows have identical sides"),
        (files.source("few", &rows(5)), "at least 20 training, 1 calibration and 1 test pair"),
        (files.source("foreign", &vec![json!({ "text": "x", "label": 1 }); 9]), "in no known format"),
        (files.source("text", &vec![json!("a,b"); 9]), "text:1, column 1: text, not an object"),
        (unmarked, "no row has the field \"split\""),
        (misnamed, "did you mean `test`?"),
    ] {
        let message = refusal(&config(vec![vec![source]], vec![]));
        assert!(message.contains(expected), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_rows_does_not_matter(
        shuffled in Just((0..240usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let files = Files::new();
        let pair = |index: usize| {
            let votes = json!([1 + index % 3, 1 + index % 2]);
            let (chosen, rejected) = (format!("answer {}", index % 5), format!("answer {}", (index + 1) % 4));
            let split = if index.is_multiple_of(17) { "test" } else { "train" };
            let prompt = format!("question {}", index % 60);
            json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected, "votes": votes, "split": split })
        };
        let read = |order: &[usize]| {
            let all: Vec<Value> = order.iter().map(|index| pair(*index)).collect();
            let source = SourceConfig {
                split_field: Some("split".to_owned()),
                max_pairs_per_prompt: Some(3),
                ..files.source("rows", &all)
            };
            load(&config(vec![vec![source]], vec![])).expect("loads")
        };
        let ordered: Vec<usize> = (0..240).collect();
        prop_assert_eq!(read(&ordered), read(&shuffled));
    }
}

#[test]
fn what_the_detected_format_has_no_use_for_is_refused() {
    let files = Files::new();
    for key in ["rule", "score", "min_gap"] {
        let source = SourceConfig { given: vec![key], ..files.source("given", &rows(60)) };
        let error = load(&config(vec![vec![source]], Vec::new())).expect_err("refused").to_string();
        assert!(error.contains(&format!("the format pairs was detected, in which {key} has no meaning")), "{error}");
    }
}

#[test]
fn more_answers_to_a_prompt_than_fit_into_memory_are_refused() {
    let files = Files::new();
    let row =
        |index: usize| json!({ "prompt": "q", "completion": format!("a {index}"), "label": index.is_multiple_of(2) });
    let source = files.source("many", &(0..5_000).map(row).collect::<Vec<Value>>());
    let error = load(&config(vec![vec![source]], Vec::new())).expect_err("refused").to_string();
    assert!(error.contains("one prompt has 5000 answers"), "{error}");
    let weighted = json!({ "prompt": "q", "completion": "a", "label": true, "weight": 2 });
    let error = load(&config(vec![vec![files.source("w", &[weighted])]], Vec::new())).expect_err("refused");
    assert!(error.to_string().contains("field \"weight\": a row that is one answer"), "{error}");
}

#[test]
fn published_ultrafeedback_rows_are_pairs_although_messages_stand_beside_them() {
    let files = Files::new();
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    let row = |index: usize| {
        let prompt = format!("question {index}");
        let side = |answer: &str| json!([message("user", &prompt), message("assistant", answer)]);
        json!({ "prompt": prompt, "prompt_id": "x", "chosen": side("good"), "rejected": side("bad"),
            "messages": side("good"), "score_chosen": 8.0, "score_rejected": 3.0 })
    };
    let source = files.source("ultra", &(0..300).map(row).collect::<Vec<Value>>());
    let dataset = load(&config(vec![vec![source]], Vec::new())).expect("loads");
    let audit = &dataset.objectives[0].audit.sources[0];
    assert_eq!((audit.format, audit.pairs), (Format::Pairs, 300));
    assert_eq!(dataset.items[dataset.objectives[0].pairs[0].chosen].response, "good");
}

#[test]
fn lists_need_no_splits_and_share_items() {
    let files = Files::new();
    let (short, holistic) =
        (files.source("a", &rows(3)), files.source("b", &[row(1, "good", "bad"), row(9, "a", "b")]));
    let lists: [(&str, &[SourceConfig]); 2] = [("quality", std::slice::from_ref(&short)), ("safety", &[])];
    let dataset = load_lists(&lists, &[holistic]).expect("short lists are no fault");
    let counts: Vec<(&str, usize)> =
        dataset.objectives.iter().map(|list| (list.name.as_str(), list.pairs.len())).collect();
    assert_eq!(counts, [("quality", 3), ("safety", 0)]);
    // Three prompts with two answers, one more prompt in the holistic list, which has one of the three too.
    assert_eq!((dataset.holistic.pairs.len(), dataset.items.len()), (2, 8));
    let shared = dataset.holistic.pairs.iter().filter(|pair| {
        dataset.objectives[0].pairs.iter().any(|other| (other.chosen, other.rejected) == (pair.chosen, pair.rejected))
    });
    assert_eq!(shared.count(), 1);
}
