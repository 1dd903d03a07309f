//! The rule that makes one number of the objectives' normalized scores.
//!
//! [`Combiner`] holds a rule with the weights of its objectives and is checked when it is made; `weights` replaces
//! weights per run or request; `rules` computes. Pure functions over f64. Permuting the objectives changes no bit.

mod rules;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{LARGEST, Rule};
use crate::error::Fault;
use rules::{LARGEST_SCORE, Part};

/// What one objective says of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The normalized score.
    pub score: f64,
    /// Its standard error on the normalized scale, 0 or more.
    pub error: f64,
}

/// A rule with all numbers but the weights, as a registry keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combination {
    /// The rule.
    pub rule: Rule,
    /// How many standard errors are taken off each score before the rule sees it.
    pub uncertainty_penalty: f64,
    /// For `log_sigmoid`: each objective's reference, a quantile of its reference responses' normalized scores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, f64>,
}

/// A rule ready to combine the scores of its objectives.
#[derive(Clone, Debug, PartialEq)]
pub struct Combiner {
    names: Vec<String>,
    weights: Vec<f64>,
    combination: Combination,
}

impl Combiner {
    /// The rule of `combination` over objectives with their weights, in the order of every list of terms.
    ///
    /// # Errors
    /// Every number that cannot serve: beyond ±1e6, a floor or reference without its objective, weights that the rule
    /// has no use for.
    pub fn new(objectives: Vec<(String, f64)>, combination: Combination) -> Result<Self, Vec<Fault>> {
        let (names, weights): (Vec<String>, Vec<f64>) = objectives.into_iter().unzip();
        let combiner = Self { names, weights, combination };
        let mut found = combiner.combination.unusable(&combiner.known());
        found.extend(combiner.unusable_weights());
        let mut faults: Vec<Fault> = found.into_iter().map(|found| Fault::new("combine", found)).collect();
        if faults.is_empty() {
            faults.extend(combiner.nothing_to_weigh("combine"));
        }
        if faults.is_empty() { Ok(combiner) } else { Err(faults) }
    }

    /// The objectives' names, in the order of the terms.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The objectives' weights, in the same order.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The rule with its numbers.
    pub fn combination(&self) -> &Combination {
        &self.combination
    }

    /// Combines the terms of one item, one an objective, in the order of [`Self::names`].
    ///
    /// Every score first loses `uncertainty_penalty` standard errors (where its weight is negative it gains them: what
    /// is rewarded less must not be rewarded for being unknown). Then the rule follows, as [`Rule`] writes it. Finite
    /// for finite terms, never -0.
    pub fn combine(&self, terms: &[Term]) -> f64 {
        let Combination { rule, uncertainty_penalty, references } = &self.combination;
        let parts =
            self.weights.iter().zip(terms).map(|(weight, term)| Part::new(*weight, *term, *uncertainty_penalty));
        let parts: Vec<(&String, Part)> = self.names.iter().zip(parts).collect();
        let all = || parts.iter().map(|(_, part)| *part);
        let below = |floors: &BTreeMap<String, f64>| -> Vec<f64> {
            let shortfall = |(name, part): &(&String, Part)| Some((floors.get(*name)? - part.lower).max(0.0));
            parts.iter().filter_map(shortfall).collect()
        };
        let combined = match rule {
            Rule::WeightedSum => rules::weighted_sum(all()),
            Rule::WorstCase => rules::worst_case(all()),
            Rule::SoftMin { tau } => rules::soft_min(all(), *tau),
            Rule::LogSigmoid { .. } => {
                rules::log_sigmoid(parts.iter().filter_map(|(name, part)| Some((*part, *references.get(*name)?))))
            }
            Rule::Geometric => rules::geometric(all()),
            Rule::Constrained { floors, lambda } => {
                let primary = parts.iter().filter(|(name, _)| rule.weighs(name)).map(|(_, part)| *part);
                rules::constrained(primary, &below(floors), *lambda)
            }
            Rule::Gate { floors, low_score } => rules::gate(all(), &below(floors), *low_score),
        };
        combined + 0.0
    }

    /// The same rule over all objectives but the one at `index`; `None` where that leaves nothing the rule can combine.
    pub fn without(&self, index: usize) -> Option<Self> {
        let left_out = self.names.get(index)?;
        let mut combination = self.combination.clone();
        combination.references.remove(left_out);
        if let Rule::Constrained { floors, .. } | Rule::Gate { floors, .. } = &mut combination.rule {
            floors.remove(left_out);
        }
        let kept = self.names.iter().cloned().zip(self.weights.iter().copied()).filter(|(name, _)| name != left_out);
        Self::new(kept.collect(), combination).ok()
    }

    /// The same rule with one weight multiplied; `None` where the rule has no use for the new weights.
    pub fn scaled(&self, index: usize, factor: f64) -> Option<Self> {
        let mut weights = self.weights.clone();
        *weights.get_mut(index)? *= factor;
        Self::new(self.names.iter().cloned().zip(weights).collect(), self.combination.clone()).ok()
    }

    /// The weights, where the combined score is Σ weight × score and nothing else.
    ///
    /// # Errors
    /// Why it is not.
    pub fn linear(&self) -> Result<&[f64], String> {
        match &self.combination {
            Combination { rule: Rule::WeightedSum, uncertainty_penalty, .. } if *uncertainty_penalty > 0.0 => Err(
                format!("the rule takes {uncertainty_penalty} standard errors off every score, which is not linear"),
            ),
            Combination { rule: Rule::WeightedSum, .. } => Ok(&self.weights),
            Combination { rule, .. } => Err(format!("the rule {} is not linear", rule.word())),
        }
    }

    fn known(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }
}

impl Combination {
    /// What is wrong with its numbers.
    fn unusable(&self, objectives: &[&str]) -> Vec<String> {
        let mut found = self.rule.unusable(objectives);
        if !(0.0..=LARGEST).contains(&self.uncertainty_penalty) {
            found.push(format!("uncertainty_penalty is {}", self.uncertainty_penalty));
        }
        let wanted = matches!(self.rule, Rule::LogSigmoid { .. });
        let known = |name: &str| self.references.contains_key(name);
        if wanted && (self.references.len() != objectives.len() || !objectives.iter().all(|name| known(name))) {
            found.push("the references of the rule log_sigmoid do not cover the objectives".to_owned());
        }
        if !wanted && !self.references.is_empty() {
            found.push(format!("the rule {} has references, which it does not use", self.rule.word()));
        }
        let sound = |value: &f64| value.abs() <= LARGEST_SCORE;
        found.extend(
            self.references
                .iter()
                .filter(|(_, value)| !sound(value))
                .map(|(name, value)| format!("the reference of \"{name}\" is {value}")),
        );
        found
    }
}
