//! Normalizers: calibrated scores of one objective to a scale that can be added to others.
//!
//! Fitted on the scores of a reference set (the calibration split's responses, or a file's); pure functions of numbers.

mod reference;

pub use reference::{LEAST_RESPONSES, SHARES, Spread};

use serde::{Deserialize, Serialize};

use crate::config::NormalizerKind;
use crate::error::{Error, Fault, Result};
use crate::logistic::sigmoid;

/// Most reference scores kept for `quantile` and `win_rate`; larger sets are thinned to evenly spaced order statistics.
const MOST_REFERENCES: usize = 1024;

/// Makes the median absolute deviation of a normal distribution its standard deviation: 1 / Φ⁻¹(3/4).
const MEDIAN_DEVIATION_SCALE: f64 = 1.482_602_218_505_602;

/// A fitted normalizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalizer {
    /// (r − mean) / deviation.
    Zscore {
        /// Reference mean.
        mean: f64,
        /// Reference standard deviation (n − 1).
        deviation: f64,
    },
    /// (r − median) / (1.4826 · MAD).
    Robust {
        /// Reference median.
        median: f64,
        /// 1.4826 · median absolute deviation.
        deviation: f64,
    },
    /// Φ⁻¹ of the interpolated reference rank.
    Quantile {
        /// Reference scores, ascending.
        references: Vec<f64>,
    },
    /// (r − minimum) / (maximum − minimum), clipped to 0..1.
    Minmax {
        /// Smallest reference score.
        minimum: f64,
        /// Largest reference score.
        maximum: f64,
    },
    /// σ((r − mean) / deviation): 0..1.
    Sigmoid {
        /// Reference mean.
        mean: f64,
        /// Reference standard deviation (n − 1).
        deviation: f64,
    },
    /// Mean over reference scores rⱼ of σ(r − rⱼ): the chance to beat a random reference response, 0..1.
    WinRate {
        /// Reference scores, ascending.
        references: Vec<f64>,
    },
    /// r.
    Identity,
}

impl Normalizer {
    /// Which kind it is.
    pub fn kind(&self) -> NormalizerKind {
        match self {
            Self::Zscore { .. } => NormalizerKind::Zscore,
            Self::Robust { .. } => NormalizerKind::Robust,
            Self::Quantile { .. } => NormalizerKind::Quantile,
            Self::Minmax { .. } => NormalizerKind::Minmax,
            Self::Sigmoid { .. } => NormalizerKind::Sigmoid,
            Self::WinRate { .. } => NormalizerKind::WinRate,
            Self::Identity => NormalizerKind::Identity,
        }
    }

    /// (scale, shift) where the normalizer is r·scale + shift for every r; `None` where it is not linear.
    pub fn linear(&self) -> Option<(f64, f64)> {
        match self {
            Self::Identity => Some((1.0, 0.0)),
            Self::Zscore { mean, deviation } => Some((1.0 / deviation, -mean / deviation)),
            Self::Robust { median, deviation } => Some((1.0 / deviation, -median / deviation)),
            Self::Quantile { .. } | Self::Minmax { .. } | Self::Sigmoid { .. } | Self::WinRate { .. } => None,
        }
    }

    /// Whether every normalized score lies between 0 and 1.
    pub fn gives_shares(&self) -> bool {
        matches!(self, Self::Minmax { .. } | Self::Sigmoid { .. } | Self::WinRate { .. })
    }

    /// Fits `kind` on the scores of the reference responses.
    ///
    /// # Errors
    /// [`Error::Numeric`] when a score is not finite, there are fewer than two, or they do not vary where the kind
    /// divides by their spread.
    pub fn fit(kind: NormalizerKind, scores: &[f64]) -> Result<Self> {
        let mut sorted = scores.to_vec();
        sorted.sort_by(f64::total_cmp);
        if sorted.len() < 2 || sorted.iter().any(|score| !score.is_finite()) {
            return Err(bad(format!("{} reference scores, or one that is not finite", sorted.len())));
        }
        let spread =
            |value: f64| if value > 0.0 { Ok(value) } else { Err(bad("all reference scores are equal".into())) };
        let (mean, deviation) = mean_and_deviation(&sorted);
        Ok(match kind {
            NormalizerKind::Zscore => Self::Zscore { mean, deviation: spread(deviation)? },
            NormalizerKind::Sigmoid => Self::Sigmoid { mean, deviation: spread(deviation)? },
            NormalizerKind::Robust => {
                let median = quantile(&sorted, 0.5);
                let mut distances: Vec<f64> = sorted.iter().map(|score| (score - median).abs()).collect();
                distances.sort_by(f64::total_cmp);
                Self::Robust { median, deviation: spread(MEDIAN_DEVIATION_SCALE * quantile(&distances, 0.5))? }
            }
            NormalizerKind::Quantile => Self::Quantile { references: thin(&sorted) },
            NormalizerKind::WinRate => Self::WinRate { references: thin(&sorted) },
            NormalizerKind::Minmax => {
                let (minimum, maximum) = (sorted[0], sorted[sorted.len() - 1]);
                spread(maximum - minimum)?;
                Self::Minmax { minimum, maximum }
            }
            NormalizerKind::Identity => Self::Identity,
        })
    }

    /// The normalized score of a calibrated one. Non-decreasing in `score`, finite unless it is beyond the largest f64,
    /// never -0.
    pub fn apply(&self, score: f64) -> f64 {
        let normalized = match self {
            Self::Zscore { mean, deviation } => (score - mean) / deviation,
            Self::Robust { median, deviation } => (score - median) / deviation,
            Self::Sigmoid { mean, deviation } => sigmoid((score - mean) / deviation),
            Self::Minmax { minimum, maximum } => ((score - minimum) / (maximum - minimum)).clamp(0.0, 1.0),
            Self::Quantile { references } => normal_quantile(interpolated_rank(references, score)),
            Self::WinRate { references } => {
                references.iter().map(|reference| sigmoid(score - reference)).sum::<f64>() / references.len() as f64
            }
            Self::Identity => score,
        };
        normalized + 0.0
    }

    /// Whether every stored number is usable; a registry checks this before it trusts a file.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Zscore { mean, deviation } | Self::Sigmoid { mean, deviation } => positive(*mean, *deviation),
            Self::Robust { median, deviation } => positive(*median, *deviation),
            Self::Minmax { minimum, maximum } => positive(*minimum, maximum - minimum),
            Self::Quantile { references } | Self::WinRate { references } => {
                references.len() >= 2
                    && references.iter().all(|score| score.is_finite())
                    && references.is_sorted_by(|left, right| left <= right)
            }
            Self::Identity => true,
        }
    }
}

fn positive(centre: f64, spread: f64) -> bool {
    centre.is_finite() && spread.is_finite() && spread > 0.0
}

fn bad(found: String) -> Error {
    Error::Numeric(vec![
        Fault::new("normalizer", found)
            .accepts("at least two finite scores that differ")
            .help("the head gives every response the same score; check its data, or use normalizer: identity"),
    ])
}

fn mean_and_deviation(scores: &[f64]) -> (f64, f64) {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
    (mean, (squares / (scores.len() - 1) as f64).sqrt())
}

/// The quantile `share` (0 to 1) of ascending scores, at least one: linear interpolation between order statistics
/// (Hyndman & Fan type 7).
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

fn thin(sorted: &[f64]) -> Vec<f64> {
    if sorted.len() <= MOST_REFERENCES {
        return sorted.to_vec();
    }
    let last = (MOST_REFERENCES - 1) as f64;
    (0..MOST_REFERENCES).map(|index| quantile(sorted, index as f64 / last)).collect()
}

/// Where `score` stands among ascending references, in (0, 1): order statistic i sits at (i + ½)/n, ties at the middle
/// of their run, linear between; outside the references half a rank from the end.
fn interpolated_rank(references: &[f64], score: f64) -> f64 {
    let count = references.len() as f64;
    let below = references.partition_point(|reference| *reference < score);
    let through = references.partition_point(|reference| *reference <= score);
    if through > below {
        return (below + through) as f64 / 2.0 / count;
    }
    if below == 0 {
        return 0.25 / count;
    }
    if below == references.len() {
        return 1.0 - 0.25 / count;
    }
    let (left, right) = (references[below - 1], references[below]);
    let rank = |value: f64| {
        let first = references.partition_point(|reference| *reference < value);
        let end = references.partition_point(|reference| *reference <= value);
        (first + end) as f64 / 2.0
    };
    let share = (score - left) / (right - left);
    (rank(left) + share * (rank(right) - rank(left))) / count
}

/// Φ⁻¹(p), by the rational approximation of Wichura (1988, algorithm AS 241, PPND16), relative error about 1e-16.
fn normal_quantile(p: f64) -> f64 {
    const CENTRE: ([f64; 8], [f64; 8]) = (
        [
            3.387_132_872_796_366_5,
            133.141_667_891_784_38,
            1_971.590_950_306_551_3,
            13_731.693_765_509_46,
            45_921.953_931_549_87,
            67_265.770_927_008_7,
            33_430.575_583_588_13,
            2_509.080_928_730_122_7,
        ],
        [
            1.0,
            42.313_330_701_600_91,
            687.187_007_492_057_9,
            5_394.196_021_424_751,
            21_213.794_301_586_597,
            39_307.895_800_092_71,
            28_729.085_735_721_943,
            5_226.495_278_852_854,
        ],
    );
    const NEAR: ([f64; 8], [f64; 8]) = (
        [
            1.423_437_110_749_683_5,
            4.630_337_846_156_545,
            5.769_497_221_460_691,
            3.647_848_324_763_204_5,
            1.270_458_252_452_368_4,
            0.241_780_725_177_450_6,
            0.022_723_844_989_269_184,
            7.745_450_142_783_414e-4,
        ],
        [
            1.0,
            2.053_191_626_637_759,
            1.676_384_830_183_803_8,
            0.689_767_334_985_1,
            0.148_103_976_427_480_08,
            0.015_198_666_563_616_457,
            5.475_938_084_995_345e-4,
            1.050_750_071_644_416_9e-9,
        ],
    );
    let centred = p - 0.5;
    if centred.abs() <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return centred * polynomial(&CENTRE.0, r) / polynomial(&CENTRE.1, r);
    }
    // With at most 1024 references the tail probability is at least 0.25/1024, where √(−ln p) < 5: one branch serves.
    let r = (-libm::log(p.min(1.0 - p))).sqrt() - 1.6;
    (polynomial(&NEAR.0, r) / polynomial(&NEAR.1, r)).copysign(centred)
}

fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [NormalizerKind; 7] = [
        NormalizerKind::Zscore,
        NormalizerKind::Robust,
        NormalizerKind::Quantile,
        NormalizerKind::Minmax,
        NormalizerKind::Sigmoid,
        NormalizerKind::WinRate,
        NormalizerKind::Identity,
    ];

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} against {right}");
    }

    #[test]
    fn values_worked_by_hand() {
        let scores = [1.0, 2.0, 3.0, 4.0, 10.0];
        let apply = |kind, score| Normalizer::fit(kind, &scores).expect("they vary").apply(score);
        close(apply(NormalizerKind::Zscore, 4.0), 0.0);
        close(apply(NormalizerKind::Zscore, 4.0 + 12.5f64.sqrt()), 1.0);
        // Median 3, absolute deviations 2 1 0 1 7, their median 1.
        close(apply(NormalizerKind::Robust, 3.0 + MEDIAN_DEVIATION_SCALE), 1.0);
        close(apply(NormalizerKind::Minmax, 5.5), 0.5);
        close(apply(NormalizerKind::Minmax, 99.0), 1.0);
        close(apply(NormalizerKind::Sigmoid, 4.0), 0.5);
        close(apply(NormalizerKind::Quantile, 3.0), 0.0);
        // 1 is the lowest of five: rank 0.1, and scipy.stats.norm.ppf(0.1) = -1.2815515655446004.
        close(apply(NormalizerKind::Quantile, 1.0), -1.281_551_565_544_600_4);
        let by_hand = scores.iter().map(|r| 1.0 / (1.0 + (r - 2.5f64).exp())).sum::<f64>() / 5.0;
        close(apply(NormalizerKind::WinRate, 2.5), by_hand);
        close(apply(NormalizerKind::Identity, -7.25), -7.25);
    }

    #[test]
    fn normal_quantile_agrees_with_scipy() {
        // scipy.stats.norm.ppf at these probabilities.
        for (p, expected) in [
            (0.5, 0.0),
            (0.9, 1.281_551_565_544_600_4),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813),
            (0.000_25, -3.480_756_404_346_222_6),
        ] {
            close(normal_quantile(p), expected);
        }
    }

    #[test]
    fn reference_scores_that_cannot_serve_are_refused() {
        assert!(Normalizer::fit(NormalizerKind::Zscore, &[1.0, 1.0]).is_err());
        assert!(Normalizer::fit(NormalizerKind::Zscore, &[1.0, f64::NAN]).is_err());
        assert!(Normalizer::fit(NormalizerKind::WinRate, &[1.0]).is_err());
        assert!(!Normalizer::Zscore { mean: 0.0, deviation: 0.0 }.is_sound());
        assert!(!Normalizer::WinRate { references: vec![2.0, 1.0] }.is_sound());
    }

    proptest! {
        #[test]
        fn every_kind_is_monotone_finite_and_survives_json(
            scores in prop::collection::vec(-50.0f64..50.0, 3..40),
            left in -100.0f64..100.0,
            right in -100.0f64..100.0,
        ) {
            let (low, high) = if left <= right { (left, right) } else { (right, left) };
            for kind in ALL {
                let Ok(normalizer) = Normalizer::fit(kind, &scores) else { continue };
                prop_assert!(normalizer.is_sound());
                let (below, above) = (normalizer.apply(low), normalizer.apply(high));
                for zero in [0.0, -0.0, 5e-324, -5e-324, scores[0], below] {
                    let value = normalizer.apply(zero);
                    prop_assert!(value != 0.0 || value.is_sign_positive(), "{kind:?} of {zero:e}");
                }
                prop_assert!(below.is_finite() && above.is_finite());
                prop_assert!(below <= above + 1e-12, "{kind:?}: {below} > {above}");
                let linear = matches!(kind, NormalizerKind::Zscore | NormalizerKind::Robust | NormalizerKind::Identity);
                prop_assert_eq!(normalizer.linear().is_some(), linear);
                if let Some((scale, shift)) = normalizer.linear() {
                    prop_assert!((low * scale + shift - below).abs() <= 1e-9 * (1.0 + below.abs()));
                }
                let text = serde_json::to_string(&normalizer).expect("serializable");
                let back: Normalizer = serde_json::from_str(&text).expect("readable");
                prop_assert_eq!(back, normalizer);
            }
        }
    }
}
