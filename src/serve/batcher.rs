//! Workers that read waiting texts, and the futures that wait for them.
//!
//! Trainers send one sample per request, many at once: all texts go through one queue, and each worker takes as many
//! as its budget of tokens allows. A text that panics fails alone.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::failure::Failure;
use super::metrics::{Metrics, TextSource};
use super::queue::{Capacity, Queue, Refusal, Ticket};
use super::settings::Settings;
use crate::error::{Error, Fault, Result};
use crate::features::{PreparedText, Row};
use crate::files::Digest;

type Answer = Result<Arc<Row>, Failure>;

/// The queue with its workers.
pub(super) struct Batcher {
    shared: Arc<Shared>,
    _workers: Vec<rayon::ThreadPool>,
}

struct Shared {
    engine: Arc<dyn Engine>,
    queue: Mutex<Queue<oneshot::Sender<Answer>>>,
    /// Told when texts came in or the queue was closed.
    changed: Condvar,
    recent: Option<Mutex<LruCache<Digest, Arc<Row>>>>,
    metrics: Arc<Metrics>,
    batch_tokens: usize,
    workers: usize,
}

impl Batcher {
    /// Starts `workers` workers.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses a thread.
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        settings: &Settings,
        metrics: Arc<Metrics>,
        workers: usize,
    ) -> Result<Self> {
        let capacity = Capacity { items: settings.queue_items, tokens: settings.queue_tokens };
        let shared = Arc::new(Shared {
            engine,
            queue: Mutex::new(Queue::new(capacity)),
            changed: Condvar::new(),
            recent: NonZeroUsize::new(settings.recent_texts).map(|most| Mutex::new(LruCache::new(most))),
            metrics,
            batch_tokens: settings.batch_tokens,
            workers: workers.max(1),
        });
        let start = |number: usize| {
            // A pool of one thread, so that the products of this worker stay on it: shared by all workers, they would wait
            // for each other at every step of the forward pass.
            let builder =
                rayon::ThreadPoolBuilder::new().num_threads(1).thread_name(move |_| format!("reader-{number}"));
            let pool = builder.build().map_err(|error| Error::Io(vec![Fault::new("--threads", error)]))?;
            let shared = Arc::clone(&shared);
            // The worker ends by itself when the queue is closed; the process does not wait for a text that nobody wants.
            pool.spawn(move || shared.work());
            Ok(pool)
        };
        let workers = (0..shared.workers).map(start).collect::<Result<Vec<_>>>()?;
        Ok(Self { shared, _workers: workers })
    }

    /// Asks for the features of texts.
    ///
    /// # Errors
    /// A failure when there is no room for all of them.
    pub(super) fn submit(&self, texts: Vec<PreparedText>) -> Result<Pending, Failure> {
        let shared = &self.shared;
        let mut parts = Vec::with_capacity(texts.len());
        let (mut wanted, mut places) = (Vec::new(), Vec::new());
        for text in texts {
            if let Some(row) = shared.recall(&text.key) {
                parts.push(Part::Ready(row));
            } else {
                let (sender, receiver) = oneshot::channel();
                wanted.push((text, sender));
                places.push((parts.len(), receiver));
                parts.push(Part::Gone);
            }
        }
        let recent = parts.len() - places.len();
        if wanted.is_empty() {
            shared.metrics.texts(TextSource::Recent, recent);
            return Ok(Pending { parts, shared: Arc::clone(shared) });
        }
        let (tickets, repeated) = {
            let mut queue = shared.queue();
            let admitted = queue.admit(wanted);
            shared.show_queue(&queue);
            admitted.map_err(Shared::refused)?
        };
        shared.metrics.texts(TextSource::Recent, recent);
        shared.metrics.texts(TextSource::Shared, repeated);
        if tickets.len() == 1 {
            shared.changed.notify_one();
        } else {
            shared.changed.notify_all();
        }
        for ((place, receiver), ticket) in places.into_iter().zip(tickets) {
            parts[place] = Part::Waiting(ticket, receiver);
        }
        Ok(Pending { parts, shared: Arc::clone(shared) })
    }

    /// Lets nothing in any more; the workers end when they have read what is there.
    pub(super) fn close(&self) {
        self.shared.queue().close();
        self.shared.changed.notify_all();
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue<oneshot::Sender<Answer>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_queue(&self, queue: &Queue<oneshot::Sender<Answer>>) {
        self.metrics.queue(queue.items(), queue.tokens());
    }

    fn recall(&self, key: &Digest) -> Option<Arc<Row>> {
        let mut recent = self.recent.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(key).map(Arc::clone)
    }

    fn refused(refusal: Refusal) -> Failure {
        let message = refusal.to_string();
        match refusal {
            Refusal::TooLarge => {
                Failure::too_large(message).hint("send fewer items at once, or raise --queue-items and --queue-tokens")
            }
            Refusal::Full | Refusal::Closed => Failure::busy(message),
        }
    }

    /// A worker's life: until the queue is closed and empty.
    fn work(&self) {
        while let Some(batch) = self.next_batch() {
            self.metrics.batch(batch.len(), batch.iter().map(PreparedText::tokens).sum());
            let wanted: Vec<&PreparedText> = batch.iter().filter(|text| self.is_wanted(text)).collect();
            match self.read_together(&wanted) {
                Some(rows) => wanted.iter().zip(rows).for_each(|(text, row)| self.answer(text, Ok(Arc::new(row)))),
                None => wanted.iter().filter(|text| self.is_wanted(text)).for_each(|text| self.read(text)),
            }
        }
    }

    /// The rows of all texts from one pass, if that is cheaper and goes well.
    fn read_together(&self, texts: &[&PreparedText]) -> Option<Vec<Row>> {
        let rows = catch_unwind(AssertUnwindSafe(|| self.engine.embed_together(texts))).ok().flatten();
        rows.filter(|rows| rows.len() == texts.len())
    }

    fn next_batch(&self) -> Option<Vec<PreparedText>> {
        let mut queue = self.queue();
        loop {
            let batch = queue.take(self.batch_tokens, self.workers);
            if !batch.is_empty() {
                return Some(batch);
            }
            if queue.is_closed() {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether anyone still waits for a text; if not, it is forgotten.
    fn is_wanted(&self, text: &PreparedText) -> bool {
        let unwanted = {
            let mut queue = self.queue();
            let unwanted = queue.drop_unwanted(&text.key);
            self.show_queue(&queue);
            unwanted
        };
        if unwanted {
            self.metrics.texts(TextSource::Cancelled, 1);
        }
        !unwanted
    }

    /// Reads one text and answers everyone who waits for it.
    fn read(&self, text: &PreparedText) {
        let answer = match catch_unwind(AssertUnwindSafe(|| self.engine.embed(text))) {
            Ok(Ok(row)) => Ok(Arc::new(row)),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure::bug("reading this text failed in a way that is a mistake of this program")),
        };
        self.answer(text, answer);
    }

    /// Answers everyone who waits for a text.
    fn answer(&self, text: &PreparedText, answer: Answer) {
        if let Ok(row) = &answer {
            self.metrics.computed(row);
            if let Some(recent) = &self.recent {
                recent.lock().unwrap_or_else(PoisonError::into_inner).put(text.key, Arc::clone(row));
            }
        }
        let waiting = {
            let mut queue = self.queue();
            let waiting = queue.finish(&text.key);
            self.show_queue(&queue);
            waiting
        };
        for channel in waiting {
            // Who has hung up meanwhile does not hear of it.
            let _ = channel.send(answer.clone());
        }
    }
}

/// One text of a request.
enum Part {
    Ready(Arc<Row>),
    Waiting(Ticket, oneshot::Receiver<Answer>),
    Gone,
}

/// The features a request waits for. Dropping it gives up what is not there yet.
pub(super) struct Pending {
    parts: Vec<Part>,
    shared: Arc<Shared>,
}

impl Pending {
    /// The rows, in the order of the texts.
    ///
    /// # Errors
    /// The failure of the first text that failed, with its index.
    pub(super) async fn rows(mut self) -> Result<Vec<Arc<Row>>, Failure> {
        let mut rows = Vec::with_capacity(self.parts.len());
        for index in 0..self.parts.len() {
            let answer = match &mut self.parts[index] {
                Part::Ready(row) => Ok(Arc::clone(row)),
                Part::Waiting(_, receiver) => {
                    receiver.await.unwrap_or_else(|_| Err(Failure::busy("the server is stopping")))
                }
                Part::Gone => Err(Failure::bug("a text was lost")),
            };
            self.parts[index] = Part::Gone;
            rows.push(answer.map_err(|failure| failure.of_item(index))?);
        }
        Ok(rows)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.parts.iter().any(|part| matches!(part, Part::Waiting(..))) {
            return;
        }
        let mut queue = self.shared.queue();
        let withdrawn = self.parts.iter().filter_map(|part| match part {
            Part::Waiting(ticket, _) => Some(queue.withdraw(*ticket)),
            _ => None,
        });
        let cancelled = withdrawn.filter(|cancelled| *cancelled).count();
        self.shared.metrics.texts(TextSource::Cancelled, cancelled);
        self.shared.show_queue(&queue);
    }
}
