//! Several answers to one prompt beside each other: who would win, and is the difference more than noise?

use serde_json::{Map, Value, json};

use crate::combine::{Combiner, Term};
use crate::ensemble::{Difference, Score};
use crate::logistic::sigmoid;

/// More answers than this are not compared pair by pair.
pub(super) const MOST_ANSWERS: usize = 64;

/// A difference of fewer standard errors than this is noise: the 97.5% quantile of the normal distribution.
const NOISE: f64 = 1.959_963_984_540_054;

/// How far a normalized score is moved to see how the combined score follows it.
const STEP: f64 = 1e-4;

/// All answers beside each other. Matrices are `(answers, answers)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// Per objective, the probability that labelers prefer the answer of the row to that of the column.
    pub(super) win: Vec<Vec<Vec<f64>>>,
    /// Whether no two answers differ by more than noise; `None` where the heads' errors are not known.
    pub(super) ties_within_noise: Option<bool>,
    /// Indices of the answers, best combined score first; equal scores in the order of the request.
    pub(super) ranking: Vec<usize>,
    /// Whether the first of the ranking beats the second by more than noise.
    pub(super) best_is_clear: Option<bool>,
}

impl Group {
    /// Compares the answers with these scores; `difference` says by how much one answer scores higher than another.
    pub(super) fn of(
        scores: &[Score],
        combiner: &Combiner,
        difference: &dyn Fn(usize, usize) -> Vec<Difference>,
    ) -> Self {
        let (count, objectives) = (scores.len(), combiner.names().len());
        let mut win = vec![vec![vec![0.5; count]; count]; objectives];
        let mut beyond = vec![vec![Some(false); count]; count];
        for left in 0..count {
            for right in left + 1..count {
                let differences = difference(left, right);
                for (matrix, difference) in win.iter_mut().zip(&differences) {
                    let chance = win_probability(*difference);
                    matrix[left][right] = chance;
                    matrix[right][left] = 1.0 - chance;
                }
                let beyond_noise = combined_beyond_noise(&scores[left], &scores[right], combiner, &differences);
                beyond[left][right] = beyond_noise;
                beyond[right][left] = beyond_noise;
            }
        }
        let mut ranking: Vec<usize> = (0..count).collect();
        ranking.sort_by(|left, right| scores[*right].combined.total_cmp(&scores[*left].combined));
        let best_is_clear = match ranking.as_slice() {
            [first, second, ..] => beyond[*first][*second],
            _ => Some(true),
        };
        let known: Option<Vec<bool>> = beyond.into_iter().flatten().collect();
        Self { win, ties_within_noise: known.map(|beyond| !beyond.contains(&true)), ranking, best_is_clear }
    }

    /// As `/v1/score` answers it.
    pub(super) fn to_json(&self, names: &[String]) -> Value {
        let win: Map<String, Value> = names.iter().cloned().zip(self.win.iter().map(|matrix| json!(matrix))).collect();
        let mut object = json!({ "ranking": self.ranking, "win_probability": win });
        for (name, flag) in [("ties_within_noise", self.ties_within_noise), ("best_is_clear", self.best_is_clear)] {
            if let Some(flag) = flag {
                object[name] = json!(flag);
            }
        }
        object
    }
}

/// The probability that labelers prefer the first answer, with the head's own doubt in it: σ(Δ / √(1 + π s²/8)) for a
/// difference Δ with standard error s (MacKay 1992, "The evidence framework applied to classification networks").
fn win_probability(Difference { raw, error }: Difference) -> f64 {
    let doubt = error.unwrap_or(0.0);
    sigmoid(raw / (1.0 + std::f64::consts::PI * doubt * doubt / 8.0).sqrt())
}

/// Whether two combined scores differ by more than noise: |Δ| above 1.96 of its standard errors, to first order in the
/// objectives' errors, which count as independent. `None` where an objective's error is not known.
///
/// An objective's error on its normalized scale is that of the difference of raw scores times the normalizer's slope
/// between the two answers.
fn combined_beyond_noise(left: &Score, right: &Score, combiner: &Combiner, differences: &[Difference]) -> Option<bool> {
    let middle: Vec<Term> = left
        .objectives
        .iter()
        .zip(&right.objectives)
        .map(|(left, right)| Term {
            score: 0.5 * (left.normalized + right.normalized),
            error: 0.5 * (left.error.unwrap_or(0.0) + right.error.unwrap_or(0.0)),
        })
        .collect();
    let mut variance = 0.0;
    for (index, difference) in differences.iter().enumerate() {
        let (one, other) = (&left.objectives[index], &right.objectives[index]);
        let slope = slope(one.raw, one.normalized, other.raw, other.normalized, one.raw_error.zip(one.error));
        let moved = |by: f64| {
            let mut terms = middle.clone();
            terms[index].score += by;
            combiner.combine(&terms)
        };
        let gradient = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        variance += (gradient * slope * difference.error?).powi(2);
    }
    Some((left.combined - right.combined).abs() > NOISE * variance.sqrt())
}

/// How much the normalized score moves with the raw one: between two answers, or, where they score alike, as the errors
/// of one of them say.
fn slope(raw: f64, normalized: f64, other_raw: f64, other_normalized: f64, errors: Option<(f64, f64)>) -> f64 {
    if raw != other_raw {
        return (normalized - other_normalized) / (raw - other_raw);
    }
    errors.filter(|(raw_error, _)| *raw_error > 0.0).map_or(1.0, |(raw_error, error)| error / raw_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::Combination;
    use crate::ensemble::ObjectiveScore;

    fn score(raws: &[f64], combiner: &Combiner) -> Score {
        let objective = |raw: &f64| ObjectiveScore {
            raw: *raw,
            raw_error: Some(0.2),
            normalized: raw / 2.0,
            error: Some(0.1),
            in_domain: false,
        };
        let objectives: Vec<ObjectiveScore> = raws.iter().map(objective).collect();
        let combined = combiner.combine(&objectives.iter().map(ObjectiveScore::term).collect::<Vec<_>>());
        Score { objectives, combined, novelty: None, tokens: 1, cut: 0 }
    }

    fn group(raws: &[[f64; 2]], error: Option<f64>) -> Group {
        let weights = vec![("a".to_owned(), 1.0), ("b".to_owned(), 3.0)];
        let combiner = Combiner::new(weights, Combination::default()).expect("weights");
        let scores: Vec<Score> = raws.iter().map(|raws| score(raws, &combiner)).collect();
        let difference = |left: usize, right: usize| {
            (0..2).map(|k| Difference { raw: raws[left][k] - raws[right][k], error }).collect()
        };
        Group::of(&scores, &combiner, &difference)
    }

    #[test]
    fn a_weighted_sum_is_beyond_noise_where_its_standard_error_says_so() {
        // Combined = a/2 + 3b/2; errors 0.1 of differences give √(0.05² + 0.15²) = 0.158, of which 1.96 are 0.3099.
        let apart = |b: f64| group(&[[0.0, 0.0], [0.0, b]], Some(0.1));
        assert_eq!((apart(0.2065).ties_within_noise, apart(0.2067).ties_within_noise), (Some(true), Some(false)));
        assert_eq!(apart(0.3).ranking, [1, 0]);
        assert_eq!(apart(0.3).best_is_clear, Some(true));
        assert_eq!(group(&[[0.0, 0.0], [1.0, 1.0]], None).ties_within_noise, None);
        assert_eq!(group(&[[0.0, 0.0], [0.0, 0.0]], Some(0.1)).ties_within_noise, Some(true));
        assert_eq!(group(&[[1.0, 2.0]], Some(0.1)).best_is_clear, Some(true));
    }

    #[test]
    fn both_sides_of_a_comparison_add_to_one_and_doubt_moves_them_to_the_middle() {
        let sure = group(&[[0.0, 1.0], [2.0, 1.0], [-1.0, 0.0]], None);
        let unsure = group(&[[0.0, 1.0], [2.0, 1.0], [-1.0, 0.0]], Some(2.0));
        for (matrix, doubtful) in sure.win.iter().zip(&unsure.win) {
            for row in 0..3 {
                assert_eq!(matrix[row][row], 0.5);
                for column in 0..3 {
                    assert!((matrix[row][column] + matrix[column][row] - 1.0).abs() < 1e-15);
                    assert!((doubtful[row][column] - 0.5).abs() <= (matrix[row][column] - 0.5).abs());
                }
            }
        }
        assert!((sure.win[0][1][0] - 1.0 / (1.0 + (-2f64).exp())).abs() < 1e-15);
        // 1 + π·4/8 = 2.5708; 2/1.60337 = 1.24737.
        assert!((unsure.win[0][1][0] - 0.776_843).abs() < 1e-5, "{}", unsure.win[0][1][0]);
    }
}
