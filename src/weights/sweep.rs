//! All weights in steps: how good each vector of weights is for every objective, and which are no worse than any other.

use rayon::prelude::*;
use serde::Serialize;

use super::pareto::{dominates, front};
use super::{Comparison, accuracy, margin};
use crate::error::{Error, Fault, Result};

/// More points than this are not walked: the steps are made larger.
const MOST_POINTS: u64 = 20_000;
/// Coarser steps than a quarter show little more than the corners.
const FEWEST_STEPS: usize = 4;

/// What a sweep needs to know; all lists are in the order of the objectives.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepInput {
    /// The weights in use.
    pub current: Vec<f64>,
    /// For each objective the comparisons labelled for it; may be empty.
    pub objectives: Vec<Vec<Comparison>>,
    /// Comparisons labelled all things considered; may be empty.
    pub holistic: Vec<Comparison>,
    /// The differences of every distinct pair of answers, on which preferences may turn round.
    pub differences: Vec<Vec<f64>>,
}

/// What a sweep found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// Weights go in steps of 1 / `steps`.
    pub steps: usize,
    /// Every vector of weights, in lexicographic order.
    pub points: Vec<SweepPoint>,
    /// The weights in use, as they are, seen in the same way.
    pub current: SweepPoint,
}

/// One vector of weights and what it would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepPoint {
    /// Per objective; of the points of the sweep not negative and with sum 1.
    pub weights: Vec<f64>,
    /// Share of each objective's comparisons ordered as labelled, ties ½; `None` without comparisons.
    pub accuracies: Vec<Option<f64>>,
    /// The same of the holistic comparisons.
    pub holistic: Option<f64>,
    /// Share of pairs of answers whose preference is the other one than with the weights in use; a tie on one side is ½.
    pub flip_share: f64,
    /// Whether no point of the sweep is at least as good in all accuracies and better in one.
    pub pareto: bool,
}

impl SweepPoint {
    fn new(weights: Vec<f64>, input: &SweepInput, current: &[f64]) -> Self {
        let flipped = |(difference, current): (&Vec<f64>, &f64)| turned(*current, margin(&weights, difference));
        let flips: f64 = input.differences.iter().zip(current).map(flipped).sum();
        Self {
            accuracies: input.objectives.iter().map(|comparisons| accuracy(comparisons, &weights)).collect(),
            holistic: accuracy(&input.holistic, &weights),
            flip_share: if current.is_empty() { 0.0 } else { flips / current.len() as f64 },
            pareto: false,
            weights,
        }
    }

    /// The accuracies that exist: of the objectives in their order, then the holistic one.
    pub fn criteria(&self) -> Vec<f64> {
        self.accuracies.iter().copied().chain([self.holistic]).flatten().collect()
    }
}

/// 1 if two margins prefer different answers, ½ if just one prefers none.
fn turned(one: f64, other: f64) -> f64 {
    let sign = |margin: f64| f64::from(i8::from(margin > 0.0) - i8::from(margin < 0.0));
    0.5 * (sign(one) - sign(other)).abs()
}

/// Walks the simplex of weights in steps of 1 / `steps`, or in larger ones where that would be over 20,000 points.
///
/// # Errors
/// [`Error::Usage`] when there are so many objectives that even quarters are too many points.
pub fn sweep(input: &SweepInput, steps: usize) -> Result<Sweep> {
    let width = input.current.len();
    let steps = affordable(width, steps)?;
    let current: Vec<f64> = input.differences.iter().map(|difference| margin(&input.current, difference)).collect();
    let mut points: Vec<SweepPoint> = compositions(steps, width)
        .into_par_iter()
        .map(|parts| parts.iter().map(|part| *part as f64 / steps as f64).collect())
        .map(|weights| SweepPoint::new(weights, input, &current))
        .collect();
    let criteria: Vec<Vec<f64>> = points.iter().map(SweepPoint::criteria).collect();
    for index in front(&criteria) {
        points[index].pareto = true;
    }
    let mut current = SweepPoint::new(input.current.clone(), input, &current);
    let own = current.criteria();
    current.pareto = !criteria.iter().any(|other| dominates(other, &own));
    Ok(Sweep { steps, points, current })
}

/// The most steps, at most `steps`, that give few enough points.
fn affordable(width: usize, steps: usize) -> Result<usize> {
    let fewest = FEWEST_STEPS.min(steps);
    if let Some(steps) = (fewest..=steps).rev().find(|steps| count(*steps, width) <= MOST_POINTS) {
        return Ok(steps);
    }
    Err(Error::Usage(vec![
        Fault::new("--step", format!("{width} objectives have over {MOST_POINTS} weights in steps of 1/{fewest}"))
            .accepts("fewer objectives")
            .help(
                "`ensemble weights fit` learns the weights of up to 64 objectives from holistic pairs without a sweep",
            ),
    ]))
}

/// How many ways there are to write `steps` as a sum of `width` parts, C(steps + width − 1, width − 1); stops above
/// [`MOST_POINTS`].
fn count(steps: usize, width: usize) -> u64 {
    let (steps, mut count) = (steps as u64, 1_u64);
    for part in 1..width as u64 {
        // C(steps + part, part) from C(steps + part − 1, part − 1); every one of these is a whole number and they rise.
        count = count.saturating_mul(steps + part) / part;
        if count > MOST_POINTS {
            break;
        }
    }
    count
}

/// Every way to write `steps` as a sum of `width` parts, in lexicographic order.
fn compositions(steps: usize, width: usize) -> Vec<Vec<usize>> {
    let mut open: Vec<Vec<usize>> = vec![Vec::new()];
    for part in 1..=width {
        let extend = |start: Vec<usize>| {
            let left = steps - start.iter().sum::<usize>();
            let first = if part == width { left } else { 0 };
            (first..=left).map(move |next| start.iter().copied().chain([next]).collect())
        };
        open = open.into_iter().flat_map(extend).collect();
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(difference: &[f64], preference: f64) -> Comparison {
        Comparison { difference: difference.into(), preference, prompt: 0 }
    }

    #[test]
    fn compositions_are_all_there_once_in_order() {
        for (steps, width) in [(1, 1), (4, 1), (3, 2), (5, 3), (4, 4), (2, 7)] {
            let found = compositions(steps, width);
            // Brute force: every number of `width` digits in base steps + 1 whose digits have that sum.
            let base = steps + 1;
            let digits = |mut number: usize| {
                let mut parts: Vec<usize> = (0..width).map(|_| (number % base, number /= base).0).collect();
                parts.reverse();
                parts
            };
            let all: Vec<Vec<usize>> =
                (0..base.pow(width as u32)).map(digits).filter(|parts| parts.iter().sum::<usize>() == steps).collect();
            assert_eq!(found, all);
            assert_eq!(count(steps, width), all.len() as u64);
        }
    }

    #[test]
    fn steps_grow_until_the_points_can_be_walked() {
        assert_eq!(affordable(3, 10).expect("66 points"), 10);
        assert_eq!(count(10, 8), 19_448);
        assert_eq!(affordable(8, 10).expect("just below the limit"), 10);
        let steps = affordable(9, 20).expect("coarser steps");
        assert!(steps < 20 && count(steps, 9) <= MOST_POINTS && count(steps + 1, 9) > MOST_POINTS);
        assert_eq!(affordable(64, 2).expect("halves were asked for"), 2);
        let error = affordable(64, 10).expect_err("quarters are 700,000 points");
        assert!(error.to_string().contains("weights fit"), "{error}");
    }

    #[test]
    fn two_objectives_by_hand() {
        // The first objective's pair is right for weights (1, 0) and (½, ½), the second's only for (0, 1).
        let one = comparison(&[2.0, -1.0], 1.0);
        let other = comparison(&[-3.0, 1.0], 1.0);
        let tie = comparison(&[1.0, 1.0], 0.5);
        let input = SweepInput {
            current: vec![2.0, 2.0],
            differences: vec![one.difference.clone(), other.difference.clone(), vec![1.0, -1.0]],
            objectives: vec![vec![one.clone()], vec![other]],
            holistic: vec![one, tie],
        };
        let found = sweep(&input, 2).expect("three points");
        let rows: Vec<(Vec<f64>, Vec<f64>, f64, bool)> = found
            .points
            .iter()
            .map(|point| (point.weights.clone(), point.criteria(), point.flip_share, point.pareto))
            .collect();
        // Margins of the three pairs at (½, ½) are ½, −1 and 0; at (0, 1) they are −1, 1, −1: two turn, one is no tie.
        assert_eq!(
            rows,
            [
                (vec![0.0, 1.0], vec![0.0, 1.0, 0.25], 2.5 / 3.0, true),
                (vec![0.5, 0.5], vec![1.0, 0.0, 0.75], 0.0, true),
                (vec![1.0, 0.0], vec![1.0, 0.0, 0.75], 0.5 / 3.0, true),
            ]
        );
        assert_eq!((found.current.flip_share, found.current.pareto), (0.0, true));
    }
}
