//! One temperature per head, so that a difference of calibrated scores is the log-odds that labelers prefer.

use std::collections::BTreeMap;

use crate::error::{Error, Fault, Result};
use crate::logistic::sigmoid;

/// Temperatures outside this range mean that the head carries no signal, or separates the split completely.
const INVERSE_RANGE: (f64, f64) = (1e-3, 1e3);

/// The temperature T that minimises the log-loss of σ(m/T) on held-out margins (Guo et al. 2017, arXiv 1706.04599).
///
/// `margins` are raw score differences chosen − rejected, `preferences` the shares of labelers who prefer the chosen
/// one. The loss is convex in 1/T and is minimised by bisection on its derivative, within 1e-3..1e3.
///
/// Shares are drawn towards ½ as Platt (1999) draws his targets, p → (p·n + 1) / (n + 2): with few pairs that the head
/// ranks all right, the plain optimum would be a temperature of zero.
///
/// # Errors
/// [`Error::Numeric`] when there is no margin or one is not finite.
pub fn fit_temperature(margins: &[f64], preferences: &[f64]) -> Result<f64> {
    if margins.is_empty() || margins.iter().any(|margin| !margin.is_finite()) {
        return Err(Error::Numeric(vec![
            Fault::new("calibration", format!("{} held-out margins, or one that is not finite", margins.len()))
                .accepts("at least one finite margin"),
        ]));
    }
    let count = margins.len() as f64;
    let slope = |inverse: f64| -> f64 {
        let target = |p: &f64| (p * count + 1.0) / (count + 2.0);
        let term = |(margin, p): (&f64, &f64)| margin * (sigmoid(margin * inverse) - target(p));
        margins.iter().zip(preferences).map(term).sum()
    };
    let (mut low, mut high) = INVERSE_RANGE;
    if slope(low) >= 0.0 {
        return Ok(1.0 / low);
    }
    if slope(high) <= 0.0 {
        return Ok(1.0 / high);
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    Ok(2.0 / (low + high))
}

/// A temperature further than this many standard errors from 1, in 1/T, is one that the split asks for.
const NEEDED: f64 = 1.959_964;

/// [`fit_temperature`] where the held-out margins speak against 1, and 1 where they do not: a head fitted by penalised
/// likelihood is nearly calibrated as it is, and a temperature from few pairs would add its own noise.
///
/// Speaking against it is a difference of 1/T from 1 by more than 1.96 standard errors: the larger of the model's and of
/// the one clustered by prompt, G/(G − 1) · Σ_g (Σ mᵢ(σ(mᵢ/T) − pᵢ))² over the squared curvature (Liang & Zeger 1986).
/// `prompts` are the pairs' prompts by number.
///
/// # Errors
/// As [`fit_temperature`].
pub fn needed_temperature(margins: &[f64], preferences: &[f64], prompts: &[u64]) -> Result<f64> {
    let temperature = fit_temperature(margins, preferences)?;
    let inverse = 1.0 / temperature;
    let mut curvature = 0.0;
    let mut residuals: BTreeMap<u64, f64> = BTreeMap::new();
    for ((margin, preference), prompt) in margins.iter().zip(preferences).zip(prompts) {
        let probability = sigmoid(margin * inverse);
        curvature += margin * margin * probability * (1.0 - probability);
        *residuals.entry(*prompt).or_default() += margin * (probability - preference);
    }
    let groups = residuals.len() as f64;
    let squares: f64 = residuals.values().map(|sum| sum * sum).sum();
    let clustered = (groups / (groups - 1.0).max(1.0) * squares).sqrt() / curvature;
    let error = clustered.max(1.0 / curvature.sqrt());
    // An error that is no number says nothing, and then the split does not speak.
    Ok(if (inverse - 1.0).abs() > NEEDED * error { temperature } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logistic::log_sigmoid;

    #[test]
    fn one_margin_size_has_a_closed_form() {
        // Three of four pairs with margin 2 are right; drawn to 5/6 and 1/6 their mean share is 2/3: σ(2/T) = 2/3.
        let temperature = fit_temperature(&[2.0, 2.0, 2.0, -2.0], &[1.0; 4]).expect("finite");
        assert!((temperature - 2.0 / 2f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn scaling_margins_scales_the_temperature() {
        let (margins, preferences) = ([0.5, -0.2, 1.5, -0.7, 0.1], [1.0, 1.0, 1.0, 1.0, 0.6]);
        let base = fit_temperature(&margins, &preferences).expect("finite");
        let scaled = fit_temperature(&margins.map(|margin| 10.0 * margin), &preferences).expect("finite");
        assert!((scaled / base - 10.0).abs() < 1e-6);
    }

    #[test]
    fn a_temperature_is_taken_only_when_the_split_asks_for_it() {
        // Margins ±2 of which a share of σ(2) is right: T = 1 is true; with σ(1) instead, T = 2 is.
        let split = |count: usize, truth: f64| -> (Vec<f64>, Vec<u64>) {
            let right = (crate::logistic::sigmoid(truth) * count as f64).round() as usize;
            let margins = (0..count).map(|pair| if pair < right { 2.0 } else { -2.0 }).collect();
            (margins, (0..count as u64).collect())
        };
        for (count, truth, expected) in [(400, 2.0, 1.0), (400, 1.0, 2.0), (12, 1.0, 1.0)] {
            let (margins, prompts) = split(count, truth);
            let found = needed_temperature(&margins, &vec![1.0; count], &prompts).expect("finite");
            assert!((found - expected).abs() < 0.05, "{count} pairs at {truth}: {found}");
        }
        // The same 400 pairs from two prompts, one always right and one always wrong, say little.
        let (margins, _) = split(400, 1.0);
        let prompts: Vec<u64> = margins.iter().map(|margin| u64::from(*margin > 0.0)).collect();
        assert_eq!(needed_temperature(&margins, &vec![1.0; 400], &prompts).expect("finite"), 1.0);
    }

    #[test]
    fn extremes_end_at_the_stated_limits() {
        assert_eq!(fit_temperature(&[-1.0, -2.0], &[1.0; 2]).expect("finite"), 1000.0);
        let all_right = fit_temperature(&[1.0, 2.0], &[1.0; 2]).expect("finite");
        assert!(
            all_right > 0.5 && all_right < 2.0,
            "few pairs that are all right do not make a head certain: {all_right}"
        );
        assert!(fit_temperature(&[f64::NAN], &[1.0]).is_err());
    }

    proptest! {
        #[test]
        fn of_one_to_four_pairs_the_temperature_is_in_its_range_and_no_worse_than_others(
            pairs in prop::collection::vec((prop_oneof![-40.0f64..40.0, Just(0.0), Just(1e4), Just(-1e4)],
                prop_oneof![Just(1.0), Just(0.5), 0.5f64..1.0]), 1..5),
        ) {
            let (margins, preferences): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let temperature = fit_temperature(&margins, &preferences).expect("finite");
            prop_assert!((1e-3..=1e3).contains(&temperature), "{temperature}");
            // The loss with the targets drawn towards one half, by its definition.
            let count = pairs.len() as f64;
            let loss = |temperature: f64| -> f64 {
                let term = |(margin, p): &(f64, f64)| {
                    let target = (p * count + 1.0) / (count + 2.0);
                    -target * log_sigmoid(margin / temperature) - (1.0 - target) * log_sigmoid(-margin / temperature)
                };
                pairs.iter().map(term).sum()
            };
            prop_assert!(loss(temperature).is_finite());
            for other in (-9..=9).map(|power| 10f64.powf(f64::from(power) / 3.0)) {
                let (best, found) = (loss(temperature), loss(other));
                prop_assert!(best <= found + 1e-9 * (1.0 + found), "{temperature}: {best}, {other}: {found}");
            }
        }
    }
}
