//! What one pair's label says of the difference of its two scores: Bradley-Terry and Davidson, pure functions of f64.
//!
//! z is the score of the chosen answer minus that of the rejected one, the margin taken off; p the share of labelers
//! who prefer the chosen one.

use crate::logistic::both_sides;

/// How the label of a pair comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likelihood {
    /// P(chosen) = σ(z); a tie is half a vote for each (Bradley & Terry 1952).
    BradleyTerry,
    /// With ν = e^θ: P(chosen) ∝ e^{z/2}, P(rejected) ∝ e^{−z/2}, P(tie) ∝ ν (Davidson 1970, JASA 65). A label of
    /// exactly ½ is a tie; any other share is a vote of that share.
    Davidson,
}

/// The loss of a pair with its derivatives in z and, for Davidson's model, in θ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Terms {
    pub(super) loss: f64,
    pub(super) slope: f64,
    pub(super) tie_slope: f64,
    pub(super) curvature: f64,
    pub(super) mixed_curvature: f64,
    pub(super) tie_curvature: f64,
}

/// A loss as `linear` + log `factor`, with its slopes in z and θ: many losses together need but one logarithm, of the product
/// of their factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) linear: f64,
    /// Between 1 and 2.
    pub(super) factor: f64,
    pub(super) slope: f64,
    pub(super) tie_slope: f64,
}

/// Σ cᵢ ℓᵢ of losses in [`Parts`] with weights c.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossSum {
    linear: f64,
    product: f64,
}

/// A product of factors up to 2 this large may take one more.
const LARGE_PRODUCT: f64 = 1e300;

impl LossSum {
    /// Of no loss.
    pub(super) const ZERO: Self = Self { linear: 0.0, product: 1.0 };

    /// Adds a loss with its weight.
    pub(super) fn add(&mut self, weight: f64, parts: &Parts) {
        if weight == 1.0 {
            self.linear += parts.linear;
            self.product *= parts.factor;
            if self.product > LARGE_PRODUCT {
                *self = Self { linear: self.value(), product: 1.0 };
            }
        } else {
            self.linear += weight * (parts.linear + libm::log(parts.factor));
        }
    }

    /// The sum.
    pub(super) fn value(&self) -> f64 {
        self.linear + libm::log(self.product)
    }
}

impl Likelihood {
    /// As [`Likelihood::terms`], without the curvature.
    pub(super) fn parts(self, z: f64, tie: f64, p: f64) -> Parts {
        match self {
            Self::BradleyTerry => {
                let exponential = libm::exp(-z.abs());
                let near = 1.0 / (1.0 + exponential);
                let far = exponential * near;
                let (right, wrong) = if z >= 0.0 { (near, far) } else { (far, near) };
                Parts {
                    linear: p * (-z).max(0.0) + (1.0 - p) * z.max(0.0),
                    factor: 1.0 + exponential,
                    slope: (1.0 - p) * right - p * wrong,
                    tie_slope: 0.0,
                }
            }
            Self::Davidson => {
                let Terms { loss, slope, tie_slope, .. } = davidson(z, tie, p);
                Parts { linear: loss, factor: 1.0, slope, tie_slope }
            }
        }
    }

    /// −log-likelihood of share `p` at difference `z` and tie parameter `tie` = θ, with its derivatives.
    pub(super) fn terms(self, z: f64, tie: f64, p: f64) -> Terms {
        match self {
            Self::BradleyTerry => {
                // Both tails from their own side: σ(z) − 1 would lose the digits of a confident pair.
                let ([right, wrong], [log_right, log_wrong]) = both_sides(z);
                Terms {
                    loss: -(p * log_right + (1.0 - p) * log_wrong),
                    slope: (1.0 - p) * right - p * wrong,
                    curvature: right * wrong,
                    ..Terms::default()
                }
            }
            Self::Davidson => davidson(z, tie, p),
        }
    }
}

/// Whether a label says that neither answer is better.
pub(super) fn is_tie(p: f64) -> bool {
    (p - 0.5).abs() < f64::EPSILON
}

fn davidson(z: f64, tie: f64, p: f64) -> Terms {
    let utilities = [0.5 * z, -0.5 * z, tie];
    let shares = if is_tie(p) { [0.0, 0.0, 1.0] } else { [p, 1.0 - p, 0.0] };
    let most = utilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers = utilities.map(|utility| libm::exp(utility - most));
    // Win and loss first, so that exchanging them changes no bit.
    let total = (powers[0] + powers[1]) + powers[2];
    let [win, loss, drawn] = powers.map(|power| power / total);
    let expected = (shares[0] * utilities[0] + shares[1] * utilities[1]) + shares[2] * utilities[2];
    let lead = win - loss;
    Terms {
        loss: most + libm::log(total) - expected,
        slope: 0.5 * (lead - (shares[0] - shares[1])),
        tie_slope: drawn - shares[2],
        curvature: 0.25 * ((win + loss) - lead * lead),
        mixed_curvature: -0.5 * lead * drawn,
        tie_curvature: drawn * (1.0 - drawn),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn davidson_by_hand() {
        // z = 2 log 2 and ν = 1: powers 2, ½, 1; probabilities 4/7, 1/7, 2/7.
        let terms = Likelihood::Davidson.terms(2.0 * 2f64.ln(), 0.0, 1.0);
        assert!((terms.loss - (7.0f64 / 4.0).ln()).abs() < 1e-12);
        let terms = Likelihood::Davidson.terms(2.0 * 2f64.ln(), 0.0, 0.5);
        assert!((terms.loss - (7.0f64 / 2.0).ln()).abs() < 1e-12);
        assert!((terms.tie_slope - (2.0 / 7.0 - 1.0)).abs() < 1e-12);
    }

    #[test]
    fn a_product_of_many_factors_does_not_overflow() {
        // 3,000 factors of about 1.6 are far more than a number holds.
        let (mut sum, mut expected) = (LossSum::ZERO, 0.0);
        for index in 0..3_000 {
            let z = f64::from(index % 21 - 10) / 20.0;
            sum.add(1.0, &Likelihood::BradleyTerry.parts(z, 0.0, 1.0));
            expected += Likelihood::BradleyTerry.terms(z, 0.0, 1.0).loss;
        }
        assert!(expected > 2_000.0 && (sum.value() - expected).abs() < 1e-10, "{} {expected}", sum.value());
    }

    proptest! {
        #[test]
        fn derivatives_agree_with_finite_differences(z in -6f64..6.0, tie in -3f64..2.0, choice in 0usize..4) {
            let (p, step) = ([1.0, 0.5, 0.8, 0.0][choice], 1e-5);
            for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
                let at = |dz: f64, dt: f64| likelihood.terms(z + dz, tie + dt, p);
                let terms = at(0.0, 0.0);
                let along = |pick: fn(&Terms) -> f64, dz: f64, dt: f64| {
                    (pick(&at(dz, dt)) - pick(&at(-dz, -dt))) / (2.0 * step)
                };
                prop_assert!((along(|t| t.loss, step, 0.0) - terms.slope).abs() < 1e-8);
                prop_assert!((along(|t| t.loss, 0.0, step) - terms.tie_slope).abs() < 1e-8);
                prop_assert!((along(|t| t.slope, step, 0.0) - terms.curvature).abs() < 1e-8);
                prop_assert!((along(|t| t.slope, 0.0, step) - terms.mixed_curvature).abs() < 1e-8);
                prop_assert!((along(|t| t.tie_slope, 0.0, step) - terms.tie_curvature).abs() < 1e-8);
            }
        }

        #[test]
        fn losses_in_parts_add_up_to_those_in_terms(
            pairs in prop::collection::vec((-40f64..40.0, 0usize..4, 0usize..3), 1..3_000), tie in -3f64..2.0,
        ) {
            for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
                let (mut sum, mut expected) = (LossSum::ZERO, 0.0);
                for &(z, choice, weight) in &pairs {
                    let (p, weight) = ([1.0, 0.5, 0.8, 0.0][choice], [1.0, 1.0, 2.5][weight]);
                    let (parts, terms) = (likelihood.parts(z, tie, p), likelihood.terms(z, tie, p));
                    prop_assert!((parts.slope - terms.slope).abs() < 1e-15);
                    prop_assert_eq!(parts.tie_slope, terms.tie_slope);
                    sum.add(weight, &parts);
                    expected += weight * terms.loss;
                }
                prop_assert!((sum.value() - expected).abs() < 1e-12 * (1.0 + expected), "{} {expected}", sum.value());
            }
        }

        #[test]
        fn rare_ties_make_davidson_bradley_terry(z in -6f64..6.0) {
            let (davidson, plain) = (davidson(z, -60.0, 1.0), Likelihood::BradleyTerry.terms(z, 0.0, 1.0));
            prop_assert!((davidson.loss - plain.loss).abs() < 1e-12);
            prop_assert!((davidson.slope - plain.slope).abs() < 1e-12);
        }

        #[test]
        fn far_from_zero_everything_stays_finite(z in -1e6f64..1e6, tie in -1e3f64..1e3) {
            for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
                let terms = likelihood.terms(z, tie, 1.0);
                prop_assert!(terms.loss.is_finite() && terms.loss >= -1e-9);
                prop_assert!(terms.curvature.is_finite() && terms.tie_curvature.is_finite());
            }
        }
    }
}
