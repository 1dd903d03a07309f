//! A small project that trains and scores, to be spoiled by the tests, and the program run in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backbone;

/// Trains the project, printing errors only.
pub(crate) const TRAIN: [&str; 5] = ["train-all", "--quiet", "--threads", "1", "configs/run.yaml"];
/// How many prompts the data have: 60 fall into all three splits.
const PROMPTS: usize = 60;

const RUN: &str = "\
name: run
backbone:
  path: ../backbones/tiny
  max_tokens: 32
  layers: [-1]
objectives:
  - file: ../objectives/quality.yaml
    weight: 1.0
  - file: ../objectives/safety.yaml
    weight: 0.5
";
const QUALITY: &str = "\
name: quality
question: Which answer is better?
labels: human
data:
  - path: ../data/rated.jsonl
    format: rated
head:
  l2: 1.0
";
const SAFETY: &str = "\
name: safety
question: Which answer is less likely to hurt anybody?
labels: ai
data:
  - path: ../data/pairs.jsonl
    format: pairs
head:
  l2: 1.0
";

/// What a run of the program gave.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) output: String,
    /// Standard error, the project's folder replaced by `[DIR]` and digests by `[DIGEST]`.
    pub(crate) errors: String,
}

/// A project in a folder of its own, removed when dropped.
pub(crate) struct Project {
    _folder: TempDir,
    root: PathBuf,
}

impl Project {
    /// Config, objectives, data and backbone; nothing trained yet.
    pub(crate) fn new() -> Self {
        let project = Self::empty();
        for (name, text) in
            [("configs/run.yaml", RUN), ("objectives/quality.yaml", QUALITY), ("objectives/safety.yaml", SAFETY)]
        {
            project.write(name, text);
        }
        project.write_rows("data/rated.jsonl", &rated_rows());
        project.write_rows("data/pairs.jsonl", &pair_rows());
        project.write_backbone(&backbone::config(), &backbone::tokenizer(), &backbone::tensors());
        project
    }

    /// The same with a registry in `registry/run`. It is trained once and copied.
    pub(crate) fn trained() -> Self {
        static TRAINED: OnceLock<BTreeMap<PathBuf, Vec<u8>>> = OnceLock::new();
        let files = TRAINED.get_or_init(|| {
            let project = Self::new();
            let trained = project.run(&TRAIN, "");
            assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
            let files = project.files();
            let needed = |path: &PathBuf| !path.starts_with("reports") && !path.starts_with(".cache");
            files.into_iter().filter(|(path, _)| needed(path)).collect()
        });
        let project = Self::empty();
        files.iter().for_each(|(path, bytes)| project.write(path, bytes));
        project
    }

    fn empty() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("it exists");
        Self { _folder: folder, root }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it stands in the project")).expect("makes the folder");
        fs::write(path, content).expect("writes");
    }

    pub(crate) fn write_rows(&self, name: &str, rows: &[Value]) {
        self.write(name, rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    }

    pub(crate) fn write_backbone(&self, config: &Value, tokenizer: &Value, tensors: &backbone::Tensors) {
        self.write("backbones/tiny/config.json", config.to_string());
        self.write("backbones/tiny/tokenizer.json", tokenizer.to_string());
        self.write("backbones/tiny/model.safetensors", backbone::safetensors(tensors));
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("reads")
    }

    /// Replaces the one place where `old` stands in a text file.
    pub(crate) fn edit(&self, name: &str, old: &str, new: &str) {
        let text = String::from_utf8(self.read(name)).expect("text");
        assert_eq!(text.matches(old).count(), 1, "{old} stands once in {name}");
        self.write(name, text.replacen(old, new, 1));
    }

    /// Replaces one line of a text file, counted from 1.
    pub(crate) fn edit_line(&self, name: &str, number: usize, line: &str) {
        let text = String::from_utf8(self.read(name)).expect("text");
        let mut lines: Vec<&str> = text.lines().collect();
        lines[number - 1] = line;
        self.write(name, lines.join("\n"));
    }

    /// Changes the object in a JSON file.
    pub(crate) fn edit_json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&self.read(name)).expect("JSON");
        change(&mut value);
        self.write(name, value.to_string());
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removes");
    }

    /// Runs the program in the project's folder.
    pub(crate) fn run(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Outcome {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ensemble"))
            .args(arguments)
            .current_dir(&self.root)
            .env("CANDLE_NUM_THREADS", "1") // set, so that the program does not start itself again
            .env("COLUMNS", "100")
            .env_remove("ENSEMBLE_REGISTRY")
            .env_remove("ENSEMBLE_THREADS")
            .envs([("HF_HOME", self.path("hub").as_os_str()), ("HF_HUB_OFFLINE", "1".as_ref())])
            .env_remove("HF_HUB_CACHE")
            .env_remove("HUGGINGFACE_HUB_CACHE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program that refuses its arguments ends without reading, which is no fault here.
        let _ = child.stdin.take().expect("piped").write_all(input.as_ref());
        let finished = child.wait_with_output().expect("the program ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Outcome {
            code: finished.status.code().expect("no signal"),
            output: text(finished.stdout),
            errors: without_digests(&text(finished.stderr).replace(&self.root.display().to_string(), "[DIR]")),
        }
    }

    /// Runs the program, which must end with `code`, print an error and no data, and leave every file as it was.
    /// What is to be compared with the stored message: the command line, the exit code and standard error.
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let outcome = self.refused_with_input(code, arguments, "");
        let command: Vec<&str> = arguments.iter().copied().filter(|word| !["--quiet"].contains(word)).collect();
        let command = command.join(" ").replace(" --threads 1", "");
        format!("$ ensemble {command}\nexit code {code}\n\n{}", outcome.errors)
    }

    /// The same for a program that reads `input`; rows before the broken one may have been scored.
    pub(crate) fn refused_with_input(&self, code: i32, arguments: &[&str], input: impl AsRef<[u8]>) -> Outcome {
        let before = self.files();
        let scores = arguments.first() == Some(&"score");
        let outcome = self.run(arguments, input);
        assert_eq!(outcome.code, code, "{}", outcome.errors);
        assert!(outcome.errors.starts_with("error"), "{}", outcome.errors);
        assert!(!outcome.errors.contains("panicked"), "{}", outcome.errors);
        assert!(scores || outcome.output.is_empty(), "{}", outcome.output);
        self.assert_unchanged(&before);
        outcome
    }

    /// No file came, went or changed, so none is half-written and no registry appeared.
    fn assert_unchanged(&self, before: &BTreeMap<PathBuf, Vec<u8>>) {
        let after = self.files();
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        assert!(*before == after, "a file has other content now");
    }

    pub(crate) fn assert_nothing_temporary(&self) {
        let temporary = |path: &PathBuf| path.to_string_lossy().contains(".tmp-");
        assert_eq!(self.files().into_keys().find(temporary), None);
    }

    /// Every file under the project's folder, hidden ones too, with its content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("lists") {
                let path = entry.expect("lists").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&self.root).expect("inside").to_owned();
                    files.insert(name, fs::read(&path).expect("reads"));
                }
            }
        }
        files
    }
}

/// Replaces 12 or 64 hexadecimal digits in a row: digests of trained weights differ between processors.
fn without_digests(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        match digits {
            0 => {
                let plain = rest.find(|letter: char| matches!(letter, '0'..='9' | 'a'..='f')).unwrap_or(rest.len());
                shown.push_str(&rest[..plain]);
                rest = &rest[plain..];
            }
            12 | 64 => shown.push_str("[DIGEST]"),
            _ => shown.push_str(&rest[..digits]),
        }
        rest = &rest[digits..];
    }
    shown
}

/// Two rated answers of every prompt: the clear one is better.
pub(crate) fn rated_rows() -> Vec<Value> {
    let row = |prompt: usize, response: &str, quality: f64, brevity: f64| {
        json!({ "prompt": prompt_text(prompt), "response": response,
            "scores": { "quality": quality, "brevity": brevity } })
    };
    (0..PROMPTS).flat_map(|prompt| [row(prompt, "yes a clear answer", 4.0, 2.0), row(prompt, "no", 2.0, 5.0)]).collect()
}

/// One pair of every prompt.
pub(crate) fn pair_rows() -> Vec<Value> {
    let row = |prompt: usize| json!({ "prompt": prompt_text(prompt), "chosen": "please do not, thank you", "rejected": "yes and right" });
    (0..PROMPTS).map(row).collect()
}

fn prompt_text(prompt: usize) -> String {
    format!("What is the answer to question number {prompt}?")
}
