//! Which held-out differences of scores a temperature is fitted on.
//!
//! The calibration split alone is a tenth of the prompts, and few prompts give a temperature that is mostly noise. The
//! training pairs tell as much, each seen by the head that its prompt's pairs were left out of. Training data may be of
//! another kind than what was held out, so the calibration split keeps a veto.

use super::columns::Columns;
use super::fit::Training;
use super::labels::comparisons;
use crate::assess::outcomes;
use crate::calibrate::{fit_temperature, needed_temperature};
use crate::config::{HeadKind, Loss, ObjectiveConfig};
use crate::data::{Pair, Split};
use crate::error::Result;
use crate::evaluate::log_loss;
use crate::head::{Comparison, HeldOutPair, LeaveOut, leave_one_out};

/// The temperature of raw `scores` of all items, and every training pair as the head sees it without its prompt's pairs
/// where the head can tell that. Scores that were not fitted to be log-odds always get a temperature, the others where the
/// held-out pairs ask for it.
pub(super) fn temperature(
    training: &Training,
    objective: &ObjectiveConfig,
    pairs: &[Pair],
    (columns, scores): (&Columns<'_>, &[f64]),
) -> Result<(f64, Vec<HeldOutPair>)> {
    let calibration = comparisons(pairs, Split::Calibration);
    let mut held_out: Vec<(Comparison, f64)> =
        calibration.into_iter().map(|pair| (pair, scores[pair.chosen] - scores[pair.rejected])).collect();
    let loss = match &objective.head {
        HeadKind::Linear(config) => Some(config.loss),
        HeadKind::Mlp(_) => Some(Loss::BradleyTerry),
        HeadKind::Pretrained(_) => None,
    };
    let mut seen = Vec::new();
    // Rankings are left out as a whole, which pairs do not tell.
    if let (Training::Linear(fit), Some(Loss::BradleyTerry | Loss::Davidson)) = (training, loss) {
        let trained_on = comparisons(pairs, Split::Train);
        seen = leave_one_out(columns.pooled(), &trained_on, fit, LeaveOut::Group)?;
        held_out.extend(trained_on.into_iter().zip(seen.iter().map(|pair| pair.held_out)));
    }
    let margins: Vec<f64> = held_out.iter().map(|(_, margin)| *margin).collect();
    let preferences: Vec<f64> = held_out.iter().map(|(pair, _)| pair.preference).collect();
    let temperature = match loss {
        None | Some(Loss::Regression) => fit_temperature(&margins, &preferences)?,
        Some(_) => {
            let prompts: Vec<u64> = held_out.iter().map(|(pair, _)| pair.group).collect();
            let needed = needed_temperature(&margins, &preferences, &prompts)?;
            let on_split =
                |temperature: f64| log_loss(&outcomes(pairs, Split::Calibration, &|item| scores[item] / temperature));
            if on_split(needed) < on_split(1.0) { needed } else { 1.0 }
        }
    };
    Ok((temperature, seen))
}
