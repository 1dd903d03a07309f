//! Other weights for a run or a request: named, checked, and what the rule asks of them.

use std::collections::BTreeMap;

use super::Combiner;
use crate::config::LARGEST;
use crate::error::{Error, Fault, Result, did_you_mean, quote};

/// What a weight may be.
const RANGE: &str = "-1e6 to 1e6";

impl Combiner {
    /// The same rule with other weights for some objectives, as a request asks.
    ///
    /// # Errors
    /// [`Error::Usage`] listing every weight that names no objective, is out of range or has no meaning with the rule,
    /// and when nothing is left to weigh.
    pub fn reweighted(&self, weights: &BTreeMap<String, f64>) -> Result<Self> {
        let mut changed = self.clone();
        let change = |(name, weight): (&String, &f64)| {
            changed.set(&format!("weights {}", quote(name)), name, *weight, &weight.to_string()).err()
        };
        let faults = weights.iter().filter_map(change).collect();
        changed.checked("weights", faults)
    }

    /// The same for `NAME=NUMBER`, as a command line has it; the last one of a name counts.
    ///
    /// # Errors
    /// As [`Self::reweighted`], and for what is not `NAME=NUMBER`.
    pub fn overridden(&self, overrides: &[String]) -> Result<Self> {
        let mut changed = self.clone();
        let change = |text: &String| {
            let place = format!("--weights {text}");
            let Some((name, value)) = text.split_once('=') else {
                return Some(Fault::new(place, "no \"=\" in it").accepts("NAME=NUMBER, as in safety=2"));
            };
            changed.set(&place, name, value.parse().unwrap_or(f64::NAN), value).err()
        };
        let faults = overrides.iter().filter_map(change).collect();
        changed.checked("--weights", faults)
    }

    /// Sets one weight; `shown` is what the user wrote.
    fn set(&mut self, place: &str, name: &str, weight: f64, shown: &str) -> Result<(), Fault> {
        let rule = &self.combination.rule;
        let Some(index) = self.names.iter().position(|known| known == name) else {
            let known = self.known();
            let fault = Fault::new(place, format!("unknown objective {}", quote(name))).accepts(known.join(", "));
            return Err(match did_you_mean(name, &known) {
                Some(known) => fault.help(format!("did you mean \"{known}\"?")),
                None => fault,
            });
        };
        if !is_weight(weight) {
            return Err(Fault::new(place, format!("{} is no usable weight", quote(shown))).accepts(RANGE));
        }
        if weight < 0.0 && !rule.takes_negative() {
            let found = format!("{shown} is negative, which the rule {} does not take", rule.word());
            return Err(Fault::new(place, found).accepts("0 to 1e6"));
        }
        if !rule.weighs(name) {
            let found = format!("the rule {} holds {} above a floor and does not weigh it", rule.word(), quote(name));
            let weighed: Vec<&str> = self.known().into_iter().filter(|known| rule.weighs(known)).collect();
            return Err(Fault::new(place, found).accepts(weighed.join(", ")));
        }
        self.weights[index] = weight;
        Ok(())
    }

    fn checked(self, place: &str, mut faults: Vec<Fault>) -> Result<Self> {
        if faults.is_empty() {
            faults.extend(self.nothing_to_weigh(place));
        }
        if faults.is_empty() { Ok(self) } else { Err(Error::Usage(faults)) }
    }

    /// What is wrong with the weights one by one.
    pub(super) fn unusable_weights(&self) -> Vec<String> {
        let rule = &self.combination.rule;
        let usable = |weight: f64| is_weight(weight) && (weight >= 0.0 || rule.takes_negative());
        let unusable = self.names.iter().zip(&self.weights).filter(|(_, weight)| !usable(**weight));
        unusable.map(|(name, weight)| format!("the weight of \"{name}\" is {weight}")).collect()
    }

    /// What is wrong with the weights together.
    pub(super) fn nothing_to_weigh(&self, place: &str) -> Option<Fault> {
        let weights = self.known().into_iter().zip(self.weights.iter().copied());
        let (found, accepted) = self.combination.rule.nothing_to_weigh(weights)?;
        Some(Fault::new(place, found).accepts(accepted))
    }
}

/// Whether a number can be a weight.
fn is_weight(number: f64) -> bool {
    number.abs() <= LARGEST
}
