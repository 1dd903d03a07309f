//! How scores are spread: histograms by split, and the plane of every two objectives.

use std::collections::BTreeSet;

use super::held_out::HeldOut;
use super::outcomes::items_of;
use super::{Material, ScoredHead};
use crate::data::{Pair, Split};
use crate::ensemble::ObjectiveScore;
use crate::evaluate::{histogram, mean, quantile, standard_deviation};
use crate::report::{AgreementSummary, Density, Distribution, ScoreSummary};

const BINS: usize = 30;
/// Rows and columns of a density.
const CELLS: usize = 26;
/// So many planes of two objectives are shown, those in most conflict first.
const MOST_DENSITIES: usize = 10;
const SPLITS: [Split; 3] = [Split::Train, Split::Calibration, Split::Test];

/// The range that is drawn: the inner 99%, so that one far value does not hide the rest; never without width.
pub(super) fn inner_range(values: &[f64]) -> (f64, f64) {
    let (low, high) = (quantile(values, 0.005).unwrap_or(-1.0), quantile(values, 0.995).unwrap_or(1.0));
    let half = (low.abs() * 0.1).max(0.5);
    if high - low > 1e-12 * low.abs().max(1e-3) { (low, high) } else { (low - half, high + half) }
}

/// A histogram over `range`; values beyond an end are counted in the bin there.
pub(super) fn distribution(values: &[f64], bins: usize, range: (f64, f64)) -> Distribution {
    let inside: Vec<f64> = values.iter().map(|value| value.clamp(range.0, range.1)).collect();
    Distribution {
        low: range.0,
        high: range.1,
        counts: histogram(&inside, bins, range),
        mean: mean(values),
        deviation: standard_deviation(values),
    }
}

/// Raw and normalized scores of one objective's responses, by split.
pub(super) fn by_split(pairs: &[Pair], head: &ScoredHead) -> Vec<ScoreSummary> {
    let items = SPLITS.map(|split| items_of(pairs, split));
    let values = |pick: fn(&ObjectiveScore) -> f64| {
        items.each_ref().map(|items| items.iter().map(|&item| pick(&head.scores[item])).collect::<Vec<f64>>())
    };
    summaries(&SPLITS, &values(|score| score.raw), &values(|score| score.normalized))
}

fn summaries(splits: &[Split], raw: &[Vec<f64>], normalized: &[Vec<f64>]) -> Vec<ScoreSummary> {
    let [raw_range, range] = [raw, normalized].map(|values| inner_range(&values.concat()));
    let one = |((split, raw), normalized): ((&Split, &Vec<f64>), &Vec<f64>)| ScoreSummary {
        split: split.word().to_owned(),
        raw: distribution(raw, BINS, raw_range),
        normalized: distribution(normalized, BINS, range),
    };
    splits.iter().zip(raw).zip(normalized).map(one).collect()
}

/// Combined scores by split, where there are several objectives. Training responses have no error bars, which a rule may
/// take off, so they are left out.
pub(super) fn combined(material: &Material) -> Vec<ScoreSummary> {
    if material.heads.len() < 2 {
        return Vec::new();
    }
    let splits = [Split::Calibration, Split::Test];
    let values = splits.map(|split| {
        let items: BTreeSet<usize> =
            material.dataset.objectives.iter().flat_map(|list| items_of(&list.pairs, split)).collect();
        items.into_iter().map(|item| material.combined(material.combiner, item)).collect::<Vec<f64>>()
    });
    summaries(&splits, &values, &values)
}

/// How many points lie in which cell.
pub(super) fn density(points: &[(f64, f64)], (across, upright): (&str, &str)) -> Density {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (x, y) = (inner_range(&x), inner_range(&y));
    let mut counts = vec![vec![0_u32; CELLS]; CELLS];
    let cell = |value: f64, (low, high): (f64, f64)| {
        (((value - low) / (high - low) * CELLS as f64).max(0.0) as usize).min(CELLS - 1)
    };
    for point in points {
        let count = &mut counts[cell(point.1, y)][cell(point.0, x)];
        *count = count.saturating_add(1);
    }
    Density { across: across.to_owned(), upright: upright.to_owned(), x, y, counts }
}

/// The planes of two objectives' normalized scores of the test responses.
pub(super) fn densities(material: &Material, held_out: &HeldOut, agreement: &AgreementSummary) -> Vec<Density> {
    let mut order: Vec<(usize, f64)> =
        agreement.objectives.iter().map(|two| two.conflict_rate.value().unwrap_or(0.0)).enumerate().collect();
    order.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    let place = |name: &str| material.dataset.objectives.iter().position(|list| list.name == name);
    let plane = |index: usize| {
        let two = &agreement.objectives[index];
        let (left, right) = (&material.heads[place(&two.left)?], &material.heads[place(&two.right)?]);
        let point = |&item: &usize| (left.scores[item].normalized, right.scores[item].normalized);
        let points: Vec<(f64, f64)> = held_out.responses.iter().map(point).collect();
        Some(density(&points, (&two.left, &two.right)))
    };
    order.into_iter().take(MOST_DENSITIES).filter_map(|(index, _)| plane(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_even_beyond_the_drawn_range() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let range = inner_range(&values);
        assert!(range.0 > 0.0 && range.1 < 999.0);
        assert_eq!(distribution(&values, 30, range).counts.iter().sum::<usize>(), 1000);
        let points: Vec<(f64, f64)> = values.iter().map(|value| (*value, -value)).collect();
        let density = density(&points, ("x", "y"));
        assert_eq!(density.counts.iter().flatten().sum::<u32>(), 1000);
        assert!(density.counts[0][CELLS - 1] > 0 && density.counts[0][0] == 0, "a falling diagonal");
    }

    #[test]
    fn equal_values_and_none_still_have_a_range() {
        for values in [vec![], vec![0.0; 5], vec![1e9; 3]] {
            let (low, high) = inner_range(&values);
            assert!(low < high && low.is_finite() && high.is_finite());
        }
    }
}
