//! Texts side by side: every token has a row that says the same, and alike beginnings have it together.

use proptest::prelude::*;

use crate::backbone::packed::batch::Batch;
use crate::backbone::packed::kernels::Span;

/// Below this many tokens nothing is shared.
const LEAST: usize = 4;

fn sharing(texts: &[Vec<u32>]) -> Batch {
    Batch::sharing(&texts.iter().map(|text| &text[..]).collect::<Vec<_>>())
}

/// Tokens that two texts begin with alike.
fn alike(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

/// Texts over three words, some of which begin like the one before.
fn texts() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let text = (0_usize..12, proptest::collection::vec(0_u32..3, 0..12));
    proptest::collection::vec(text, 0..10).prop_map(|drafts| {
        let mut texts: Vec<Vec<u32>> = Vec::new();
        for (kept, more) in drafts {
            let before = texts.last().map_or(&[][..], |text| &text[..kept.min(text.len())]);
            texts.push([before, &more].concat());
        }
        texts
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    /// A row stands for a token and all that stands before it: a causal model makes the same of it for every text.
    #[test]
    fn every_row_stands_for_the_same_beginning(texts in texts()) {
        let batch = sharing(&texts);
        prop_assert_eq!(batch.spans.len(), texts.len());
        prop_assert!(batch.rows <= texts.iter().map(Vec::len).sum());
        let mut beginnings: Vec<Option<Vec<u32>>> = vec![None; batch.rows];
        for (text, span) in texts.iter().zip(&batch.spans) {
            prop_assert_eq!(span.len(), text.len());
            for position in 0..text.len() {
                let beginning = &mut beginnings[span.row(position)];
                if span.own.contains(&span.row(position)) {
                    prop_assert!(beginning.is_none(), "two texts own a row");
                    *beginning = Some(text[..=position].to_vec());
                }
                prop_assert_eq!(beginning.as_deref(), Some(&text[..=position]));
            }
        }
        prop_assert!(beginnings.iter().all(Option::is_some), "a row is nobody's");
    }

    /// A text shares the longest beginning that it has in common with one that shares nothing itself.
    #[test]
    fn as_much_is_shared_as_there_is(texts in texts()) {
        let batch = sharing(&texts);
        for (index, span) in batch.spans.iter().enumerate() {
            let owners = (0..index).filter(|before| batch.spans[*before].shared.is_empty());
            let most = owners.map(|before| alike(&texts[before], &texts[index])).max().unwrap_or(0);
            prop_assert_eq!(span.shared.len(), if most < LEAST { 0 } else { most });
        }
    }

    #[test]
    fn texts_apart_share_nothing(lengths in proptest::collection::vec(0_usize..20, 0..10)) {
        let batch = Batch::apart(lengths.iter().copied());
        let mut start = 0;
        for (span, length) in batch.spans.iter().zip(&lengths) {
            prop_assert_eq!(span, &Span { shared: 0..0, own: start..start + length });
            start += length;
        }
        prop_assert_eq!((batch.spans.len(), batch.rows), (lengths.len(), start));
    }
}

#[test]
fn two_answers_to_a_question_share_it() {
    let question: Vec<u32> = (0..20).collect();
    let answers = [[50, 51, 52], [50, 61, 62]].map(|answer| [&question[..], &answer[..]].concat());
    let batch = sharing(&[answers[0].clone(), answers[1].clone(), answers[0].clone(), vec![9; 5]]);
    let spans = [
        Span { shared: 0..0, own: 0..23 },
        Span { shared: 0..21, own: 23..25 },
        Span { shared: 0..23, own: 25..25 },
        Span { shared: 0..0, own: 25..30 },
    ];
    assert_eq!((batch.spans, batch.rows), (spans.into(), 30));
}
