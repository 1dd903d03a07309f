//! One source while its rows are read: format, labels, split marks, and what is dropped within the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::{Format, LabelSource, RuleConfig, SourceConfig};
use crate::data::audit::{DUPLICATE_PAIR, EMPTY, IDENTICAL, OVER_MAX};
use crate::data::domain::{self, Names};
use crate::data::formats::unpaired::{Unpaired, refuse_pair_fields};
use crate::data::formats::{self, Parser};
use crate::data::pairs::{Candidate, Labelled, Outcome};
use crate::data::rated::{Rated, Scored};
use crate::data::row::Row;
use crate::data::split::Mark;
use crate::data::{Item, SourceAudit, Splitter};
use crate::error::{Fault, Result, did_you_mean, quote};
use crate::files::{self, Digest};

/// The items by key, and what the sources say of the prompts' splits.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) items: BTreeMap<Digest, Item>,
    pub(super) splitter: Splitter,
    /// The names that rows give to the domain of a prompt.
    domains: BTreeMap<Digest, BTreeSet<String>>,
}

/// What a row says of its prompt and its labels.
struct Said {
    labels: LabelSource,
    mark: Option<Mark>,
    domain: Option<String>,
}

impl Pool {
    /// Keeps an item; its key.
    pub(super) fn keep(&mut self, item: Item) -> Digest {
        let key = item.key();
        self.items.entry(key).or_insert(item);
        key
    }

    fn mark(&mut self, prompt: Digest, said: &Said) {
        match said.mark {
            Some(Mark::Train) => self.splitter.mark_train(prompt),
            Some(Mark::HeldOut) => self.splitter.mark_held_out(prompt),
            None => {}
        }
        self.place(prompt, said.domain.clone());
    }

    /// Puts a prompt into a domain.
    pub(super) fn place(&mut self, prompt: Digest, domain: Option<String>) {
        if let Some(domain) = domain {
            self.domains.entry(prompt).or_default().insert(domain);
        }
    }

    /// The domain of each prompt that has one: the first name by alphabet.
    pub(super) fn domains(&self) -> BTreeMap<Digest, String> {
        let first = |(prompt, names): (&Digest, &BTreeSet<String>)| Some((*prompt, names.first()?.clone()));
        self.domains.iter().filter_map(first).collect()
    }

    /// Whether rows put a prompt into different domains.
    pub(super) fn is_domain_conflict(&self, prompt: &Digest) -> bool {
        self.domains.get(prompt).is_some_and(|names| names.len() > 1)
    }
}

/// Reads the rows of one source.
pub(super) struct Reader<'a> {
    /// The objective's index; the number of objectives for holistic sources.
    owner: usize,
    pub(super) source: &'a SourceConfig,
    pub(super) format: Option<Format>,
    pub(super) audit: SourceAudit,
    candidates: Vec<Candidate>,
    rated: Rated,
    unpaired: Unpaired,
    domains: Names,
    /// The fields that rows have, to see whether the ones the config names exist.
    fields: BTreeSet<String>,
}

/// A source that was read to its end.
pub(super) struct ReadSource {
    pub(super) owner: usize,
    pub(super) audit: SourceAudit,
    pub(super) candidates: Vec<Candidate>,
    /// The answers' own scores where these are the labels.
    pub(super) scored: Vec<Scored>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(owner: usize, source: &'a SourceConfig) -> Self {
        Self {
            owner,
            source,
            format: source.format,
            audit: SourceAudit::new(source),
            candidates: Vec::new(),
            rated: Rated::default(),
            unpaired: Unpaired::default(),
            domains: Names::default(),
            fields: BTreeSet::new(),
        }
    }

    /// Takes one row.
    ///
    /// # Errors
    /// A fault that says what about the row cannot be used.
    pub(super) fn take(&mut self, row: &Row, pool: &mut Pool) -> Result<(), Fault> {
        self.audit.rows += 1;
        for field in row.object.keys().filter(|field| row.value(field).is_some()) {
            if !self.fields.contains(field) {
                self.fields.insert(field.clone());
            }
        }
        let format = match self.format {
            Some(format) => format,
            None => self.detect(row)?,
        };
        if self.audit.detected && self.format.is_none() {
            self.audit.ignored = formats::ignored(row, format, self.source);
        }
        self.format = Some(format);
        self.audit.format = format;
        let domain = self.source.domain_field.as_deref().map_or(Ok(None), |field| domain::named(row, field))?;
        self.domains.add(domain.as_ref());
        let said = Said { labels: self.labels(row)?, mark: self.mark(row)?, domain };
        if !matches!(formats::parser(format, false), Parser::Pairs(_)) {
            refuse_pair_fields(row, self.source.score.trim_start_matches('-'))?;
        }
        match formats::parser(format, self.audit.detected) {
            Parser::Pairs(parse) => {
                let outcome = parse(row, self.source)?;
                self.compare(outcome, &said, pool);
            }
            Parser::Rated(parse) => {
                if let Some(item) = self.rated.add((row, parse(row)?), self.source, said.labels, &mut self.audit)? {
                    pool.mark(item.prompt_key(), &said);
                    pool.keep(item);
                }
            }
            Parser::Unpaired(parse) => match parse(row)? {
                (None, _) => self.audit.drop(EMPTY, 1),
                (Some(side), wanted) => {
                    self.audit.joined_turns += usize::from(side.joined);
                    let item = Item { prompt: side.prompt, response: side.response };
                    self.unpaired.add(&item, wanted, said.labels);
                    pool.mark(item.prompt_key(), &said);
                    pool.keep(item);
                }
            },
        }
        Ok(())
    }

    /// The format of a first row. What the config says of a source must have a meaning in it: a rule that is passed
    /// over would leave the file's own labels under the name of rule labels.
    fn detect(&self, row: &Row) -> Result<Format, Fault> {
        let format = formats::detect(row)?;
        match self.source.given.iter().find(|key| !format.uses(key)) {
            None => Ok(format),
            Some(key) => {
                let found = format!("the format {} was detected, in which {key} has no meaning", format.word());
                let formats: Vec<&str> = Format::all().filter(|format| format.uses(key)).map(Format::word).collect();
                let fault = Fault::new(row.place, found).accepts(formats.join(", "));
                Err(fault.help(format!("take {key} out of the source, or say which format its rows have")))
            }
        }
    }

    /// Keeps the pairs of one row.
    fn compare(&mut self, outcome: Outcome, said: &Said, pool: &mut Pool) {
        for reason in outcome.dropped {
            self.audit.drop(reason, 1);
        }
        self.audit.joined_turns += usize::from(outcome.pairs.iter().any(|pair| pair.joined));
        for pair in outcome.pairs {
            let Labelled { chosen, rejected, preference, votes, margin, weight, joined: _ } = pair;
            let prompt = chosen.prompt_key();
            let (chosen, rejected) = (pool.keep(chosen), pool.keep(rejected));
            pool.mark(prompt, said);
            let labels = said.labels;
            let candidate = Candidate { chosen, rejected, prompt, preference, votes, margin, weight, labels };
            self.candidates.push(candidate.canonical());
        }
    }

    /// Who labelled this row.
    fn labels(&self, row: &Row) -> Result<LabelSource, Fault> {
        let field = self.source.label_source_field.as_deref();
        let Some((field, value)) = field.and_then(|field| Some((field, row.value(field)?))) else {
            return Ok(self.source.labels);
        };
        // Rows with several labels say who gave each of them.
        let text = row.text(field, value.get(&self.source.score).unwrap_or(value))?;
        let lower = text.trim().to_lowercase();
        let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
        match () {
            () if begins(&["human"]) => Ok(LabelSource::Human),
            () if begins(&["ai"]) => Ok(LabelSource::Ai),
            () if begins(&["rule", "gold", "constructed"]) => Ok(LabelSource::Rule),
            () => Err(row
                .fault(field, format!("unknown labeler {}", quote(text)))
                .accepts("text that begins with human, ai, rule, gold or constructed")),
        }
    }

    /// What the row says of its split.
    fn mark(&self, row: &Row) -> Result<Option<Mark>, Fault> {
        let field = self.source.split_field.as_deref();
        let Some((field, value)) = field.and_then(|field| Some((field, row.value(field)?))) else {
            return Ok(None);
        };
        let word = row.text(field, value)?;
        Mark::parse(word).map(Some).map_err(|(accepted, near)| {
            let fault = row.fault(field, format!("unknown split {}", quote(word))).accepts(accepted);
            near.map_or(fault.clone(), |near| fault.help(format!("did you mean `{near}`?")))
        })
    }

    /// Ends the source: what it gives.
    ///
    /// # Errors
    /// A fault that says why it is of no use as a whole.
    pub(super) fn finish(mut self) -> Result<ReadSource, Fault> {
        let path = files::shown(&self.source.path);
        if self.audit.rows == 0 {
            return Err(Fault::new(path, "0 rows").accepts("at least one row"));
        }
        let reference = self.source.rule.as_ref().and_then(RuleConfig::reference);
        let SourceConfig { label_source_field, split_field, domain_field, .. } = self.source;
        let named = [label_source_field, split_field, domain_field].map(Option::as_deref);
        for field in named.into_iter().chain([reference]).flatten() {
            if !self.fields.contains(field) {
                return Err(unknown_field(&self.source.path, &self.fields, field));
            }
        }
        if let Some(fault) = self.domains.too_many(domain_field.as_deref(), &self.source.path) {
            return Err(fault);
        }
        let identical = self.audit.dropped_as(IDENTICAL);
        let compared = self.audit.rows.max(self.candidates.len() + identical); // a row may have several pairs
        if 2 * identical > compared {
            let what = if compared > self.audit.rows { "pairs" } else { "rows" };
            let found = format!("{identical} of {compared} {what} have identical sides");
            return Err(Fault::new(path, found).help("check how `chosen` and `rejected` were written"));
        }
        let mut scored = Vec::new();
        match self.format.map(|format| formats::parser(format, false)) {
            Some(Parser::Rated(_)) => (self.candidates, scored) = self.rated.pairs(self.source, &mut self.audit)?,
            Some(Parser::Unpaired(_)) => self.candidates = self.unpaired.pairs(&path, &mut self.audit)?,
            _ => {}
        }
        let copies = keep_one_of_each(&mut self.candidates);
        self.audit.drop(DUPLICATE_PAIR, copies);
        if let Some(most) = self.source.max_pairs_per_prompt {
            let over = keep_lowest(&mut self.candidates, most);
            self.audit.drop(OVER_MAX, over);
        }
        self.audit.count_labels(&self.candidates);
        Ok(ReadSource { owner: self.owner, audit: self.audit, candidates: self.candidates, scored })
    }
}

/// The fault for a field that the config names and no row has.
pub(super) fn unknown_field(path: &Path, fields: &BTreeSet<String>, field: &str) -> Fault {
    let names: Vec<&str> = fields.iter().map(String::as_str).collect();
    let shown: Vec<String> = names.iter().take(20).map(|name| quote(name)).collect();
    let found = format!("no row has the field {}, which the config names", quote(field));
    let fault = Fault::new(files::shown(path), found).accepts(shown.join(", "));
    match did_you_mean(field, &names) {
        Some(near) => fault.help(format!("did you mean {}?", quote(near))),
        None => fault.help("name a field that the rows have, or take the key out of the source"),
    }
}

/// Sorts by content and keeps one of each comparison, the one with the most direct labels; how many were copies.
fn keep_one_of_each(candidates: &mut Vec<Candidate>) -> usize {
    let count = candidates.len();
    candidates.sort_by_key(|candidate| (candidate.chosen, candidate.rejected, candidate.rank()));
    candidates.dedup_by(|right, left| (left.chosen, left.rejected) == (right.chosen, right.rejected));
    count - candidates.len()
}

/// Keeps of each prompt the `most` pairs with the lowest digest; how many were over.
fn keep_lowest(candidates: &mut Vec<Candidate>, most: usize) -> usize {
    let count = candidates.len();
    candidates.sort_by_cached_key(|candidate| {
        let digest = Digest::of_parts([candidate.chosen.0.as_slice(), candidate.rejected.0.as_slice()]);
        (candidate.prompt, digest)
    });
    let groups = candidates.chunk_by(|left, right| left.prompt == right.prompt);
    *candidates = groups.flat_map(|group| group.iter().take(most)).copied().collect();
    count - candidates.len()
}

#[cfg(test)]
mod tests;
