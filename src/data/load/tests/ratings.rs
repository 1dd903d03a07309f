//! Ratings that are kept beside the pairs: which, whose, in which order, and what is refused where a head needs them.

use super::*;
use crate::config::{Criterion, RuleConfig};

/// A run of one objective with this loss.
fn run(loss: Loss, sources: Vec<SourceConfig>) -> Config {
    let mut config = config(vec![sources], vec![]);
    config.objectives[0].head = HeadKind::Linear(head(loss));
    config
}

fn rated(prompt: usize, response: &str, score: &Value) -> Value {
    json!({ "prompt": format!("question {prompt}"), "response": response, "scores": { "quality": score } })
}

/// 200 prompts with the answers `good` (4), `bad` (1) and, in every fourth, `same` (4).
fn three_answers() -> Vec<Value> {
    let answers = |prompt: usize| {
        let mut rows = vec![rated(prompt, "good", &json!([5, 3])), rated(prompt, "bad", &json!(1))];
        if prompt.is_multiple_of(4) {
            rows.push(rated(prompt, "same", &json!(4)));
        }
        rows
    };
    (0..200).flat_map(answers).collect()
}

/// (response, score) of each rating, with the checks that hold of all ratings.
fn checked(dataset: &Dataset) -> Vec<(&str, f64)> {
    let objective = &dataset.objectives[0];
    assert!(objective.ratings.windows(2).all(|two| two[0].item < two[1].item), "one per item, in order");
    for pair in &objective.pairs {
        let of = |item| objective.ratings.iter().find(|rating| rating.item == item).expect("rated");
        assert_eq!((of(pair.chosen).split, of(pair.chosen).prompt_key), (pair.split, pair.prompt_key));
        assert!(of(pair.chosen).score > of(pair.rejected).score);
    }
    let of = |rating: &crate::data::ItemRating| {
        let item = &dataset.items[rating.item];
        assert_eq!(item.prompt_key(), rating.prompt_key);
        (item.response.as_str(), rating.score)
    };
    objective.ratings.iter().map(of).collect()
}

#[test]
fn the_mean_score_of_every_answer_is_kept() {
    let files = Files::new();
    let lone = files.source("lone", &[rated(1_000, "alone", &json!(2))]);
    let sources = vec![files.source("rated", &three_answers()), lone];
    let dataset = load(&run(Loss::Regression, sources.clone())).expect("loads");
    let ratings = checked(&dataset);
    let count = |response: &str, score: f64| {
        ratings.iter().filter(|(other, found)| *other == response && (found - score).abs() < 1e-12).count()
    };
    assert_eq!([count("good", 4.0), count("bad", 1.0), count("same", 4.0), count("alone", 2.0)], [200, 200, 50, 1]);
    assert_eq!((ratings.len(), dataset.items.len()), (451, 451), "answers in no pair are read too");

    let paired = load(&run(Loss::BradleyTerry, sources)).expect("loads");
    assert_eq!((checked(&paired).len(), paired.items.len()), (450, 450), "`alone` stands in no pair");
    assert_eq!(paired.objectives[0].pairs.len(), dataset.objectives[0].pairs.len());
}

#[test]
fn the_sign_of_the_score_is_applied() {
    let files = Files::new();
    let mut rows = three_answers();
    rows.push(rated(0, "zero", &json!(0)));
    let source = SourceConfig { score: "-quality".to_owned(), ..files.source("rated", &rows) };
    let dataset = load(&run(Loss::Regression, vec![source])).expect("loads");
    let ratings = checked(&dataset);
    let of = |response: &str| ratings.iter().find(|(other, _)| *other == response).expect("rated").1;
    assert_eq!([of("good"), of("bad")], [-4.0, -1.0]);
    assert!(of("zero").is_sign_positive(), "no negative zero");
}

#[test]
fn of_two_sources_the_more_direct_label_counts_and_then_the_value() {
    let files = Files::new();
    let moved = |by: f64| -> Vec<Value> {
        let move_one = |mut row: Value| {
            row["scores"]["quality"] = json!(if row["response"] == "bad" { 1.0 } else { 4.0 + by });
            row
        };
        three_answers().into_iter().map(move_one).collect()
    };
    let source = |name: &str, by: f64, labels| SourceConfig { labels, ..files.source(name, &moved(by)) };
    let judge = source("judge", -1.0, LabelSource::Ai);
    let people = source("people", 2.0, LabelSource::Human);
    let others = source("others", 1.0, LabelSource::Human);
    let read = |sources: Vec<SourceConfig>| {
        let dataset = load(&run(Loss::Regression, sources)).expect("loads");
        let good: Vec<f64> =
            checked(&dataset).iter().filter(|(one, _)| *one == "good").map(|(_, score)| *score).collect();
        assert!(good.iter().all(|score| score.total_cmp(&good[0]).is_eq()));
        (good[0], dataset.objectives[0].ratings.clone())
    };
    assert_eq!(read(vec![judge.clone(), people.clone()]).0, 6.0);
    let (forwards, backwards) =
        (read(vec![judge.clone(), people.clone(), others.clone()]), read(vec![others, people, judge]));
    assert_eq!(forwards.0, 5.0);
    assert_eq!(forwards, backwards);
}

#[test]
fn a_rule_gives_no_ratings() {
    let files = Files::new();
    let rule = RuleConfig { criterion: Criterion::FewerCharacters, min_gap: 0.0, equal_on: None, max_gap: 0.0 };
    let source = SourceConfig { rule: Some(rule), ..files.source("rated", &three_answers()) };
    let dataset = load(&run(Loss::BradleyTerry, vec![source])).expect("loads");
    assert!(!dataset.objectives[0].pairs.is_empty() && dataset.objectives[0].ratings.is_empty());
}

#[test]
fn regression_on_pairs_or_on_too_few_ratings_is_refused() {
    let files = Files::new();
    let message = refusal(&run(Loss::Regression, vec![files.source("pairs", &rows(200))]));
    assert!(message.contains("the format pairs, which has no ratings for loss: regression"), "{message}");
    let few: Vec<Value> = three_answers().into_iter().take(8).collect();
    let message = refusal(&run(Loss::Regression, vec![files.source("few", &few)]));
    assert!(message.contains("training ratings") && message.contains("at least 20"), "{message}");
}
