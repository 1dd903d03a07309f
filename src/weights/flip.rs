//! By which weights one preference turns round: the weight of each objective alone, and the nearest of all weights.
//!
//! The preference between two answers is the sign of w·δ, δ the differences of their normalized scores.

use serde::Serialize;

use super::likelihood::dot;
use super::margin;

/// What would turn one preference round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flip {
    /// w·δ: above 0 the first answer is preferred.
    pub margin: f64,
    /// For each objective the weight at which w·δ = 0 while the others stay: beyond it the preference is the other way.
    /// `None` where the objective does not differ, or only a negative weight would do.
    pub flip_weights: Vec<Option<f64>>,
    /// The nearest weights on the simplex at which w·δ = 0; `None` when every objective prefers the same answer, and
    /// when the weights' sum is not positive.
    pub nearest: Option<Nearest>,
}

/// Weights at which neither answer is preferred.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    /// Not negative, sum 1.
    pub weights: Vec<f64>,
    /// Euclidean distance from the current weights, scaled to sum 1.
    pub distance: f64,
}

/// What would turn the preference between two answers round; `difference` and `weights` per objective, in one order.
pub fn flip(difference: &[f64], weights: &[f64]) -> Flip {
    let alone = |k: usize| {
        let others: f64 = (0..weights.len()).filter(|other| *other != k).map(|j| weights[j] * difference[j]).sum();
        let weight = -others / difference[k];
        // Adding 0 makes −0 a 0.
        (difference[k] != 0.0 && weight >= 0.0 && weight.is_finite()).then_some(weight + 0.0)
    };
    let total: f64 = weights.iter().sum();
    let scaled: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    Flip {
        margin: margin(weights, difference),
        flip_weights: (0..weights.len()).map(alone).collect(),
        nearest: if total > 0.0 { nearest(difference, &scaled) } else { None },
    }
}

/// The point of {v ≥ 0, Σ v = 1, v·δ = 0} nearest to `from`.
fn nearest(difference: &[f64], from: &[f64]) -> Option<Nearest> {
    let (low, high) =
        difference.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    if low > 0.0 || high < 0.0 {
        return None;
    }
    let weights = if low == 0.0 || high == 0.0 {
        // All weight must lie on the objectives that do not differ.
        let flat: Vec<bool> = difference.iter().map(|value| *value == 0.0).collect();
        project(from, &flat).0
    } else {
        let scale = high.max(-low);
        tied(&difference.iter().map(|value| value / scale).collect::<Vec<f64>>(), from)
    };
    let distance = from.iter().zip(&weights).map(|(from, to)| (from - to) * (from - to)).sum::<f64>().sqrt();
    Some(Nearest { weights, distance })
}

/// The nearest point when δ has both signs.
///
/// The conditions of Karush, Kuhn and Tucker give v = max(0, from − α − βδ). For a fixed β, α is the threshold of a
/// projection on the simplex, and v·δ falls with β, piecewise linearly: on the support of a β the root of its piece is
/// known exactly. The pieces are tried from root to root, within a bracket that halves where a root lies outside.
fn tied(difference: &[f64], from: &[f64]) -> Vec<f64> {
    let everywhere = vec![true; from.len()];
    let at = |beta: f64| {
        let moved: Vec<f64> = from.iter().zip(difference).map(|(from, difference)| from - beta * difference).collect();
        project(&moved, &everywhere)
    };
    let (mut low, mut high) = (-1.0, 1.0);
    while dot(&at(low).0, difference) < 0.0 {
        low *= 2.0;
    }
    while dot(&at(high).0, difference) > 0.0 {
        high *= 2.0;
    }
    let mut beta = 0.0;
    for _ in 0..200 {
        let (weights, support) = at(beta);
        let tilt = dot(&weights, difference);
        if tilt > 0.0 {
            low = beta;
        } else {
            high = beta;
        }
        let Some(root) = root_on(&support, difference, from).filter(|root| (low..=high).contains(root)) else {
            beta = f64::midpoint(low, high);
            continue;
        };
        let (weights, there) = at(root);
        if there == support {
            return weights;
        }
        beta = root;
    }
    at(beta).0
}

/// The β at which v·δ = 0 if exactly the objectives of `support` have weight; `None` when they all have the same δ.
fn root_on(support: &[bool], difference: &[f64], from: &[f64]) -> Option<f64> {
    let on = || (0..from.len()).filter(|k| support[*k]);
    let count = on().count() as f64;
    let mean = on().map(|k| difference[k]).sum::<f64>() / count;
    let spread: f64 = on().map(|k| (difference[k] - mean) * (difference[k] - mean)).sum();
    let tilt: f64 = on().map(|k| from[k] * (difference[k] - mean)).sum();
    // Σ v = 1 gives α, v·δ = 0 then β = (Σ from (δ − mean) + mean) / Σ (δ − mean)², as Σ v δ = Σ v (δ − mean) + mean.
    (spread > 0.0).then(|| (tilt + mean) / spread)
}

/// The nearest point on the simplex of the `allowed` entries, and which entries have weight in it (Held, Wolfe and
/// Crowder 1974: max(0, v − θ), θ from the sorted values).
fn project(point: &[f64], allowed: &[bool]) -> (Vec<f64>, Vec<bool>) {
    let mut sorted: Vec<f64> = point.iter().zip(allowed).filter(|(_, allowed)| **allowed).map(|(v, _)| *v).collect();
    sorted.sort_by(|left, right| right.total_cmp(left));
    let (mut sum, mut threshold) = (0.0, 0.0);
    for (count, value) in (1_u32..).zip(&sorted) {
        sum += value;
        let candidate = (sum - 1.0) / f64::from(count);
        if *value > candidate {
            threshold = candidate;
        }
    }
    let weight = |(value, allowed): (&f64, &bool)| if *allowed { (value - threshold).max(0.0) } else { 0.0 };
    let weights: Vec<f64> = point.iter().zip(allowed).map(weight).collect();
    let support = weights.iter().map(|weight| *weight > 0.0).collect();
    (weights, support)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The weight of objective `k` at which the sign of w·δ changes, by bisection between 0 and `most`.
    fn searched(difference: &[f64], weights: &[f64], k: usize, most: f64) -> Option<f64> {
        let positive = |weight: f64| {
            let mut weights = weights.to_vec();
            weights[k] = weight;
            margin(&weights, difference) > 0.0
        };
        let (mut low, mut high) = (0.0, most);
        if positive(low) == positive(high) {
            return None;
        }
        while high - low > 1e-10 * most {
            let middle = f64::midpoint(low, high);
            if positive(middle) == positive(low) { low = middle } else { high = middle }
        }
        Some(low)
    }

    fn distance(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn two_objectives_by_hand() {
        // Helpful wins by 2, unsafe by 3, at weights 1 and 1: margin −1. It turns at helpfulness 1.5 or safety 2/3, and on
        // the simplex at (3, 2)/5, which is √2/10 from (½, ½).
        let found = flip(&[2.0, -3.0], &[1.0, 1.0]);
        let close = |found: f64, truth: f64| assert!((found - truth).abs() < 1e-12, "{found} is not {truth}");
        close(found.margin, -1.0);
        close(found.flip_weights[0].expect("turns"), 1.5);
        close(found.flip_weights[1].expect("turns"), 2.0 / 3.0);
        let nearest = found.nearest.expect("signs differ");
        close(nearest.weights[0], 0.6);
        close(nearest.weights[1], 0.4);
        close(nearest.distance, 0.02_f64.sqrt());
    }

    #[test]
    fn what_cannot_turn_has_no_flip() {
        let agreed = flip(&[1.0, 2.0, 0.0], &[1.0, 1.0, 1.0]);
        assert_eq!(agreed.flip_weights, [None, None, None]);
        // All weight on the third objective leaves neither answer preferred, which is the edge of the simplex.
        assert_eq!(agreed.nearest.expect("the third does not differ").weights, [0.0, 0.0, 1.0]);
        assert_eq!(flip(&[1.0, 2.0], &[1.0, 1.0]).nearest, None);
        assert_eq!(flip(&[-1.0, -2.0], &[1.0, 1.0]).nearest, None);
        assert_eq!(flip(&[1.0, -2.0], &[1.0, -1.0]).nearest, None, "weights of sum 0 have no place on the simplex");
        let same = flip(&[0.0, 0.0], &[1.0, 3.0]);
        assert_eq!((same.margin, same.flip_weights), (0.0, vec![None, None]));
        assert_eq!(same.nearest.expect("tied everywhere"), Nearest { weights: vec![0.25, 0.75], distance: 0.0 });
    }

    #[test]
    fn three_objectives_against_a_grid_of_the_tied_line() {
        let mut checked = 0;
        for index in 0..300_u32 {
            let number = |salt: u32| f64::from((index * 7919 + salt * 104_729) % 1009) / 504.5 - 1.0;
            let difference = [number(1), number(2), number(3)];
            let weights = [number(4).abs(), number(5).abs(), number(6).abs()];
            let total: f64 = weights.iter().sum();
            let scaled = weights.map(|weight| weight / total);
            // On each edge of the triangle where δ changes sign, w·δ = 0 at one point; the tied weights lie between them.
            let mut ends: Vec<[f64; 3]> = Vec::new();
            for (one, other) in [(0, 1), (0, 2), (1, 2)] {
                if difference[one] * difference[other] < 0.0 {
                    let mut end = [0.0; 3];
                    end[one] = difference[other] / (difference[other] - difference[one]);
                    end[other] = 1.0 - end[one];
                    ends.push(end);
                }
            }
            let found = flip(&difference, &weights).nearest;
            let [from, to] = ends[..] else {
                assert!(found.is_none() && ends.is_empty());
                continue;
            };
            let along = |share: f64| [0, 1, 2].map(|k| from[k] + share * (to[k] - from[k]));
            let best = (0..=20_000).map(|step| distance(&along(f64::from(step) / 2e4), &scaled)).fold(9.0, f64::min);
            let found = found.expect("signs differ");
            assert!((found.distance - best).abs() < 1e-6, "{} is not {best}", found.distance);
            checked += 1;
        }
        assert!(checked > 150, "{checked}");
    }

    proptest! {
        #[test]
        fn single_flips_are_where_a_search_finds_them(
            rows in proptest::collection::vec((-2.0_f64..2.0, 0.0_f64..2.0), 1..6)
        ) {
            let (difference, weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let found = flip(&difference, &weights);
            for k in 0..weights.len() {
                let most = found.flip_weights[k].map_or(1e4, |weight| 2.0 * weight + 1.0);
                match (found.flip_weights[k], searched(&difference, &weights, k, most)) {
                    (Some(found), Some(searched)) => prop_assert!((found - searched).abs() < 1e-8 * most),
                    (None, None) => {}
                    // A flip at exactly 0 has nothing on its other side to search.
                    (found, searched) => prop_assert!(found == Some(0.0), "{found:?} is not {searched:?}"),
                }
            }
        }

        #[test]
        fn nearest_is_tied_on_the_simplex_and_no_mix_is_nearer(
            rows in proptest::collection::vec((-2.0_f64..2.0, 0.0_f64..2.0), 2..9), shares in proptest::collection::vec(0.0_f64..1.0, 64)
        ) {
            let (difference, weights): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
            let total: f64 = weights.iter().sum();
            prop_assume!(total > 1e-3);
            let scaled: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
            // Every tied point is a mix of points with weight on one objective of each sign.
            let tied = |one: usize, other: usize| {
                let mut point = vec![0.0; weights.len()];
                point[one] = difference[other] / (difference[other] - difference[one]);
                point[other] = 1.0 - point[one];
                point
            };
            let pairs = (0..weights.len()).flat_map(|one| (0..weights.len()).map(move |other| (one, other)));
            let corners: Vec<Vec<f64>> =
                pairs.filter(|(a, b)| difference[*a] > 0.0 && difference[*b] < 0.0).map(|(a, b)| tied(a, b)).collect();
            let Some(nearest) = flip(&difference, &weights).nearest else {
                prop_assert!(corners.is_empty());
                return Ok(());
            };
            prop_assert!(nearest.weights.iter().all(|weight| *weight >= 0.0));
            prop_assert!((nearest.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(margin(&nearest.weights, &difference).abs() < 1e-12);
            prop_assert!((distance(&nearest.weights, &scaled) - nearest.distance).abs() < 1e-12);
            // The set is convex: the nearest point is the one from which no corner lies on the side of `scaled`.
            for corner in &corners {
                let towards: f64 = (0..weights.len())
                    .map(|k| (corner[k] - nearest.weights[k]) * (scaled[k] - nearest.weights[k]))
                    .sum();
                prop_assert!(towards < 1e-11, "{towards}");
            }
            // And a mix of corners, for those who do not trust the argument.
            let sum: f64 = shares.iter().zip(&corners).map(|(share, _)| share).sum();
            let mix: Vec<f64> = (0..weights.len())
                .map(|k| shares.iter().zip(&corners).map(|(share, corner)| share / sum * corner[k]).sum())
                .collect();
            prop_assert!(sum == 0.0 || distance(&mix, &scaled) >= nearest.distance - 1e-12);
        }
    }
}
