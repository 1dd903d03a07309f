//! From the config's sources to the [`Dataset`]: every file is read once, faults are collected, the same comparison
//! is kept once, and all orders are given by content.
//!
//! What a row means is decided by the format's file; which split it falls into by [`Splitter`].

mod source;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;

use super::audit::{self, DUPLICATE_PAIR};
use super::pairs::Candidate;
use super::row::{Row, parse_object};
use super::{Audit, Dataset, Item, Lines, ObjectivePairs, Pair, Split, Splitter};
use crate::config::Config;
use crate::error::{Error, Fault, Result};
use crate::files::Digest;
use source::{Pool, ReadSource, Reader};

/// At most this many bad rows are reported together.
const MAX_FAULTS: usize = 20;
/// Fewer pairs than this to learn from are a mistake, not an objective.
const MIN_TRAINING_PAIRS: usize = 20;
/// The name under which the holistic pairs stand.
const HOLISTIC: &str = "overall";

/// Reads all pairs of a run.
///
/// # Errors
/// [`Error::Io`] when a file cannot be read; [`Error::Data`] with the first 20 bad rows together, or with what makes
/// a source or an objective unusable as a whole (no rows, mostly identical sides, too few pairs).
pub fn load(config: &Config) -> Result<Dataset> {
    let mut readers: Vec<Reader> = Vec::new();
    for (owner, objective) in config.objectives.iter().enumerate() {
        readers.extend(objective.data.iter().map(|source| Reader::new(owner, source)));
    }
    readers.extend(config.holistic.iter().map(|source| Reader::new(config.objectives.len(), source)));
    let mut pool = Pool::default();
    let mut faults = Vec::new();
    let mut done: BTreeSet<&Path> = BTreeSet::new();
    let paths: Vec<&Path> = readers.iter().map(|reader| reader.source.path.as_path()).collect();
    for path in paths {
        if done.insert(path) && faults.len() < MAX_FAULTS {
            read_file(path, &mut readers, &mut pool, &mut faults)?;
        }
    }
    refuse(faults)?;
    let mut sources = Vec::new();
    let mut faults = Vec::new();
    for reader in readers {
        match reader.finish() {
            Ok(source) => sources.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    refuse(faults)?;
    let dataset = assemble(config, sources, &pool);
    refuse(too_few(config, &dataset))?;
    Ok(dataset)
}

fn refuse(faults: Vec<Fault>) -> Result<()> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Data(faults)) }
}

/// Reads one file for all sources that name it; a row that several of them refuse alike is reported once.
fn read_file(path: &Path, readers: &mut [Reader], pool: &mut Pool, faults: &mut Vec<Fault>) -> Result<()> {
    let mut readers: Vec<&mut Reader> = readers.iter_mut().filter(|reader| reader.source.path == path).collect();
    let lines = Lines::open(path, "the preference data")?;
    let name = lines.name().to_owned();
    let mut digests = Vec::new();
    for line in lines {
        let line = line?;
        digests.push(Digest::of(line.text.trim().as_bytes()));
        let place = line.place(&name);
        let parsed = parse_object(&line.text);
        let found: Vec<Fault> = match &parsed {
            Err(fault) => vec![Fault { place: format!("{place}, {}", fault.place), ..fault.clone() }],
            Ok(object) => {
                let row = Row { object, place: &place };
                readers.iter_mut().filter_map(|reader| reader.take(&row, pool).err()).collect()
            }
        };
        for fault in found {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        faults.truncate(MAX_FAULTS);
        // A first row in no known format, or no whole object (CSV, indented): the same would be said of every other.
        let unknown_format = parsed.is_ok() && readers.iter().any(|reader| reader.format.is_none());
        let text = line.text.trim();
        let no_objects = digests.len() == 1 && (!text.starts_with('{') || text == "{");
        if faults.len() == MAX_FAULTS || unknown_format || no_objects {
            return Ok(());
        }
    }
    let digest = audit::digest_of_rows(digests);
    for reader in readers {
        reader.audit.digest = digest;
    }
    Ok(())
}

/// Puts the sources' pairs together: one list per objective, items and pairs in the order of their keys.
fn assemble(config: &Config, sources: Vec<ReadSource>, pool: &Pool) -> Dataset {
    let names = config.objectives.iter().map(|objective| objective.name.as_str()).chain([HOLISTIC]);
    let mut kept: Vec<Kept> = names.map(Kept::new).collect();
    for source in sources {
        if let Some(kept) = kept.get_mut(source.owner) {
            kept.add(source);
        }
    }
    let used: BTreeSet<Digest> =
        kept.iter().flat_map(|kept| kept.pairs.keys()).flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect();
    let index: BTreeMap<Digest, usize> = used.into_iter().zip(0..).collect();
    let items: Vec<Item> = index.keys().filter_map(|key| pool.items.get(key).cloned()).collect();
    let mut objectives: Vec<ObjectivePairs> =
        kept.into_iter().map(|kept| kept.finish(&index, &items, &pool.splitter)).collect();
    let holistic = objectives.pop().unwrap_or_else(|| Kept::new(HOLISTIC).finish(&index, &items, &pool.splitter));
    Dataset { items, objectives, holistic }
}

/// The pairs of one objective while they are put together.
struct Kept {
    name: String,
    audit: Audit,
    pairs: BTreeMap<(Digest, Digest), Candidate>,
}

impl Kept {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), audit: Audit::default(), pairs: BTreeMap::new() }
    }

    /// Adds a source; of copies of a pair the one with the most direct label stays, whatever the order of sources.
    fn add(&mut self, mut source: ReadSource) {
        for candidate in source.candidates {
            match self.pairs.entry((candidate.chosen, candidate.rejected)) {
                Entry::Occupied(mut place) => {
                    source.audit.drop(DUPLICATE_PAIR, 1);
                    let rank = |candidate: &Candidate| (candidate.labels, Reverse(candidate.preference.to_bits()));
                    if rank(&candidate) < rank(place.get()) {
                        place.insert(candidate);
                    }
                }
                Entry::Vacant(place) => {
                    place.insert(candidate);
                    source.audit.pairs += 1;
                }
            }
        }
        self.audit.duplicates += source.audit.dropped_as(DUPLICATE_PAIR);
        self.audit.sources.push(source.audit);
    }

    fn finish(mut self, index: &BTreeMap<Digest, usize>, items: &[Item], splitter: &Splitter) -> ObjectivePairs {
        let pair = |candidate: &Candidate| {
            Some(Pair {
                chosen: *index.get(&candidate.chosen)?,
                rejected: *index.get(&candidate.rejected)?,
                preference: candidate.preference,
                labels: candidate.labels,
                split: splitter.split(&candidate.prompt),
                prompt_key: candidate.prompt,
            })
        };
        let pairs: Vec<Pair> = self.pairs.values().filter_map(pair).collect();
        audit::count(&mut self.audit, items, &pairs);
        let prompts: BTreeSet<Digest> = pairs.iter().map(|pair| pair.prompt_key).collect();
        self.audit.split_conflicts = prompts.iter().filter(|prompt| splitter.is_conflict(prompt)).count();
        ObjectivePairs { name: self.name, pairs, audit: self.audit }
    }
}

/// One fault for each objective that has too few pairs, and for holistic sources that judge nothing.
fn too_few(config: &Config, dataset: &Dataset) -> Vec<Fault> {
    let count = |pairs: &ObjectivePairs, split| pairs.audit.splits.get(&split).copied().unwrap_or_default();
    let fault = |place: &Path, pairs: &ObjectivePairs, needed: String| {
        let [train, calibration, test] = [Split::Train, Split::Calibration, Split::Test].map(|s| count(pairs, s));
        let found = format!("{}: {train} training, {calibration} calibration and {test} test pairs", pairs.name);
        let dropped: Vec<String> = pairs
            .audit
            .sources
            .iter()
            .flat_map(|source| source.dropped.iter().map(|(reason, count)| format!("{count} {reason}")))
            .collect();
        let help = "pairs fall into splits by prompt (80 / 10 / 10 %): add prompts, or mark held-out rows";
        let help =
            if dropped.is_empty() { help.to_owned() } else { format!("{help}; dropped: {}", dropped.join(", ")) };
        Fault::new(place.display(), found).accepts(needed).help(help)
    };
    let mut faults = Vec::new();
    for (objective, pairs) in config.objectives.iter().zip(&dataset.objectives) {
        let enough = count(pairs, Split::Train) >= MIN_TRAINING_PAIRS;
        if !enough || count(pairs, Split::Calibration) == 0 || count(pairs, Split::Test) == 0 {
            let needed = format!("at least {MIN_TRAINING_PAIRS} training, 1 calibration and 1 test pair");
            faults.push(fault(&objective.file, pairs, needed));
        }
    }
    if !config.holistic.is_empty() && count(&dataset.holistic, Split::Test) == 0 {
        faults.push(fault(&config.file, &dataset.holistic, "at least 1 test pair".to_owned()));
    }
    faults
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{
        BackboneConfig, Format, HeadConfig, LabelSource, NormalizerKind, ObjectiveConfig, OutputConfig, Pooling, Rule,
        SourceConfig,
    };
    use crate::files;

    /// A source with nothing special about it.
    pub(in crate::data) fn source(score: &str) -> SourceConfig {
        SourceConfig {
            path: PathBuf::from("rows.jsonl"),
            format: None,
            score: score.to_owned(),
            min_gap: 0.5,
            rule: None,
            labels: LabelSource::Human,
            label_source_field: None,
            split_field: None,
            max_pairs_per_prompt: None,
        }
    }

    fn config(objectives: Vec<Vec<SourceConfig>>, holistic: Vec<SourceConfig>) -> Config {
        let objective = |(index, data)| ObjectiveConfig {
            name: format!("objective{index}"),
            file: PathBuf::from("objective.yaml"),
            question: "Which is better?".to_owned(),
            weight: 1.0,
            labels: LabelSource::Human,
            data,
            head: HeadConfig { l2: Some(1.0), l2_grid: vec![1.0], folds: 5 },
            normalizer: NormalizerKind::Zscore,
        };
        let folder = PathBuf::from("out");
        Config {
            name: "run".to_owned(),
            file: PathBuf::from("run.yaml"),
            backbone: BackboneConfig { path: folder.clone(), max_tokens: 8, pooling: Pooling::Cls, layers: vec![-1] },
            objectives: objectives.into_iter().enumerate().map(objective).collect(),
            rule: Rule::WeightedSum,
            holistic,
            output: OutputConfig { registry: folder.clone(), report: folder.clone(), cache: folder },
        }
    }

    /// A folder with files of rows; the sources that read them.
    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary folder"))
        }

        fn source(&self, name: &str, rows: &[Value]) -> SourceConfig {
            let path = self.0.path().join(name);
            let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
            files::write_atomic(&path, lines.join("\n").as_bytes()).expect("written");
            SourceConfig { path, ..source("quality") }
        }
    }

    fn row(prompt: usize, chosen: &str, rejected: &str) -> Value {
        json!({ "prompt": format!("question {prompt}"), "chosen": chosen, "rejected": rejected })
    }

    fn rows(count: usize) -> Vec<Value> {
        (0..count).map(|prompt| row(prompt, "good", "bad")).collect()
    }

    fn refusal(config: &Config) -> String {
        match load(config) {
            Err(error @ Error::Data(_)) => error.to_string(),
            other => panic!("expected faults in the data, got {other:?}"),
        }
    }

    #[test]
    fn every_drop_is_counted_under_its_reason() {
        let files = Files::new();
        let mut all = rows(200);
        all.extend([row(0, "good", "bad"), row(1, "bad", "good"), row(2, "same", "same "), row(3, "", "bad")]);
        let mut capped: Vec<Value> = (0..5).map(|index| row(500, &format!("better {index}"), "worse")).collect();
        capped.push(row(4, "good", "bad"));
        let second = SourceConfig { max_pairs_per_prompt: Some(2), ..files.source("b", &capped) };
        let dataset = load(&config(vec![vec![files.source("a", &all), second]], vec![])).expect("loads");
        let audit = &dataset.objectives[0].audit;
        let [first, second] = audit.sources.as_slice() else { panic!("two sources") };
        let dropped = |source: &super::super::SourceAudit| {
            source.dropped.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(dropped(first), "1 duplicate pair, 1 empty response, 1 identical sides");
        assert_eq!(dropped(second), "1 duplicate pair, 3 over max_pairs_per_prompt");
        assert_eq!((first.rows, first.pairs, second.pairs), (204, 201, 2));
        assert_eq!((audit.duplicates, audit.contradictions, audit.prompts), (2, 1, 201));
        assert!(first.detected && first.format == Format::Pairs);
        assert_eq!(audit.splits.values().sum::<usize>(), 203);
    }

    #[test]
    fn held_out_prompts_are_test_in_every_objective() {
        let files = Files::new();
        let split = |rows: Vec<Value>, held: usize| -> Vec<Value> {
            let word = |index| if index < held { "val" } else { "train" };
            let mark = |(index, mut row): (usize, Value)| {
                row["split"] = word(index).into();
                row
            };
            rows.into_iter().enumerate().map(mark).collect()
        };
        let marked = |name: &str, held| SourceConfig {
            split_field: Some("split".to_owned()),
            ..files.source(name, &split(rows(200), held))
        };
        let plain = files.source("plain", &rows(200));
        let run = config(vec![vec![marked("a", 10)], vec![marked("b", 13)]], vec![plain]);
        let dataset = load(&run).expect("loads");
        for pairs in dataset.objectives.iter().chain([&dataset.holistic]) {
            assert_eq!(pairs.audit.splits.get(&Split::Test), Some(&13), "{}", pairs.name);
            assert_eq!(pairs.audit.split_conflicts, 3);
        }
        assert_eq!(dataset.holistic.name, "overall");
    }

    #[test]
    fn one_file_serves_several_objectives() {
        let files = Files::new();
        let rated = |prompt: usize, response: &str, quality: f64, brevity: f64| {
            let scores = json!({ "quality": quality, "brevity": brevity });
            json!({ "prompt": format!("p{prompt}"), "response": response, "scores": scores })
        };
        let all: Vec<Value> =
            (0..200).flat_map(|p| [rated(p, "long one", 5.0, 1.0), rated(p, "x", 2.0, 4.0)]).collect();
        let quality = files.source("rated", &all);
        let brevity = SourceConfig { score: "brevity".to_owned(), ..quality.clone() };
        let dataset = load(&config(vec![vec![quality], vec![brevity]], vec![])).expect("loads");
        let [quality, brevity] = dataset.objectives.as_slice() else { panic!("two objectives") };
        assert_eq!((quality.audit.length.longer_wins, brevity.audit.length.longer_wins), (1.0, 0.0));
        assert_eq!(quality.audit.sources[0].digest, brevity.audit.sources[0].digest);
        assert_eq!(dataset.items.len(), 400);
    }

    #[test]
    fn labels_come_from_the_row_where_it_says_so() {
        let files = Files::new();
        let says = ["Human (2 annotators)", "ai:gpt-4", "rule+ai validated", "gold truth"];
        let mut all = rows(200);
        for (index, row) in all.iter_mut().enumerate().skip(100) {
            row["by"] = says[index % 4].into();
        }
        let labelled = SourceConfig {
            labels: LabelSource::Ai,
            label_source_field: Some("by".to_owned()),
            ..files.source("a", &all)
        };
        let dataset = load(&config(vec![vec![labelled.clone()]], vec![])).expect("loads");
        let counts: Vec<usize> = dataset.objectives[0].audit.labels.values().copied().collect();
        assert_eq!(counts, [25, 125, 50]);
        let misspelt = SourceConfig { label_source_field: Some("bye".to_owned()), ..labelled };
        assert!(refusal(&config(vec![vec![misspelt]], vec![])).contains("did you mean \"by\"?"));
    }

    #[test]
    fn bad_rows_are_reported_together_and_twenty_at_most() {
        let files = Files::new();
        let mut all = rows(100);
        all[3] = json!({ "prompt": "p", "chosen": "a" });
        all[7] = json!({ "prompt": "p", "chosen": 4, "rejected": "b" });
        let bad = files.source("bad", &all);
        let message = refusal(&config(vec![vec![bad.clone()], vec![bad]], vec![]));
        assert!(message.contains("bad:4, field \"rejected\": missing"), "{message}");
        assert!(message.contains("bad:8, field \"chosen\": a number"), "{message}");
        assert_eq!(message.matches("error[data]").count(), 2, "{message}");
        let all = [rows(1), vec![json!({ "prompt": 1, "chosen": "a", "rejected": "b" }); 50]].concat();
        let message = refusal(&config(vec![vec![files.source("worse", &all)]], vec![]));
        assert_eq!(message.matches("error[data]").count(), 20);
    }

    #[test]
    fn sources_and_objectives_of_no_use_are_refused() {
        let files = Files::new();
        let mostly_equal = [vec![row(0, "a", "a"); 3], rows(2)].concat();
        let unmarked = SourceConfig { split_field: Some("split".to_owned()), ..files.source("u", &rows(200)) };
        let misnamed: Vec<Value> = rows(30)
            .into_iter()
            .map(|mut row| {
                row["split"] = "tset".into();
                row
            })
            .collect();
        let misnamed = SourceConfig { split_field: Some("split".to_owned()), ..files.source("m", &misnamed) };
        for (source, expected) in [
            (files.source("empty", &[]), "0 rows"),
            (files.source("equal", &mostly_equal), "3 of 5 rows have identical sides"),
            (files.source("few", &rows(5)), "at least 20 training, 1 calibration and 1 test pair"),
            (files.source("foreign", &vec![json!({ "text": "x", "label": 1 }); 9]), "in no known format"),
            (files.source("text", &vec![json!("a,b"); 9]), "text:1, column 1: text, not an object"),
            (unmarked, "no row has the field \"split\""),
            (misnamed, "did you mean `test`?"),
        ] {
            let message = refusal(&config(vec![vec![source]], vec![]));
            assert!(message.contains(expected), "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_order_of_rows_does_not_matter(
            shuffled in Just((0..240usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let files = Files::new();
            let pair = |index: usize| {
                let votes = json!([1 + index % 3, 1 + index % 2]);
                let (chosen, rejected) = (format!("answer {}", index % 5), format!("answer {}", (index + 1) % 4));
                let split = if index.is_multiple_of(17) { "test" } else { "train" };
                let prompt = format!("question {}", index % 60);
                json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected, "votes": votes, "split": split })
            };
            let read = |order: &[usize]| {
                let all: Vec<Value> = order.iter().map(|index| pair(*index)).collect();
                let source = SourceConfig {
                    split_field: Some("split".to_owned()),
                    max_pairs_per_prompt: Some(3),
                    ..files.source("rows", &all)
                };
                load(&config(vec![vec![source]], vec![])).expect("loads")
            };
            let ordered: Vec<usize> = (0..240).collect();
            prop_assert_eq!(read(&ordered), read(&shuffled));
        }
    }
}
