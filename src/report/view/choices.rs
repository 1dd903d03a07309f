//! What the answers to one prompt offer to choose from, in words.

use crate::report::summary::ParetoSummary;
use crate::report::words::{counted, interval, percent};

/// One paragraph; `None` where no prompt has several answers, or with a single objective.
pub(super) fn choices(pareto: &ParetoSummary) -> Option<String> {
    let (on_front, undisputed) = (pareto.on_front?.known()?, pareto.undisputed?.known()?);
    let chosen = pareto.choice_on_front?.known()?;
    Some(format!(
        "{} have {}. An answer is on the front if no other answer to its prompt is at least as good on every objective and \
         better on one: {} of answers are (95% {}). For {} of prompts (95% {}) one answer is best on every objective. The \
         combined score picks an answer on the front for {} of prompts.",
        counted(pareto.prompts, "prompt"),
        counted(pareto.answers, "test answer"),
        percent(on_front.value),
        interval(&on_front),
        percent(undisputed.value),
        interval(&undisputed),
        percent(chosen.value)
    ))
}
