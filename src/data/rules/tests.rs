//! Merits against sacrebleu, rouge_score and by hand; preferences at the edges.
//!
//! Fixture: `tests/fixtures/make_text_metrics.py` (sacrebleu's `sentence_bleu`, rouge_score's `rougeL`).

use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::config::Pattern;
use crate::files;

#[derive(Deserialize)]
struct Case {
    hypothesis: String,
    reference: String,
    bleu: f64,
    rouge_l: f64,
}

#[test]
fn text_metrics_equal_their_packages() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text_metrics.json");
    let text = files::read_text(&path, "the fixture").expect("fixture");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("fixture");
    assert!(cases.len() >= 60);
    for Case { hypothesis, reference, bleu, rouge_l } in &cases {
        let shown = format!("{hypothesis:?} against {reference:?}");
        let found = bleu::sentence_bleu(hypothesis, reference);
        assert!((found - bleu).abs() <= 1e-9, "BLEU of {shown}: {found}, sacrebleu {bleu}");
        let found = rouge::rouge_l(hypothesis, reference);
        assert!((found - rouge_l).abs() <= 1e-9, "ROUGE-L of {shown}: {found}, rouge_score {rouge_l}");
    }
}

/// The table of the textbook, one cell at a time.
fn table(rows: &[u8], columns: &[u8]) -> usize {
    let mut table = vec![vec![0; columns.len() + 1]; rows.len() + 1];
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            let longer = table[i][j + 1].max(table[i + 1][j]);
            table[i + 1][j + 1] = if row == column { table[i][j] + 1 } else { longer };
        }
    }
    table[rows.len()][columns.len()]
}

proptest! {
    #[test]
    fn common_subsequences_by_bits_are_those_of_the_table(
        rows in prop::collection::vec(0u8..5, 0..200),
        columns in prop::collection::vec(0u8..5, 0..200),
    ) {
        prop_assert_eq!(rouge::longest_common_subsequence(&rows, &columns), table(&rows, &columns));
    }

    #[test]
    fn metrics_of_any_text_stay_in_their_range(hypothesis in "\\PC{0,40}", reference in "\\PC{0,40}") {
        prop_assert!((0.0..=100.0 + 1e-9).contains(&bleu::sentence_bleu(&hypothesis, &reference)));
        prop_assert!((0.0..=1.0).contains(&rouge::rouge_l(&hypothesis, &reference)));
    }
}

#[test]
fn counts_are_of_words_and_characters() {
    let merit = |criterion: Criterion, text: &str| merit(&criterion, text, "");
    let text = " two  wörds\n";
    assert_eq!((merit(Criterion::FewerWords, text), merit(Criterion::MoreWords, text)), (-2.0, 2.0));
    assert_eq!((merit(Criterion::FewerCharacters, text), merit(Criterion::MoreCharacters, text)), (-10.0, 10.0));
    for (target_words, distance) in [(2, 0.0), (5, -3.0), (1, -1.0)] {
        assert_eq!(merit(Criterion::Length { target_words }, text), distance);
    }
}

#[test]
fn patterns_are_found_or_not() {
    let pattern = || Pattern::new("(?i)as an ai").expect("a pattern");
    for (text, found) in [("Well, as an AI, as an AI …", 1.0), ("Certainly.", 0.0)] {
        assert_eq!(merit(&Criterion::Matches(pattern()), text, ""), found);
        assert_eq!(merit(&Criterion::Avoids(pattern()), text, ""), 1.0 - found);
    }
}

#[test]
fn json_is_valid_bare_or_in_one_fence() {
    let valid = [
        "{}",
        " [1, 2.5e3, null]\n",
        "\"text\"",
        "42",
        "```json\n{\"a\": [true]}\n```",
        "```\n[]\n```",
        "```JSON \r\n{}\r\n```",
        "{\"a\": \"```\"}",
        "{\"twice\": 1, \"twice\": 2}",
        r#"{"lone surrogate": "\ud800"}"#,
    ];
    let invalid = [
        "",
        "{",
        "{'a': 1}",
        "[1,]",
        "NaN",
        "01",
        "{} {}",
        "Here it is: {}",
        "Sure:\n```json\n{}\n```",
        "```json\n{}\n```\nDone.",
        "```json\n```",
        "```yaml\n{}\n```",
        "```json {}```",
        "``````",
        "```",
        "\u{a0}{}",
        "\"tab\tinside\"",
    ];
    for text in valid {
        assert!(is_json(text), "{text:?}");
    }
    for text in invalid {
        assert!(!is_json(text), "{text:?}");
    }
    // Deeper than any stack: refused or accepted, but read.
    assert!(!is_json(&"[".repeat(1_000_000)));
}

#[test]
fn the_greater_merit_wins_by_at_least_the_gap() {
    let rule = |min_gap| RuleConfig {
        criterion: Criterion::Bleu { reference: "gold".to_owned() },
        min_gap,
        equal_on: None,
        max_gap: 0.0,
    };
    assert_eq!(prefer(&rule(0.0), 3.0, 2.0), Ok(Ordering::Greater));
    assert_eq!(prefer(&rule(0.0), 2.0, 3.0), Ok(Ordering::Less));
    assert_eq!(prefer(&rule(0.0), 2.0, 2.0 + 1e-12), Err("equal BLEU"));
    assert_eq!(prefer(&rule(0.1), 0.7, 0.6), Ok(Ordering::Greater));
    assert_eq!(prefer(&rule(0.2), 0.7, 0.6), Err("closer than the rule's min_gap"));
}
