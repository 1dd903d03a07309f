//! Sentence BLEU of one answer against one reference, as sacrebleu's `sentence_bleu` computes it by default.
//!
//! Papineni et al. 2002 with the "exp" smoothing of mteval-v13a (method 3 of Chen & Cherry 2014, W14-3346), effective
//! order, mixed case and 13a tokenisation; Post 2018 (arXiv 1804.08771) describes sacrebleu.

use std::collections::BTreeMap;

/// The longest n-grams counted.
const MOST_ORDER: usize = 4;

/// BLEU of `hypothesis` against `reference`, 0..=100; 0 when no token is shared.
///
/// BP · exp(1/n Σ log pₖ) over the orders k = 1..=n that the hypothesis is long enough for. An order without a match
/// has precision 1 / (2ʲ · count), j counting such orders. BP = exp(1 − r/h) where the hypothesis is shorter.
pub(super) fn sentence_bleu(hypothesis: &str, reference: &str) -> f64 {
    let (hypothesis, reference) = (tokenise(hypothesis), tokenise(reference));
    let hypothesis: Vec<&str> = words(&hypothesis).collect();
    let reference: Vec<&str> = words(&reference).collect();
    let counts: Vec<(usize, usize)> =
        (1..=MOST_ORDER.min(hypothesis.len())).map(|order| matches(&hypothesis, &reference, order)).collect();
    if counts.iter().all(|(correct, _)| *correct == 0) {
        return 0.0;
    }
    let (mut smoothing, mut sum) = (1.0, 0.0);
    for &(correct, total) in &counts {
        let total = total as f64;
        sum += libm::log(if correct == 0 {
            smoothing *= 2.0;
            100.0 / (smoothing * total)
        } else {
            100.0 * correct as f64 / total
        });
    }
    let (length, wanted) = (hypothesis.len() as f64, reference.len() as f64);
    let brevity = if length < wanted { libm::exp(1.0 - wanted / length) } else { 1.0 };
    brevity * libm::exp(sum / counts.len() as f64)
}

/// How many n-grams of the hypothesis stand in the reference, each as often as it stands there, and how many it has.
fn matches(hypothesis: &[&str], reference: &[&str], order: usize) -> (usize, usize) {
    let mut left: BTreeMap<&[&str], usize> = BTreeMap::new();
    for gram in reference.windows(order) {
        *left.entry(gram).or_default() += 1;
    }
    let mut correct = 0;
    for gram in hypothesis.windows(order) {
        if let Some(count) = left.get_mut(gram).filter(|count| **count > 0) {
            *count -= 1;
            correct += 1;
        }
    }
    (correct, (hypothesis.len() + 1).saturating_sub(order))
}

/// What Python takes for white space: Unicode's and the four information separators.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// The 13a tokenisation (mteval-v13a, the language-independent part and Western punctuation), tokens by white space.
fn tokenise(text: &str) -> String {
    let text = text.trim_end_matches(is_space);
    let mut text = text.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        text = text.replace(entity, character);
    }
    let mut spaced: Vec<char> = vec![' '];
    for character in text.chars() {
        if is_symbol(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced.push(' ');
    let is_point = |character: char| matches!(character, '.' | ',');
    let digit = |character: char| character.is_ascii_digit();
    // A point or comma stands apart unless digits surround it; a dash stands apart behind a digit.
    let spaced = part(&spaced, |first, second| !digit(first) && is_point(second), |a, b| vec![a, ' ', b, ' ']);
    let spaced = part(&spaced, |first, second| is_point(first) && !digit(second), |a, b| vec![' ', a, ' ', b]);
    let spaced = part(&spaced, |first, second| digit(first) && second == '-', |a, b| vec![a, ' ', b, ' ']);
    spaced.into_iter().collect()
}

/// ASCII punctuation that always stands apart: all but the apostrophe, the comma, the dash and the point.
fn is_symbol(character: char) -> bool {
    character.is_ascii_punctuation() && !matches!(character, '\'' | ',' | '-' | '.')
}

/// Replaces neighbours that fit, from left to right; what was replaced is not looked at again.
fn part(text: &[char], fits: impl Fn(char, char) -> bool, replaced: impl Fn(char, char) -> Vec<char>) -> Vec<char> {
    let mut result = Vec::with_capacity(text.len() + text.len() / 4);
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match tail {
            [second, behind @ ..] if fits(*first, *second) => {
                result.extend(replaced(*first, *second));
                rest = behind;
            }
            _ => {
                result.push(*first);
                rest = tail;
            }
        }
    }
    result
}
