//! JudgeBench (Tan et al. 2024, arXiv 2410.12784): accuracy by where the question comes from, and overall.
//!
//! After `run_judge.py` (the categories are the beginnings of `source`; overall is every pair), `utils/judges.py` (a
//! reward model says A>B where A scores strictly higher, else B>A, so that a tie of scores says B>A) and
//! `utils/metrics.py` for judges that see each pair once, as its README asks of reward models (`--single_game`).

use super::{Credit, Figures, accuracy, others};

/// What the source of a question begins with.
const CATEGORIES: [(&str, &str); 4] = [
    ("mmlu-pro", "Knowledge"),
    ("livebench-reasoning", "Reasoning"),
    ("livebench-math", "Math"),
    ("livecodebench", "Coding"),
];

/// Two answers with their scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// The data set the question comes from.
    pub source: &'a str,
    /// The question's number.
    pub prompt: usize,
    /// Scores of A and B.
    pub scores: [f64; 2],
    /// Whether the label is A>B.
    pub first_is_better: bool,
}

impl Row<'_> {
    fn credit(&self) -> Credit {
        let says_first = self.scores[0] > self.scores[1];
        (f64::from(u8::from(says_first == self.first_is_better)), self.prompt)
    }
}

/// The categories and overall, and the sources of no category.
pub fn tables(rows: &[Row]) -> Vec<Figures> {
    let of = |start: &str, name: &str| {
        let mine = rows.iter().filter(|row| row.source.starts_with(start));
        (name.to_owned(), accuracy(mine.map(Row::credit)))
    };
    let figures = CATEGORIES.iter().chain(&[("", "Overall")]).map(|(start, name)| of(start, name)).collect();
    let mut tables = vec![Figures { title: "Categories".to_owned(), figures }];
    tables.extend(others("Sources of no category", rows.iter().map(|row| (row.source, row.credit())), is_known));
    tables
}

/// 1 for each row that is decided as its label says.
pub fn credits(rows: &[Row]) -> Vec<Credit> {
    rows.iter().map(Row::credit).collect()
}

/// Whether the source is of a category.
pub fn is_known(source: &str) -> bool {
    CATEGORIES.iter().any(|(start, _)| source.starts_with(start))
}

/// On how many rows both answers have the same score, so that the file's order decides.
pub fn ties(rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.scores[0] == row.scores[1]).count()
}
