//! Rated answers: `prompt`, `response`, `scores: {name: number, or one number a labeler}`, or a column a score.
//!
//! Answers to one prompt become pairs: by the difference of their mean scores, or by a rule.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use super::audit::{DUPLICATE_RATING, EMPTY, SourceAudit};
use super::formats::unpaired::refuse_many;
use super::pairs::{Candidate, Side, explicit_prompt, side};
use super::row::{Row, kind};
use super::rules;
use super::{Item, Votes};
use crate::config::{LabelSource, RuleConfig, SourceConfig};
use crate::error::{Fault, Result, did_you_mean, quote};
use crate::files::{self, Digest};

/// The layout of a rated answer.
const LAYOUT: &str = "`prompt` (text or messages), `response` (text) and `scores` (an object: one number, or a list \
                      of one number a labeler, per name), or a column of numbers per score";
/// Answers that a rule would compare with a reference which their row does not have.
const NO_REFERENCE: &str = "no reference for the rule";
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
    /// How well the answer does by the source's rule; 0 without one.
    merit: f64,
    labels: LabelSource,
}

impl Rating {
    fn mean(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64
    }

    fn scored(&self) -> Scored {
        // Adding 0 makes the negative zero of a negated score a plain one.
        Scored { key: self.key, prompt: self.prompt, score: self.mean() + 0.0, labels: self.labels }
    }

    /// An order by content in which copies of one answer to one prompt stand together.
    fn order(&self, other: &Self) -> Ordering {
        let scores = || self.scores.iter().zip(&other.scores).map(|(left, right)| left.total_cmp(right));
        (self.prompt, self.response, self.key, self.labels)
            .cmp(&(other.prompt, other.response, other.key, other.labels))
            .then_with(|| scores().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
            .then(self.scores.len().cmp(&other.scores.len()))
            .then(self.merit.total_cmp(&other.merit))
    }
}

/// One answer with numbers, as a format gives it.
pub(super) struct Answer<'a> {
    /// `None` when it is empty.
    pub(super) side: Option<Side>,
    /// Its scores by name, missing ones left out; or why they cannot be read, where any is needed.
    pub(super) scores: Result<Vec<Score<'a>>, Fault>,
}

/// A score as it stands in a row: a number, or a list of one number a labeler.
pub(super) struct Score<'a> {
    pub(super) name: &'a str,
    /// The field's name, for messages.
    pub(super) field: String,
    pub(super) value: &'a Value,
}

/// An answer's mean score, for heads that are fitted to ratings.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    /// The item's key.
    pub(super) key: Digest,
    /// The prompt's key.
    pub(super) prompt: Digest,
    pub(super) score: f64,
    labels: LabelSource,
}

impl Scored {
    /// Whether this one stays where two sources rate one item: by the directness of the label, then by the value, so
    /// that the order of sources decides nothing.
    pub(super) fn stands_before(&self, other: &Self) -> bool {
        self.labels.cmp(&other.labels).then(self.score.total_cmp(&other.score)).is_lt()
    }
}

/// Reads a row as a rated answer.
pub(super) type Parse = for<'a> fn(&Row<'a>) -> Result<Answer<'a>, Fault>;

/// Reads a row of the format `rated`.
///
/// # Errors
/// A fault that names the field and the accepted layout.
pub(super) fn parse<'a>(row: &Row<'a>) -> Result<Answer<'a>, Fault> {
    let prompt = explicit_prompt(row, LAYOUT)?;
    let response = row.value("response").ok_or_else(|| row.missing("response", LAYOUT))?;
    let labels = row.value("labels").filter(|labels| labels.is_object());
    let score = |(name, value): (&'a String, &'a Value)| Score { name, field: format!("scores.{name}"), value };
    let scores = match row.value("scores").or(labels) {
        Some(Value::Object(scores)) => Ok(scores.iter().map(score).collect()),
        Some(other) => Err(row.fault("scores", kind(other)).accepts(LAYOUT)),
        None => {
            // A table has a column a score.
            let numbers = row.object.iter().filter(|(_, value)| value.is_number());
            let columns: Vec<Score> = numbers.map(|(name, value)| Score { name, field: name.clone(), value }).collect();
            if columns.is_empty() { Err(row.missing("scores", LAYOUT)) } else { Ok(columns) }
        }
    };
    Ok(Answer { side: side(row, "response", response, Some(&prompt))?, scores })
}

/// The rated answers of one source.
#[derive(Clone, Debug, Default)]
pub(super) struct Rated {
    ratings: Vec<Rating>,
    names: BTreeSet<String>,
    without_score: usize,
    without_reference: usize,
}

/// The score that decides, or must be equal, for this source; `None` when its rule needs none.
fn score_name(source: &SourceConfig) -> Option<&str> {
    match &source.rule {
        Some(rule) => rule.equal_on.as_deref(),
        None => Some(&source.score),
    }
}

impl Rated {
    /// Takes one row, read by its format; the item is returned for the pool unless its response is empty.
    ///
    /// # Errors
    /// A fault that names the field and the accepted layout.
    pub(super) fn add(
        &mut self,
        (row, answer): (&Row, Answer),
        source: &SourceConfig,
        labels: LabelSource,
        audit: &mut SourceAudit,
    ) -> Result<Option<Item>, Fault> {
        let scores = self.scores(row, answer.scores, source)?;
        let Some(side) = answer.side else {
            audit.drop(EMPTY, 1);
            return Ok(None);
        };
        audit.joined_turns += usize::from(side.joined);
        let item = Item { prompt: side.prompt, response: side.response };
        match (scores, merit(row, source.rule.as_ref(), &item.response)?) {
            (None, _) => self.without_score += 1,
            (_, None) => self.without_reference += 1,
            (Some(scores), Some(merit)) => self.ratings.push(Rating {
                prompt: item.prompt_key(),
                response: Digest::of(item.response.trim().as_bytes()),
                key: item.key(),
                scores,
                merit,
                labels,
            }),
        }
        Ok(Some(item))
    }

    /// The numbers that this source asks for, negated where less is better; `None` when the row lacks them.
    fn scores(
        &mut self,
        row: &Row,
        scores: Result<Vec<Score>, Fault>,
        source: &SourceConfig,
    ) -> Result<Option<Vec<f64>>, Fault> {
        let Some(wanted) = score_name(source) else { return Ok(Some(Vec::new())) };
        let scores = scores?;
        for score in &scores {
            if !self.names.contains(score.name) {
                self.names.insert(score.name.to_owned());
            }
        }
        let find = |name: &str| scores.iter().find(|score| score.name == name);
        let negated = || wanted.strip_prefix('-').and_then(find).map(|score| (score, -1.0));
        let Some((score, sign)) = find(wanted).map(|score| (score, 1.0)).or_else(negated) else { return Ok(None) };
        match score.value {
            Value::Null => Ok(None),
            Value::Array(list) if !list.is_empty() => {
                let numbers = list.iter().map(|value| row.number(&score.field, value).map(|number| sign * number));
                numbers.collect::<Result<Vec<f64>, Fault>>().map(Some)
            }
            Value::Array(_) => Err(row.fault(&score.field, "an empty list").accepts("at least one number")),
            value => row.number(&score.field, value).map(|number| Some(vec![sign * number])),
        }
    }

    /// The pairs of all answers to the same prompt, in an order given by content, and the answers' scores where these
    /// are the labels; what makes no pair is counted.
    ///
    /// # Errors
    /// A fault when no row has the score, naming those that were seen.
    pub(super) fn pairs(
        mut self,
        source: &SourceConfig,
        audit: &mut SourceAudit,
    ) -> Result<(Vec<Candidate>, Vec<Scored>), Fault> {
        if let Some(name) = score_name(source) {
            if self.ratings.is_empty() && self.without_score > 0 {
                return Err(no_score(source, name, &self.names));
            }
            audit.drop(&format!("no score {name}"), self.without_score);
        }
        audit.drop(NO_REFERENCE, self.without_reference);
        self.ratings.sort_by(Rating::order);
        let count = self.ratings.len();
        self.ratings.dedup_by(|right, left| (left.prompt, left.response) == (right.prompt, right.response));
        audit.drop(DUPLICATE_RATING, count - self.ratings.len());
        let mut candidates = Vec::new();
        for group in self.ratings.chunk_by(|left, right| left.prompt == right.prompt) {
            refuse_many(&files::shown(&source.path), group.len())?;
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
        let scored = if source.rule.is_none() { self.ratings.iter().map(Rating::scored).collect() } else { Vec::new() };
        Ok((candidates, scored))
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

fn candidate(winner: &Rating, loser: &Rating, preference: f64, votes: Option<Votes>) -> Candidate {
    let labels = winner.labels.max(loser.labels); // a pair is worth what its less direct rating is worth
    let (chosen, rejected, prompt) = (winner.key, loser.key, winner.prompt);
    Candidate { chosen, rejected, prompt, preference, votes, margin: 0.0, weight: 1.0, labels }.canonical()
}

/// The answer with the higher mean wins if the means are at least `min_gap` apart.
fn by_score(min_gap: f64, left: &Rating, right: &Rating) -> Result<Candidate, &'static str> {
    let difference = left.mean() - right.mean();
    apart(difference, min_gap)?;
    let (winner, loser) = if difference > 0.0 { (left, right) } else { (right, left) };
    let votes = votes(&winner.scores, &loser.scores);
    Ok(candidate(winner, loser, share(&winner.scores, &loser.scores), votes))
}

/// Whether two scores differ by enough; the reason when they do not.
pub(super) fn apart(difference: f64, min_gap: f64) -> Result<(), &'static str> {
    match difference.abs() {
        equal if equal <= ROUNDING => Err("equal scores"),
        close if close + ROUNDING < min_gap => Err("scores closer than min_gap"),
        _ => Ok(()),
    }
}

/// The share of labelers who rate the winner higher, ties half, at least ½ (a mean may win against the majority).
/// Lists of one length are compared labeler by labeler; otherwise every rating of one with every rating of the other.
fn share(winner: &[f64], loser: &[f64]) -> f64 {
    let all = || winner.iter().flat_map(|left| loser.iter().map(move |right| (left, right)));
    votes(winner, loser).unwrap_or_else(|| Votes::of_scores(all())).share().max(0.5)
}

/// How two or more labelers who rated both answers would vote; a mean may win against these votes.
fn votes(winner: &[f64], loser: &[f64]) -> Option<Votes> {
    (winner.len() == loser.len() && winner.len() > 1).then(|| Votes::of_scores(winner.iter().zip(loser)))
}

fn by_rule(rule: &RuleConfig, left: &Rating, right: &Rating) -> Result<Candidate, &'static str> {
    if rule.equal_on.is_some() && (left.mean() - right.mean()).abs() > rule.max_gap + ROUNDING {
        return Err("not equal on the rule's score");
    }
    let pair = match rules::prefer(rule, left.merit, right.merit)? {
        Ordering::Less => candidate(right, left, 1.0, None),
        _ => candidate(left, right, 1.0, None),
    };
    // Whoever rated the answers, it is the rule that decided.
    Ok(Candidate { labels: LabelSource::Rule, ..pair })
}

/// The answer's merit by the source's rule; `None` when the row lacks the reference that the rule needs.
fn merit(row: &Row, rule: Option<&RuleConfig>, response: &str) -> Result<Option<f64>, Fault> {
    let Some(rule) = rule else { return Ok(Some(0.0)) };
    let reference = match rule.reference() {
        None => "",
        Some(field) => match row.value(field) {
            None => return Ok(None),
            Some(value) => row.text(field, value)?,
        },
    };
    Ok(Some(rules::merit(&rule.criterion, response, reference)))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the expected fractions are exact in binary")]
mod tests {
    use serde_json::json;

    use super::super::load::tests::source;
    use super::super::row::parse_object;
    use super::*;
    use crate::config::Criterion;

    fn read(source: &SourceConfig, rows: &[Value]) -> Result<(Vec<Candidate>, SourceAudit), Fault> {
        let mut audit = SourceAudit::new(source);
        let mut rated = Rated::default();
        for row in rows {
            let object = parse_object(&row.to_string()).expect("an object");
            let row = Row { object: &object, place: "rows:1" };
            rated.add((&row, parse(&row)?), source, LabelSource::Human, &mut audit)?;
        }
        let (pairs, _) = rated.pairs(source, &mut audit)?;
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
        assert_eq!(pairs[0].votes, Some(Votes { chosen: 2, rejected: 1, tied: 1 }));
        assert_eq!((votes(&[3.0], &[1.0]), votes(&[3.0, 1.0], &[1.0, 2.0, 2.0])), (None, None));
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
        let rule = rule(Criterion::FewerWords);
        let rule = RuleConfig { equal_on: Some("quality".to_owned()), max_gap: 0.5, ..rule };
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
        assert!(pairs.iter().all(|pair| pair.labels == LabelSource::Rule), "the rule decides, whoever rated");
    }

    fn rule(criterion: Criterion) -> RuleConfig {
        RuleConfig { criterion, min_gap: 0.0, equal_on: None, max_gap: 0.0 }
    }

    #[test]
    fn a_reference_decides_and_a_missing_one_is_counted() {
        let rule = RuleConfig { min_gap: 0.3, ..rule(Criterion::RougeL { reference: "gold".to_owned() }) };
        let source = SourceConfig { rule: Some(rule), ..source("anything") };
        let row = |response: &str, gold: Value| json!({ "prompt": "q", "response": response, "gold": gold });
        // Against four tokens: F is 1, 2·3/7 = 0.857 and 0.
        let gold = || json!("It is in Paris.");
        let (best, good, bad) = ("it is in paris", "it is Paris", "no idea");
        let mut rows = vec![row(best, gold()), row(good, gold()), row(bad, gold()), row("any", Value::Null)];
        let (pairs, audit) = read(&source, &rows).expect("readable");
        let worst = Item { prompt: vec![user("q")], response: bad.to_owned() }.key();
        assert_eq!(pairs.len(), 2);
        assert!(pairs.iter().all(|pair| pair.rejected == worst));
        assert_eq!((audit.dropped_as("closer than the rule's min_gap"), audit.dropped_as(NO_REFERENCE)), (1, 1));
        rows.reverse();
        assert_eq!(read(&source, &rows).expect("readable").0, pairs);
        rows.push(row("any", json!(["It is in Paris."])));
        let fault = read(&source, &rows).expect_err("refused");
        assert!(fault.place.contains("field \"gold\""), "{fault}");
    }
}
