//! The feature columns of a run, and which of them are the checkpoint's own scores.

use std::borrow::Cow;

use crate::config::{Config, HeadKind, ObjectiveConfig};
use crate::error::{Error, Fault, Result, did_you_mean, quote};
use crate::features::Features;
use crate::files;
use crate::head::LinearHead;

/// The feature columns: the pooled states, on which heads are trained, then the checkpoint's own scores.
pub(super) struct Columns<'a> {
    features: &'a Features,
    /// The pooled states alone.
    pooled: Cow<'a, Features>,
    labels: &'a [String],
}

impl<'a> Columns<'a> {
    /// `labels` name the last columns of `features`.
    pub(super) fn new(features: &'a Features, labels: &'a [String]) -> Self {
        let pooled = match labels.len() {
            0 => Cow::Borrowed(features),
            count => Cow::Owned(features.first_columns(features.width() - count)),
        };
        Self { features, pooled, labels }
    }

    /// A head that gives one label's score as it is.
    pub(super) fn pretrained(&self, objective: &ObjectiveConfig, label: Option<&str>) -> Result<LinearHead> {
        let index = label_index(objective, label, self.labels).map_err(|fault| Error::Model(vec![fault]))?;
        let mut weights = vec![0.0; self.features.width()];
        weights[self.pooled.width() + index] = 1.0;
        Ok(LinearHead { weights, bias: 0.0 })
    }

    /// The pooled states.
    pub(super) fn pooled(&self) -> &Features {
        &self.pooled
    }

    /// All columns.
    pub(super) fn width(&self) -> usize {
        self.features.width()
    }

    /// The scores of every item by a head on the pooled states.
    pub(super) fn pooled_scores(&self, head: &LinearHead) -> Vec<f64> {
        (0..self.pooled.rows()).map(|row| head.score(self.pooled.row(row))).collect()
    }

    /// The feature vector of one item.
    pub(super) fn row(&self, item: usize) -> &[f32] {
        self.features.row(item)
    }

    /// The feature vectors of all items.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        (0..self.features.rows()).map(|row| self.features.row(row))
    }
}

/// Checks before the hours of embedding that every label a config names is one of the checkpoint's `labels`.
///
/// # Errors
/// [`Error::Model`] with every label that is not.
pub(super) fn check_labels(config: &Config, labels: &[String]) -> Result<()> {
    let unknown = |objective: &ObjectiveConfig| match &objective.head {
        HeadKind::Pretrained(label) => label_index(objective, label.as_deref(), labels).err(),
        HeadKind::Linear(_) | HeadKind::Mlp(_) => None,
    };
    let faults: Vec<Fault> = config.objectives.iter().filter_map(unknown).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Model(faults)) }
}

/// Which of the checkpoint's labels, by name or number, an objective takes; the only one if it names none.
fn label_index(objective: &ObjectiveConfig, label: Option<&str>, labels: &[String]) -> Result<usize, Fault> {
    let found = match label {
        None if labels.len() == 1 => Some(0),
        None => None,
        Some(label) => labels.iter().position(|known| known == label).or_else(|| label.parse().ok()),
    };
    found.filter(|index| *index < labels.len()).ok_or_else(|| {
        let found = label.map_or_else(
            || format!("the checkpoint's score head has {} labels, and none is named", labels.len()),
            |label| format!("the checkpoint's score head has no label {}", quote(label)),
        );
        let known: Vec<&str> = labels.iter().map(String::as_str).collect();
        let near = label.and_then(|label| did_you_mean(label, &known));
        let help = near.map_or_else(
            || "name one of them: head: {pretrained: LABEL}".to_owned(),
            |near| format!("did you mean {}?", quote(near)),
        );
        let place = format!("{}: head.pretrained", files::shown(&objective.file));
        Fault::new(place, found).accepts(labels.join(", ")).help(help)
    })
}
