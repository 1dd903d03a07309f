//! The line through a cloud of points, with an error of the slope that holds when points of one prompt are alike.

use serde::{Deserialize, Serialize};

use super::agreement::{centred, constant, near_one};
use super::intervals::{Estimate, NORMAL_QUANTILE, Spread};
use super::statistic::{Undefined, check_lists};

/// y = intercept + slope · x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Where the line crosses x = 0, in units of y.
    pub intercept: f64,
    /// Units of y a unit of x, with its 95% interval clustered by prompt.
    pub slope: Estimate,
}

/// Ordinary least squares of y on x. The slope's error is that of Liang and Zeger (1986) with the correction
/// G/(G−1) · (n−1)/(n−2), the default of statsmodels and Stata; points that lie on a line have the error zero.
///
/// # Errors
/// Lists that do not belong together, fewer than three points or clusters, one value of x only, or a slope that is
/// not finite.
pub fn slope(x: &[f64], y: &[f64], clusters: &[usize]) -> Result<Line, Undefined> {
    check_lists(x, y, clusters)?;
    if x.len() < 3 {
        return Err(Undefined::TooFewValues);
    }
    if constant(x) {
        return Err(Undefined::Constant);
    }
    // In units near one, squares neither overflow nor vanish; powers of two cost no digit.
    let ((x, unit_x), (y, unit_y)) = (near_one(x), near_one(y));
    let n = x.len() as f64;
    let ((mean_x, x), (mean_y, y)) = (centred(&x), centred(&y));
    let squares: f64 = x.iter().map(|x| x * x).sum();
    let products: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    let value = products / squares;
    let scores: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x * (y - value * x)).collect();
    let spread = Spread::of_influence(&scores, clusters.iter().copied());
    if spread.clusters < 3 {
        return Err(Undefined::TooFewClusters);
    }
    let half = NORMAL_QUANTILE * spread.error * n * ((n - 1.0) / (n - 2.0)).sqrt() / squares;
    let intercept = libm::ldexp(mean_y - value * mean_x, unit_y);
    let [value, half] = [value, half].map(|number| libm::ldexp(number, unit_y - unit_x));
    if ![value, value - half, value + half, intercept].iter().all(|number| number.is_finite()) {
        return Err(Undefined::NotFinite);
    }
    let slope = Estimate { value, low: value - half, high: value + half, n: spread.n, clusters: spread.clusters };
    Ok(Line { intercept, slope })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_by_hand() {
        // Means 1.5 and 2, Σdx² = 5, Σdx·dy = 7.
        let (x, y) = ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 3.0, 4.0]);
        let line = slope(&x, &y, &[0, 1, 2, 3]).expect("four points");
        assert!((line.slope.value - 1.4).abs() < 1e-12 && (line.intercept + 0.1).abs() < 1e-12);
        // Residuals 0.1 −0.3 0.3 −0.1 times dx −1.5 −0.5 0.5 1.5: scores −0.15 0.15 0.15 −0.15, Σ² = 0.09,
        // correction 4/3 · 3/2 = 2, se = √0.18 / 5.
        let half = NORMAL_QUANTILE * 0.18_f64.sqrt() / 5.0;
        assert!((line.slope.high - 1.4 - half).abs() < 1e-12 && (1.4 - half - line.slope.low).abs() < 1e-12);
    }

    #[test]
    fn no_line_has_a_reason() {
        let clusters = [0, 1, 2];
        assert_eq!(slope(&[1.0; 3], &[1.0, 2.0, 3.0], &clusters), Err(Undefined::Constant));
        assert_eq!(slope(&[1.0, 2.0], &[1.0, 2.0], &[0, 1]), Err(Undefined::TooFewValues));
        assert_eq!(slope(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0], &[0, 1, 1]), Err(Undefined::TooFewClusters));
        assert_eq!(slope(&[1e-200, -1e-200, 0.0], &[1e200, 1.0, 3.0], &clusters), Err(Undefined::NotFinite));
    }
}
