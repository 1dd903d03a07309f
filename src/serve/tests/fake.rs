//! A stand-in for a model, and a server around it.
//!
//! Its score of a text is a number between −1 and 1 from the digest of the text, so that a wrong answer is seen. What a
//! text makes it do stands in the response: `stall`, `panic`, `nan`, `error`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::combine::{Combination, Combiner, Term};
use crate::config::{Dtype, Pooling};
use crate::conversation::{Item, Message, Role};
use crate::ensemble::{Difference, Novelty, ObjectiveScore, Score};
use crate::error::{Error, Fault, Result};
use crate::features::{PreparedText, Row};
use crate::files::Digest;
use crate::normalize::Normalizer;
use crate::registry::{BackboneEntry, Manifest, ObjectiveEntry, PlaceEntry, Quality, ReferenceEntry};
use crate::serve::{Drained, Engine, Identity, Settings};

pub(super) const NAMES: [&str; 3] = ["helpfulness", "safety", "conciseness"];

/// What a text makes the model do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Stall,
    Panic,
    Nan,
    Fail,
}

/// The model.
pub(super) struct Fake {
    combiner: Combiner,
    deeds: Mutex<BTreeSet<(Digest, Deed)>>,
    /// How long a text takes.
    pub(super) cost: Duration,
    /// Texts read so far.
    pub(super) embedded: AtomicUsize,
    gate: Mutex<bool>,
    opened: Condvar,
}

impl Fake {
    pub(super) fn new(cost: Duration) -> Arc<Self> {
        let weights = NAMES.iter().map(|name| ((*name).to_owned(), 1.0)).collect();
        let combiner = Combiner::new(weights, Combination::default()).expect("weights");
        let (deeds, gate) = (Mutex::new(BTreeSet::new()), Mutex::new(false));
        Arc::new(Self { combiner, deeds, cost, embedded: AtomicUsize::new(0), gate, opened: Condvar::new() })
    }

    /// Lets go of every text that stalls, now and later.
    pub(super) fn open_gate(&self) {
        *self.gate.lock().expect("no panic under the lock") = true;
        self.opened.notify_all();
    }

    fn does(&self, key: Digest, deed: Deed) -> bool {
        self.deeds.lock().expect("no panic under the lock").contains(&(key, deed))
    }
}

/// The number that the model gives a text.
pub(super) fn truth(key: Digest) -> f64 {
    let bytes: [u8; 4] = key.0[..4].try_into().expect("four bytes");
    f64::from(f32::from(u32::from_le_bytes(bytes) as u16) / 32_768.0 - 1.0)
}

/// The combined score of a plain prompt and response.
pub(super) fn combined(prompt: &str, response: &str) -> f64 {
    let message = Message { role: Role::User, content: prompt.to_owned() };
    let item = Item { prompt: vec![message], response: response.to_owned() };
    3.0 * truth(item.key())
}

impl Engine for Fake {
    fn prepare(&self, item: &Item) -> Result<PreparedText> {
        let key = item.key();
        if item.response.contains("slow to read") {
            std::thread::sleep(Duration::from_millis(1));
        }
        let deeds = [("stall", Deed::Stall), ("panic", Deed::Panic), ("nan", Deed::Nan), ("error", Deed::Fail)];
        for (word, deed) in deeds {
            if item.response.contains(word) {
                self.deeds.lock().expect("no panic under the lock").insert((key, deed));
            }
        }
        Ok(PreparedText::stand_in(key, 1 + item.response.split_whitespace().count()))
    }

    fn prepare_verbatim(&self, text: &str) -> Result<PreparedText> {
        Ok(PreparedText::stand_in(Digest::of(text.as_bytes()), 1))
    }

    fn embed(&self, text: &PreparedText) -> Result<Row> {
        if self.does(text.key, Deed::Stall) {
            let gate = self.gate.lock().expect("no panic under the lock");
            drop(self.opened.wait_while(gate, |open| !*open).expect("no panic under the lock"));
        }
        std::thread::sleep(self.cost);
        self.embedded.fetch_add(1, Ordering::SeqCst);
        assert!(!self.does(text.key, Deed::Panic), "a text that panics");
        if self.does(text.key, Deed::Fail) {
            return Err(Error::Model(vec![Fault::new("model", "the forward pass failed")]));
        }
        let value = if self.does(text.key, Deed::Nan) { f32::NAN } else { truth(text.key) as f32 };
        Ok(Row { key: text.key, tokens: text.tokens() as u32, cut_prompt: 0, cut_response: 0, vector: vec![value] })
    }

    fn score(&self, row: &Row, _domain: Option<&str>, combiner: &Combiner) -> Result<Score> {
        let raw = f64::from(row.vector[0]);
        if !raw.is_finite() {
            return Err(Error::Numeric(vec![Fault::new("score", "a score is not a finite number")]));
        }
        // Each objective has a scale of its own; together they are 3.
        let objective = |scale: f64| ObjectiveScore {
            raw: scale * raw,
            raw_error: Some(0.1),
            normalized: scale * raw,
            error: Some(0.1),
            in_domain: false,
        };
        let novelty = Novelty { distance: 1.0, p_value: 0.5 };
        let objectives = [1.0, 0.5, 1.5].map(objective).to_vec();
        let combined = combiner.combine(&objectives.iter().map(ObjectiveScore::term).collect::<Vec<Term>>());
        Ok(Score { objectives, combined, novelty: Some(novelty), tokens: row.tokens, cut: 0 })
    }

    fn difference(&self, left: &Row, right: &Row) -> Vec<Difference> {
        vec![Difference { raw: f64::from(left.vector[0] - right.vector[0]), error: Some(0.1) }; NAMES.len()]
    }

    fn combiner(&self) -> &Combiner {
        &self.combiner
    }
}

fn identity() -> Identity {
    let backbone = BackboneEntry {
        place: PlaceEntry::Path("nowhere".to_owned()),
        fingerprint: "0".repeat(64),
        architecture: "none".to_owned(),
        pooling: Pooling::MeanAll,
        layers: vec![0],
        max_tokens: 256,
        dtype: Dtype::F32,
        width: 1,
        labels: Vec::new(),
        template: "none".to_owned(),
        template_digest: "0".repeat(64),
    };
    let objective = |name: &&str| ObjectiveEntry {
        name: (*name).to_owned(),
        question: "Which answer is better?".to_owned(),
        weight: 1.0,
        head: String::new(),
        head_digest: String::new(),
        normalizer: Normalizer::Identity,
        domains: BTreeMap::new(),
        reference: ReferenceEntry { responses: 100, deviation: 0.5, ..ReferenceEntry::default() },
        l2: None,
        gradient_norm: None,
        labels: BTreeMap::new(),
        data: BTreeMap::new(),
        quality: Quality::default(),
    };
    let manifest = Manifest {
        format: crate::registry::FORMAT,
        created_by: "test".to_owned(),
        name: "stand-in".to_owned(),
        backbone,
        combine: Combination::default(),
        objectives: NAMES.iter().map(objective).collect(),
        training: None,
        golden: Vec::new(),
    };
    Identity { manifest, digest: "d1".to_owned() }
}

/// A running server.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) fake: Arc<Fake>,
    stop: mpsc::Sender<()>,
    thread: Option<std::thread::JoinHandle<Drained>>,
}

impl Running {
    /// Serves a fake whose texts take `cost` with `workers` workers.
    pub(super) fn start(settings: Settings, cost: Duration, workers: usize) -> Self {
        let fake = Fake::new(cost);
        let (stop, receiver) = mpsc::channel(2);
        let (tell, told) = std::sync::mpsc::channel();
        let engine: Arc<dyn Engine> = fake.clone();
        let thread = std::thread::spawn(move || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(2).max_blocking_threads(4).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = crate::serve::bind(engine, identity(), settings, workers, ("127.0.0.1", 0)).await;
                let server = server.expect("a free port");
                tell.send(server.address().expect("an address")).expect("the test waits");
                server.run(receiver).await
            })
        });
        Self { address: told.recv().expect("the server started"), fake, stop, thread: Some(thread) }
    }

    /// Tells the server to stop; a second time, to stop at once.
    pub(super) fn tell_to_stop(&self) {
        self.stop.blocking_send(()).expect("the server runs");
    }

    /// How it ended.
    pub(super) fn wait(mut self) -> Drained {
        self.thread.take().expect("waited for once").join().expect("the server did not panic")
    }

    /// A gauge or a counter of `/metrics`, by the beginning of its line.
    pub(super) fn metric(&self, beginning: &str) -> f64 {
        let text = super::client::get(self.address, "/metrics").text();
        let line = text.lines().find(|line| line.starts_with(beginning));
        let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("no {beginning} in {text}"));
        value.parse().expect("a number")
    }

    /// The sum of all lines of a family; 0 when it has none yet.
    pub(super) fn counted(&self, family: &str) -> f64 {
        let text = super::client::get(self.address, "/metrics").text();
        let beginning = format!("ensemble_{family}");
        let lines = text.lines().filter(|line| line.starts_with(&beginning));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.fake.open_gate();
        let _ = self.stop.try_send(());
    }
}
