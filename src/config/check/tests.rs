//! Tests of the whole way from files and overrides to a [`Config`] or to its faults.

mod combine;
mod head;
mod hostile;
mod label_rules;
mod overrides;
mod reference;

use std::collections::BTreeMap;

use super::super::{
    Criterion, Device, Dtype, HeadConfig, HeadKind, ModelPlace, NormalizerKind, Pooling, Rule, RuleConfig,
};
use super::*;
use crate::error::Fault;

const RUN: &str = "\
# yaml-language-server: $schema=../schema/run.schema.json
version: 1
name: quickstart
backbone:
  path: ../backbones/mini
  max_tokens: 256
  pooling: mean_response
  layers: [-2]
objectives:
  - file: ../objectives/helpfulness.yaml
    weight: 1.0
  - file: ../objectives/safety.yaml
    weight: 0.5
    allow_negative: false
combine:
  rule: weighted_sum
holistic:
  - path: ../data/rated.jsonl
output:
  registry: ../registry/quickstart
  report: ../reports/quickstart
  cache: ../.cache/features
";

const HELPFULNESS: &str = "\
version: 1
name: helpfulness
question: Which answer solves more of what was asked?
labels: human
data:
  - path: ../data/rated.jsonl
    format: rated
    score: helpfulness
    min_gap: 1
    labels: human
    label_source_field: label_source
    split_field: split
    max_pairs_per_prompt: 10
    rule: {kind: fewer_words, equal_on: helpfulness, max_gap: 0.5}
head:
  l2: auto
  l2_grid: [1, 10, 100, 1000, 10000, 100000]
  folds: 5
normalizer: zscore
";

const SAFETY: &str =
    "name: safety\nquestion: Which answer is safer?\nlabels: ai\ndata:\n  - path: ../data/rated.jsonl\n";

/// A project folder with one run, two objectives, a backbone folder and a data file.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a temporary folder"));
        project.write("configs/run.yaml", RUN);
        project.write("objectives/helpfulness.yaml", HELPFULNESS);
        project.write("objectives/safety.yaml", SAFETY);
        project.write("backbones/mini/config.json", "{}");
        project.write("data/rated.jsonl", "{}");
        project
    }

    fn write(&self, path: &str, text: &str) {
        files::write_atomic(&self.path(path), text.as_bytes()).expect("writable");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn load(&self, overrides: &[&str]) -> Result<Config> {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        load(&self.path("configs/run.yaml"), &overrides)
    }

    fn loaded(&self, overrides: &[&str]) -> Config {
        self.load(overrides).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The faults, with the project folder cut off.
    fn faults(&self, overrides: &[&str]) -> Vec<Fault> {
        let error = self.load(overrides).expect_err("refused");
        assert!(matches!(error, Error::Config(_)) && !error.faults().is_empty());
        let folder = format!("{}/", self.0.path().display());
        let cut = |text: &str| text.replace(&folder, "");
        error
            .faults()
            .iter()
            .map(|fault| Fault { place: cut(&fault.place), found: cut(&fault.found), ..fault.clone() })
            .collect()
    }

    fn only_fault(&self, overrides: &[&str]) -> Fault {
        let faults = self.faults(overrides);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        faults[0].clone()
    }
}

/// The faults of a run with `from` replaced by `to` in the named file.
fn faults_with(file: &str, from: &str, to: &str) -> Vec<Fault> {
    let project = Project::new();
    let text = match file {
        "configs/run.yaml" => RUN,
        "objectives/helpfulness.yaml" => HELPFULNESS,
        _ => SAFETY,
    };
    assert!(text.contains(from), "{from}");
    project.write(file, &text.replacen(from, to, 1));
    project.faults(&[])
}

#[test]
fn a_whole_configuration_means_what_it_says() {
    let project = Project::new();
    let config = project.loaded(&[]);
    assert_eq!(config.name, "quickstart");
    assert_eq!(config.file, project.path("configs/run.yaml"));
    assert_eq!(config.combine.rule, Rule::WeightedSum);
    let path = project.path("backbones/mini");
    let backbone = BackboneConfig {
        place: ModelPlace::Disk(path),
        max_tokens: 256,
        pooling: Some(Pooling::MeanResponse),
        layers: Some(vec![-2]),
        dtype: Dtype::F32,
        device: Device::Cpu,
        score_head: false,
    };
    assert_eq!(config.backbone, backbone);
    let [helpfulness, safety] = config.objectives.as_slice() else { panic!("two objectives") };
    assert_eq!(helpfulness.question, "Which answer solves more of what was asked?");
    assert_eq!((helpfulness.weight, safety.weight), (1.0, 0.5));
    assert_eq!((helpfulness.labels, safety.labels), (LabelSource::Human, LabelSource::Ai));
    assert_eq!(helpfulness.file, project.path("objectives/helpfulness.yaml"));
    let source = SourceConfig {
        path: project.path("data/rated.jsonl"),
        files: vec![project.path("data/rated.jsonl")],
        skipped: vec![],
        columns: BTreeMap::new(),
        format: Some(Format::Rated),
        score: "helpfulness".to_owned(),
        min_gap: 1.0,
        rule: Some(RuleConfig {
            criterion: Criterion::FewerWords,
            min_gap: 0.0,
            equal_on: Some("helpfulness".to_owned()),
            max_gap: 0.5,
        }),
        given: vec!["rule", "score", "min_gap"],
        labels: LabelSource::Rule,
        label_source_field: Some("label_source".to_owned()),
        split_field: Some("split".to_owned()),
        max_pairs_per_prompt: Some(10),
        domain_field: None,
    };
    assert_eq!(helpfulness.data, [source]);
    assert_eq!(config.output.cache, project.path(".cache/features"));
}

#[test]
fn everything_optional_has_its_documented_default() {
    let project = Project::new();
    project.write(
        "configs/run.yaml",
        concat!(
            "name: small\nbackbone: {path: ../backbones/mini}\nobjectives: [{file: ../objectives/safety.yaml}]\n",
            "holistic: [{path: ../data/rated.jsonl}]\n",
        ),
    );
    let config = project.loaded(&[]);
    assert_eq!((config.backbone.max_tokens, config.backbone.layers), (256, None));
    assert_eq!(config.backbone.pooling, Some(Pooling::MeanResponse));
    let safety = &config.objectives[0];
    let grid = vec![1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0];
    assert_eq!(safety.head, HeadKind::Linear(head::plain(None, grid, 5)));
    assert_eq!((safety.weight, safety.normalizer), (1.0, NormalizerKind::Zscore));
    let source = SourceConfig {
        path: project.path("data/rated.jsonl"),
        files: vec![project.path("data/rated.jsonl")],
        skipped: vec![],
        columns: BTreeMap::new(),
        format: None,
        score: "safety".to_owned(),
        min_gap: 1.0,
        rule: None,
        given: Vec::new(),
        labels: LabelSource::Ai,
        label_source_field: None,
        split_field: None,
        max_pairs_per_prompt: None,
        domain_field: None,
    };
    assert_eq!(safety.data.as_slice(), std::slice::from_ref(&source));
    let overall = SourceConfig { score: "overall".to_owned(), labels: LabelSource::Human, ..source };
    assert_eq!(config.holistic, [overall]);
    let output = OutputConfig {
        registry: project.path("registry/small"),
        report: project.path("reports/small"),
        cache: project.path(".cache/features"),
    };
    assert_eq!(config.output, output);
}

#[test]
fn seven_faults_give_seven_messages_in_order() {
    let project = Project::new();
    project.write("objectives/safety.yaml", &SAFETY.replace("labels: ai", "labels: machine").replace("rated", "ratd"));
    let run = RUN
        .replace("max_tokens: 256", "max_tokens: many")
        .replace("pooling", "poling")
        .replace("weight: 0.5", "weight: -0.5")
        .replace("weighted_sum", "weigthed_sum")
        .replace("../registry/quickstart", "${ENSEMBLE_NO_SUCH_VARIABLE}/x")
        .replace("holistic:\n  - path: ../data/rated.jsonl\n", "");
    project.write("configs/run.yaml", &run);
    let faults = project.faults(&[]);
    let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
    let wanted = [
        "configs/run.yaml:6:3",
        "configs/run.yaml:7:3",
        "configs/run.yaml:13:5",
        "configs/run.yaml:16:3",
        "configs/run.yaml:18:3",
        "objectives/safety.yaml:3:1",
        "objectives/safety.yaml:5:5",
    ];
    assert_eq!(places, wanted, "{faults:#?}");
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown[0],
        "configs/run.yaml:6:3: backbone.max_tokens is \"many\"\n  accepted: a whole number from 8 to 8192"
    );
    assert_eq!(
        shown[1],
        concat!(
            "configs/run.yaml:7:3: unknown key \"poling\"\n  accepted: device, dtype, hub, layers, max_tokens, path, pooling, revision\n",
            "  help: did you mean \"pooling\"?"
        )
    );
    assert_eq!(faults[3].help.as_deref(), Some("did you mean \"weighted_sum\"?"));
    assert!(faults[4].found.contains("ENSEMBLE_NO_SUCH_VARIABLE is not set"));
    assert_eq!(faults[5].accepted.as_deref(), Some("human, ai, rule"));
    assert_eq!(faults[6].help.as_deref(), Some("did you mean \"rated.jsonl\"?"));
}

#[test]
fn no_number_may_be_anything_else() {
    let run = "configs/run.yaml";
    let objective = "objectives/helpfulness.yaml";
    // (file, line as written, key, line and column, whether 0 and -1 are accepted)
    let numbers = [
        (run, "version: 1", "version", "2:1", [false, false]),
        (run, "max_tokens: 256", "max_tokens", "6:3", [false, false]),
        (run, "layers: [-2]", "layers", "8:3", [false, false]),
        (run, "weight: 1.0", "weight", "11:5", [true, false]),
        (objective, "version: 1", "version", "1:1", [false, false]),
        (objective, "min_gap: 1", "min_gap", "9:5", [false, false]),
        (objective, "max_pairs_per_prompt: 10", "max_pairs_per_prompt", "13:5", [false, false]),
        (objective, "max_gap: 0.5", "max_gap", "14:54", [true, false]),
        (objective, "l2: auto", "l2", "16:3", [false, false]),
        (objective, "folds: 5", "folds", "18:3", [false, false]),
    ];
    for (file, written, key, place, [zero, negative]) in numbers {
        let mut wrong =
            vec![".nan", ".inf", "-.inf", "1e999", "x", "'1'", "[]", "{}", "~", "true", "1e20", "99999999999999999999"];
        if !zero {
            wrong.push("0");
        }
        if !negative {
            wrong.push("-1");
        }
        for value in wrong {
            let unbounded = matches!(key, "min_gap" | "max_gap")
                && value.len() > 3
                && value.parse::<f64>().is_ok_and(f64::is_finite);
            if unbounded {
                continue;
            }
            let faults = faults_with(file, written, &format!("{key}: {value}"));
            assert_eq!(faults.len(), 1, "{key}: {value}: {faults:#?}");
            assert_eq!(faults[0].place, format!("{file}:{place}"), "{key}: {value}");
            assert!(faults[0].accepted.is_some(), "{key}: {value}");
        }
    }
    for (written, value, place) in
        [("[-2]", "[-2, x]", "8:16"), ("[-2]", "[257]", "8:12"), ("[-2]", "[1, 2, 1]", "8:18")]
    {
        let faults = faults_with(run, written, value);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert_eq!(faults[0].place, format!("{run}:{place}"));
    }
    for grid in ["[1]", "[1, 1]", "[10, 1]", "[0, 1]", "[1, .inf]", "[1, x]"] {
        let faults = faults_with(objective, "[1, 10, 100, 1000, 10000, 100000]", grid);
        assert_eq!(faults.len(), 1, "{grid}: {faults:#?}");
    }
}

#[test]
fn numbers_inside_their_range_are_accepted() {
    let project = Project::new();
    let config = project.loaded(&[
        "backbone.max_tokens=8",
        "backbone.layers=[0, 256, -256]",
        "objectives.0.weight=-1000000",
        "objectives.0.allow_negative=true",
        "objectives.safety.weight=0",
        "objectives.safety.head={l2: 1000000000000, l2_grid: [1e-9, 1], folds: 20}",
    ]);
    assert_eq!((config.backbone.max_tokens, config.backbone.layers), (8, Some(vec![0, 256, -256])));
    assert_eq!((config.objectives[0].weight, config.objectives[1].weight), (-1e6, 0.0));
    let head = head::plain(Some(1e12), vec![1e-9, 1.0], 20);
    assert_eq!(config.objectives[1].head, HeadKind::Linear(head));
}

#[test]
fn weights_and_names_are_checked_together() {
    let project = Project::new();
    let fault = project.only_fault(&["objectives.0.weight=0", "objectives.1.weight=0"]);
    assert_eq!((fault.place.as_str(), fault.found.as_str()), ("configs/run.yaml:9:1", "every objective has weight 0"));
    project.write("objectives/safety.yaml", &SAFETY.replace("name: safety", "name: helpfulness"));
    let fault = project.only_fault(&[]);
    assert_eq!(fault.place, "configs/run.yaml:12:5");
    assert_eq!(fault.found, "objective \"helpfulness\" stands twice, first at configs/run.yaml:10:5");
}

#[test]
fn keys_that_do_not_fit_the_format_are_refused() {
    let faults = faults_with("objectives/helpfulness.yaml", "format: rated", "format: hh_rlhf");
    let found: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.place.as_str(), fault.found.as_str())).collect();
    let file = "objectives/helpfulness.yaml";
    let wanted = [
        (format!("{file}:8:5"), "data.0.score has no meaning with format: hh_rlhf"),
        (format!("{file}:9:5"), "data.0.min_gap has no meaning with format: hh_rlhf"),
        (format!("{file}:14:5"), "data.0.rule has no meaning with format: hh_rlhf"),
    ];
    assert_eq!(found, wanted.iter().map(|(place, found)| (place.as_str(), *found)).collect::<Vec<_>>());
}

#[test]
fn structure_faults_name_their_place() {
    let run = "configs/run.yaml";
    let cases = [
        (
            "name: quickstart\n",
            "name: quickstart\nname: again\n",
            "4:1",
            "key \"name\" stands twice, first at configs/run.yaml:3:1",
        ),
        ("name: quickstart\n", "name: Quick Start\n", "3:1", "name is \"Quick Start\""),
        ("name: quickstart\n", "name: 7\n", "3:1", "name is 7"),
        ("name: quickstart\n", "", "2:1", "key \"name\" is missing"),
        ("    weight: 1.0", "    ? [a]\n    : 1", "11:7", "unknown key \"a list of 1\""),
        (
            "  - file: ../objectives/safety.yaml\n    weight: 0.5\n    allow_negative: false\n",
            "  - safety\n",
            "12:5",
            "objectives.1 is \"safety\"",
        ),
        (
            "    weight: 0.5\n    allow_negative: false\n",
            "    weight: 0.5\n    allow_negative: no\n",
            "14:5",
            "objectives.1.allow_negative is \"no\"",
        ),
        ("combine:\n  rule: weighted_sum", "combine:", "15:1", "combine is empty"),
        (
            "holistic:\n  - path: ../data/rated.jsonl",
            "holistic: ../data/rated.jsonl",
            "17:1",
            "holistic is \"../data/rated.jsonl\"",
        ),
        (
            "holistic:\n  - path: ../data/rated.jsonl",
            "holistic:\n  - path: ../configs",
            "18:5",
            "holistic.0.path names \"configs\", a folder that holds only \"run.yaml\"",
        ),
        (
            "../backbones/mini",
            "../data/rated.jsonl",
            "5:3",
            "backbone.path names \"data/rated.jsonl\", which is a file",
        ),
        (
            "../reports/quickstart",
            "../data/rated.jsonl",
            "21:3",
            "output.report names \"data/rated.jsonl\", which is a file",
        ),
        ("safety.yaml", "safty.yaml", "12:5", "file names \"objectives/safty.yaml\", which does not exist"),
        ("safety.yaml", "", "12:5", "file names \"objectives\", which cannot be read: it is a folder"),
    ];
    for (from, to, place, found) in cases {
        let faults = faults_with(run, from, to);
        assert_eq!(faults.len(), 1, "{to}: {faults:#?}");
        assert_eq!((faults[0].place.as_str(), faults[0].found.as_str()), (format!("{run}:{place}").as_str(), found));
    }
}

#[test]
fn line_ends_and_byte_order_mark_of_windows_are_read() {
    let project = Project::new();
    project.write("configs/run.yaml", &format!("\u{feff}{}", RUN.replace('\n', "\r\n")));
    assert_eq!(project.loaded(&[]), Project::loaded(&project, &["version=1"]));
    let fault = project.only_fault(&["nmae=x"]);
    assert_eq!(fault.place, "--set nmae=x");
    project.write("configs/run.yaml", &RUN.replace("max_tokens", "mx_tokens").replace('\n', "\r\n"));
    assert_eq!(project.only_fault(&[]).place, "configs/run.yaml:6:3");
}
