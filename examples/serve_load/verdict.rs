//! What a load prints: figures, and conditions that hold or do not.

use std::io::Write;

use crate::truth::Comparison;

/// The conditions of one run.
#[derive(Default)]
pub(crate) struct Verdict {
    failed: usize,
}

impl Verdict {
    /// Prints a condition with the figure that decides it.
    pub(crate) fn check(&mut self, holds: bool, text: &str) {
        self.failed += usize::from(!holds);
        say(&format!("{} {text}", if holds { "  ok   " } else { "FAILED " }));
    }

    /// The condition that a comparison found nothing wrong, and compared something.
    pub(crate) fn check_bits(&mut self, comparison: &Comparison) {
        let Comparison { texts, numbers, wrong, first } = comparison;
        let first = first.as_ref().map(|first| format!(" (first: {first})")).unwrap_or_default();
        let text = format!("{numbers} numbers of {texts} texts compared with `ensemble score`, {wrong} differ{first}");
        self.check(*wrong == 0 && *numbers > 0, &text);
    }

    /// Whether every condition held.
    pub(crate) fn holds(&self) -> bool {
        self.failed == 0
    }
}

/// Prints a figure.
pub(crate) fn figure(text: &str) {
    say(&format!("        {text}"));
}

/// Prints a line to standard output.
fn say(line: &str) {
    // A reader that has left is no failure of the run.
    let _ = writeln!(std::io::stdout(), "{line}");
}
