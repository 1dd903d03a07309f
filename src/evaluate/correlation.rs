//! Correlations with intervals that hold when values of one prompt are alike.
//!
//! Every correlation is a smooth function of means over the values, so each value has an influence on it, and the
//! influences of a prompt's values are summed before they are squared ([`super::intervals`]).

use super::agreement::{average_ranks, constant, kendall, pearson, spearman, unit_deviations};
use super::intervals::{Estimate, Spread};
use super::statistic::{Statistic, Undefined, check_lists};

/// Which correlation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correlation {
    /// [`pearson`]: how close to a rising line.
    Pearson,
    /// [`spearman`]: how close to a rising curve, by the ranks.
    Spearman,
    /// [`kendall`]: how often two values are ordered alike rather than the other way round (τ-b).
    Kendall,
}

/// The correlation of two lists with a 95% interval on Fisher's scale, clustered by prompt.
///
/// Fewer than three clusters say nothing of the spread: the interval is then −1..1. At r = ±1 no value has any
/// influence; then the interval allows for what unseen prompts could do ([`super::clustered_mean`]).
pub fn correlation(kind: Correlation, x: &[f64], y: &[f64], clusters: &[usize]) -> Statistic {
    estimate(kind, x, y, clusters).into()
}

fn estimate(kind: Correlation, x: &[f64], y: &[f64], clusters: &[usize]) -> Result<Estimate, Undefined> {
    check_lists(x, y, clusters)?;
    if x.len() < 2 {
        return Err(Undefined::TooFewValues);
    }
    if constant(x) || constant(y) {
        return Err(Undefined::Constant);
    }
    let value = match kind {
        Correlation::Pearson => pearson(x, y),
        Correlation::Spearman => spearman(x, y),
        Correlation::Kendall => kendall(x, y),
    };
    let (Some(value), Some(influence)) = (value, influence(kind, x, y)) else { return Err(Undefined::Constant) };
    Ok(Spread::of_influence(&influence, clusters.iter().copied()).around_correlation(value))
}

/// What each value adds to the correlation, times n; the mean is 0. `None` of a constant list.
fn influence(kind: Correlation, x: &[f64], y: &[f64]) -> Option<Vec<f64>> {
    match kind {
        Correlation::Pearson => pearson_influence(x, y),
        Correlation::Spearman => Some(ratio_influence(&spearman_moments(&average_ranks(x), &average_ranks(y)))),
        Correlation::Kendall => Some(ratio_influence(&kendall_moments(&average_ranks(x), &average_ranks(y)))),
    }
}

/// With standardized values u and v: u·v − r (u² + v²)/2 (Devlin, Gnanadesikan and Kettenring, Biometrika 1975).
fn pearson_influence(x: &[f64], y: &[f64]) -> Option<Vec<f64>> {
    let (x, y) = (unit_deviations(x)?, unit_deviations(y)?);
    let r: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    // Unit deviations times √n are standardized values.
    let n = x.len() as f64;
    Some(x.iter().zip(&y).map(|(x, y)| n * (x * y - r * (x * x + y * y) / 2.0)).collect())
}

/// A, B and C of a correlation A/√(B·C), each with every value's influence on it.
struct Moments {
    product: (f64, Vec<f64>),
    squares: [(f64, Vec<f64>); 2],
}

/// The influence on A/√(B·C) by the delta method: IF_A/√(B·C) − r/2 · (IF_B/B + IF_C/C).
fn ratio_influence(moments: &Moments) -> Vec<f64> {
    let Moments { product: (a, of_a), squares: [(b, of_b), (c, of_c)] } = moments;
    let scale = b.sqrt() * c.sqrt();
    let r = a / scale;
    let rows = of_a.iter().zip(of_b).zip(of_c);
    rows.map(|((of_a, of_b), of_c)| of_a / scale - r / 2.0 * (of_b / b + of_c / c)).collect()
}

/// Covariance and variances of the ranks, as functions of the two distributions.
///
/// With u = F(x) − ½, F counting ties half, and v = G(y) − ½ the covariance is E\[u·v\]. A value weighs in itself, and
/// also by moving F under all values from it upwards, and G likewise: IF_i = u_i v_i + E_j\[h(x_j, x_i) v_j\] +
/// E_j\[u_j h(y_j, y_i)\] − 3 E\[u·v\], where h(a, b) is 1 for b < a, ½ for b = a.
fn spearman_moments(ranks_x: &[f64], ranks_y: &[f64]) -> Moments {
    let n = ranks_x.len() as f64;
    let middle = f64::midpoint(n, 1.0);
    let centred = |ranks: &[f64]| -> Vec<f64> { ranks.iter().map(|rank| (rank - middle) / n).collect() };
    let moment = |(left, left_ranks): (&[f64], &[f64]), (right, right_ranks): (&[f64], &[f64])| {
        let products: Vec<f64> = left.iter().zip(right).map(|(left, right)| left * right).collect();
        let mean = products.iter().sum::<f64>() / n;
        let (by_left, by_right) = (sums_from(left_ranks, right), sums_from(right_ranks, left));
        let rows = products.iter().zip(by_left).zip(by_right);
        let influence = rows.map(|((product, left), right)| product + (left + right) / n - 3.0 * mean).collect();
        (mean, influence)
    };
    let (of_x, of_y) = (centred(ranks_x), centred(ranks_y));
    let (x, y) = ((&of_x[..], ranks_x), (&of_y[..], ranks_y));
    Moments { product: moment(x, y), squares: [moment(x, x), moment(y, y)] }
}

/// For each value the sum of `amounts` over the values above it, and half of those equal to it.
fn sums_from(ranks: &[f64], amounts: &[f64]) -> Vec<f64> {
    let mut at = vec![0.0; 2 * ranks.len() + 2];
    for (rank, amount) in ranks.iter().zip(amounts) {
        at[key(*rank)] += amount;
    }
    let mut above = vec![0.0; at.len()];
    for key in (1..at.len()).rev() {
        above[key - 1] = above[key] + at[key];
    }
    ranks.iter().map(|rank| above[key(*rank)] + at[key(*rank)] / 2.0).collect()
}

/// An average rank as a whole number: equal for ties only, 2 to 2n.
fn key(rank: f64) -> usize {
    (2.0 * rank) as usize
}

/// Concordance less discordance, and the shares that are not tied, as means over all ordered pairs of values.
///
/// The mean of a symmetric kernel has the influence 2 (mean of the kernel with i − mean of the kernel).
fn kendall_moments(ranks_x: &[f64], ranks_y: &[f64]) -> Moments {
    let n = ranks_x.len() as f64;
    let moment = |sums: &[f64]| {
        let mean = sums.iter().sum::<f64>() / (n * n);
        (mean, sums.iter().map(|sum| 2.0 * (sum / n - mean)).collect())
    };
    Moments {
        product: moment(&concordances(ranks_x, ranks_y)),
        squares: [moment(&untied(ranks_x)), moment(&untied(ranks_y))],
    }
}

/// For each value, how many others differ from it.
fn untied(ranks: &[f64]) -> Vec<f64> {
    let mut counts = vec![0_usize; 2 * ranks.len() + 2];
    ranks.iter().for_each(|rank| counts[key(*rank)] += 1);
    ranks.iter().map(|rank| (ranks.len() - counts[key(*rank)]) as f64).collect()
}

/// For each row, how many others lie concordant with it less how many lie discordant.
///
/// By rising x a tree counts the y passed so far: y below less y above among smaller x speaks for concordance, among
/// larger x against it.
fn concordances(ranks_x: &[f64], ranks_y: &[f64]) -> Vec<f64> {
    let balances = |counts: &Counts, row: usize| counts.below_less_above(key(ranks_y[row]));
    let mut all = Counts::new(2 * ranks_y.len() + 2);
    ranks_y.iter().for_each(|rank| all.add(key(*rank)));
    let mut order: Vec<usize> = (0..ranks_x.len()).collect();
    order.sort_by_key(|row| key(ranks_x[*row]));
    let mut passed = Counts::new(2 * ranks_y.len() + 2);
    let mut sums = vec![0.0; ranks_x.len()];
    for run in order.chunk_by(|left, right| key(ranks_x[*left]) == key(ranks_x[*right])) {
        run.iter().for_each(|row| sums[*row] = balances(&passed, *row));
        run.iter().for_each(|row| passed.add(key(ranks_y[*row])));
        run.iter().for_each(|row| sums[*row] -= balances(&all, *row) - balances(&passed, *row));
    }
    sums
}

/// How many of each key, with sums over ranges of keys in O(log n) (Fenwick, Software: Practice and Experience 1994).
struct Counts {
    tree: Vec<i64>,
    total: i64,
}

impl Counts {
    fn new(keys: usize) -> Self {
        Self { tree: vec![0; keys + 1], total: 0 }
    }

    fn add(&mut self, key: usize) {
        let mut node = key + 1;
        while let Some(count) = self.tree.get_mut(node) {
            *count += 1;
            node += node & node.wrapping_neg();
        }
        self.total += 1;
    }

    /// How many keys up to `key` without it.
    fn below(&self, key: usize) -> i64 {
        let (mut node, mut sum) = (key, 0);
        while node > 0 {
            sum += self.tree[node];
            node -= node & node.wrapping_neg();
        }
        sum
    }

    fn below_less_above(&self, key: usize) -> f64 {
        (self.below(key) - (self.total - self.below(key + 1))) as f64
    }
}

#[cfg(test)]
mod tests;
