//! What the server says of itself, in the text format of Prometheus. Labels come from the registry and the route
//! table, never from a request.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::drift::{Drift, THRESHOLD};
use super::request::Scored;
use crate::features::Row;

/// One label with its value.
type Label = [(&'static str, String); 1];
type Labels = [(&'static str, String); 2];

const SECONDS: [f64; 12] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0];
const TEXTS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
const TOKENS: [f64; 8] = [32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16_384.0];
const SCORES: [f64; 13] = [-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0];

/// Texts are counted as far when no more than this share of the calibration texts lie as far out; with fewer than 100
/// of those, when none does.
const FAR: f64 = 0.01;

/// Where the features of a text came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum TextSource {
    /// The same text was waiting or being read already.
    Shared,
    /// Kept from before.
    Recent,
    /// Never read, because every client had hung up.
    Cancelled,
}

impl TextSource {
    fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Recent => "recent",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An objective's name with the mean and the standard deviation of its raw scores of the reference responses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reference {
    /// The objective.
    pub name: String,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (n − 1).
    pub deviation: f64,
}

/// All counters.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Label, Histogram>,
    rejected: Family<Label, Counter>,
    queue_items: Gauge,
    queue_tokens: Gauge,
    queue_bytes: Gauge,
    batch_texts: Histogram,
    batch_tokens: Histogram,
    texts: Family<Label, Counter>,
    tokens: Counter,
    cut_texts: Counter,
    far_texts: Counter,
    incomplete_texts: Counter,
    empty_answers: Counter,
    lost_prompts: Counter,
    formats: Family<Label, Counter>,
    scores: Family<Label, Histogram>,
    combined: Histogram,
    drift: Family<Label, Gauge<f64, AtomicU64>>,
    alarm: Family<Label, Gauge>,
    far: f64,
    names: Vec<String>,
    drifts: Mutex<Vec<Drift>>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn scores() -> Histogram {
    Histogram::new(SCORES)
}

fn label(name: &'static str, value: &str) -> Label {
    [(name, value.to_owned())]
}

impl Metrics {
    /// Counters for objectives with these references; `compared` calibration texts say how far out a text lies.
    pub(super) fn new(references: &[Reference], compared: usize) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("ensemble"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            rejected: Family::default(),
            queue_items: Gauge::default(),
            queue_tokens: Gauge::default(),
            queue_bytes: Gauge::default(),
            batch_texts: Histogram::new(TEXTS),
            batch_tokens: Histogram::new(TOKENS),
            texts: Family::default(),
            tokens: Counter::default(),
            cut_texts: Counter::default(),
            far_texts: Counter::default(),
            incomplete_texts: Counter::default(),
            empty_answers: Counter::default(),
            lost_prompts: Counter::default(),
            formats: Family::default(),
            scores: Family::new_with_constructor(scores as fn() -> Histogram),
            combined: scores(),
            drift: Family::default(),
            alarm: Family::default(),
            // No share is smaller than that of one text in all.
            far: FAR.max(1.0 / (compared as f64 + 1.0)),
            names: references.iter().map(|reference| reference.name.clone()).collect(),
            drifts: Mutex::new(references.iter().map(|of| Drift::new(of.mean, of.deviation)).collect()),
        };
        metrics.register_load();
        metrics.register_scores();
        metrics
    }

    fn register_load(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered, by route and status", self.requests.clone());
        registry.register("request_seconds", "Time from a request's head to its answer", self.seconds.clone());
        registry.register("rejected", "Requests that were not let in, by reason", self.rejected.clone());
        registry.register("queue_items", "Distinct texts that wait or are computed", self.queue_items.clone());
        registry.register("queue_tokens", "Tokens of those texts", self.queue_tokens.clone());
        registry.register("queue_bytes", "Bytes of request bodies held", self.queue_bytes.clone());
        registry.register("batch_texts", "Texts a worker took at once", self.batch_texts.clone());
        registry.register("batch_tokens", "Tokens a worker took at once", self.batch_tokens.clone());
        registry.register("texts", "Texts by where their features came from", self.texts.clone());
        registry.register("tokens", "Tokens the backbone read", self.tokens.clone());
        for from in ["computed", "shared", "recent", "cancelled"] {
            drop(self.texts.get_or_create(&label("from", from)));
        }
    }

    fn register_scores(&mut self) {
        let threshold: Gauge<f64, AtomicU64> = Gauge::default();
        threshold.set(THRESHOLD);
        let registry = &mut self.registry;
        registry.register("cut_texts", "Texts that were too long and were cut", self.cut_texts.clone());
        let help = "Texts as far out as no more than 1% of the calibration texts";
        registry.register("far_texts", help, self.far_texts.clone());
        let help = "Raw texts that do not end with their template's closing token";
        registry.register("incomplete_texts", help, self.incomplete_texts.clone());
        registry.register("empty_answers", "Answers without visible text", self.empty_answers.clone());
        let help = "Raw texts that do not begin with the prompt that was told";
        registry.register("lost_prompts", help, self.lost_prompts.clone());
        registry.register("formats", "Raw texts by the chat template they were written with", self.formats.clone());
        registry.register("score", "Normalized scores", self.scores.clone());
        registry.register("combined", "Combined scores", self.combined.clone());
        let help = "Distance of the mean of the last 512 raw scores from the reference's, in reference deviations";
        registry.register("drift", help, self.drift.clone());
        registry.register("drift_threshold", "The drift above which the alarm is 1", threshold);
        registry.register("drift_alarm", "Whether the drift is above its threshold", self.alarm.clone());
        for name in &self.names {
            self.drift.get_or_create(&label("objective", name)).set(0.0);
            self.alarm.get_or_create(&label("objective", name)).set(0);
        }
    }

    /// All of it, as `/metrics` answers.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(super) fn request(&self, route: &str, status: u16, seconds: f64) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&label("route", route)).observe(seconds);
    }

    pub(super) fn rejected(&self, reason: &str) {
        self.rejected.get_or_create(&label("reason", reason)).inc();
    }

    pub(super) fn queue(&self, items: usize, tokens: usize) {
        self.queue_items.set(items as i64);
        self.queue_tokens.set(tokens as i64);
    }

    pub(super) fn bytes(&self, held: usize) {
        self.queue_bytes.set(held as i64);
    }

    pub(super) fn batch(&self, texts: usize, tokens: usize) {
        self.batch_texts.observe(texts as f64);
        self.batch_tokens.observe(tokens as f64);
    }

    pub(super) fn texts(&self, from: TextSource, count: usize) {
        if count > 0 {
            self.texts.get_or_create(&label("from", from.word())).inc_by(count as u64);
        }
    }

    /// A text was read.
    pub(super) fn computed(&self, row: &Row) {
        self.texts.get_or_create(&label("from", "computed")).inc();
        self.tokens.inc_by(u64::from(row.tokens));
    }

    /// A score goes out.
    pub(super) fn scored(&self, Scored { score, reading, .. }: &Scored) {
        if let Some(template) = reading.template {
            self.formats.get_or_create(&label("format", template.word())).inc();
        }
        let flags = [
            (&self.incomplete_texts, reading.complete == Some(false)),
            (&self.empty_answers, reading.empty),
            (&self.lost_prompts, !reading.prompt_found),
        ];
        for (counter, _) in flags.into_iter().filter(|(_, flag)| *flag) {
            counter.inc();
        }
        self.combined.observe(score.combined);
        if score.cut > 0 {
            self.cut_texts.inc();
        }
        if score.novelty.is_some_and(|novelty| novelty.p_value <= self.far) {
            self.far_texts.inc();
        }
        let mut drifts = self.drifts.lock().unwrap_or_else(PoisonError::into_inner);
        for ((name, objective), drift) in self.names.iter().zip(&score.objectives).zip(drifts.iter_mut()) {
            let label = label("objective", name);
            self.scores.get_or_create(&label).observe(objective.normalized);
            let drift = drift.push(objective.raw);
            self.drift.get_or_create(&label).set(drift);
            self.alarm.get_or_create(&label).set(i64::from(drift > THRESHOLD));
        }
    }
}
