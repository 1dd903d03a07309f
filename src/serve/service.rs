//! The one path every dialect's request takes: read, admit, wait, score, reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;

use super::batcher::Batcher;
use super::engine::Engine;
use super::failure::Failure;
use super::group::{Group, MOST_ANSWERS};
use super::metrics::{Metrics, Reference};
use super::request::{Answers, Ask, Asked, Call, Content, Incoming, Parse, Reading, Reply, Scored};
use super::settings::Settings;
use crate::combine::{Combination, Combiner};
use crate::config::Rule;
use crate::conversation::{Item, policy_text};
use crate::error::Result;
use crate::features::{PreparedText, Row};
use crate::registry::Manifest;

/// What the server says of the registry it serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The registry's manifest.
    pub manifest: Manifest,
    /// Digest of the manifest, which every answer carries.
    pub digest: String,
}

/// Everything the routes share.
pub(super) struct Service {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) batcher: Batcher,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: Settings,
    pub(super) identity: Identity,
    /// Room for bodies, in bytes.
    pub(super) bytes: Arc<Semaphore>,
    /// Set when the server was told to stop.
    pub(super) draining: AtomicBool,
    /// Requests whose head was read, and requests answered.
    pub(super) accepted: AtomicU64,
    pub(super) answered: AtomicU64,
    requests: AtomicU64,
    /// Distinguishes this process's request ids from another's.
    started: u64,
}

/// What came with a request beside its body.
pub(super) struct Arrival {
    pub(super) body: Vec<u8>,
    pub(super) headers: HeaderMap,
    pub(super) query: String,
    pub(super) started: Instant,
    pub(super) id: String,
}

impl Service {
    pub(super) fn new(engine: Arc<dyn Engine>, identity: Identity, settings: Settings, workers: usize) -> Result<Self> {
        let references: Vec<Reference> = identity
            .manifest
            .objectives
            .iter()
            .map(|entry| Reference {
                name: entry.name.clone(),
                mean: entry.reference.mean,
                deviation: entry.reference.deviation,
            })
            .collect();
        let metrics = Arc::new(Metrics::new(&references));
        let batcher = Batcher::start(Arc::clone(&engine), &settings, Arc::clone(&metrics), workers)?;
        let bytes = Arc::new(Semaphore::new(settings.queue_bytes.min(Semaphore::MAX_PERMITS)));
        Ok(Self {
            engine,
            batcher,
            metrics,
            settings,
            identity,
            bytes,
            draining: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            started: seconds_since_1970(),
        })
    }

    /// The objectives' names, in the order of every list of scores.
    pub(super) fn names(&self) -> &[String] {
        self.engine.combiner().names()
    }

    /// When the server started, in seconds since 1970.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    /// Whether requests should be sent here.
    pub(super) fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::SeqCst)
    }

    /// Tells the metrics how many bytes of bodies are held.
    pub(super) fn show_bytes(&self) {
        let all = self.settings.queue_bytes.min(Semaphore::MAX_PERMITS);
        self.metrics.bytes(all.saturating_sub(self.bytes.available_permits()));
    }

    /// A name for a request that its client did not name.
    pub(super) fn next_id(&self) -> String {
        format!("{:x}-{:x}", self.started, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Answers one request, or gives it up at its deadline.
    ///
    /// # Errors
    /// Why it has no answer.
    pub(super) async fn answer(self: &Arc<Self>, parse: Parse, arrival: Arrival) -> Result<Reply, Failure> {
        let deadline = self.settings.deadline;
        let left = deadline.saturating_sub(arrival.started.elapsed());
        tokio::time::timeout(left, self.answer_in_time(parse, arrival)).await.unwrap_or_else(|_| {
            self.metrics.rejected("deadline");
            Err(Failure::late(deadline.as_secs_f64()))
        })
    }

    async fn answer_in_time(self: &Arc<Self>, parse: Parse, arrival: Arrival) -> Result<Reply, Failure> {
        let id = arrival.id.clone();
        let service = Arc::clone(self);
        let Read { call, texts, readings } = blocking(move || service.read(parse, &arrival)).await?;
        let pending = self.batcher.submit(texts).inspect_err(|failure| self.metrics.rejected(failure.code))?;
        let rows = pending.rows().await?;
        let service = Arc::clone(self);
        blocking(move || service.reply(call, &readings, &rows, &id)).await
    }

    /// From a body to tokens.
    fn read(&self, parse: Parse, arrival: &Arrival) -> Result<Read, Failure> {
        let incoming = Incoming {
            body: &arrival.body,
            headers: &arrival.headers,
            query: &arrival.query,
            names: self.names(),
            max_items: self.settings.max_items,
        };
        let call = parse(&incoming)?;
        self.check(&call.ask)?;
        let (mut texts, mut readings) = (Vec::new(), Vec::new());
        for (index, asked) in call.ask.items.iter().enumerate() {
            let (text, reading) = self.prepare(asked).map_err(|failure| failure.of_item(index))?;
            texts.push(text);
            readings.push(reading);
        }
        Ok(Read { call, texts, readings })
    }

    /// What can be refused before a text is looked at.
    fn check(&self, ask: &Ask) -> Result<(), Failure> {
        if ask.items.len() > self.settings.max_items {
            let message = format!("{} items; at most {} go into one request", ask.items.len(), self.settings.max_items);
            return Err(Failure::too_large(message).hint("send several requests, or raise --max-items"));
        }
        if ask.group && ask.items.len() > MOST_ANSWERS {
            let message = format!("a group of {} answers; at most {MOST_ANSWERS} are compared", ask.items.len());
            return Err(Failure::too_large(message).at("group"));
        }
        match &ask.expect_digest {
            Some(expected) if *expected != self.identity.digest => {
                let message = format!("this server's registry has the digest {}", self.identity.digest);
                let failure = Failure::new(StatusCode::CONFLICT, "digest", message).at("expect_digest");
                Err(failure.hint("the scores are from other heads than the run began with: restore the registry"))
            }
            _ => self.combiner(ask).map(|_| ()),
        }
    }

    /// The rule and weights of a request.
    fn combiner(&self, ask: &Ask) -> Result<Option<Combiner>, Failure> {
        if ask.weights.is_empty() && ask.rule.is_none() && ask.uncertainty_penalty.is_none() {
            return Ok(None);
        }
        let own = self.engine.combiner();
        let combiner = match (&ask.rule, ask.uncertainty_penalty) {
            (None, None) => own.clone(),
            (rule, penalty) => recombined(own, rule.as_ref(), penalty, &ask.weights)?,
        };
        combiner.reweighted(&ask.weights).map(Some).map_err(|error| Failure::of(&error).at("weights"))
    }

    /// Reads one text's roles and tokenizes it.
    fn prepare(&self, asked: &Asked) -> Result<(PreparedText, Reading), Failure> {
        let reads = self.settings.read_templates;
        let (text, reading) = match &asked.content {
            Content::Item(item) => (self.engine.prepare(item), Reading::MESSAGES),
            Content::PolicyText { text, .. } if !reads => (self.engine.prepare_verbatim(text), Reading::RAW),
            Content::PolicyPrompt { prompt, response } if !reads => {
                (self.engine.prepare_verbatim(&format!("{prompt}{response}")), Reading::RAW)
            }
            Content::PolicyText { text, prompt } => {
                let read = policy_text::read(text, prompt.as_deref());
                if read.item.prompt.is_empty() && read.item.response.trim().is_empty() {
                    return Err(Failure::invalid("", "a text with neither a prompt nor a response"));
                }
                self.metrics.format(read.format, read.complete);
                let (format, turns_in_response) = (read.format.word(), read.turns_in_response);
                (self.engine.prepare(&read.item), Reading { format, complete: read.complete, turns_in_response })
            }
            Content::PolicyPrompt { prompt, response } => {
                let (prompt, format) = policy_text::read_prompt(prompt);
                self.metrics.format(format, None);
                let item = Item { prompt, response: response.clone() };
                (self.engine.prepare(&item), Reading { format: format.word(), ..Reading::MESSAGES })
            }
        };
        text.map(|text| (text, reading)).map_err(|error| Failure::of(&error))
    }

    /// From features to the reply.
    fn reply(&self, call: Call, readings: &[Reading], rows: &[Arc<Row>], id: &str) -> Result<Reply, Failure> {
        let own = self.combiner(&call.ask)?;
        let combiner = own.as_ref().unwrap_or_else(|| self.engine.combiner());
        let mut scored = Vec::with_capacity(rows.len());
        for (index, ((row, asked), reading)) in rows.iter().zip(&call.ask.items).zip(readings).enumerate() {
            let score = self.engine.score(row, asked.domain.as_deref(), combiner);
            let score = score.map_err(|error| Failure::of(&error).of_item(index))?;
            scored.push(Scored { score, reading: *reading, domain: asked.domain.clone() });
        }
        let group = call.ask.group.then(|| {
            let scores: Vec<_> = scored.iter().map(|scored| scored.score.clone()).collect();
            Group::of(&scores, combiner, &|left, right| self.engine.difference(&rows[left], &rows[right]))
        });
        // Counted only when the whole request has an answer, so that a retry does not count twice.
        scored.iter().for_each(|scored| self.metrics.scored(&scored.score));
        let answers = Answers {
            id,
            created: seconds_since_1970(),
            digest: &self.identity.digest,
            model: &self.identity.manifest.name,
            names: self.names(),
            scored,
            group,
        };
        Ok((call.reply)(&answers))
    }
}

/// A request whose texts are tokenized.
struct Read {
    call: Call,
    texts: Vec<PreparedText>,
    readings: Vec<Reading>,
}

/// Runs work that would hold up other requests on a thread of its own. A panic there is this request's alone.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Failure::bug("the request failed in a way that is a mistake of this program")))
}

/// Another rule over the same objectives. A rule that has references of its own can only be the registry's.
fn recombined(
    own: &Combiner,
    rule: Option<&Rule>,
    penalty: Option<f64>,
    weights: &std::collections::BTreeMap<String, f64>,
) -> Result<Combiner, Failure> {
    let kept = own.combination();
    let rule = rule.unwrap_or(&kept.rule).clone();
    let same = rule == kept.rule;
    if matches!(rule, Rule::LogSigmoid { .. }) && !same {
        let message =
            "the rule log_sigmoid needs quantiles of the reference, which are known for the registry's own rule only";
        return Err(Failure::invalid("combine", message).hint("train the registry with this rule"));
    }
    let references = if same { kept.references.clone() } else { std::collections::BTreeMap::new() };
    let combination =
        Combination { rule, uncertainty_penalty: penalty.unwrap_or(kept.uncertainty_penalty), references };
    // The request's own weights count from the start: the registry's may have no meaning with this rule.
    let weight = |(name, weight): (&String, &f64)| (name.clone(), weights.get(name).copied().unwrap_or(*weight));
    let objectives = own.names().iter().zip(own.weights()).map(weight).collect();
    Combiner::new(objectives, combination).map_err(|faults| {
        let found: Vec<String> = faults.iter().map(|fault| fault.found.clone()).collect();
        Failure::invalid("combine", found.join("; "))
    })
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
