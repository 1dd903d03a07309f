//! Attention of one text: every head's queries in tiles, scores, softmax and weighted values while they are in cache.

use std::ops::Range;

use super::product::{Floats, tile};
use super::simd::{Lane, Simd};
use super::softmax::softmax;
use crate::backbone::packed::rows::{Rows, place};

/// Which tokens see which, and how the heads lie side by side in a row of queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::backbone) struct Attention {
    /// Heads of queries.
    pub(in crate::backbone) queries: usize,
    /// Heads of keys and of values, each shared by `queries / keys` heads of queries.
    pub(in crate::backbone) keys: usize,
    /// Lanes of a head; numbers beyond its size are zero.
    pub(in crate::backbone) lanes: usize,
    /// Multiplies the scores.
    pub(in crate::backbone) scale: f32,
    /// Whether a token sees only itself and what stands before it.
    pub(in crate::backbone) causal: bool,
    /// How many tokens up to its own a token sees; all where `None`.
    pub(in crate::backbone) window: Option<usize>,
}

/// Where the tokens of a text stand among the rows: first those it shares with the text before, then its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backbone) struct Span {
    pub(in crate::backbone) shared: Range<usize>,
    pub(in crate::backbone) own: Range<usize>,
}

impl Span {
    pub(in crate::backbone) fn len(&self) -> usize {
        self.shared.len() + self.own.len()
    }

    /// The row of the token at `position`.
    pub(in crate::backbone) fn row(&self, position: usize) -> usize {
        if position < self.shared.len() {
            self.shared.start + position
        } else {
            self.own.start + position - self.shared.len()
        }
    }
}

/// Room for one head of one text.
#[derive(Default)]
pub(in crate::backbone) struct AttentionRoom {
    /// Keys of one token after the other: `(head / 16, tokens)`.
    gathered: Vec<Lane>,
    /// Keys, sixteen tokens side by side: `(tokens / 16, head)`.
    keys: Vec<Lane>,
    /// Values, sixteen numbers of a head side by side: `(head / 16, tokens)`.
    values: Vec<Lane>,
    /// `(tokens / 16, M)`.
    scores: Vec<Lane>,
    /// `(head / 16, M)`.
    queries: Vec<Lane>,
    /// One over the sum of each row of `scores`.
    shares: Vec<f32>,
}

impl Attention {
    /// Lanes of a row of queries, keys and values.
    pub(in crate::backbone) fn row_lanes(&self) -> usize {
        (self.queries + 2 * self.keys) * self.lanes
    }

    /// The chunks of sixteen positions that the tokens at `own` among the text's own see.
    fn chunks(&self, span: &Span, own: &Range<usize>) -> Range<usize> {
        let seen = |token: usize| self.seen(span.shared.len() + token, span.len());
        seen(own.start).start / 16..seen(own.end - 1).end.div_ceil(16)
    }

    /// The positions that the token at `position` of `count` sees.
    fn seen(&self, position: usize, count: usize) -> Range<usize> {
        let end = if self.causal { position + 1 } else { count };
        let start = self.window.map_or(0, |window| (position + 1).saturating_sub(window));
        start..end
    }
}

/// Attends within one text: `rows` hold queries, keys and values of all heads, `context` gets the weighted values of
/// the text's own tokens.
#[inline(always)]
pub(super) fn attend<S: Simd, const M: usize>(
    simd: S,
    attention: &Attention,
    (rows, span): (&Rows, &Span),
    room: &mut AttentionRoom,
    context: &mut Rows,
) {
    let sharing = attention.queries / attention.keys;
    for group in 0..attention.keys {
        let lane = (attention.queries + group) * attention.lanes;
        gather_keys::<S, M>(simd, attention, (rows, span), lane, room);
        gather::<M>(attention, (rows, span), lane + attention.keys * attention.lanes, &mut room.values);
        for head in group * sharing..(group + 1) * sharing {
            for start in (0..span.own.len()).step_by(M) {
                let count = M.min(span.own.len() - start);
                tile_of_queries::<S, M>(simd, attention, (rows, span), (head, start..start + count), room);
                weighted_values::<S, M>(simd, attention, (span, head, start..start + count), room, context);
            }
        }
    }
}

/// Lays the keys of one head out with sixteen tokens side by side.
#[inline(always)]
fn gather_keys<S: Simd, const M: usize>(
    simd: S,
    attention: &Attention,
    (rows, span): (&Rows, &Span),
    lane: usize,
    room: &mut AttentionRoom,
) {
    gather::<M>(attention, (rows, span), lane, &mut room.gathered);
    room.keys.resize(room.gathered.len(), Lane::ZERO);
    let (gathered, keys) = (room.gathered.as_chunks::<16>().0, room.keys.as_chunks_mut::<16>().0);
    let chunks = span.len().div_ceil(16);
    for (index, columns) in keys.iter_mut().enumerate() {
        let (chunk, part) = (index / attention.lanes, index % attention.lanes);
        simd.transpose(&gathered[part * chunks + chunk], columns);
    }
}

/// Lays the lanes from `lane` on of one head's keys or values out one after the other, `(head / 16, tokens)`; what fills the
/// last sixteen tokens up is zero.
#[inline(always)]
fn gather<const M: usize>(attention: &Attention, (rows, span): (&Rows, &Span), lane: usize, into: &mut Vec<Lane>) {
    let tokens = span.len().next_multiple_of(16);
    into.resize(attention.lanes * tokens, Lane::ZERO);
    // A text without a token has nothing to lay out.
    for (part, into) in into.chunks_exact_mut(tokens.max(1)).enumerate() {
        let (shared, rest) = into.split_at_mut(span.shared.len());
        let (own, beyond) = rest.split_at_mut(span.own.len());
        rows.copy_lanes::<M>(&span.shared, lane + part, shared);
        rows.copy_lanes::<M>(&span.own, lane + part, own);
        beyond.fill(Lane::ZERO);
    }
}

/// The softmax weights, times their sum, of a tile of queries of `head`, in `room.scores`.
#[inline(always)]
fn tile_of_queries<S: Simd, const M: usize>(
    simd: S,
    attention: &Attention,
    (rows, span): (&Rows, &Span),
    (head, own): (usize, Range<usize>),
    room: &mut AttentionRoom,
) {
    room.queries.resize(attention.lanes * M, Lane::ZERO);
    let tokens = span.own.start + own.start..span.own.start + own.end;
    for (part, queries) in room.queries.chunks_exact_mut(M).enumerate() {
        // Beyond the last token stand those of another tile; nobody reads what becomes of them.
        rows.copy_lanes::<M>(&tokens, head * attention.lanes + part, &mut queries[..own.len()]);
    }
    let queries = room.queries.as_chunks::<M>().0;
    let chunks = span.len().div_ceil(16);
    room.scores.resize(chunks * M, Lane::ZERO);
    let (scores, panels) = (room.scores.as_chunks_mut::<M>().0, room.keys.as_chunks::<16>().0);
    let Range { start: first, end: last } = attention.chunks(span, &own);
    let panel = |chunk: usize| &panels[chunk * attention.lanes..(chunk + 1) * attention.lanes];
    let mut chunk = first;
    while chunk < last {
        if S::PAIRED && chunk + 1 < last {
            let sums = tile::<S, Floats, M, 2>(simd, queries, [panel(chunk), panel(chunk + 1)], &[]);
            for (row, sums) in sums.iter().enumerate() {
                simd.store(sums[0], &mut scores[chunk][row]);
                simd.store(sums[1], &mut scores[chunk + 1][row]);
            }
            chunk += 2;
        } else {
            let sums = tile::<S, Floats, M, 1>(simd, queries, [panel(chunk)], &[]);
            for (row, sums) in sums.iter().enumerate() {
                simd.store(sums[0], &mut scores[chunk][row]);
            }
            chunk += 1;
        }
    }
    let mut seen = [const { 0..0 }; M];
    for (row, seen) in seen.iter_mut().enumerate() {
        let token = (own.start + row).min(own.end - 1);
        *seen = attention.seen(span.shared.len() + token, span.len());
    }
    let totals = softmax::<S, M>(simd, attention.scale, &seen, 16 * first, &mut scores[first..last]);
    room.shares.clear();
    for total in &totals[..own.len()] {
        room.shares.push(1.0 / simd.sum(*total));
    }
}

/// Sums the values by the weights in `room.scores` into `context`.
#[inline(always)]
fn weighted_values<S: Simd, const M: usize>(
    simd: S,
    attention: &Attention,
    (span, head, own): (&Span, usize, Range<usize>),
    room: &AttentionRoom,
    context: &mut Rows,
) {
    let chunks = span.len().div_ceil(16);
    let Range { start: first, end: last } = attention.chunks(span, &own);
    let weights = &room.scores.as_chunks::<M>().0[first..last];
    let values = room.values.as_chunks::<16>().0;
    let panel = |part: usize| &values[part * chunks + first..part * chunks + last];
    let lanes = context.lanes();
    let mut part = 0;
    while part < attention.lanes {
        let lane = head * attention.lanes + part;
        let paired = S::PAIRED && part + 1 < attention.lanes;
        let second = if paired { part + 1 } else { part };
        let sums = if paired {
            tile::<S, Floats, M, 2>(simd, weights, [panel(part), panel(second)], &[])
        } else {
            tile::<S, Floats, M, 1>(simd, weights, [panel(part)], &[]).map(|[sums]| [sums; 2])
        };
        for (row, (sums, share)) in sums.iter().zip(&room.shares).enumerate() {
            let place = place::<M>(lanes, span.own.start + own.start + row, lane);
            let share = simd.splat(*share);
            for (part, sums) in sums.iter().enumerate().take(1 + usize::from(paired)) {
                simd.store(simd.multiply(*sums, share), &mut context.tiles_mut()[place + part * M]);
            }
        }
        part = second + 1;
    }
}
