//! Published benchmarks of reward models, read as they are: which answers are compared, and which of them are right.
//!
//! One file per benchmark says what its rows mean; a row that does not have that meaning is a fault, never dropped,
//! because a benchmark's figures are about all of its rows. What the figures are is decided elsewhere.

mod judge_bench;
mod pairs;
mod reward_bench;
mod reward_bench2;
mod rm_bench;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use judge_bench::JudgeBenchRow;
pub use pairs::PairRow;
pub use reward_bench::RewardBenchRow;
pub use reward_bench2::{RewardBench2Row, TiesId};
pub use rm_bench::RmBenchRow;

use super::audit::digest_of_rows;
use super::load::{MAX_FAULTS, alike};
use super::row::{Row, kind};
use super::{Item, Message, Record, Role, Rows, columns};
use crate::config::{HOLISTIC_SCORE, SourceArgument, SourceConfig};
use crate::conversation::join_turns;
use crate::error::{Error, Fault, Result};
use crate::files::{self, Digest};

/// A benchmark whose files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Benchmark {
    /// RewardBench (arXiv 2403.13787).
    RewardBench,
    /// RewardBench 2 (arXiv 2506.01937).
    RewardBench2,
    /// RM-Bench (arXiv 2410.16184).
    RmBench,
    /// JudgeBench (arXiv 2410.12784).
    JudgeBench,
    /// Pairs in any format of this crate.
    Pairs,
}

impl Benchmark {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::RewardBench => "RewardBench",
            Self::RewardBench2 => "RewardBench 2",
            Self::RmBench => "RM-Bench",
            Self::JudgeBench => "JudgeBench",
            Self::Pairs => "pairs",
        }
    }

    /// The option of `ensemble eval` that takes its files.
    pub fn option(self) -> &'static str {
        match self {
            Self::RewardBench => "--rewardbench",
            Self::RewardBench2 => "--rewardbench2",
            Self::RmBench => "--rm-bench",
            Self::JudgeBench => "--judgebench",
            Self::Pairs => "--pairs",
        }
    }

    /// The benchmark of which a row has the fields.
    fn of_row(row: &Map<String, Value>) -> Option<Self> {
        let has = |field: &str| row.contains_key(field);
        let texts = |field: &str| {
            let list = row.get(field).and_then(Value::as_array);
            list.is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
        };
        let text = |field: &str| row.get(field).is_some_and(Value::is_string);
        match () {
            () if has("response_A") && has("response_B") => Some(Self::JudgeBench),
            () if texts("chosen") && texts("rejected") && has("domain") => Some(Self::RmBench),
            () if texts("chosen") && texts("rejected") && has("subset") => Some(Self::RewardBench2),
            () if text("chosen") && text("rejected") && has("subset") => Some(Self::RewardBench),
            () => None,
        }
    }
}

/// The distinct items of all benchmarks, and their distinct prompts, numbered in the order in which they are met.
#[derive(Clone, Debug, Default)]
pub struct Items {
    distinct: Vec<Item>,
    keys: BTreeMap<Digest, usize>,
    prompts: BTreeMap<Digest, usize>,
}

impl Items {
    /// The items, each once.
    pub fn all(&self) -> &[Item] {
        &self.distinct
    }

    /// The number of an item.
    fn keep(&mut self, item: Item) -> usize {
        let next = self.distinct.len();
        let number = *self.keys.entry(item.key()).or_insert(next);
        if number == next {
            self.distinct.push(item);
        }
        number
    }

    /// The number of a prompt.
    fn prompt(&mut self, key: Digest) -> usize {
        let next = self.prompts.len();
        *self.prompts.entry(key).or_insert(next)
    }
}

/// The rows of a benchmark; answers and prompts are numbers of [`Items`].
#[derive(Clone, Debug, PartialEq)]
pub enum BenchmarkRows {
    /// RewardBench.
    RewardBench(Vec<RewardBenchRow>),
    /// RewardBench 2.
    RewardBench2(Vec<RewardBench2Row>),
    /// RM-Bench.
    RmBench(Vec<RmBenchRow>),
    /// JudgeBench.
    JudgeBench(Vec<JudgeBenchRow>),
    /// Pairs.
    Pairs(Vec<PairRow>),
}

/// Which pairs count whose prompts may have been trained on; benchmarks with a format of their own count whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splits {
    /// Those of prompts that fall into the test split.
    Test,
    /// All.
    All,
}

/// A benchmark that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchmarkData {
    /// Which.
    pub benchmark: Benchmark,
    /// The names of its files, without their folders where the names differ.
    pub file: String,
    /// The same, each with the name of the folder that it stands in.
    pub place: String,
    /// Digest of the files' contents, in whatever order they were named.
    pub digest: Digest,
    /// Its rows.
    pub rows: BenchmarkRows,
    /// Which pairs count.
    pub splits: Splits,
    /// How many pairs are of prompts that fall into the training or calibration split.
    pub outside_test: usize,
    /// What else was left out and why; for pairs only.
    pub left_out: BTreeMap<String, usize>,
}

/// Reads a benchmark from files, folders or patterns of JSON lines, JSON, CSV or Parquet; adds its items to `items`.
///
/// # Errors
/// [`Error::Usage`] when a path names no file; [`Error::Io`] when one cannot be read; [`Error::Data`] with the first
/// bad rows together, when there are no rows (of pairs: none of `splits`), and when the file looks like another
/// benchmark's.
pub fn read_benchmark(
    benchmark: Benchmark,
    paths: &[PathBuf],
    splits: Splits,
    items: &mut Items,
) -> Result<BenchmarkData> {
    let sources: Vec<SourceConfig> = paths.iter().map(|path| source(benchmark, path)).collect::<Result<_>>()?;
    let files: Vec<&Path> = sources.iter().flat_map(|source| &source.files).map(AsRef::as_ref).collect();
    let (mut left_out, mut outside_test) = (BTreeMap::new(), 0);
    let rows = match benchmark {
        Benchmark::RewardBench => BenchmarkRows::RewardBench(read(benchmark, &files, items, reward_bench::parse)?),
        Benchmark::RewardBench2 => BenchmarkRows::RewardBench2(read(benchmark, &files, items, reward_bench2::parse)?),
        Benchmark::RmBench => BenchmarkRows::RmBench(read(benchmark, &files, items, rm_bench::parse)?),
        Benchmark::JudgeBench => BenchmarkRows::JudgeBench(read(benchmark, &files, items, judge_bench::parse)?),
        Benchmark::Pairs => {
            let read = pairs::read(&sources, &files, splits, items)?;
            (left_out, outside_test) = (read.left_out, read.outside_test);
            BenchmarkRows::Pairs(read.rows)
        }
    };
    let (file, place) = names(&files);
    Ok(BenchmarkData { benchmark, file, place, digest: digest(&files)?, rows, splits, outside_test, left_out })
}

/// The files' names, without and with the name of each one's folder. Two of one name are told apart by their folders.
fn names(files: &[&Path]) -> (String, String) {
    let name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let bare: Vec<String> = files.iter().map(|path| name(path)).collect();
    let within = |path: &&Path| match files::absolute(path).parent().map(name) {
        Some(folder) if !folder.is_empty() => format!("{folder}/{}", name(path)),
        _ => name(path),
    };
    let place = files.iter().map(within).collect::<Vec<String>>().join(", ");
    let distinct = bare.iter().collect::<BTreeSet<&String>>().len() == bare.len();
    (if distinct { bare.join(", ") } else { place.clone() }, place)
}

/// One digest for the files' bytes.
fn digest(files: &[&Path]) -> Result<Digest> {
    let of = |path: &&Path| files::Stream::open(path, "the benchmark")?.finish();
    Ok(digest_of_rows(files.iter().map(of).collect::<Result<_>>()?))
}

fn source(benchmark: Benchmark, path: &Path) -> Result<SourceConfig> {
    let place = benchmark.option();
    let argument = SourceArgument { place, path, format: None, score: None, default_score: HOLISTIC_SCORE };
    argument.source().map_err(|fault| Error::Usage(vec![fault]))
}

/// What makes a row's meaning.
type Parse<T> = fn(&Row, &mut Items) -> Result<T, Fault>;

/// Reads the rows of a benchmark that has a format of its own.
fn read<T>(benchmark: Benchmark, files: &[&Path], items: &mut Items, parse: Parse<T>) -> Result<Vec<T>> {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for path in files {
        let before = rows.len() + faults.len();
        for record in Rows::open(path, "the benchmark")? {
            let record = record?;
            match row(&record, items, parse) {
                Ok(row) => rows.push(row),
                Err(fault) => {
                    let looks_like = record.object.as_ref().ok().and_then(Benchmark::of_row);
                    let other = looks_like.filter(|other| *other != benchmark);
                    faults.push(other.map_or(fault, |other| confused(path, benchmark, other)));
                    if other.is_some() || record.hopeless {
                        break;
                    }
                }
            }
            if faults.len() >= MAX_FAULTS {
                return Err(Error::Data(alike(faults)));
            }
        }
        if rows.len() + faults.len() == before {
            faults.push(Fault::new(files::shown(path), "0 rows").accepts("at least one row"));
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(Error::Data(alike(faults))) }
}

fn row<T>(record: &Record, items: &mut Items, parse: Parse<T>) -> Result<T, Fault> {
    let object = record.object.as_ref().map_err(Clone::clone)?;
    let object = if record.untyped { Cow::Owned(columns::typed(object.clone())) } else { Cow::Borrowed(object) };
    parse(&Row { object: &object, place: &record.place }, items)
}

/// The fault of a file that was given for another benchmark's.
fn confused(path: &Path, wanted: Benchmark, found: Benchmark) -> Fault {
    let found_text = format!("this looks like a file of {}, not of {}", found.name(), wanted.name());
    Fault::new(files::shown(path), found_text).help(format!("give it as {} FILE", found.option()))
}

/// The field that holds the prompt, as messages.
fn prompt(row: &Row, field: &str, layout: &str) -> Result<Vec<Message>, Fault> {
    let value = row.value(field).ok_or_else(|| row.missing(field, layout))?;
    let messages = row.conversation(field, value)?;
    row.has_user(field, &messages)?;
    Ok(messages)
}

/// A field that must hold text.
fn text<'a>(row: &Row<'a>, field: &str, layout: &str) -> Result<&'a str, Fault> {
    let value = row.value(field).ok_or_else(|| row.missing(field, layout))?;
    row.text(field, value)
}

/// A field that must hold a list of texts.
fn texts<'a>(row: &Row<'a>, field: &str, layout: &str) -> Result<Vec<&'a str>, Fault> {
    let value = row.value(field).ok_or_else(|| row.missing(field, layout))?;
    let Some(list) = value.as_array() else {
        return Err(row.fault(field, kind(value)).accepts("a list of texts"));
    };
    list.iter().enumerate().map(|(index, value)| row.text(&format!("{field}[{index}]"), value)).collect()
}

/// The item of an answer; a benchmark's empty answers are scored like any other.
fn item(prompt: &[Message], response: &str) -> Item {
    let last = Message { role: Role::Assistant, content: response.to_owned() };
    let (prompt, response, _) = join_turns([prompt, &[last]].concat());
    Item { prompt, response }
}

/// The numbers of a prompt and of answers to it.
fn keep<const N: usize>(items: &mut Items, prompt: &[Message], responses: [&str; N]) -> (usize, [usize; N]) {
    let number = items.prompt(item(prompt, "").prompt_key());
    (number, responses.map(|response| items.keep(item(prompt, response))))
}
