//! Texts laid side by side as rows of tokens.

use super::kernels::Span;

/// Fewer tokens alike are not worth looking up.
const LEAST_SHARED: usize = 4;

/// Where the tokens of each text stand.
pub(in crate::backbone) struct Batch {
    pub(in crate::backbone) spans: Vec<Span>,
    /// Rows in all.
    pub(in crate::backbone) rows: usize,
}

impl Batch {
    /// Every text with rows of its own.
    pub(in crate::backbone) fn apart(lengths: impl Iterator<Item = usize>) -> Self {
        let mut rows = 0;
        let spans = lengths.map(|length| {
            let own = rows..rows + length;
            rows = own.end;
            Span { shared: 0..0, own }
        });
        let spans = spans.collect();
        Self { spans, rows }
    }

    /// A text that begins like one before it shares those rows; what a causal model makes of them depends on nothing
    /// that comes after.
    pub(in crate::backbone) fn sharing(texts: &[&[u32]]) -> Self {
        let mut batch = Self { spans: Vec::with_capacity(texts.len()), rows: 0 };
        // Texts whose rows are all their own, by index.
        let mut owners: Vec<usize> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let alike =
                |owner: &usize| text.iter().zip(texts[*owner]).take_while(|(left, right)| left == right).count();
            let most = owners.iter().map(|owner| (alike(owner), *owner)).max_by_key(|(count, _)| *count);
            let (count, owner) = most.filter(|(count, _)| *count >= LEAST_SHARED).unwrap_or((0, index));
            let own = batch.rows..batch.rows + text.len() - count;
            batch.rows = own.end;
            let start = batch.spans.get(owner).map_or(0, |span: &Span| span.own.start);
            batch.spans.push(Span { shared: start..start + count, own });
            if count == 0 {
                owners.push(index);
            }
        }
        batch
    }
}
