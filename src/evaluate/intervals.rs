//! Estimates with a 95% interval: the mean clustered by prompt, statistics with influence values, Wilson's interval.
//!
//! Which values are averaged is the caller's business ([`super::metrics`]).

use std::collections::BTreeMap;

/// The 97.5% quantile of the standard normal distribution.
pub(super) const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// A standard error below this is rounding noise: every cluster says the same.
const NO_SPREAD: f64 = 1e-9;

/// Fewer clusters than this say nothing of how a ratio varies: its interval is then the whole range.
const FEWEST_CLUSTERS: usize = 3;

/// A mean, or another statistic of the values, with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// Lower end of the 95% interval.
    pub low: f64,
    /// Upper end of the 95% interval.
    pub high: f64,
    /// How many values it was computed from.
    pub n: usize,
    /// How many independent groups (prompts) they came from.
    pub clusters: usize,
}

/// Mean of `(value, cluster)` rows with a cluster-robust 95% interval, clipped to `range`; `None` without rows.
///
/// se² = G/(G−1) · Σ_g (Σ_{i∈g} (x_i − x̄))² / n² (Liang and Zeger 1986, for a mean; G clusters). When the clusters
/// show no spread at all, se² = 0 would claim certainty. Then at most a share u = z²/(G + z²) of unseen prompts
/// differs (Wilson's bound for 0 of G), and the interval is what those could do to the mean within `range`; for a
/// share of exactly 0 or 1 this is Wilson's interval with n = G.
pub fn clustered_mean(rows: &[(f64, usize)], range: (f64, f64)) -> Option<Estimate> {
    if rows.is_empty() {
        return None;
    }
    let n = rows.len() as f64;
    let value = rows.iter().map(|(value, _)| value).sum::<f64>() / n;
    let residuals: Vec<f64> = rows.iter().map(|(x, _)| x - value).collect();
    let spread = Spread::of_influence(&residuals, rows.iter().map(|(_, cluster)| *cluster));
    let (low, high) = if spread.error > NO_SPREAD {
        (value - NORMAL_QUANTILE * spread.error, value + NORMAL_QUANTILE * spread.error)
    } else {
        without_spread(value, spread.clusters, range)
    };
    Some(Estimate { value, low: low.max(range.0), high: high.min(range.1), n: rows.len(), clusters: spread.clusters })
}

/// What the unseen could do to a value in whose clusters nothing varies; see [`clustered_mean`].
fn without_spread(value: f64, clusters: usize, range: (f64, f64)) -> (f64, f64) {
    let square = NORMAL_QUANTILE * NORMAL_QUANTILE;
    let unseen = square / (clusters as f64 + square);
    (value + unseen * (range.0 - value), value + unseen * (range.1 - value))
}

/// How uncertain a statistic is, and of how many values and independent clusters it was computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// Standard error, robust to anything that goes on within a cluster; 0 for a single cluster.
    pub(super) error: f64,
    pub(super) n: usize,
    pub(super) clusters: usize,
}

impl Spread {
    /// From the values' influence on the statistic, whose mean is 0: se² = G/(G−1) · Σ_g (Σ_{i∈g} IF_i)² / n².
    pub(super) fn of_influence(influence: &[f64], clusters: impl Iterator<Item = usize>) -> Self {
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for (influence, cluster) in influence.iter().zip(clusters) {
            *sums.entry(cluster).or_insert(0.0) += influence;
        }
        let (groups, n) = (sums.len() as f64, influence.len());
        let squares: f64 = sums.values().map(|sum| sum * sum).sum();
        let error = if sums.len() > 1 { (groups / (groups - 1.0) * squares).sqrt() / n as f64 } else { 0.0 };
        Self { error, n, clusters: sums.len() }
    }

    /// From the statistic without each of the clusters in turn: se² = (G−1)/G · Σ_g (θ_(g) − mean)² (Tukey's
    /// jackknife). A statistic that is not defined without one of the clusters hangs on that cluster: its error is
    /// infinite.
    pub(super) fn of_deletes(deletes: &[Option<f64>], n: usize) -> Self {
        let (clusters, groups) = (deletes.len(), deletes.len() as f64);
        let known: Vec<f64> = deletes.iter().copied().flatten().collect();
        let mean = known.iter().sum::<f64>() / groups;
        let squares: f64 = known.iter().map(|value| (value - mean) * (value - mean)).sum();
        let error = match known.len() {
            known if known < clusters => f64::INFINITY,
            1 => 0.0,
            _ => ((groups - 1.0) / groups * squares).sqrt(),
        };
        Self { error, n, clusters }
    }

    /// `value` ± 1.96 standard errors within `range`; the whole range with fewer than three clusters, and what the
    /// unseen could do where nothing varies (see [`clustered_mean`]).
    pub(super) fn around(&self, value: f64, range: (f64, f64)) -> Estimate {
        let half = NORMAL_QUANTILE * self.error;
        let (low, high) = match self.error {
            _ if self.clusters < FEWEST_CLUSTERS => range,
            error if error > NO_SPREAD => (value - half, value + half),
            _ => without_spread(value, self.clusters, range),
        };
        self.estimate(value, (low.max(range.0), high.min(range.1)))
    }

    /// The interval of a correlation on Fisher's scale: tanh(atanh r ± 1.96 · se/(1−r²)), which stays within −1..1
    /// (Fisher 1921, the standard error by the delta method). Few clusters and no spread as in [`Spread::around`].
    pub(super) fn around_correlation(&self, value: f64) -> Estimate {
        // Of r = ±1 and rounding noise beside it nothing varies.
        let slack = 1.0 - value * value;
        let half = NORMAL_QUANTILE * self.error / slack;
        if self.clusters < FEWEST_CLUSTERS || slack < 1e-12 || half < NO_SPREAD {
            return Self { error: 0.0, ..*self }.around(value, (-1.0, 1.0));
        }
        let centre = libm::atanh(value);
        self.estimate(value, (libm::tanh(centre - half).min(value), libm::tanh(centre + half).max(value)))
    }

    fn estimate(&self, value: f64, (low, high): (f64, f64)) -> Estimate {
        Estimate { value, low, high, n: self.n, clusters: self.clusters }
    }
}

/// Wilson's 95% score interval of a share seen in `n` trials (Wilson 1927); the whole of 0..1 for `n` = 0.
///
/// The share need not be a multiple of 1/n, so that soft labels work.
pub fn wilson(share: f64, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let n = n as f64;
    let z2 = NORMAL_QUANTILE * NORMAL_QUANTILE;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = NORMAL_QUANTILE / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).max(0.0).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn two_clusters_by_hand() {
        // Values 1 1 | 0 1: mean 3/4; residual sums 1/2 and −1/2; se = sqrt(2/1 · (1/4 + 1/4)) / 4 = 1/4.
        let rows = [(1.0, 7), (1.0, 7), (0.0, 9), (1.0, 9)];
        let estimate = clustered_mean(&rows, (-9.0, 9.0)).expect("rows");
        close(estimate.value, 0.75);
        close(estimate.low, 0.75 - NORMAL_QUANTILE / 4.0);
        close(estimate.high, 0.75 + NORMAL_QUANTILE / 4.0);
        assert_eq!((estimate.n, estimate.clusters), (4, 2));
    }

    #[test]
    fn singleton_clusters_give_the_usual_standard_error() {
        // Sample variance of 1 2 4 8 (n − 1 in the denominator) is 115/12; se² = that / 4.
        let rows: Vec<(f64, usize)> = [1.0, 2.0, 4.0, 8.0].into_iter().zip(0..).collect();
        let estimate = clustered_mean(&rows, (-99.0, 99.0)).expect("rows");
        close(estimate.high - estimate.value, NORMAL_QUANTILE * (115.0_f64 / 12.0 / 4.0).sqrt());
    }

    #[test]
    fn repeating_each_pair_within_its_prompt_does_not_narrow_the_interval() {
        let once: Vec<(f64, usize)> = (0..40).map(|i| (f64::from(u8::from(i % 3 != 0)), i)).collect();
        let thrice: Vec<(f64, usize)> = once.iter().flat_map(|row| [*row; 3]).collect();
        let (once, thrice) = (clustered_mean(&once, (0.0, 1.0)), clustered_mean(&thrice, (0.0, 1.0)));
        let (once, thrice) = (once.expect("rows"), thrice.expect("rows"));
        close(once.low, thrice.low);
        close(once.high, thrice.high);
        assert_eq!(thrice.n, 120);
    }

    #[test]
    fn no_spread_gives_wilson_and_not_certainty() {
        let rows: Vec<(f64, usize)> = (0..20).map(|i| (1.0, i % 10)).collect();
        let estimate = clustered_mean(&rows, (0.0, 1.0)).expect("rows");
        let (low, high) = wilson(1.0, 10);
        close(estimate.low, low);
        close(estimate.high, high);
        assert!(clustered_mean(&[], (0.0, 1.0)).is_none());
        assert!(clustered_mean(&[(0.0, 3)], (-1.0, 1.0)).is_some_and(|one| one.low < -0.5 && one.high > 0.5));
    }

    #[test]
    fn wilson_agrees_with_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="wilson") of SciPy 1.17, to the digits of the quantile.
        for (k, n, low, high) in [
            (8_u32, 10_usize, 0.490_162_471_536_641_8, 0.943_317_848_545_624_7),
            (0, 12, 0.0, 0.242_494_006_655_240_85),
            (30, 47, 0.495_358_965_347_951_1, 0.760_337_867_542_855_9),
        ] {
            let (found_low, found_high) = wilson(f64::from(k) / n as f64, n);
            assert!((found_low - low).abs() < 1e-6 && (found_high - high).abs() < 1e-6, "{k} of {n}");
        }
        assert_eq!(wilson(0.5, 0), (0.0, 1.0));
    }
}
