//! The scores that `ensemble score` gives offline, and the comparison of an answer with them to the last bit.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ensemble::error::{Error, Fault, Result};
use ensemble::files;
use serde_json::Value;

use crate::setup::Setup;
use crate::texts::{Layout, Text};

/// The numbers of one text by their place, as bits of f64.
pub(crate) type Numbers = BTreeMap<String, u64>;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) texts: usize,
    pub(crate) numbers: usize,
    /// Numbers with other bits, numbers that are missing or too many, and replies that cannot be read.
    pub(crate) wrong: usize,
    /// The first of them in words.
    pub(crate) first: Option<String>,
}

impl Comparison {
    pub(crate) fn add(&mut self, other: Self) {
        self.texts += other.texts;
        self.numbers += other.numbers;
        self.wrong += other.wrong;
        self.first = self.first.take().or(other.first);
    }

    /// One thing that is wrong as a whole.
    pub(crate) fn wrong(found: String) -> Self {
        Self { wrong: 1, first: Some(found), ..Self::default() }
    }
}

/// Scores texts offline, or reads the file that takes the place of these scores.
pub(crate) fn truth(setup: &Setup, texts: &[Text]) -> Result<Vec<Numbers>> {
    let output = match &setup.truth {
        Some(path) => files::read_text(path, "the expected scores")?,
        None => score_offline(setup, texts)?.0,
    };
    let numbers: Vec<Numbers> = output.lines().map(numbers_of_line).collect::<Result<_>>()?;
    if numbers.len() < texts.len() {
        let found = format!("{} rows for {} texts", numbers.len(), texts.len());
        return Err(Error::Data(vec![Fault::new("the expected scores", found)]));
    }
    Ok(numbers)
}

/// What `ensemble score` writes for texts, and how long the process took.
pub(crate) fn score_offline(setup: &Setup, texts: &[Text]) -> Result<(String, Duration)> {
    let folder = tempfile::tempdir().map_err(|error| Error::Io(vec![Fault::new("a temporary folder", error)]))?;
    let path = folder.path().join("texts.jsonl");
    let rows: String = texts.iter().map(|text| format!("{}\n", text.item(Layout::Parts))).collect();
    files::write_atomic(&path, rows.as_bytes())?;
    run_score(setup, &path)
}

fn run_score(setup: &Setup, path: &Path) -> Result<(String, Duration)> {
    let mut command = setup.command("score");
    command.arg(path).stdin(Stdio::null());
    let start = Instant::now();
    let output = command.output();
    let took = start.elapsed();
    let failed = |found: String| Error::Io(vec![Fault::new(format!("{} score", setup.binary.display()), found)]);
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), took))
}

fn numbers_of_line(line: &str) -> Result<Numbers> {
    let row: Value = serde_json::from_str(line)
        .map_err(|error| Error::Data(vec![Fault::new("a line of the expected scores", error)]))?;
    Ok(numbers(&row))
}

/// Every number of a result but its index, by its place.
fn numbers(result: &Value) -> Numbers {
    let mut found = Numbers::new();
    for field in ["combined", "scores", "ood", "tokens", "cut_tokens"] {
        collect(&result[field], field, &mut found);
    }
    found
}

fn collect(value: &Value, place: &str, found: &mut Numbers) {
    if let Some(number) = value.as_f64() {
        found.insert(place.to_owned(), number.to_bits());
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        collect(value, &format!("{place}.{name}"), found);
    }
}

/// Compares the results in the body of a reply with the numbers expected of its items, in their order.
pub(crate) fn compare(body: &[u8], expected: &[&Numbers]) -> Comparison {
    let reply: Value = match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(error) => return Comparison::wrong(format!("no JSON: {error}")),
    };
    let results = reply["results"].as_array().map_or(&[][..], Vec::as_slice);
    if results.len() != expected.len() {
        return Comparison::wrong(format!("{} results for {} items", results.len(), expected.len()));
    }
    let mut sum = Comparison::default();
    for (index, (result, expected)) in results.iter().zip(expected).enumerate() {
        if result["index"].as_u64() != Some(index as u64) {
            sum.add(Comparison::wrong(format!("result {index} says index {}", result["index"])));
        }
        sum.add(compare_numbers(&numbers(result), expected));
    }
    sum
}

fn compare_numbers(found: &Numbers, expected: &Numbers) -> Comparison {
    let mut comparison = Comparison { texts: 1, numbers: found.len(), ..Comparison::default() };
    let places: std::collections::BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    for place in places {
        let (found, expected) = (found.get(place), expected.get(place));
        if found != expected {
            let shown =
                |bits: Option<&u64>| bits.map_or("nothing".to_owned(), |bits| f64::from_bits(*bits).to_string());
            comparison.wrong += 1;
            let first = || format!("{place}: {} instead of {}", shown(found), shown(expected));
            comparison.first = comparison.first.take().or_else(|| Some(first()));
        }
    }
    comparison
}
