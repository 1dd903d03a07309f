//! A statistic as a report shows it: an estimate with its interval, or the reason why there is none.

use serde::{Deserialize, Serialize};

use super::agreement::finite;
use super::intervals::Estimate;

/// Why a statistic has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undefined {
    /// There is nothing to compute it from.
    NoValues,
    /// There are too few values for as many unknowns.
    TooFewValues,
    /// There are too few independent clusters.
    TooFewClusters,
    /// The values of one list are all equal.
    Constant,
    /// Everybody always says the same, so that agreement beyond chance cannot be told from chance.
    OneClass,
    /// Nothing was judged by two labelers.
    TooFewLabelers,
    /// A value is infinite or not a number.
    NotFinite,
    /// The lists do not belong together.
    UnequalLengths,
    /// What it would be computed with cannot be used: a rule that is left without a weight.
    NotUsable,
}

impl Undefined {
    /// The reason in words that complete "not defined: …".
    pub fn words(self) -> &'static str {
        match self {
            Self::NoValues => "there are no values",
            Self::TooFewValues => "there are too few values",
            Self::TooFewClusters => "there are fewer than three prompts",
            Self::Constant => "all values are equal",
            Self::OneClass => "there is only one kind of verdict",
            Self::TooFewLabelers => "no pair was judged by two labelers",
            Self::NotFinite => "a value is not finite",
            Self::UnequalLengths => "the lists differ in length",
            Self::NotUsable => "the rule cannot do with such weights",
        }
    }
}

/// An estimate, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Statistic {
    /// The value with its interval.
    Known(Estimate),
    /// No value.
    Unknown {
        /// Why.
        undefined: Undefined,
    },
}

impl Statistic {
    /// The estimate, where there is one.
    pub fn known(&self) -> Option<Estimate> {
        match self {
            Self::Known(estimate) => Some(*estimate),
            Self::Unknown { .. } => None,
        }
    }

    /// The value, where there is one.
    pub fn value(&self) -> Option<f64> {
        self.known().map(|estimate| estimate.value)
    }

    /// Why there is no value, where there is none.
    pub fn undefined(&self) -> Option<Undefined> {
        match self {
            Self::Known(_) => None,
            Self::Unknown { undefined } => Some(*undefined),
        }
    }
}

impl From<Result<Estimate, Undefined>> for Statistic {
    fn from(result: Result<Estimate, Undefined>) -> Self {
        result.map_or_else(|undefined| Self::Unknown { undefined }, Self::Known)
    }
}

/// Whether two lists and their clusters belong together and are made of numbers.
pub(super) fn check_lists(x: &[f64], y: &[f64], clusters: &[usize]) -> Result<(), Undefined> {
    if x.len() != y.len() || x.len() != clusters.len() {
        Err(Undefined::UnequalLengths)
    } else if x.is_empty() {
        Err(Undefined::NoValues)
    } else if !finite(x) || !finite(y) {
        Err(Undefined::NotFinite)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESTIMATE: Estimate = Estimate { value: 0.1, low: -1.0 / 3.0, high: 0.7, n: 5, clusters: 4 };

    #[test]
    fn json_keeps_a_value_and_a_reason() {
        let known = Statistic::Known(ESTIMATE);
        let unknown = Statistic::Unknown { undefined: Undefined::OneClass };
        assert_eq!(serde_json::to_string(&unknown).expect("JSON"), r#"{"undefined":"one_class"}"#);
        for statistic in [known, unknown] {
            let text = serde_json::to_string(&statistic).expect("JSON");
            assert_eq!(serde_json::from_str::<Statistic>(&text).expect("the same"), statistic, "{text}");
        }
    }

    #[test]
    fn a_statistic_is_a_value_or_a_reason() {
        let known = Statistic::from(Ok(ESTIMATE));
        assert_eq!((known.known(), known.value(), known.undefined()), (Some(ESTIMATE), Some(0.1), None));
        let unknown = Statistic::from(Err(Undefined::Constant));
        assert_eq!((unknown.known(), unknown.value()), (None, None));
        assert_eq!(unknown.undefined().map(Undefined::words), Some("all values are equal"));
    }

    #[test]
    fn lists_are_checked_for_length_first() {
        assert_eq!(check_lists(&[1.0], &[f64::NAN], &[]), Err(Undefined::UnequalLengths));
        assert_eq!(check_lists(&[], &[], &[]), Err(Undefined::NoValues));
        assert_eq!(check_lists(&[1.0], &[f64::NAN], &[0]), Err(Undefined::NotFinite));
        assert_eq!(check_lists(&[1.0], &[2.0], &[0]), Ok(()));
    }
}
