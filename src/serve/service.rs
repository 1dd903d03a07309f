//! The one path every dialect's request takes: read, admit, wait, score, reply.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::Semaphore;

use super::batcher::Batcher;
use super::body::{HeldBody, Room};
use super::engine::Engine;
use super::failure::Failure;
use super::group::{Group, MOST_ANSWERS};
use super::metrics::{Metrics, Reference};
use super::reading::{self, Material};
use super::request::{Answers, Ask, Call, Incoming, Parse, Reading, Reply, Scored, WriteReply};
use super::settings::Settings;
use crate::combine::{Combination, Combiner};
use crate::config::Rule;
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

/// Items that are read or scored before others have their turn; no group has more.
const PART: usize = MOST_ANSWERS;

/// A request as it came.
pub(super) struct Arrival {
    pub(super) body: HeldBody,
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
        let compared = identity.manifest.training.as_ref().map_or(0, |training| training.compared_with);
        let metrics = Arc::new(Metrics::new(&references, compared));
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
        let (taken, reply) = self.blocking(move |service| service.take(parse, arrival)).await?;
        let taken = Arc::new(taken);
        let (mut texts, mut readings) = (Vec::new(), Vec::new());
        for part in parts(taken.ask.items.len()) {
            let taken = Arc::clone(&taken);
            let prepared = self.blocking(move |service| service.prepare(&taken, part)).await?;
            for (text, reading) in prepared {
                texts.push(text);
                readings.push(reading);
            }
        }
        let pending = self.batcher.submit(texts).inspect_err(|failure| self.metrics.rejected(failure.code))?;
        let rows = Arc::new(pending.rows().await?);
        let (mut scored, readings) = (Vec::new(), Arc::new(readings));
        for part in parts(rows.len()) {
            let (taken, readings, rows) = (Arc::clone(&taken), Arc::clone(&readings), Arc::clone(&rows));
            scored.extend(self.blocking(move |service| service.score(&taken, &readings, &rows, part)).await?);
        }
        let (reply, scored) = self.blocking(move |service| Ok(service.reply(&taken, reply, &rows, scored))).await?;
        // Counted only when the request has an answer, so that a retry does not count twice.
        scored.iter().for_each(|scored| self.metrics.scored(scored));
        Ok(reply)
    }

    /// Runs work that would hold up other requests on a thread of its own. A panic there is this request's alone. Long
    /// work comes in parts, between which others have their turn and whoever hung up is noticed.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let service = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&service))
            .await
            .unwrap_or_else(|_| Err(Failure::bug("the request failed in a way that is a mistake of this program")))
    }

    /// From a body to a checked request.
    fn take(&self, parse: Parse, arrival: Arrival) -> Result<(Taken, WriteReply), Failure> {
        let incoming = Incoming {
            body: &arrival.body.bytes,
            headers: &arrival.headers,
            query: &arrival.query,
            names: self.names(),
            max_items: self.settings.max_items,
        };
        let Call { ask, reply } = parse(&incoming)?;
        self.check(&ask)?;
        let combiner = self.combiner(&ask)?;
        // The body's room is held until the texts that were read from it are gone.
        Ok((Taken { id: arrival.id, ask, combiner, _room: arrival.body.room }, reply))
    }

    /// What can be refused before a text is looked at.
    fn check(&self, ask: &Ask) -> Result<(), Failure> {
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
            _ => Ok(()),
        }
    }

    /// The rule and weights of a request that has its own.
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

    /// Reads and tokenizes some of a request's texts. The answers of a group are few enough to come in one part.
    fn prepare(&self, taken: &Taken, part: Range<usize>) -> Result<Vec<(PreparedText, Reading)>, Failure> {
        let (mut prepared, mut prompt) = (Vec::with_capacity(part.len()), None);
        for index in part {
            let (material, reading) = reading::read(&taken.ask.items[index], self.settings.read_templates)
                .map_err(|failure| failure.of_item(index))?;
            let text = match &material {
                Material::Item(item) => self.engine.prepare(item),
                Material::Verbatim(text) => self.engine.prepare_verbatim(text),
            };
            prepared.push((text.map_err(|error| Failure::of(&error).of_item(index))?, reading));
            if let (true, Material::Item(item)) = (taken.ask.group, material)
                && *prompt.get_or_insert_with(|| item.prompt.clone()) != item.prompt
            {
                let message = "another prompt than the first item's; a group is answers to one prompt";
                return Err(Failure::invalid("group", message).of_item(index));
            }
        }
        Ok(prepared)
    }

    /// Scores some of a request's texts.
    fn score(
        &self,
        taken: &Taken,
        readings: &[Reading],
        rows: &[Arc<Row>],
        part: Range<usize>,
    ) -> Result<Vec<Scored>, Failure> {
        let combiner = taken.combiner.as_ref().unwrap_or_else(|| self.engine.combiner());
        let score = |index: usize| {
            let domain = taken.ask.items[index].domain.clone();
            let score = self.engine.score(&rows[index], domain.as_deref(), combiner);
            let score = score.map_err(|error| Failure::of(&error).of_item(index))?;
            Ok(Scored { score, reading: readings[index], domain })
        };
        part.map(score).collect()
    }

    /// Writes the reply; the scores come back to be counted.
    fn reply(&self, taken: &Taken, reply: WriteReply, rows: &[Arc<Row>], scored: Vec<Scored>) -> (Reply, Vec<Scored>) {
        let group = taken.ask.group.then(|| {
            let combiner = taken.combiner.as_ref().unwrap_or_else(|| self.engine.combiner());
            let scores: Vec<_> = scored.iter().map(|scored| scored.score.clone()).collect();
            Group::of(&scores, combiner, &|left, right| self.engine.difference(&rows[left], &rows[right]))
        });
        let answers = Answers {
            id: &taken.id,
            created: seconds_since_1970(),
            digest: &self.identity.digest,
            model: &self.identity.manifest.name,
            names: self.names(),
            scored: &scored,
            group,
        };
        (reply(&answers), scored)
    }
}

/// A request that was read and checked.
struct Taken {
    id: String,
    ask: Ask,
    /// Its own rule and weights.
    combiner: Option<Combiner>,
    _room: Room,
}

/// The items of a request in parts.
fn parts(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(PART).map(move |start| start..(start + PART).min(count))
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
