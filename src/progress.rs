//! What long work tells about itself: one small trait that bars, JSON lines and silent runs listen to.

/// Listens to a run. Stages do not nest: `start`, any number of `advance`, `finish`.
pub trait Progress: Sync {
    /// A stage begins; `total` rows are to be done.
    fn start(&self, stage: &str, total: u64);
    /// `rows` more rows are done.
    fn advance(&self, rows: u64);
    /// The stage is over; `note` says in a few words what came out.
    fn finish(&self, note: &str);
}

/// Listens to nothing.
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _stage: &str, _total: u64) {}
    fn advance(&self, _rows: u64) {}
    fn finish(&self, _note: &str) {}
}
