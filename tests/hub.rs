//! Fetching a backbone from a hub, against a stand-in on this machine: what is asked, what is kept, what is refused.
#![cfg(feature = "hub")]

mod hub_server;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ensemble::backbone::hub_cache::{RepositoryId, Snapshot, find, resolve, resolve_in};
use ensemble::error::Result;
use ensemble::progress::{Progress, Silent};
use hub_server::{Hub, Mishap, Seen, State, sha256};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// Small files with the names that `git hash-object` gives their contents.
const CONFIG: (&str, &str) = ("{\"model_type\": \"bert\"}\n", "dc1fb7b6703fe03317c1a080b523bf475f3d4818");
const NEWER: (&str, &str) =
    ("{\"model_type\": \"bert\", \"newer\": true}\n", "247dcbb055e9d22ce539704717513482d78cfe3c");
const TOKENIZER: (&str, &str) = ("{\"version\": \"1.0\"}\n", "92bdb0aff34a95a7c00546c3d608c984294164ed");
const SETTINGS: (&str, &str) = ("{\"model_max_length\": 512}\n", "024f46ce31c8e053b36d562024e4a92d3a84c4a7");
const INDEX: (&str, &str) = (
    "{\"weight_map\": {\"a\": \"model-1-of-2.safetensors\", \"b\": \"model-2-of-2.safetensors\"}}\n",
    "2f39cf07a17a8d8d1c82981ed3ee1dcaf4de5f20",
);

/// Bytes that differ from place to place, more than one read of the client takes.
fn weights(salt: u64) -> Vec<u8> {
    (0..2_500_000u64).map(|index| ((index * 2_654_435_761 + salt) >> 13) as u8).collect()
}

fn small(state: &mut State, commit: &str, name: &str, (content, etag): (&str, &str)) {
    state.files.insert((commit.into(), name.into()), (content.into(), Some(etag.into())));
}

fn large(state: &mut State, commit: &str, name: &str, content: Vec<u8>) {
    state.files.insert((commit.into(), name.into()), (content, None));
}

/// A hub with one model whose branch `main` is at the first commit.
fn hub() -> Hub {
    let mut state = State::default();
    state.revisions.insert("main".into(), FIRST.into());
    small(&mut state, FIRST, "config.json", CONFIG);
    small(&mut state, FIRST, "tokenizer.json", TOKENIZER);
    small(&mut state, FIRST, "tokenizer_config.json", SETTINGS);
    large(&mut state, FIRST, "model.safetensors", weights(0));
    for unwanted in ["pytorch_model.bin", "README.md", "onnx/model.onnx"] {
        large(&mut state, FIRST, unwanted, b"not asked for".to_vec());
    }
    Hub::start(state)
}

struct Run {
    hub: Hub,
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Run {
    fn new(hub: Hub) -> Self {
        Self { hub, home: tempfile::tempdir().expect("a temporary folder"), variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "HF_HOME" => Some(self.home.path().to_string_lossy().into_owned()),
            "HF_ENDPOINT" => Some(self.hub.address.clone()),
            _ => self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        }
    }

    fn resolve(&self, revision: &str) -> Result<Snapshot> {
        let repository = RepositoryId::parse("org/small")?;
        resolve_in(&repository, revision, &|name| self.variable(name), &Silent)
    }

    fn fault(&self, revision: &str) -> String {
        self.resolve(revision).expect_err("a fault").to_string()
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("hub/models--org--small")
    }

    fn mishap(&self, piece: &'static str, mishap: Mishap) {
        self.hub.state().mishaps.push((piece, mishap));
    }
}

fn read(snapshot: &Snapshot, name: &str) -> Vec<u8> {
    fs::read(snapshot.folder.join(name)).expect("a file of the snapshot")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// The ranges asked of the file server, in order; an empty one for a request without.
fn ranges(seen: &[Seen]) -> Vec<String> {
    let files = seen.iter().filter(|seen| seen.server == "files" && seen.method == "GET");
    files.map(|seen| seen.headers.get("range").cloned().unwrap_or_default()).collect()
}

#[test]
fn a_whole_model_arrives_in_the_layout_of_the_cache() -> Result<()> {
    let run = Run::new(hub());
    let snapshot = run.resolve("main")?;
    assert_eq!(snapshot.commit, FIRST);
    let expected = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!(names(&snapshot.folder), expected.map(String::from).into());
    assert_eq!(read(&snapshot, "config.json"), CONFIG.0.as_bytes());
    assert_eq!(read(&snapshot, "model.safetensors"), weights(0));
    let etags = [CONFIG.1, TOKENIZER.1, SETTINGS.1, &sha256(&weights(0))];
    assert_eq!(names(&run.folder().join("blobs")), etags.map(String::from).into());
    assert_eq!(fs::read_to_string(run.folder().join("refs/main")).expect("read"), FIRST);
    if cfg!(unix) {
        let link = fs::read_link(snapshot.folder.join("config.json")).expect("a link");
        assert_eq!(link, Path::new("../../blobs").join(CONFIG.1));
    }
    // The second run needs nothing from the hub, even where the network is forbidden.
    run.hub.taken();
    assert_eq!(run.resolve("main")?, snapshot);
    assert_eq!(run.resolve(FIRST)?, snapshot);
    let run = run.with("HF_HUB_OFFLINE", "1");
    assert_eq!(run.resolve("main")?, snapshot);
    assert!(run.hub.taken().is_empty());
    Ok(())
}

#[test]
fn only_what_is_lacking_is_fetched() -> Result<()> {
    let run = Run::new(hub());
    let snapshot = run.resolve("main")?;
    fs::remove_file(snapshot.folder.join("tokenizer.json")).expect("removed");
    fs::remove_file(run.folder().join("blobs").join(TOKENIZER.1)).expect("removed");
    run.hub.taken();
    assert_eq!(run.resolve("main")?, snapshot);
    let seen = run.hub.taken();
    assert!(seen.iter().any(|seen| seen.method == "GET" && seen.path.contains("/tokenizer.json")));
    assert!(
        !seen.iter().any(|seen| seen.path.contains("config.json") || seen.path.contains("safetensors")),
        "{seen:?}"
    );
    Ok(())
}

#[test]
fn a_broken_connection_is_continued_within_the_run() -> Result<()> {
    let run = Run::new(hub());
    run.mishap("GET /org/small/resolve", Mishap::Status(503, "Retry-After: 0\r\n"));
    run.mishap("signature", Mishap::Cut(1_000_000));
    run.mishap("signature", Mishap::Cut(700_000));
    let snapshot = run.resolve("main")?;
    assert_eq!(read(&snapshot, "model.safetensors"), weights(0));
    assert_eq!(ranges(&run.hub.taken()), ["", "bytes=1000000-", "bytes=1700000-"]);
    Ok(())
}

#[test]
fn a_run_that_stopped_is_continued_by_the_next() -> Result<()> {
    let run = Run::new(hub());
    run.mishap("signature", Mishap::Cut(1_234_567));
    run.mishap("signature", Mishap::Status(404, ""));
    assert!(run.fault("main").contains("the file server answered 404"));
    let incomplete = run.folder().join("blobs").join(format!("{}.incomplete", sha256(&weights(0))));
    assert_eq!(fs::read(&incomplete).expect("what arrived"), &weights(0)[..1_234_567]);
    // Nobody may take the revision for whole.
    assert!(!run.folder().join("refs/main").exists());
    let repository = RepositoryId::parse("org/small")?;
    let offline = find(&repository, FIRST, &|name| run.variable(name)).expect_err("not whole").to_string();
    assert!(offline.contains("model.safetensors: this file is missing"), "{offline}");
    assert!(offline.contains("a download was interrupted"), "{offline}");
    run.hub.taken();
    let snapshot = run.resolve("main")?;
    assert_eq!(ranges(&run.hub.taken()), ["bytes=1234567-"]);
    assert_eq!(read(&snapshot, "model.safetensors"), weights(0));
    assert!(!incomplete.exists());
    Ok(())
}

#[test]
fn a_server_without_ranges_begins_anew() -> Result<()> {
    let run = Run::new(hub());
    run.mishap("signature", Mishap::Cut(1_000_000));
    run.mishap("signature", Mishap::NoRange);
    let snapshot = run.resolve("main")?;
    assert_eq!(read(&snapshot, "model.safetensors"), weights(0));
    assert_eq!(ranges(&run.hub.taken()), ["", "bytes=1000000-"]);
    Ok(())
}

#[test]
fn what_arrives_damaged_is_fetched_once_more_and_then_refused() -> Result<()> {
    // Mishaps wait for a GET of that piece: the file server's address, or the small file's last one.
    for (server, file) in [("signature", "model.safetensors"), ("tokenizer.json?cached", "tokenizer.json")] {
        let run = Run::new(hub());
        run.mishap(server, Mishap::Damage);
        let snapshot = run.resolve("main")?;
        let gets = run.hub.taken().iter().filter(|seen| seen.method == "GET" && seen.path.contains(server)).count();
        assert_eq!(gets, 2, "{file}");
        assert_eq!(read(&snapshot, "model.safetensors"), weights(0));
        assert_eq!(read(&snapshot, "tokenizer.json"), TOKENIZER.0.as_bytes());
    }
    let run = Run::new(hub());
    run.mishap("signature", Mishap::Damage);
    run.mishap("signature", Mishap::Damage);
    let text = run.fault("main");
    assert!(text.contains("model.safetensors: the file arrived damaged twice: its sha256 is"), "{text}");
    assert!(!names(&run.folder().join("blobs")).iter().any(|name| name.starts_with(&sha256(&weights(0)))));
    assert!(!run.folder().join("refs").exists());
    // What an earlier program left there is checked as well.
    let incomplete = run.folder().join("blobs").join(format!("{}.incomplete", sha256(&weights(0))));
    fs::write(&incomplete, vec![7u8; 2_600_000]).expect("written");
    assert_eq!(read(&run.resolve("main")?, "model.safetensors"), weights(0));
    Ok(())
}

#[test]
fn refusals_say_what_to_do() {
    let cases: [(&str, Mishap, &[&str]); 7] = [
        ("api/models", Mishap::Status(404, "X-Error-Code: RepoNotFound\r\n"), &["no model org/small", "HF_TOKEN"]),
        ("api/models", Mishap::Status(404, "X-Error-Code: RevisionNotFound\r\n"), &["no revision \"main\""]),
        ("api/models", Mishap::Status(401, ""), &["no model org/small, or a private one"]),
        (
            "HEAD",
            Mishap::Status(403, "X-Error-Code: GatedRepo\r\nX-Error-Message: Access is restricted\r\n"),
            &["org/small is gated", "\"Access is restricted\"", "accept its terms at http"],
        ),
        ("api/models", Mishap::Status(403, ""), &["forbids org/small"]),
        ("api/models", Mishap::Status(429, "Retry-After: 3600\r\n"), &["too many requests", "in 3600 s"]),
        ("api/models", Mishap::Status(302, "Location: ftp://elsewhere/\r\n"), &["redirects to \"ftp://elsewhere/\""]),
    ];
    for (piece, mishap, expected) in cases {
        let run = Run::new(hub());
        run.mishap(piece, mishap.clone());
        let text = run.fault("main");
        assert!(expected.iter().all(|part| text.contains(part)), "{mishap:?}: {text}");
    }
}

#[test]
fn a_failing_server_is_asked_again_but_not_for_ever() -> Result<()> {
    let run = Run::new(hub());
    for (status, headers) in [(429, "Retry-After: 0\r\n"), (500, "Retry-After: 0\r\n"), (504, "Retry-After: 0\r\n")] {
        run.mishap("api/models", Mishap::Status(status, headers));
    }
    run.resolve("main")?;
    let run = Run::new(hub());
    (0..9).for_each(|_| run.mishap("api/models", Mishap::Status(503, "Retry-After: 0\r\n")));
    assert!(run.fault("main").contains("the server failed with 503"));
    assert_eq!(run.hub.taken().len(), 5);
    Ok(())
}

#[test]
fn a_branch_stays_where_it_was_first_fetched_and_a_commit_is_what_it_says() -> Result<()> {
    let run = Run::new(hub());
    run.resolve("main")?;
    {
        let mut state = run.hub.state();
        state.revisions.insert("main".into(), SECOND.into());
        state.revisions.insert("refs/pr/1".into(), SECOND.into());
        small(&mut state, SECOND, "config.json", NEWER);
        small(&mut state, SECOND, "tokenizer.json", TOKENIZER);
        large(&mut state, SECOND, "model.safetensors", weights(0));
    }
    assert_eq!(run.resolve("main")?.commit, FIRST);
    run.hub.taken();
    let second = run.resolve(SECOND)?;
    assert_eq!(read(&second, "config.json"), NEWER.0.as_bytes());
    assert_eq!(read(&run.resolve("main")?, "config.json"), CONFIG.0.as_bytes());
    // Content that both commits share is not fetched twice, and a commit needs no ref.
    assert!(ranges(&run.hub.taken()).is_empty());
    assert_eq!(names(&run.folder().join("refs")), ["main".to_owned()].into());
    assert_eq!(run.resolve("refs/pr/1")?, second);
    assert_eq!(fs::read_to_string(run.folder().join("refs/refs/pr/1")).expect("read"), SECOND);
    Ok(())
}

#[test]
fn the_token_goes_to_the_hub_alone() -> Result<()> {
    let run = Run::new(hub());
    run.hub.state().token = Some("hf_secret".into());
    assert!(run.fault("main").contains("org/small is gated: \"Access to this model is restricted.\""));
    fs::write(run.home.path().join("token"), "hf_secret\n").expect("written");
    run.hub.taken();
    run.resolve("main")?;
    let seen = run.hub.taken();
    for seen in &seen {
        let sent = seen.headers.get("authorization").map(String::as_str);
        assert_eq!(sent, (seen.server == "hub").then_some("Bearer hf_secret"), "{seen:?}");
    }
    assert!(seen.iter().any(|seen| seen.server == "files"));
    let run = Run::new(hub()).with("HF_TOKEN", "hf_line\nbreak");
    let text = run.fault("main");
    assert!(text.contains("HF_TOKEN: this token holds characters") && !text.contains("hf_line"), "{text}");
    assert!(run.hub.taken().is_empty());
    Ok(())
}

#[test]
fn offline_means_offline() {
    for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        let run = Run::new(hub()).with(name, "1");
        let text = run.fault("main");
        assert!(text.contains("not in the Hugging Face cache") && text.contains("forbids the network"), "{text}");
        assert!(run.hub.taken().is_empty());
    }
}

#[test]
fn shards_are_those_that_the_index_lists() -> Result<()> {
    let hub = hub();
    {
        let mut state = hub.state();
        state.files.remove(&(FIRST.to_owned(), "model.safetensors".to_owned()));
        small(&mut state, FIRST, "model.safetensors.index.json", INDEX);
        large(&mut state, FIRST, "model-1-of-2.safetensors", weights(1));
        large(&mut state, FIRST, "model-9-of-9.safetensors", weights(9));
    }
    let run = Run::new(hub);
    let text = run.fault("main");
    assert!(text.contains("the model has no model-2-of-2.safetensors, which this lists"), "{text}");
    large(&mut run.hub.state(), FIRST, "model-2-of-2.safetensors", weights(2));
    let snapshot = run.resolve("main")?;
    assert_eq!(read(&snapshot, "model-2-of-2.safetensors"), weights(2));
    assert!(!snapshot.folder.join("model-9-of-9.safetensors").exists());
    Ok(())
}

#[test]
fn a_model_without_safetensors_is_refused_before_anything_is_fetched() {
    let hub = hub();
    for name in ["model.safetensors", "tokenizer.json"] {
        hub.state().files.remove(&(FIRST.to_owned(), name.to_owned()));
    }
    let run = Run::new(hub);
    let text = run.fault("main");
    assert!(text.contains("no tokenizer.json") && text.contains("pickle, which can run code"), "{text}");
    assert_eq!(run.hub.taken().len(), 1);
}

#[test]
fn progress_counts_the_megabytes_of_the_weights() -> Result<()> {
    struct Counter(std::sync::Mutex<(u64, u64)>);
    impl Progress for Counter {
        fn start(&self, _stage: &str, total: u64) {
            self.0.lock().expect("no panic").0 += total;
        }
        fn advance(&self, rows: u64) {
            self.0.lock().expect("no panic").1 += rows;
        }
        fn finish(&self, _note: &str) {}
    }
    let run = Run::new(hub());
    run.mishap("signature", Mishap::Cut(900_000));
    run.mishap("signature", Mishap::NoRange);
    let counter = Counter(std::sync::Mutex::new((0, 0)));
    resolve_in(&RepositoryId::parse("org/small")?, "main", &|name| run.variable(name), &counter)?;
    assert_eq!(*counter.0.lock().expect("no panic"), (3, 3));
    Ok(())
}

/// One half of `tests/fixtures/hub_interop.py`, which runs this with its own hub and cache in the environment.
#[test]
#[ignore = "needs huggingface_hub: run tests/fixtures/hub_interop.py"]
fn resolve_for_the_interoperability_script() -> Result<()> {
    let snapshot = resolve(&RepositoryId::parse("org/small")?, "main", &Silent)?;
    let answer = std::env::var("HUB_INTEROP_ANSWER").expect("set by the script");
    fs::write(answer, snapshot.folder.to_string_lossy().as_bytes()).expect("written");
    Ok(())
}
