//! The figures of published benchmarks, each as its own script works them out: pure functions over scores.
//!
//! One file per benchmark. Every one gives the tables of one predictor (a head, the combined score, a rule that looks at
//! the length only) and what the predictor earned row by row, from which two predictors can be compared. Equal scores
//! count as the benchmark's script counts them, which differs from one to the other.

pub mod judge_bench;
pub mod pairs;
pub mod reward_bench;
pub mod reward_bench2;
pub mod rm_bench;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::intervals::{Estimate, clustered_mean};

/// Why a figure of rows is not defined.
const NO_ROWS: &str = "no rows";

/// One figure of one predictor.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Figure {
    /// A share of right answers with its 95% interval, clustered by prompt.
    Accuracy(Estimate),
    /// A figure made of others, or by a formula over all rows together.
    Composite {
        /// The figure.
        value: f64,
        /// How many rows it is made of.
        n: usize,
    },
    /// A figure that these rows do not define.
    Undefined {
        /// Why.
        why: String,
    },
}

impl Figure {
    /// The number; `None` where it is not defined.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Accuracy(estimate) => Some(estimate.value),
            Self::Composite { value, .. } => Some(*value),
            Self::Undefined { .. } => None,
        }
    }

    /// How many rows it is made of.
    pub fn n(&self) -> usize {
        match self {
            Self::Accuracy(estimate) => estimate.n,
            Self::Composite { n, .. } => *n,
            Self::Undefined { .. } => 0,
        }
    }
}

/// Figures of one predictor that belong together. Titles and names depend on the rows alone, not on the scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// What they are about.
    pub title: String,
    /// Each with its name.
    pub figures: Vec<(String, Figure)>,
}

/// What a predictor earned on a row, 0 to 1, and the prompt's number.
pub type Credit = (f64, usize);

/// By how much the first predictor earned more than the second on the same rows, with a 95% interval clustered by
/// prompt; `None` without rows or when the lists are not of the same rows.
pub fn lead(first: &[Credit], second: &[Credit]) -> Option<Estimate> {
    let same = first.len() == second.len() && first.iter().zip(second).all(|(first, second)| first.1 == second.1);
    let rows: Vec<Credit> = first.iter().zip(second).map(|(first, second)| (first.0 - second.0, first.1)).collect();
    same.then(|| clustered_mean(&rows, (-1.0, 1.0))).flatten()
}

/// The mean credit of rows as an accuracy.
fn accuracy(rows: impl Iterator<Item = Credit>) -> Figure {
    let rows: Vec<Credit> = rows.collect();
    clustered_mean(&rows, (0.0, 1.0)).map_or_else(|| Figure::Undefined { why: NO_ROWS.to_owned() }, Figure::Accuracy)
}

/// The plain mean of figures; where one is not defined, neither is the mean.
fn average(parts: &[(String, Figure)]) -> Figure {
    let missing: Vec<&str> =
        parts.iter().filter(|(_, figure)| figure.value().is_none()).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        return Figure::Undefined { why: format!("it needs {}", missing.join(", ")) };
    }
    let sum: f64 = parts.iter().filter_map(|(_, figure)| figure.value()).sum();
    Figure::Composite { value: sum / parts.len() as f64, n: parts.iter().map(|(_, figure)| figure.n()).sum() }
}

/// At most this many names are listed that a benchmark does not fix.
const LISTED: usize = 20;

/// What stands under a name, by name: the 20 names under which most stands (of as many by alphabet), and how many
/// other names there are.
pub fn largest<'a, T>(named: impl Iterator<Item = (&'a str, T)>) -> (BTreeMap<&'a str, Vec<T>>, usize) {
    let mut groups: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (name, value) in named {
        groups.entry(name).or_default().push(value);
    }
    let mut groups: Vec<(&str, Vec<T>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, values)| Reverse(values.len()));
    let more = groups.len().saturating_sub(LISTED);
    (groups.into_iter().take(LISTED).collect(), more)
}

/// One accuracy for each of the [`largest`] names that are not known, by alphabet; `None` where all are known.
fn others<'a>(
    title: &str,
    rows: impl Iterator<Item = (&'a str, Credit)>,
    known: impl Fn(&str) -> bool,
) -> Option<Figures> {
    let (groups, _) = largest(rows.filter(|(name, _)| !known(name)));
    let figure = |(name, rows): (&str, Vec<Credit>)| (name.to_owned(), accuracy(rows.into_iter()));
    let figures: Vec<(String, Figure)> = groups.into_iter().map(figure).collect();
    (!figures.is_empty()).then(|| Figures { title: title.to_owned(), figures })
}
