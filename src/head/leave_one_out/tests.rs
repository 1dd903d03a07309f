//! Approximate leave-one-out against exact refits.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use super::*;
use crate::head::tests::simulated;
use crate::head::{FitSettings, PairLoss, fit};

/// Exact refits without each group; the mean log-loss of held-out differences, exact and approximate.
fn losses(settings: &FitSettings, leave_out: LeaveOut, ties: bool) -> (f64, f64, f64) {
    let (features, mut pairs) = simulated(300, &[0.9, -0.6, 0.3, 0.0, 0.5, -0.2, 0.1, 0.4], 21);
    for (index, pair) in pairs.iter_mut().enumerate() {
        pair.weight = 0.5 + (index % 3) as f64 * 0.5;
        pair.preference = if ties && index % 5 == 0 { 0.5 } else { pair.preference };
    }
    let fitted = fit(&features, &pairs, settings).expect("convex");
    let approximate = leave_one_out(&features, &pairs, &fitted, leave_out).expect("finite");
    let fixed = FitSettings { l2: Some(fitted.l2), ..settings.clone() };
    let (mut exact, mut approximated, mut farthest) = (0.0, 0.0, 0f64);
    for (index, pair) in pairs.iter().enumerate() {
        let stays = |other: &usize| match leave_out {
            LeaveOut::Pair => *other != index,
            LeaveOut::Group => pairs[*other].group != pair.group,
        };
        let rest: Vec<Comparison> = (0..pairs.len()).filter(stays).map(|other| pairs[other]).collect();
        let refitted = fit(&features, &rest, &fixed).expect("convex");
        let score = |row: usize| refitted.head.score(features.row(row));
        let truth = score(pair.chosen) - score(pair.rejected);
        let loss = |z: f64| (1.0 + (-z).exp()).ln();
        exact += loss(truth) / pairs.len() as f64;
        approximated += loss(approximate[index].held_out) / pairs.len() as f64;
        farthest = farthest.max((truth - approximate[index].held_out).abs());
    }
    (exact, approximated, farthest)
}

#[test]
fn approximate_log_loss_is_within_one_percent_of_exact_refits() {
    for leave_out in [LeaveOut::Pair, LeaveOut::Group] {
        let (exact, approximate, farthest) = losses(&FitSettings::with_l2(0.5), leave_out, false);
        let off = (approximate / exact - 1.0).abs();
        println!("{leave_out:?}: exact {exact:.6}, approximate {approximate:.6}, {:.4}% off", 100.0 * off);
        assert!(off < 0.01, "{leave_out:?}: {exact} against {approximate}");
        assert!(farthest < 0.02, "{leave_out:?}: a difference is off by {farthest}");
    }
    let davidson = FitSettings { loss: PairLoss::Davidson, ..FitSettings::with_l2(0.5) };
    let (exact, approximate, _) = losses(&davidson, LeaveOut::Pair, true);
    assert!((approximate / exact - 1.0).abs() < 0.01, "{exact} against {approximate}");
}

#[test]
fn influence_is_what_a_refit_without_the_pair_changes() {
    let (features, pairs) = simulated(200, &[0.9, -0.6, 0.3], 4);
    let fitted = fit(&features, &pairs, &FitSettings::with_l2(1.0)).expect("convex");
    let direction = fitted.posterior.standardiser.difference(features.row(7), features.row(12));
    let found = Influence::new(&fitted, &[direction]).changes(&features, &pairs).expect("finite");
    for index in (0..200).step_by(17) {
        let rest: Vec<Comparison> = (0..200).filter(|&other| other != index).map(|other| pairs[other]).collect();
        let refitted = fit(&features, &rest, &FitSettings::with_l2(1.0)).expect("convex");
        let lead = |head: &crate::head::LinearHead| head.score(features.row(7)) - head.score(features.row(12));
        let truth = lead(&refitted.head) - lead(&fitted.head);
        assert!((found[index] - truth).abs() < 2e-3 + 0.1 * truth.abs(), "{index}: {} against {truth}", found[index]);
    }
}

#[test]
fn elimination_solves_a_system_that_needs_row_exchanges() {
    // [[0, 2, 1], [1, -1, 0], [3, 0, -2]] · [1, 2, 3] = [7, -1, -3].
    let (mut matrix, mut right) =
        (vec![0.0, 2.0, 1.0, 1.0, -1.0, 0.0, 3.0, 0.0, -2.0], vec![7.0, 14.0, -1.0, -2.0, -3.0, -6.0]);
    eliminate(&mut matrix, &mut right, 2);
    right.iter().zip([1.0, 2.0, 2.0, 4.0, 3.0, 6.0]).for_each(|(found, truth)| assert!((found - truth).abs() < 1e-12));
}

#[test]
fn the_error_without_a_group_is_nearly_that_of_a_refit_without_it() {
    let (features, pairs) = simulated(120, &[0.9, -0.6, 0.3], 14);
    let fitted = fit(&features, &pairs, &FitSettings::with_l2(1.0)).expect("convex");
    let seen = leave_one_out(&features, &pairs, &fitted, LeaveOut::Group).expect("finite");
    for index in (0..120).step_by(7) {
        let rest: Vec<Comparison> = pairs.iter().filter(|other| other.group != pairs[index].group).copied().collect();
        let refitted = fit(&features, &rest, &FitSettings::with_l2(1.0)).expect("convex");
        let (chosen, rejected) = (features.row(pairs[index].chosen), features.row(pairs[index].rejected));
        let truth = refitted.posterior.error_of_difference(chosen, rejected);
        let found = seen[index].held_out_error;
        assert!((found / truth - 1.0).abs() < 0.06, "{index}: {found} against {truth}");
    }
}
