//! The same preferences in other containers, folders, patterns and under other names give the same data set.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::io::Write;
use std::path::{Path, PathBuf};

use ensemble::config;
use ensemble::data::{Dataset, Rows, load, plain};
use serde_json::{Value, json};

use crate::project::{Project, repository, trained};

fn rows() -> Vec<Value> {
    let row = |index: usize| {
        json!({
            "prompt": format!("question {index}, \"quoted\"\nand long"), "chosen": format!("good {index}"),
            "rejected": format!("{}", index % 7), "split": if index.is_multiple_of(9) { "test" } else { "train" },
        })
    };
    (0..120).map(row).collect()
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn csv(rows: &[Value], names: [(&str, &str); 4]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let record = |row: &Value| {
        let cells: Vec<String> = names.iter().map(|(name, _)| quoted(row[*name].as_str().expect("text"))).collect();
        cells.join(",") + "\r\n"
    };
    let header: Vec<&str> = names.iter().map(|(_, column)| *column).collect();
    header.join(",") + "\r\n" + &rows.iter().map(record).collect::<String>()
}

const NAMES: [(&str, &str); 4] =
    [("prompt", "prompt"), ("chosen", "chosen"), ("rejected", "rejected"), ("split", "split")];

fn write(project: &Project, name: &str, content: impl AsRef<[u8]>) {
    let path = project.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    std::fs::write(path, content).expect("written");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

/// What an objective of this one source loads.
fn loaded(project: &Project, source: &str) -> Dataset {
    let text =
        format!("name: safety\nquestion: Which is safer?\nlabels: ai\ndata:\n  - {source}\n    split_field: split\n");
    write(project, "objectives/safety.yaml", text);
    let config = config::load(&project.path("configs/quickstart.yaml"), &[]).expect("a sound config");
    load(&config).expect("sound data")
}

#[test]
fn containers_folders_patterns_and_names_of_columns_decide_nothing() {
    let project = Project::new();
    let rows = rows();
    let (first, second) = rows.split_at(50);
    write(&project, "one/rows.jsonl", lines(&rows));
    write(&project, "two/b.json.gz", gzip(&Value::from(first).to_string()));
    write(&project, "two/a.csv", csv(second, NAMES));
    write(&project, "two/README.md", "not data");
    write(&project, "three/y.jsonl.zst", zstd::bulk::compress(lines(second).as_bytes(), 3).expect("packs"));
    write(&project, "three/x.json", json!({ "license": "CC0", "data": first }).to_string());
    write(
        &project,
        "named.csv",
        csv(&rows, [("prompt", "question"), ("chosen", "rejected"), ("rejected", "chosen"), ("split", "fold")]),
    );
    let nested: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "q": row["prompt"], "a": [{ "t": row["rejected"] }, { "t": row["chosen"] }], "split": row["split"] }))
        .collect();
    write(&project, "nested.jsonl", lines(&nested));
    let expected = loaded(&project, "path: ../one/rows.jsonl");
    assert_eq!(expected.objectives[1].pairs.len(), 120);
    for (source, files, same_rows) in [
        ("path: ../two", 2, true),
        ("path: '../three/*'", 2, true),
        ("path: '../t*/*.[jc]s*'", 4, false),
        (
            "path: ../named.csv\n    columns: {prompt: question, chosen: rejected, rejected: chosen, split: fold}",
            1,
            false,
        ),
        ("path: ../nested.jsonl\n    columns: {prompt: q, chosen: a.-1.t, rejected: a.0.t}", 1, false),
    ] {
        let found = loaded(&project, source);
        let (found, expected) = (&found.objectives[1], &expected.objectives[1]);
        assert_eq!(found.pairs, expected.pairs, "{source}");
        let audit = &found.audit.sources[0];
        assert_eq!((audit.files, audit.digest == expected.audit.sources[0].digest), (files, same_rows), "{source}");
    }
    assert_eq!(loaded(&project, "path: ../two").objectives[1].audit.sources[0].skipped, ["README.md"]);
}

#[test]
fn validate_says_how_many_files_a_source_has_and_what_is_not_read() {
    let project = Project::new();
    write(&project, "two/b.jsonl", lines(&rows()[..60]));
    write(&project, "two/a.csv", csv(&rows()[60..], NAMES));
    write(&project, "two/README.md", "not data");
    loaded(&project, "path: ../two");
    let output = project.run(&["validate", "configs/quickstart.yaml"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("2 files; not read: \"README.md\""), "{text}");
}

#[test]
fn scores_are_the_same_from_every_container() {
    let project = trained();
    let rows: Vec<Value> = (0..5)
        .map(|index| json!({ "prompt": format!("Count to {index}"), "response": format!("{index}"), "note": index }))
        .collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scored = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        let path = path.display().to_string();
        let output = project.run(&["score", "--registry", "registry/quickstart", "--keep", "note", &path]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let expected = scored("rows.jsonl", lines(&rows).as_bytes());
    let table: String =
        rows.iter().map(|row| format!("{},{},{}\n", row["note"], row["response"], row["prompt"])).collect();
    for (name, content) in [
        ("rows.json", format!("{:#}", Value::from(rows.clone())).into_bytes()),
        ("rows.csv", format!("note,response,prompt\n{table}").into_bytes()),
        ("rows.jsonl.zst", zstd::bulk::compress(lines(&rows).as_bytes(), 3).expect("packs")),
    ] {
        assert!(scored(name, &content) == expected, "{name}");
    }
    assert_eq!(expected.split(|byte| *byte == b'\n').count(), 6, "five lines, and nothing behind the last");
    let streamed = project.score(&Value::from(rows).to_string(), &["--keep", "note"]);
    assert!(streamed.stdout == expected, "an array on standard input");
}

/// How many rows a file has, and the fields of the first.
fn counted(path: &Path) -> (usize, Vec<String>) {
    let rows = Rows::open(path, "the rows").unwrap_or_else(|error| panic!("{error}"));
    let (mut count, mut fields) = (0, Vec::new());
    for record in rows {
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        let row = plain(&record).unwrap_or_else(|error| panic!("{error}")).into_owned();
        if count == 0 {
            fields = row.keys().cloned().collect();
        }
        count += 1;
    }
    (count, fields)
}

#[test]
fn real_files_of_every_container_are_read() {
    let Some(data) = std::env::var_os("ENSEMBLE_DATA").map(PathBuf::from) else {
        println!("ENSEMBLE_DATA is not set: no real data to read");
        return;
    };
    // Counted with pandas.read_csv, json.load and wc -l.
    for (name, rows) in REAL {
        let (count, fields) = counted(&data.join("formats").join(name));
        println!("{name}: {count} rows of {}", fields.join(", "));
        assert_eq!(count, rows, "{name}");
    }
    let (count, _) = counted(&repository().join("data/quickstart/rated.jsonl"));
    assert!(count > 0);
}

/// Real files and how many rows they have.
const REAL: [(&str, usize); 21] = [
    ("do-not-answer/datasets__Review__GPT4__annotated_response_vicuna-7b.csv", 939),
    ("do-not-answer/datasets__data_en.csv", 939),
    ("helpsteer2-preference/experimental__helpsteer2_subset_annotated.json", 100),
    ("hh-relabeled/data__relabeled_hh_rlhf__both__test.jsonl.gz", 4043),
    ("hh-relabeled/data__relabeled_hh_rlhf__harmless__test.jsonl.gz", 1886),
    ("hh-relabeled/data__relabeled_hh_rlhf__helpful__test.jsonl.gz", 2157),
    ("hh-rlhf/harmless-base__test.jsonl.gz", 2312),
    ("hh-rlhf/hh_native_form__helpful-base_test.jsonl.gz", 2352),
    ("llama-factory/data__dpo_en_demo.json", 300),
    ("llama-factory/data__kto_en_demo.json", 300),
    ("llama-factory/data__v1_dpo_demo.jsonl", 10),
    ("lmsys-kaggle/train_demo.csv", 49),
    ("orca-dpo/orca_dpo_pairs_demo.csv", 100),
    ("text-score-list/data__webgpt.test.json", 901),
    ("ultrafeedback-binarized/data__dpo__vanilla__dpo_val.jsonl", 640),
    ("ultrafeedback-binarized/data__noisy__label_flip_20.jsonl", 1000),
    ("ultrafeedback-binarized/data__processed__eval_clean.jsonl", 200),
    ("ultrafeedback-binarized/data__processed__train_clean.jsonl", 1000),
    ("votes-csv/RAPL__datasets__LIE__folds__LIE_train_0.csv", 800),
    ("votes-csv/RAPL__datasets__LIE__folds__LIE_val_0.csv", 200),
    ("votes-csv/RAPL__datasets__TRUE__full_TRUE_dataset.csv", 1150),
];
