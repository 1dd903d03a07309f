//! Probes: one number of a response's text that a reward head should not simply copy.
//!
//! Each is a cheap surface property (length, layout, refusal, a phrase). Only the response is looked at; the number is
//! finite, 0 or more, and grows with the property. Counts enter as log(1 + count), so that a long list does not
//! outweigh all other texts.

use super::Item;
use crate::config::Probe;

/// A refusal stands in this many characters at the beginning of a response, white space before it left aside.
const OPENING_CHARACTERS: usize = 200;

/// What refusals say, in lower case with straight apostrophes. They are looked for as whole words in the opening.
pub const REFUSALS: [&str; 13] = [
    "i can't",
    "i cannot",
    "i can not",
    "i won't",
    "i will not",
    "i'm unable",
    "i am unable",
    "i'm not able to",
    "i am not able to",
    "i'm sorry, but",
    "i am sorry, but",
    "as an ai",
    "i must decline",
];

/// The probe's number for an item's response.
pub fn value(probe: &Probe, item: &Item) -> f64 {
    let response = item.response.as_str();
    match probe {
        Probe::Length => log_count(response.split_whitespace().count()),
        Probe::Markdown => log_count(markdown_marks(response)),
        Probe::Refusal => f64::from(is_refusal(response)),
        Probe::Pattern(pattern) => log_count(pattern.count(response)),
    }
}

/// log(1 + count).
fn log_count(count: usize) -> f64 {
    libm::log1p(count as f64)
}

/// Markdown marks: headings, list bullets, numbered items and code fences at the beginning of a line (white space
/// before them left aside), and `**bold**` spans. Inside a fence only the fence that ends it counts: what looks like
/// a heading there is a comment of the code.
fn markdown_marks(text: &str) -> usize {
    let mut open: Option<&str> = None;
    let mut count = 0;
    for line in text.lines() {
        let line = line.trim();
        let fence = fence(line);
        match open {
            Some(opening) => {
                // A fence ends at one of its own kind that is at least as long and has nothing behind it.
                if fence == line && fence.starts_with(opening) {
                    open = None;
                    count += 1;
                }
            }
            None if !fence.is_empty() => {
                open = Some(fence);
                count += 1;
            }
            None => count += usize::from(is_block_mark(line)) + bold_spans(line),
        }
    }
    count
}

/// The three or more backticks or tildes a line begins with; empty when there are none.
fn fence(line: &str) -> &str {
    let run = |mark: char| &line[..line.len() - line.trim_start_matches(mark).len()];
    let fence = if line.starts_with('`') { run('`') } else { run('~') };
    // Backticks behind the fence make it code within a line.
    let inline = fence.starts_with('`') && line[fence.len()..].contains('`');
    if fence.len() >= 3 && !inline { fence } else { "" }
}

/// Whether a line begins with a heading's `#` to `######`, a bullet `-`, `*` or `+`, or a number with `.` or `)`, each
/// with a space behind it.
fn is_block_mark(line: &str) -> bool {
    let Some((mark, _)) = line.split_once([' ', '\t']) else { return false };
    let heading = (1..=6).contains(&mark.len()) && mark.bytes().all(|byte| byte == b'#');
    let digits = mark.strip_suffix(['.', ')']).unwrap_or_default();
    let numbered = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    heading || numbered || matches!(mark, "-" | "*" | "+")
}

/// Spans `**text**` of a line, with no white space inside the marks.
fn bold_spans(line: &str) -> usize {
    let (mut count, mut rest) = (0, line);
    while let Some((_, after)) = rest.split_once("**") {
        match after.split_once("**") {
            Some((inside, behind)) if !inside.is_empty() && inside.trim() == inside => {
                count += 1;
                rest = behind;
            }
            _ => rest = after,
        }
    }
    count
}

/// Whether the opening holds one of [`REFUSALS`] as whole words.
fn is_refusal(response: &str) -> bool {
    let opening: String = response.trim_start().chars().take(OPENING_CHARACTERS).collect();
    let opening = opening.to_lowercase().replace(['\u{2019}', '\u{2018}'], "'");
    let is_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    REFUSALS.iter().any(|phrase| {
        opening.match_indices(phrase).any(|(start, _)| {
            let (before, behind) = (&opening[..start], &opening[start + phrase.len()..]);
            !is_word(before.chars().next_back()) && !is_word(behind.chars().next())
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Message, Role};
    use super::*;
    use crate::config::Pattern;

    fn of(probe: &Probe, response: &str) -> f64 {
        let prompt = vec![Message { role: Role::User, content: "I cannot ## **see**".to_owned() }];
        value(probe, &Item { prompt, response: response.to_owned() })
    }

    /// How many things a probe counted: e^value − 1.
    fn counted(probe: &Probe, response: &str) -> f64 {
        let count = of(probe, response).exp() - 1.0;
        assert!((count - count.round()).abs() < 1e-9, "{count} is no count");
        count.round()
    }

    #[test]
    fn words_are_counted() {
        for (text, words) in [("", 0.0), ("one", 1.0), (" one\ttwo\n\nthree ", 3.0), ("a-b c", 2.0)] {
            assert!((counted(&Probe::Length, text) - words).abs() < 1e-9, "{text:?}");
        }
        assert!((of(&Probe::Length, "a b c") - 4f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn markdown_marks_are_counted() {
        for (text, marks) in [
            ("plain text, 3 - 2 = 1 and 2 * 3", 0),
            ("# Title\n## Part\n####### no heading\n#hashtag", 2),
            ("- one\n* two\n+ three\n  - nested\n-no\n--", 4),
            ("1. one\n2) two\n 10. ten\n3 four\n1.5 litres\n. x", 3),
            ("**bold** and **very bold** but 2 ** 3 ** 4 and ****", 2),
            ("- **both**", 2),
            ("***loud***", 1),
            ("**over\ntwo lines**", 0),
            ("```python\n# a comment\n- x\n**y**\n```\n# Title", 3),
            ("~~~~\n~~~\n```\n~~~~\n- item", 3),
            ("```not a fence```\n``` `x`", 0),
            ("```\nleft open\n# here", 1),
            ("   ```\r\n   code\r\n   ```\r\n", 2),
            ("# ", 0),
        ] {
            assert!((counted(&Probe::Markdown, text) - f64::from(marks)).abs() < 1e-9, "{text:?}");
        }
    }

    #[test]
    fn refusals_are_whole_phrases_of_the_opening() {
        let far = format!("{} I cannot help.", "word ".repeat(50));
        let near = format!("{} I cannot help.", "word ".repeat(20));
        for (text, refuses) in [
            ("I can't help with that.", true),
            ("I can\u{2019}t help with that.", true),
            ("\n  I\u{2019}m sorry, but no.", true),
            ("I'M SORRY, BUT NO.", true),
            ("Sorry! As an AI, I have no body.", true),
            ("I am unable to say.", true),
            (near.as_str(), true),
            (far.as_str(), false),
            ("I can do that.", false),
            ("I'm sorry to hear that.", false),
            ("Use it as an aid.", false),
            ("Hawaii can't be reached by train.", false),
            ("", false),
        ] {
            assert!((of(&Probe::Refusal, text) - f64::from(u8::from(refuses))).abs() < 1e-15, "{text:?}");
        }
    }

    #[test]
    fn matches_of_a_pattern_are_counted() {
        let pattern = |text: &str| Probe::Pattern(Pattern::new(text).expect("a pattern"));
        let text = "Certainly! It is certainly so, uncertainly.";
        assert!((counted(&pattern(r"\bcertainly\b"), text) - 1.0).abs() < 1e-9);
        assert!((counted(&pattern(r"(?i)certainly"), text) - 3.0).abs() < 1e-9);
        assert!((counted(&pattern("aa"), "aaaaa") - 2.0).abs() < 1e-9, "matches do not overlap");
        assert_eq!(pattern(r"\bx\b").name(), r"pattern \bx\b");
    }

    proptest! {
        #[test]
        fn every_text_has_a_finite_number_that_more_of_it_does_not_lower(
            text in "[#*`~ \\-+1.)a\n\u{2019}\u{e9}]{0,60}", tail in "( word| \\*\\*b\\*\\*){0,4}",
        ) {
            for probe in [Probe::Length, Probe::Markdown, Probe::Refusal] {
                prop_assert!(of(&probe, &text).is_finite() && of(&probe, &text) >= 0.0);
            }
            let longer = [text.as_str(), tail.as_str()].concat();
            prop_assert!(of(&Probe::Length, &longer) >= of(&Probe::Length, &text));
        }
    }
}
