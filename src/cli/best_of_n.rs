//! `ensemble best-of-n`: which of several answers to a prompt scores highest, how all of them rank, and what the best of n
//! is worth.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use serde_json::{Map, Value, json};

use super::arguments::BestOfNOptions;
use super::machine::Machine;
use super::score::open_input;
use super::ui::{Ui, columns, stdout_error};
use crate::data::{Item, parse_item, plain};
use crate::ensemble::Scoring;
use crate::error::{Error, Fault, Result, quote};
use crate::evaluate::{Estimate, best_of_n, best_of_n_divergence, clustered_mean};
use crate::files::{self, Digest};

/// Answers scored together; scores do not depend on it.
const BATCH: usize = 256;
const PURPOSE: &str = "the answers to choose from";

/// The answers to one prompt, in the order of the input.
struct Choice {
    /// The row's own fields that say what was asked.
    prompt: Map<String, Value>,
    items: Vec<Item>,
    /// What people say the answers are worth; empty without `--gold`.
    gold: Vec<f64>,
    scores: Vec<f64>,
}

pub(super) fn run(options: &BestOfNOptions, machine: Machine, ui: &Ui) -> Result<u8> {
    let ensemble = machine.open(&options.registry)?.with_weights(&options.weights)?;
    let mut choices = read(options)?;
    let scoring = ensemble.scoring()?;
    choices.iter_mut().try_for_each(|choice| score(&scoring, choice))?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    for choice in &choices {
        writeln!(output, "{}", described(choice)).map_err(|error| stdout_error(&error))?;
    }
    output.flush().map_err(|error| stdout_error(&error))?;
    let curve = curve(&choices, options.most);
    if let Some(path) = &options.curve {
        let document =
            json!({ "prompts": curve.prompts, "points": curve.points.iter().map(point).collect::<Vec<_>>() });
        files::write_atomic(path, format!("{document:#}\n").as_bytes())?;
    }
    show(&curve, choices.len(), options, ui);
    Ok(0)
}

/// The answers of all rows, those of one prompt together, in the order in which the prompts come up.
fn read(options: &BestOfNOptions) -> Result<Vec<Choice>> {
    let mut choices: Vec<Choice> = Vec::new();
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    for record in open_input(&options.input, PURPOSE)? {
        let record = record?;
        let object = plain(&record)?;
        for (item, gold) in answers(&object, &record.place, options.gold.as_deref())? {
            // The prompt as it is, not as splits see it: another capital letter is another question to a model.
            let key = Item { prompt: item.prompt.clone(), response: String::new() }.key();
            let place = *places.entry(key).or_insert(choices.len());
            if place == choices.len() {
                choices.push(Choice { prompt: asked(&object, &item), items: vec![], gold: vec![], scores: vec![] });
            }
            choices[place].items.push(item);
            choices[place].gold.extend(gold);
        }
    }
    Ok(choices)
}

/// The fields of a row that say what was asked; a row of `messages` has its prompt among them.
fn asked(object: &Map<String, Value>, item: &Item) -> Map<String, Value> {
    let fields = ["id", "prompt"].into_iter().filter_map(|field| Some((field.to_owned(), object.get(field)?.clone())));
    let mut asked: Map<String, Value> = fields.collect();
    let messages = item.prompt.iter().map(|one| json!({ "role": one.role.word(), "content": one.content }));
    asked.entry("prompt").or_insert_with(|| messages.collect());
    asked
}

/// A row's answers with what they are worth: one in `response` or `messages`, or several in `responses`.
fn answers(object: &Map<String, Value>, place: &str, gold: Option<&str>) -> Result<Vec<(Item, Option<f64>)>> {
    let refused = |field: &str, found: String, accepts: &str| {
        Error::Data(vec![Fault::new(format!("{place}, field {}", quote(field)), found).accepts(accepts)])
    };
    let worth = |value: Option<&Value>, field: &str| {
        let number = value.and_then(Value::as_f64);
        number.ok_or_else(|| refused(field, value.map_or_else(|| "missing".to_owned(), Value::to_string), "a number"))
    };
    let Some(list) = object.get("responses") else {
        let item = parse_item(object, place)?;
        let gold = gold.map(|field| worth(named(object, field), field)).transpose()?;
        return Ok(vec![(item, gold)]);
    };
    let accepts = "a list of answers, each text or a list of one assistant message";
    let list = list.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| refused("responses", "no list, or an empty one".to_owned(), accepts))?;
    let ratings = gold.map(|field| {
        let ratings = named(object, field).and_then(Value::as_array).filter(|ratings| ratings.len() == list.len());
        ratings.ok_or_else(|| refused(field, "no list as long as `responses`".to_owned(), "one number per answer"))
    });
    let ratings = ratings.transpose()?;
    let mut row = object.clone();
    row.remove("responses");
    let answer = |(index, response): (usize, &Value)| {
        let mut row = row.clone();
        row.insert("response".to_owned(), response.clone());
        let item = parse_item(&row, place)?;
        let gold = ratings.map(|ratings| worth(ratings.get(index), gold.unwrap_or_default())).transpose()?;
        Ok((item, gold))
    };
    list.iter().enumerate().map(answer).collect()
}

/// The field of this name, or what a name with dots leads to: `scores.helpfulness`.
fn named<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(field) {
        return Some(value);
    }
    let (outer, inner) = field.split_once('.')?;
    named(object.get(outer)?.as_object()?, inner)
}

fn score(scoring: &Scoring, choice: &mut Choice) -> Result<()> {
    for batch in choice.items.chunks(BATCH) {
        choice.scores.extend(scoring.score(batch)?.iter().map(|score| score.combined));
    }
    Ok(())
}

/// The places of the answers, the best first; of equals the one that comes first in the input.
fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|&left, &right| scores[right].total_cmp(&scores[left]).then(left.cmp(&right)));
    places
}

fn described(choice: &Choice) -> Value {
    let ranking = ranking(&choice.scores);
    let best = ranking.first().copied().unwrap_or_default();
    let mut row = choice.prompt.clone();
    row.insert("chosen".to_owned(), json!(choice.items[best].response));
    row.insert("chosen_index".to_owned(), json!(best));
    row.insert("ranking".to_owned(), json!(ranking));
    row.insert("combined".to_owned(), json!(choice.scores));
    if let Some(gold) = choice.gold.get(best) {
        row.insert("gold".to_owned(), json!(gold));
    }
    Value::Object(row)
}

/// What the best of 1, 2, … answers is worth, on the prompts that have enough answers for all of these.
struct Curve {
    prompts: usize,
    points: Vec<Point>,
}

struct Point {
    n: usize,
    score: Estimate,
    gold: Option<Estimate>,
}

/// Up to `most` answers, or as many as half of the prompts have.
fn curve(choices: &[Choice], most: Option<usize>) -> Curve {
    let mut counts: Vec<usize> = choices.iter().map(|choice| choice.items.len()).collect();
    counts.sort_unstable();
    let most = most.or_else(|| counts.get(counts.len() / 2).copied()).unwrap_or(0);
    let enough: Vec<&Choice> = choices.iter().filter(|choice| choice.items.len() >= most).collect();
    let mean = |n: usize, values: &dyn Fn(&Choice) -> &[f64]| {
        let worth = |(index, choice): (usize, &&Choice)| Some((best_of_n(&choice.scores, values(choice), n)?, index));
        let rows: Vec<(f64, usize)> = enough.iter().enumerate().filter_map(worth).collect();
        let ends =
            rows.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |ends, row| (ends.0.min(row.0), ends.1.max(row.0)));
        clustered_mean(&rows, ends)
    };
    let point = |n: usize| {
        let gold = mean(n, &|choice| choice.gold.as_slice());
        Some(Point { n, score: mean(n, &|choice| choice.scores.as_slice())?, gold })
    };
    Curve { prompts: enough.len(), points: (1..=most).filter_map(point).collect() }
}

fn point(point: &Point) -> Value {
    let estimate = |one: &Estimate| json!({ "value": one.value, "low": one.low, "high": one.high });
    let mut object =
        json!({ "n": point.n, "divergence": best_of_n_divergence(point.n), "score": estimate(&point.score) });
    if let Some(gold) = &point.gold {
        object["gold"] = estimate(gold);
    }
    object
}

fn show(curve: &Curve, prompts: usize, options: &BestOfNOptions, ui: &Ui) {
    ui.note(&format!("{prompts} prompts"));
    if curve.points.is_empty() {
        ui.note("no curve: no prompt has that many answers");
        return;
    }
    let most = curve.points.len();
    ui.note(&format!(
        "mean over {} prompts with at least {most} answers and over all ways to take n of them:",
        curve.prompts
    ));
    let words = |one: &Estimate| format!("{:.3} ({:.3} to {:.3})", one.value, one.low, one.high);
    let mut heading = vec!["n", "nats", "combined score of the best of n"];
    heading.extend(options.gold.as_deref());
    let row = |point: &Point| {
        let cells = [point.n.to_string(), format!("{:.2}", best_of_n_divergence(point.n)), words(&point.score)];
        cells.into_iter().chain(point.gold.as_ref().map(words)).collect::<Vec<String>>()
    };
    let rows: Vec<Vec<String>> =
        std::iter::once(heading.into_iter().map(str::to_owned).collect()).chain(curve.points.iter().map(row)).collect();
    columns(&rows).iter().for_each(|line| ui.note(line));
}
