//! Every loss against finite differences, brute force and its own symmetries.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use proptest::prelude::*;

use super::*;
use crate::config::ControlMode;
use crate::features::{Features, SparseMatrix};
use crate::head::newton::minimise;
use crate::head::{Control, centring, control, plackett_luce};
use crate::random::Random;

const WIDTH: usize = 3;

fn features(rows: usize, seed: u64) -> Features {
    let mut random = Random::new(seed);
    let mut features = Features::new(WIDTH);
    for _ in 0..rows {
        let row: Vec<f32> = (0..WIDTH).map(|_| random.normal() as f32).collect();
        features.push(&row);
    }
    features
}

/// Pairs with soft labels, ties, margins and weights.
fn comparisons(count: usize, rows: usize, seed: u64) -> Vec<Comparison> {
    let mut random = Random::new(seed);
    let pair = |index: usize| {
        let chosen = (random.uniform() * rows as f64) as usize;
        let rejected = (chosen + 1 + (random.uniform() * (rows - 1) as f64) as usize) % rows;
        Comparison {
            preference: [1.0, 0.5, 0.8, 1.0][index % 4],
            group: index as u64 / 2,
            margin: (index % 3) as f64 * 0.4,
            weight: 0.25 + (index % 5) as f64 * 0.5,
            ..Comparison::hard(chosen, rejected)
        }
    };
    (0..count).map(pair).collect()
}

fn ranking(features: &Features, standardiser: &Standardiser, rows: &[usize], weight: f64) -> Ranking {
    let items = rows.iter().map(|&row| standardiser.position(features.row(row))).collect();
    Ranking { items, weight, group: 7 }
}

/// One problem with everything in it.
fn full<'a>(features: &'a Features, standardiser: &'a Standardiser, likelihood: Likelihood) -> Problem<'a> {
    let pairs = comparisons(14, 12, 5);
    let mut problem = Problem::new(features, &pairs, standardiser, likelihood, usize::MAX).expect("finite");
    problem.rankings = vec![
        ranking(features, standardiser, &[3, 1, 8], 1.5),
        ranking(features, standardiser, &[9, 2, 5, 0, 11], 0.75),
    ];
    centring::add(&mut problem.quadratic, features, standardiser, &pairs, 0.3).expect("finite");
    let values = (0..12).map(f64::from).collect();
    let sides = pairs.iter().map(|pair| (pair.chosen, pair.rejected)).collect();
    let penalty = Control { values, mode: ControlMode::Penalty { strength: 2.0 }, pairs: vec![sides] };
    control::add_penalties(&mut problem.quadratic, features, standardiser, &[penalty], 3.0).expect("finite");
    problem.set_l2(0.7);
    problem
}

#[test]
fn gradient_and_hessian_of_every_loss_agree_with_finite_differences() {
    let features = features(12, 1);
    let standardiser = Standardiser::new(&features, &comparisons(14, 12, 5)).expect("varies");
    for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
        let problem = full(&features, &standardiser, likelihood);
        let point: Vec<f64> = [0.4, -0.7, 1.1, -0.3][..problem.dimension()].to_vec();
        let (_, gradient) = problem.loss_and_gradient(&point).expect("finite");
        let hessian = problem.hessian(&point).expect("finite");
        let step = 1e-5;
        for index in 0..problem.dimension() {
            let at = |by: f64| {
                let mut moved = point.clone();
                moved[index] += by;
                problem.loss_and_gradient(&moved).expect("finite")
            };
            let ((above, above_slopes), (below, below_slopes)) = (at(step), at(-step));
            let numeric = (above - below) / (2.0 * step);
            assert!((gradient[index] - numeric).abs() < 1e-6, "{likelihood:?} {index}: {} {numeric}", gradient[index]);
            for (row, (above, below)) in above_slopes.iter().zip(&below_slopes).enumerate() {
                let numeric = (above - below) / (2.0 * step);
                let found = hessian[row * problem.dimension() + index];
                assert!((found - numeric).abs() < 1e-6, "{likelihood:?} ({row}, {index}): {found} against {numeric}");
            }
        }
    }
}

/// The loss written down once more, with nothing shared: Σ over pairs and rankings, penalties left out.
fn loss_by_definition(problem: &Problem<'_>, point: &[f64], features: &[Vec<f64>], pairs: &[Comparison]) -> f64 {
    let score = |row: usize| -> f64 { (0..WIDTH).map(|column| point[column] * features[row][column]).sum() };
    let pair = |pair: &Comparison| {
        let z = score(pair.chosen) - score(pair.rejected) - pair.margin;
        let p = pair.preference;
        let loss = if problem.dimension() > WIDTH {
            let (win, loss, tie) = ((z / 2.0).exp(), (-z / 2.0).exp(), point[WIDTH].exp());
            let total = win + loss + tie;
            if p == 0.5 { -(tie / total).ln() } else { -p * (win / total).ln() - (1.0 - p) * (loss / total).ln() }
        } else {
            p * (1.0 + (-z).exp()).ln() + (1.0 - p) * (1.0 + z.exp()).ln()
        };
        pair.weight * loss
    };
    pairs.iter().map(pair).sum()
}

/// A minimum by trying steps along every axis, halving them when none helps: no derivative is used.
fn pattern_search(loss: &dyn Fn(&[f64]) -> f64, dimension: usize) -> Vec<f64> {
    let (mut point, mut step) = (vec![0f64; dimension], 1.0);
    let mut lowest = loss(&point);
    while step > 1e-9 {
        let mut better = false;
        for index in 0..dimension {
            for direction in [step, -step] {
                let mut moved = point.clone();
                moved[index] += direction;
                let value = loss(&moved);
                if value < lowest {
                    (point, lowest, better) = (moved, value, true);
                }
            }
        }
        if !better {
            step *= 0.5;
        }
    }
    point
}

#[test]
fn davidson_is_the_maximum_that_brute_force_finds() {
    let features = features(10, 3);
    let pairs = comparisons(40, 10, 11);
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    let mut problem = Problem::new(&features, &pairs, &standardiser, Likelihood::Davidson, usize::MAX).expect("finite");
    problem.set_l2(0.5);
    let found = minimise(&problem).expect("convex").parameters;
    let rows: Vec<Vec<f64>> = (0..10).map(|row| standardiser.position(features.row(row))).collect();
    let loss = |point: &[f64]| {
        let penalty: f64 = point[..WIDTH].iter().map(|weight| 0.25 * weight * weight).sum();
        loss_by_definition(&problem, point, &rows, &pairs) + penalty
    };
    let brute = pattern_search(&loss, WIDTH + 1);
    println!("Davidson {found:?}, brute force {brute:?}");
    found.iter().zip(&brute).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{found:?} against {brute:?}"));
}

/// P(order) = Π over places of e^{score} / Σ of those not yet placed.
fn plackett_luce_probability(scores: &[f64]) -> f64 {
    let place = |place: usize| scores[place].exp() / scores[place..].iter().map(|score| score.exp()).sum::<f64>();
    (0..scores.len()).map(place).product()
}

#[test]
fn plackett_luce_is_the_maximum_that_brute_force_finds() {
    let features = features(9, 4);
    let orders: [&[usize]; 4] = [&[0, 3, 5, 2], &[1, 4, 6], &[7, 8, 0], &[5, 1, 8, 3, 6]];
    let pairs: Vec<Comparison> = (0..9).map(|row| Comparison::hard(row, (row + 1) % 9)).collect();
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    let mut problem = Problem::new(&features, &[], &standardiser, Likelihood::BradleyTerry, usize::MAX).expect("empty");
    problem.rankings = orders.iter().map(|rows| ranking(&features, &standardiser, rows, 2.0)).collect();
    problem.set_l2(0.2);
    let found = minimise(&problem).expect("convex").parameters;
    let rows: Vec<Vec<f64>> = (0..9).map(|row| standardiser.position(features.row(row))).collect();
    let loss = |point: &[f64]| {
        let score = |row: &usize| -> f64 { (0..WIDTH).map(|column| point[column] * rows[*row][column]).sum() };
        let order =
            |order: &&[usize]| -2.0 * plackett_luce_probability(&order.iter().map(score).collect::<Vec<f64>>()).ln();
        orders.iter().map(order).sum::<f64>() + point.iter().map(|weight| 0.1 * weight * weight).sum::<f64>()
    };
    let brute = pattern_search(&loss, WIDTH);
    println!("Plackett-Luce {found:?}, brute force {brute:?}");
    found.iter().zip(&brute).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{found:?} against {brute:?}"));
}

#[test]
fn the_probabilities_of_all_orders_of_a_ranking_add_up_to_one() {
    let scores = [0.3, -1.2, 0.9, 0.1];
    let mut total = 0.0;
    for code in 0..256usize {
        let order = [code & 3, (code >> 2) & 3, (code >> 4) & 3, code >> 6];
        if order.iter().collect::<std::collections::BTreeSet<_>>().len() == 4 {
            let features = Features::new(WIDTH);
            let items: Vec<Vec<f64>> = order.iter().map(|&item| vec![scores[item]]).collect();
            let ranking = Ranking { items, weight: 1.0, group: 0 };
            assert_eq!(features.rows(), 0);
            total += (-ranking.loss(&[1.0])).exp();
        }
    }
    assert!((total - 1.0).abs() < 1e-12, "{total}");
}

#[test]
fn a_ranking_of_two_is_a_pair() {
    let features = features(6, 8);
    let pairs: Vec<Comparison> = (0..5).map(|row| Comparison::hard(row, row + 1)).collect();
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    let make = |pairs: &[Comparison]| {
        Problem::new(&features, pairs, &standardiser, Likelihood::BradleyTerry, usize::MAX).expect("finite")
    };
    let (as_pairs, mut as_rankings) = (make(&pairs), make(&[]));
    let of = |pair: &Comparison| ranking(&features, &standardiser, &[pair.chosen, pair.rejected], 1.0);
    as_rankings.rankings = pairs.iter().map(of).collect();
    let point = [0.5, -0.25, 1.5];
    let (left, right) = (as_pairs.loss_and_gradient(&point), as_rankings.loss_and_gradient(&point));
    let ((left, left_slopes), (right, right_slopes)) = (left.expect("finite"), right.expect("finite"));
    assert!((left - right).abs() < 1e-12);
    left_slopes.iter().zip(&right_slopes).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
    assert!(plackett_luce::rankings(&pairs).0.is_empty());
}

#[test]
fn differences_made_anew_give_the_same_bits_as_kept_ones() {
    let features = features(300, 2);
    let pairs = comparisons(2_000, 300, 9);
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
        let make = |memory| {
            let mut problem = Problem::new(&features, &pairs, &standardiser, likelihood, memory).expect("finite");
            problem.set_l2(1.0);
            problem
        };
        let (kept, made) = (make(usize::MAX), make(0));
        assert!(kept.is_kept() && !made.is_kept());
        let (left, right) = (minimise(&kept).expect("convex"), minimise(&made).expect("convex"));
        assert_eq!(left.parameters, right.parameters);
        let folds = [kept, made].map(|problem| {
            let trial = |fold| Trial { fold, l2: 1.0, parameters: left.parameters.clone() };
            let found = Folds::new(&problem, 3).evaluate((0..3).map(trial).collect()).expect("finite");
            found.into_iter().map(|one| (one.point.loss, one.point.gradient, one.held_out)).collect::<Vec<_>>()
        });
        assert_eq!(folds[0], folds[1]);
    }
}

#[test]
fn a_fit_without_a_fold_is_a_fit_of_the_problem_without_it() {
    let features = features(12, 1);
    let pairs = comparisons(14, 12, 5);
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
        let whole = full(&features, &standardiser, likelihood);
        let parameters: Vec<f64> = [0.4, -0.7, 1.1, -0.3][..whole.dimension()].to_vec();
        let folds = Folds::new(&whole, 3);
        let trial = |fold| Trial { fold, l2: 0.2, parameters: parameters.clone() };
        // The folds' fits side by side, and each alone.
        let found = folds.evaluate((0..3).map(trial).collect()).expect("finite");
        for (fold, found) in (0..3).zip(found) {
            let part = |inside: bool, quadratic: f64, l2: f64| {
                let kept: Vec<Comparison> =
                    pairs.iter().filter(|pair| (pair.group % 3 == fold) == inside).copied().collect();
                let mut part = Problem::new(&features, &kept, &standardiser, likelihood, usize::MAX).expect("finite");
                part.rankings =
                    whole.rankings.iter().filter(|one| (one.group % 3 == fold) == inside).cloned().collect();
                part.quadratic = whole.quadratic.iter().map(|value| quadratic * value).collect();
                part.set_l2(l2);
                part
            };
            let (weight, all) = (part(false, 0.0, 0.0).total_weight(), whole.total_weight());
            assert!((folds.training_weight(fold) - weight).abs() < 1e-12);
            let (loss, gradient) = part(false, weight / all, 0.2).loss_and_gradient(&parameters).expect("finite");
            assert!((found.point.loss - loss).abs() < 1e-12 * loss, "{} against {loss}", found.point.loss);
            found.point.gradient.iter().zip(&gradient).for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{a} {b}"));
            let mut left_out = part(true, 0.0, 0.0);
            left_out.labels.iter_mut().for_each(|label| label.margin = 0.0);
            let loss = left_out.loss_and_gradient(&parameters).expect("finite").0;
            assert!((found.held_out - loss).abs() < 1e-12 * loss, "{} against {loss}", found.held_out);
            let alone = &folds.evaluate(vec![trial(fold)]).expect("finite")[0];
            assert!((alone.point.loss - found.point.loss).abs() < 1e-12 * found.point.loss);
            let slopes = alone.point.gradient.iter().zip(&found.point.gradient);
            slopes.for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{a} {b}"));
        }
    }
}

#[test]
fn differences_without_their_zeros_are_the_same_problem() {
    let mut random = Random::new(11);
    let (mut dense, mut sparse) = (Features::new(WIDTH), SparseMatrix::new(WIDTH));
    for index in 0..40 {
        // The middle column is constant, and some rows are equal or zero everywhere.
        let mut value = || if random.uniform() < 0.6 { 0.0 } else { (1.0 + random.uniform()) as f32 };
        let row = if index % 7 == 3 { [0.0, 2.0, 0.0] } else { [value(), 2.0, value()] };
        dense.push(&row);
        sparse.push((0..).zip(row).filter(|(_, value)| *value != 0.0));
    }
    let pairs = comparisons(1_100, 40, 3);
    let standardiser = Standardiser::new(&dense, &pairs).expect("varies");
    assert_eq!(standardiser, Standardiser::new(&sparse, &pairs).expect("varies"));
    let close = |left: &[f64], right: &[f64]| {
        assert_eq!(left.len(), right.len());
        left.iter().zip(right).for_each(|(a, b)| assert!((a - b).abs() < 1e-9 * (1.0 + b.abs()), "{a} {b}"));
    };
    for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
        let of = |features| Problem::new(features, &pairs, &standardiser, likelihood, usize::MAX).expect("finite");
        let (dense, sparse) = (of(&dense as &dyn FeatureRows), of(&sparse));
        assert!(matches!(sparse.differences, Differences::Sparse(_)) && sparse.is_kept());
        let point = [0.4, -0.7, 1.1, -0.3][..dense.dimension()].to_vec();
        let both = [&dense, &sparse];
        let [left, right] = both.map(|problem| problem.loss_and_gradient(&point).expect("finite"));
        close(&[left.0], &[right.0]);
        close(&left.1, &right.1);
        let [left, right] = both.map(|problem| problem.curvature(&point).expect("finite"));
        close(&left, &right);
        let [left, right] = both.map(|problem| problem.diagonal_curvature().expect("finite"));
        close(&left, &right);
        let [left, right] = both.map(|problem| problem.predictions(&point).expect("finite"));
        close(&left, &right);
        let vectors = [0.5, 1.0, -2.0, 0.0, 0.25, 1.5];
        let [left, right] = both.map(|problem| problem.curvature_times(&point, &vectors).expect("finite"));
        close(&left, &right);
        let trial = |fold| Trial { fold, l2: 0.2, parameters: point.iter().map(|w| w * (fold + 1) as f64).collect() };
        let [left, right] =
            both.map(|problem| Folds::new(problem, 3).evaluate((0..3).map(trial).collect()).expect("finite"));
        for (left, right) in left.iter().zip(&right) {
            close(&[left.point.loss, left.held_out], &[right.point.loss, right.held_out]);
            close(&left.point.gradient, &right.point.gradient);
        }
    }
}

#[test]
fn a_problem_that_is_never_made_into_a_matrix_is_the_same_matrix() {
    let features = features(12, 1);
    let standardiser = Standardiser::new(&features, &comparisons(14, 12, 5)).expect("varies");
    for likelihood in [Likelihood::BradleyTerry, Likelihood::Davidson] {
        let problem = full(&features, &standardiser, likelihood);
        let dimension = problem.dimension();
        let point: Vec<f64> = [0.4, -0.7, 1.1, -0.3][..dimension].to_vec();
        let curvature = problem.curvature(&point).expect("finite");
        let units = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let product = problem.curvature_times(&point, &units).expect("finite");
        for row in 0..WIDTH {
            for column in 0..WIDTH {
                let (found, expected) = (product[column * WIDTH + row], curvature[row * dimension + column]);
                assert!((found - expected).abs() < 1e-10, "{likelihood:?} ({row}, {column}): {found} {expected}");
            }
        }
        let start = problem.start();
        let (diagonal, whole) = (problem.diagonal_curvature().expect("finite"), problem.curvature(&start));
        let whole = whole.expect("finite");
        for (index, value) in diagonal.iter().enumerate() {
            assert!((value - whole[index * dimension + index]).abs() < 1e-10);
        }
    }
}

proptest! {
    #[test]
    fn a_weight_of_k_counts_like_k_copies(copies in 1usize..5, seed in 0u64..50) {
        let features = features(8, seed);
        let mut pairs = comparisons(10, 8, seed + 1);
        let standardiser = Standardiser::new(&features, &pairs).expect("varies");
        pairs.iter_mut().for_each(|pair| pair.weight = 1.0);
        let repeated: Vec<Comparison> = pairs.iter().flat_map(|pair| vec![*pair; copies]).collect();
        pairs.iter_mut().for_each(|pair| pair.weight = copies as f64);
        let point = [0.2, 0.9, -0.4];
        let loss = |pairs: &[Comparison]| {
            let problem = Problem::new(&features, pairs, &standardiser, Likelihood::BradleyTerry, usize::MAX);
            problem.expect("finite").loss_and_gradient(&point).expect("finite")
        };
        let ((weighted, slopes), (copied, copied_slopes)) = (loss(&pairs), loss(&repeated));
        prop_assert!((weighted - copied).abs() < 1e-9);
        slopes.iter().zip(&copied_slopes).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
    }
}
