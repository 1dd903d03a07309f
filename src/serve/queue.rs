//! Which texts wait to be read, which are being read, and who waits for each.
//!
//! Pure bookkeeping without threads or clocks. A text that is asked for again while it waits or is computed is not
//! queued again. What every client has given up is taken out at once, so that it neither holds room nor is computed.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::features::PreparedText;
use crate::files::Digest;

/// What the queue may hold: texts that wait and texts being computed count alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) items: usize,
    pub(super) tokens: usize,
}

/// Why texts were not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They are more than the queue can ever hold.
    TooLarge,
    /// There is no room now.
    Full,
    /// The server is stopping.
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request holds more texts or tokens than the queue has room for",
            Self::Full => "the queue is full",
            Self::Closed => "the server is stopping",
        })
    }
}

/// One who waits for a text, and where the answer goes.
struct Waiter<W> {
    ticket: u64,
    channel: W,
}

/// A text that waits or is computed.
struct Entry<W> {
    /// Taken out when a worker starts on it.
    text: Option<PreparedText>,
    tokens: usize,
    waiters: Vec<Waiter<W>>,
}

/// The texts of all requests; `W` is where an answer is sent.
pub(super) struct Queue<W> {
    capacity: Capacity,
    entries: BTreeMap<Digest, Entry<W>>,
    /// Texts no worker has started on, in the order they came; some may have been withdrawn meanwhile.
    order: VecDeque<Digest>,
    tokens: usize,
    waiting_tokens: usize,
    next_ticket: u64,
    closed: bool,
}

impl<W> Queue<W> {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            tokens: 0,
            waiting_tokens: 0,
            next_ticket: 0,
            closed: false,
        }
    }

    /// Lets in all of `texts` or none; the tickets are in their order. The second number is how many of them were
    /// there already.
    ///
    /// # Errors
    /// Why none was let in.
    pub(super) fn admit(&mut self, texts: Vec<(PreparedText, W)>) -> Result<(Vec<Ticket>, usize), Refusal> {
        let mut new: BTreeMap<Digest, usize> = BTreeMap::new();
        for (text, _) in &texts {
            if !self.entries.contains_key(&text.key) {
                new.insert(text.key, text.tokens());
            }
        }
        let tokens: usize = new.values().sum();
        if self.closed {
            return Err(Refusal::Closed);
        }
        if new.len() > self.capacity.items || tokens > self.capacity.tokens {
            return Err(Refusal::TooLarge);
        }
        if self.entries.len() + new.len() > self.capacity.items || self.tokens + tokens > self.capacity.tokens {
            return Err(Refusal::Full);
        }
        let shared = texts.len() - new.len();
        Ok((texts.into_iter().map(|(text, channel)| self.push(text, channel)).collect(), shared))
    }

    fn push(&mut self, text: PreparedText, channel: W) -> Ticket {
        let ticket = Ticket { key: text.key, number: self.next_ticket };
        self.next_ticket += 1;
        let (order, total, waiting) = (&mut self.order, &mut self.tokens, &mut self.waiting_tokens);
        let entry = self.entries.entry(ticket.key).or_insert_with(|| {
            let tokens = text.tokens();
            order.push_back(ticket.key);
            *total += tokens;
            *waiting += tokens;
            Entry { text: Some(text), tokens, waiters: Vec::with_capacity(1) }
        });
        entry.waiters.push(Waiter { ticket: ticket.number, channel });
        ticket
    }

    /// Takes waiting texts from the front: at least one if there is one, then more while they stay within `tokens`
    /// and within an equal share of what waits for each of `workers`.
    pub(super) fn take(&mut self, tokens: usize, workers: usize) -> Vec<PreparedText> {
        let most = tokens.min(self.waiting_tokens.div_ceil(workers.max(1)));
        let (mut taken, mut sum) = (Vec::new(), 0);
        while let Some(key) = self.order.front() {
            let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.text.is_some()) else {
                self.order.pop_front();
                continue;
            };
            if !taken.is_empty() && sum + entry.tokens > most {
                break;
            }
            sum += entry.tokens;
            self.waiting_tokens -= entry.tokens;
            taken.extend(entry.text.take());
            self.order.pop_front();
        }
        taken
    }

    /// A text is done: who waits for it.
    pub(super) fn finish(&mut self, key: &Digest) -> Vec<W> {
        let Some(entry) = self.entries.remove(key) else { return Vec::new() };
        self.tokens -= entry.tokens;
        if entry.text.is_some() {
            self.waiting_tokens -= entry.tokens;
        }
        entry.waiters.into_iter().map(|waiter| waiter.channel).collect()
    }

    /// Forgets a text that a worker has taken and nobody waits for any more; whether that was so.
    pub(super) fn drop_unwanted(&mut self, key: &Digest) -> bool {
        let unwanted = self.entries.get(key).is_some_and(|entry| entry.waiters.is_empty());
        if unwanted {
            self.finish(key);
        }
        unwanted
    }

    /// Someone gave up; true when the text is not wanted by anyone else and had not been started on, so that it will
    /// never be computed.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> bool {
        let Some(entry) = self.entries.get_mut(&ticket.key) else { return false };
        entry.waiters.retain(|waiter| waiter.ticket != ticket.number);
        if !entry.waiters.is_empty() || entry.text.is_none() {
            return false;
        }
        self.finish(&ticket.key);
        // Withdrawn texts leave their keys in the order; they must not pile up behind a long computation.
        if self.order.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.order.retain(|key| entries.get(key).is_some_and(|entry| entry.text.is_some()));
        }
        true
    }

    /// Lets nothing in any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Texts that wait or are computed.
    pub(super) fn items(&self) -> usize {
        self.entries.len()
    }

    /// Their tokens.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    key: Digest,
    number: u64,
}
