//! Published benchmarks: read, scored and judged beside the rules that look at the length only.

mod notes;
mod scored;

use std::path::PathBuf;

use super::outcomes::words;
use crate::data::Item;
use crate::data::benchmarks::{Benchmark, BenchmarkData, BenchmarkRows, Items, Splits, read_benchmark};
use crate::ensemble::Ensemble;
use crate::error::{Error, Result};
use crate::evaluate::benchmarks::{Credit, Figures, judge_bench, lead, pairs, reward_bench, reward_bench2, rm_bench};
use crate::evaluate::{Estimate, mean};
use crate::progress::Progress;
use crate::report::{BenchmarkRow, BenchmarkSummary, BenchmarkTable, LONGER_WINS, SHORTER_WINS, conclusion};

/// Items scored between two signs of life.
const BATCH: usize = 256;
/// How the combined score is called among the predictors.
const COMBINED: &str = "combined";

/// A benchmark and its files, folders or patterns, which are read as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchmarkFiles {
    /// Which.
    pub benchmark: Benchmark,
    /// Where its rows stand.
    pub paths: Vec<PathBuf>,
}

/// Benchmarks that were read.
#[derive(Clone, Debug)]
pub struct Benchmarks {
    data: Vec<BenchmarkData>,
    items: Items,
}

impl Benchmarks {
    /// Reads benchmarks, of plain pairs those of some splits; what is wrong with several is reported together.
    ///
    /// # Errors
    /// As [`read_benchmark`].
    pub fn read(files: &[BenchmarkFiles], splits: Splits) -> Result<Self> {
        let mut items = Items::default();
        let (mut data, mut usage, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for files in files {
            match read_benchmark(files.benchmark, &files.paths, splits, &mut items) {
                Ok(read) => data.push(read),
                Err(Error::Usage(faults)) => usage.extend(faults),
                Err(Error::Data(faults)) => rows.extend(faults),
                Err(other) => return Err(other),
            }
        }
        match (usage.is_empty(), rows.is_empty()) {
            (true, true) => Ok(Self { data, items }),
            (false, _) => Err(Error::Usage(usage)),
            (true, false) => Err(Error::Data(rows)),
        }
    }

    /// Scores every distinct item once and works out each benchmark's figures, in the order in which they were read:
    /// of the combined score, of each objective's raw score, and of the number of words and its negative.
    ///
    /// # Errors
    /// As [`Ensemble::score`].
    pub fn assess(&self, ensemble: &Ensemble, progress: &dyn Progress) -> Result<Vec<BenchmarkSummary>> {
        let predictors = predictors(ensemble, self.items.all(), progress)?;
        Ok(self.data.iter().map(|data| summary(data, &predictors)).collect())
    }
}

/// Somebody or something that scores items.
struct Predictor {
    name: String,
    /// One score per item.
    scores: Vec<f64>,
}

/// The combined score, the objectives, and the two length rules.
fn predictors(ensemble: &Ensemble, items: &[Item], progress: &dyn Progress) -> Result<Vec<Predictor>> {
    let scoring = ensemble.scoring()?;
    let names = std::iter::once(COMBINED).chain(ensemble.names().iter().map(String::as_str));
    let mut predictors: Vec<Predictor> =
        names.map(|name| Predictor { name: name.to_owned(), scores: Vec::with_capacity(items.len()) }).collect();
    progress.start("scores", items.len() as u64);
    for batch in items.chunks(BATCH) {
        for score in scoring.score(batch)? {
            let scores = std::iter::once(score.combined).chain(score.objectives.iter().map(|one| one.raw));
            predictors.iter_mut().zip(scores).for_each(|(predictor, score)| predictor.scores.push(score));
        }
        progress.advance(batch.len() as u64);
    }
    progress.finish(&format!("{} responses", items.len()));
    let longer: Vec<f64> = items.iter().map(words).collect();
    let shorter = longer.iter().map(|count| -count).collect();
    predictors.push(Predictor { name: LONGER_WINS.to_owned(), scores: longer });
    predictors.push(Predictor { name: SHORTER_WINS.to_owned(), scores: shorter });
    Ok(predictors)
}

/// What one predictor comes to on a benchmark.
struct Judged {
    tables: Vec<Figures>,
    credits: Vec<Credit>,
}

fn summary(data: &BenchmarkData, predictors: &[Predictor]) -> BenchmarkSummary {
    let judged: Vec<Judged> = predictors.iter().map(|predictor| judge(&data.rows, &predictor.scores)).collect();
    let (lead, rule) = against_length(predictors, &judged);
    BenchmarkSummary {
        name: data.benchmark.name().to_owned(),
        file: data.file.clone(),
        place: data.place.clone(),
        digest: data.digest.to_string(),
        rows: judged.first().map_or(0, |first| first.credits.len()),
        tables: tables(predictors, &judged),
        notes: notes::notes(data, predictors),
        conclusion: conclusion(lead.as_ref(), rule),
    }
}

/// What the combined score earns more than the better of the two length rules, and which that is.
fn against_length(predictors: &[Predictor], judged: &[Judged]) -> (Option<Estimate>, &'static str) {
    let credits = |name: &str| {
        let found = predictors.iter().zip(judged).rfind(|(predictor, _)| predictor.name == name);
        found.map_or(&[][..], |(_, judged)| &judged.credits)
    };
    let earned = |name: &str| mean(&credits(name).iter().map(|credit| credit.0).collect::<Vec<f64>>());
    let rule = if earned(SHORTER_WINS) > earned(LONGER_WINS) { SHORTER_WINS } else { LONGER_WINS };
    let combined = judged.first().map_or(&[][..], |first| &first.credits);
    (lead(combined, credits(rule)), rule)
}

/// The predictors' tables, row by row put together.
fn tables(predictors: &[Predictor], judged: &[Judged]) -> Vec<BenchmarkTable> {
    let Some(first) = judged.first() else { return Vec::new() };
    let table = |(index, shape): (usize, &Figures)| {
        let row = |(predictor, judged): (&Predictor, &Judged)| BenchmarkRow {
            predictor: predictor.name.clone(),
            figures: judged.tables[index].figures.iter().map(|(_, figure)| figure.clone()).collect(),
        };
        BenchmarkTable {
            title: shape.title.clone(),
            columns: shape.figures.iter().map(|(name, _)| name.clone()).collect(),
            rows: predictors.iter().zip(judged).map(row).collect(),
        }
    };
    first.tables.iter().enumerate().map(table).collect()
}

/// Gives every answer its score and asks the benchmark.
fn judge(rows: &BenchmarkRows, scores: &[f64]) -> Judged {
    match rows {
        BenchmarkRows::RewardBench(rows) => {
            let rows = scored::reward_bench(rows, scores);
            Judged { tables: reward_bench::tables(&rows), credits: reward_bench::credits(&rows) }
        }
        BenchmarkRows::RewardBench2(rows) => {
            let rows = scored::reward_bench2(rows, scores);
            Judged { tables: reward_bench2::tables(&rows), credits: reward_bench2::credits(&rows) }
        }
        BenchmarkRows::RmBench(rows) => {
            let rows = scored::rm_bench(rows, scores);
            Judged { tables: rm_bench::tables(&rows), credits: rm_bench::credits(&rows) }
        }
        BenchmarkRows::JudgeBench(rows) => {
            let rows = scored::judge_bench(rows, scores);
            Judged { tables: judge_bench::tables(&rows), credits: judge_bench::credits(&rows) }
        }
        BenchmarkRows::Pairs(rows) => {
            let rows = scored::pairs(rows, scores);
            Judged { tables: pairs::tables(&rows), credits: pairs::credits(&rows) }
        }
    }
}
