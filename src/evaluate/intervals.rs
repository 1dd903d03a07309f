//! Estimates with a 95% interval: the mean clustered by prompt, and Wilson's interval of a share.
//!
//! Which values are averaged is the caller's business ([`super::metrics`]).

use std::collections::BTreeMap;

/// The 97.5% quantile of the standard normal distribution.
const NORMAL_QUANTILE: f64 = 1.959_964;

/// A standard error below this is rounding noise: every cluster says the same.
const NO_SPREAD: f64 = 1e-9;

/// A mean with its 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Lower end of the 95% interval.
    pub low: f64,
    /// Upper end of the 95% interval.
    pub high: f64,
    /// How many values were averaged.
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
    let mut residuals: BTreeMap<usize, f64> = BTreeMap::new();
    for (x, cluster) in rows {
        *residuals.entry(*cluster).or_insert(0.0) += x - value;
    }
    let clusters = residuals.len();
    let groups = clusters as f64;
    let squares: f64 = residuals.values().map(|sum| sum * sum).sum();
    let error = if clusters > 1 { (groups / (groups - 1.0) * squares).sqrt() / n } else { 0.0 };
    let (low, high) = if error > NO_SPREAD {
        (value - NORMAL_QUANTILE * error, value + NORMAL_QUANTILE * error)
    } else {
        let unseen = NORMAL_QUANTILE * NORMAL_QUANTILE / (groups + NORMAL_QUANTILE * NORMAL_QUANTILE);
        (value + unseen * (range.0 - value), value + unseen * (range.1 - value))
    };
    Some(Estimate { value, low: low.max(range.0), high: high.min(range.1), n: rows.len(), clusters })
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
        close(estimate.low, 0.75 - 1.959_964 / 4.0);
        close(estimate.high, 0.75 + 1.959_964 / 4.0);
        assert_eq!((estimate.n, estimate.clusters), (4, 2));
    }

    #[test]
    fn singleton_clusters_give_the_usual_standard_error() {
        // Sample variance of 1 2 4 8 (n − 1 in the denominator) is 115/12; se² = that / 4.
        let rows: Vec<(f64, usize)> = [1.0, 2.0, 4.0, 8.0].into_iter().zip(0..).collect();
        let estimate = clustered_mean(&rows, (-99.0, 99.0)).expect("rows");
        close(estimate.high - estimate.value, 1.959_964 * (115.0_f64 / 12.0 / 4.0).sqrt());
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
