//! Plain pairs: the share on which the labelers' answer scores higher.
//!
//! No script stands behind it, so it is what the report says of held-out pairs: equal scores, and pairs on which the
//! labelers were tied, count one half.

use super::{Credit, Figures, accuracy};
use crate::evaluate::{Outcome, credit};

/// A pair with its scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The prompt's number.
    pub prompt: usize,
    /// Score of the preferred answer.
    pub chosen: f64,
    /// Score of the other.
    pub rejected: f64,
    /// Share of labelers who prefer `chosen`, 0.5 to 1.
    pub preference: f64,
}

impl Row {
    fn credit(&self) -> Credit {
        let margin = self.chosen - self.rejected;
        (credit(&Outcome { margin, preference: self.preference, cluster: self.prompt }), self.prompt)
    }
}

/// The accuracy.
pub fn tables(rows: &[Row]) -> Vec<Figures> {
    let figure = accuracy(rows.iter().map(Row::credit));
    vec![Figures { title: "Pairs".to_owned(), figures: vec![("Accuracy".to_owned(), figure)] }]
}

/// What each pair earns.
pub fn credits(rows: &[Row]) -> Vec<Credit> {
    rows.iter().map(Row::credit).collect()
}
