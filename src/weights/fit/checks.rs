//! What must hold before weights are fitted, and in words why a fit has no single best answer.

use std::collections::BTreeSet;

use super::MAX_OBJECTIVES;
use crate::error::{Error, Fault, Result};
use crate::weights::Comparison;
use crate::weights::cholesky::Dependent;
use crate::weights::likelihood::Trouble;

/// Fewer decided comparisons per objective than this say nothing reliable (Peduzzi et al. 1996).
const PAIRS_PER_OBJECTIVE: usize = 10;
/// Fewer prompts than this, and standard errors clustered by prompt mean nothing.
const MIN_PROMPTS: usize = 10;
/// An objective with less than this share of the largest part is not named as part of a mix.
const PART: f64 = 1e-3;
/// What is checked, and by which name messages call it.
pub(super) struct Checks<'a> {
    pub names: &'a [String],
    pub comparisons: &'a [Comparison],
    pub place: &'a str,
}

impl Checks<'_> {
    /// Refuses comparisons from which no weights can be learned.
    pub(super) fn usable(&self) -> Result<()> {
        let width = self.names.len();
        if width == 0 || width > MAX_OBJECTIVES {
            let fault = Fault::new(self.place, format!("{width} objectives")).accepts(format!("1 to {MAX_OBJECTIVES}"));
            return numeric(fault.help("train a registry of fewer objectives"));
        }
        let finite = |comparison: &Comparison| {
            comparison.difference.len() == width
                && comparison.difference.iter().all(|difference| difference.is_finite())
                && (0.0..=1.0).contains(&comparison.preference)
        };
        if let Some(index) = self.comparisons.iter().position(|comparison| !finite(comparison)) {
            let fault = Fault::new(self.place, format!("comparison {index} is not usable"));
            let accepted = format!("{width} finite differences and a preference of 0 to 1");
            return numeric(fault.accepts(accepted).help("verify the registry"));
        }
        let decided = self.comparisons.iter().filter(|comparison| !comparison.is_tie()).count();
        if decided == 0 && !self.comparisons.is_empty() {
            let ties = self.comparisons.len();
            let fault =
                Fault::new(self.place, format!("each of the {ties} pairs is a tie, which says nothing of weights"));
            let fault = fault.accepts("pairs with a winner, beside ties").help("add pairs that the labelers decided");
            return Err(Error::Data(vec![fault]));
        }
        let prompts = self.comparisons.iter().map(|comparison| comparison.prompt).collect::<BTreeSet<usize>>().len();
        let (needed, prompts_needed) = (PAIRS_PER_OBJECTIVE * width, MIN_PROMPTS.max(width + 1));
        if decided >= needed && prompts >= prompts_needed {
            return Ok(());
        }
        let counts = [(decided, "decided pair"), (prompts, "prompt"), (width, "objective")];
        let [pairs, prompts, objectives] =
            counts.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
        let fault = Fault::new(self.place, format!("{pairs} of {prompts} for {objectives}"));
        let fault = fault.accepts(format!("at least {needed} decided pairs and {prompts_needed} prompts"));
        numeric(fault.help("add holistic pairs: weights from so few would be chance"))
    }

    /// The root mean square of each objective's differences.
    ///
    /// # Errors
    /// [`Error::Numeric`] naming every objective that never differs or is beyond the numbers.
    pub(super) fn column_scales(&self) -> Result<Vec<f64>> {
        let scale = |k: usize| {
            let parts = || self.comparisons.iter().map(|comparison| comparison.difference[k].abs());
            let largest = parts().fold(0.0, f64::max);
            let squares: f64 = parts().map(|part| (part / largest) * (part / largest)).sum();
            largest * (squares / self.comparisons.len() as f64).sqrt()
        };
        let scales: Vec<f64> = (0..self.names.len()).map(scale).collect();
        let constant = self.names.iter().zip(&scales).filter(|(_, scale)| !scale.is_normal());
        let constant: Vec<&str> = constant.map(|(name, _)| name.as_str()).collect();
        if constant.is_empty() {
            return Ok(scales);
        }
        let found = format!("both answers of every pair have the same score of {}", constant.join(", "));
        let fault = Fault::new(self.place, found).accepts("scores that differ within pairs");
        numeric(fault.help("add pairs on which these scores differ, or train a registry without these objectives"))
    }

    /// The error in words; the trouble's columns are the objectives `columns`, with one scale per objective.
    pub(super) fn describe(&self, trouble: &Trouble, columns: &[usize], scales: &[f64]) -> Error {
        let name = |column: usize| self.names[columns[column]].as_str();
        let fault = match trouble {
            Trouble::Dependent(Dependent { column, coefficients }) => {
                let factor = |other: usize| scales[columns[*column]] / scales[columns[other]];
                let mix = parts(coefficients).map(|k| format!("{:.3} × {}", factor(k) * coefficients[k], name(k)));
                let mix: Vec<String> = mix.collect();
                let found = format!("on these pairs the score of {} is always {}", name(*column), mix.join(" + "));
                let help = format!("add pairs on which they differ, or train a registry without {}", name(*column));
                Fault::new(self.place, found).accepts("objectives none of which follows from the others").help(help)
            }
            Trouble::Separated(direction) => {
                let named: Vec<&str> = parts(direction).map(name).collect();
                let what = match named.as_slice() {
                    [one] => format!("the score of {one}"),
                    several => format!("a mix of the scores of {}", several.join(", ")),
                };
                let found = format!(
                    "{what} orders every pair on which it differs as the labels do: the larger the weights, the \
                     better the fit, so that none are best"
                );
                Fault::new(self.place, found)
                    .accepts("labels that no mix of the scores predicts without a mistake")
                    .help("add pairs, or labels as shares of several labelers in place of one verdict")
            }
            Trouble::Stuck(norm) => {
                Fault::new(self.place, format!("the optimum was not reached: gradient norm {norm:.1e} per pair"))
                    .help("report this with the registry and the pairs: the likelihood is concave, so it should be")
            }
        };
        Error::Numeric(vec![fault])
    }
}

/// The indices of the entries that are not small beside the largest.
fn parts(mix: &[f64]) -> impl Iterator<Item = usize> {
    let largest = mix.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
    (0..mix.len()).filter(move |k| mix[*k].abs() > PART * largest)
}

fn numeric<T>(fault: Fault) -> Result<T> {
    Err(Error::Numeric(vec![fault]))
}
