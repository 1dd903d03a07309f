//! Whole fits: symmetry, solvers, separation, penalties chosen, odd columns.

use proptest::prelude::*;

use super::*;
use crate::config::ControlMode;
use crate::features::{FeatureFile, Features, Row, Store};
use crate::files::Digest;
use crate::head::newton::minimise;
use crate::logistic::{log_sigmoid, sigmoid};
use crate::random::Random;

/// Rows of normal features, and pairs of neighbours labelled by a known direction with logistic noise.
pub(super) fn simulated(pairs: usize, truth: &[f64], seed: u64) -> (Features, Vec<Comparison>) {
    let mut random = Random::new(seed);
    let mut features = Features::new(truth.len());
    for _ in 0..2 * pairs {
        let row: Vec<f32> = truth.iter().map(|_| random.normal() as f32).collect();
        features.push(&row);
    }
    let mut comparisons = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        let (left, right) = (2 * pair, 2 * pair + 1);
        let score = |row: usize| -> f64 {
            truth.iter().zip(features.row(row)).map(|(weight, value)| weight * f64::from(*value)).sum()
        };
        let wins = random.uniform() < sigmoid(score(left) - score(right));
        let (chosen, rejected) = if wins { (left, right) } else { (right, left) };
        comparisons.push(Comparison { group: pair as u64 / 2, ..Comparison::hard(chosen, rejected) });
    }
    (features, comparisons)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| (value + 0.0).to_bits()).collect()
}

#[test]
fn swapping_all_labels_negates_the_weights_bit_for_bit() {
    let (features, mut pairs) = simulated(600, &[0.8, -0.4, 0.0, 1.3, 0.2], 1);
    for (index, pair) in pairs.iter_mut().enumerate() {
        pair.preference = [1.0, 1.0, 0.75, 0.5][index % 4];
        pair.margin = if pair.preference > 0.5 { (index % 3) as f64 * 0.2 } else { 0.0 };
        pair.weight = 0.5 + (index % 4) as f64;
    }
    let swapped: Vec<Comparison> =
        pairs.iter().rev().map(|pair| Comparison { chosen: pair.rejected, rejected: pair.chosen, ..*pair }).collect();
    let sides: Vec<(usize, usize)> = pairs.iter().map(|pair| (pair.chosen, pair.rejected)).collect();
    let values = (0..features.rows()).map(|row| (row % 7) as f64).collect();
    let control = Control { values, mode: ControlMode::Constraint, pairs: vec![sides] };
    for loss in [PairLoss::BradleyTerry, PairLoss::Davidson, PairLoss::PlackettLuce] {
        for solver in [Solver::Automatic, Solver::Newton, Solver::Lbfgs] {
            let settings = FitSettings {
                loss,
                solver,
                label_smoothing: 0.1,
                center_rewards_coefficient: 0.01,
                controls: vec![control.clone()],
                ..FitSettings::choosing(vec![0.1, 1.0, 10.0], 4)
            };
            let (plain, negated) = (fit(&features, &pairs, &settings), fit(&features, &swapped, &settings));
            let (plain, negated) = (plain.expect("convex"), negated.expect("convex"));
            let turned: Vec<f64> = negated.head.weights.iter().map(|weight| -weight).collect();
            assert_eq!(bits(&plain.head.weights), bits(&turned), "{loss:?} {solver:?}");
            assert_eq!((plain.head.bias + 0.0).to_bits(), (0.0 - negated.head.bias).to_bits());
            assert_eq!(plain.l2, negated.l2);
        }
    }
}

#[test]
fn all_solvers_reach_the_same_optimum() {
    let (features, pairs) = simulated(900, &[0.8, -0.4, 0.0, 1.3, 0.2, -0.9], 2);
    let settings = |solver, memory| FitSettings { solver, memory, ..FitSettings::with_l2(2.0) };
    let newton = fit(&features, &pairs, &settings(Solver::Newton, usize::MAX)).expect("convex");
    for memory in [usize::MAX, 0] {
        let lbfgs = fit(&features, &pairs, &settings(Solver::Lbfgs, memory)).expect("convex");
        for (left, right) in newton.head.weights.iter().zip(&lbfgs.head.weights) {
            assert!((left - right).abs() < 1e-8, "{left} against {right}");
        }
    }
}

#[test]
fn a_fit_on_disk_has_the_bits_of_the_fit_in_memory() {
    let (features, mut pairs) = simulated(1500, &[0.8, -0.4, 0.0, 1.3, 0.2], 8);
    for (index, pair) in pairs.iter_mut().enumerate() {
        // Rows that lie far apart, so that a block's rows are no single piece of the file.
        pair.rejected = if index % 3 == 0 { (7 * index + 1) % 3000 } else { pair.rejected };
        pair.preference = [1.0, 0.8, 1.0, 0.5][index % 4];
    }
    let cache = tempfile::tempdir().expect("a temporary folder");
    let store = Store::new(cache.path(), Digest::of(b"backbone"), features.width());
    let key = |row: usize| Digest::of(&row.to_le_bytes());
    let row = |index: usize| Row {
        key: key(index),
        tokens: 1,
        cut_prompt: 0,
        cut_response: 0,
        vector: features.row(index).to_vec(),
    };
    for shard in (0..features.rows()).rev().collect::<Vec<usize>>().chunks(700) {
        store.append(&shard.iter().map(|&index| row(index)).collect::<Vec<Row>>()).expect("stored");
    }
    let file = FeatureFile::lay_out(&store, &(0..features.rows()).map(key).collect::<Vec<Digest>>()).expect("whole");
    for loss in [PairLoss::BradleyTerry, PairLoss::Davidson] {
        for solver in [Solver::Newton, Solver::Lbfgs] {
            let fitted = |rows: &dyn FeatureRows, memory: usize| {
                let settings = FitSettings { loss, solver, memory, ..FitSettings::choosing(vec![0.1, 10.0], 3) };
                fit(rows, &pairs, &settings).expect("convex")
            };
            let expected = fitted(&features, usize::MAX);
            for memory in [usize::MAX, 0] {
                // All of it: weights, bias, penalty and its path, posterior.
                assert_eq!(fitted(&file, memory), expected, "{loss:?} {solver:?} {memory}");
            }
        }
    }
}

#[test]
fn one_feature_has_the_closed_form_of_its_equation() {
    // n pairs of difference d, all right: n d σ(−w d) = λ w, solved by bisection. A standardised d is 2 here.
    let mut features = Features::new(1);
    (0..20).for_each(|row| features.push(&[if row % 2 == 0 { 1.0 } else { -1.0 }]));
    let pairs: Vec<Comparison> = (0..10).map(|pair| Comparison::hard(2 * pair, 2 * pair + 1)).collect();
    for power in -8..=2 {
        let l2 = 10f64.powi(power);
        let fitted = fit(&features, &pairs, &FitSettings::with_l2(l2)).expect("convex");
        let equation = |w: f64| 10.0 * 2.0 * sigmoid(-2.0 * w) - l2 * w;
        let (mut low, mut high) = (0.0, 100.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if equation(middle) > 0.0 { low = middle } else { high = middle }
        }
        let found = fitted.standardised_weights[0];
        assert!((found - low).abs() < 1e-9 * low.max(1.0), "l2 {l2}: {found} against {low}");
    }
}

#[test]
fn separable_labels_without_a_penalty_are_explained() {
    let mut features = Features::new(2);
    let mut random = Random::new(5);
    (0..40).for_each(|row| features.push(&[f32::from(u8::from(row % 2 == 0)), random.normal() as f32]));
    let pairs: Vec<Comparison> = (0..20).map(|pair| Comparison::hard(2 * pair, 2 * pair + 1)).collect();
    let error = fit(&features, &pairs, &FitSettings::with_l2(0.0)).expect_err("no optimum");
    assert!(error.to_string().contains("grow without end"), "{error}");
    assert_eq!(error.exit_code(), 3);
    let (features, pairs) = simulated(300, &[1.0, -0.5], 6);
    let fitted = fit(&features, &pairs, &FitSettings::with_l2(0.0)).expect("not separable");
    assert!(fitted.gradient_norm < 1e-8);
}

#[test]
fn labels_that_decide_nothing_are_refused() {
    let (features, mut pairs) = simulated(30, &[1.0, -0.5], 6);
    let davidson = FitSettings { loss: PairLoss::Davidson, ..FitSettings::with_l2(1.0) };
    assert!(fit(&features, &pairs, &davidson).expect_err("no tie").to_string().contains("none of the 30"));
    pairs.iter_mut().for_each(|pair| pair.preference = 0.5);
    let error = fit(&features, &pairs, &FitSettings::with_l2(1.0)).expect_err("all ties");
    assert!(error.to_string().contains("no preference information"), "{error}");
    assert!(fit(&features, &[], &FitSettings::with_l2(1.0)).is_err());
}

#[test]
fn what_is_not_the_optimum_is_an_error() {
    let (features, pairs) = simulated(40, &[1.0, -0.5], 20);
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    let problem = Problem::new(&features, &pairs, &standardiser, Likelihood::BradleyTerry, usize::MAX).expect("finite");
    let told = |gradient: f64| {
        newton::accepted(problem.total_weight(), gradient, 10.0, 1e-6).map_err(|error| error.to_string())
    };
    assert_eq!(told(9e-6), Ok(()));
    for gradient in [2e-5, 10.0, f64::INFINITY, f64::NAN] {
        let text = told(gradient).expect_err("far from the optimum");
        assert!(text.contains("the optimum was not reached") && text.contains("l2"), "{text}");
    }
}

#[test]
fn ties_and_opposites_that_balance_give_weights_of_exactly_zero() {
    let (features, pairs) = simulated(200, &[0.8, -0.4, 1.3], 21);
    let opposite = |pair: &Comparison| Comparison { chosen: pair.rejected, rejected: pair.chosen, ..*pair };
    let tie = |pair: &Comparison| Comparison { preference: 0.5, ..*pair };
    let both: Vec<Comparison> = pairs.iter().flat_map(|pair| [*pair, opposite(pair), tie(pair)]).collect();
    let apart = [pairs.clone(), pairs.iter().map(tie).collect(), pairs.iter().map(opposite).collect()].concat();
    for comparisons in [both, apart] {
        for solver in [Solver::Newton, Solver::Lbfgs] {
            let settings = FitSettings { solver, ..FitSettings::with_l2(1.0) };
            let fitted = fit(&features, &comparisons, &settings).expect("convex");
            assert!(fitted.head.weights.iter().all(|weight| *weight == 0.0), "{:?}", fitted.head.weights);
            assert_eq!(fitted.head.bias, 0.0);
        }
    }
    // One decided pair among any number of ties gives the direction: of its difference, but for the scales.
    let mut mostly: Vec<Comparison> = pairs.iter().map(tie).collect();
    mostly.push(Comparison::hard(1, 0));
    let fitted = fit(&features, &mostly, &FitSettings::with_l2(1.0)).expect("convex");
    assert!(fitted.head.score(features.row(1)) > fitted.head.score(features.row(0)));
}

#[test]
fn a_shift_of_all_features_changes_no_score() {
    // Multiples of 1/1024 and a shift by whole numbers, so that f32 holds the shifted features exactly.
    let (rough, pairs) = simulated(300, &[0.8, -0.4, 1.3, 0.1], 22);
    let (mut features, mut shifted) = (Features::new(4), Features::new(4));
    for row in 0..rough.rows() {
        let plain: Vec<f32> = rough.row(row).iter().map(|value| (value * 1024.0).round() / 1024.0).collect();
        features.push(&plain);
        shifted
            .push(&plain.iter().zip([500.0, -3.0, 64.0, -1000.0]).map(|(value, by)| value + by).collect::<Vec<f32>>());
    }
    for loss in [PairLoss::BradleyTerry, PairLoss::PlackettLuce] {
        let settings = FitSettings { loss, ..FitSettings::choosing(vec![0.1, 1.0, 10.0], 4) };
        let (here, there) = (fit(&features, &pairs, &settings), fit(&shifted, &pairs, &settings));
        let (here, there) = (here.expect("convex").head, there.expect("convex").head);
        let scores: Vec<f64> = (0..features.rows()).map(|row| here.score(features.row(row))).collect();
        for (row, score) in scores.iter().enumerate() {
            let other = there.score(shifted.row(row));
            assert!((score - other).abs() < 1e-9 * (1.0 + score.abs()), "{loss:?} row {row}: {score} against {other}");
        }
        // Every row stands in one pair, so all of them are the training items whose mean score is zero by rule.
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        assert!(mean.abs() < 1e-12, "{mean}");
    }
}

#[test]
fn features_that_are_not_finite_are_named() {
    let (mut features, pairs) = simulated(30, &[1.0, -0.5], 6);
    features.push(&[f32::NAN, 0.0]);
    let bad = [pairs.clone(), vec![Comparison::hard(60, 0)]].concat();
    let error = fit(&features, &bad, &FitSettings::with_l2(1.0)).expect_err("NaN");
    assert!(error.to_string().contains("column 0 of item 60"), "{error}");
}

#[test]
fn more_columns_than_pairs_and_a_single_pair_stay_finite() {
    let truth = vec![0.3; 50];
    let (features, pairs) = simulated(10, &truth, 4);
    for count in [10, 1] {
        let fitted = fit(&features, &pairs[..count], &FitSettings::with_l2(1.0)).expect("penalised");
        assert!(fitted.head.weights.iter().all(|weight| weight.is_finite()));
        assert!(fitted.posterior.error_of_difference(features.row(0), features.row(1)).is_finite());
    }
}

#[test]
fn a_head_is_the_same_without_its_posterior_and_whichever_way_it_is_reached() {
    let (features, pairs) = simulated(300, &[1.0, 0.0, -0.3, 2.0, 0.1], 12);
    for l2 in [1e-3, 1.0, 100.0] {
        let settings = FitSettings::with_l2(l2);
        let newton = FitSettings { solver: Solver::Newton, ..settings.clone() };
        let truth = fit(&features, &pairs, &newton).expect("convex").head;
        let found = fit(&features, &pairs, &settings).expect("convex");
        assert!(found.gradient_norm < 1e-10, "{}", found.gradient_norm);
        let quick = fit_head(&features, &pairs, &settings).expect("convex");
        for row in 0..features.rows() {
            let score = |head: &LinearHead| head.score(features.row(row));
            assert!((score(&found.head) - score(&truth)).abs() < 1e-12);
            assert!((score(&quick) - score(&truth)).abs() < 1e-7);
        }
    }
}

#[test]
fn the_path_of_penalties_agrees_with_exact_fits_of_every_fold() {
    let (features, mut pairs) = simulated(160, &[1.0, 0.0, -0.3, 0.0], 7);
    for (index, pair) in pairs.iter_mut().enumerate() {
        (pair.margin, pair.weight) = ((index % 4) as f64 * 0.3, 0.25 + (index % 5) as f64);
    }
    let pairs = ordered(&pairs);
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    let grid = [0.01, 1.0, 100.0];
    let problem_of = |pairs: &[Comparison]| {
        Problem::new(&features, pairs, &standardiser, Likelihood::BradleyTerry, usize::MAX).expect("finite")
    };
    let problem = problem_of(&pairs);
    let Choice { l2: best, path, .. } = choose_l2(&problem, &grid, 4).expect("finite");
    let mut exact = [0f64; 3];
    for fold in 0..4u64 {
        let (inside, outside): (Vec<Comparison>, Vec<Comparison>) =
            pairs.iter().partition(|pair| pair.group % 4 == fold);
        for (loss, l2) in exact.iter_mut().zip(grid) {
            let mut train = problem_of(&outside);
            train.set_l2(l2);
            let weights = minimise(&train).expect("convex").parameters;
            let predictions = problem_of(&inside).predictions(&weights).expect("finite");
            let held_out = inside.iter().zip(predictions).map(|(pair, z)| -pair.weight * log_sigmoid(z));
            *loss += held_out.sum::<f64>() / problem.total_weight();
        }
    }
    for ((_, found), exact) in path.iter().zip(&exact) {
        assert!((found - exact).abs() < 1e-4, "{found} against {exact}");
    }
    let lowest = (0..3).min_by(|&a, &b| exact[a].total_cmp(&exact[b])).expect("three");
    assert_eq!(best, grid[lowest]);
}

#[test]
fn penalties_are_chosen_among_some_and_with_all_pairs_in_one_fold() {
    let (features, mut pairs) = simulated(60, &[1.0, -0.5], 3);
    let none = fit(&features, &pairs, &FitSettings::choosing(Vec::new(), 4)).expect_err("nothing to choose from");
    assert!(none.to_string().contains("no candidate"), "{none}");
    // Three of the four fits see every pair and are judged by none, the fourth sees none: half a chance for every pair.
    pairs.iter_mut().for_each(|pair| pair.group = 2);
    let fitted = fit(&features, &pairs, &FitSettings::choosing(vec![0.1, 10.0], 4)).expect("convex");
    fitted.l2_path.iter().for_each(|(_, loss)| assert!((loss - 2f64.ln()).abs() < 1e-12, "{loss}"));
    assert_eq!(fitted.l2, 10.0);
}

#[test]
fn a_diagonal_is_as_good_a_preconditioner_as_a_factor() {
    let (features, pairs) = simulated(400, &[0.8, -0.4, 0.0, 1.3, 0.2, -0.9], 2);
    let pairs = ordered(&pairs);
    let standardiser = Standardiser::new(&features, &pairs).expect("varies");
    let mut problem =
        Problem::new(&features, &pairs, &standardiser, Likelihood::BradleyTerry, usize::MAX).expect("finite");
    problem.set_l2(0.3);
    let exact = minimise(&problem).expect("convex").parameters;
    let diagonal = problem.diagonal_curvature().expect("finite").into_iter().map(|value| value + 0.3).collect();
    let found = lbfgs::minimise(&problem, &Preconditioner::Diagonal(diagonal), 1e-10).expect("convex");
    for (left, right) in exact.iter().zip(&found.parameters) {
        assert!((left - right).abs() < 1e-8, "{left} against {right}");
    }
}

#[test]
fn smoothing_and_davidson_say_what_their_formulas_say() {
    let (features, pairs) = simulated(200, &[1.0, -0.5], 9);
    let smoothed = FitSettings { label_smoothing: 0.2, ..FitSettings::with_l2(1.0) };
    let soft: Vec<Comparison> = pairs.iter().map(|pair| Comparison { preference: 0.8, ..*pair }).collect();
    let (left, right) = (fit(&features, &pairs, &smoothed), fit(&features, &soft, &FitSettings::with_l2(1.0)));
    assert_eq!(left.expect("convex").head, right.expect("convex").head);
    // Of equals a tie has probability ν / (2 + ν); a third of ties means ν = 1.
    let mut features = Features::new(1);
    (0..60).for_each(|row| features.push(&[(row % 2) as f32]));
    let tie = |index: usize| {
        // Each direction as often: the weight is zero, and only the ties decide θ.
        let (chosen, rejected) = if index % 3 == 1 { (2 * index, 2 * index + 1) } else { (2 * index + 1, 2 * index) };
        Comparison { preference: if index.is_multiple_of(3) { 0.5 } else { 1.0 }, ..Comparison::hard(chosen, rejected) }
    };
    let pairs: Vec<Comparison> = (0..30).map(tie).collect();
    let davidson = FitSettings { loss: PairLoss::Davidson, ..FitSettings::with_l2(1.0) };
    let fitted = fit(&features, &pairs, &davidson).expect("convex");
    assert!(fitted.tie_parameter.expect("fitted").abs() < 1e-9, "{:?}", fitted.tie_parameter);
    assert!(fitted.head.weights[0].abs() < 1e-9);
}

#[test]
fn centring_brings_the_sums_of_scores_to_zero() {
    let (features, pairs) = simulated(300, &[1.0, -0.5, 0.4], 10);
    let spread = |coefficient: f64| {
        let settings = FitSettings { center_rewards_coefficient: coefficient, ..FitSettings::with_l2(1.0) };
        let head = fit(&features, &pairs, &settings).expect("convex").head;
        let sum = |pair: &Comparison| head.score(features.row(pair.chosen)) + head.score(features.row(pair.rejected));
        let sums: Vec<f64> = pairs.iter().map(sum).collect();
        let mean = sums.iter().sum::<f64>() / sums.len() as f64;
        (mean, sums.iter().map(|sum| sum * sum).sum::<f64>())
    };
    let (free, some, much) = (spread(0.0).1, spread(0.01).1, spread(10.0).1);
    assert!(some < free && much < 0.1 * free, "{free} {some} {much}");
    assert!(spread(0.01).0.abs() < 1e-9, "the bias that the penalty likes best makes the mean sum zero");
}

#[test]
fn a_constrained_head_does_not_follow_its_probe() {
    let (features, pairs) = simulated(500, &[1.0, -0.5, 0.4], 12);
    // The probe is the first column, which the labels follow most.
    let values: Vec<f64> = (0..features.rows()).map(|row| f64::from(features.row(row)[0])).collect();
    let sides: Vec<(usize, usize)> = pairs.iter().map(|pair| (pair.chosen, pair.rejected)).collect();
    let correlation = |modes: &[ControlMode]| {
        let control = |&mode: &ControlMode| Control { values: values.clone(), mode, pairs: vec![sides.clone()] };
        let settings = FitSettings { controls: modes.iter().map(control).collect(), ..FitSettings::with_l2(1.0) };
        let fitted = fit(&features, &pairs, &settings).expect("convex");
        let difference = |value: &dyn Fn(usize) -> f64| {
            sides.iter().map(|&(left, right)| value(left) - value(right)).collect::<Vec<f64>>()
        };
        let scores = difference(&|row| fitted.head.score(features.row(row)));
        let ranks = signed_ranks(&difference(&|row| values[row]));
        let covariance = dot(&scores, &ranks) / (scores.len() as f64);
        (covariance, pair_rank_correlation(&scores, &ranks).expect("varies"))
    };
    let (_, free) = correlation(&[]);
    let (covariance, constrained) = correlation(&[ControlMode::Constraint]);
    assert!(free > 0.5, "{free}");
    assert!(covariance.abs() < 0.02 && constrained.abs() <= 0.005, "{covariance} {constrained}");
    let (_, costly) = correlation(&[ControlMode::Penalty { strength: 1.0 }]);
    let (_, dearer) = correlation(&[ControlMode::Penalty { strength: 1e6 }]);
    assert!(dearer.abs() < costly.abs() && costly < free, "{free} {costly} {dearer}");
    assert!((dearer - constrained).abs() < 0.03, "an endless penalty is nearly a constraint: {dearer} {constrained}");
}

proptest! {
    #[test]
    fn odd_columns_change_nothing(kind in 0usize..4, seed in 0u64..20) {
        let (features, pairs) = simulated(60, &[1.0, -0.5], seed);
        let mut wider = Features::new(3);
        for row in 0..features.rows() {
            let odd = [0.0, 42.5, -3e30, 1.0 + (row % 2) as f32 * 1e-8][kind];
            wider.push(&[features.row(row)[0], odd, features.row(row)[1]]);
        }
        let (narrow, wide) = (fit(&features, &pairs, &FitSettings::with_l2(1.0)), fit(&wider, &pairs, &FitSettings::with_l2(1.0)));
        let (narrow, wide) = (narrow.expect("convex"), wide.expect("convex"));
        prop_assert_eq!(wide.posterior.standardiser.constant_columns(), vec![1]);
        prop_assert_eq!(wide.head.weights[1], 0.0);
        prop_assert!((wide.head.weights[0] - narrow.head.weights[0]).abs() < 1e-9);
        prop_assert!((wide.head.weights[2] - narrow.head.weights[1]).abs() < 1e-9);
    }

    #[test]
    fn scale_and_copies_of_columns_do_not_change_scores(power in -30i32..31, seed in 0u64..20) {
        let (features, pairs) = simulated(60, &[1.0, -0.5], seed);
        let (mut scaled, mut copied) = (Features::new(2), Features::new(3));
        for row in 0..features.rows() {
            let [a, b] = [features.row(row)[0], features.row(row)[1]];
            scaled.push(&[a * 10f32.powi(power), b]);
            copied.push(&[a, b, b]);
        }
        let fitted = |features: &Features| fit(features, &pairs, &FitSettings::with_l2(1.0)).expect("convex");
        let (plain, scaled_fit, copied_fit) = (fitted(&features), fitted(&scaled), fitted(&copied));
        for row in 0..features.rows() {
            let (a, b) = (plain.head.score(features.row(row)), scaled_fit.head.score(scaled.row(row)));
            prop_assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{a} against {b}");
        }
        // A column that stands twice shares its weight; no direction is lost, and nothing blows up.
        prop_assert!((copied_fit.head.weights[1] - copied_fit.head.weights[2]).abs() < 1e-9);
    }
}
