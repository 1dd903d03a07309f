//! The Plackett–Luce loss of rankings: each place is a choice among those not yet placed.
//!
//! For a ranking x₁ ≻ x₂ ≻ … ≻ x_N with weight c: L = c Σ_{j<N} [ log Σ_{k≥j} e^{w·x_k} − w·x_j ] (Luce 1959; Plackett
//! 1975; as a reward-model loss for rankings: Rafailov et al. 2023, arXiv 2305.18290, appendix A.3). For N = 2 it is
//! Bradley-Terry.

use std::collections::BTreeMap;

use super::Comparison;
use super::linear_algebra::{add_scaled, dot};

/// Answers in order, best first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranking {
    /// Standardised features, best first, each `(width)`.
    pub(super) items: Vec<Vec<f64>>,
    pub(super) weight: f64,
    pub(super) group: u64,
}

/// Which rows stand in which order, before their features are looked up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// Rows, best first, at least three.
    pub(super) rows: Vec<usize>,
    pub(super) weight: f64,
    pub(super) group: u64,
}

/// The rankings that the comparisons of each group amount to, and the comparisons that belong to none.
///
/// A group is a ranking when its comparisons are hard labels without margins, one for every two of its rows, and agree
/// on one order of three rows or more. Its weight is what its comparisons weigh, Σ c / (N/2), so that a ranking counts
/// like the weighted pairs it replaces: those of a ranked row weigh 1/(N − 1) each, which makes 1.
pub(super) fn rankings(comparisons: &[Comparison]) -> (Vec<Order>, Vec<Comparison>) {
    let mut groups: BTreeMap<u64, Vec<Comparison>> = BTreeMap::new();
    for comparison in comparisons {
        groups.entry(comparison.group).or_default().push(*comparison);
    }
    let (mut orders, mut rest) = (Vec::new(), Vec::new());
    for (group, comparisons) in groups {
        match order(&comparisons) {
            Some(rows) => {
                let total: f64 = comparisons.iter().map(|comparison| comparison.weight).sum();
                let weight = total / (rows.len() as f64 / 2.0);
                orders.push(Order { rows, weight, group });
            }
            None => rest.extend(comparisons),
        }
    }
    (orders, rest)
}

/// The one order that all comparisons agree on, best first.
fn order(comparisons: &[Comparison]) -> Option<Vec<usize>> {
    let hard = |comparison: &Comparison| comparison.preference == 1.0 && comparison.margin == 0.0;
    if !comparisons.iter().all(hard) {
        return None;
    }
    let mut wins: BTreeMap<usize, usize> = BTreeMap::new();
    for comparison in comparisons {
        *wins.entry(comparison.chosen).or_default() += 1;
        wins.entry(comparison.rejected).or_default();
    }
    let count = wins.len();
    if count < 3 || comparisons.len() != count * (count - 1) / 2 {
        return None;
    }
    // A tournament is an order exactly when the numbers of wins are N−1, N−2, … 0 and the one with more wins won.
    let mut rows: Vec<(usize, usize)> = wins.iter().map(|(&row, &wins)| (wins, row)).collect();
    rows.sort_unstable_by(|left, right| right.cmp(left));
    let places = rows.iter().enumerate().all(|(place, (wins, _))| *wins == count - 1 - place);
    let agrees = comparisons.iter().all(|comparison| wins[&comparison.chosen] > wins[&comparison.rejected]);
    (places && agrees).then(|| rows.into_iter().map(|(_, row)| row).collect())
}

impl Ranking {
    /// The probabilities of being chosen next, for the items from `place` on, and log Σ e^{w·x}.
    fn choice(scores: &[f64]) -> (Vec<f64>, f64) {
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| libm::exp(score - most)).collect();
        let total: f64 = powers.iter().sum();
        (powers.into_iter().map(|power| power / total).collect(), most + libm::log(total))
    }

    /// The weight of all its choices.
    pub(super) fn total_weight(&self) -> f64 {
        self.weight * (self.items.len() - 1) as f64
    }

    fn scores(&self, weights: &[f64]) -> Vec<f64> {
        self.items.iter().map(|item| dot(weights, item)).collect()
    }

    /// The loss; its gradient is added to `gradient`.
    pub(super) fn add_loss_and_gradient(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let scores = self.scores(weights);
        let mut loss = 0.0;
        for place in 0..self.items.len() - 1 {
            let (probabilities, total) = Self::choice(&scores[place..]);
            loss += self.weight * (total - scores[place]);
            for (item, probability) in self.items[place..].iter().zip(&probabilities) {
                add_scaled(gradient, self.weight * probability, item);
            }
            add_scaled(gradient, -self.weight, &self.items[place]);
        }
        loss
    }

    /// The loss alone.
    pub(super) fn loss(&self, weights: &[f64]) -> f64 {
        let scores = self.scores(weights);
        let places = 0..self.items.len() - 1;
        places.map(|place| self.weight * (Self::choice(&scores[place..]).1 - scores[place])).sum()
    }

    /// Rows v with Σ v vᵀ = the Hessian: at each place √(c p_k) (x_k − x̄).
    pub(super) fn hessian_rows(&self, weights: &[f64]) -> Vec<f64> {
        let scores = self.scores(weights);
        let mut rows = Vec::new();
        for place in 0..self.items.len() - 1 {
            let (probabilities, _) = Self::choice(&scores[place..]);
            let mut mean = vec![0f64; weights.len()];
            for (item, probability) in self.items[place..].iter().zip(&probabilities) {
                add_scaled(&mut mean, *probability, item);
            }
            for (item, probability) in self.items[place..].iter().zip(&probabilities) {
                let factor = (self.weight * probability).sqrt();
                rows.extend(item.iter().zip(&mean).map(|(value, mean)| factor * (value - mean)));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(chosen: usize, rejected: usize, group: u64) -> Comparison {
        Comparison { chosen, rejected, group, weight: 0.5, ..Comparison::hard(chosen, rejected) }
    }

    #[test]
    fn a_whole_order_becomes_a_ranking_and_anything_else_stays() {
        // 7 > 2 > 5; a cycle; an order with a hole; two answers.
        let ranked = [comparison(2, 5, 1), comparison(7, 5, 1), comparison(7, 2, 1)];
        let cycle = [comparison(1, 3, 2), comparison(3, 4, 2), comparison(4, 1, 2)];
        let hole = [comparison(8, 9, 3), comparison(9, 10, 3)];
        let two = [comparison(11, 12, 4)];
        let all = [&ranked[..], &cycle, &hole, &two].concat();
        let (orders, rest) = rankings(&all);
        // Three pairs of weight ½ over 3/2.
        assert_eq!(orders, [Order { rows: vec![7, 2, 5], weight: 1.0, group: 1 }]);
        assert_eq!(rest.len(), 6);
        let soft: Vec<Comparison> = ranked.iter().map(|pair| Comparison { preference: 0.75, ..*pair }).collect();
        assert!(rankings(&soft).0.is_empty());
        let twice = [&ranked[..], &ranked[..1]].concat();
        assert!(rankings(&twice).0.is_empty());
    }
}
