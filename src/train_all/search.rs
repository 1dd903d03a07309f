//! Which readout of the backbone? Every candidate is judged by heads fitted on the training split, on the calibration
//! split; the test split stays untouched.

use super::columns::Columns;
use super::labels::{comparisons, default_settings, settings};
use crate::assess::{outcomes, word};
use crate::backbone::{Backbone, Readout};
use crate::config::{Config, HeadKind};
use crate::data::{Dataset, ObjectivePairs, Split};
use crate::error::Result;
use crate::evaluate::{accuracy, log_loss};
use crate::features::Features;
use crate::head::{FitSettings, fit_head};
use crate::progress::Progress;
use crate::report::{ReadoutObjective, ReadoutSummary};

/// What a search found.
pub(super) struct Search {
    /// Index of the best readout: the lowest mean log-loss over the objectives, the first of equals.
    pub(super) chosen: usize,
    /// One entry per readout; empty when there was nothing to choose.
    pub(super) table: Vec<ReadoutSummary>,
}

/// Judges every readout of `backbone`; `features` has one matrix for each.
///
/// # Errors
/// What fitting a head reports.
pub(super) fn search(
    config: &Config,
    dataset: &Dataset,
    backbone: &Backbone,
    features: &[Features],
    progress: &dyn Progress,
) -> Result<Search> {
    if backbone.readouts().len() < 2 {
        return Ok(Search { chosen: 0, table: Vec::new() });
    }
    progress.start("readouts", features.len() as u64);
    let trained: Vec<(FitSettings, &ObjectivePairs)> = config
        .objectives
        .iter()
        .zip(&dataset.objectives)
        .filter_map(|(objective, pairs)| match &objective.head {
            HeadKind::Linear(head) => Some((settings(head), pairs)),
            // What a direction reads well, a hidden layer does too, and no other head is the same on every run.
            HeadKind::Mlp(_) => Some((default_settings(), pairs)),
            HeadKind::Pretrained(_) => None,
        })
        .collect();
    let mut table = Vec::with_capacity(features.len());
    for (readout, features) in backbone.readouts().iter().zip(features) {
        let columns = Columns::new(features, backbone.labels());
        table.push(judge(readout, &columns, &trained)?);
        progress.advance(1);
    }
    let loss = |index: &usize| table[*index].log_loss.unwrap_or(f64::INFINITY);
    let chosen = (0..table.len()).min_by(|left, right| loss(left).total_cmp(&loss(right))).unwrap_or(0);
    table[chosen].chosen = true;
    progress.finish(&format!("{} of layer {} reads best", table[chosen].pooling, table[chosen].layers));
    Ok(Search { chosen, table })
}

fn judge(
    readout: &Readout,
    columns: &Columns<'_>,
    trained: &[(FitSettings, &ObjectivePairs)],
) -> Result<ReadoutSummary> {
    let judge = |(settings, pairs): &(FitSettings, &ObjectivePairs)| {
        let head = fit_head(columns.pooled(), &comparisons(&pairs.pairs, Split::Train), settings)?;
        let scores = columns.pooled_scores(&head);
        let outcomes = outcomes(&pairs.pairs, Split::Calibration, &|item| scores[item]);
        let (log_loss, accuracy) = (log_loss(&outcomes), accuracy(&outcomes));
        Ok(ReadoutObjective { name: pairs.name.clone(), log_loss, accuracy })
    };
    let objectives = trained.iter().map(judge).collect::<Result<Vec<ReadoutObjective>>>()?;
    let losses: Option<Vec<f64>> = objectives.iter().map(|objective| objective.log_loss).collect();
    let mean = |losses: Vec<f64>| losses.iter().sum::<f64>() / losses.len() as f64;
    let layers: Vec<String> = readout.layers.iter().map(ToString::to_string).collect();
    Ok(ReadoutSummary {
        pooling: word(&readout.pooling),
        layers: layers.join(", "),
        chosen: false,
        log_loss: losses.filter(|losses| !losses.is_empty()).map(mean),
        objectives,
    })
}
