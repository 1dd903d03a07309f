//! How the report writes numbers and foreign text. Pure functions; nothing here knows HTML, plots or tables.

use crate::evaluate::Estimate;

/// What stands where a number is not defined.
pub(super) const UNDEFINED: &str = "–";

/// Foreign text made harmless to lay-out: control characters and marks that turn the writing direction are shown as
/// U+FFFD. Escaping for HTML is the template engine's business.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(harmless).collect()
}

/// [`clean`] for texts of several lines: line breaks and tabs stay.
pub(super) fn clean_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().map(|one| if matches!(one, '\n' | '\t') { one } else { harmless(one) }).collect()
}

fn harmless(character: char) -> char {
    let turns =
        matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Line and paragraph separators end a line of some readers, interlinear marks hide text.
    let breaks = matches!(character, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}');
    if turns || breaks || character.is_control() { '\u{fffd}' } else { character }
}

/// A share as `71.3%`.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{}%", fixed(share * 100.0, 1)) } else { UNDEFINED.to_owned() }
}

/// The 95% interval of a share as `66.9 to 75.5`, in per cent.
pub(super) fn interval(estimate: &Estimate) -> String {
    format!("{} to {}", fixed(estimate.low * 100.0, 1), fixed(estimate.high * 100.0, 1))
}

/// A number with `digits` decimals, a real minus sign and never `-0.0`.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return UNDEFINED.to_owned();
    }
    let text = format!("{value:.digits$}");
    let zero = !text.contains(|character: char| ('1'..='9').contains(&character));
    match text.strip_prefix('-') {
        Some(rest) if zero => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// A number that may not be defined, with `digits` decimals.
pub(super) fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| fixed(value, digits))
}

/// A number of any size in at most six characters or so: `0.031`, `12`, `1e-4`.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        UNDEFINED.to_owned()
    } else if size != 0.0 && !(1e-3..1e4).contains(&size) {
        let text = format!("{value:.1e}").replace(".0e", "e");
        text.replace('-', "\u{2212}")
    } else {
        let digits = if size < 1.0 { 4 } else { 2 };
        let text = fixed(value, digits);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }
}

/// A count with a narrow space between thousands: `12 345`.
pub(super) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 pair`, `2 pairs`.
pub(super) fn counted(value: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.7126), "71.3%");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!(fixed(-0.04, 1), "0.0");
        assert_eq!(fixed(-1.25, 1), "\u{2212}1.2");
        assert_eq!(short(1e-4), "1e\u{2212}4");
        assert_eq!(short(0.25), "0.25");
        assert_eq!(short(1000.0), "1000");
        assert_eq!(short(0.0), "0");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(counted(1, "pair"), "1 pair");
    }

    #[test]
    fn marks_that_turn_text_are_shown() {
        assert_eq!(clean("a\u{202e}b\u{1b}[0m"), "a\u{fffd}b\u{fffd}[0m");
    }
}
