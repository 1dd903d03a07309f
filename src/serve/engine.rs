//! What the server needs of an ensemble; a seam, so that its behaviour under load and faults can be tested with a
//! model that stalls, panics or gives numbers that are none.

use crate::combine::Combiner;
use crate::conversation::Item;
use crate::ensemble::{Difference, Ensemble, Score};
use crate::error::Result;
use crate::features::{PreparedText, Row};

/// From texts to scores, in three steps of which only the second is heavy.
pub trait Engine: Send + Sync + 'static {
    /// Renders and tokenizes an item.
    ///
    /// # Errors
    /// What the chat template and the tokenizer report.
    fn prepare(&self, item: &Item) -> Result<PreparedText>;

    /// Tokenizes a text as it stands.
    ///
    /// # Errors
    /// What the tokenizer reports.
    fn prepare_verbatim(&self, text: &str) -> Result<PreparedText>;

    /// Runs the frozen backbone on one text.
    ///
    /// # Errors
    /// What the backbone reports.
    fn embed(&self, text: &PreparedText) -> Result<Row>;

    /// Runs the frozen backbone on several texts at once where that is cheaper than on one after the other. `None` where
    /// it is not, or where it failed: then each is read by itself.
    fn embed_together(&self, _: &[&PreparedText]) -> Option<Vec<Row>> {
        None
    }

    /// Scores features.
    ///
    /// # Errors
    /// [`crate::error::Error::Numeric`] when a score is not finite.
    fn score(&self, row: &Row, domain: Option<&str>, combiner: &Combiner) -> Result<Score>;

    /// By how much the first row scores higher than the second, per objective.
    fn difference(&self, left: &Row, right: &Row) -> Vec<Difference>;

    /// The rule and the weights, with the objectives' names.
    fn combiner(&self) -> &Combiner;
}

impl Engine for Ensemble {
    fn prepare(&self, item: &Item) -> Result<PreparedText> {
        Ensemble::prepare(self, item)
    }

    fn prepare_verbatim(&self, text: &str) -> Result<PreparedText> {
        Ensemble::prepare_verbatim(self, text)
    }

    fn embed(&self, text: &PreparedText) -> Result<Row> {
        text.embed(self.backbone())
    }

    fn embed_together(&self, texts: &[&PreparedText]) -> Option<Vec<Row>> {
        let cheaper = texts.len() > 1 && self.backbone().shares_prompts();
        cheaper.then(|| PreparedText::embed_together(texts, self.backbone()).ok()).flatten()
    }

    fn score(&self, row: &Row, domain: Option<&str>, combiner: &Combiner) -> Result<Score> {
        self.score_row(row, domain, combiner)
    }

    fn difference(&self, left: &Row, right: &Row) -> Vec<Difference> {
        self.difference_of_rows(left, right)
    }

    fn combiner(&self) -> &Combiner {
        Ensemble::combiner(self)
    }
}
