//! A copy of the quickstart in a folder of its own, and the binary run on it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A temporary folder with the quickstart's config, objectives and data; the backbone is the repository's.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ensemble"));
    command.stdin(Stdio::null());
    command
}

/// One trained project that tests share where they only read it; its features also warm other projects' caches.
pub(crate) fn trained() -> &'static Project {
    static TRAINED: OnceLock<Project> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let project = Project::new();
        project.train(&["--quiet"]);
        project
    })
}

impl Project {
    /// A project whose features are all cached, by the shared one.
    pub(crate) fn warm() -> Self {
        let project = Self::new();
        let config = project.path("configs/quickstart.yaml");
        let text = std::fs::read_to_string(&config).expect("config");
        let cache = trained().path(".cache/features");
        std::fs::write(&config, format!("{text}output:\n  cache: {}\n", cache.display())).expect("written");
        project
    }

    /// A project with an empty cache.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for part in ["configs", "objectives", "data/quickstart"] {
            std::fs::create_dir_all(folder.path().join(part)).expect("created");
            for entry in std::fs::read_dir(repository().join(part)).expect("listed") {
                let path = entry.expect("entry").path();
                let name = path.file_name().expect("a name");
                std::fs::copy(&path, folder.path().join(part).join(name)).expect("copied");
            }
        }
        let config = folder.path().join("configs/quickstart.yaml");
        let text = std::fs::read_to_string(&config).expect("config");
        let mini = repository().join("backbones/mini").display().to_string();
        std::fs::write(&config, text.replace("../backbones/mini", &mini)).expect("written");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        command().args(arguments).current_dir(self.folder.path()).output().expect("the binary runs")
    }

    /// Trains the quickstart with further arguments; panics with its output when it fails. Returns standard error.
    pub(crate) fn train(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["train-all", "configs/quickstart.yaml"], arguments].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        text
    }

    /// Scores `input` from standard input.
    pub(crate) fn score(&self, input: &str, arguments: &[&str]) -> Output {
        let mut child = command()
            .args([&["score", "--registry", "registry/quickstart"], arguments].concat())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // The program may stop reading at a broken line; that is not this test's failure.
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().expect("the binary ends");
        writer.join().expect("written");
        output
    }

    /// Scores the sample data for a reader that takes the first line and leaves.
    pub(crate) fn score_for_one_line(&self) -> (String, Output) {
        let mut child = command()
            .args(["score", "--registry", "registry/quickstart", "--batch-size", "1", "data/quickstart/rated.jsonl"])
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        (line, child.wait_with_output().expect("the binary ends"))
    }

    /// The files under `folder` with their bytes.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path(folder), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            files.insert(name, std::fs::read(&path).expect("read"));
        }
    }
}

/// The responses of the sample data as rows to score.
pub(crate) fn rows_to_score(count: usize) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("data/quickstart/rated.jsonl")).expect("data");
    text.lines().take(count).map(str::to_owned).collect()
}
