//! The rows of benchmarks with one predictor's scores in the place of their items.

use crate::data::benchmarks::{JudgeBenchRow, PairRow, RewardBench2Row, RewardBenchRow, RmBenchRow};
use crate::evaluate::benchmarks::{judge_bench, pairs, reward_bench, reward_bench2, rm_bench};

pub(super) fn reward_bench<'a>(rows: &'a [RewardBenchRow], scores: &[f64]) -> Vec<reward_bench::Row<'a>> {
    let row = |row: &'a RewardBenchRow| reward_bench::Row {
        subset: &row.subset,
        prompt: row.prompt,
        chosen: scores[row.chosen],
        rejected: scores[row.rejected],
    };
    rows.iter().map(row).collect()
}

pub(super) fn reward_bench2<'a>(rows: &'a [RewardBench2Row], scores: &[f64]) -> Vec<reward_bench2::Row<'a>> {
    let row = |row: &'a RewardBench2Row| reward_bench2::Row {
        subset: &row.subset,
        prompt: row.prompt,
        scores: row.answers.iter().map(|answer| scores[*answer]).collect(),
        correct: row.correct,
        ties: row.ties.map(|id| (id.number, id.reference)),
    };
    rows.iter().map(row).collect()
}

pub(super) fn rm_bench<'a>(rows: &'a [RmBenchRow], scores: &[f64]) -> Vec<rm_bench::Row<'a>> {
    let row = |row: &'a RmBenchRow| rm_bench::Row {
        domain: &row.domain,
        prompt: row.prompt,
        chosen: row.chosen.map(|item| scores[item]),
        rejected: row.rejected.map(|item| scores[item]),
    };
    rows.iter().map(row).collect()
}

pub(super) fn judge_bench<'a>(rows: &'a [JudgeBenchRow], scores: &[f64]) -> Vec<judge_bench::Row<'a>> {
    let row = |row: &'a JudgeBenchRow| judge_bench::Row {
        source: &row.source,
        prompt: row.prompt,
        scores: row.answers.map(|item| scores[item]),
        first_is_better: row.first_is_better,
    };
    rows.iter().map(row).collect()
}

pub(super) fn pairs(rows: &[PairRow], scores: &[f64]) -> Vec<pairs::Row> {
    let row = |row: &PairRow| pairs::Row {
        prompt: row.prompt,
        chosen: scores[row.chosen],
        rejected: scores[row.rejected],
        preference: row.preference,
    };
    rows.iter().map(row).collect()
}
