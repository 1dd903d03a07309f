//! Texts laid side by side as rows of tokens.

use super::kernels::Span;

/// Where the tokens of each text stand.
pub(super) struct Batch {
    pub(super) spans: Vec<Span>,
    /// Rows in all.
    pub(super) rows: usize,
}

impl Batch {
    /// Every text with rows of its own.
    pub(super) fn apart(lengths: impl Iterator<Item = usize>) -> Self {
        let mut rows = 0;
        let spans = lengths.map(|length| {
            let own = rows..rows + length;
            rows = own.end;
            Span { shared: 0..0, own }
        });
        let spans = spans.collect();
        Self { spans, rows }
    }
}
