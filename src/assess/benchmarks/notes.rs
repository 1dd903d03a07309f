//! What to know of a benchmark's figures: how ties count, what is missing, what the benchmark does not know.

use super::{Predictor, scored};
use crate::data::benchmarks::{BenchmarkData, BenchmarkRows, Splits};
use crate::error::quote;
use crate::evaluate::benchmarks::{judge_bench, largest, reward_bench, reward_bench2, rm_bench};

/// The notes of one benchmark.
pub(super) fn notes(data: &BenchmarkData, predictors: &[Predictor]) -> Vec<String> {
    // Names do not depend on scores, but the combined score's ties are looked at.
    let combined = predictors.first().map_or(&[][..], |combined| &combined.scores);
    let mut notes = Vec::new();
    match &data.rows {
        BenchmarkRows::RewardBench(rows) => {
            let rows = scored::reward_bench(rows, combined);
            notes.push("Equal scores count as wrong; sections weight their subsets as the benchmark does.".to_owned());
            let missing = reward_bench::missing(&rows);
            if !missing.is_empty() {
                notes.push(format!("Sections are worked out without {}, as no row is of them.", missing.join(", ")));
            }
            notes.extend(apart(rows.iter().map(|row| row.subset), reward_bench::is_known, "subset", "sections"));
        }
        BenchmarkRows::RewardBench2(rows) => {
            let rows = scored::reward_bench2(rows, combined);
            notes.push("Where k answers share the highest score, a right one among them counts 1/k.".to_owned());
            notes.extend(apart(rows.iter().map(|row| row.subset), reward_bench2::is_known, "subset", "average"));
        }
        BenchmarkRows::RmBench(rows) => {
            let rows = scored::rm_bench(rows, combined);
            notes.push(
                "Equal scores count as wrong; safety is all rows of safety-refuse and safety-response.".to_owned(),
            );
            notes.extend(apart(rows.iter().map(|row| row.domain), rm_bench::is_known, "domain", "averages"));
            let more = rm_bench::unlisted_parts(&rows);
            if more > 0 {
                notes.push(format!("The domains have {more} more parts than are listed; their rows count."));
            }
        }
        BenchmarkRows::JudgeBench(rows) => {
            let rows = scored::judge_bench(rows, combined);
            let ties = judge_bench::ties(&rows);
            if ties > 0 {
                notes.push(format!("On {ties} of {} rows the combined score is equal, which says B>A.", rows.len()));
            }
            notes.extend(outside(rows.iter().map(|row| row.source), judge_bench::is_known).map(|names| {
                format!("Unknown to the benchmark, so listed apart and counted in Overall only: source {names}.")
            }));
        }
        BenchmarkRows::Pairs(rows) => notes.extend(of_pairs(data, rows.len())),
    }
    notes
}

/// How ties count, which pairs are not of the test split, and what was dropped.
fn of_pairs(data: &BenchmarkData, rows: usize) -> Vec<String> {
    let mut notes = vec!["Equal scores, and pairs on which the labelers were tied, count one half.".to_owned()];
    let elsewhere = data.outside_test;
    let fall = |of: usize| {
        format!("{elsewhere} of {of} pairs are of prompts that fall into the training or calibration split")
    };
    match data.splits {
        _ if elsewhere == 0 => {}
        Splits::Test => {
            let all = rows + elsewhere;
            notes.push(format!("{} and were left out; --all-splits counts them too.", fall(all)));
        }
        Splits::All => notes.push(format!(
            "{} and count too (--all-splits), so the figure may hold prompts that the heads were trained on.",
            fall(rows)
        )),
    }
    let dropped: Vec<String> = data.left_out.iter().map(|(reason, count)| format!("{count} ({reason})")).collect();
    if !dropped.is_empty() {
        notes.push(format!("Left out: {}.", dropped.join(", ")));
    }
    notes
}

/// That names are unknown to the benchmark and left out of its figures.
fn apart<'a>(names: impl Iterator<Item = &'a str>, known: fn(&str) -> bool, noun: &str, of: &str) -> Option<String> {
    let names = outside(names, known)?;
    Some(format!("Unknown to the benchmark, so listed apart and left out of the {of}: {noun} {names}."))
}

/// The names that are listed, quoted, and how many are not.
fn outside<'a>(names: impl Iterator<Item = &'a str>, known: fn(&str) -> bool) -> Option<String> {
    let (listed, more) = largest(names.filter(|name| !known(name)).map(|name| (name, ())));
    let shown: Vec<String> = listed.into_keys().map(quote).collect();
    let rest = if more > 0 { format!(" and {more} more, which are not listed") } else { String::new() };
    (!shown.is_empty()).then(|| shown.join(", ") + &rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::benchmarks::{Benchmark, PairRow, RewardBenchRow};
    use crate::files::Digest;

    fn notes_of(rows: BenchmarkRows, splits: Splits, outside_test: usize) -> String {
        let (file, place, digest) = ("f".to_owned(), "a/f".to_owned(), Digest::of(b""));
        let benchmark = Benchmark::Pairs;
        let left_out = std::iter::once(("equal sides".to_owned(), 3)).collect();
        let data = BenchmarkData { benchmark, file, place, digest, rows, splits, outside_test, left_out };
        notes(&data, &[Predictor { name: "combined".to_owned(), scores: vec![1.0, 0.0] }]).join(" ")
    }

    #[test]
    fn pairs_that_may_be_trained_on_are_counted() {
        let rows = || BenchmarkRows::Pairs(vec![PairRow { prompt: 0, chosen: 0, rejected: 1, preference: 1.0 }; 4]);
        let said = notes_of(rows(), Splits::Test, 6);
        assert!(said.contains("6 of 10 pairs are of prompts") && said.contains("--all-splits counts them"), "{said}");
        assert!(said.contains("Left out: 3 (equal sides)."), "{said}");
        let said = notes_of(rows(), Splits::All, 3);
        assert!(
            said.contains("3 of 4 pairs") && said.contains("may hold prompts that the heads were trained"),
            "{said}"
        );
        for splits in [Splits::Test, Splits::All] {
            assert!(!notes_of(rows(), splits, 0).contains("split"));
        }
    }

    #[test]
    fn a_list_that_is_cut_says_how_much_more_there_is() {
        let row = |subset: String| RewardBenchRow { subset, prompt: 0, chosen: 0, rejected: 1 };
        let said = |count: usize| {
            let rows = (0..count).map(|number| row(format!("new-{number:02}"))).collect();
            notes_of(BenchmarkRows::RewardBench(rows), Splits::Test, 0)
        };
        assert!(said(20).ends_with("\"new-18\", \"new-19\"."), "{}", said(20));
        assert!(said(27).ends_with("\"new-19\" and 7 more, which are not listed."), "{}", said(27));
    }
}
