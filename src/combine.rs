//! The rule that makes one number of the objectives' normalized scores.

use crate::config::Rule;
use crate::error::{Error, Fault, Result, did_you_mean};

/// Combines normalized scores; `scores` and `weights` are in the order of the objectives.
///
/// `weighted_sum`: Σ wₖ zₖ, summed in that order.
pub fn combine(rule: Rule, scores: &[f64], weights: &[f64]) -> f64 {
    match rule {
        Rule::WeightedSum => scores.iter().zip(weights).map(|(score, weight)| score * weight).sum(),
    }
}

/// Replaces the weights that `overrides` (`name=value`) names.
///
/// # Errors
/// [`Error::Usage`] listing every override that is malformed, names no objective or is out of range, and when all
/// weights end up zero.
pub fn override_weights(names: &[&str], weights: &mut [f64], overrides: &[String]) -> Result<()> {
    let mut faults = Vec::new();
    for text in overrides {
        let place = format!("--weights {text}");
        let Some((name, value)) = text.split_once('=') else {
            faults.push(Fault::new(place, "no \"=\" in it").accepts("NAME=NUMBER, as in safety=2"));
            continue;
        };
        let Some(index) = names.iter().position(|known| *known == name) else {
            let fault = Fault::new(place, format!("unknown objective \"{name}\"")).accepts(names.join(", "));
            faults.push(match did_you_mean(name, names) {
                Some(known) => fault.help(format!("did you mean \"{known}\"?")),
                None => fault,
            });
            continue;
        };
        match value.parse::<f64>() {
            Ok(weight) if weight.abs() <= 1e6 => weights[index] = weight,
            _ => faults.push(Fault::new(place, format!("\"{value}\" is no usable weight")).accepts("-1e6 to 1e6")),
        }
    }
    if faults.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
        faults.push(Fault::new("--weights", "every weight is zero").accepts("at least one weight that is not zero"));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Usage(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_sum_worked_by_hand() {
        let combined = combine(Rule::WeightedSum, &[1.0, -2.0, 0.5], &[2.0, 0.5, 4.0]);
        assert!((combined - 3.0).abs() < 1e-12);
    }

    #[test]
    fn overrides_replace_and_complain() {
        let names = ["helpfulness", "safety"];
        let mut weights = [1.0, 1.0];
        override_weights(&names, &mut weights, &["safety=2.5".into()]).expect("fine");
        assert_eq!(weights, [1.0, 2.5]);
        let bad: Vec<String> = ["safty=1", "safety", "safety=NaN", "safety=1e9"].map(String::from).into();
        let error = override_weights(&names, &mut weights, &bad).expect_err("all four are wrong");
        assert_eq!(error.faults().len(), 4);
        assert_eq!(error.faults()[0].help.as_deref(), Some("did you mean \"safety\"?"));
        let zeros: Vec<String> = ["helpfulness=0", "safety=0"].map(String::from).into();
        assert!(override_weights(&names, &mut weights, &zeros).is_err());
    }
}
