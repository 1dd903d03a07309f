//! Rated answers: `prompt`, `response`, `scores: {name: number, or one number a labeler}`.
//!
//! Answers to one prompt become pairs: by the difference of their mean scores, or by a rule.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Item;
use super::audit::{DUPLICATE_RATING, EMPTY, SourceAudit};
use super::pairs::{Candidate, explicit_prompt, side};
use super::row::{Row, kind};
use crate::config::{LabelSource, RuleConfig, RuleKind, SourceConfig};
use crate::error::{Fault, Result, did_you_mean, quote};
use crate::files::{self, Digest};

/// The layout of a rated answer.
const LAYOUT: &str = "`prompt` (text or messages), `response` (text) and `scores` (an object: one number, or a list \
                      of one number a labeler, per name)";
/// What decimal scores may be off by in binary: 0.7 − 0.6 counts as a difference of 0.1.
const ROUNDING: f64 = 1e-9;

/// One rated answer.
#[derive(Clone, Debug)]
struct Rating {
    /// The prompt's key.
    prompt: Digest,
    response: Digest,
    /// The item's key.
    key: Digest,
    /// One number a labeler; empty when the rule needs no score.
    scores: Vec<f64>,
    words: usize,
    labels: LabelSource,
}

impl Rating {
    fn mean(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64
    }

    /// An order by content in which copies of one answer to one prompt stand together.
    fn order(&self, other: &Self) -> Ordering {
        let scores = || self.scores.iter().zip(&other.scores).map(|(left, right)| left.total_cmp(right));
        (self.prompt, self.response, self.key, self.labels)
            .cmp(&(other.prompt, other.response, other.key, other.labels))
            .then_with(|| scores().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
            .then(self.scores.len().cmp(&other.scores.len()))
    }
}

/// The rated answers of one source.
#[derive(Clone, Debug, Default)]
pub(super) struct Rated {
    ratings: Vec<Rating>,
    names: BTreeSet<String>,
    without_score: usize,
}

/// The score that decides, or must be equal, for this source; `None` when its rule needs none.
fn score_name(source: &SourceConfig) -> Option<&str> {
    match &source.rule {
        Some(rule) => rule.equal_on.as_deref(),
        None => Some(&source.score),
    }
}

impl Rated {
    /// Takes one row; the item is returned for the pool unless its response is empty.
    ///
    /// # Errors
    /// A fault that names the field and the accepted layout.
    pub(super) fn add(
        &mut self,
        row: &Row,
        source: &SourceConfig,
        labels: LabelSource,
        audit: &mut SourceAudit,
    ) -> Result<Option<Item>, Fault> {
        let prompt = explicit_prompt(row, LAYOUT)?;
        let response = row.value("response").ok_or_else(|| row.missing("response", LAYOUT))?;
        let scores = self.scores(row, source)?;
        let Some(side) = side(row, "response", response, Some(&prompt))? else {
            audit.drop(EMPTY, 1);
            return Ok(None);
        };
        audit.joined_turns += usize::from(side.joined);
        let item = Item { prompt: side.prompt, response: side.response };
        match scores {
            None => self.without_score += 1,
            Some(scores) => self.ratings.push(Rating {
                prompt: item.prompt_key(),
                response: Digest::of(item.response.trim().as_bytes()),
                key: item.key(),
                scores,
                words: item.response.split_whitespace().count(),
                labels,
            }),
        }
        Ok(Some(item))
    }

    /// The numbers that this source asks for; `None` when the row lacks them.
    fn scores(&mut self, row: &Row, source: &SourceConfig) -> Result<Option<Vec<f64>>, Fault> {
        let Some(name) = score_name(source) else { return Ok(Some(Vec::new())) };
        let value = row.value("scores").ok_or_else(|| row.missing("scores", LAYOUT))?;
        let scores: &Map<String, Value> =
            value.as_object().ok_or_else(|| row.fault("scores", kind(value)).accepts(LAYOUT))?;
        for known in scores.keys() {
            if !self.names.contains(known) {
                self.names.insert(known.clone());
            }
        }
        let field = format!("scores.{name}");
        match scores.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(list @ Value::Array(_)) => {
                let list = row.list(&field, list)?;
                list.iter().map(|value| row.number(&field, value)).collect::<Result<Vec<f64>, Fault>>().map(Some)
            }
            Some(value) => row.number(&field, value).map(|number| Some(vec![number])),
        }
    }

    /// The pairs of all answers to the same prompt, in an order given by content; what makes no pair is counted.
    ///
    /// # Errors
    /// A fault when no row has the score, naming those that were seen.
    pub(super) fn pairs(mut self, source: &SourceConfig, audit: &mut SourceAudit) -> Result<Vec<Candidate>, Fault> {
        if let Some(name) = score_name(source) {
            if self.ratings.is_empty() && self.without_score > 0 {
                return Err(no_score(source, name, &self.names));
            }
            audit.drop(&format!("no score {name}"), self.without_score);
        }
        self.ratings.sort_by(Rating::order);
        let count = self.ratings.len();
        self.ratings.dedup_by(|right, left| (left.prompt, left.response) == (right.prompt, right.response));
        audit.drop(DUPLICATE_RATING, count - self.ratings.len());
        let mut candidates = Vec::new();
        for group in self.ratings.chunk_by(|left, right| left.prompt == right.prompt) {
            for (index, left) in group.iter().enumerate() {
                for right in group.iter().skip(index + 1) {
                    let pair = match &source.rule {
                        Some(rule) => by_rule(rule, left, right),
                        None => by_score(source.min_gap, left, right),
                    };
                    match pair {
                        Ok(candidate) => candidates.push(candidate),
                        Err(reason) => audit.drop(reason, 1),
                    }
                }
            }
        }
        Ok(candidates)
    }
}

fn no_score(source: &SourceConfig, name: &str, names: &BTreeSet<String>) -> Fault {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown: Vec<String> = names.iter().take(20).map(|name| quote(name)).collect();
    let fault = Fault::new(files::shown(&source.path), format!("no row has the score {}", quote(name)))
        .accepts(if shown.is_empty() { "a row with `scores`".to_owned() } else { shown.join(", ") });
    match did_you_mean(name, &names) {
        Some(near) => fault.help(format!("did you mean {}?", quote(near))),
        None => fault.help("name one of these with the source's `score` (or its rule's `equal_on`)"),
    }
}

fn candidate(winner: &Rating, loser: &Rating, preference: f64) -> Candidate {
    let labels = winner.labels.max(loser.labels); // a pair is worth what its less direct rating is worth
    Candidate { chosen: winner.key, rejected: loser.key, prompt: winner.prompt, preference, labels }.canonical()
}

/// The answer with the higher mean wins if the means are at least `min_gap` apart.
fn by_score(min_gap: f64, left: &Rating, right: &Rating) -> Result<Candidate, &'static str> {
    let difference = left.mean() - right.mean();
    if difference.abs() <= ROUNDING {
        return Err("equal scores");
    }
    if difference.abs() + ROUNDING < min_gap {
        return Err("scores closer than min_gap");
    }
    let (winner, loser) = if difference > 0.0 { (left, right) } else { (right, left) };
    Ok(candidate(winner, loser, share(&winner.scores, &loser.scores)))
}

/// The share of labelers who rate the winner higher, ties half, at least ½ (a mean may win against the majority).
/// Lists of one length are compared labeler by labeler; otherwise every rating of one with every rating of the other.
fn share(winner: &[f64], loser: &[f64]) -> f64 {
    let vote = |left: &f64, right: &f64| match left.total_cmp(right) {
        Ordering::Greater => 1.0,
        Ordering::Equal => 0.5,
        Ordering::Less => 0.0,
    };
    let votes: Vec<f64> = if winner.len() == loser.len() {
        winner.iter().zip(loser).map(|(left, right)| vote(left, right)).collect()
    } else {
        winner.iter().flat_map(|left| loser.iter().map(move |right| vote(left, right))).collect()
    };
    (votes.iter().sum::<f64>() / votes.len().max(1) as f64).max(0.5)
}

fn by_rule(rule: &RuleConfig, left: &Rating, right: &Rating) -> Result<Candidate, &'static str> {
    if rule.equal_on.is_some() && (left.mean() - right.mean()).abs() > rule.max_gap + ROUNDING {
        return Err("not equal on the rule's score");
    }
    match rule.kind {
        RuleKind::FewerWords => match left.words.cmp(&right.words) {
            Ordering::Less => Ok(candidate(left, right, 1.0)),
            Ordering::Greater => Ok(candidate(right, left, 1.0)),
            Ordering::Equal => Err("equal numbers of words"),
        },
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the expected fractions are exact in binary")]
mod tests {
    use serde_json::json;

    use super::super::load::tests::source;
    use super::super::row::parse_object;
    use super::*;

    fn read(source: &SourceConfig, rows: &[Value]) -> Result<(Vec<Candidate>, SourceAudit), Fault> {
        let mut audit = SourceAudit::new(source);
        let mut rated = Rated::default();
        for row in rows {
            let object = parse_object(&row.to_string()).expect("an object");
            rated.add(&Row { object: &object, place: "rows:1" }, source, LabelSource::Human, &mut audit)?;
        }
        let pairs = rated.pairs(source, &mut audit)?;
        Ok((pairs, audit))
    }

    fn rated(prompt: &str, response: &str, score: &Value) -> Value {
        json!({ "prompt": prompt, "response": response, "scores": { "quality": score } })
    }

    #[test]
    fn means_decide_and_labelers_give_the_share() {
        // Differences a−b by labeler: 2, 0, 1, −1: mean +0.5; votes 1 + ½ + 1 + 0 of 4.
        let rows = [rated("q", "a", &json!([4, 3, 3, 1])), rated("Q ", "b", &json!([2, 3, 2, 2]))];
        let (pairs, _) = read(&source("quality"), &rows).expect("readable");
        let a = Item { prompt: vec![user("q")], response: "a".to_owned() }.key();
        assert_eq!(pairs.len(), 1);
        assert_eq!((pairs[0].chosen, pairs[0].preference), (a, 0.625));
        // The mean wins against the majority: clamped to one half.
        assert_eq!(share(&[9.0, 1.0, 1.0], &[1.0, 2.0, 2.0]), 0.5);
        assert_eq!(share(&[3.0], &[1.0]), 1.0);
        assert_eq!(share(&[3.0, 1.0], &[2.0]), 0.5);
    }

    fn user(text: &str) -> super::super::Message {
        super::super::Message { role: super::super::Role::User, content: text.to_owned() }
    }

    #[test]
    fn the_gap_is_decimal_and_ties_make_no_pair() {
        let source = SourceConfig { min_gap: 0.1, ..source("quality") };
        let rows = [rated("q", "a", &json!(0.7)), rated("q", "b", &json!(0.6)), rated("q", "c", &json!(0.65))];
        let (pairs, audit) = read(&source, &rows).expect("readable");
        assert_eq!((pairs.len(), audit.dropped_as("scores closer than min_gap")), (1, 2));
        let source = SourceConfig { min_gap: 0.0, ..source };
        let rows = [rated("q", "a", &json!(1)), rated("q", "b", &json!(1.0)), rated("z", "a", &json!(3))];
        let (pairs, audit) = read(&source, &rows).expect("readable");
        assert_eq!((pairs.len(), audit.dropped_as("equal scores")), (0, 1));
    }

    #[test]
    fn a_missing_score_is_counted_and_a_misspelt_one_is_a_fault() {
        let without = json!({ "prompt": "q", "response": "c", "scores": { "other": 1 } });
        let rows = [rated("q", "a", &json!(1)), without, rated("q", "a", &json!(5)), rated("q", " ", &json!(5))];
        let (_, audit) = read(&source("quality"), &rows).expect("readable");
        assert_eq!(audit.dropped_as("no score quality"), 1);
        assert_eq!(audit.dropped_as(DUPLICATE_RATING), 1);
        assert_eq!(audit.dropped_as(EMPTY), 1);
        let fault = read(&source("qualty"), &rows).expect_err("refused").to_string();
        assert!(fault.contains("no row has the score \"qualty\"") && fault.contains("did you mean \"quality\"?"));
        for bad in [json!("3"), json!([]), json!([1, null]), json!({})] {
            assert!(read(&source("quality"), &[rated("q", "a", &bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn fewer_words_win_among_answers_of_equal_quality() {
        let rule = RuleConfig { kind: RuleKind::FewerWords, equal_on: Some("quality".to_owned()), max_gap: 0.5 };
        let source = SourceConfig { rule: Some(rule), ..source("anything") };
        let rows = [
            rated("q", "short answer", &json!(4)),
            rated("q", "a rather long answer", &json!(4.5)),
            rated("q", "bad", &json!(1)),
            rated("q", "brief reply", &json!(4)),
        ];
        let (pairs, audit) = read(&source, &rows).expect("readable");
        assert_eq!(pairs.len(), 2);
        let long = Item { prompt: vec![user("q")], response: "a rather long answer".to_owned() }.key();
        assert!(pairs.iter().all(|pair| pair.rejected == long && pair.preference == 1.0));
        assert_eq!(audit.dropped_as("not equal on the rule's score"), 3);
        assert_eq!(audit.dropped_as("equal numbers of words"), 1);
    }
}
