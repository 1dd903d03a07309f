//! Attention against scores, softmax and sums in f64, and the same bits wherever a text's rows stand.

use super::{Answer, ROUNDING, bits, laid_out, near, normal, numbers};
use crate::backbone::packed::kernels::{Attention, AttentionRoom, Kernel, Lane, Span, available};
use crate::backbone::packed::rows::Rows;
use crate::random::Random;

/// The relative error of a power of e, as the kernels' file has it.
const POWER: f64 = 3e-7;

/// Attention over some heads, with the head size that its lanes are not quite filled with.
struct Heads {
    attention: Attention,
    size: usize,
}

impl Heads {
    fn new((queries, keys): (usize, usize), lanes: usize, mask: (bool, Option<usize>)) -> Self {
        let size = lanes * 16 - [0, 3, 15, 1][lanes - 1];
        let (causal, window) = mask;
        let scale = 1.0 / (size as f32).sqrt();
        Self { attention: Attention { queries, keys, lanes, scale, causal, window }, size }
    }

    /// Rows of queries, keys and values, the first two of `magnitude`.
    fn tokens(&self, random: &mut Random, count: usize, magnitude: f64) -> Vec<Vec<f32>> {
        let values = self.attention.queries + self.attention.keys;
        let head = |random: &mut Random, head: usize| {
            let mut numbers = normal(random, self.size, if head < values { magnitude } else { 1.0 });
            numbers.resize(self.attention.lanes * 16, 0.0);
            numbers
        };
        let heads = values + self.attention.keys;
        (0..count).map(|_| (0..heads).flat_map(|index| head(random, index)).collect()).collect()
    }

    /// The numbers of a head of queries, keys or values in a row.
    fn head<'a>(&self, row: &'a [f32], head: usize) -> impl Iterator<Item = f64> + Clone + use<'a> {
        let numbers = self.attention.lanes * 16;
        row[head * numbers..(head + 1) * numbers].iter().map(|number| f64::from(*number))
    }

    /// What the token at `position` sees.
    fn sees(&self, position: usize, other: usize) -> bool {
        let near = self.attention.window.is_none_or(|window| other + window > position);
        near && (!self.attention.causal || other <= position)
    }

    /// The context of one token and one head. A score is off by its roundings; that is the relative error of its power
    /// of e, once in the weight and once in the sum of all weights.
    fn truth(&self, tokens: &[Vec<f32>], position: usize, head: usize) -> Vec<Answer> {
        let Attention { queries, keys, lanes, scale, .. } = self.attention;
        let (key, scale) = (queries + head / (queries / keys), f64::from(scale));
        let seen: Vec<_> = (0..tokens.len()).filter(|other| self.sees(position, *other)).collect();
        let query = self.head(&tokens[position], head);
        let products =
            |other: usize| query.clone().zip(self.head(&tokens[other], key)).map(|(left, right)| left * right);
        let scores: Vec<f64> = seen.iter().map(|other| scale * products(*other).sum::<f64>()).collect();
        let sizes = seen.iter().map(|other| scale * products(*other).map(f64::abs).sum::<f64>());
        let size = sizes.fold(0.0, f64::max);
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let extreme = scores.iter().copied().map(f64::abs).fold(0.0, f64::max);
        let off = ROUNDING * ((lanes as f64 * 16.0 + 1.0) * size + 3.0 * extreme);
        let powers: Vec<f64> = scores.iter().map(|score| libm::exp(score - most)).collect();
        let total: f64 = powers.iter().sum();
        let relative = libm::expm1(2.0 * (off + POWER)) + (2 * seen.len() + 8) as f64 * ROUNDING;
        let mut answers = vec![Answer { value: 0.0, bound: 0.0 }; lanes * 16];
        for (power, other) in powers.iter().zip(seen) {
            for (answer, value) in answers.iter_mut().zip(self.head(&tokens[other], key + keys)) {
                answer.value += power / total * value;
                // No power is less than e^-87.
                answer.bound += (relative * power / total + 2e-38) * value.abs();
            }
        }
        answers
    }

    /// Attends in all spans over `rows`; gives the context of the own tokens of each.
    fn attended(&self, kernel: &dyn Kernel, rows: &[Vec<f32>], spans: &[Span]) -> Vec<Vec<Vec<f32>>> {
        let rows = laid_out(kernel, rows);
        let mut context = Rows::default();
        context.like(&rows, self.attention.queries * self.attention.lanes);
        context.tiles_mut().fill(Lane([f32::NAN; 16]));
        let mut room = AttentionRoom::default();
        for span in spans {
            kernel.attend(&self.attention, (&rows, span), &mut room, &mut context);
        }
        spans.iter().map(|span| span.own.clone().map(|row| numbers(&context, row)).collect()).collect()
    }

    fn compare(&self, tokens: &[Vec<f32>]) {
        let numbers = self.attention.lanes * 16;
        let head = |position| move |head| self.truth(tokens, position, head);
        let truth: Vec<Vec<Answer>> =
            (0..tokens.len()).map(|position| (0..self.attention.queries).flat_map(head(position)).collect()).collect();
        let span = [Span { shared: 0..0, own: 0..tokens.len() }];
        for kernel in available() {
            let context = &self.attended(&*kernel, tokens, &span)[0];
            for (position, (found, truth)) in context.iter().zip(&truth).enumerate() {
                assert_eq!(found.len(), self.attention.queries * numbers);
                for (found, truth) in found.iter().zip(truth) {
                    near(*found, *truth, &(kernel.name(), self.attention, position));
                }
            }
        }
    }
}

const HEADS: [(usize, usize); 4] = [(1, 1), (4, 2), (3, 1), (2, 2)];

/// No mask, what stands before, and windows; the last is longer than any text here.
const MASKS: [(bool, Option<usize>); 7] = [
    (false, None),
    (true, None),
    (true, Some(1)),
    (true, Some(3)),
    (true, Some(16)),
    (true, Some(17)),
    (true, Some(1000)),
];

#[test]
fn attention_follows_its_definition_at_every_length() {
    let mut random = Random::new(7);
    let mut turn = 0;
    // The heights of all kernels are among the lengths, with their neighbours.
    for length in [1, 2, 3, 5, 6, 7, 13, 14, 15, 16, 17, 33, 50, 100] {
        for mask in MASKS {
            let heads = Heads::new(HEADS[turn % 4], [1, 2, 4][turn % 3], mask);
            turn += 1;
            let tokens = heads.tokens(&mut random, length, 1.0);
            heads.compare(&tokens);
        }
    }
}

#[test]
fn a_window_without_a_mask_hides_only_what_stands_before() {
    let mut random = Random::new(8);
    for (length, window) in [(5, 1), (40, 3), (40, 16), (40, 17)] {
        let heads = Heads::new((2, 1), 2, (false, Some(window)));
        let tokens = heads.tokens(&mut random, length, 1.0);
        heads.compare(&tokens);
    }
}

#[test]
fn extreme_scores_keep_their_weights() {
    let mut random = Random::new(9);
    for (index, mask) in MASKS.into_iter().enumerate() {
        let mut heads = Heads::new(HEADS[index % 4], 1, mask);
        // Scores of some ten thousand, of either sign.
        heads.attention.scale = 1.0;
        let tokens = heads.tokens(&mut random, 37, 50.0);
        heads.compare(&tokens);
        // Nobody's score is nearer to anyone's: all see all alike.
        let mut alike = tokens;
        let queries = heads.attention.queries * 16;
        alike.iter_mut().for_each(|row| row[..queries].fill(0.0));
        heads.compare(&alike);
    }
}

/// Weights sum to one however large the scores are: where every value is 1, so is what is attended.
#[test]
fn weights_sum_to_one_at_any_scores() {
    let mut random = Random::new(20);
    for magnitude in [1.0, 1e2, 1e4, 1e6, 1e9, 1e15] {
        for mask in [MASKS[0], MASKS[1]] {
            let mut heads = Heads::new(HEADS[0], 1, mask);
            // One by which products are rounded.
            heads.attention.scale = 0.176_776_7;
            let mut tokens = heads.tokens(&mut random, 37, magnitude);
            let values = (heads.attention.queries + heads.attention.keys) * 16;
            tokens.iter_mut().for_each(|row| row[values..].fill(1.0));
            let span = [Span { shared: 0..0, own: 0..tokens.len() }];
            for kernel in available() {
                for number in heads.attended(&*kernel, &tokens, &span).concat().concat() {
                    assert!((number - 1.0).abs() < 3e-6, "{} {mask:?} {magnitude:e}: {number}", kernel.name());
                }
            }
        }
    }
}

/// However wild it is.
#[test]
fn what_a_token_does_not_see_changes_no_bit() {
    let mut random = Random::new(17);
    for (index, mask) in MASKS.into_iter().enumerate().skip(1) {
        let heads = Heads::new(HEADS[index % 4], [1, 2, 4][index % 3], mask);
        let tokens = heads.tokens(&mut random, 37, 1.0);
        let values = (heads.attention.queries + heads.attention.keys) * heads.attention.lanes * 16;
        let span = [Span { shared: 0..0, own: 0..tokens.len() }];
        for kernel in available() {
            let before = heads.attended(&*kernel, &tokens, &span).remove(0);
            for position in [0, 1, 15, 16, 20, 36] {
                let mut changed = tokens.clone();
                for (other, row) in changed.iter_mut().enumerate().filter(|(other, _)| !heads.sees(position, *other)) {
                    row[..values].fill(if other % 2 == 0 { 1e3 } else { -1e3 });
                    row[values..].fill(1e30);
                }
                let after = heads.attended(&*kernel, &changed, &span).remove(0);
                assert_eq!(bits(&after[position]), bits(&before[position]), "{} {mask:?} {position}", kernel.name());
            }
        }
    }
}

#[test]
fn a_text_has_the_same_bits_beside_others_and_at_every_row() {
    let mut random = Random::new(10);
    for (index, mask) in MASKS.into_iter().enumerate() {
        let heads = Heads::new(HEADS[index % 4], [1, 2, 4][index % 3], mask);
        let texts: Vec<_> = [23, 1, 40, 9].map(|length| heads.tokens(&mut random, length, 1.0)).into();
        for kernel in available() {
            let alone: Vec<_> = texts
                .iter()
                .map(|text| heads.attended(&*kernel, text, &[Span { shared: 0..0, own: 0..text.len() }]).remove(0))
                .collect();
            for offset in 0..=2 * kernel.height() {
                let mut rows = heads.tokens(&mut random, offset, 1.0);
                let mut spans = Vec::new();
                for text in &texts {
                    spans.push(Span { shared: 0..0, own: rows.len()..rows.len() + text.len() });
                    rows.extend(text.iter().cloned());
                }
                let together = heads.attended(&*kernel, &rows, &spans);
                for (alone, together) in alone.iter().flatten().zip(together.iter().flatten()) {
                    assert_eq!(bits(alone), bits(together), "{} {mask:?} {offset}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn shared_rows_give_the_bits_of_rows_of_its_own() {
    let mut random = Random::new(11);
    for (index, mask) in MASKS.into_iter().enumerate().skip(1) {
        let heads = Heads::new(HEADS[index % 4], [1, 2, 4][index % 3], mask);
        for (before, whole, shared, own) in
            [(0, 9, 9, 1), (3, 40, 4, 30), (5, 40, 16, 16), (1, 40, 17, 47), (2, 70, 61, 20), (4, 33, 33, 0)]
        {
            let rows = heads.tokens(&mut random, before + whole + own, 1.0);
            let first = before + whole;
            let mut apart = rows[before..before + shared].to_vec();
            apart.extend_from_slice(&rows[first..]);
            let span = Span { shared: before..before + shared, own: first..first + own };
            let alone = Span { shared: 0..0, own: 0..shared + own };
            for kernel in available() {
                let found = &heads.attended(&*kernel, &rows, std::slice::from_ref(&span))[0];
                let truth = &heads.attended(&*kernel, &apart, std::slice::from_ref(&alone))[0];
                assert_eq!(found.len(), own);
                for (found, truth) in found.iter().zip(&truth[shared..]) {
                    assert_eq!(bits(found), bits(truth), "{} {mask:?} {shared} {own}", kernel.name());
                }
            }
        }
    }
}
