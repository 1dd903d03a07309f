//! Reference responses and domains: what joins the items, whose domain counts, and what is refused.

use super::*;
use crate::config::ReferenceConfig;
use crate::data::{Item, Message, Role};

fn reference(files: &Files, rows: &[Value]) -> ReferenceConfig {
    let SourceConfig { path, files, columns, .. } = files.source("samples", rows);
    ReferenceConfig { path, files, columns, domain_field: None }
}

fn sample(prompt: usize, response: &str) -> Value {
    json!({ "prompt": format!("question {prompt}"), "response": response })
}

fn prompt_key(prompt: usize) -> Digest {
    let prompt = vec![Message { role: Role::User, content: format!("question {prompt}") }];
    Item { prompt, response: String::new() }.prompt_key()
}

/// The same rows, each with a field that names its domain; the empty name stands for none.
fn in_domain(rows: Vec<Value>, name: impl Fn(usize) -> String) -> Vec<Value> {
    let with = |(index, mut row): (usize, Value)| {
        row["kind"] = name(index).into();
        row
    };
    rows.into_iter().enumerate().map(with).collect()
}

#[test]
fn reference_responses_join_the_items_without_labels_and_count_as_often_as_they_stand_there() {
    let files = Files::new();
    let plain = config(vec![vec![files.source("pairs", &rows(200))]], vec![]);
    let alone = load(&plain).expect("loads");
    assert!(alone.reference.is_empty() && alone.domains.is_empty());

    // One response of the pairs, one of its own, and one that stands there three times, as messages once.
    let messages = json!({ "messages": [
        { "role": "user", "content": "question 7" }, { "role": "assistant", "content": "often" }] });
    let samples = [sample(3, "good"), sample(7, "often"), sample(900, "new"), messages, sample(7, "often")];
    let read = |samples: &[Value]| {
        let reference = Some(reference(&files, samples));
        load(&Config { reference, ..plain.clone() }).expect("loads")
    };
    let dataset = read(&samples);
    assert_eq!((dataset.items.len(), alone.items.len()), (402, 400));
    assert_eq!(dataset.objectives[0].pairs.len(), alone.objectives[0].pairs.len());
    assert_eq!(dataset.objectives[0].audit, alone.objectives[0].audit);
    let mut responses: Vec<&str> =
        dataset.reference.iter().map(|&item| dataset.items[item].response.as_str()).collect();
    responses.sort_unstable();
    assert_eq!(responses, ["good", "new", "often", "often", "often"]);
    assert!(dataset.reference.is_sorted());
    let backwards: Vec<Value> = samples.into_iter().rev().collect();
    assert_eq!(read(&backwards), dataset);
}

#[test]
fn a_prompt_has_one_domain_and_conflicts_are_counted() {
    let files = Files::new();
    let names = ["verse", "code", ""];
    let first = in_domain(rows(200), |index| names[index % 3].to_owned());
    // The second source calls prompts 0 to 4 otherwise: two conflicts with `verse`, one with `code`, two without a name.
    let second = in_domain((0..5).map(|prompt| row(prompt, "better", "worse")).collect(), |index| {
        ["cooking", "code", "cooking", "verse", "cooking"][index].to_owned()
    });
    let marked =
        |name: &str, rows: &[Value]| SourceConfig { domain_field: Some("kind".to_owned()), ..files.source(name, rows) };
    let sources = |order: [usize; 2]| {
        let both = [marked("first", &first), marked("second", &second)];
        order.map(|index| both[index].clone()).to_vec()
    };
    let dataset = load(&config(vec![sources([0, 1])], vec![])).expect("loads");
    let of = |prompt: usize| dataset.domains.get(&prompt_key(prompt)).map(String::as_str);
    // 0: verse, cooking. 1: code twice. 2: only the second says. 3: verse twice. 4: code, cooking.
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 6].map(of),
        [Some("cooking"), Some("code"), Some("cooking"), Some("verse"), Some("code"), None, Some("verse"),]
    );
    assert_eq!(dataset.objectives[0].audit.domain_conflicts, 2);
    let swapped = load(&config(vec![sources([1, 0])], vec![])).expect("loads");
    assert_eq!((swapped.domains, swapped.items), (dataset.domains, dataset.items));
}

#[test]
fn the_domain_of_a_reference_row_is_its_prompts() {
    let files = Files::new();
    let mut config = config(vec![vec![files.source("pairs", &rows(200))]], vec![]);
    let samples = in_domain((0..40).map(|prompt| sample(prompt, "sampled")).collect(), |_| " code ".to_owned());
    config.reference = Some(ReferenceConfig { domain_field: Some("kind".to_owned()), ..reference(&files, &samples) });
    let dataset = load(&config).expect("loads");
    assert_eq!(dataset.domains.len(), 40);
    assert_eq!(dataset.domains.get(&prompt_key(39)).map(String::as_str), Some("code"));
}

#[test]
fn a_reference_of_no_use_is_refused() {
    let files = Files::new();
    let plain = config(vec![vec![files.source("pairs", &rows(200))]], vec![]);
    let refused = |samples: &[Value], field: Option<&str>| {
        let domain_field = field.map(str::to_owned);
        let reference = Some(ReferenceConfig { domain_field, ..reference(&files, samples) });
        refusal(&Config { reference, ..plain.clone() })
    };
    let samples = |kind: fn(usize) -> String| in_domain((0..100).map(|prompt| sample(prompt, "a")).collect(), kind);
    for (samples, field, expected) in [
        (vec![], None, "0 rows"),
        (vec![json!({ "prompt": "q", "chosen": "a" })], None, "samples:1, field \"response\": missing"),
        (samples(|_| "code".to_owned()), Some("knd"), "did you mean \"kind\"?"),
        (samples(|index| format!("row {index}")), Some("kind"), "\"kind\" names more than 64 domains"),
    ] {
        let message = refused(&samples, field);
        assert!(message.contains(expected), "{message}");
    }
    let many = vec![json!({ "prompt": "q" }); 50];
    let message = refused(&many, None);
    assert!(message.contains("17 or more other rows are refused for the same reason"), "{message}");
}

#[test]
fn sources_that_name_too_many_domains_together_are_refused() {
    let files = Files::new();
    let source = |name: &str| {
        let rows = in_domain(rows(200), |index| format!("{name} {}", index % 40));
        SourceConfig { domain_field: Some("kind".to_owned()), ..files.source(name, &rows) }
    };
    assert!(load(&config(vec![vec![source("a")]], vec![])).is_ok());
    let apart = |rows: Vec<Value>| {
        rows.into_iter().map(|mut row| {
            row["prompt"] = format!("another {}", row["prompt"]).into();
            row
        })
    };
    let other: Vec<Value> = apart(in_domain(rows(200), |index| format!("b {}", index % 40))).collect();
    let other = SourceConfig { domain_field: Some("kind".to_owned()), ..files.source("b", &other) };
    let message = refusal(&config(vec![vec![source("a"), other]], vec![]));
    assert!(message.contains("the sources name 80 domains together"), "{message}");
}
