//! What must hold before weights are fitted, and in words why a fit has no single best answer.

use std::collections::BTreeSet;

use super::MAX_OBJECTIVES;
use crate::error::{Error, Fault, Result};
use crate::weights::Comparison;
use crate::weights::likelihood::Trouble;

/// Fewer decided comparisons per objective than this say nothing reliable (Peduzzi et al. 1996).
const PAIRS_PER_OBJECTIVE: usize = 10;
/// Fewer prompts than this, and standard errors clustered by prompt mean nothing.
const MIN_PROMPTS: usize = 10;
/// An objective with less than this share of the largest part is not named as part of a mix.
const PART: f64 = 1e-3;
/// Where the faults stand.
const PLACE: &str = "weights";

/// Refuses comparisons from which no weights can be learned.
pub(super) fn usable(names: &[String], comparisons: &[Comparison]) -> Result<()> {
    if names.is_empty() || names.len() > MAX_OBJECTIVES {
        return numeric(format!("{} objectives", names.len()), format!("1 to {MAX_OBJECTIVES}"), "fit fewer at once");
    }
    let finite = |comparison: &Comparison| {
        comparison.difference.len() == names.len()
            && comparison.difference.iter().all(|difference| difference.is_finite())
            && (0.0..=1.0).contains(&comparison.preference)
    };
    if let Some(index) = comparisons.iter().position(|comparison| !finite(comparison)) {
        let accepted = format!("{} finite differences and a preference of 0 to 1", names.len());
        return numeric(format!("comparison {index} is not usable"), accepted, "verify the registry");
    }
    let decided = comparisons.iter().filter(|comparison| !comparison.is_tie()).count();
    if decided == 0 && !comparisons.is_empty() {
        let found = format!("every one of the {} pairs is a tie, which says nothing about weights", comparisons.len());
        let fault = Fault::new(PLACE, found).accepts("pairs with a winner, beside ties");
        return Err(Error::Data(vec![fault.help("add pairs that the labelers decided")]));
    }
    let prompts = comparisons.iter().map(|comparison| comparison.prompt).collect::<BTreeSet<usize>>().len();
    let (needed, prompts_needed) = (PAIRS_PER_OBJECTIVE * names.len(), MIN_PROMPTS.max(names.len() + 1));
    if decided < needed || prompts < prompts_needed {
        let found = format!(
            "{} of {} for {}",
            counted(decided, "decided pair"),
            counted(prompts, "prompt"),
            counted(names.len(), "objective")
        );
        let accepted = format!("at least {needed} decided pairs and {prompts_needed} prompts");
        return numeric(found, accepted, "add holistic pairs: weights from so few would be chance");
    }
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The root mean square of each objective's differences.
///
/// # Errors
/// [`Error::Numeric`] naming every objective that never differs or is beyond the numbers.
pub(super) fn column_scales(names: &[String], comparisons: &[Comparison]) -> Result<Vec<f64>> {
    let scale = |k: usize| {
        let largest = comparisons.iter().map(|comparison| comparison.difference[k].abs()).fold(0.0, f64::max);
        let squares = comparisons.iter().map(|comparison| (comparison.difference[k] / largest).powi(2));
        largest * (squares.sum::<f64>() / comparisons.len() as f64).sqrt()
    };
    let scales: Vec<f64> = (0..names.len()).map(scale).collect();
    let constant = |(name, scale): (&String, &f64)| (!scale.is_normal()).then(|| name.clone());
    let constant: Vec<String> = names.iter().zip(&scales).filter_map(constant).collect();
    if constant.is_empty() {
        return Ok(scales);
    }
    numeric(
        format!("{}: the same score for both answers of every pair", constant.join(", ")),
        "scores that differ within pairs",
        "add pairs on which these scores differ, or leave these objectives out",
    )
}

/// The error in words.
pub(super) fn describe(trouble: &Trouble, names: &[String], scales: &[f64]) -> Error {
    let fault = match trouble {
        Trouble::Dependent(dependent) => {
            let (name, scale) = (&names[dependent.column], scales[dependent.column]);
            let parts = dependent.coefficients.iter().zip(scales).map(|(part, other)| part * scale / other);
            let largest = dependent.coefficients.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
            let named = dependent.coefficients.iter().map(|part| part.abs() > PART * largest);
            let mix: Vec<String> = (parts.zip(names).zip(named))
                .filter_map(|((part, name), named)| named.then(|| format!("{part:.3} × {name}")))
                .collect();
            Fault::new(PLACE, format!("on these pairs the score of {name} is always {}", mix.join(" + ")))
                .accepts("objectives none of which follows from the others")
                .help(format!("leave {name} or one of the others out, or add pairs on which they differ"))
        }
        Trouble::Separated(direction) => {
            let largest = direction.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
            let parts = names.iter().zip(direction).filter(|(_, part)| part.abs() > PART * largest);
            let parts: Vec<&str> = parts.map(|(name, _)| name.as_str()).collect();
            let what = match parts.as_slice() {
                [one] => format!("the score of {one}"),
                several => format!("a mix of the scores of {}", several.join(", ")),
            };
            let found = format!(
                "{what} orders every pair on which it differs as the labels do: the larger the weights, the better \
                 the fit, so that none are best"
            );
            Fault::new(PLACE, found)
                .accepts("labels that no mix of the scores predicts without a mistake")
                .help("add pairs, or labels as shares of several labelers in place of one verdict")
        }
        Trouble::Stuck(norm) => {
            Fault::new(PLACE, format!("the optimum was not reached: gradient norm {norm:.1e} per pair"))
                .help("report this with the registry and the pairs: the likelihood is concave, so it should be")
        }
    };
    Error::Numeric(vec![fault])
}

fn numeric<T>(found: String, accepted: impl std::fmt::Display, help: &str) -> Result<T> {
    Err(Error::Numeric(vec![Fault::new(PLACE, found).accepts(accepted).help(help)]))
}
