//! How long the report of many pairs takes, how large it is, and whether two runs write the same bytes.
//!
//! ```text
//! cargo run --release --example report_scale -- 100000 5
//! ```
//!
//! Made-up answers (20 to 200 words, four to a prompt, two pairs of them) get made-up scores of every objective, and every
//! pair is a test pair of every objective, labelled by its true score with logistic noise. Scoring is left out: what is
//! timed is everything from scores and labels to the last file. Twice, into two folders, whose files are then compared.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ensemble::assess::{Material, ScoredHead, TrainingRecord, summarise};
use ensemble::combine::{Combination, Combiner};
use ensemble::config::{Config, LabelSource, load};
use ensemble::data::{Audit, Dataset, Item, Message, ObjectivePairs, Pair, Role, Split};
use ensemble::ensemble::ObjectiveScore;
use ensemble::error::{Error, Fault, Result};
use ensemble::files::Digest;
use ensemble::logistic::sigmoid;
use ensemble::random::Random;
use ensemble::report::{BackboneSummary, ReferenceSummary, write_report};

const ANSWERS: usize = 4;

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let [pairs, objectives] = numbers.as_slice() else {
        return Err(Error::Usage(vec![Fault::new("arguments", "two numbers are needed").accepts("PAIRS OBJECTIVES")]));
    };
    let config = config(*objectives)?;
    let mut random = Random::new(5);
    let scores: Vec<Vec<ObjectiveScore>> = (0..*objectives).map(|_| scores(2 * pairs, &mut random)).collect();
    let dataset = dataset(&config, *pairs, &scores, &mut random);
    let (first, second) = (run(&config, &dataset, &scores)?, run(&config, &dataset, &scores)?);
    say(&format!("two runs write the same {} files: {}", first.len(), first == second));
    let page = first.get(Path::new("index.html")).map_or(0, Vec::len);
    let all: usize = first.values().map(Vec::len).sum();
    say(&format!("page {:.2} MB, all files {:.1} MB", page as f64 / 1e6, all as f64 / 1e6));
    if let Some(peak) = peak_memory() {
        say(&format!("peak resident memory {peak}"));
    }
    Ok(())
}

/// One report, timed; its files by their place in the folder.
fn run(config: &Config, dataset: &Dataset, scores: &[Vec<ObjectiveScore>]) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let baseline = vec![0.0; dataset.items.len()];
    let head = |scores| ScoredHead {
        question: String::new(),
        normalizer: "zscore".to_owned(),
        data_changed: false,
        scores,
        baseline: &baseline,
        uncontrolled: &[],
        temperature: 1.0,
        reference: ReferenceSummary::default(),
        training: TrainingRecord::default(),
    };
    let heads: Vec<ScoredHead> = scores.iter().map(|scores| head(scores.as_slice())).collect();
    let weights = config.objectives.iter().map(|objective| (objective.name.clone(), objective.weight)).collect();
    let combiner = Combiner::new(weights, Combination::default()).map_err(Error::Config)?;
    let folder = tempfile::tempdir().map_err(|error| Error::Io(vec![Fault::new("a temporary folder", error)]))?;
    let start = Instant::now();
    let material = Material { config, registry: &config.output.registry, dataset, heads: &heads, combiner: &combiner };
    let summary = summarise(&material, BackboneSummary::default(), Vec::new());
    let numbers = start.elapsed().as_secs_f64();
    let written = write_report(folder.path(), &summary)?;
    let all = start.elapsed().as_secs_f64();
    say(&format!("numbers {numbers:6.2} s, files {:6.2} s, together {all:6.2} s", all - numbers));
    let read = |path: PathBuf| {
        let bytes = ensemble::files::read(&path, "a file of the report")?;
        Ok((path.strip_prefix(folder.path()).map(Path::to_path_buf).unwrap_or(path.clone()), bytes))
    };
    written.into_iter().map(read).collect()
}

/// The quickstart's config with the first objective in several copies.
fn config(objectives: usize) -> Result<Config> {
    let mut config = load(Path::new("configs/quickstart.yaml"), &[])?;
    let first = config.objectives[0].clone();
    let copy = |index: usize| {
        let mut objective = first.clone();
        objective.name = format!("objective-{index}");
        objective
    };
    config.objectives = (0..objectives).map(copy).collect();
    Ok(config)
}

fn scores(items: usize, random: &mut Random) -> Vec<ObjectiveScore> {
    let score = |_| {
        let value = random.normal();
        ObjectiveScore {
            raw: 2.0 * value,
            raw_error: Some(0.3),
            normalized: value,
            error: Some(0.15),
            in_domain: false,
        }
    };
    (0..items).map(score).collect()
}

fn dataset(config: &Config, pairs: usize, scores: &[Vec<ObjectiveScore>], random: &mut Random) -> Dataset {
    let items: Vec<Item> = (0..2 * pairs).map(|index| item(index, random)).collect();
    let keys: Vec<Digest> = items.iter().map(Item::prompt_key).collect();
    let list = |name: &str, scores: &[ObjectiveScore], random: &mut Random, count: usize| {
        let pair = |index: usize| {
            let (one, other) = (2 * index, 2 * index + 1);
            let wins = random.uniform() < sigmoid(scores[one].raw - scores[other].raw);
            let (chosen, rejected) = if wins { (one, other) } else { (other, one) };
            Pair {
                chosen,
                rejected,
                preference: 1.0,
                votes: None,
                margin: 0.0,
                weight: 1.0,
                labels: LabelSource::Ai,
                split: Split::Test,
                prompt_key: keys[one],
            }
        };
        let pairs = (0..count).map(pair).collect();
        ObjectivePairs { name: name.to_owned(), pairs, ratings: Vec::new(), audit: Audit::default() }
    };
    let objectives: Vec<ObjectivePairs> = config
        .objectives
        .iter()
        .zip(scores)
        .map(|(objective, scores)| list(&objective.name, scores, random, pairs))
        .collect();
    let holistic = list("holistic", &scores[0], random, pairs);
    Dataset { items, objectives, holistic, reference: Vec::new(), domains: BTreeMap::new() }
}

fn item(index: usize, random: &mut Random) -> Item {
    const WORDS: [&str; 8] = ["the", "answer", "helps", "you", "because", "water", "boils", "slowly"];
    let count = 20 + (random.uniform() * 180.0) as usize;
    let word = |_| WORDS[(random.uniform() * WORDS.len() as f64) as usize];
    let response: Vec<&str> = (0..count).map(word).collect();
    let question = format!("Question {}: how does water boil?", index / ANSWERS);
    let prompt = vec![Message { role: Role::User, content: question }];
    Item { prompt, response: format!("{} {index}", response.join(" ")) }
}

/// What Linux says of this process; nothing elsewhere.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.trim_start_matches("VmHWM:").trim().to_owned())
}

fn say(line: &str) {
    // A reader that has left is no failure of the run.
    let _ = writeln!(std::io::stdout(), "{line}");
}
